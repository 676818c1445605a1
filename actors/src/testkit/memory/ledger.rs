//! How what was accepted ended, as the real store's ledger tells it.

use super::State;
use crate::model::{ChatId, DeadReason, Delivery, DeliveryId, EventKind, MessageId, PairId, SkipReason};

/// How one event ended for one pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerEntry {
    /// The pair.
    pub pair: PairId,
    /// The chat of the source message.
    pub chat: ChatId,
    /// The source message.
    pub message: MessageId,
    /// What happened to it.
    pub action: EventKind,
    /// How that ended for the pair.
    pub end: LedgerEnd,
}

/// An end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerEnd {
    /// Nothing was to be sent.
    Skipped(SkipReason),
    /// Everything is at the target.
    Delivered(DeliveryId),
    /// It was given up.
    Dead(DeliveryId, DeadReason),
}

/// The ledger.
#[derive(Default)]
pub(super) struct Ledger {
    pub(super) entries: Vec<LedgerEntry>,
    pub(super) notes: Vec<(DeliveryId, String)>,
}

impl Ledger {
    pub(super) fn skips(&self) -> Vec<(PairId, SkipReason)> {
        let skip = |entry: &LedgerEntry| match entry.end {
            LedgerEnd::Skipped(reason) => Some((entry.pair, reason)),
            LedgerEnd::Delivered(_) | LedgerEnd::Dead(..) => None,
        };
        self.entries.iter().filter_map(skip).collect()
    }

    pub(super) fn dead(&self) -> Vec<(DeliveryId, DeadReason)> {
        let dead = |entry: &LedgerEntry| match &entry.end {
            LedgerEnd::Dead(id, reason) => Some((*id, reason.clone())),
            LedgerEnd::Skipped(_) | LedgerEnd::Delivered(_) => None,
        };
        self.entries.iter().filter_map(dead).collect()
    }
}

impl State {
    /// A delivery is no longer pending.
    pub(super) fn conclude(&mut self, key: (PairId, i64), end: impl FnOnce(DeliveryId) -> LedgerEnd) {
        let Some(Delivery { id, pair, source_chat, source_message, action, .. }) =
            self.deliveries.remove(&key)
        else {
            return;
        };
        self.finished.insert(id);
        let entry = LedgerEntry { pair, chat: source_chat, message: source_message, action, end: end(id) };
        self.ledger.entries.push(entry);
    }
}
