//! Connections to the platform in memory: what a session reads and sends through, and how they end.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Notify, oneshot};

use super::wire::{Arrival, Caller, Dial, Fate, Handed, Passage};
use super::{FakePlatform, State};
use crate::model::{Cursor, CursorKey, CursorValue, Place, SendOutcome};
use crate::ports::{
    ConnectRequest, Connection, ConnectionError, EventSource, IntakeUnit, MessageSender, PlatformConnector,
    SendReport, SendRequest, Steering,
};

/// A send that takes longer is given up by the adapter, unless a test's round trips take longer themselves.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// One connection of one account.
pub(super) struct Link {
    pub(super) caller: Caller,
    ended: Mutex<Option<ConnectionError>>,
    /// Its owner let go of it.
    closed: AtomicBool,
    told: Notify,
}

impl Link {
    fn new(caller: Caller) -> Arc<Self> {
        Arc::new(Self {
            caller,
            ended: Mutex::new(None),
            closed: AtomicBool::new(false),
            told: Notify::new(),
        })
    }

    /// Whether requests go through it.
    pub(super) fn is_open(&self) -> bool {
        !self.closed.load(Ordering::Relaxed) && self.why_ended().is_none()
    }

    /// The platform ends it.
    pub(super) fn end(&self, error: ConnectionError) {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.told.notify_waiters();
    }

    fn why_ended(&self) -> Option<ConnectionError> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
    link: Arc<Link>,
    heard: Heard,
    steerable: bool,
    /// A stream that was never read is placed first.
    place: Option<Cursor>,
    /// Events of the account that were read.
    position: usize,
}

impl Drop for FakeSource {
    fn drop(&mut self) {
        self.link.closed.store(true, Ordering::Relaxed);
        self.platform.lock().forget_closed();
    }
}

/// Where an account's stream stands after so many events.
fn cursor(position: usize) -> Cursor {
    let pts = i32::try_from(position).unwrap_or(i32::MAX);
    Cursor {
        key: CursorKey::TelegramCommon,
        value: CursorValue::TelegramCommon { pts, qts: 0, seq: 0, date: 0 },
    }
}

/// How many events were read before, by the cursors that a connection is given.
fn position(cursors: &[Cursor]) -> usize {
    let pts = cursors.iter().find_map(|cursor| match cursor.value {
        CursorValue::TelegramCommon { pts, .. } => usize::try_from(pts).ok(),
        CursorValue::TelegramChannel { .. } | CursorValue::LastMessage { .. } => None,
    });
    pts.unwrap_or(0)
}

impl FakeSource {
    /// The next events that it was told to read, with the cursor behind them.
    fn take(&mut self, most: usize) -> Option<IntakeUnit> {
        let mut events = Vec::new();
        let state = self.platform.lock();
        let written = state.written.get(&self.link.caller.account)?;
        while let Some(event) = written.get(self.position).filter(|_| events.len() < most) {
            self.position += 1;
            if self.heard.places().contains(&event.place()) {
                events.push(event.clone());
            }
        }
        (!events.is_empty()).then(|| IntakeUnit { events, cursors: vec![cursor(self.position)] })
    }

    fn has_news(&self) -> bool {
        let state = self.platform.lock();
        state.written.get(&self.link.caller.account).is_some_and(|written| written.len() > self.position)
    }

    async fn travel(&self) -> usize {
        let Some(wire) = self.platform.wire() else { return 1 };
        let (takes, most) = wire.reading(self.link.caller);
        tokio::time::sleep(takes).await;
        wire.awake(self.link.caller.node).await;
        most
    }
}

#[async_trait]
impl EventSource for FakeSource {
    async fn next(&mut self) -> Result<IntakeUnit, ConnectionError> {
        if let Some(cursor) = self.place.take() {
            return Ok(IntakeUnit { events: Vec::new(), cursors: vec![cursor] });
        }
        let (platform, link) = (self.platform.clone(), Arc::clone(&self.link));
        loop {
            let (news, end) = (platform.news.notified(), link.told.notified());
            tokio::pin!(news, end);
            news.as_mut().enable();
            end.as_mut().enable();
            if let Some(error) = link.why_ended() {
                return Err(error);
            }
            if !self.has_news() {
                futures_util::future::select(news, end).await;
                continue;
            }
            let most = self.travel().await;
            if let (None, Some(unit)) = (link.why_ended(), self.take(most)) {
                return Ok(unit);
            }
        }
    }

    fn steering(&self) -> Option<Arc<dyn Steering>> {
        self.steerable.then(|| -> Arc<dyn Steering> { Arc::new(self.heard.clone()) })
    }
}

struct FakeSender {
    platform: FakePlatform,
    link: Arc<Link>,
}

impl FakePlatform {
    /// How a request goes where nobody drew it: there in a round trip, answered at once.
    fn passage(&self, id: Handed, caller: Caller, request: &SendRequest) -> Passage {
        if let Some(wire) = self.wire() {
            return wire.handed_over(id, caller, request);
        }
        // A round trip takes a while, so that sends of different lanes can overlap.
        let there = self.lock().round_trip.unwrap_or(Duration::from_millis(20));
        Passage { there, back: Duration::ZERO, fate: Fate::Carried, patience: PATIENCE.max(there * 2) }
    }

    /// A request that left its node goes its way, whoever waits for the answer.
    async fn carry(
        self,
        id: Handed,
        caller: Caller,
        passage: Passage,
        request: SendRequest,
    ) -> Option<SendOutcome> {
        tokio::time::sleep(passage.there).await;
        let (arrival, answer) = self.lock().arrive(caller, passage.fate, request);
        let wire = self.wire();
        if let Some(wire) = &wire {
            wire.arrived(id, &arrival, answer.as_ref());
        }
        tokio::time::sleep(passage.back).await;
        if let Some(wire) = &wire {
            wire.awake(caller.node).await;
        }
        answer
    }
}

impl State {
    /// What a request does, and its answer; none when nobody will hear one.
    fn arrive(&mut self, caller: Caller, fate: Fate, request: SendRequest) -> (Arrival, Option<SendOutcome>) {
        let scripted = self.script_at.get_mut(&request.target).and_then(VecDeque::pop_front);
        let scripted =
            scripted.or_else(|| self.script.get_mut(&caller.account).and_then(VecDeque::pop_front));
        let fate = match scripted {
            None => fate,
            Some(outcome @ (SendOutcome::Delivered { .. } | SendOutcome::Unclear { .. })) => {
                Fate::CarriedBut(outcome)
            }
            Some(other) => Fate::Answered(other),
        };
        match fate {
            Fate::Lost => (Arrival::Refused, None),
            Fate::Answered(outcome) => (Arrival::Refused, Some(outcome)),
            Fate::Unanswered => (self.carry_out(caller.account, request), None),
            Fate::CarriedBut(outcome) => (self.carry_out(caller.account, request), Some(outcome)),
            Fate::Carried => {
                let arrival = self.carry_out(caller.account, request);
                let message = match arrival {
                    Arrival::Posted(id) | Arrival::Known(id) | Arrival::Changed(id) => Some(id),
                    Arrival::Refused => None,
                };
                (arrival, Some(SendOutcome::Delivered { message }))
            }
        }
    }
}

#[async_trait]
impl MessageSender for FakeSender {
    async fn send(&self, request: SendRequest) -> SendReport {
        if !self.link.is_open() {
            let error = "the connection is over".to_owned();
            return SendReport { outcome: SendOutcome::Offline { error }, hint: None };
        }
        let (caller, id) = (self.link.caller, self.platform.lock().next_handed());
        let passage = self.platform.passage(id, caller, &request);
        let patience = passage.patience;
        let (answer, answered) = oneshot::channel();
        let platform = self.platform.clone();
        tokio::spawn(async move {
            let outcome = platform.clone().carry(id, caller, passage, request).await;
            let Some(outcome) = outcome else {
                // Nobody answers: the asker waits for as long as it has patience.
                let mut answer = answer;
                return answer.closed().await;
            };
            let heard = answer.send(outcome.clone()).is_ok();
            if let Some(wire) = platform.wire() {
                wire.answered(id, &outcome, heard);
            }
        });
        let answer = tokio::time::timeout(patience, answered).await;
        let Ok(Ok(outcome)) = answer else {
            if let Some(wire) = self.platform.wire() {
                wire.awake(caller.node).await;
                wire.gave_up(id);
            }
            let error = format!("no answer within {} s", patience.as_secs());
            return SendReport { outcome: SendOutcome::Unclear { error }, hint: None };
        };
        SendReport { outcome, hint: None }
    }

    fn knows_repeats(&self) -> bool {
        !self.platform.lock().keyless.contains(&self.link.caller.account)
    }
}

#[async_trait]
impl PlatformConnector for FakePlatform {
    async fn connect(&self, request: ConnectRequest) -> Result<Connection, ConnectionError> {
        let (account, node) = (request.account.id, request.fence.node);
        {
            let mut state = self.lock();
            *state.connects.entry(account).or_default() += 1;
            if let Some(error) = state.refuse_connect.get(&account) {
                return Err(error.clone());
            }
        }
        let wire = self.wire();
        if let Some(wire) = &wire {
            let Dial { takes, error } = wire.dialled(&request);
            tokio::time::sleep(takes).await;
            wire.awake(node).await;
            if let Some(error) = error {
                return Err(error);
            }
        }
        let link = Link::new(Caller { account, node });
        let place = (request.cursors.is_empty() && !request.sources.is_empty()).then(|| cursor(0));
        let position = position(&request.cursors);
        let steerable = {
            let mut state = self.lock();
            state.links.push(Arc::clone(&link));
            state.steerable
        };
        if let Some(wire) = &wire {
            wire.connected(link.caller);
        }
        let heard = Heard(Arc::new(Mutex::new(request.sources)));
        let source =
            FakeSource { platform: self.clone(), link: Arc::clone(&link), heard, steerable, place, position };
        Ok(Connection {
            source: Some(Box::new(source)),
            sender: Some(Arc::new(FakeSender { platform: self.clone(), link })),
            chats: None,
            platform_id: request.account.platform_id,
        })
    }
}
