//! What lies between a node and a platform: how long requests take, what becomes of them, and who watches.

use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::model::{AccountId, MessageId, NodeId, SendOutcome};
use crate::ports::{ConnectRequest, ConnectionError, SendRequest};

/// Who uses a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The account.
    pub account: AccountId,
    /// The node that connected it.
    pub node: NodeId,
}

/// What becomes of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives, is carried out, and is answered so.
    Carried,
    /// It arrives and is carried out, and the answer says something else: a fault of the server that came too late.
    CarriedBut(SendOutcome),
    /// It arrives, is not carried out, and is answered so.
    Answered(SendOutcome),
    /// It never arrives, and nobody answers.
    Lost,
    /// It arrives and is carried out; the answer is lost.
    Unanswered,
}

/// A request's way there and back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// Until it arrives.
    pub there: Duration,
    /// From there until the answer is back.
    pub back: Duration,
    /// What becomes of it.
    pub fate: Fate,
    /// The adapter's own timeout: a send that was not answered by then is of unknown outcome.
    pub patience: Duration,
}

/// A request that was handed over, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Handed(pub u64);

/// What happened at the platform when a request arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// A message was written.
    Posted(MessageId),
    /// It was written before: the platform knew the key, or the adapter found it in the channel.
    Known(MessageId),
    /// An edit or a deletion was carried out.
    Changed(MessageId),
    /// Nothing was done.
    Refused,
}

/// Answers how an attempt to connect goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dial {
    /// How long it takes.
    pub takes: Duration,
    /// Why it fails, if it does.
    pub error: Option<ConnectionError>,
}

/// Network and platform as one world has them. Every method is called at the virtual time at which the thing happens.
pub trait Wire: Send + Sync {
    /// An account is about to be connected.
    fn dialled(&self, request: &ConnectRequest) -> Dial;

    /// A connection stands.
    fn connected(&self, caller: Caller);

    /// A part leaves the node. From here on the node cannot take it back.
    fn handed_over(&self, id: Handed, caller: Caller, request: &SendRequest) -> Passage;

    /// A request arrived.
    fn arrived(&self, id: Handed, arrival: &Arrival, answer: Option<&SendOutcome>);

    /// An answer reached the node; `heard` tells whether anybody still waited for it.
    fn answered(&self, id: Handed, outcome: &SendOutcome, heard: bool);

    /// The adapter gave up waiting for an answer.
    fn gave_up(&self, id: Handed);

    /// How long the next events take to a reader, and how many come at once at most.
    fn reading(&self, caller: Caller) -> (Duration, usize);

    /// Ends when the node can take what the network has for it: at once, unless its process stands still.
    fn awake(&self, node: NodeId) -> BoxFuture<'static, ()>;
}
