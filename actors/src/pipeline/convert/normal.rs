//! The normal form of a text for Discord: every cell gets a form and styles that Discord's rules can express.
//!
//! What is changed, and why:
//! - Code keeps the styles around it, except those whose mark stands in the code itself; hidden text stays hidden, so there the code
//!   gives way. A code block keeps nothing but the spoiler. Line ends at the edges of a code block move out of it.
//! - A link whose words Discord would not mask is spelled out as `words (<address>)`; one without visible words loses its address.
//! - An address in running text has one set of styles: those that cover all of it.
//! - White space at the edge of a styled run loses the style, as marks must touch what they mark.

use std::ops::Range;

use super::cells::{Cell, Cells, Form};
use super::link;
use super::style::{Style, Styles};

/// Brings a text into its normal form.
pub(super) fn normalise(text: &mut Cells) {
    code_blocks(text);
    inline_code(text);
    links(text);
    addresses(text);
    white_space(text);
}

fn code_blocks(text: &mut Cells) {
    for ((form, _), range) in text.runs(|cell| (cell.form, cell.quoted)) {
        if !matches!(form, Form::Pre(_)) {
            continue;
        }
        let content = text.text(range.clone());
        let hidden = text.cells.get(range.clone()).unwrap_or_default();
        let hidden = hidden.iter().any(|cell| cell.styles.has(Style::Spoiler));
        let styles: Styles = hidden.then_some(Style::Spoiler).into_iter().collect();
        if content.trim().is_empty() || (hidden && content.contains('|')) {
            text.change(range, |cell| (cell.form, cell.styles) = (Form::Text, styles));
            continue;
        }
        let leading = content.chars().take_while(|ch| *ch == '\n').count();
        let trailing = content.chars().rev().take_while(|ch| *ch == '\n').count();
        let inner = range.start + leading..range.end - trailing;
        text.change(range, |cell| (cell.form, cell.styles) = (Form::Text, Styles::NONE));
        text.change(inner, |cell| (cell.form, cell.styles) = (form, styles));
    }
}

fn inline_code(text: &mut Cells) {
    for ((form, styles, _), range) in text.runs(|cell| (cell.form, cell.styles, cell.quoted)) {
        if form != Form::Code {
            continue;
        }
        let content = text.text(range.clone());
        let conflict = conflicts(styles, &content);
        if conflict.has(Style::Spoiler) || content.trim().is_empty() {
            text.change(range, |cell| cell.form = Form::Text);
        } else {
            text.change(range, |cell| cell.styles = styles.minus(conflict));
        }
    }
}

/// The styles that cannot stand around a text which is written without escapes, as their mark would end inside it.
fn conflicts(styles: Styles, raw: &str) -> Styles {
    let clashes = |style: Style| {
        let mark = style.mark_char();
        raw.contains(style.mark()) || raw.starts_with(mark) || raw.ends_with([mark, '\\'])
    };
    styles.iter().filter(|style| clashes(*style)).collect()
}

fn links(text: &mut Cells) {
    // Discord ends a label at the last `](` that it can reach, and code may hold one.
    let reaches_on = text.text(0..text.cells.len()).contains("](");
    // From the back, so that what is inserted does not move what is still to do.
    for ((form, _), range) in text.runs(|cell| (cell.form, cell.quoted)).into_iter().rev() {
        let Form::Link(number) = form else { continue };
        let url = text.links.get(number).cloned().unwrap_or_default();
        let range = trim(text, range);
        let label = text.text(range.clone());
        if label.is_empty() || url.is_empty() || link::encode(&url).chars().count() > link::MAX_URL {
            text.change(range, |cell| cell.form = Form::Text);
        } else if link::is_web(&url) && link::is_same(&label, &url) && !label.contains(link::is_space) {
            let form = text.new_url(false);
            text.change(range, |cell| cell.form = form);
        } else if reaches_on || !link::is_web(&url) || !link::is_maskable(&label) {
            spell_out(text, range, &url);
        }
    }
}

/// Takes white space at the edges of a link out of it.
fn trim(text: &mut Cells, range: Range<usize>) -> Range<usize> {
    let cells = text.cells.get(range.clone()).unwrap_or_default();
    let leading = cells.iter().take_while(|cell| cell.is_space()).count();
    let trailing = cells.iter().skip(leading).rev().take_while(|cell| cell.is_space()).count();
    let inner = range.start + leading..range.end - trailing;
    text.change(range.start..inner.start, |cell| cell.form = Form::Text);
    text.change(inner.end..range.end, |cell| cell.form = Form::Text);
    inner
}

fn spell_out(text: &mut Cells, range: Range<usize>, url: &str) {
    let quoted = text.cells.get(range.start).is_some_and(|cell| cell.quoted);
    let label = text.cells.get(range.clone()).unwrap_or_default();
    let hidden = label.iter().any(|cell| cell.styles.has(Style::Spoiler));
    let styles: Styles = hidden.then_some(Style::Spoiler).into_iter().collect();
    let form = if link::is_web(url) { text.new_url(true) } else { Form::Text };
    let awkward = url.contains(|ch: char| "<>".contains(ch) || link::is_space(ch) || ch.is_control());
    let url = if awkward { link::encode(url) } else { url.to_owned() };
    let plain = |ch: char| Cell { ch, styles, form: Form::Text, quoted };
    let tail: Vec<Cell> = (" (".chars().map(plain))
        .chain(url.chars().map(|ch| Cell { form, ..plain(ch) }))
        .chain(std::iter::once(plain(')')))
        .collect();
    text.change(range.clone(), |cell| cell.form = Form::Text);
    text.cells.splice(range.end..range.end, tail);
}

fn addresses(text: &mut Cells) {
    for ((form, _), range) in text.runs(|cell| (cell.form, cell.quoted)) {
        let content = text.text(range.clone());
        if matches!(form, Form::Url(_)) && (!link::is_web(&content) || content.contains(['<', '>'])) {
            text.change(range, |cell| cell.form = Form::Text);
        }
    }
    for ((form, _), range) in text.runs(|cell| (cell.form, cell.quoted)) {
        if form == Form::Text {
            detect(text, range);
        }
    }
    for ((form, _), range) in text.runs(|cell| (cell.form, cell.quoted)) {
        if !matches!(form, Form::Url(_)) {
            continue;
        }
        let common = text.common_styles(range.clone());
        let conflict = conflicts(common, &text.text(range.clone()));
        if conflict.has(Style::Spoiler) {
            text.change(range, |cell| cell.form = Form::Text);
        } else {
            text.change(range, |cell| cell.styles = common.minus(conflict));
        }
    }
}

fn detect(text: &mut Cells, range: Range<usize>) {
    let chars: Vec<char> = text.text(range.clone()).chars().collect();
    let mut at = 0;
    while let Some(rest) = chars.get(at..).filter(|rest| !rest.is_empty()) {
        let Some(len) = link::autolink_len(rest) else {
            at += 1;
            continue;
        };
        // A closing angle bracket would end the form in which an address may have to be written.
        let bracket = rest.iter().take(len).position(|ch| *ch == '>').unwrap_or(len);
        let form = text.new_url(false);
        text.change(range.start + at..range.start + at + bracket, |cell| cell.form = form);
        at += bracket.max(1);
    }
}

fn white_space(text: &mut Cells) {
    let is_loose = |cell: &Cell| cell.is_space() && matches!(cell.form, Form::Text | Form::Link(_));
    for ((loose, quoted), range) in text.runs(|cell| (is_loose(cell), cell.quoted)) {
        if !loose {
            continue;
        }
        let neighbour = |at: Option<usize>| {
            let cell = at.and_then(|at| text.cells.get(at)).filter(|cell| cell.quoted == quoted);
            cell.filter(|cell| !matches!(cell.form, Form::Pre(_))).map_or(Styles::NONE, |cell| cell.styles)
        };
        let around = neighbour(range.start.checked_sub(1)).both(neighbour(Some(range.end)));
        let inside = text.cells.get(range.clone()).unwrap_or_default();
        let styles = inside.iter().map(|cell| cell.styles).fold(around, Styles::both);
        text.change(range, |cell| cell.styles = styles);
    }
}
