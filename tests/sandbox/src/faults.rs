//! Faults on demand: what the control API asked the servers to do wrong, and for how long.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use uuid::Uuid;

use crate::clock::SandboxClock;
use crate::platform::Platform;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The call is refused and the caller told to wait: `FLOOD_WAIT`, or a 429 that binds the whole bot.
    FloodWait,
    /// The call is refused with a fault of the server's own, without effect.
    ServerError,
    /// The connection is cut; a call on it has no effect. Open connections are struck at once: each that is cut, and
    /// each call or new connection that meets the fault, counts as one.
    DropConnection,
    /// The call takes effect, and its answer comes late by the fault's wait.
    Slow,
    /// The call takes effect, and its answer never arrives.
    LostAnswer,
    /// The credential is refused as one that was taken back: 401 and close code 4004, or `AUTH_KEY_UNREGISTERED`.
    Unauthorized,
    /// Telegram: the session is ended as if by another one of its user: 401 `SESSION_REVOKED`, for good.
    SessionRevoked,
    /// Telegram: 406 `AUTH_KEY_DUPLICATED`. The key is dead: from then on the server does not know it.
    AuthKeyDuplicated,
    /// Telegram: 401 `USER_DEACTIVATED_BAN`.
    UserDeactivatedBan,
    /// Telegram: the account is frozen. It reads; what it would write is refused with 420 `FROZEN_METHOD_INVALID`.
    Frozen,
    /// Telegram: 400 `PEER_FLOOD` for every send.
    PeerFlood,
    /// Telegram: 420 `SLOWMODE_WAIT_X` for a send; the wait holds for the sender in that chat. Discord: a 429 of scope
    /// `shared` for a write; the wait holds for everybody in that channel.
    SlowmodeWait,
    /// Telegram: 403 `CHAT_WRITE_FORBIDDEN` for sends and edits.
    ChatWriteForbidden,
    /// Telegram: whoever signs in lives in another data centre: 303 `PHONE_MIGRATE_4` and `USER_MIGRATE_4`, and
    /// `loginTokenMigrateTo` for a scanned link. That data centre is this server too.
    Migrate,
    /// Telegram: what was missed is too much to be told: `differenceTooLong` and `channelDifferenceTooLong`.
    DifferenceTooLong,
    /// Discord asks the client to reconnect (op 7) and leaves it to it.
    Reconnect,
    /// Discord says that the session is invalid and cannot be resumed (op 9, `false`): to open sessions at once, and to
    /// IDENTIFY and RESUME.
    InvalidSession,
    /// The same of a session that can be resumed (op 9, `true`).
    InvalidSessionResumable,
    /// A gateway connection stays open and nothing comes on it any more, no answer to heartbeats either.
    Zombie,
    /// A MESSAGE_UPDATE that only brings a preview of a link comes without author and text. For the whole platform.
    PartialUpdate,
}

/// Whom a fault is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultTarget {
    /// Everybody on a platform.
    Platform(Platform),
    /// One seeded account.
    Account(Uuid),
    /// Whoever writes or reads in one chat: a channel's dialog id or snowflake, or a Telegram user's id. For faults
    /// that concern chats.
    Chat(Platform, i64),
}

/// How long a fault lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultSpan {
    /// So many calls or connections.
    Count(u64),
    /// So long by the sandbox's clock.
    For(Duration),
}

/// A fault as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultSpec {
    /// Whom it is for.
    pub target: FaultTarget,
    /// What goes wrong.
    pub kind: FaultKind,
    /// How long it lasts.
    pub span: FaultSpan,
    /// The wait that [`FaultKind::FloodWait`] tells, or by which [`FaultKind::Slow`] delays.
    pub wait: Duration,
}

/// A call or connection at which a fault may strike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultSite {
    /// The platform that is called.
    pub platform: Platform,
    /// The caller, when it is a seeded account that has shown who it is.
    pub account: Option<Uuid>,
}

/// A fault that strikes now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// See [`FaultSpec::wait`].
    pub wait: Duration,
}

#[derive(Clone, Copy, Debug)]
enum Remaining {
    Calls(u64),
    Until(DateTime<Utc>),
}

#[derive(Clone, Copy, Debug)]
struct Active {
    spec: FaultSpec,
    remaining: Remaining,
}

impl Active {
    fn covers(&self, site: FaultSite, chat: Option<i64>) -> bool {
        match self.spec.target {
            FaultTarget::Platform(platform) => platform == site.platform,
            FaultTarget::Account(account) => site.account == Some(account),
            FaultTarget::Chat(platform, id) => platform == site.platform && chat == Some(id),
        }
    }
}

/// The faults in force, oldest first. Clones share them.
#[derive(Clone, Debug)]
pub struct Faults {
    clock: SandboxClock,
    active: Arc<Mutex<Vec<Active>>>,
    changed: watch::Sender<u64>,
}

impl Faults {
    /// No faults yet; spans in seconds are measured by the clock given.
    #[must_use]
    pub fn new(clock: SandboxClock) -> Self {
        Self { clock, active: Arc::default(), changed: watch::Sender::new(0) }
    }

    /// Puts a fault in force behind those already there.
    pub fn add(&self, spec: FaultSpec) {
        let remaining = match spec.span {
            FaultSpan::Count(count) => Remaining::Calls(count),
            FaultSpan::For(span) => Remaining::Until(later(self.clock.now(), span)),
        };
        self.lock().push(Active { spec, remaining });
        self.changed.send_modify(|version| *version = version.wrapping_add(1));
    }

    /// Ends every fault. Waits that were already told stay in force: a client was promised them.
    pub fn clear(&self) {
        self.lock().clear();
        self.changed.send_modify(|version| *version = version.wrapping_add(1));
    }

    /// The faults in force, oldest first, each with what is left of it.
    #[must_use]
    pub fn list(&self) -> Vec<FaultSpec> {
        let now = self.clock.now();
        let mut active = self.lock();
        active.retain(|fault| is_live(fault, now));
        active
            .iter()
            .map(|fault| FaultSpec {
                span: match fault.remaining {
                    Remaining::Calls(left) => FaultSpan::Count(left),
                    Remaining::Until(end) => FaultSpan::For((end - now).to_std().unwrap_or_default()),
                },
                ..fault.spec
            })
            .collect()
    }

    /// Takes the oldest fault of one of the kinds that strikes at this site, counting it down by one.
    #[must_use]
    pub fn take(&self, site: FaultSite, kinds: &[FaultKind]) -> Option<Fault> {
        self.take_in(site, None, kinds)
    }

    /// Whether a fault of one of the kinds would strike at this site; nothing is counted down.
    #[must_use]
    pub fn strikes(&self, site: FaultSite, kinds: &[FaultKind]) -> bool {
        let now = self.clock.now();
        let mut active = self.lock();
        active.retain(|fault| is_live(fault, now));
        active.iter().any(|fault| fault.covers(site, None) && kinds.contains(&fault.spec.kind))
    }

    /// As [`Faults::take`], for a call that concerns a chat.
    #[must_use]
    pub fn take_in(&self, site: FaultSite, chat: Option<i64>, kinds: &[FaultKind]) -> Option<Fault> {
        let now = self.clock.now();
        let mut active = self.lock();
        active.retain(|fault| is_live(fault, now));
        let fault =
            active.iter_mut().find(|fault| fault.covers(site, chat) && kinds.contains(&fault.spec.kind))?;
        if let Remaining::Calls(left) = &mut fault.remaining {
            *left = left.saturating_sub(1);
        }
        Some(Fault { kind: fault.spec.kind, wait: fault.spec.wait })
    }

    /// Changes whenever a fault is added or all are cleared, so that idle connections can be cut at once.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Active>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A moment after another, or the last one that there is.
pub(crate) fn later(at: DateTime<Utc>, by: Duration) -> DateTime<Utc> {
    TimeDelta::from_std(by).ok().and_then(|by| at.checked_add_signed(by)).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

fn is_live(fault: &Active, now: DateTime<Utc>) -> bool {
    match fault.remaining {
        Remaining::Calls(left) => left > 0,
        Remaining::Until(end) => now < end,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: FaultSite = FaultSite { platform: Platform::Discord, account: None };

    fn spec(target: FaultTarget, kind: FaultKind, span: FaultSpan) -> FaultSpec {
        FaultSpec { target, kind, span, wait: Duration::from_secs(5) }
    }

    #[test]
    fn counts_down_and_ends() {
        let faults = Faults::new(SandboxClock::new());
        let target = FaultTarget::Platform(Platform::Discord);
        faults.add(spec(target, FaultKind::ServerError, FaultSpan::Count(2)));
        assert_eq!(faults.take(ANY, &[FaultKind::FloodWait]), None, "another kind takes nothing");
        assert!(faults.take(ANY, &[FaultKind::ServerError]).is_some());
        assert!(faults.take(ANY, &[FaultKind::ServerError]).is_some());
        assert_eq!(faults.take(ANY, &[FaultKind::ServerError]), None);
        assert!(faults.list().is_empty());
    }

    #[test]
    fn a_span_in_seconds_ends_by_the_sandbox_clock() {
        let clock = SandboxClock::new();
        let faults = Faults::new(clock.clone());
        let target = FaultTarget::Platform(Platform::Discord);
        faults.add(spec(target, FaultKind::Slow, FaultSpan::For(Duration::from_secs(600))));
        assert!(faults.take(ANY, &[FaultKind::Slow]).is_some());
        assert!(faults.take(ANY, &[FaultKind::Slow]).is_some(), "time, not calls, uses it up");
        clock.advance(Duration::from_secs(600)).unwrap();
        assert_eq!(faults.take(ANY, &[FaultKind::Slow]), None);
    }

    #[test]
    fn a_span_without_end_is_no_harm() {
        let faults = Faults::new(SandboxClock::new());
        let target = FaultTarget::Platform(Platform::Discord);
        faults.add(spec(target, FaultKind::Slow, FaultSpan::For(Duration::MAX)));
        assert!(faults.take(ANY, &[FaultKind::Slow]).is_some());
    }

    #[test]
    fn strikes_only_its_target() {
        let faults = Faults::new(SandboxClock::new());
        let account = Uuid::from_u128(7);
        faults.add(spec(FaultTarget::Account(account), FaultKind::FloodWait, FaultSpan::Count(1)));
        assert_eq!(faults.take(ANY, &[FaultKind::FloodWait]), None);
        let other = FaultSite { account: Some(Uuid::from_u128(8)), ..ANY };
        assert_eq!(faults.take(other, &[FaultKind::FloodWait]), None);
        let site = FaultSite { account: Some(account), ..ANY };
        let fault = faults.take(site, &[FaultKind::FloodWait]).unwrap();
        assert_eq!(fault, Fault { kind: FaultKind::FloodWait, wait: Duration::from_secs(5) });
    }

    #[test]
    fn a_fault_of_a_chat_strikes_calls_that_concern_it() {
        let faults = Faults::new(SandboxClock::new());
        let target = FaultTarget::Chat(Platform::Discord, 7);
        faults.add(spec(target, FaultKind::ChatWriteForbidden, FaultSpan::Count(1)));
        let kinds = [FaultKind::ChatWriteForbidden];
        assert_eq!(faults.take(ANY, &kinds), None);
        assert_eq!(faults.take_in(ANY, Some(8), &kinds), None);
        assert!(!faults.strikes(ANY, &kinds));
        assert!(faults.take_in(ANY, Some(7), &kinds).is_some());
        assert_eq!(faults.take_in(ANY, Some(7), &kinds), None, "used up");
    }

    #[test]
    fn racing_callers_never_take_more_than_the_count() {
        let faults = Faults::new(SandboxClock::new());
        let target = FaultTarget::Platform(Platform::Discord);
        faults.add(spec(target, FaultKind::ServerError, FaultSpan::Count(100)));
        let taken: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    let faults = faults.clone();
                    scope.spawn(move || {
                        (0..100).filter(|_| faults.take(ANY, &[FaultKind::ServerError]).is_some()).count()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(taken, 100);
    }
}
