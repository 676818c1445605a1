//! Runs jobs by the injected clock and keeps their last run in the store, so that a restart neither skips nor repeats one.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::LocalBoxFuture;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::deps::Deps;
use crate::ports::StoreError;
use crate::supervision::{Child, Cx, LoadEnv, LoadError, Loaded};

/// How often the scheduler looks at the clock.
const TICK: Duration = Duration::from_secs(1);

/// Renewals in a row that a store answers with a failure that no waiting mends, after which it counts as lost.
const STORE_LOST_AFTER: u32 = 3;

/// What can be scheduled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Job {
    /// Renews the node's lease.
    RenewLease,
    /// Deletes what retention no longer keeps.
    Purge,
}

impl Job {
    const ALL: [Self; 2] = [Self::RenewLease, Self::Purge];

    const fn name(self) -> &'static str {
        match self {
            Self::RenewLease => "lease.renew",
            Self::Purge => "retention.purge",
        }
    }

    fn interval(self, deps: &Deps) -> Duration {
        match self {
            Self::RenewLease => deps.config.lease_renew,
            Self::Purge => deps.config.purge_interval,
        }
    }
}

struct Entry {
    job: Job,
    last: Option<DateTime<Utc>>,
    running: bool,
    error: Option<String>,
    failures: u32,
}

/// A job that ended: which, the time it ran for, how.
type Finished = (Job, DateTime<Utc>, Result<(), StoreError>);

/// The actor of scheduled jobs.
pub(super) struct Scheduler {
    deps: Deps,
    entries: Vec<Entry>,
}

impl Child for Scheduler {
    type Args = Deps;

    const KIND: &'static str = "scheduler";

    fn load(deps: Deps, _env: LoadEnv) -> LocalBoxFuture<'static, Result<Loaded<Self>, LoadError>> {
        Box::pin(async move {
            let mut entries = Vec::new();
            for job in Job::ALL {
                let last = deps.store.last_run(job.name()).await;
                let last = last.map_err(|error| LoadError::Retry(error.to_string()))?;
                // A lease of before this start says nothing about now.
                let last = if job == Job::RenewLease { None } else { last };
                entries.push(Entry { job, last, running: false, error: None, failures: 0 });
            }
            Ok(Loaded::Ready(Self { deps, entries }))
        })
    }

    fn started(&mut self, cx: &mut Cx<'_, Self>) {
        cx.every(TICK, |scheduler: &mut Self, cx| scheduler.tick(cx));
        self.tick(cx);
    }

    fn snapshot(&self) -> Value {
        let view = |entry: &Entry| {
            let interval = TimeDelta::from_std(entry.job.interval(&self.deps)).unwrap_or(TimeDelta::MAX);
            json!({
                "job": entry.job.name(),
                "last_run": entry.last,
                "next_run": entry.last.and_then(|last| last.checked_add_signed(interval)),
                "running": entry.running,
                "error": entry.error,
            })
        };
        json!({"jobs": self.entries.iter().map(view).collect::<Vec<_>>()})
    }
}

impl Scheduler {
    fn tick(&mut self, cx: &mut Cx<'_, Self>) {
        let now = self.deps.clock.now();
        for entry in &mut self.entries {
            let interval = TimeDelta::from_std(entry.job.interval(&self.deps)).unwrap_or(TimeDelta::MAX);
            // A clock that was set back must not stop a job: a last run in the future counts as none.
            let due = entry.last.is_none_or(|last| last > now || now - last >= interval);
            if !due || entry.running {
                continue;
            }
            entry.running = true;
            let (job, deps) = (entry.job, self.deps.clone());
            cx.spawn(async move { (job, now, run(job, &deps, now).await) }, Self::finished);
        }
    }

    fn finished(&mut self, (job, at, result): Finished, _cx: &mut Cx<'_, Self>) {
        let Some(entry) = self.entries.iter_mut().find(|entry| entry.job == job) else { return };
        entry.running = false;
        match result {
            Ok(()) => {
                entry.last = Some(at);
                entry.error = None;
                entry.failures = 0;
            }
            Err(error) => {
                tracing::warn!(job = job.name(), %error, "job failed and runs again");
                let passing = matches!(error, StoreError::Unavailable(_) | StoreError::DiskFull(_));
                entry.failures = if passing { 0 } else { entry.failures.saturating_add(1) };
                if job == Job::RenewLease && entry.failures >= STORE_LOST_AFTER {
                    self.deps.links.report_store_lost(error.to_string());
                }
                entry.error = Some(error.to_string());
            }
        }
    }
}

async fn run(job: Job, deps: &Deps, now: DateTime<Utc>) -> Result<(), StoreError> {
    match job {
        Job::RenewLease => {
            let asked = Instant::now();
            deps.store.renew(deps.config.lease_ttl).await?;
            // Counted from before the question, so that a slow store never makes the lease longer here than there.
            deps.links.set_lease(asked + deps.config.lease_ttl);
            return Ok(());
        }
        Job::Purge => {
            let keep = TimeDelta::from_std(deps.config.retention).unwrap_or(TimeDelta::MAX);
            let Some(before) = now.checked_sub_signed(keep) else { return Ok(()) };
            let batch = deps.config.purge_batch;
            while deps.store.purge(before, batch).await? >= u64::from(batch) {
                tokio::task::yield_now().await;
            }
        }
    }
    deps.store.ran(job.name(), now).await
}
