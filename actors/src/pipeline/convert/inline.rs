//! Writes a run of cells as Discord markdown: well-nested marks, escapes, code, links.

use super::cells::{Cell, Form};
use super::link;
use super::style::{Style, Styles};

/// Keeps two things apart that Discord would read as one, without being seen.
pub(super) const SEPARATOR: char = '\u{200b}';

/// What was written last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    /// A character of text, escaped or not.
    Text(char),
    /// A mark that opens.
    Open,
    /// A mark that closes, made of this character.
    Close(char),
    /// Code, an address, a link.
    Whole,
}

/// How much of the line has been written: some characters mean something only at its start.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    /// Nothing but spaces and marks.
    Start,
    /// Nothing but a number.
    Number,
    /// More than that.
    Inside,
}

/// Writes one block of running text.
pub(super) struct Inline<'a> {
    cells: &'a [Cell],
    links: &'a [String],
    bracketed: &'a [bool],
    out: String,
    open: Vec<Style>,
    last: Last,
    line: Line,
    /// A label is written without escapes: Discord knows none there.
    in_label: bool,
    separated: bool,
}

impl<'a> Inline<'a> {
    /// Writes `cells` as markdown.
    pub(super) fn write(cells: &'a [Cell], links: &'a [String], bracketed: &'a [bool]) -> String {
        Self::new(cells, links, bracketed, false).run().out
    }

    fn new(cells: &'a [Cell], links: &'a [String], bracketed: &'a [bool], in_label: bool) -> Self {
        let (open, out) = (Vec::new(), String::new());
        let (last, line) = (Last::Whole, Line::Start);
        Self { cells, links, bracketed, out, open, last, line, in_label, separated: false }
    }

    fn run(mut self) -> Self {
        let mut at = 0;
        while let Some(cell) = self.cells.get(at).copied() {
            at = match cell.form {
                Form::Code => self.code(at, cell),
                Form::Url(number) => self.address(at, cell, number),
                Form::Link(number) if !self.in_label => self.link(at, number),
                _ => self.character(at, cell),
            };
        }
        self.turn_to(Styles::NONE, self.cells.len());
        self
    }

    /// The end of the run of cells like the one at `at`.
    fn end_of(&self, at: usize, like: impl Fn(&Cell) -> bool) -> usize {
        let rest = self.cells.get(at..).unwrap_or_default();
        at + rest.iter().position(|cell| !like(cell)).unwrap_or(rest.len())
    }

    fn text(&self, from: usize, to: usize) -> String {
        self.cells.get(from..to).unwrap_or_default().iter().map(|cell| cell.ch).collect()
    }

    /// Closes marks until only styles of `styles` are open.
    fn close_to(&mut self, styles: Styles) {
        let keep = self.open.iter().take_while(|style| styles.has(**style)).count();
        while self.open.len() > keep {
            let Some(style) = self.open.pop() else { break };
            let mark = style.mark_char();
            // Some rules do not see that the character before the mark is escaped.
            if self.last == Last::Text(mark) {
                self.separate();
            }
            self.out.push_str(style.mark());
            self.last = Last::Close(mark);
        }
    }

    /// Closes and opens marks until exactly `styles` are open; what goes on longest is opened first.
    fn turn_to(&mut self, styles: Styles, at: usize) {
        self.close_to(styles);
        let mut opening: Vec<Style> = styles.iter().filter(|style| !self.open.contains(style)).collect();
        opening.sort_by_key(|style| std::cmp::Reverse(self.end_of(at, |cell| cell.styles.has(*style))));
        for style in opening {
            let mark = style.mark_char();
            // `~~_` is read as no end of a strike.
            let touches = self.last == Last::Close(mark) || (mark == '_' && self.last == Last::Close('~'));
            if touches {
                self.separate();
            }
            self.out.push_str(style.mark());
            self.open.push(style);
            self.last = Last::Open;
        }
    }

    fn separate(&mut self) {
        self.out.push(SEPARATOR);
        self.separated = true;
    }

    fn character(&mut self, at: usize, cell: Cell) -> usize {
        if cell.is_space() {
            // A mark must touch what it marks: it opens before the next visible character.
            self.close_to(cell.styles);
        } else {
            self.turn_to(cell.styles, at);
        }
        if self.in_label {
            self.out.push(cell.ch);
        } else {
            self.escape(at, cell.ch);
        }
        self.last = Last::Text(cell.ch);
        self.line = match (self.line, cell.ch) {
            (_, '\n') => Line::Start,
            (Line::Start, ' ') => Line::Start,
            (Line::Start | Line::Number, '0'..='9') => Line::Number,
            _ => Line::Inside,
        };
        at + 1
    }

    fn escape(&mut self, at: usize, ch: char) {
        let next = self.cells.get(at + 1).map(|cell| cell.ch);
        let gap = next.is_none_or(link::is_space);
        let line_start = self.line == Line::Start;
        let escaped = match ch {
            '\\' | '*' | '_' | '`' | '~' | '|' | '<' | '[' => true,
            '#' | '>' => line_start,
            '-' | '+' => line_start && (gap || next == Some('#')),
            '.' => self.line == Line::Number && gap,
            ':' => self.is_read_after_colon(at + 1),
            '(' => self.out.ends_with(']'),
            _ => false,
        };
        if escaped {
            self.out.push('\\');
        }
        self.out.push(ch);
        let follows =
            |word: &str| word.chars().enumerate().all(|(n, want)| self.char_at(at + 1 + n) == Some(want));
        if ch == '@' && (follows("everyone") || follows("here")) {
            self.out.push(SEPARATOR);
        }
    }

    fn char_at(&self, at: usize) -> Option<char> {
        self.cells.get(at).map(|cell| cell.ch)
    }

    /// `://` would make an address, `:name:` an emoji.
    fn is_read_after_colon(&self, at: usize) -> bool {
        let is_name = |ch: char| ch.is_ascii_alphanumeric() || matches!(ch, '_' | '+' | '-');
        let end = self.end_of(at, |cell| is_name(cell.ch));
        let scheme = self.char_at(at) == Some('/') && self.char_at(at + 1) == Some('/');
        // The mark of an underline reads as a name, too.
        let underlined = |at: usize| self.cells.get(at).is_some_and(|cell| cell.styles.has(Style::Underline));
        let marked = at > 0 && underlined(at - 1) != underlined(at);
        scheme || (self.char_at(end) == Some(':') && (end > at || marked))
    }

    fn code(&mut self, at: usize, cell: Cell) -> usize {
        self.turn_to(cell.styles, at);
        let end = self.end_of(at, |other| other.form == cell.form && other.styles == cell.styles);
        let code = code_span(&self.text(at, end));
        self.out.push_str(&code);
        (self.last, self.line) = (Last::Whole, Line::Inside);
        end
    }

    fn address(&mut self, at: usize, cell: Cell, number: usize) -> usize {
        self.turn_to(cell.styles, at);
        let end = self.end_of(at, |other| other.form == cell.form);
        let url = self.text(at, end);
        let forced = self.bracketed.get(number).copied().unwrap_or(false);
        if forced || !self.ends_by_itself(at, end) {
            self.out.push('<');
            self.out.push_str(&url);
            self.out.push('>');
        } else {
            self.out.push_str(&url);
        }
        (self.last, self.line) = (Last::Whole, Line::Inside);
        end
    }

    /// Whether Discord ends the address in `from..to` by itself where it ends: what follows up to the next gap must be written
    /// as it is, open no mark, and not belong to an address.
    fn ends_by_itself(&self, from: usize, to: usize) -> bool {
        let styles = self.cells.get(from).map_or(Styles::NONE, |cell| cell.styles);
        let gap = self.end_of(to, |cell| cell.form != Form::Text || !cell.is_space());
        let is_plain = |cell: &Cell| {
            let written_as_is = !"\\*_`~|<[:@(".contains(cell.ch);
            cell.form == Form::Text && written_as_is && cell.styles.minus(styles).is_empty()
        };
        let tail = self.cells.get(to..gap).unwrap_or_default();
        let text: Vec<char> = self.text(from, gap).chars().collect();
        tail.iter().all(is_plain) && link::autolink_len(&text) == Some(to - from)
    }

    fn link(&mut self, at: usize, number: usize) -> usize {
        let form = Form::Link(number);
        let end = self.end_of(at, |cell| cell.form == form);
        let label = self.cells.get(at..end).unwrap_or_default();
        let visible = label.iter().filter(|cell| !cell.is_space()).map(|cell| cell.styles);
        let outer = visible.reduce(Styles::both).unwrap_or_default();
        self.turn_to(outer, at);
        let inner: Vec<Cell> =
            label.iter().map(|cell| Cell { styles: cell.styles.minus(outer), ..*cell }).collect();
        let written = Inline::new(&inner, &[], &[], true).run();
        let clashes = inner.iter().any(|cell| cell.ch == '_' || cell.ch == '~' || cell.ch == '|');
        self.out.push('[');
        // A separator does not live in a label: then the words go without their inner styles.
        if written.separated || clashes {
            self.out.extend(inner.iter().map(|cell| cell.ch));
        } else {
            self.out.push_str(&written.out);
        }
        let url = self.links.get(number).map(|url| link::encode(url)).unwrap_or_default();
        self.out.push_str("](<");
        self.out.push_str(&url);
        self.out.push_str(">)");
        (self.last, self.line) = (Last::Whole, Line::Inside);
        end
    }
}

/// Inline code in as many backticks as its content needs: one, or two when it holds single ones. Three would be a block, so where
/// single and double ones stand in it, the double ones are broken up.
fn code_span(code: &str) -> String {
    let runs: Vec<usize> = code.split(|ch| ch != '`').map(str::len).filter(|len| *len > 0).collect();
    let (fence, code) = match (runs.contains(&1), runs.contains(&2)) {
        (false, _) => ("`", code.to_owned()),
        (true, false) => ("``", code.to_owned()),
        (true, true) => ("``", break_pairs(code)),
    };
    // Discord takes one space away beside a backtick at either edge.
    let pad = |edge: bool| if edge { " " } else { "" };
    let front = pad(code.trim_start_matches(' ').starts_with('`'));
    let back = pad(code.trim_end_matches(' ').ends_with('`'));
    format!("{fence}{front}{code}{back}{fence}")
}

/// Puts a separator into every run of exactly two backticks.
fn break_pairs(code: &str) -> String {
    let mut out = String::with_capacity(code.len() + 8);
    let mut rest = code;
    while let Some(start) = rest.find('`') {
        let (before, from) = rest.split_at(start);
        let run = from.len() - from.trim_start_matches('`').len();
        let (ticks, after) = from.split_at(run);
        out.push_str(before);
        match ticks {
            "``" => out.extend(['`', SEPARATOR, '`']),
            _ => out.push_str(ticks),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::code_span;

    #[test]
    fn code_spans_take_the_backticks_they_need() {
        let cases = [
            ("x", "`x`"),
            ("a`b", "``a`b``"),
            ("a``b", "`a``b`"),
            ("`x", "`` `x``"),
            (" `", "``  ` ``"),
            ("a`b``c", "``a`b`\u{200b}`c``"),
            ("a```b", "`a```b`"),
        ];
        for (code, want) in cases {
            assert_eq!(code_span(code), want, "{code}");
        }
    }
}
