//! A forwarding pair: claims its open routes in order, runs the pure pipeline, writes deliveries or typed skips.

use std::collections::BTreeSet;

use futures_util::future::LocalBoxFuture;
use serde_json::{Value, json};

use super::deps::{Deps, until_stored};
use crate::model::{Fence, OpenRoute, Pair, PairId, PauseCause, RouteId, RouteVerdict, SkipReason};
use crate::pipeline;
use crate::ports::StoreError;
use crate::supervision::{Child, Cx, Handle, LoadEnv, LoadError, Loaded, Message};

/// Identity and what it is given.
#[derive(Clone)]
pub struct PairArgs {
    /// The pair.
    pub id: PairId,
    /// Ports and siblings.
    pub deps: Deps,
}

/// There may be open routes.
pub struct Wake;

impl Message for Wake {
    type Reply = ();
}

/// The pair was changed in the store.
pub struct Changed;

impl Message for Changed {
    type Reply = ();
}

/// The actor of one pair.
pub struct PairActor {
    args: PairArgs,
    pair: Pair,
    fence: Fence,
    busy: bool,
    woken: bool,
    planned: u64,
    skipped: u64,
}

/// What one round did.
struct Round {
    planned: u64,
    skipped: u64,
    more: bool,
}

impl Child for PairActor {
    type Args = PairArgs;

    const KIND: &'static str = "pair";

    fn load(args: PairArgs, _env: LoadEnv) -> LocalBoxFuture<'static, Result<Loaded<Self>, LoadError>> {
        Box::pin(async move {
            let pair = match args.deps.store.pair(args.id).await {
                Ok(pair) => pair,
                Err(StoreError::NotFound(what)) => return Err(LoadError::Fatal(format!("{what} not found"))),
                Err(error) => return Err(LoadError::Retry(error.to_string())),
            };
            let fence = args.deps.fence(pair.target_account).await;
            let fence = fence.map_err(|error| LoadError::Retry(error.to_string()))?;
            let (busy, woken, planned, skipped) = (false, false, 0, 0);
            Ok(Loaded::Ready(Self { args, pair, fence, busy, woken, planned, skipped }))
        })
    }

    fn started(&mut self, cx: &mut Cx<'_, Self>) {
        cx.every(self.args.deps.config.poll_interval, |pair: &mut Self, cx| pair.step(cx));
        self.step(cx);
    }

    fn snapshot(&self) -> Value {
        let paused: &BTreeSet<PauseCause> = &self.pair.paused;
        json!({
            "user": self.pair.user,
            "source": self.pair.source,
            "target": self.pair.target,
            "target_account": self.pair.target_account,
            "paused": paused,
            "busy": self.busy,
            "delivered_to_queue": self.planned,
            "skipped": self.skipped,
        })
    }
}

impl Handle<Wake> for PairActor {
    fn handle(&mut self, Wake: Wake, cx: &mut Cx<'_, Self>) {
        self.step(cx);
    }
}

impl Handle<Changed> for PairActor {
    fn handle(&mut self, Changed: Changed, cx: &mut Cx<'_, Self>) {
        let (store, id) = (self.args.deps.store.clone(), self.args.id);
        cx.spawn(async move { store.pair(id).await }, |pair: &mut Self, read, cx| match read {
            Ok(fresh) => {
                pair.pair = fresh;
                pair.step(cx);
            }
            Err(error) => cx.fail(error.to_string()),
        });
    }
}

impl PairActor {
    fn step(&mut self, cx: &mut Cx<'_, Self>) {
        if self.busy {
            self.woken = true;
            return;
        }
        if !self.pair.paused.is_empty() {
            return;
        }
        self.busy = true;
        self.woken = false;
        let heartbeat = cx.heartbeat();
        let round = round(self.args.clone(), self.pair.clone(), self.fence, move || heartbeat.beat());
        cx.spawn(round, Self::finished);
    }

    fn finished(&mut self, round: Result<Round, StoreError>, cx: &mut Cx<'_, Self>) {
        self.busy = false;
        match round {
            Ok(round) => {
                self.planned += round.planned;
                self.skipped += round.skipped;
                if round.planned > 0 {
                    self.args.deps.links.wake_queue(self.pair.target_account, self.pair.id);
                }
                if round.more || self.woken {
                    self.step(cx);
                }
            }
            Err(StoreError::Unavailable(error) | StoreError::DiskFull(error)) => {
                tracing::warn!(pair = %self.args.id, error, "pair waits for the store");
                let wait = self.args.deps.config.retry.delay(1, self.args.deps.rng.next_u64());
                cx.after(wait, |pair: &mut Self, cx| pair.step(cx));
            }
            Err(error) => cx.fail(error.to_string()),
        }
    }
}

/// One round: claim, plan, close.
async fn round(args: PairArgs, pair: Pair, fence: Fence, beat: impl Fn()) -> Result<Round, StoreError> {
    let deps = &args.deps;
    let limit = deps.config.claim_batch;
    let routes = deps.store.claim(pair.id, limit).await?;
    let full = u32::try_from(routes.len()).is_ok_and(|claimed| claimed >= limit);
    if routes.is_empty() {
        return Ok(Round { planned: 0, skipped: 0, more: false });
    }
    let (verdicts, isolated) = plan(deps, &pair, &routes)?;
    // In place: a store that is away must not count as another attempt at these routes.
    until_stored(deps, fence, &beat, || deps.store.close(fence, pair.id, &verdicts)).await?;
    let planned = verdicts.iter().filter(|(_, verdict)| matches!(verdict, RouteVerdict::Deliver(_))).count();
    let planned = u64::try_from(planned).unwrap_or(u64::MAX);
    let all = u64::try_from(verdicts.len()).unwrap_or(u64::MAX);
    Ok(Round { planned, skipped: all.saturating_sub(planned), more: full || isolated })
}

/// Runs the pipeline. A route that failed before is planned alone, so that a poison event cannot take others down
/// with it, and only so often.
fn plan(
    deps: &Deps,
    pair: &Pair,
    routes: &[OpenRoute],
) -> Result<(Vec<(RouteId, RouteVerdict)>, bool), StoreError> {
    let Some(first) = routes.first() else { return Ok((Vec::new(), false)) };
    if first.attempts > deps.config.poison_attempts {
        tracing::error!(pair = %pair.id, route = %first.id, attempts = first.attempts, "route is skipped as poison");
        return Ok((vec![(first.id, RouteVerdict::Skip(SkipReason::Poison))], true));
    }
    let alone = first.attempts > 1;
    let batch = if alone { routes.get(..1).unwrap_or(routes) } else { routes };
    deps.failpoints.hit("pair.plan", &pair.id.to_string()).map_err(StoreError::Failed)?;
    let decide = |route: &OpenRoute| (route.id, pipeline::plan(&route.event, pair, &deps.config.pipeline));
    Ok((batch.iter().map(decide).collect(), alone))
}
