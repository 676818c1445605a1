//! What a session is told and asked.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::ports::{ChatDirectory, MessageSender};
use crate::supervision::Message;

/// Lend the sender.
pub struct GetSender;

impl Message for GetSender {
    type Reply = Result<Lent, String>;
}

/// Names one connection among all that this process ever made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionId(u64);

impl ConnectionId {
    pub(in crate::tree) const fn new(number: u64) -> Self {
        Self(number)
    }
}

/// A lent sender, and the connection that it is of.
pub struct Lent {
    /// The sender.
    pub sender: Arc<dyn MessageSender>,
    /// Its connection.
    pub connection: ConnectionId,
}

/// Lend what names the account's chats.
pub struct GetChats;

impl Message for GetChats {
    type Reply = Result<Option<Arc<dyn ChatDirectory>>, String>;
}

/// An operator asks for a new connection.
pub struct Reconnect;

impl Message for Reconnect {
    type Reply = ReconnectAnswer;
}

/// What a reconnect comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReconnectAnswer {
    /// It connects now.
    Connecting,
    /// The platform asked to wait until then; an operator cannot shorten that.
    Waiting(DateTime<Utc>),
    /// Its owner is suspended.
    Suspended,
}

/// Pairs that read or write through the account came or went.
pub struct PairsChanged;

impl Message for PairsChanged {
    type Reply = ();
}

/// The node has had no lease for so long that another may take the account.
pub struct LeaseLost;

impl Message for LeaseLost {
    type Reply = ();
}

/// The account's owner was suspended or restored.
pub struct OwnerChanged;

impl Message for OwnerChanged {
    type Reply = ();
}

/// How the session is at this moment, as its observable state says a moment later.
pub struct Observe;

impl Message for Observe {
    type Reply = Value;
}

/// Whether the account is connected.
pub struct IsConnected;

impl Message for IsConnected {
    type Reply = bool;
}

/// The platform refused the session while a lent sender was used.
pub struct Dead {
    /// Whose sender it was.
    pub connection: ConnectionId,
    /// What the platform said.
    pub error: String,
}

impl Message for Dead {
    type Reply = ();
}
