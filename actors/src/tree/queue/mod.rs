//! The queue of one destination account: takes deliveries from the outbox, asks the throttle, sends, writes the outcome.

mod circuit;
mod lanes;
mod transmit;
mod verdict;

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use serde_json::{Value, json};
use tokio::time::Instant;

use self::circuit::Circuit;
use self::lanes::{Lanes, Step};
use self::transmit::{Attempt, Order, Ready, Tried, Unprepared, prepare, transmit};
use self::verdict::Next;
use super::allowance::Reservation;
use super::deps::Deps;
use super::latest::Latest;
use super::pair;
use super::session::ConnectionId;
use crate::model::{
    Account, AccountId, AccountState, AlertSeverity, Delivery, Fence, PairId, Part, PauseCause,
};
use crate::ports::StoreError;
use crate::supervision::{Child, Cx, Handle, LoadEnv, LoadError, Loaded, Message, Receive, Responder, Token};

/// Identity and what it is given.
#[derive(Clone)]
pub struct QueueArgs {
    /// The destination account.
    pub id: AccountId,
    /// Ports and siblings.
    pub deps: Deps,
}

/// A lane may have new deliveries.
pub struct Wake(pub PairId);

impl Message for Wake {
    type Reply = ();
}

/// The account is connected again.
pub struct Resume;

impl Message for Resume {
    type Reply = ();
}

/// An operator lifts the account's quarantine.
pub struct Release;

impl Message for Release {
    type Reply = ();
}

/// The queue was paused or resumed in the store. The answer comes when it keeps to that: no send begins after it.
pub struct PausesChanged;

impl Message for PausesChanged {
    type Reply = Result<(), StoreError>;
}

/// The actor of one destination account.
pub struct QueueActor {
    args: QueueArgs,
    account: Account,
    fence: Fence,
    lanes: Lanes,
    circuit: Circuit,
    quarantined: bool,
    /// The quarantine is being written.
    noting: bool,
    /// Of lanes whose head was tried and is not done: what is set aside for it of its owner's messages of the day.
    reserved: HashMap<PairId, Reservation>,
    /// Why somebody paused it; it begins no send while there is a cause.
    paused: BTreeSet<PauseCause>,
    /// Whether there is one, for sends that are about to begin.
    is_paused: Rc<Cell<bool>>,
    /// Readings of those causes: of two at once the later one counts, whichever comes first.
    readings: Latest,
    /// Parts handed to the platform whose outcome is not written yet.
    sending: usize,
    timer: Option<(Instant, Token)>,
    sent: u64,
    retried: u64,
    dead: u64,
    /// Parts delivered after a try whose outcome nobody knows, by an account whose platform knows no repeats.
    maybe_twice: u64,
    last_error: Option<String>,
}

impl Child for QueueActor {
    type Args = QueueArgs;

    const KIND: &'static str = "queue";

    fn load(args: QueueArgs, _env: LoadEnv) -> LocalBoxFuture<'static, Result<Loaded<Self>, LoadError>> {
        Box::pin(async move {
            let retry = |error: StoreError| LoadError::Retry(error.to_string());
            let account = match args.deps.store.account(args.id).await {
                Ok(account) => account,
                Err(StoreError::NotFound(what)) => return Err(LoadError::Fatal(format!("{what} not found"))),
                Err(error) => return Err(retry(error)),
            };
            let fence = args.deps.fence(args.id).await.map_err(retry)?;
            args.deps.links.allowances.sync(&args.deps, account.user).await.map_err(retry)?;
            let mut lanes = Lanes::default();
            for pair in args.deps.store.lanes(args.id).await.map_err(retry)? {
                lanes.wake(pair);
            }
            let circuit = Circuit::new(args.deps.config.circuit_failures);
            let quarantined = account.state == AccountState::Quarantined;
            let paused = args.deps.store.queue_pauses(args.id).await.map_err(retry)?;
            let is_paused = Rc::new(Cell::new(!paused.is_empty()));
            let (timer, sent, retried, dead, maybe_twice, last_error) = (None, 0, 0, 0, 0, None);
            Ok(Loaded::Ready(Self {
                args,
                account,
                fence,
                lanes,
                circuit,
                quarantined,
                noting: false,
                reserved: HashMap::new(),
                paused,
                is_paused,
                readings: Latest::default(),
                sending: 0,
                timer,
                sent,
                retried,
                dead,
                maybe_twice,
                last_error,
            }))
        })
    }

    fn started(&mut self, cx: &mut Cx<'_, Self>) {
        cx.every(self.args.deps.config.poll_interval, |queue: &mut Self, cx| queue.look(cx));
        self.run(cx);
    }

    fn snapshot(&self) -> Value {
        let (lanes, held) = self.lanes.size();
        let deps = &self.args.deps;
        let allowance = deps.links.allowances.view(self.account.user, deps.now_ms());
        let waits = (allowance.waiting > 0).then_some(allowance.resets_at);
        json!({
            "account": self.account.name,
            "account_kind": self.account.kind,
            "user": self.account.user,
            "lanes": lanes,
            "in_memory": held,
            "trying": self.lanes.trying(),
            "sending": self.sending,
            "sent": self.sent,
            "retried": self.retried,
            "dead": self.dead,
            "maybe_twice": self.maybe_twice,
            "quarantined": self.quarantined,
            "suspended": allowance.suspended,
            "plan_limit_until": waits,
            "paused": !self.paused.is_empty(),
            "pauses": self.paused,
            "circuit": if self.circuit.is_open() { "open" } else { "closed" },
            "failures_in_a_row": self.circuit.failures(),
            "last_error": self.last_error,
        })
    }
}

impl Handle<Wake> for QueueActor {
    fn handle(&mut self, Wake(pair): Wake, cx: &mut Cx<'_, Self>) {
        self.lanes.wake(pair);
        self.run(cx);
    }
}

impl Handle<Resume> for QueueActor {
    fn handle(&mut self, Resume: Resume, cx: &mut Cx<'_, Self>) {
        self.lanes.resume();
        self.run(cx);
    }
}

impl Handle<Release> for QueueActor {
    fn handle(&mut self, Release: Release, cx: &mut Cx<'_, Self>) {
        self.quarantined = false;
        self.lanes.resume();
        self.run(cx);
    }
}

impl Receive<PausesChanged> for QueueActor {
    fn receive(
        &mut self,
        PausesChanged: PausesChanged,
        cx: &mut Cx<'_, Self>,
        responder: Responder<Result<(), StoreError>>,
    ) {
        let (store, id, reading) = (self.args.deps.store.clone(), self.args.id, self.readings.ask());
        cx.spawn(async move { store.queue_pauses(id).await }, move |queue: &mut Self, read, cx| match read {
            Ok(paused) => {
                if queue.readings.take(reading) {
                    queue.set_pauses(paused);
                }
                responder.reply(Ok(()));
                queue.run(cx);
            }
            Err(error) => responder.reply(Err(error)),
        });
    }
}

impl QueueActor {
    /// Looks into the store for what nobody told of: lanes, or the end of a pause or a quarantine.
    fn look(&mut self, cx: &mut Cx<'_, Self>) {
        if self.quarantined || !self.paused.is_empty() {
            return self.look_whether_it_goes_on(cx);
        }
        let (store, id) = (self.args.deps.store.clone(), self.args.id);
        cx.spawn(async move { store.lanes(id).await }, |queue: &mut Self, lanes, cx| match lanes {
            Ok(lanes) => {
                for pair in lanes {
                    queue.lanes.wake(pair);
                }
                queue.run(cx);
            }
            Err(error) => tracing::warn!(queue = %queue.args.id, %error, "queue waits for the store"),
        });
    }

    fn look_whether_it_goes_on(&mut self, cx: &mut Cx<'_, Self>) {
        let (store, id, reading) = (self.args.deps.store.clone(), self.args.id, self.readings.ask());
        // What is only being noted cannot be read yet.
        let noted = self.quarantined && !self.noting;
        let read = async move { Ok((store.account(id).await?, store.queue_pauses(id).await?)) };
        cx.spawn(read, move |queue: &mut Self, read: Result<_, StoreError>, cx| match read {
            Ok((account, paused)) => {
                queue.quarantined &= !noted || account.state == AccountState::Quarantined;
                if queue.readings.take(reading) {
                    queue.set_pauses(paused);
                }
                queue.run(cx);
            }
            Err(error) => tracing::warn!(queue = %queue.args.id, %error, "queue waits for the store"),
        });
    }

    fn set_pauses(&mut self, paused: BTreeSet<PauseCause>) {
        self.is_paused.set(!paused.is_empty());
        self.paused = paused;
    }

    /// Takes every step that can be taken now.
    fn run(&mut self, cx: &mut Cx<'_, Self>) {
        if self.quarantined || !self.paused.is_empty() {
            return;
        }
        // While the account fails as a whole, one lane at a time finds out whether it works again.
        let tries =
            if self.circuit.is_open() { 1_usize.saturating_sub(self.lanes.trying()) } else { usize::MAX };
        for step in self.lanes.steps(Instant::now(), tries) {
            match step {
                Step::Read { pair, after } => self.read(pair, after, cx),
                Step::Try { delivery, part, failures } => self.attempt(*delivery, part, failures, cx),
            }
        }
        self.wake_later(cx);
    }

    fn wake_later(&mut self, cx: &mut Cx<'_, Self>) {
        let Some(at) = self.lanes.wake_at(Instant::now()) else { return };
        if self.timer.as_ref().is_some_and(|(planned, _)| *planned <= at) {
            return;
        }
        if let Some((_, token)) = self.timer.take() {
            token.cancel();
        }
        let token = cx.after(at.saturating_duration_since(Instant::now()), |queue: &mut Self, cx| {
            queue.timer = None;
            queue.run(cx);
        });
        self.timer = Some((at, token));
    }

    fn read(&mut self, pair: PairId, after: Option<i64>, cx: &mut Cx<'_, Self>) {
        let deps = self.args.deps.clone();
        let (id, limit) = (self.args.id, deps.config.lane_lookahead);
        let read = async move { deps.store.lane(id, pair, after, limit).await };
        cx.spawn(read, move |queue: &mut Self, read, cx| {
            let now = Instant::now();
            match read {
                Ok(items) => queue.lanes.read(pair, items, limit, queue.args.deps.now_ms(), now),
                Err(StoreError::NotFound(_)) => queue.forget(pair),
                Err(error) => {
                    tracing::warn!(queue = %queue.args.id, %error, "queue waits for the store");
                    let wait = queue.args.deps.config.retry.delay(1, queue.args.deps.rng.next_u64());
                    queue.lanes.read_failed(pair, now + wait);
                }
            }
            queue.run(cx);
        });
    }

    /// First waits for connection, throttle and lease (a drain cuts this short), then sends (a drain lets it finish).
    fn attempt(&mut self, delivery: Delivery, part: Part, failures: u32, cx: &mut Cx<'_, Self>) {
        let reserved = self.reserved.remove(&delivery.pair).filter(|held| held.delivery() == delivery.id);
        let order = Order {
            fence: self.fence,
            user: self.account.user,
            delivery: delivery.id,
            target: delivery.target,
            action: delivery.action,
            reserved,
        };
        let prepared = prepare(self.args.deps.clone(), order);
        cx.serve(prepared, move |queue: &mut Self, ready, cx| match ready {
            // Paused while it waited for its permit, which goes back.
            Ok(_) if !queue.paused.is_empty() => {
                queue.lanes.retry(delivery.pair, part.index, Instant::now(), false, None);
            }
            Ok(ready) => queue.transmit(delivery, part, failures, ready, cx),
            Err(Unprepared::Suspended) => queue.look_anew(delivery.pair, cx),
            Err(Unprepared::Waits(error)) => {
                queue.last_error = Some(error);
                let wait = queue.args.deps.config.retry.delay(failures + 1, queue.args.deps.rng.next_u64());
                queue.lanes.retry(delivery.pair, part.index, Instant::now() + wait, false, None);
                queue.run(cx);
            }
        });
    }

    fn transmit(
        &mut self,
        delivery: Delivery,
        part: Part,
        failures: u32,
        ready: Ready,
        cx: &mut Cx<'_, Self>,
    ) {
        let heartbeat = cx.heartbeat();
        let deps = self.args.deps.clone();
        let (pair, index, connection) = (delivery.pair, part.index, ready.connection);
        let attempt = Attempt {
            fence: self.fence,
            user: self.account.user,
            delivery,
            part,
            failures,
            circuit_open: self.circuit.is_open(),
            paused: Rc::clone(&self.is_paused),
        };
        let send = async move { transmit(&deps, &attempt, ready, || heartbeat.beat()).await };
        self.sending += 1;
        cx.spawn(send, move |queue: &mut Self, tried, cx| {
            queue.tried(pair, index, connection, tried, cx);
        });
    }

    /// What the store says of a lane counts, not what is in memory: the pair or its owner was stopped, or it is gone.
    fn look_anew(&mut self, pair: PairId, cx: &mut Cx<'_, Self>) {
        self.forget(pair);
        self.lanes.wake(pair);
        self.run(cx);
    }

    fn forget(&mut self, pair: PairId) {
        self.lanes.remove(pair);
        self.reserved.remove(&pair);
    }

    fn tried(
        &mut self,
        pair: PairId,
        part: u16,
        connection: ConnectionId,
        tried: Result<Tried, StoreError>,
        cx: &mut Cx<'_, Self>,
    ) {
        self.sending = self.sending.saturating_sub(1);
        let mut tried = match tried {
            Ok(tried) => tried,
            Err(StoreError::NotFound(what)) => {
                // The delivery went with its pair, or was settled elsewhere: the store knows what is left of the lane.
                tracing::info!(queue = %self.args.id, %pair, what, "delivery is not to be sent now");
                return self.look_anew(pair, cx);
            }
            Err(error) => return cx.fail(error.to_string()),
        };
        if let Some(worked) = tried.health
            && self.circuit.note(worked)
        {
            self.circuit_turned(cx);
        }
        let (now, now_ms) = (Instant::now(), self.args.deps.now_ms());
        self.last_error.clone_from(&tried.error);
        self.maybe_twice += u64::from(tried.maybe_twice);
        if let Some(reserved) = tried.reserved.take() {
            self.reserved.insert(pair, reserved);
        }
        match tried.next {
            Next::Advance => {
                self.sent += 1;
                self.lanes.advance(pair, part, now_ms, now);
            }
            Next::Leave => return self.look_anew(pair, cx),
            Next::Drop => {
                if let Some(reserved) = self.reserved.remove(&pair) {
                    reserved.give_back();
                }
                self.dead += 1;
                tracing::warn!(%pair, error = tried.error, "delivery is dead");
                self.lanes.drop_head(pair, now_ms, now);
            }
            Next::Retry(wait) => {
                self.retried += 1;
                self.lanes.retry(pair, part, now + wait, tried.counted, tried.unclear_since);
            }
            Next::PausePair(error) => self.pause(pair, error, cx),
            Next::Quarantine(error) => self.quarantine(pair, part, error, cx),
            Next::SessionDead(error) => {
                self.args.deps.links.session_dead(self.args.id, connection, error);
                let wait = self.args.deps.config.retry.cap;
                self.lanes.retry(pair, part, now + wait, false, None);
            }
        }
        self.run(cx);
    }

    fn circuit_turned(&self, cx: &Cx<'_, Self>) {
        let (severity, kind, what) = if self.circuit.is_open() {
            (AlertSeverity::Warning, "queue.circuit_open", "fails as a whole and waits; nothing is given up")
        } else {
            (AlertSeverity::Info, "queue.circuit_closed", "works again")
        };
        let text = format!("sending through {} {what}", self.account.name);
        self.args.deps.alert(severity, kind, cx.path().as_str(), Some(self.account.user), text);
    }

    /// The target refuses the pair: it pauses for that cause, and its deliveries wait in the store.
    fn pause(&mut self, pair: PairId, error: String, cx: &mut Cx<'_, Self>) {
        self.forget(pair);
        let text = format!("the target chat of pair {pair} refuses: {error}");
        let subject = format!("pairs/{pair}");
        self.args.deps.alert(AlertSeverity::Critical, "pair.paused", &subject, Some(self.account.user), text);
        let deps = self.args.deps.clone();
        let note = async move {
            let noted = deps.store.set_pause(pair, PauseCause::Permission, true).await;
            if let Some(reference) = deps.links.pairs.get(&pair) {
                let _ = reference.tell(pair::Changed);
            }
            noted
        };
        cx.spawn(note, |_: &mut Self, noted, cx| {
            if let Err(error) = noted {
                cx.fail(error.to_string());
            }
        });
    }

    fn quarantine(&mut self, pair: PairId, part: u16, error: String, cx: &mut Cx<'_, Self>) {
        self.quarantined = true;
        self.lanes.retry(pair, part, Instant::now() + Duration::from_secs(1), false, None);
        let text = format!("{} may not send and is quarantined: {error}", self.account.name);
        let subject = cx.path().to_string();
        let user = Some(self.account.user);
        self.args.deps.alert(AlertSeverity::Critical, "account.quarantined", &subject, user, text);
        let (deps, id) = (self.args.deps.clone(), self.args.id);
        let note = async move { deps.store.set_account_state(id, AccountState::Quarantined).await };
        self.noting = true;
        cx.spawn(note, |queue: &mut Self, noted, cx| {
            queue.noting = false;
            if let Err(error) = noted {
                cx.fail(error.to_string());
            }
        });
    }
}
