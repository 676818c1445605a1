//! Values whose drop cannot unwind into their owner.

use std::sync::Arc;

use super::{
    failure::{Failure, Phase},
    node::Node,
    panics::{Caught, catch},
};

/// A caught panic as a failure.
pub(crate) fn failure_of(phase: Phase, message: Option<&str>, caught: Caught) -> Failure {
    let mut failure = Failure::new(phase, caught.text);
    failure.message = message.map(str::to_owned);
    failure.location = caught.location;
    failure
}

/// Drops a value of a child; a panic in it is recorded as this child's.
pub(crate) fn discard<T>(value: T, node: &Node) {
    if let Err(caught) = catch(|| drop(value)) {
        node.contain(Phase::Drop, None, caught);
    }
}

/// A value whose drop cannot unwind into its owner: a panic in it is recorded as this child's.
pub(crate) struct Contained<T> {
    value: Option<T>,
    node: Arc<Node>,
}

impl<T> Contained<T> {
    pub(crate) const fn new(value: T, node: Arc<Node>) -> Self {
        Self { value: Some(value), node }
    }

    pub(crate) const fn get(&self) -> Option<&T> {
        self.value.as_ref()
    }

    pub(crate) const fn get_mut(&mut self) -> Option<&mut T> {
        self.value.as_mut()
    }

    /// Takes the value out: from here on its drop is the caller's affair.
    pub(crate) const fn take(&mut self) -> Option<T> {
        self.value.take()
    }

    /// Drops the value now.
    pub(crate) fn clear(&mut self) {
        if let Some(value) = self.value.take() {
            discard(value, &self.node);
        }
    }
}

impl<T> Drop for Contained<T> {
    fn drop(&mut self) {
        self.clear();
    }
}
