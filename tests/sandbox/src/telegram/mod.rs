//! The Telegram data centre: MTProto on the wire, a world of users, channels and messages behind it.

use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::journal::{Journal, JournalError};
use crate::messages::{ControlError, EditedMessage, MessageItem, NewMessage};
use crate::seed::Seed;
use crate::shared::Shared;

/// Why the data centre cannot start.
#[derive(Debug, thiserror::Error)]
pub enum TelegramError {
    /// The world's journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The listener has no address.
    #[error("the Telegram listener cannot be used: {0}")]
    Listener(#[from] std::io::Error),
}

const NOT_AVAILABLE: ControlError = ControlError::NotAvailable("the Telegram data centre does not serve yet");

/// A running data centre.
#[derive(Debug)]
pub struct Telegram {
    address: SocketAddr,
    stop: CancellationToken,
    tasks: TaskTracker,
    #[expect(dead_code, reason = "closed with the server")]
    shared: Shared,
    journal: Journal,
}

impl Telegram {
    /// Replays the journal over the seeded world and begins to serve on the listener.
    ///
    /// # Errors
    /// [`TelegramError`]
    pub fn start(
        shared: Shared,
        _seed: &Seed,
        journal: Journal,
        listener: TcpListener,
    ) -> Result<Self, TelegramError> {
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let tasks = TaskTracker::new();
        tasks.spawn(async move {
            loop {
                tokio::select! {
                    () = stopped.cancelled() => break,
                    accepted = listener.accept() => drop(accepted),
                }
            }
        });
        Ok(Self { address, stop, tasks, shared, journal })
    }

    /// Where clients connect.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Writes a message as a person would and answers its id.
    ///
    /// # Errors
    /// [`ControlError`]
    pub fn post_message(&self, _chat: &str, _message: &NewMessage) -> Result<String, ControlError> {
        Err(NOT_AVAILABLE)
    }

    /// Messages of a chat after an id, oldest first; `None` begins at the first.
    ///
    /// # Errors
    /// [`ControlError`]
    pub fn list_messages(
        &self,
        _chat: &str,
        _after: Option<&str>,
        _limit: usize,
    ) -> Result<Vec<MessageItem>, ControlError> {
        Err(NOT_AVAILABLE)
    }

    /// One message.
    ///
    /// # Errors
    /// [`ControlError`]
    pub fn get_message(&self, _chat: &str, _id: &str) -> Result<MessageItem, ControlError> {
        Err(NOT_AVAILABLE)
    }

    /// Edits a message as its author would and answers it as it now stands.
    ///
    /// # Errors
    /// [`ControlError`]
    pub fn edit_message(
        &self,
        _chat: &str,
        _id: &str,
        _edit: &EditedMessage,
    ) -> Result<MessageItem, ControlError> {
        Err(NOT_AVAILABLE)
    }

    /// Deletes a message for everybody.
    ///
    /// # Errors
    /// [`ControlError`]
    pub fn delete_message(&self, _chat: &str, _id: &str) -> Result<(), ControlError> {
        Err(NOT_AVAILABLE)
    }

    /// Makes an authorisation key known; with a user it is signed in as that user.
    ///
    /// # Errors
    /// [`ControlError`]
    pub fn register_auth_key(&self, _auth_key: &[u8; 256], _user: Option<i64>) -> Result<(), ControlError> {
        Err(NOT_AVAILABLE)
    }

    /// Cuts every connection, stops serving and closes the journal.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.journal.close();
    }
}
