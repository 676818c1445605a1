//! Follows what other nodes were told to do: a user who is suspended, restored or given another plan by any node feels it on
//! this one too.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use serde_json::{Value, json};
use switchyard_actors::model::{DomainEvent, Topic, UserId};
use switchyard_actors::supervision::{Child, Cx, LoadEnv, LoadError, Loaded};
use switchyard_actors::tree::{ChangeError, Operator};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::Events;

/// Time before what could not be followed is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// What the follower is given.
#[derive(Clone)]
pub struct FollowerArgs {
    /// The streams.
    pub events: Arc<Events>,
    /// The tree that is to follow.
    pub operator: Operator,
    /// How long sends that are under way are waited for.
    pub wait: Duration,
}

/// The actor that follows.
pub struct Follower {
    args: FollowerArgs,
    followed: u64,
    failures: u64,
}

/// What the tree is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Suspended(UserId),
    Restored(UserId),
    Plan(UserId),
    /// Events were missed: everything that is known is read again.
    Everything,
    Nothing,
}

impl Order {
    fn of(event: &DomainEvent) -> Self {
        match (event.topic, event.user) {
            (Topic::UserSuspended, Some(user)) => Self::Suspended(user),
            (Topic::UserRestored, Some(user)) => Self::Restored(user),
            (Topic::UserPlan, Some(user)) => Self::Plan(user),
            // Nothing of theirs runs either.
            (Topic::UserChanged, Some(user)) if event.data.get("state") == Some(&json!("deleting")) => {
                Self::Suspended(user)
            }
            _ => Self::Nothing,
        }
    }

    async fn carry_out(self, operator: &Operator, wait: Duration) -> Result<(), ChangeError> {
        match self {
            Self::Suspended(user) => operator.user_suspended(user, wait).await,
            Self::Restored(user) => operator.user_restored(user, wait).await,
            Self::Plan(user) => operator.plan_changed(user).await,
            Self::Everything => operator.standings_changed(wait).await,
            Self::Nothing => Ok(()),
        }
    }
}

impl Child for Follower {
    type Args = FollowerArgs;

    const KIND: &'static str = "follower";

    fn load(args: FollowerArgs, _: LoadEnv) -> LocalBoxFuture<'static, Result<Loaded<Self>, LoadError>> {
        Box::pin(async move { Ok(Loaded::Ready(Self { args, followed: 0, failures: 0 })) })
    }

    fn started(&mut self, cx: &mut Cx<'_, Self>) {
        // What was told before this actor listened is read whole: after a restart it may have missed something.
        let live = self.args.events.live.subscribe();
        self.follow(live, Order::Everything, cx);
    }

    fn snapshot(&self) -> Value {
        json!({ "followed": self.followed, "failures": self.failures })
    }
}

impl Follower {
    fn follow(&self, live: Receiver<Arc<DomainEvent>>, order: Order, cx: &mut Cx<'_, Self>) {
        let (operator, wait) = (self.args.operator.clone(), self.args.wait);
        let next = async move {
            let carried = order.carry_out(&operator, wait).await;
            let next = if carried.is_ok() {
                next(live).await
            } else {
                tokio::time::sleep(AGAIN).await;
                Some((live, Order::Everything))
            };
            (carried, order, next)
        };
        cx.serve(next, |follower: &mut Self, (carried, order, next), cx| {
            follower.carried(order, carried);
            match next {
                Some((live, order)) => follower.follow(live, order, cx),
                None => cx.fail("nobody tells of events any more".to_owned()),
            }
        });
    }

    fn carried(&mut self, order: Order, carried: Result<(), ChangeError>) {
        match carried {
            Ok(()) => self.followed = self.followed.saturating_add(1),
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                tracing::warn!(%error, ?order, "a change by another node could not be followed yet");
            }
        }
    }
}

/// The next event that this node acts upon.
async fn next(mut live: Receiver<Arc<DomainEvent>>) -> Option<(Receiver<Arc<DomainEvent>>, Order)> {
    loop {
        match live.recv().await {
            Ok(event) => match Order::of(&event) {
                Order::Nothing => {}
                order => return Some((live, order)),
            },
            Err(RecvError::Lagged(_)) => return Some((live, Order::Everything)),
            Err(RecvError::Closed) => return None,
        }
    }
}
