//! Formatted text as one cell per character: nested and overlapping entities become a set of styles and one form per cell.

use super::link;
use super::style::{Style, Styles};
use crate::model::{EntityKind, RichText};

/// What a cell is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Running text.
    Text,
    /// Inline code.
    Code,
    /// A code block, by its number.
    Pre(usize),
    /// Words with an address behind them, by its number.
    Link(usize),
    /// An address in running text, by its number.
    Url(usize),
}

/// One character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) ch: char,
    pub(super) styles: Styles,
    pub(super) form: Form,
    pub(super) quoted: bool,
}

impl Cell {
    pub(super) fn is_space(&self) -> bool {
        link::is_space(self.ch)
    }
}

/// A text as cells, with what the forms refer to.
#[derive(Clone, Debug, Default)]
pub(super) struct Cells {
    pub(super) cells: Vec<Cell>,
    /// Language of each code block.
    pub(super) languages: Vec<Option<String>>,
    /// Address of each link.
    pub(super) links: Vec<String>,
    /// For each address in running text: whether it is always written in angle brackets, which stop the preview.
    pub(super) bracketed: Vec<bool>,
}

impl Cells {
    /// Takes a text apart. Line ends become `\n` (from `\r\n` and `\r`).
    pub(super) fn new(rich: &RichText) -> Self {
        let mut out = Self::default();
        let mut units = Vec::new();
        let mut unit = 0_usize;
        let mut chars = rich.text().chars().peekable();
        while let Some(ch) = chars.next() {
            let dropped = ch == '\r' && chars.peek() == Some(&'\n');
            if !dropped {
                units.push(unit);
                let ch = if ch == '\r' { '\n' } else { ch };
                out.cells.push(Cell { ch, styles: Styles::NONE, form: Form::Text, quoted: false });
            }
            unit += ch.len_utf16();
        }
        let range = |offset: usize, end: usize| {
            units.partition_point(|at| *at < offset)..units.partition_point(|at| *at < end)
        };
        // Code excludes other forms and a block excludes inline code, so the stronger comes later.
        for strength in 0..4 {
            for entity in rich.entities().iter().filter(|entity| strength_of(&entity.kind) == strength) {
                out.apply(range(entity.offset, entity.end()), &entity.kind);
            }
        }
        out
    }

    fn apply(&mut self, range: std::ops::Range<usize>, kind: &EntityKind) {
        let form = match kind {
            EntityKind::TextLink { url } => {
                self.links.push(url.clone());
                Some(Form::Link(self.links.len() - 1))
            }
            EntityKind::Pre { language } => {
                self.languages.push(language.clone());
                Some(Form::Pre(self.languages.len() - 1))
            }
            EntityKind::Code => Some(Form::Code),
            EntityKind::Url => {
                let Some(text) = self.cells.get(range.clone()) else { return };
                let url: String = text.iter().map(|cell| cell.ch).collect();
                if !link::is_web(&url) || url.contains(link::is_space) {
                    return;
                }
                Some(self.new_url(false))
            }
            _ => None,
        };
        let style = match kind {
            EntityKind::Bold => Some(Style::Bold),
            EntityKind::Italic => Some(Style::Italic),
            EntityKind::Underline => Some(Style::Underline),
            EntityKind::Strikethrough => Some(Style::Strike),
            EntityKind::Spoiler => Some(Style::Spoiler),
            _ => None,
        };
        let quote = matches!(kind, EntityKind::Blockquote | EntityKind::ExpandableBlockquote);
        for cell in self.cells.get_mut(range).into_iter().flatten() {
            cell.form = form.unwrap_or(cell.form);
            cell.styles = style.map_or(cell.styles, |style| cell.styles.with(style));
            cell.quoted |= quote;
        }
    }

    /// A form for one more address in running text.
    pub(super) fn new_url(&mut self, bracketed: bool) -> Form {
        self.bracketed.push(bracketed);
        Form::Url(self.bracketed.len() - 1)
    }

    /// The ranges in which neighbours have one key.
    pub(super) fn runs<K: PartialEq>(&self, key: impl Fn(&Cell) -> K) -> Vec<(K, std::ops::Range<usize>)> {
        let mut runs: Vec<(K, std::ops::Range<usize>)> = Vec::new();
        for (at, cell) in self.cells.iter().enumerate() {
            let this = key(cell);
            match runs.last_mut() {
                Some((last, range)) if *last == this => range.end = at + 1,
                _ => runs.push((this, at..at + 1)),
            }
        }
        runs
    }

    /// The characters of a range.
    pub(super) fn text(&self, range: std::ops::Range<usize>) -> String {
        self.cells.get(range).unwrap_or_default().iter().map(|cell| cell.ch).collect()
    }

    /// The styles that every visible cell of a range has.
    pub(super) fn common_styles(&self, range: std::ops::Range<usize>) -> Styles {
        let cells = self.cells.get(range).unwrap_or_default();
        let visible = cells.iter().filter(|cell| !cell.is_space());
        visible.map(|cell| cell.styles).reduce(Styles::both).unwrap_or_default()
    }

    /// Changes every cell of a range.
    pub(super) fn change(&mut self, range: std::ops::Range<usize>, change: impl Fn(&mut Cell)) {
        self.cells.get_mut(range).into_iter().flatten().for_each(change);
    }
}

const fn strength_of(kind: &EntityKind) -> u8 {
    match kind {
        EntityKind::TextLink { .. } => 1,
        EntityKind::Code => 2,
        EntityKind::Pre { .. } => 3,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Entity;

    #[test]
    fn offsets_count_utf16_units_and_line_ends_become_one() {
        let entities = vec![
            Entity { offset: 2, length: 3, kind: EntityKind::Bold },
            Entity { offset: 4, length: 2, kind: EntityKind::Italic },
        ];
        let cells = Cells::new(&RichText::new("😀a\r\nb", entities).unwrap());
        let seen: Vec<(char, Styles)> = cells.cells.iter().map(|cell| (cell.ch, cell.styles)).collect();
        let bold = Styles::NONE.with(Style::Bold);
        let both = bold.with(Style::Italic);
        assert_eq!(
            seen,
            [('😀', Styles::NONE), ('a', bold), ('\n', both), ('b', Styles::NONE.with(Style::Italic))]
        );
    }

    #[test]
    fn code_is_stronger_than_links_and_blocks_are_stronger_than_code() {
        let whole = |kind| Entity { offset: 0, length: 2, kind };
        let link = EntityKind::TextLink { url: "https://example.org".to_owned() };
        let pre = Entity { offset: 1, length: 1, kind: EntityKind::Pre { language: None } };
        let cells =
            Cells::new(&RichText::new("ab", vec![whole(EntityKind::Code), whole(link), pre]).unwrap());
        let forms: Vec<Form> = cells.cells.iter().map(|cell| cell.form).collect();
        assert_eq!(forms, [Form::Code, Form::Pre(0)]);
    }
}
