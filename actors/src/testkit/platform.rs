//! A platform in memory: sources whose events a test writes, and targets that record what arrives and answer as told.

mod link;
mod wire;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use self::link::Link;
use crate::model::{AccountId, IdempotencyKey, MessageId, PartBody, Place, SendOutcome, SourceEvent};
use crate::ports::{ConnectionError, Operation, SendRequest};

pub use self::wire::{Arrival, Caller, Dial, Fate, Handed, Passage, Wire};

/// A message that stands at a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentPart {
    /// Its id, counted over all targets.
    pub id: MessageId,
    /// Where.
    pub target: Place,
    /// What it says, after edits.
    pub body: PartBody,
    /// What it answers.
    pub reply_to: Option<MessageId>,
    /// When, on tokio's clock.
    pub at: Instant,
}

#[derive(Default)]
struct State {
    /// What people wrote, by the account that reads it, in order: it stays, and is read from a cursor on.
    written: HashMap<AccountId, Vec<SourceEvent>>,
    sent: Vec<SentPart>,
    accepted: HashMap<IdempotencyKey, (MessageId, Instant)>,
    script: HashMap<AccountId, VecDeque<SendOutcome>>,
    script_at: HashMap<Place, VecDeque<SendOutcome>>,
    refuse_connect: HashMap<AccountId, ConnectionError>,
    connects: HashMap<AccountId, u32>,
    links: Vec<Arc<Link>>,
    steerable: bool,
    round_trip: Option<Duration>,
    keyless: HashSet<AccountId>,
    forgetful: bool,
    key_life: Option<Duration>,
    last_id: i64,
    last_handed: u64,
}

impl State {
    fn carry_out(&mut self, sender: AccountId, request: SendRequest) -> Arrival {
        match request.operation {
            Operation::Send { body, reply_to } => {
                if let Some(id) = self.known(sender, request.key, request.unclear_since) {
                    return Arrival::Known(id);
                }
                self.last_id = self.last_id.saturating_add(1);
                let Ok(id) = MessageId::new(self.last_id) else { return Arrival::Refused };
                self.accepted.insert(request.key, (id, Instant::now()));
                self.sent.push(SentPart { id, target: request.target, body, reply_to, at: Instant::now() });
                Arrival::Posted(id)
            }
            Operation::Edit { message, body } => match self.sent.iter_mut().find(|sent| sent.id == message) {
                Some(sent) => {
                    sent.body = body;
                    Arrival::Changed(message)
                }
                None => Arrival::Refused,
            },
            Operation::Delete { message } => {
                self.sent.retain(|sent| sent.id != message);
                Arrival::Changed(message)
            }
        }
    }

    /// The message that was written under a key before. After the key's life it is found only by an adapter that was
    /// told to look.
    fn known(&self, sender: AccountId, key: IdempotencyKey, unclear_since: Option<i64>) -> Option<MessageId> {
        let (id, at) =
            self.accepted.get(&key).filter(|_| !self.forgetful && !self.keyless.contains(&sender))?;
        let lives = self.key_life.is_none_or(|life| at.elapsed() < life);
        (lives || unclear_since.is_some()).then_some(*id)
    }

    fn next_handed(&mut self) -> Handed {
        self.last_handed = self.last_handed.saturating_add(1);
        Handed(self.last_handed)
    }

    fn forget_closed(&mut self) {
        self.links.retain(|link| link.is_open());
    }
}

/// A platform that lives in memory. Clones share it.
#[derive(Clone, Default)]
pub struct FakePlatform {
    state: Arc<Mutex<State>>,
    news: Arc<Notify>,
    wire: Arc<Mutex<Option<Arc<dyn Wire>>>>,
}

impl FakePlatform {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wire(&self) -> Option<Arc<dyn Wire>> {
        self.wire.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on requests go over this; `None`: each is carried out after a round trip.
    pub fn set_wire(&self, wire: Option<Arc<dyn Wire>>) {
        *self.wire.lock().unwrap_or_else(PoisonError::into_inner) = wire;
    }

    /// A person writes: the event reaches the account that reads.
    pub fn write(&self, reader: AccountId, event: SourceEvent) {
        self.lock().written.entry(reader).or_default().push(event);
        self.news.notify_waiters();
    }

    /// The next sends of an account end so, one each; then they succeed again.
    pub fn script(&self, sender: AccountId, outcomes: impl IntoIterator<Item = SendOutcome>) {
        self.lock().script.entry(sender).or_default().extend(outcomes);
    }

    /// The next sends to a place end so, one each; then they succeed again.
    pub fn script_at(&self, target: Place, outcomes: impl IntoIterator<Item = SendOutcome>) {
        self.lock().script_at.entry(target).or_default().extend(outcomes);
    }

    /// Connecting this account fails from now on (`None`: works again).
    pub fn refuse_connect(&self, account: AccountId, error: Option<ConnectionError>) {
        match error {
            Some(error) => self.lock().refuse_connect.insert(account, error),
            None => self.lock().refuse_connect.remove(&account),
        };
    }

    /// Ends the connections that are chosen, as platform or network do; answers how many.
    pub fn hang_up(&self, chosen: impl Fn(Caller) -> bool, error: &ConnectionError) -> usize {
        let mut state = self.lock();
        let ended: Vec<_> = state.links.iter().filter(|link| chosen(link.caller)).cloned().collect();
        ended.iter().for_each(|link| link.end(error.clone()));
        state.forget_closed();
        ended.len()
    }

    /// The connections that stand.
    #[must_use]
    pub fn connected(&self) -> Vec<Caller> {
        self.lock().links.iter().map(|link| link.caller).collect()
    }

    /// Whether connections made from now on can be told of other chats while they live.
    pub fn set_steerable(&self, on: bool) {
        self.lock().steerable = on;
    }

    /// How long a send takes from now on.
    pub fn set_round_trip(&self, time: Duration) {
        self.lock().round_trip = Some(time);
    }

    /// For sends of this account the platform takes no key, as for a webhook: a repeat is another message.
    pub fn take_no_keys(&self, sender: AccountId) {
        self.lock().keyless.insert(sender);
    }

    /// How long the platform remembers a key. After that a repeat is found only by looking for it.
    pub fn set_key_life(&self, life: Duration) {
        self.lock().key_life = Some(life);
    }

    /// Forgets every key at once, whatever it promises, as no real platform would.
    pub fn forget_keys(&self) {
        self.lock().forgetful = true;
    }

    /// Everything that arrived and still stands, in order of arrival.
    #[must_use]
    pub fn sent(&self) -> Vec<SentPart> {
        self.lock().sent.clone()
    }

    /// The markdown that arrived at a target, in order.
    #[must_use]
    pub fn texts(&self, target: Place) -> Vec<String> {
        let text = |part: &SentPart| match &part.body {
            PartBody::Markdown { content, .. } => content.clone(),
            PartBody::Rich { text } => text.text().to_owned(),
            PartBody::Deletion => String::new(),
        };
        self.lock().sent.iter().filter(|part| part.target == target).map(text).collect()
    }

    /// How often an account was connected.
    #[must_use]
    pub fn connects(&self, account: AccountId) -> u32 {
        self.lock().connects.get(&account).copied().unwrap_or(0)
    }
}
