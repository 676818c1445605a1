//! A platform in memory: sources whose events a test writes, and targets that record what arrives and answer as told.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::model::{
    AccountId, Cursor, CursorKey, CursorValue, IdempotencyKey, MessageId, PartBody, Place, SendOutcome,
    SourceEvent,
};
use crate::ports::{
    ConnectRequest, Connection, ConnectionError, EventSource, IntakeUnit, MessageSender, Operation,
    PlatformConnector, SendReport, SendRequest, Steering,
};

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
    inbox: HashMap<AccountId, VecDeque<SourceEvent>>,
    sent: Vec<SentPart>,
    accepted: HashMap<IdempotencyKey, MessageId>,
    script: HashMap<AccountId, VecDeque<SendOutcome>>,
    script_at: HashMap<Place, VecDeque<SendOutcome>>,
    refuse_connect: HashMap<AccountId, ConnectionError>,
    connects: HashMap<AccountId, u32>,
    steerable: bool,
    round_trip: Option<Duration>,
    keyless: HashSet<AccountId>,
    last_id: i64,
}

impl State {
    fn carry_out(&mut self, sender: AccountId, request: SendRequest) -> Option<MessageId> {
        match request.operation {
            Operation::Send { body, reply_to } => {
                if let Some(id) = self.accepted.get(&request.key).filter(|_| !self.keyless.contains(&sender))
                {
                    return Some(*id);
                }
                self.last_id = self.last_id.saturating_add(1);
                let id = MessageId::new(self.last_id).ok()?;
                self.accepted.insert(request.key, id);
                self.sent.push(SentPart { id, target: request.target, body, reply_to, at: Instant::now() });
                Some(id)
            }
            Operation::Edit { message, body } => {
                self.sent.iter_mut().find(|sent| sent.id == message)?.body = body;
                Some(message)
            }
            Operation::Delete { message } => {
                self.sent.retain(|sent| sent.id != message);
                Some(message)
            }
        }
    }
}

/// A platform that lives in memory. Clones share it.
#[derive(Clone, Default)]
pub struct FakePlatform {
    state: Arc<Mutex<State>>,
    written: Arc<Notify>,
}

impl FakePlatform {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A person writes: the event reaches the account that reads.
    pub fn write(&self, reader: AccountId, event: SourceEvent) {
        self.lock().inbox.entry(reader).or_default().push_back(event);
        self.written.notify_waiters();
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

/// The chats that a connection was told to read.
#[derive(Clone)]
struct Heard(Arc<Mutex<Vec<Place>>>);

impl Heard {
    fn places(&self) -> MutexGuard<'_, Vec<Place>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Steering for Heard {
    fn steer(&self, sources: &[Place], _targets: &[Place]) -> bool {
        *self.places() = sources.to_vec();
        true
    }
}

/// Drops, as platforms' connections do, what is written where it was not told to read.
struct FakeSource {
    platform: FakePlatform,
    account: AccountId,
    heard: Heard,
    steerable: bool,
    /// A stream that was never read is placed first.
    place: Option<Cursor>,
}

#[async_trait]
impl EventSource for FakeSource {
    async fn next(&mut self) -> Result<IntakeUnit, ConnectionError> {
        if let Some(cursor) = self.place.take() {
            return Ok(IntakeUnit { events: Vec::new(), cursors: vec![cursor] });
        }
        loop {
            let written = self.platform.written.notified();
            tokio::pin!(written);
            written.as_mut().enable();
            let event = self.platform.lock().inbox.entry(self.account).or_default().pop_front();
            if let Some(event) = event {
                if !self.heard.places().contains(&event.place()) {
                    continue;
                }
                return Ok(IntakeUnit { events: vec![event], cursors: Vec::new() });
            }
            written.await;
        }
    }

    fn steering(&self) -> Option<Arc<dyn Steering>> {
        self.steerable.then(|| -> Arc<dyn Steering> { Arc::new(self.heard.clone()) })
    }
}

struct FakeSender {
    platform: FakePlatform,
    account: AccountId,
}

#[async_trait]
impl MessageSender for FakeSender {
    async fn send(&self, request: SendRequest) -> SendReport {
        // A round trip takes a while, so that sends of different lanes can overlap.
        let round_trip = self.platform.lock().round_trip.unwrap_or(Duration::from_millis(20));
        tokio::time::sleep(round_trip).await;
        let mut state = self.platform.lock();
        let scripted = state.script_at.get_mut(&request.target).and_then(VecDeque::pop_front);
        let scripted = scripted.or_else(|| state.script.get_mut(&self.account).and_then(VecDeque::pop_front));
        let arrives = match &scripted {
            None | Some(SendOutcome::Delivered { .. } | SendOutcome::Unclear { .. }) => true,
            Some(_) => false,
        };
        let message = if arrives { state.carry_out(self.account, request) } else { None };
        let outcome = match scripted {
            None => SendOutcome::Delivered { message },
            Some(other) => other,
        };
        SendReport { outcome, hint: None }
    }

    fn knows_repeats(&self) -> bool {
        !self.platform.lock().keyless.contains(&self.account)
    }
}

#[async_trait]
impl PlatformConnector for FakePlatform {
    async fn connect(&self, request: ConnectRequest) -> Result<Connection, ConnectionError> {
        let account = request.account.id;
        {
            let mut state = self.lock();
            *state.connects.entry(account).or_default() += 1;
            if let Some(error) = state.refuse_connect.get(&account) {
                return Err(error.clone());
            }
        }
        let platform = self.clone();
        let start = Cursor {
            key: CursorKey::TelegramCommon,
            value: CursorValue::TelegramCommon { pts: 1, qts: 0, seq: 0, date: 0 },
        };
        let place = (request.cursors.is_empty() && !request.sources.is_empty()).then_some(start);
        let (heard, steerable) = (Heard(Arc::new(Mutex::new(request.sources))), self.lock().steerable);
        let source = FakeSource { platform: platform.clone(), account, heard, steerable, place };
        Ok(Connection {
            source: Some(Box::new(source)),
            sender: Some(Arc::new(FakeSender { platform, account })),
            chats: None,
            platform_id: request.account.platform_id,
        })
    }
}
