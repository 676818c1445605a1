//! Carries jobs on: takes what waits and what a crash left behind, a few at a time, portion by portion.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use serde_json::{Value, json};
use switchyard_actors::model::JobId;
use switchyard_actors::ports::StoreError;
use switchyard_actors::supervision::{Child, Cx, LoadEnv, LoadError, Loaded};
use tokio::sync::Notify;

use super::{Portion, Workers};
use crate::services::fault::Fault;
use crate::store::{JobProgress, JobState, Store, WorkJob};

/// Bounds of the runner. Every field has a key in config.toml, section `jobs`.
#[derive(Clone, Copy, Debug)]
pub struct RunnerConfig {
    /// Jobs of this node at once.
    pub parallel_max: usize,
    /// How long a claim lasts without progress; then another node takes the job over.
    pub lease: Duration,
    /// How often abandoned jobs are looked for.
    pub poll_interval: Duration,
    /// Time before a portion is tried again for which something was not available.
    pub retry_interval: Duration,
}

/// What the runner is given.
#[derive(Clone)]
pub struct RunnerArgs {
    /// Where jobs are kept.
    pub store: Store,
    /// Who does the work.
    pub workers: Arc<Workers>,
    /// Rings when something was ordered.
    pub bell: Arc<Notify>,
    /// Bounds.
    pub config: RunnerConfig,
}

/// The actor that carries jobs on.
pub struct Runner {
    args: RunnerArgs,
    running: Vec<JobId>,
    claiming: bool,
    /// What this node had claimed before this instance is to be taken up again.
    fresh: bool,
    ended: u64,
}

impl Child for Runner {
    type Args = RunnerArgs;

    const KIND: &'static str = "jobs";

    fn load(args: RunnerArgs, _: LoadEnv) -> LocalBoxFuture<'static, Result<Loaded<Self>, LoadError>> {
        Box::pin(async move {
            Ok(Loaded::Ready(Self { args, running: Vec::new(), claiming: false, fresh: true, ended: 0 }))
        })
    }

    fn started(&mut self, cx: &mut Cx<'_, Self>) {
        cx.every(self.args.config.poll_interval, |runner: &mut Self, cx| runner.claim(cx));
        self.listen(cx);
        self.claim(cx);
    }

    fn snapshot(&self) -> Value {
        json!({ "running": self.running, "ended": self.ended })
    }
}

impl Runner {
    fn listen(&self, cx: &mut Cx<'_, Self>) {
        let bell = Arc::clone(&self.args.bell);
        cx.serve(async move { bell.notified().await }, |runner: &mut Self, (), cx| {
            runner.claim(cx);
            runner.listen(cx);
        });
    }

    fn claim(&mut self, cx: &mut Cx<'_, Self>) {
        let free = self.args.config.parallel_max.saturating_sub(self.running.len());
        if self.claiming || free == 0 {
            return;
        }
        self.claiming = true;
        let (store, lease, own) = (self.args.store.clone(), self.args.config.lease, self.fresh);
        let limit = u64::try_from(free).unwrap_or(u64::MAX);
        let claim = async move { store.claim_jobs(limit, lease, own).await };
        cx.serve(claim, move |runner: &mut Self, claimed, cx| {
            runner.claiming = false;
            match claimed {
                Ok(jobs) => {
                    // Of what this node had before, the first catch takes as much as it may do at once; the rest is
                    // taken up when its claim has ended.
                    runner.fresh = false;
                    for job in jobs {
                        runner.running.push(job.id);
                        runner.carry_on(job, Duration::ZERO, cx);
                    }
                }
                Err(error) => tracing::warn!(%error, "jobs wait for the store"),
            }
        });
    }

    fn carry_on(&self, job: WorkJob, wait: Duration, cx: &mut Cx<'_, Self>) {
        let args = self.args.clone();
        let id = job.id;
        let portion = async move {
            tokio::time::sleep(wait).await;
            portion(&args, &job).await
        };
        cx.serve(portion, move |runner: &mut Self, carried, cx| match carried {
            Ok(Carried::On(job)) => runner.carry_on(job, Duration::ZERO, cx),
            Ok(Carried::Again(job)) => runner.carry_on(job, runner.args.config.retry_interval, cx),
            Ok(Carried::Over) => runner.over(id, cx),
            Err(error) => {
                // Another node's now, or gone: nothing of it is lost.
                tracing::warn!(job = %id, %error, "job is left to others");
                runner.over(id, cx);
            }
        });
    }

    fn over(&mut self, id: JobId, cx: &mut Cx<'_, Self>) {
        self.running.retain(|running| *running != id);
        self.ended = self.ended.saturating_add(1);
        self.claim(cx);
    }
}

/// What came of a portion.
enum Carried {
    /// There is more to do.
    On(WorkJob),
    /// The same portion again, later.
    Again(WorkJob),
    /// It is over.
    Over,
}

async fn portion(args: &RunnerArgs, job: &WorkJob) -> Result<Carried, StoreError> {
    let done = match args.workers.get(job.kind.as_str()) {
        Some(worker) => worker.portion(job).await,
        None => Err(Fault::Conflict(format!("this version knows no jobs of kind {}", job.kind))),
    };
    let progress = match done {
        Ok(Portion::Progress(progress)) => progress,
        Ok(Portion::Kept { over: false }) => return Ok(Carried::On(args.store.job(job.id).await?)),
        Ok(Portion::Kept { over: true }) => return Ok(Carried::Over),
        Err(fault @ (Fault::Unavailable(_) | Fault::TooMany(_))) => {
            tracing::warn!(job = %job.id, %fault, "job waits");
            JobProgress { error: Some(fault.to_string()), ..JobProgress::default() }
        }
        Err(fault) => JobProgress {
            error: Some(fault.to_string()),
            ended: Some(JobState::Failed),
            ..JobProgress::default()
        },
    };
    let again = progress.ended.is_none() && progress.done == 0 && progress.failed == 0;
    let job = keep(args, job, progress).await?;
    if job.state.is_over() {
        tracing::info!(job = %job.id, kind = job.kind, done = job.done, failed = job.failed, "job is over");
        return Ok(Carried::Over);
    }
    Ok(if again { Carried::Again(job) } else { Carried::On(job) })
}

/// Keeps progress, however long the store needs: what was done must not be counted twice.
async fn keep(args: &RunnerArgs, job: &WorkJob, progress: JobProgress) -> Result<WorkJob, StoreError> {
    loop {
        match args.store.advance_job(job.id, progress.clone(), args.config.lease).await {
            Err(error @ (StoreError::Unavailable(_) | StoreError::DiskFull(_))) => {
                tracing::warn!(job = %job.id, %error, "job waits for the store");
                tokio::time::sleep(args.config.retry_interval).await;
            }
            done => return done,
        }
    }
}
