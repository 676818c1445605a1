//! The throttle of one identity: grants permits from the pure limiter, one lane per destination chat.

mod permit;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use serde_json::Value;
use tokio::time::Instant;

pub(super) use self::permit::Permit;
use self::permit::Tray;
use super::deps::Deps;
use crate::model::{AccountId, AccountKind, Place};
use crate::supervision::{Child, Cx, Handle, LoadEnv, LoadError, Loaded, Message, Receive, Responder, Token};
use crate::throttle::{Class, Lane, Limiter, Profile, TicketId};

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
    waiting: BTreeMap<TicketId, (Lane, Responder<Permit>)>,
    /// Number of this instance.
    epoch: u64,
    timer: Option<(Instant, Token)>,
}

impl Child for ThrottleActor {
    type Args = ThrottleArgs;

    const KIND: &'static str = "throttle";

    fn load(args: ThrottleArgs, env: LoadEnv) -> LocalBoxFuture<'static, Result<Loaded<Self>, LoadError>> {
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
            let kept = args.deps.store.throttle_state(&args.identity.to_string()).await.map_err(retry)?;
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
            let (waiting, epoch, timer) = (BTreeMap::new(), env.epoch(), None);
            Ok(Loaded::Ready(Self { args, limiter, origin, waiting, epoch, timer }))
        })
    }

    fn drain(&mut self, _cx: &mut Cx<'_, Self>) -> LocalBoxFuture<'static, ()> {
        let state = self.limiter.close(self.now(), self.args.deps.now_ms());
        let (deps, id) = (self.args.deps.clone(), self.args.identity.to_string());
        Box::pin(async move {
            let kept = match serde_json::to_string(&state) {
                Ok(state) => {
                    deps.store.set_throttle_state(&id, &state).await.map_err(|error| error.to_string())
                }
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
        let lane = Lane::from(reserve.target);
        let ticket = self.limiter.reserve(self.now(), lane, reserve.cost, reserve.class);
        self.waiting.insert(ticket, (lane, responder));
        self.poll(cx);
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

    /// Settles what came back, grants what may go, and sets the alarm for what may go later.
    fn poll(&mut self, cx: &mut Cx<'_, Self>) {
        if let Err(error) = self.args.deps.failpoints.hit("throttle.poll", &self.args.identity.to_string()) {
            return cx.fail(error);
        }
        let now = self.now();
        for settled in self.args.tray.take() {
            if settled.epoch == self.epoch {
                self.limiter.done(now, settled.grant, settled.done);
            } else if let Some((scope, wait)) = settled.done.hold {
                // An earlier instance sent it; what the platform asked for concerns this one too.
                self.limiter.told(now, settled.lane, scope, wait);
            }
        }
        let given_up: Vec<TicketId> = self
            .waiting
            .iter()
            .filter(|(_, (_, responder))| !responder.is_wanted())
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
            if let Some((lane, responder)) = self.waiting.remove(&ticket) {
                let egress = self.args.identity.is_egress();
                let grant = (grant, self.epoch, lane);
                responder.reply(Permit::new(grant, self.args.tray.clone(), cx.me(), egress));
            }
        }
        self.wake_at(polled.wake_at, cx);
    }

    fn save_and_poll(&mut self, cx: &mut Cx<'_, Self>) {
        let (deps, id) = (self.args.deps.clone(), self.args.identity.to_string());
        let state = self.limiter.export(self.now(), deps.now_ms());
        let heartbeat = cx.heartbeat();
        let save = async move {
            let state = serde_json::to_string(&state).map_err(|error| error.to_string())?;
            let mut tries = 0_u32;
            while let Err(error) = deps.store.set_throttle_state(&id, &state).await {
                tries = tries.saturating_add(1);
                tracing::warn!(throttle = %id, %error, tries, "hold waits for the store, and sends wait for it");
                heartbeat.beat();
                tokio::time::sleep(deps.config.retry.delay(tries, deps.rng.next_u64())).await;
            }
            Ok::<(), String>(())
        };
        cx.wait(save, |throttle: &mut Self, saved, cx| match saved {
            Ok(()) => throttle.poll(cx),
            Err(error) => cx.fail(error),
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
