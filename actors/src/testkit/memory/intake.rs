//! Intake in memory: events once, their routes, and cursors that never go backwards.

use std::collections::BTreeSet;

use async_trait::async_trait;

use super::{MemoryStore, Route, State};
use crate::model::{
    AccountId, Cursor, CursorValue, EventId, EventKind, Fence, MessageId, OpenRoute, PairId, Place, RouteId,
    SourceEvent,
};
use crate::ports::{Intake, IntakeReceipt, IntakeUnit, SourceLog, StoreError};

impl State {
    /// The pairs that an event is routed to, and whether it was new.
    fn accept(&mut self, account: AccountId, event: &SourceEvent) -> (Vec<PairId>, bool) {
        let place = event.place();
        let reads = |pair: &crate::model::Pair| pair.source_account == account && pair.source == place;
        let pairs: Vec<PairId> = self.pairs.values().filter(|pair| reads(pair)).map(|pair| pair.id).collect();
        let key = (account, place.chat.get(), event.message_id().get(), event.kind(), event.revision());
        if pairs.is_empty() || !self.events.insert(key) {
            return (pairs, false);
        }
        let event_id = EventId::from_uuid(self.id());
        for pair in &pairs {
            self.seq += 1;
            let (id, seq) = (RouteId::from_uuid(self.id()), self.seq);
            let open = OpenRoute { id, event_id, seq, attempts: 0, event: event.clone() };
            self.routes.insert(seq, Route { open, pair: *pair });
        }
        (pairs, true)
    }
}

/// Each number of a position only grows. A position of another kind replaces the old one.
fn furthest(old: CursorValue, new: CursorValue) -> CursorValue {
    use CursorValue::{LastMessage, TelegramChannel, TelegramCommon};
    match (old, new) {
        (
            TelegramCommon { pts, qts, seq, date },
            TelegramCommon { pts: new_pts, qts: new_qts, seq: new_seq, date: new_date },
        ) => TelegramCommon {
            pts: pts.max(new_pts),
            qts: qts.max(new_qts),
            seq: seq.max(new_seq),
            date: date.max(new_date),
        },
        (TelegramChannel { pts }, TelegramChannel { pts: new }) => TelegramChannel { pts: pts.max(new) },
        (LastMessage { id }, LastMessage { id: new }) => LastMessage { id: id.max(new) },
        (_, new) => new,
    }
}

#[async_trait]
impl Intake for MemoryStore {
    async fn record(&self, fence: Fence, unit: &IntakeUnit) -> Result<IntakeReceipt, StoreError> {
        let mut state = self.lock()?;
        state.check(fence)?;
        let mut receipt = IntakeReceipt::default();
        let mut to_wake = BTreeSet::new();
        for event in &unit.events {
            let (pairs, new) = state.accept(fence.account, event);
            receipt.accepted += usize::from(new);
            to_wake.extend(pairs);
        }
        receipt.pairs = to_wake.into_iter().collect();
        for cursor in &unit.cursors {
            let place = (fence.account, cursor.key);
            let value = state.cursors.get(&place).map_or(cursor.value, |old| furthest(*old, cursor.value));
            state.cursors.insert(place, value);
        }
        Ok(receipt)
    }

    async fn cursors(&self, account: AccountId) -> Result<Vec<Cursor>, StoreError> {
        let state = self.lock()?;
        let own = state.cursors.iter().filter(|((owner, _), _)| *owner == account);
        Ok(own.map(|((_, key), value)| Cursor { key: *key, value: *value }).collect())
    }
}

#[async_trait]
impl SourceLog for MemoryStore {
    async fn accepted(
        &self,
        account: AccountId,
        place: Place,
        up_to: i64,
        limit: u32,
    ) -> Result<Vec<MessageId>, StoreError> {
        let state = self.lock()?;
        let gone = |id: i64| state.events.contains(&(account, place.chat.get(), id, EventKind::Deleted, -1));
        let reads = |pair: &PairId| {
            let pair = state.pairs.get(pair);
            pair.is_some_and(|pair| pair.source_account == account && pair.source == place)
        };
        let accepted = state.events.iter().filter(|(reader, chat, _, kind, _)| {
            *reader == account && *chat == place.chat.get() && *kind == EventKind::New
        });
        let accepted = accepted.map(|(_, _, message, ..)| *message);
        let copied = state.copies.keys().filter(|(pair, ..)| reads(pair));
        let copied = copied.map(|(_, _, message, _)| message.get());
        let all: BTreeSet<i64> = accepted.chain(copied).filter(|id| *id <= up_to && !gone(*id)).collect();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(all.into_iter().rev().take(limit).filter_map(|id| MessageId::new(id).ok()).collect())
    }
}
