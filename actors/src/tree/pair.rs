//! A forwarding pair: claims its open routes in order, runs the pure pipeline, writes deliveries or typed skips.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use futures_util::future::LocalBoxFuture;
use serde_json::{Value, json};

use super::deps::{Deps, until_stored};
use super::latest::Latest;
use crate::model::{
    AlertSeverity, Fence, MessageId, OpenRoute, Origin, Pair, PairId, PauseCause, RouteVerdict, SkipReason,
    SourceEvent,
};
use crate::pipeline::{self, Facts};
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
    /// Readings of the pair: of two at once the later one counts, whichever comes first.
    readings: Latest,
    fence: Fence,
    /// What it failed of before this start.
    blame: Option<Arc<str>>,
    busy: bool,
    woken: bool,
    /// The store failed the last round: the next is no other attempt.
    failed_by_store: bool,
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

    fn load(args: PairArgs, env: LoadEnv) -> LocalBoxFuture<'static, Result<Loaded<Self>, LoadError>> {
        Box::pin(async move {
            let pair = match args.deps.store.pair(args.id).await {
                Ok(pair) => pair,
                Err(StoreError::NotFound(what)) => return Err(LoadError::Fatal(format!("{what} not found"))),
                Err(error) => return Err(LoadError::Retry(error.to_string())),
            };
            let fence = args.deps.fence(pair.target_account).await;
            let fence = fence.map_err(|error| LoadError::Retry(error.to_string()))?;
            let blame = env.last_failure().map(|failure| failure.to_string().into());
            let (busy, woken, planned, skipped) = (false, false, 0, 0);
            Ok(Loaded::Ready(Self {
                args,
                pair,
                readings: Latest::default(),
                fence,
                blame,
                busy,
                woken,
                failed_by_store: false,
                planned,
                skipped,
            }))
        })
    }

    fn started(&mut self, cx: &mut Cx<'_, Self>) {
        cx.every(self.args.deps.config.poll_interval, |pair: &mut Self, cx| pair.look(cx));
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
        self.reread(cx, |error, cx| cx.fail(error.to_string()));
    }
}

impl PairActor {
    /// Looks for what nobody told of: routes, or the end of a pause.
    fn look(&mut self, cx: &mut Cx<'_, Self>) {
        if self.pair.paused.is_empty() {
            return self.step(cx);
        }
        self.reread(cx, |error, _| tracing::warn!(%error, "pair waits for the store"));
    }

    /// Takes over what the store says of the pair.
    fn reread(&mut self, cx: &mut Cx<'_, Self>, failed: fn(StoreError, &mut Cx<'_, Self>)) {
        let (store, id, reading) = (self.args.deps.store.clone(), self.args.id, self.readings.ask());
        cx.spawn(async move { store.pair(id).await }, move |pair: &mut Self, read, cx| match read {
            Ok(fresh) if pair.readings.take(reading) => {
                pair.pair = fresh;
                pair.step(cx);
            }
            Ok(_) => {}
            Err(error) => failed(error, cx),
        });
    }

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
        let again = self.failed_by_store;
        let claimed = claim(self.args.deps.clone(), self.pair.clone(), again, move || heartbeat.beat());
        // A drain cuts this short: it may wait for the answer to somebody's send.
        cx.serve(claimed, |pair: &mut Self, claimed, cx| match claimed {
            Ok(Some(claimed)) => pair.write(claimed, cx),
            Ok(None) => pair.finished(Ok(Round { planned: 0, skipped: 0, more: false }), cx),
            Err(error) => pair.finished(Err(error), cx),
        });
    }

    fn write(&mut self, claimed: Claimed, cx: &mut Cx<'_, Self>) {
        let heartbeat = cx.heartbeat();
        let (deps, pair, fence) = (self.args.deps.clone(), self.pair.clone(), self.fence);
        let blame = self.blame.clone();
        let written = async move {
            let poison = claimed.poison();
            let round = write(&deps, &pair, fence, claimed, || heartbeat.beat()).await?;
            if let Some(message) = poison {
                given_up(&deps, &pair, message, blame.as_deref());
            }
            Ok(round)
        };
        cx.spawn(written, Self::finished);
    }

    fn finished(&mut self, round: Result<Round, StoreError>, cx: &mut Cx<'_, Self>) {
        self.busy = false;
        self.failed_by_store = matches!(round, Err(StoreError::Unavailable(_) | StoreError::DiskFull(_)));
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

/// Routes that are planned together.
struct Claimed {
    routes: Vec<OpenRoute>,
    /// What the store knows of the first of them, at least of one; `None` for a poison route, which is alone.
    known: Option<Vec<Facts>>,
    /// There is more to claim.
    more: bool,
}

impl Claimed {
    /// The message that is given up, if this is one.
    fn poison(&self) -> Option<MessageId> {
        let route = self.routes.first().filter(|_| self.known.is_none());
        route.map(|route| route.event.message_id())
    }
}

/// Says of a message that it is given up, and of what it failed.
fn given_up(deps: &Deps, pair: &Pair, message: MessageId, blame: Option<&str>) {
    let why = blame.unwrap_or("its failures are not known any more");
    let text = format!("message {message} is given up: the pair failed over it each time, last of {why}");
    deps.alert(AlertSeverity::Critical, "pair.poison", &format!("pairs/{}", pair.id), Some(pair.user), text);
}

/// The first half of a round: claims what is open and learns what there is to know of it.
async fn claim(deps: Deps, pair: Pair, again: bool, beat: impl Fn()) -> Result<Option<Claimed>, StoreError> {
    let limit = deps.config.claim_batch;
    let mut routes = if again {
        deps.store.reclaim(pair.id, limit).await?
    } else {
        deps.store.claim(pair.id, limit).await?
    };
    let full = u32::try_from(routes.len()).is_ok_and(|claimed| claimed >= limit);
    let Some(first) = routes.first() else { return Ok(None) };
    if first.attempts > deps.config.poison_attempts {
        tracing::error!(pair = %pair.id, route = %first.id, attempts = first.attempts, "route is skipped as poison");
        routes.truncate(1);
        return Ok(Some(Claimed { routes, known: None, more: true }));
    }
    let together = batch(&routes).len();
    let more = full || together < routes.len();
    routes.truncate(together);
    let known = until_decided(&deps, &pair, &routes, &beat).await?;
    let more = more || known.len() < routes.len();
    Ok(Some(Claimed { routes, known: Some(known), more }))
}

/// The second half: plans and closes.
async fn write(
    deps: &Deps,
    pair: &Pair,
    fence: Fence,
    claimed: Claimed,
    beat: impl Fn(),
) -> Result<Round, StoreError> {
    let Claimed { routes, known, more } = claimed;
    let verdicts: Vec<_> = match known {
        None => routes.iter().map(|route| (route.id, RouteVerdict::Skip(SkipReason::Poison))).collect(),
        Some(known) => {
            deps.failpoints.hit("pair.plan", &pair.id.to_string()).map_err(StoreError::Failed)?;
            let decide = |(route, facts): (&OpenRoute, Facts)| {
                (route.id, pipeline::plan(&route.event, pair, facts, &deps.config.pipeline))
            };
            routes.iter().zip(known).map(decide).collect()
        }
    };
    // In place: a store that is away must not count as another attempt at these routes.
    until_stored(deps, fence, &beat, || deps.store.close(fence, pair.id, &verdicts)).await?;
    let planned = verdicts.iter().filter(|(_, verdict)| matches!(verdict, RouteVerdict::Deliver(_))).count();
    let planned = u64::try_from(planned).unwrap_or(u64::MAX);
    let all = u64::try_from(verdicts.len()).unwrap_or(u64::MAX);
    Ok(Round { planned, skipped: all.saturating_sub(planned), more })
}

/// The routes that can be planned together. A route that failed before is planned alone, so that a poison event cannot
/// take others down with it. A change of a message goes apart from what came before of the same message: whether it was
/// forwarded is known only when that is written.
fn batch(routes: &[OpenRoute]) -> &[OpenRoute] {
    if routes.first().is_some_and(|first| first.attempts > 1) {
        return routes.get(..1).unwrap_or(routes);
    }
    let mut seen = HashSet::new();
    let apart = routes.iter().position(|route| !seen.insert(route.event.message_id()));
    apart.and_then(|at| routes.get(..at)).unwrap_or(routes)
}

/// What the store knows of the messages, of the first at least. In place, as claiming anew would count as another failure.
async fn until_decided(
    deps: &Deps,
    pair: &Pair,
    batch: &[OpenRoute],
    beat: &impl Fn(),
) -> Result<Vec<Facts>, StoreError> {
    loop {
        let known = facts(deps, pair, batch).await?;
        if !known.is_empty() {
            return Ok(known);
        }
        tracing::debug!(pair = %pair.id, "pair waits for the answer to a send that may be what it read");
        beat();
        tokio::time::sleep(deps.config.retry.delay(1, deps.rng.next_u64())).await;
    }
}

/// What the store knows of the messages, up to the first that is undecided.
async fn facts(deps: &Deps, pair: &Pair, batch: &[OpenRoute]) -> Result<Vec<Facts>, StoreError> {
    let written: Vec<_> = batch.iter().filter_map(|route| written(&route.event)).collect();
    let mut origins = HashMap::new();
    if !written.is_empty() {
        let wait = i64::try_from(deps.config.answer_wait.as_millis()).unwrap_or(i64::MAX);
        let since = deps.now_ms().saturating_sub(wait);
        let answers = deps.store.origins(pair.source_account, pair.source, &written, since).await?;
        origins.extend(written.iter().map(|(message, _)| *message).zip(answers));
    }
    let mut known = Vec::with_capacity(batch.len());
    for route in batch {
        let message = route.event.message_id();
        let is_copy = match origins.get(&message) {
            Some(Origin::Undecided) => break,
            Some(Origin::Copy) => true,
            Some(Origin::Foreign) | None => false,
        };
        let parts = match route.event {
            SourceEvent::New(_) => None,
            SourceEvent::Edited(_) | SourceEvent::Deleted { .. } => {
                deps.store.forwarded(pair.id, pair.source.chat, message).await?
            }
        };
        known.push(Facts { is_copy, parts });
    }
    Ok(known)
}

/// A message with its author.
fn written(event: &SourceEvent) -> Option<(MessageId, Option<i64>)> {
    match event {
        SourceEvent::New(message) | SourceEvent::Edited(message) => {
            Some((message.id, message.sender.as_ref().map(|sender| sender.id)))
        }
        SourceEvent::Deleted { .. } => None,
    }
}
