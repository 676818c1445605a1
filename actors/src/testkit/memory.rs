//! A store in shared memory with the semantics of the real one, and faults on demand.

mod jobs;
mod keeping;
mod pauses;
mod standings;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use crate::model::{
    Account, AccountId, Alert, ChatId, Cursor, CursorKey, CursorValue, DeadReason, Delivery, DeliveryId,
    EventId, EventKind, Fence, MessageCopy, MessageId, OpenRoute, Origin, Pair, PairId, Part, PartState,
    PauseCause, Place, RouteId, RouteVerdict, SkipReason, SourceEvent,
};
use crate::ports::{Intake, IntakeReceipt, IntakeUnit, Outbox, Routes, SourceLog, StoreError, TryResult};

type EventKey = (AccountId, i64, i64, EventKind, i64);

struct Route {
    open: OpenRoute,
    pair: PairId,
}

#[derive(Default)]
struct State {
    next: u128,
    seq: i64,
    accounts: BTreeMap<AccountId, Account>,
    pairs: BTreeMap<PairId, Pair>,
    events: HashSet<EventKey>,
    routes: BTreeMap<i64, Route>,
    skips: Vec<(PairId, SkipReason)>,
    deliveries: BTreeMap<(PairId, i64), Delivery>,
    sent: Vec<(DeliveryId, Option<MessageId>)>,
    copies: BTreeMap<(PairId, ChatId, MessageId, u16), (Place, MessageId)>,
    dead: Vec<(DeliveryId, DeadReason)>,
    cursors: HashMap<(AccountId, CursorKey), CursorValue>,
    epochs: HashMap<AccountId, i64>,
    alerts: Vec<Alert>,
    jobs: jobs::Runs,
    throttles: HashMap<String, String>,
    queue_pauses: pauses::QueuePausesKept,
    unavailable: bool,
    slow_pair_reads: VecDeque<Duration>,
    users: standings::Known,
}

/// A store that lives in memory.
#[derive(Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

impl MemoryStore {
    fn lock(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.unavailable {
            Err(StoreError::Unavailable("told so by the test".to_owned()))
        } else {
            Ok(state)
        }
    }

    fn peek(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Deletes a pair with what waits for it.
    pub fn remove_pair(&self, id: PairId) {
        let mut state = self.peek();
        state.pairs.remove(&id);
        state.routes.retain(|_, route| route.pair != id);
        state.deliveries.retain(|(pair, _), _| *pair != id);
    }

    /// Deletes an account with its pairs.
    pub fn remove_account(&self, id: AccountId) {
        let of = |pair: &Pair| pair.source_account == id || pair.target_account == id;
        let pairs: Vec<_> = self.peek().pairs.values().filter(|pair| of(pair)).map(|pair| pair.id).collect();
        for pair in pairs {
            self.remove_pair(pair);
        }
        self.peek().accounts.remove(&id);
    }

    /// Every call fails with [`StoreError::Unavailable`] while on.
    pub fn set_unavailable(&self, on: bool) {
        self.peek().unavailable = on;
    }

    /// The next readings of pairs answer so much later what they found at first.
    pub fn slow_pair_reads(&self, waits: impl IntoIterator<Item = Duration>) {
        self.peek().slow_pair_reads.extend(waits);
    }

    /// Alerts raised so far.
    #[must_use]
    pub fn alerts(&self) -> Vec<Alert> {
        self.peek().alerts.clone()
    }

    /// Skips written so far.
    #[must_use]
    pub fn skips(&self) -> Vec<(PairId, SkipReason)> {
        self.peek().skips.clone()
    }

    /// Deliveries given up so far.
    #[must_use]
    pub fn dead(&self) -> Vec<(DeliveryId, DeadReason)> {
        self.peek().dead.clone()
    }

    /// Open routes and pending deliveries: zero when everything accepted is settled.
    #[must_use]
    pub fn unsettled(&self) -> (usize, usize) {
        let state = self.peek();
        (state.routes.len(), state.deliveries.len())
    }
}

fn is_done(delivery: &Delivery) -> bool {
    delivery.parts.iter().all(|part| part.state == PartState::Sent)
}

impl State {
    fn copies_of(&self, pair: PairId, chat: ChatId, message: MessageId) -> Vec<MessageCopy> {
        let all = self.copies.range((pair, chat, message, 0)..=(pair, chat, message, u16::MAX));
        all.map(|((_, _, _, part), (place, message))| MessageCopy {
            part: *part,
            chat: place.chat,
            message: *message,
        })
        .collect()
    }

    fn id(&mut self) -> Uuid {
        self.next += 1;
        Uuid::from_u128(self.next)
    }

    fn check(&self, fence: Fence) -> Result<(), StoreError> {
        if self.epochs.get(&fence.account) == Some(&fence.epoch.get()) {
            Ok(())
        } else {
            Err(StoreError::Fenced(fence))
        }
    }

    fn accept(&mut self, account: AccountId, event: &SourceEvent, woken: &mut Vec<PairId>) -> bool {
        let place = event.place();
        let key = (account, place.chat.get(), event.message_id().get(), event.kind(), event.revision());
        if !self.events.insert(key) {
            return false;
        }
        let subscribed: Vec<PairId> = self
            .pairs
            .values()
            .filter(|pair| pair.source_account == account && pair.source == place)
            .map(|pair| pair.id)
            .collect();
        let event_id = EventId::from_uuid(self.id());
        for pair in subscribed {
            self.seq += 1;
            let (id, seq) = (RouteId::from_uuid(self.id()), self.seq);
            let open = OpenRoute { id, event_id, seq, attempts: 0, event: event.clone() };
            self.routes.insert(seq, Route { open, pair });
            if !woken.contains(&pair) {
                woken.push(pair);
            }
        }
        true
    }
}

#[async_trait]
impl Intake for MemoryStore {
    async fn record(&self, fence: Fence, unit: &IntakeUnit) -> Result<IntakeReceipt, StoreError> {
        let mut state = self.lock()?;
        state.check(fence)?;
        let mut receipt = IntakeReceipt::default();
        for event in &unit.events {
            if state.accept(fence.account, event, &mut receipt.pairs) {
                receipt.accepted += 1;
            }
        }
        for cursor in &unit.cursors {
            state.cursors.insert((fence.account, cursor.key), cursor.value);
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
        let mut state = self.lock()?;
        if state.pairs.get(&pair).is_none_or(|pair| !pair.paused.is_empty()) {
            return Ok(Vec::new());
        }
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut own = state.routes.values_mut().filter(|route| route.pair == pair);
        let Some(first) = own.next() else { return Ok(Vec::new()) };
        first.open.attempts += 1;
        let first = first.open.clone();
        Ok(std::iter::once(first).chain(own.map(|route| route.open.clone())).take(limit).collect())
    }

    async fn close(
        &self,
        fence: Fence,
        pair: PairId,
        verdicts: &[(RouteId, RouteVerdict)],
    ) -> Result<(), StoreError> {
        let mut state = self.lock()?;
        state.check(fence)?;
        let target =
            state.pairs.get(&pair).cloned().ok_or_else(|| StoreError::NotFound(format!("pair {pair}")))?;
        for (id, verdict) in verdicts {
            let Some(seq) = state.routes.iter().find(|(_, route)| route.open.id == *id).map(|(seq, _)| *seq)
            else {
                return Err(StoreError::NotFound(format!("route {id}")));
            };
            let Some(route) = state.routes.remove(&seq) else { continue };
            let event = route.open.event;
            match verdict {
                RouteVerdict::Skip(reason) => state.skips.push((pair, *reason)),
                RouteVerdict::Deliver(new) => {
                    let part = |(index, body): (usize, &_)| Part {
                        index: u16::try_from(index).unwrap_or(u16::MAX),
                        body: Clone::clone(body),
                        state: PartState::Queued,
                        sending_since: None,
                        remote_id: None,
                    };
                    let delivery = Delivery {
                        id: DeliveryId::from_uuid(state.id()),
                        pair,
                        account: target.target_account,
                        target: target.target,
                        seq,
                        action: new.action,
                        source_chat: event.place().chat,
                        source_message: event.message_id(),
                        reply_to: new.reply_to,
                        tries: 0,
                        not_before: None,
                        parts: new.parts.iter().enumerate().map(part).collect(),
                    };
                    state.deliveries.insert((pair, seq), delivery);
                }
            }
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

    async fn known_copies(&self, _: Place, _: u32) -> Result<Vec<MessageId>, StoreError> {
        Ok(self.lock()?.sent.iter().filter_map(|(_, message)| *message).collect())
    }

    async fn begin(&self, fence: Fence, delivery: DeliveryId, part: u16) -> Result<(), StoreError> {
        let mut state = self.lock()?;
        state.check(fence)?;
        let paused = state.pairs.values().filter(|pair| !pair.paused.is_empty());
        let paused: HashSet<PairId> = paused.map(|pair| pair.id).collect();
        let found = state.deliveries.values_mut().find(|candidate| candidate.id == delivery);
        let found = found.ok_or_else(|| StoreError::NotFound(format!("delivery {delivery}")))?;
        if paused.contains(&found.pair) {
            return Err(StoreError::NotFound(format!("running pair of delivery {delivery}")));
        }
        if let Some(part) = found.parts.iter_mut().find(|candidate| candidate.index == part) {
            part.state = PartState::Sending;
        }
        Ok(())
    }

    async fn finish(&self, fence: Fence, delivery: DeliveryId, result: &TryResult) -> Result<(), StoreError> {
        let mut state = self.lock()?;
        state.check(fence)?;
        let found =
            state.deliveries.iter().find(|(_, candidate)| candidate.id == delivery).map(|(key, _)| *key);
        let key = found.ok_or_else(|| StoreError::NotFound(format!("delivery {delivery}")))?;
        let Some(row) = state.deliveries.get_mut(&key) else { return Ok(()) };
        match result {
            TryResult::Sent { part, message } => {
                if let Some(part) = row.parts.iter_mut().find(|candidate| candidate.index == *part) {
                    part.state = PartState::Sent;
                    part.remote_id = *message;
                }
                let copy = (row.pair, row.source_chat, row.source_message, *part);
                let (place, done, new) = (row.target, is_done(row), row.action == EventKind::New);
                if let Some(message) = message {
                    state.copies.insert(copy, (place, *message));
                }
                if done && new {
                    state.meter(key.0);
                }
                if done {
                    state.deliveries.remove(&key);
                    state.sent.push((delivery, *message));
                }
            }
            TryResult::Gone { part } => {
                if let Some(part) = row.parts.iter_mut().find(|candidate| candidate.index == *part) {
                    part.state = PartState::Sent;
                }
                let copy = (row.pair, row.source_chat, row.source_message, *part);
                let done = is_done(row);
                state.copies.remove(&copy);
                if done {
                    state.deliveries.remove(&key);
                }
            }
            TryResult::Later { not_before, counts, unsent, .. } => {
                let unsent = row.parts.iter_mut().find(|part| Some(part.index) == *unsent);
                if let Some(part) = unsent {
                    part.state = PartState::Queued;
                }
                row.not_before = Some(*not_before);
                row.tries += u32::from(*counts);
            }
            TryResult::Dead(reason) => {
                state.deliveries.remove(&key);
                state.dead.push((delivery, reason.clone()));
            }
        }
        Ok(())
    }
}
