//! Watches the supervision tree and writes what changes about sessions, queues and failing actors into the outbox of events.
//!
//! It is told which children changed and looks at those alone, so that its work grows with the changes and not with
//! the tree. Many changes of one child between two looks are one.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use serde_json::{Value, json};
use switchyard_actors::model::{Audience, NewDomainEvent, Topic, UserId};
use switchyard_actors::ports::StoreError;
use switchyard_actors::supervision::{
    ChangeFeed, Child, ChildPath, Cx, LoadEnv, LoadError, Loaded, NodeState, NodeView, Tree,
};

use crate::services::states::{QueueStanding, SessionStanding, why};
use crate::store::Store;

/// Changes that come so close together are written in one transaction.
const GATHERED: Duration = Duration::from_millis(50);

/// Time before what could not be written is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// What the watcher is given.
#[derive(Clone)]
pub struct WatcherArgs {
    /// The tree.
    pub tree: Tree,
    /// Where events are written.
    pub store: Store,
}

/// The actor that watches the tree.
pub struct Watcher {
    args: WatcherArgs,
    /// The word by which each child was last told of; one that was never told of is well.
    known: HashMap<ChildPath, &'static str>,
    told: u64,
}

impl Child for Watcher {
    type Args = WatcherArgs;

    const KIND: &'static str = "watcher";

    fn load(args: WatcherArgs, _: LoadEnv) -> LocalBoxFuture<'static, Result<Loaded<Self>, LoadError>> {
        Box::pin(async move { Ok(Loaded::Ready(Self { args, known: HashMap::new(), told: 0 })) })
    }

    fn started(&mut self, cx: &mut Cx<'_, Self>) {
        let feed = self.args.tree.changes();
        watch(feed, cx);
    }

    fn snapshot(&self) -> Value {
        json!({ "told": self.told, "known": self.known.len() })
    }
}

/// Waits for the next changes.
fn watch(mut feed: ChangeFeed, cx: &mut Cx<'_, Watcher>) {
    let changed = async move {
        let mut changed = feed.next().await;
        tokio::time::sleep(GATHERED).await;
        if let Some(more) = futures_util::FutureExt::now_or_never(feed.next()) {
            changed.extend(more);
        }
        (feed, changed)
    };
    cx.serve(changed, |watcher: &mut Watcher, (feed, changed), cx| watcher.look(feed, &changed, cx));
}

impl Watcher {
    fn look(&mut self, feed: ChangeFeed, changed: &BTreeSet<ChildPath>, cx: &mut Cx<'_, Self>) {
        let mut events = Vec::new();
        for path in changed {
            match self.args.tree.view(path) {
                Some(node) => events.extend(self.judge(&node)),
                None => drop(self.known.remove(path)),
            }
        }
        if events.is_empty() {
            return watch(feed, cx);
        }
        self.told = self.told.saturating_add(u64::try_from(events.len()).unwrap_or(0));
        let (store, heartbeat) = (self.args.store.clone(), cx.heartbeat());
        let write = async move {
            loop {
                match store.publish_events(events.clone()).await {
                    Err(
                        error @ (StoreError::Unavailable(_)
                        | StoreError::DiskFull(_)
                        | StoreError::NotFound(_)),
                    ) => {
                        tracing::warn!(%error, events = events.len(), "events wait for the store");
                        heartbeat.beat();
                        tokio::time::sleep(AGAIN).await;
                    }
                    done => break done.map(|()| feed),
                }
            }
        };
        cx.serve(write, |_: &mut Self, written, cx| match written {
            Ok(feed) => watch(feed, cx),
            Err(error) => cx.fail(error.to_string()),
        });
    }

    /// The event of a child that is told of by another word than before.
    fn judge(&mut self, node: &NodeView) -> Option<NewDomainEvent> {
        let path = node.path.as_str();
        let (topic, word, well) = if path.starts_with("sessions/") {
            (Topic::SessionState, SessionStanding::of(node).as_str(), SessionStanding::Connecting.as_str())
        } else if path.starts_with("queues/") {
            (Topic::QueueState, QueueStanding::of(node).as_str(), QueueStanding::Running.as_str())
        } else {
            (Topic::ActorState, actor_word(node.state)?, "running")
        };
        // A queue that starts for the first time is nothing to tell of.
        if word == QueueStanding::Restarting.as_str() && node.epoch <= 1 && node.last_failure.is_none() {
            return None;
        }
        let before = self.known.insert(node.path.clone(), word).unwrap_or(well);
        if before == word {
            return None;
        }
        Some(event(node, topic, before, word))
    }
}

/// Of actors that are no session or queue only those that are out of service, and those that are back, are told of.
const fn actor_word(state: NodeState) -> Option<&'static str> {
    match state {
        NodeState::Running => Some("running"),
        NodeState::Parked => Some("parked"),
        NodeState::Backoff => Some("backoff"),
        NodeState::Suspended => Some("suspended"),
        NodeState::Starting | NodeState::Draining | NodeState::Stopped => None,
    }
}

fn event(node: &NodeView, topic: Topic, before: &str, word: &str) -> NewDomainEvent {
    let user = node.observable.get("user").and_then(Value::as_str).and_then(|id| id.parse::<UserId>().ok());
    let mut body = json!({ "path": node.path, "state": word, "before": before, "since": node.since });
    if let Some(fields) = body.as_object_mut() {
        if matches!(topic, Topic::SessionState | Topic::QueueState) {
            fields.insert("account".to_owned(), json!(node.path.id()));
        }
        if let Some(until) = node.observable.get("until").filter(|until| until.is_string()) {
            fields.insert("until".to_owned(), until.clone());
        }
        if let Some(why) = why(node).filter(|_| !matches!(word, "connected" | "running")) {
            fields.insert("reason".to_owned(), Value::from(why));
        }
    }
    let audience = if user.is_some() { Audience::User } else { Audience::Staff };
    NewDomainEvent { topic, user, audience, subject: node.path.to_string(), body }
}
