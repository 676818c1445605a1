//! The throttle of one identity: grants permits from the pure limiter, one lane per destination chat.

mod memory;
mod permit;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use serde_json::Value;
use tokio::time::Instant;

use self::memory::Memory;
pub(super) use self::permit::Permit;
use self::permit::{Granted, Tray};
use super::deps::Deps;
use crate::model::{AccountId, AccountKind, Fence, HoldScope, Place};
use crate::supervision::{Child, Cx, Handle, LoadEnv, LoadError, Loaded, Message, Receive, Responder, Token};
use crate::throttle::{Answer, Class, Lane, Limiter, Profile, TicketId};

/// Whose requests a platform counts together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    /// An account.
    Account(AccountId),
    /// Everything that leaves by one network address: `direct` without a proxy.
    Egress(String),
}

impl Identity {
    /// Without a proxy.
    pub const DIRECT: &'static str = "direct";

    const fn is_egress(&self) -> bool {
        matches!(self, Self::Egress(_))
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(id) => id.fmt(f),
            Self::Egress(address) => write!(f, "egress/{address}"),
        }
    }
}

/// Identity and what it is given.
#[derive(Clone)]
pub struct ThrottleArgs {
    /// Whose sends it paces.
    pub identity: Identity,
    /// Ports and siblings.
    pub deps: Deps,
    tray: Tray,
}

impl ThrottleArgs {
    /// The throttle of an identity.
    #[must_use]
    pub fn new(identity: Identity, deps: Deps) -> Self {
        Self { identity, deps, tray: Tray::default() }
    }
}

/// Reserve a send; the answer comes when it may go.
pub struct Reserve {
    /// Where to: the throttle's lane.
    pub target: Place,
    /// Messages that it counts for.
    pub cost: u32,
    /// How urgent it is.
    pub class: Class,
    /// Under which assignment; none for a network address.
    pub fence: Option<Fence>,
}

/// A reservation that is not granted yet.
struct Waiting {
    lane: Lane,
    cost: u32,
    class: Class,
    responder: Responder<Permit>,
}

impl Message for Reserve {
    type Reply = Permit;
}

/// Grants came back.
struct Returned;

impl Message for Returned {
    type Reply = ();
}

/// The actor of one identity's limits.
pub struct ThrottleActor {
    args: ThrottleArgs,
    limiter: Limiter,
    origin: Instant,
    /// In order of their reservations.
    waiting: BTreeMap<TicketId, Waiting>,
    /// Number of this limiter.
    round: u64,
    memory: Memory,
    timer: Option<(Instant, Token)>,
}

impl Child for ThrottleActor {
    type Args = ThrottleArgs;

    const KIND: &'static str = "throttle";

    fn load(args: ThrottleArgs, _env: LoadEnv) -> LocalBoxFuture<'static, Result<Loaded<Self>, LoadError>> {
        Box::pin(async move {
            let retry = |error: crate::ports::StoreError| LoadError::Retry(error.to_string());
            let profile = match &args.identity {
                Identity::Account(id) => {
                    let account = args.deps.store.account(*id).await.map_err(retry)?;
                    Profile::named(account.kind, &account.profile)
                }
                // No budget of an address is published for accounts; it carries holds.
                Identity::Egress(_) => Profile::named(AccountKind::DiscordBot, "sandbox"),
            };
            let profile = profile.map_err(|error| LoadError::Fatal(error.to_string()))?;
            let mut memory = Memory::new(args.identity.clone(), args.deps.clone());
            let kept = memory.read().await.map_err(retry)?;
            memory.know(kept.as_deref());
            let (origin, seed) = (Instant::now(), args.deps.rng.next_u64());
            let limiter = match kept {
                None => Limiter::new(profile, seed),
                Some(kept) => {
                    let state = serde_json::from_str(&kept);
                    let state =
                        state.map_err(|error| LoadError::Fatal(format!("throttle state: {error}")))?;
                    Limiter::restore(profile, seed, Duration::ZERO, args.deps.now_ms(), state)
                }
            };
            let (waiting, round, timer) = (BTreeMap::new(), args.tray.next_round(), None);
            Ok(Loaded::Ready(Self { args, limiter, origin, waiting, round, memory, timer }))
        })
    }

    fn drain(&mut self, _cx: &mut Cx<'_, Self>) -> LocalBoxFuture<'static, ()> {
        let state = self.limiter.close(self.now(), self.args.deps.now_ms());
        let (memory, id) = (self.memory.clone(), self.args.identity.to_string());
        Box::pin(async move {
            let kept = match serde_json::to_string(&state) {
                Ok(state) => memory.keep(&state).await.map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            if let Err(error) = kept {
                tracing::warn!(throttle = %id, error, "throttle state could not be kept");
            }
        })
    }

    fn snapshot(&self) -> Value {
        serde_json::to_value(self.limiter.view(self.now())).unwrap_or(Value::Null)
    }
}

impl Receive<Reserve> for ThrottleActor {
    fn receive(&mut self, reserve: Reserve, cx: &mut Cx<'_, Self>, responder: Responder<Permit>) {
        let Reserve { target, cost, class, fence } = reserve;
        self.wait(Waiting { lane: Lane::from(target), cost, class, responder });
        if self.memory.goes_by(fence) {
            self.poll(cx);
        } else {
            self.read_and_poll(cx);
        }
    }
}

impl Handle<Returned> for ThrottleActor {
    fn handle(&mut self, Returned: Returned, cx: &mut Cx<'_, Self>) {
        self.poll(cx);
    }
}

impl ThrottleActor {
    fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    fn wait(&mut self, waiting: Waiting) {
        let Waiting { lane, cost, class, .. } = waiting;
        let ticket = self.limiter.reserve(self.now(), lane, cost, class);
        self.waiting.insert(ticket, waiting);
    }

    /// The account has another assignment than when the memory was read: a node that had it meanwhile may have been told to
    /// wait, and what it sent counts.
    fn read_and_poll(&mut self, cx: &mut Cx<'_, Self>) {
        let (memory, heartbeat) = (self.memory.clone(), cx.heartbeat());
        let read = async move { memory.read_anyway(|| heartbeat.beat()).await };
        cx.wait(read, |throttle: &mut Self, kept, cx| match throttle.recall(kept.as_deref()) {
            Ok(()) => throttle.poll(cx),
            Err(error) => cx.fail(format!("throttle state: {error}")),
        });
    }

    /// Goes by what the store says, unless that is what this limiter wrote or read itself.
    fn recall(&mut self, kept: Option<&str>) -> Result<(), serde_json::Error> {
        if self.memory.is_known(kept) {
            return Ok(());
        }
        let state = kept.map(serde_json::from_str).transpose()?.unwrap_or_default();
        let (now, seed) = (self.now(), self.args.deps.rng.next_u64());
        self.limiter = self.limiter.replaced(seed, now, self.args.deps.now_ms(), state);
        self.round = self.args.tray.next_round();
        self.memory.know(kept);
        let waiting = std::mem::take(&mut self.waiting);
        let any = waiting.values().next().map(|waiting| waiting.lane);
        waiting.into_values().for_each(|waiting| self.wait(waiting));
        for (lane, left) in self.args.tray.running() {
            let scope = if lane.is_some() { HoldScope::Chat } else { HoldScope::Account };
            if let Some(lane) = lane.or(any) {
                self.limiter.told(now, lane, scope, left);
            }
        }
        Ok(())
    }

    /// Settles what came back, grants what may go, and sets the alarm for what may go later.
    fn poll(&mut self, cx: &mut Cx<'_, Self>) {
        if let Err(error) = self.args.deps.failpoints.hit("throttle.poll", &self.args.identity.to_string()) {
            return cx.fail(error);
        }
        let now = self.now();
        for settled in self.args.tray.take() {
            if settled.round == self.round {
                self.limiter.done(now, settled.grant, settled.done);
                continue;
            }
            // An earlier limiter let it go: what was sent counts here too, and so does what the platform asked for.
            if settled.done.answer != Answer::NotSent {
                self.limiter.count_other(now, settled.lane, settled.cost);
            }
            if let Some((scope, wait)) = settled.done.hold {
                self.limiter.told(now, settled.lane, scope, wait);
            }
        }
        let given_up: Vec<TicketId> = self
            .waiting
            .iter()
            .filter(|(_, waiting)| !waiting.responder.is_wanted())
            .map(|(ticket, _)| *ticket)
            .collect();
        for ticket in given_up {
            self.waiting.remove(&ticket);
            self.limiter.cancel(now, ticket);
        }
        if self.limiter.must_persist() {
            // Nothing is granted until a hold, or the next booking of sends, is durable: a crash must neither shorten a
            // platform's wait nor forget what was sent.
            return self.save_and_poll(cx);
        }
        let polled = self.limiter.poll(now);
        for (ticket, grant) in polled.granted {
            // An asker that went away drops the permit, which gives the slot back.
            if let Some(Waiting { lane, cost, responder, .. }) = self.waiting.remove(&ticket) {
                let egress = self.args.identity.is_egress();
                let grant = Granted { round: self.round, grant, lane, cost };
                responder.reply(Permit::new(grant, self.args.tray.clone(), cx.me(), egress));
            }
        }
        self.wake_at(polled.wake_at, cx);
    }

    fn save_and_poll(&mut self, cx: &mut Cx<'_, Self>) {
        let state = self.limiter.export(self.now(), self.args.deps.now_ms());
        let state = match serde_json::to_string(&state) {
            Ok(state) => state,
            Err(error) => return cx.fail(error.to_string()),
        };
        let (memory, heartbeat) = (self.memory.clone(), cx.heartbeat());
        let save = async move {
            memory.keep_anyway(&state, || heartbeat.beat()).await;
            state
        };
        cx.wait(save, |throttle: &mut Self, state, cx| {
            throttle.memory.know(Some(&state));
            throttle.poll(cx);
        });
    }

    fn wake_at(&mut self, at: Option<Duration>, cx: &mut Cx<'_, Self>) {
        let Some(at) = at.map(|at| self.origin + at) else { return };
        if self.timer.as_ref().is_some_and(|(planned, _)| *planned <= at) {
            return;
        }
        if let Some((_, token)) = self.timer.take() {
            token.cancel();
        }
        let token = cx.after(at.saturating_duration_since(Instant::now()), |throttle: &mut Self, cx| {
            throttle.timer = None;
            throttle.poll(cx);
        });
        self.timer = Some((at, token));
    }
}
