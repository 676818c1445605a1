//! Stable handles to children: they outlive restarts and may be used from any thread.

use std::{
    any::Any,
    fmt,
    future::Future,
    hash::{Hash, Hasher},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use actix::dev::channel::AddressSender;
use thiserror::Error;
use tokio::sync::oneshot;

use super::{
    cell::BranchCell,
    child::{Child, Message, Receive},
    core::Event,
    host::Host,
    message::{Answer, AskError, Packet},
    node::Node,
    path::ChildPath,
    recipient::Recipient,
    state::{NodeState, Refusal},
};

/// A message that was not taken, handed back.
#[derive(Error)]
pub enum TellError<M> {
    /// The mailbox holds as many messages as it may.
    #[error("mailbox is full")]
    Full(M),
    /// The child is parked.
    #[error("child is parked")]
    Parked(M),
    /// The child is finishing its queue and will end.
    #[error("child is draining")]
    Draining(M),
    /// The child is down.
    #[error("child is stopped")]
    Stopped(M),
}

impl<M> TellError<M> {
    fn new(refusal: Refusal, message: M) -> Self {
        match refusal {
            Refusal::Full => Self::Full(message),
            Refusal::Parked => Self::Parked(message),
            Refusal::Draining => Self::Draining(message),
            Refusal::Stopped => Self::Stopped(message),
        }
    }

    /// Why, without the message.
    #[must_use]
    pub const fn refusal(&self) -> Refusal {
        match self {
            Self::Full(_) => Refusal::Full,
            Self::Parked(_) => Refusal::Parked,
            Self::Draining(_) => Refusal::Draining,
            Self::Stopped(_) => Refusal::Stopped,
        }
    }

    /// The message.
    pub fn into_message(self) -> M {
        match self {
            Self::Full(message)
            | Self::Parked(message)
            | Self::Draining(message)
            | Self::Stopped(message) => message,
        }
    }
}

impl<M> fmt::Debug for TellError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TellError({})", self.refusal())
    }
}

struct Inner<C: Child> {
    sender: AddressSender<Host<C>>,
    node: Arc<Node>,
}

/// What a handle is, whatever the type of its child.
trait Untyped: Any + Send + Sync {
    fn node(&self) -> &Arc<Node>;
}

impl<C: Child> Untyped for Inner<C> {
    fn node(&self) -> &Arc<Node> {
        &self.node
    }
}

/// A child as its supervisor and the directory know it: a handle to it without its type.
#[derive(Clone)]
pub(crate) struct AnyChild(Arc<dyn Untyped>);

impl AnyChild {
    pub(crate) fn node(&self) -> &Arc<Node> {
        self.0.node()
    }

    pub(crate) fn path(&self) -> &str {
        self.node().path.as_str()
    }

    /// The supervisor that it is, if it is one.
    pub(crate) fn branch(&self) -> Option<&Arc<BranchCell>> {
        self.node().branch.as_ref()
    }

    /// The handle, if the child is of this type.
    pub(crate) fn typed<C: Child>(&self) -> Option<ChildRef<C>> {
        let any: Arc<dyn Any + Send + Sync> = Arc::<dyn Untyped>::clone(&self.0);
        any.downcast().ok().map(|inner| ChildRef { inner })
    }
}

#[cfg(test)]
impl AnyChild {
    /// A child that nobody runs.
    pub(crate) fn of_node(node: Arc<Node>) -> Self {
        struct Bare(Arc<Node>);
        impl Untyped for Bare {
            fn node(&self) -> &Arc<Node> {
                &self.0
            }
        }
        Self(Arc::new(Bare(node)))
    }
}

/// A handle to a child: cheap to clone, equal to every clone of itself, valid across restarts.
pub struct ChildRef<C: Child> {
    inner: Arc<Inner<C>>,
}

impl<C: Child> ChildRef<C> {
    pub(crate) fn new(sender: AddressSender<Host<C>>, node: Arc<Node>) -> Self {
        Self { inner: Arc::new(Inner { sender, node }) }
    }

    pub(crate) fn node(&self) -> &Arc<Node> {
        &self.inner.node
    }

    pub(crate) fn untyped(&self) -> AnyChild {
        AnyChild(Arc::<Inner<C>>::clone(&self.inner))
    }

    /// Puts a message into the mailbox, or hands it back.
    ///
    /// # Errors
    /// [`TellError`] with the message when the mailbox is full or the child takes none. `Ok` means queued: a crash
    /// while it is being handled loses this one message, a stop loses what is still queued at its limit.
    pub fn tell<M>(&self, message: M) -> Result<(), TellError<M>>
    where
        C: Receive<M>,
        M: Message,
    {
        self.send(message, None)
    }

    /// Puts a message into the mailbox and returns its answer.
    pub fn ask<M>(&self, message: M) -> Ask<M::Reply>
    where
        C: Receive<M>,
        M: Message,
    {
        let (slot, answer) = oneshot::channel();
        match self.send(message, Some(slot)) {
            Ok(()) => Ask(Ok(answer)),
            Err(refused) => Ask(Err(refused.refusal())),
        }
    }

    /// As [`ask`](Self::ask), for at most `limit`. The message stays queued when the time is over.
    ///
    /// # Errors
    /// [`AskError::TimedOut`], or why there is no answer.
    pub fn ask_within<M>(
        &self,
        limit: Duration,
        message: M,
    ) -> impl Future<Output = Answer<M::Reply>> + Send + use<C, M>
    where
        C: Receive<M>,
        M: Message,
    {
        let answer = self.ask(message);
        async move { tokio::time::timeout(limit, answer).await.unwrap_or(Err(AskError::TimedOut(limit))) }
    }

    fn send<M>(&self, message: M, slot: Option<oneshot::Sender<Answer<M::Reply>>>) -> Result<(), TellError<M>>
    where
        C: Receive<M>,
        M: Message,
    {
        let permit = match self.inner.node.admit() {
            Ok(permit) => permit,
            Err(refusal) => return Err(TellError::new(refusal, message)),
        };
        match self.inner.sender.do_send(Packet::new(message, slot, permit)) {
            Ok(()) => Ok(()),
            // The runner ended between the check and the send.
            Err(closed) => {
                closed.into_inner().give_back().map_or(Ok(()), |message| Err(TellError::Stopped(message)))
            }
        }
    }

    /// The same child, known only by one message it takes.
    #[must_use]
    pub fn recipient<M>(&self) -> Recipient<M>
    where
        C: Receive<M>,
        M: Message,
    {
        Recipient::new(self.clone())
    }

    /// Where the child stands.
    #[must_use]
    pub fn path(&self) -> &ChildPath {
        &self.inner.node.path
    }

    /// Its state right now.
    #[must_use]
    pub fn status(&self) -> NodeState {
        self.inner.node.state()
    }

    /// Number of its latest start; 0 before the first.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.inner.node.epoch()
    }

    /// Messages in its mailbox, the one in hand included.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.inner.node.depth()
    }

    /// The probe of a parked child is made now instead of at its time: what it waits for has come. Answers whether it was
    /// parked with a probe to come; one that only an admin brings back stays parked.
    pub fn probe_now(&self) -> bool {
        let node = &self.inner.node;
        let comes = self.status() == NodeState::Parked && node.ledger().awaits_attempt();
        comes
            && node
                .parent
                .upgrade()
                .is_some_and(|parent| parent.order(Event::Probe { key: node.key }).is_ok())
    }
}

impl<C: Child> Clone for ChildRef<C> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<C: Child> PartialEq for ChildRef<C> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner.node, &other.inner.node)
    }
}

impl<C: Child> Eq for ChildRef<C> {}

impl<C: Child> Hash for ChildRef<C> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.node.id.hash(state);
    }
}

impl<C: Child> fmt::Debug for ChildRef<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChildRef({})", self.inner.node.path)
    }
}

/// The answer to an ask; refused asks are known at once, without waiting.
#[derive(Debug)]
#[must_use = "an ask is answered only to whoever awaits it"]
pub struct Ask<R>(Result<oneshot::Receiver<Answer<R>>, Refusal>);

impl<R> Future for Ask<R> {
    type Output = Answer<R>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Err(refusal) => Poll::Ready(Err(AskError::Refused(*refusal))),
            Ok(answer) => Pin::new(answer).poll(cx).map(|answer| answer.unwrap_or(Err(AskError::Stopped))),
        }
    }
}
