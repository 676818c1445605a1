//! Pieces of formatted text: entities are cut at the edges of a piece.

use std::ops::Range;

use crate::model::{Entity, RichText};

/// The piece of a text between two byte positions, with the entities that reach into it. Positions that are no character bounds, or that lie
/// outside, give an empty text.
pub(super) fn piece(rich: &RichText, bytes: Range<usize>) -> RichText {
    let text = rich.text();
    let (Some(before), Some(inside)) = (text.get(..bytes.start), text.get(bytes)) else {
        return RichText::default();
    };
    let from = before.encode_utf16().count();
    let to = from + inside.encode_utf16().count();
    let entities = rich.entities().iter().filter_map(|entity| {
        let start = entity.offset.max(from);
        let end = entity.end().min(to);
        (start < end).then(|| Entity { offset: start - from, length: end - start, kind: entity.kind.clone() })
    });
    RichText::new(inside, entities.collect()).unwrap_or_else(|_| RichText::plain(inside))
}

/// A text without white space at its ends.
pub(super) fn trim(rich: &RichText) -> RichText {
    let text = rich.text();
    let front = text.len() - text.trim_start().len();
    let inner = text.trim();
    if inner.len() == text.len() { rich.clone() } else { piece(rich, front..front + inner.len()) }
}

/// A text without white space at its end.
pub(super) fn trim_end(rich: &RichText) -> RichText {
    let end = rich.text().trim_end().len();
    if end == rich.text().len() { rich.clone() } else { piece(rich, 0..end) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::EntityKind;

    #[test]
    fn entities_are_cut_at_the_edges() {
        let bold = Entity { offset: 1, length: 4, kind: EntityKind::Bold };
        let rich = RichText::new("a😀bc d", vec![bold]).unwrap();
        let cut = piece(&rich, 1..6);
        assert_eq!(
            (cut.text(), cut.entities()),
            ("😀b", &[Entity { offset: 0, length: 3, kind: EntityKind::Bold }][..])
        );
        assert_eq!(piece(&rich, 2..6), RichText::default(), "inside a character");
        assert_eq!(trim(&RichText::plain(" \n x ")).text(), "x");
    }
}
