//! What users may send: no send starts for a suspended user, and none beyond the plan's messages of the day.
//!
//! One entry a user for the whole process, shared by all queues. The store is the truth: an entry is read from it, and
//! read again whenever the store was changed or something ended in a way that nobody saw.

mod meter;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use thiserror::Error;
use tokio::sync::Notify;
use uuid::Uuid;

use self::meter::{Claim, Lapse, Meter};
use super::deps::Deps;
use crate::model::{Alert, AlertId, AlertSeverity, Day, DeliveryId, Standing, UserId};
use crate::ports::StoreError;

/// The day of a meter that counted nothing yet: any other turns it.
const FIRST_DAY: Day = Day::of(0);

/// Why nothing may be sent.
#[derive(Debug, Error)]
pub(super) enum Refusal {
    /// The user is suspended.
    #[error("user is suspended")]
    Suspended,
    /// The store did not say.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What operators and owners see of a user's allowance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllowanceView {
    /// Whether nothing of theirs may run.
    pub suspended: bool,
    /// Messages a day; `None`: as many as come.
    pub limit: Option<u64>,
    /// Delivered today, where there is a limit.
    pub delivered: u64,
    /// Deliveries that wait for another day or another plan.
    pub waiting: usize,
    /// When the next day begins.
    pub resets_at: DateTime<Utc>,
}

/// The allowances of one tree's users.
#[derive(Default)]
pub struct Allowances {
    users: Mutex<HashMap<UserId, Arc<Allowance>>>,
}

/// One user's.
struct Allowance {
    user: UserId,
    meter: Mutex<Meter>,
    /// Something ended, or was changed.
    changed: Notify,
    /// One reading at a time.
    reading: tokio::sync::Mutex<()>,
    /// One look at the standing at a time, so that the last one to look has the latest.
    standing: tokio::sync::Mutex<()>,
}

impl Allowance {
    fn meter(&self) -> MutexGuard<'_, Meter> {
        self.meter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the day's counts from the store, unless somebody else just did.
    async fn read(&self, deps: &Deps, readings: u64) -> Result<(), StoreError> {
        let _alone = self.reading.lock().await;
        let day = {
            let mut meter = self.meter();
            if meter.readings() != readings {
                return Ok(());
            }
            meter.reading();
            meter.day()
        };
        match deps.store.usage(self.user, day).await {
            Ok(usage) => {
                self.meter().apply(day, Some(usage));
                Ok(())
            }
            Err(error) => {
                self.meter().apply(day, None);
                Err(error)
            }
        }
    }

    /// Says once a day that the plan's messages are used.
    async fn tell(&self, deps: &Deps) -> Result<(), StoreError> {
        let Some((day, limit)) = self.meter().used_up_untold() else { return Ok(()) };
        let told = self.raise(deps, day, limit).await;
        if told.is_err() {
            self.meter().not_told();
        }
        told
    }

    /// The alert is kept before it is noted that the user was told, under an id that the day gives: whoever is killed in
    /// between keeps it once more, which changes nothing.
    async fn raise(&self, deps: &Deps, day: Day, limit: u64) -> Result<(), StoreError> {
        let resets = time(day.end()).to_rfc3339_opts(SecondsFormat::Secs, true);
        let name = format!("quota.reached/{}", day.number());
        let alert = Alert {
            id: AlertId::from_uuid(Uuid::new_v5(&self.user.as_uuid(), name.as_bytes())),
            at: deps.clock.now(),
            severity: AlertSeverity::Warning,
            kind: "quota.reached".to_owned(),
            subject: format!("users/{}", self.user),
            user: Some(self.user),
            text: format!(
                "the plan's {limit} messages of today are delivered; what comes now waits and nothing is dropped: \
                 it goes on at {resets}, or at once with another plan"
            ),
        };
        deps.store.raise(&alert).await?;
        if deps.store.tell_limit(self.user, day).await? {
            tracing::warn!(kind = %alert.kind, subject = %alert.subject, text = %alert.text, "alert");
        }
        Ok(())
    }
}

fn today(deps: &Deps) -> Day {
    Day::of(deps.now_ms())
}

fn time(millis: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(millis).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

impl Allowances {
    fn of(&self, user: UserId) -> Arc<Allowance> {
        let fresh = || Allowance {
            user,
            meter: Mutex::new(Meter::new(FIRST_DAY)),
            changed: Notify::new(),
            reading: tokio::sync::Mutex::new(()),
            standing: tokio::sync::Mutex::new(()),
        };
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(users.entry(user).or_insert_with(|| Arc::new(fresh())))
    }

    /// Everybody who was asked about so far.
    pub(super) fn users(&self) -> Vec<UserId> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }

    /// Takes over what the store says of a user: from then on no send starts that it forbids.
    pub(super) async fn sync(&self, deps: &Deps, user: UserId) -> Result<Standing, StoreError> {
        let own = self.of(user);
        let _alone = own.standing.lock().await;
        let standing = deps.store.standing(user).await?;
        {
            let mut meter = own.meter();
            meter.suspended = standing.suspended;
            let quotas = &deps.config.quotas;
            meter.limit = quotas.of(standing.plan.as_ref());
            meter.lapse = standing.plan_until.map(|at| Lapse { at, limit: quotas.default });
            meter.distrust();
        }
        own.changed.notify_waiters();
        Ok(standing)
    }

    /// Whether nothing of the user may run, as last taken over.
    pub(super) fn is_suspended(&self, user: UserId) -> bool {
        self.of(user).meter().suspended
    }

    /// Sets one message of the day aside for a delivery; waits for as long as there is none.
    pub(super) async fn reserve(
        &self,
        deps: &Deps,
        user: UserId,
        delivery: DeliveryId,
    ) -> Result<Reservation, Refusal> {
        let own = self.of(user);
        let mut waits = None;
        loop {
            let changed = own.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let (claim, readings) = {
                let mut meter = own.meter();
                if meter.suspended {
                    return Err(Refusal::Suspended);
                }
                meter.look_at_plan(deps.now_ms());
                (meter.claim(delivery, today(deps)), meter.readings())
            };
            match claim {
                Claim::Granted => {
                    let own = Arc::clone(&own);
                    return Ok(Reservation { own, delivery, open: false, settled: false });
                }
                Claim::Unread => own.read(deps, readings).await?,
                Claim::Full => {
                    waits.get_or_insert_with(|| Waiting::new(&own));
                    own.tell(deps).await?;
                    let left = today(deps).end().saturating_sub(deps.now_ms());
                    let left = Duration::from_millis(u64::try_from(left).unwrap_or(0));
                    // Looked at in between, too: a clock may be set.
                    let look = left.min(deps.config.poll_interval);
                    let _ = tokio::time::timeout(look, changed).await;
                }
            }
        }
    }

    /// Immediately before a send: `None` for a suspended user. While the guard lives, the send is under way.
    pub(super) fn enter(&self, user: UserId) -> Option<Sending> {
        let own = self.of(user);
        {
            let mut meter = own.meter();
            if meter.suspended {
                return None;
            }
            meter.sending = meter.sending.saturating_add(1);
        }
        Some(Sending(own))
    }

    /// Ends when no send of the user is under way.
    pub(super) async fn quiet(&self, user: UserId) {
        let own = self.of(user);
        loop {
            let changed = own.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if own.meter().sending == 0 {
                return;
            }
            changed.await;
        }
    }

    /// As operators and owners see it; counts are told where there is a limit.
    #[must_use]
    pub(super) fn view(&self, user: UserId, now_ms: i64) -> AllowanceView {
        let own = self.of(user);
        let mut meter = own.meter();
        meter.look_at_plan(now_ms);
        let today = Day::of(now_ms);
        AllowanceView {
            suspended: meter.suspended,
            limit: meter.limit,
            delivered: if meter.day() == today { meter.delivered() } else { 0 },
            waiting: meter.waiting,
            resets_at: time(today.end()),
        }
    }
}

/// A delivery that waits for a message of the day.
struct Waiting(Arc<Allowance>);

impl Waiting {
    fn new(own: &Arc<Allowance>) -> Self {
        let mut meter = own.meter();
        meter.waiting = meter.waiting.saturating_add(1);
        drop(meter);
        Self(Arc::clone(own))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut meter = self.0.meter();
        meter.waiting = meter.waiting.saturating_sub(1);
    }
}

/// A send that is under way.
pub(super) struct Sending(Arc<Allowance>);

impl Drop for Sending {
    fn drop(&mut self) {
        {
            let mut meter = self.0.meter();
            meter.sending = meter.sending.saturating_sub(1);
        }
        self.0.changed.notify_waiters();
    }
}

/// One of the day's messages, set aside for a delivery until it is settled.
pub(super) struct Reservation {
    own: Arc<Allowance>,
    delivery: DeliveryId,
    /// It was handed over: whoever drops it now does not know how it ends.
    open: bool,
    settled: bool,
}

impl Reservation {
    /// For which delivery.
    pub(super) const fn delivery(&self) -> DeliveryId {
        self.delivery
    }

    /// The delivery is handed to its platform.
    pub(super) const fn hand_over(&mut self) {
        self.open = true;
    }

    /// The delivery is complete, and the store has counted it.
    pub(super) fn confirm(mut self, deps: &Deps) {
        self.own.meter().confirm(self.delivery, today(deps));
        self.settled = true;
    }

    /// The delivery was given up.
    pub(super) fn give_back(mut self) {
        self.open = false;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.settled {
            let mut meter = self.own.meter();
            if self.open {
                meter.leave_open(self.delivery);
            } else {
                meter.settle(self.delivery);
            }
        }
        self.own.changed.notify_waiters();
    }
}
