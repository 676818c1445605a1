//! What travels through a mailbox, and the responder of an ask.

use std::{sync::Arc, thread, time::Duration};

use thiserror::Error;
use tokio::sync::oneshot;

use super::{
    child::Message,
    failure::Phase,
    node::{Node, Permit, Teardown},
    panics,
    state::Refusal,
};

/// Why an ask has no answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AskError {
    /// The mailbox did not take the message.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// The child failed while it had the message in hand; it may have taken effect or not.
    #[error("child crashed in epoch {epoch} with the message in hand")]
    ChildCrashed {
        /// The start that failed.
        epoch: u64,
    },
    /// The child ended with the message queued or in hand.
    #[error("child stopped before it answered")]
    Stopped,
    /// The child let go of the responder without an answer.
    #[error("child gave no answer")]
    NoAnswer,
    /// The asker's own time limit.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
}

/// What an asker receives.
pub(crate) type Answer<R> = Result<R, AskError>;

/// Answers one ask, now or later; for a message that was only told it does nothing.
///
/// Dropped without an answer it tells the asker why: the child crashed, was stopped, or gave none.
#[derive(Debug)]
pub struct Responder<R> {
    slot: Option<oneshot::Sender<Answer<R>>>,
    node: Arc<Node>,
    epoch: Option<u64>,
}

impl<R> Responder<R> {
    pub(crate) const fn new(slot: Option<oneshot::Sender<Answer<R>>>, node: Arc<Node>) -> Self {
        Self { slot, node, epoch: None }
    }

    /// From here on the message is in hand of the start with this number.
    pub(crate) const fn taken(mut self, epoch: u64) -> Self {
        self.epoch = Some(epoch);
        self
    }

    /// Says that the child crashed with the message in hand.
    pub(crate) fn crashed(mut self) {
        if let (Some(slot), Some(epoch)) = (self.slot.take(), self.epoch) {
            let _gone = slot.send(Err(AskError::ChildCrashed { epoch }));
        }
    }

    /// Sends the answer. An asker that went away is no error.
    pub fn reply(mut self, reply: R) {
        if let Some(slot) = self.slot.take() {
            let _gone = slot.send(Ok(reply));
        }
    }

    /// True while somebody waits for the answer.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.slot.as_ref().is_some_and(|slot| !slot.is_closed())
    }
}

impl<R> Drop for Responder<R> {
    fn drop(&mut self) {
        let Some(slot) = self.slot.take() else { return };
        let why = match (self.epoch, self.node.teardown()) {
            (Some(epoch), Teardown::Crash) => AskError::ChildCrashed { epoch },
            (Some(epoch), _) if thread::panicking() => AskError::ChildCrashed { epoch },
            (Some(_), Teardown::None) => AskError::NoAnswer,
            (None, _) | (Some(_), Teardown::Stop) => AskError::Stopped,
        };
        let _gone = slot.send(Err(why));
    }
}

/// A message with its place in the mailbox and its responder.
pub(crate) struct Packet<M: Message> {
    message: Option<M>,
    responder: Option<Responder<M::Reply>>,
    permit: Permit,
}

impl<M: Message> Packet<M> {
    pub(crate) fn new(message: M, slot: Option<oneshot::Sender<Answer<M::Reply>>>, permit: Permit) -> Self {
        let responder = Responder::new(slot, Arc::clone(permit.node()));
        Self { message: Some(message), responder: Some(responder), permit }
    }

    /// Takes the content out; the place in the mailbox stays taken until the packet is dropped.
    pub(crate) fn open(&mut self) -> Option<(M, Responder<M::Reply>)> {
        self.message.take().zip(self.responder.take())
    }

    /// The message of a packet that could not be delivered.
    pub(crate) fn give_back(mut self) -> Option<M> {
        if let Some(mut responder) = self.responder.take() {
            responder.slot = None;
        }
        self.message.take()
    }
}

impl<M: Message> Drop for Packet<M> {
    fn drop(&mut self) {
        if let Some(message) = self.message.take()
            && let Err(caught) = panics::catch(|| drop(message))
        {
            self.permit.node().contain(Phase::Drop, Some(super::failure::short_type_name::<M>()), caught);
        }
    }
}

impl<M: Message> actix::Message for Packet<M> {
    type Result = ();
}
