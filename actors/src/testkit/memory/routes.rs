//! A pair's work in memory: open routes in, deliveries or typed skips out.

use std::collections::HashSet;

use async_trait::async_trait;

use super::{LedgerEnd, LedgerEntry, MemoryStore, Route, State};
use crate::model::{
    AccountId, ChatId, Delivery, DeliveryId, EventKind, Fence, MessageId, NewDelivery, OpenRoute, Origin,
    Pair, PairId, Part, PartBody, PartState, PauseCause, Place, RouteId, RouteVerdict, SourceEvent,
};
use crate::ports::{Routes, StoreError};

impl State {
    /// A pair's oldest open routes; the first is attempted once more, if that counts.
    fn claim(&mut self, pair: PairId, limit: u32, counts: bool) -> Vec<OpenRoute> {
        if self.pairs.get(&pair).is_none_or(|pair| !pair.paused.is_empty()) {
            return Vec::new();
        }
        let mut own = self.routes.values_mut().filter(|route| route.pair == pair).peekable();
        if let Some(first) = own.peek_mut().filter(|_| counts) {
            first.open.attempts += 1;
        }
        own.take(usize::try_from(limit).unwrap_or(usize::MAX)).map(|route| route.open.clone()).collect()
    }

    /// Writes what became of a route.
    fn close(&mut self, pair: &Pair, seq: i64, event: &SourceEvent, verdict: &RouteVerdict) {
        match verdict {
            RouteVerdict::Skip(reason) => self.ledger.entries.push(LedgerEntry {
                pair: pair.id,
                chat: event.place().chat,
                message: event.message_id(),
                action: event.kind(),
                end: LedgerEnd::Skipped(*reason),
            }),
            RouteVerdict::Deliver(new) => {
                let id = DeliveryId::from_uuid(self.id());
                self.deliveries.insert((pair.id, seq), delivery(id, pair, seq, event, new));
            }
        }
    }
}

fn delivery(id: DeliveryId, pair: &Pair, seq: i64, event: &SourceEvent, new: &NewDelivery) -> Delivery {
    let part = |(index, body): (u16, &PartBody)| Part {
        index,
        body: body.clone(),
        state: PartState::Queued,
        sending_since: None,
        remote_id: None,
    };
    Delivery {
        id,
        pair: pair.id,
        account: pair.target_account,
        target: pair.target,
        seq,
        action: new.action,
        source_chat: event.place().chat,
        source_message: event.message_id(),
        reply_to: new.reply_to,
        tries: 0,
        not_before: None,
        parts: (0..).zip(&new.parts).map(part).collect(),
    }
}

#[async_trait]
impl Routes for MemoryStore {
    async fn pair(&self, id: PairId) -> Result<Pair, StoreError> {
        let (found, wait) = {
            let mut state = self.lock()?;
            (state.pairs.get(&id).cloned(), state.slow_pair_reads.pop_front())
        };
        if let Some(wait) = wait {
            tokio::time::sleep(wait).await;
        }
        found.ok_or_else(|| StoreError::NotFound(format!("pair {id}")))
    }

    async fn claim(&self, pair: PairId, limit: u32) -> Result<Vec<OpenRoute>, StoreError> {
        Ok(self.lock()?.claim(pair, limit, true))
    }

    async fn reclaim(&self, pair: PairId, limit: u32) -> Result<Vec<OpenRoute>, StoreError> {
        Ok(self.lock()?.claim(pair, limit, false))
    }

    async fn close(
        &self,
        fence: Fence,
        pair: PairId,
        verdicts: &[(RouteId, RouteVerdict)],
    ) -> Result<(), StoreError> {
        let mut state = self.lock()?;
        let target =
            state.pairs.get(&pair).cloned().ok_or_else(|| StoreError::NotFound(format!("pair {pair}")))?;
        if fence.account != target.source_account && fence.account != target.target_account {
            return Err(StoreError::Fenced(fence));
        }
        state.check(fence)?;
        for (id, verdict) in verdicts {
            let open = |(_, route): &(&i64, &Route)| route.pair == pair && route.open.id == *id;
            let Some(seq) = state.routes.iter().find(open).map(|(seq, _)| *seq) else { continue };
            let Some(route) = state.routes.remove(&seq) else { continue };
            state.close(&target, seq, &route.open.event, verdict);
        }
        Ok(())
    }

    async fn forwarded(
        &self,
        pair: PairId,
        chat: ChatId,
        message: MessageId,
    ) -> Result<Option<u16>, StoreError> {
        let state = self.lock()?;
        let of_message = |delivery: &&Delivery| {
            delivery.pair == pair && delivery.source_chat == chat && delivery.source_message == message
        };
        let mut pending = state.deliveries.values().filter(of_message);
        let last = pending.rfind(|delivery| delivery.action != EventKind::Edited);
        let made = match last {
            Some(delivery) if delivery.action == EventKind::Deleted => 0,
            Some(delivery) => delivery.parts.len(),
            None => state.copies_of(pair, chat, message).len(),
        };
        Ok(u16::try_from(made).ok().filter(|made| *made > 0))
    }

    async fn origins(
        &self,
        _: AccountId,
        place: Place,
        messages: &[(MessageId, Option<i64>)],
        _: i64,
    ) -> Result<Vec<Origin>, StoreError> {
        let state = self.lock()?;
        if state.unreadable {
            return Err(StoreError::Unavailable("told so by the test".to_owned()));
        }
        let sending = |part: &Part| part.state == PartState::Sending;
        let waiting = state.deliveries.values().filter(|delivery| delivery.target == place);
        let waiting = waiting.filter(|delivery| delivery.parts.iter().any(sending));
        let authors: HashSet<i64> = waiting
            .filter_map(|delivery| state.accounts.get(&delivery.account))
            .map(|account| account.platform_id)
            .collect();
        let origin = |(message, author): &(MessageId, Option<i64>)| {
            if state.copies.values().any(|copy| *copy == (place, *message)) {
                Origin::Copy
            } else if author.is_some_and(|author| authors.contains(&author)) {
                Origin::Undecided
            } else {
                Origin::Foreign
            }
        };
        Ok(messages.iter().map(origin).collect())
    }

    async fn set_pause(&self, pair: PairId, cause: PauseCause, on: bool) -> Result<(), StoreError> {
        let mut state = self.lock()?;
        let found = state.pairs.get_mut(&pair).ok_or_else(|| StoreError::NotFound(format!("pair {pair}")))?;
        if on {
            found.paused.insert(cause);
        } else {
            found.paused.remove(&cause);
        }
        Ok(())
    }
}
