//! Handles to any child that takes one kind of message.

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use super::{
    child::{Message, Receive},
    node::Node,
    path::ChildPath,
    reference::{Ask, ChildRef, TellError},
    state::NodeState,
};

/// Object-safe side of a reference.
trait Target<M: Message>: Send + Sync {
    fn tell(&self, message: M) -> Result<(), TellError<M>>;
    fn ask(&self, message: M) -> Ask<M::Reply>;
    fn node(&self) -> &Arc<Node>;
}

impl<C: Receive<M>, M: Message> Target<M> for ChildRef<C> {
    fn tell(&self, message: M) -> Result<(), TellError<M>> {
        Self::tell(self, message)
    }

    fn ask(&self, message: M) -> Ask<M::Reply> {
        Self::ask(self, message)
    }

    fn node(&self) -> &Arc<Node> {
        Self::node(self)
    }
}

/// A handle to any child that takes one kind of message.
pub struct Recipient<M: Message> {
    target: Arc<dyn Target<M>>,
}

impl<M: Message> Recipient<M> {
    pub(super) fn new<C: Receive<M>>(child: ChildRef<C>) -> Self {
        Self { target: Arc::new(child) }
    }

    /// As [`ChildRef::tell`].
    ///
    /// # Errors
    /// As there.
    pub fn tell(&self, message: M) -> Result<(), TellError<M>> {
        self.target.tell(message)
    }

    /// As [`ChildRef::ask`].
    pub fn ask(&self, message: M) -> Ask<M::Reply> {
        self.target.ask(message)
    }

    /// Where the child stands.
    #[must_use]
    pub fn path(&self) -> &ChildPath {
        &self.target.node().path
    }

    /// Its state right now.
    #[must_use]
    pub fn status(&self) -> NodeState {
        self.target.node().state()
    }
}

impl<M: Message> Clone for Recipient<M> {
    fn clone(&self) -> Self {
        Self { target: Arc::clone(&self.target) }
    }
}

impl<M: Message> PartialEq for Recipient<M> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(self.target.node(), other.target.node())
    }
}

impl<M: Message> Eq for Recipient<M> {}

impl<M: Message> Hash for Recipient<M> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.target.node().id.hash(state);
    }
}

impl<M: Message> fmt::Debug for Recipient<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({})", self.target.node().path)
    }
}
