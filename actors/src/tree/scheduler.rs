//! Runs jobs by the injected clock and keeps their last run in the store, so that a restart neither skips nor repeats one.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use futures_util::future::LocalBoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{deps::Deps, takeover::Takeover};
use crate::ports::StoreError;
use crate::supervision::{Backoff, Child, Cx, LoadEnv, LoadError, Loaded};

/// How often the scheduler looks at the clock.
const TICK: Duration = Duration::from_secs(1);

/// A node that could not renew its lease for so long lets go of its connections, as a platform does of those of a silent
/// client (`ping_delay_disconnect`): after 90 s another node may take a Telegram session.
const LET_GO_AFTER: Duration = Duration::from_secs(75);

/// Renewals in a row that a store answers with a failure that no waiting mends, after which it counts as lost.
const STORE_LOST_AFTER: u32 = 3;

/// A scheduled job as operators see it: an element of `jobs` in the scheduler's observable state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ScheduledJob")]
pub struct JobView {
    /// Its name, such as `retention.purge`.
    pub job: String,
    /// When it last ran to its end well; none if it never did. Those that run every few seconds tell of this start only.
    pub last_run: Option<DateTime<Utc>>,
    /// When it runs next: after a failure, when it is tried again.
    pub next_run: DateTime<Utc>,
    /// Whether it runs now.
    pub running: bool,
    /// Failures since the last good run.
    pub failures: u32,
    /// Why the last run failed, if it did.
    pub error: Option<String>,
}

/// What can be scheduled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Job {
    /// Renews the node's lease.
    RenewLease,
    /// Tries accounts whose node is gone.
    TakeOver,
    /// Deletes what retention no longer keeps.
    Purge,
}

impl Job {
    const ALL: [Self; 3] = [Self::RenewLease, Self::TakeOver, Self::Purge];

    const fn name(self) -> &'static str {
        match self {
            Self::RenewLease => "lease.renew",
            Self::TakeOver => "accounts.take_over",
            Self::Purge => "retention.purge",
        }
    }

    /// Whether the store remembers its last run: of those that run all the time it says nothing about now.
    const fn is_remembered(self) -> bool {
        matches!(self, Self::Purge)
    }

    fn interval(self, deps: &Deps) -> TimeDelta {
        let interval = match self {
            Self::RenewLease | Self::TakeOver => deps.config.lease_renew,
            Self::Purge => deps.config.purge_interval,
        };
        delta(interval)
    }

    /// How long after a failure it is tried again, never later than it would run anyway.
    fn retry(self, deps: &Deps, failures: u32) -> TimeDelta {
        let wait = match self {
            // The lease ends soon: every look at the clock is a try.
            Self::RenewLease => TICK,
            Self::TakeOver | Self::Purge => {
                let backoff = Backoff { jitter_percent: 0, ..deps.config.retry };
                backoff.delay(failures, 0).max(TICK)
            }
        };
        delta(wait).min(self.interval(deps))
    }
}

struct Entry {
    job: Job,
    last: Option<DateTime<Utc>>,
    next: DateTime<Utc>,
    running: bool,
    error: Option<String>,
    failures: u32,
    /// Failures in a row of the kind that no waiting mends.
    hopeless: u32,
}

impl Entry {
    /// A job whose time came while nothing ran is due at once, and once.
    fn new(job: Job, last: Option<DateTime<Utc>>, deps: &Deps) -> Self {
        let next = last.map_or_else(|| deps.clock.now(), |last| after(last, job.interval(deps)));
        Self { job, last, next, running: false, error: None, failures: 0, hopeless: 0 }
    }

    /// A clock that was set back must not stop a job: a next run further away than the interval is due.
    fn is_due(&self, now: DateTime<Utc>, interval: TimeDelta) -> bool {
        !self.running && (self.next <= now || self.next - now > interval)
    }

    fn view(&self) -> JobView {
        JobView {
            job: self.job.name().to_owned(),
            last_run: self.last,
            next_run: self.next,
            running: self.running,
            failures: self.failures,
            error: self.error.clone(),
        }
    }
}

/// A job that ended: which, the time it ran for, how.
type Finished = (Job, DateTime<Utc>, Result<(), StoreError>);

/// The actor of scheduled jobs.
pub(super) struct Scheduler {
    deps: Deps,
    entries: Vec<Entry>,
    takeover: Arc<Takeover>,
}

impl Child for Scheduler {
    type Args = Deps;

    const KIND: &'static str = "scheduler";

    fn load(deps: Deps, _env: LoadEnv) -> LocalBoxFuture<'static, Result<Loaded<Self>, LoadError>> {
        Box::pin(async move {
            let mut entries = Vec::new();
            for job in Job::ALL {
                let last = if job.is_remembered() { deps.store.last_run(job.name()).await } else { Ok(None) };
                let last = last.map_err(|error| LoadError::Retry(error.to_string()))?;
                entries.push(Entry::new(job, last, &deps));
            }
            Ok(Loaded::Ready(Self { deps, entries, takeover: Arc::default() }))
        })
    }

    fn started(&mut self, cx: &mut Cx<'_, Self>) {
        cx.every(TICK, |scheduler: &mut Self, cx| scheduler.tick(cx));
        self.tick(cx);
    }

    fn snapshot(&self) -> Value {
        json!({"jobs": self.entries.iter().map(Entry::view).collect::<Vec<_>>()})
    }
}

impl Scheduler {
    fn tick(&mut self, cx: &mut Cx<'_, Self>) {
        if self.deps.links.lease_over_for(LET_GO_AFTER.saturating_sub(self.deps.config.lease_ttl)) {
            self.deps.links.let_go();
        }
        // As the store keeps times.
        let now = self.deps.clock.now().trunc_subsecs(3);
        for entry in &mut self.entries {
            if !entry.is_due(now, entry.job.interval(&self.deps)) {
                continue;
            }
            entry.running = true;
            let (job, deps, heartbeat) = (entry.job, self.deps.clone(), cx.heartbeat());
            let takeover = Arc::clone(&self.takeover);
            let work = async move { (job, now, run(job, &deps, &takeover, now, || heartbeat.beat()).await) };
            cx.spawn(work, Self::finished);
        }
    }

    fn finished(&mut self, (job, at, result): Finished, _cx: &mut Cx<'_, Self>) {
        let Some(entry) = self.entries.iter_mut().find(|entry| entry.job == job) else { return };
        entry.running = false;
        match result {
            Ok(()) => {
                entry.last = Some(at);
                entry.next = after(at, job.interval(&self.deps));
                (entry.error, entry.failures, entry.hopeless) = (None, 0, 0);
            }
            Err(error) => {
                entry.failures = entry.failures.saturating_add(1);
                let passing = matches!(error, StoreError::Unavailable(_) | StoreError::DiskFull(_));
                entry.hopeless = if passing { 0 } else { entry.hopeless.saturating_add(1) };
                if job == Job::RenewLease && entry.hopeless >= STORE_LOST_AFTER {
                    self.deps.links.report_store_lost(error.to_string());
                }
                entry.next = after(self.deps.clock.now(), job.retry(&self.deps, entry.failures));
                tracing::warn!(
                    job = job.name(),
                    %error,
                    failures = entry.failures,
                    next = %entry.next,
                    "job failed and is tried again"
                );
                entry.error = Some(error.to_string());
            }
        }
    }
}

fn delta(time: Duration) -> TimeDelta {
    TimeDelta::from_std(time).unwrap_or(TimeDelta::MAX)
}

fn after(time: DateTime<Utc>, wait: TimeDelta) -> DateTime<Utc> {
    time.checked_add_signed(wait).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

async fn run(
    job: Job,
    deps: &Deps,
    takeover: &Takeover,
    now: DateTime<Utc>,
    beat: impl Fn(),
) -> Result<(), StoreError> {
    match job {
        Job::RenewLease => {
            let asked = Instant::now();
            deps.store.renew(deps.config.lease_ttl).await?;
            // Counted from before the question, so that a slow store never makes the lease longer here than there.
            deps.links.set_lease(asked + deps.config.lease_ttl);
        }
        Job::TakeOver => takeover.look(deps).await?,
        Job::Purge => {
            let keep = TimeDelta::from_std(deps.config.retention).unwrap_or(TimeDelta::MAX);
            let Some(before) = now.checked_sub_signed(keep) else { return Ok(()) };
            let batch = deps.config.purge_batch;
            while deps.store.purge(before, batch).await? >= u64::from(batch) {
                // There may be as many as there were days without a purge.
                beat();
                tokio::task::yield_now().await;
            }
        }
    }
    if job.is_remembered() { deps.store.ran(job.name(), now).await } else { Ok(()) }
}
