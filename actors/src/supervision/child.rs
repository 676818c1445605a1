//! What a supervised actor implements: [`Child`], and [`Handle`] or [`Receive`] for each message it takes.

use futures_util::future::{self, LocalBoxFuture};
use serde_json::Value;
use thiserror::Error;

use super::{
    context::Cx,
    failure::{ExitReason, Failure},
    message::Responder,
    path::ChildPath,
};

/// A message to a child.
pub trait Message: Send + 'static {
    /// What an ask answers; `()` for one that is only told.
    type Reply: Send + 'static;
}

/// A supervised actor. The runtime owns its mailbox, its address and its arguments; the value itself lives from one
/// `load` to the next failure, restart or stop.
pub trait Child: Sized + 'static {
    /// Identity, configuration and injected handles; kept by the runtime across restarts.
    type Args: Clone + Send + 'static;

    /// What kind of actor this is, as operators know it: `pair`, `queue`.
    const KIND: &'static str;

    /// Makes the state, read anew from wherever it is kept. Runs before the first message and after each failure or
    /// restart. An error, a panic or running over the load limit is a failure like any other.
    fn load(args: Self::Args, env: LoadEnv) -> LocalBoxFuture<'static, Result<Loaded<Self>, LoadError>>;

    /// Called once the state is in place and before the first message: the place to start timers.
    fn started(&mut self, cx: &mut Cx<'_, Self>) {
        let _ = cx;
    }

    /// Called when it is to end for good, before its queue is finished: the place to stop taking work from outside.
    fn closing(&mut self, cx: &mut Cx<'_, Self>) {
        let _ = cx;
    }

    /// Called when it is to end in good order: after its queue is empty or the time for that is over, with no timer or
    /// future of its own running any more.
    fn drain(&mut self, cx: &mut Cx<'_, Self>) -> LocalBoxFuture<'static, ()> {
        let _ = cx;
        Box::pin(future::ready(()))
    }

    /// Called last, right before the state is dropped; after a panic the state may be torn. Not called by a kill.
    fn stopped(&mut self, reason: &ExitReason) {
        let _ = reason;
    }

    /// Observable state, without secrets. Published after it changed, at most once per publish interval.
    fn snapshot(&self) -> Value {
        Value::Null
    }
}

/// What `load` is told.
#[derive(Clone, Debug)]
pub struct LoadEnv {
    pub(crate) path: ChildPath,
    pub(crate) epoch: u64,
    pub(crate) last_failure: Option<Failure>,
}

impl LoadEnv {
    /// Where the child stands.
    #[must_use]
    pub const fn path(&self) -> &ChildPath {
        &self.path
    }

    /// Number of this attempt to start, from 1; never used twice.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The latest failure of this child, if it ever failed.
    #[must_use]
    pub const fn last_failure(&self) -> Option<&Failure> {
        self.last_failure.as_ref()
    }
}

/// A load that did not fail.
#[derive(Debug)]
pub enum Loaded<C> {
    /// The state.
    Ready(C),
    /// There is nothing to run: it stays down without counting as a failure, its spec is kept.
    Ignore,
}

/// A load that failed. The texts are shown to operators: no secrets.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LoadError {
    /// It may work later: counted as a failure, tried again after the backoff.
    #[error("{0}")]
    Retry(String),
    /// It cannot work without help: parked at once.
    #[error("{0}")]
    Fatal(String),
}

/// Handles a message and knows the answer at once.
pub trait Handle<M: Message>: Child {
    /// Handles one message; a panic in here is this child's failure.
    fn handle(&mut self, msg: M, cx: &mut Cx<'_, Self>) -> M::Reply;
}

/// Handles a message and answers now or later through the responder, usually from a future given to [`Cx::spawn`].
///
/// Every [`Handle`] is one too; implement this one instead when the answer takes time.
pub trait Receive<M: Message>: Child {
    /// Handles one message; a panic in here is this child's failure.
    fn receive(&mut self, msg: M, cx: &mut Cx<'_, Self>, responder: Responder<M::Reply>);

    /// As `receive`, with a responder that the caller holds for as long as nobody needs it: what a frame has to clean up
    /// when it unwinds costs as much as ten frames that have nothing.
    #[doc(hidden)]
    fn receive_held(&mut self, msg: M, cx: &mut Cx<'_, Self>, held: &mut Option<Responder<M::Reply>>) {
        if let Some(responder) = held.take() {
            self.receive(msg, cx, responder);
        }
    }
}

impl<C: Handle<M>, M: Message> Receive<M> for C {
    fn receive(&mut self, msg: M, cx: &mut Cx<'_, Self>, responder: Responder<M::Reply>) {
        let reply = self.handle(msg, cx);
        responder.reply(reply);
    }

    fn receive_held(&mut self, msg: M, cx: &mut Cx<'_, Self>, held: &mut Option<Responder<M::Reply>>) {
        let reply = self.handle(msg, cx);
        if let Some(responder) = held.take() {
            responder.reply(reply);
        }
    }
}
