//! Circles of pairs: would what is written at a source come back to it through other pairs? Pure.
//!
//! The loop guard never forwards a copy, so a circle floods nobody; but what is written in one of its chats reaches only
//! the next, which is hardly what was meant. Two pairs that face each other join two chats both ways, and are no circle.

use std::collections::HashSet;

use switchyard_actors::model::{Pair, Place};

/// Whether what arrives at `target` is read by a pair whose source is `source`: a chat is read with all of its threads.
fn flows(target: Place, source: Place) -> bool {
    target.platform == source.platform
        && target.chat == source.chat
        && (source.thread.is_none() || source.thread == target.thread)
}

/// The pairs that lead from the new pair's target back to its source, in order; `None` when there is no way of two or more.
pub(super) fn way_back<'a>(new: &Pair, pairs: &'a [Pair]) -> Option<Vec<&'a Pair>> {
    let mut seen = HashSet::new();
    let mut ways: Vec<Vec<&Pair>> = vec![Vec::new()];
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            let end = way.last().map_or(new.target, |last| last.target);
            for pair in pairs.iter().filter(|pair| flows(end, pair.source)) {
                // The one that faces the new pair joins the same two chats.
                let faces = way.is_empty() && flows(pair.target, new.source);
                if faces || pair.id == new.id || !seen.insert(pair.id) {
                    continue;
                }
                let mut next = way.clone();
                next.push(pair);
                if flows(pair.target, new.source) {
                    return Some(next);
                }
                longer.push(next);
            }
        }
        ways = longer;
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use switchyard_actors::model::{AccountId, ChatId, PairId, Platform, ThreadId, UserId};
    use uuid::Uuid;

    use super::*;

    fn place((chat, thread): (i64, i64)) -> Place {
        let thread = (thread > 0).then(|| ThreadId::new(thread).unwrap());
        Place { platform: Platform::Discord, chat: ChatId::new(chat).unwrap(), thread }
    }

    fn pair(n: u128, from: (i64, i64), to: (i64, i64)) -> Pair {
        let account = AccountId::from_uuid(Uuid::from_u128(9));
        Pair {
            id: PairId::from_uuid(Uuid::from_u128(n)),
            user: UserId::from_uuid(Uuid::from_u128(n)),
            source_account: account,
            source: place(from),
            target_account: account,
            target: place(to),
            paused: BTreeSet::new(),
        }
    }

    #[test]
    fn circles_of_three_and_more_are_found() {
        type Step = ((i64, i64), (i64, i64));
        let (a, b, c, d): (_, _, _, _) = ((1, 0), (2, 0), (3, 0), (4, 0));
        let (a_thread, a_other, b_thread) = ((1, 7), (1, 8), (2, 7));
        let table: &[(&str, Step, &[Step], Option<usize>)] = &[
            ("nothing else", (a, b), &[], None),
            ("both ways", (b, a), &[(a, b)], None),
            ("a line", (b, c), &[(a, b), (c, d)], None),
            ("a fan", (a, b), &[(a, c), (a, d)], None),
            ("a funnel", (a, d), &[(b, d), (c, d)], None),
            ("three", (c, a), &[(a, b), (b, c)], Some(2)),
            ("three, the first of them last", (a, b), &[(b, c), (c, a)], Some(2)),
            ("four", (d, a), &[(a, b), (b, c), (c, d)], Some(3)),
            ("both ways and three", (c, a), &[(a, b), (b, a), (b, c), (c, b)], Some(2)),
            ("both ways all around is a circle", (a, c), &[(a, b), (b, a), (b, c), (c, b)], Some(2)),
            ("a circle elsewhere", (a, b), &[(b, c), (c, d), (d, b)], None),
            ("into a thread of a chat that is read whole", (c, a_thread), &[(a, b), (b, c)], Some(2)),
            ("from a thread, back to another", (a_thread, b), &[(b, c), (c, a_other)], None),
            ("from a thread, back to the chat", (a_thread, b), &[(b, c), (c, a)], None),
            ("from a thread, back to it", (a_thread, b), &[(b, c), (c, a_thread)], Some(2)),
            ("through a thread that is not read", (a, b), &[(b_thread, c), (c, a)], None),
        ];
        for (name, new, others, length) in table {
            let others: Vec<Pair> =
                others.iter().zip(1..).map(|((from, to), n)| pair(n, *from, *to)).collect();
            let found = way_back(&pair(100, new.0, new.1), &others);
            assert_eq!(found.map(|way| way.len()), *length, "{name}");
        }
    }

    #[test]
    fn many_pairs_are_looked_through_once() {
        let others: Vec<Pair> = (1..=2_000_i64)
            .flat_map(|n| [(n, n + 1), (n, n + 2)])
            .zip(1..)
            .map(|((from, to), n)| pair(n, (from, 0), (to, 0)))
            .collect();
        assert!(way_back(&pair(100_000, (5_000, 0), (1, 0)), &others).is_none());
        assert!(way_back(&pair(100_000, (1_500, 0), (1, 0)), &others).is_some());
    }
}
