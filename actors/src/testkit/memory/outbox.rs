//! A queue's work in memory: the pending deliveries of one destination account, lane by lane.

use async_trait::async_trait;

use super::{LedgerEnd, MemoryStore, State, is_done};
use crate::model::{
    AccountId, ChatId, Delivery, DeliveryId, EventKind, Fence, MessageCopy, MessageId, PairId, Part,
    PartState, Place,
};
use crate::ports::{Outbox, StoreError, TryResult};

impl State {
    /// Writes how a try of a pending delivery ended.
    fn finish(&mut self, key: (PairId, i64), result: &TryResult) {
        let Some(row) = self.deliveries.get_mut(&key) else { return };
        match result {
            TryResult::Sent { part, message } => {
                let copy = (row.pair, row.source_chat, row.source_message, *part);
                let noted = note_part(row, *part, *message);
                let (place, done, new) = (row.target, is_done(row), row.action == EventKind::New);
                row.not_before = None;
                if let Some(message) = message.filter(|_| noted) {
                    self.copies.insert(copy, (place, message));
                }
                if done && new {
                    self.meter(key.0);
                }
                if done {
                    self.conclude(key, LedgerEnd::Delivered);
                }
            }
            TryResult::Gone { part } => {
                let copy = (row.pair, row.source_chat, row.source_message, *part);
                note_part(row, *part, None);
                let done = is_done(row);
                row.not_before = None;
                self.copies.remove(&copy);
                if done {
                    self.conclude(key, LedgerEnd::Delivered);
                }
            }
            TryResult::Later { not_before, counts, error, unsent } => {
                let marked =
                    |part: &&mut Part| Some(part.index) == *unsent && part.state == PartState::Sending;
                if let Some(part) = row.parts.iter_mut().find(marked) {
                    (part.state, part.sending_since) = (PartState::Queued, None);
                }
                row.not_before = Some(*not_before);
                row.tries = row.tries.saturating_add(u32::from(*counts));
                let note = (row.id, error.clone());
                self.ledger.notes.push(note);
            }
            TryResult::Dead(reason) => {
                let reason = reason.clone();
                self.conclude(key, |id| LedgerEnd::Dead(id, reason));
            }
        }
    }
}

/// Notes a part as done; answers whether it was not before.
fn note_part(row: &mut Delivery, index: u16, message: Option<MessageId>) -> bool {
    let open = |part: &&mut Part| part.index == index && part.state != PartState::Sent;
    let Some(part) = row.parts.iter_mut().find(open) else { return false };
    (part.state, part.remote_id) = (PartState::Sent, message);
    true
}

#[async_trait]
impl Outbox for MemoryStore {
    async fn lanes(&self, account: AccountId) -> Result<Vec<PairId>, StoreError> {
        let state = self.lock()?;
        let running = |pair: &PairId| state.pairs.get(pair).is_some_and(|pair| pair.paused.is_empty());
        let own = state.deliveries.values().filter(|delivery| delivery.account == account);
        let mut lanes: Vec<PairId> = own.map(|delivery| delivery.pair).filter(running).collect();
        lanes.dedup();
        Ok(lanes)
    }

    async fn lane(
        &self,
        account: AccountId,
        pair: PairId,
        after: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        let state = self.lock()?;
        if state.pairs.get(&pair).is_none_or(|pair| !pair.paused.is_empty()) {
            return Ok(Vec::new());
        }
        let own =
            state.deliveries.values().filter(|delivery| delivery.account == account && delivery.pair == pair);
        let later = own.filter(|delivery| after.is_none_or(|after| delivery.seq > after));
        Ok(later.take(usize::try_from(limit).unwrap_or(usize::MAX)).cloned().collect())
    }

    async fn copies(
        &self,
        pair: PairId,
        chat: ChatId,
        message: MessageId,
    ) -> Result<Vec<MessageCopy>, StoreError> {
        Ok(self.lock()?.copies_of(pair, chat, message))
    }

    async fn counterpart(
        &self,
        pair: PairId,
        chat: ChatId,
        message: MessageId,
    ) -> Result<Option<MessageId>, StoreError> {
        let state = self.lock()?;
        if let Some(copy) = state.copies_of(pair, chat, message).first() {
            return Ok(Some(copy.message));
        }
        let Some(pair) = state.pairs.get(&pair) else { return Ok(None) };
        let original = state.copies.iter().find(|((other, _, _, _), copy)| {
            let back = state.pairs.get(other).is_some_and(|other| other.source == pair.target);
            back && **copy == (pair.source, message)
        });
        Ok(original.map(|((_, _, message, _), _)| *message))
    }

    async fn known_copies(&self, target: Place, limit: u32) -> Result<Vec<MessageId>, StoreError> {
        let state = self.lock()?;
        let mut newest: Vec<MessageId> =
            state.copies.values().filter(|(place, _)| place.chat == target.chat).map(|(_, id)| *id).collect();
        newest.sort_unstable_by(|one, other| other.cmp(one));
        newest.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(newest)
    }

    async fn begin(&self, fence: Fence, delivery: DeliveryId, part: u16) -> Result<(), StoreError> {
        let wait = self.lock()?.slow_marks.pop_front();
        if let Some(wait) = wait {
            tokio::time::sleep(wait).await;
        }
        let now = self.now_ms();
        let mut state = self.lock()?;
        state.check(fence)?;
        let paused = state.paused();
        let nothing = || {
            StoreError::NotFound(format!(
                "part {part} of delivery {delivery}, still to be sent by a running pair,"
            ))
        };
        let row = state.deliveries.values_mut().find(|row| row.id == delivery).ok_or_else(nothing)?;
        if row.account != fence.account {
            return Err(StoreError::Fenced(fence));
        }
        if paused.contains(&row.pair) {
            return Err(nothing());
        }
        // A deletion sends no part.
        if row.action == EventKind::Deleted {
            return Ok(());
        }
        let open = |candidate: &&mut Part| candidate.index == part && candidate.state != PartState::Sent;
        let part = row.parts.iter_mut().find(open).ok_or_else(nothing)?;
        part.state = PartState::Sending;
        // The first time counts: as long as no answer came, a later try must not make the part look younger.
        part.sending_since.get_or_insert(now);
        Ok(())
    }

    async fn finish(&self, fence: Fence, delivery: DeliveryId, result: &TryResult) -> Result<(), StoreError> {
        let mut state = self.lock()?;
        state.check(fence)?;
        if state.finished.contains(&delivery) {
            return Ok(());
        }
        let found = state.deliveries.iter().find(|(_, row)| row.id == delivery);
        let (key, account) = found
            .map(|(key, row)| (*key, row.account))
            .ok_or_else(|| StoreError::NotFound(format!("delivery {delivery}")))?;
        if account != fence.account {
            return Err(StoreError::Fenced(fence));
        }
        state.finish(key, result);
        Ok(())
    }
}
