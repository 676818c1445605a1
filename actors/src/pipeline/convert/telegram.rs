//! Formatted text in the form that Telegram takes.

use std::ops::Range;

use crate::model::{Entity, EntityKind, RichText};

/// Brings entities into the form that Telegram keeps (core.telegram.org/api/entities): code holds no other entity, quotes do not
/// nest, touching entities of one kind are one, and none starts or ends with white space.
#[must_use]
pub fn for_telegram(rich: &RichText) -> RichText {
    let units: Vec<u16> = rich.text().encode_utf16().collect();
    let is_code = |kind: &EntityKind| matches!(kind, EntityKind::Code | EntityKind::Pre { .. });
    let is_pre = |kind: &EntityKind| matches!(kind, EntityKind::Pre { .. });
    let is_quote =
        |kind: &EntityKind| matches!(kind, EntityKind::Blockquote | EntityKind::ExpandableBlockquote);
    let ranges = |which: &dyn Fn(&EntityKind) -> bool| -> Vec<Range<usize>> {
        let found = rich.entities().iter().filter(|entity| which(&entity.kind));
        found.map(|entity| entity.offset..entity.end()).collect()
    };
    let (pre, code) = (ranges(&is_pre), ranges(&is_code));
    let mut entities: Vec<Entity> = Vec::new();
    for entity in rich.entities() {
        let taken: &[Range<usize>] = match entity.kind {
            EntityKind::Pre { .. } | EntityKind::Blockquote | EntityKind::ExpandableBlockquote => &[],
            EntityKind::Code => &pre,
            _ => &code,
        };
        for piece in without(entity.offset..entity.end(), taken) {
            let piece = trimmed(&units, piece);
            if piece.is_empty() {
                continue;
            }
            let joined = entities.iter_mut().rev().find(|last| {
                let alike = last.kind == entity.kind || (is_quote(&last.kind) && is_quote(&entity.kind));
                alike && last.offset <= piece.start && piece.start <= last.end()
            });
            match joined {
                Some(last) => last.length = last.end().max(piece.end) - last.offset,
                None => entities.push(Entity {
                    offset: piece.start,
                    length: piece.len(),
                    kind: entity.kind.clone(),
                }),
            }
        }
    }
    RichText::new(rich.text(), entities).unwrap_or_else(|_| RichText::plain(rich.text()))
}

/// What is left of a range without others.
fn without(range: Range<usize>, taken: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut pieces = vec![range];
    for hole in taken {
        pieces = pieces
            .into_iter()
            .flat_map(|piece| {
                let before = piece.start..piece.end.min(hole.start);
                let after = piece.start.max(hole.end)..piece.end;
                [before, after]
            })
            .filter(|piece| piece.start < piece.end)
            .collect();
    }
    pieces
}

/// The range without white space at its ends. All white space of Unicode lies in the basic plane, so no pair is cut.
fn trimmed(units: &[u16], range: Range<usize>) -> Range<usize> {
    let is_space = |unit: &u16| char::from_u32(u32::from(*unit)).is_some_and(char::is_whitespace);
    let inside = units.get(range.clone()).unwrap_or_default();
    let front = inside.iter().take_while(|unit| is_space(unit)).count();
    let back = inside.iter().skip(front).rev().take_while(|unit| is_space(unit)).count();
    range.start + front..range.end - back
}

#[cfg(test)]
mod tests {
    use super::*;

    fn legal(text: &str, entities: Vec<(usize, usize, EntityKind)>) -> Vec<(usize, usize, EntityKind)> {
        let entities = entities.into_iter().map(|(offset, length, kind)| Entity { offset, length, kind });
        let rich = for_telegram(&RichText::new(text, entities.collect()).unwrap());
        rich.entities().iter().map(|e| (e.offset, e.length, e.kind.clone())).collect()
    }

    #[test]
    fn code_holds_nothing_else() {
        use EntityKind::{Bold, Code};
        let pre = EntityKind::Pre { language: None };
        assert_eq!(
            legal("a code b", vec![(0, 8, Bold), (2, 4, Code)]),
            [(0, 1, Bold), (2, 4, Code), (7, 1, Bold)]
        );
        assert_eq!(legal("code", vec![(0, 4, pre.clone()), (0, 4, Code), (1, 2, Bold)]), [(0, 4, pre)]);
    }

    #[test]
    fn entities_are_trimmed_joined_and_quotes_do_not_nest() {
        use EntityKind::{Blockquote, Bold, ExpandableBlockquote};
        assert_eq!(legal(" a ", vec![(0, 3, Bold)]), [(1, 1, Bold)]);
        assert_eq!(legal("   ", vec![(0, 3, Bold)]), []);
        assert_eq!(legal("abcd", vec![(0, 2, Bold), (1, 3, Bold)]), [(0, 4, Bold)]);
        assert_eq!(
            legal("abcd", vec![(0, 4, Blockquote), (1, 2, ExpandableBlockquote)]),
            [(0, 4, Blockquote)]
        );
    }
}
