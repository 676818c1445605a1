//! A platform in memory: sources whose events a test writes, and targets that record what arrives and answer as told.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::model::{AccountId, IdempotencyKey, MessageId, PartBody, Place, SendOutcome, SourceEvent};
use crate::ports::{
    ConnectRequest, Connection, ConnectionError, EventSource, IntakeUnit, MessageSender, PlatformConnector,
    SendReport, SendRequest,
};

/// What arrived at a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentPart {
    /// Where.
    pub target: Place,
    /// What.
    pub body: PartBody,
    /// When, on tokio's clock.
    pub at: Instant,
}

#[derive(Default)]
struct State {
    inbox: HashMap<AccountId, VecDeque<SourceEvent>>,
    sent: Vec<SentPart>,
    accepted: HashSet<IdempotencyKey>,
    script: HashMap<AccountId, VecDeque<SendOutcome>>,
    script_at: HashMap<Place, VecDeque<SendOutcome>>,
    refuse_connect: HashMap<AccountId, ConnectionError>,
    connects: HashMap<AccountId, u32>,
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

    /// Everything that arrived, in order of arrival.
    #[must_use]
    pub fn sent(&self) -> Vec<SentPart> {
        self.lock().sent.clone()
    }

    /// The markdown that arrived at a target, in order.
    #[must_use]
    pub fn texts(&self, target: Place) -> Vec<String> {
        let text = |part: &SentPart| match &part.body {
            PartBody::Markdown { content } => content.clone(),
            PartBody::Rich { text } => text.text().to_owned(),
        };
        self.lock().sent.iter().filter(|part| part.target == target).map(text).collect()
    }

    /// How often an account was connected.
    #[must_use]
    pub fn connects(&self, account: AccountId) -> u32 {
        self.lock().connects.get(&account).copied().unwrap_or(0)
    }
}

struct FakeSource {
    platform: FakePlatform,
    account: AccountId,
}

#[async_trait]
impl EventSource for FakeSource {
    async fn next(&mut self) -> Result<IntakeUnit, ConnectionError> {
        loop {
            let written = self.platform.written.notified();
            tokio::pin!(written);
            written.as_mut().enable();
            let event = self.platform.lock().inbox.entry(self.account).or_default().pop_front();
            if let Some(event) = event {
                return Ok(IntakeUnit { events: vec![event], cursors: Vec::new() });
            }
            written.await;
        }
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
        tokio::time::sleep(Duration::from_millis(20)).await;
        let mut state = self.platform.lock();
        let scripted = state.script_at.get_mut(&request.target).and_then(VecDeque::pop_front);
        let scripted = scripted.or_else(|| state.script.get_mut(&self.account).and_then(VecDeque::pop_front));
        let arrives = match &scripted {
            None | Some(SendOutcome::Delivered { .. } | SendOutcome::Unclear { .. }) => true,
            Some(_) => false,
        };
        if arrives && state.accepted.insert(request.key) {
            let part = SentPart { target: request.target, body: request.body, at: Instant::now() };
            state.sent.push(part);
        }
        let id = i64::try_from(state.sent.len()).unwrap_or(i64::MAX).max(1);
        let outcome = scripted.unwrap_or_else(|| SendOutcome::Delivered { message: MessageId::new(id).ok() });
        SendReport { outcome, hint: None }
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
        Ok(Connection {
            source: Some(Box::new(FakeSource { platform: platform.clone(), account })),
            sender: Some(Arc::new(FakeSender { platform, account })),
            platform_id: request.account.platform_id,
        })
    }
}
