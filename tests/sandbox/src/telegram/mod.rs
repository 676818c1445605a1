//! The Telegram data centre: MTProto on the wire, a world of users, channels and messages behind it.
//!
//! Authorization keys are registered out of band: clients have Telegram's own RSA keys built in, so that no key can be
//! exchanged with another server. Everything after that is as on the real servers, and what the sandbox does not have
//! is refused, never faked.

mod config;
mod connection;
mod control;
mod crypto;
mod dc;
mod floods;
mod guesses;
mod hub;
mod login_tokens;
mod logins;
mod passwords;
mod push;
#[cfg(test)]
mod robustness;
mod rpc;
mod salts;
mod session;
mod srp;
mod transport;
mod view;
mod wire;
mod world;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use config::TelegramConfig;

use crate::journal::{Journal, JournalError};
use crate::messages::{ControlError, EditedMessage, MessageItem, NewMessage};
use crate::seed::Seed;
use crate::shared::Shared;
use dc::Dc;
use view::Blanks;

/// How long nothing is accepted after a failure to accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a user may do in a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberRole {
    /// May post in a broadcast channel, edit its posts and delete everybody's messages.
    Admin,
    /// Reads, and writes where everybody may.
    Member,
    /// Reads only.
    Restricted,
}

/// Why the data centre cannot start.
#[derive(Debug, thiserror::Error)]
pub enum TelegramError {
    /// The world's journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The listener has no address.
    #[error("the Telegram listener cannot be used: {0}")]
    Listener(#[from] std::io::Error),
    /// The schema that was built in is not the one that this server was written for.
    #[error("the Telegram schema is not the one that the sandbox serves: {0}")]
    Schema(#[from] grammers_tl_types::deserialize::Error),
}

/// A running data centre.
#[derive(Debug)]
pub struct Telegram {
    address: SocketAddr,
    stop: CancellationToken,
    tasks: TaskTracker,
    dc: Arc<Dc>,
}

impl Telegram {
    /// Replays the journal over the seeded world and begins to serve on the listener.
    ///
    /// # Errors
    /// [`TelegramError`]
    pub fn start(
        shared: Shared,
        seed: &Seed,
        config: TelegramConfig,
        journal: Journal,
        listener: TcpListener,
    ) -> Result<Self, TelegramError> {
        let address = listener.local_addr()?;
        let dc = Arc::new(Dc::new(shared, seed, config, journal, address, Blanks::new()?)?);
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        tasks.spawn(accept(Arc::clone(&dc), listener, stop.clone(), tasks.clone()));
        Ok(Self { address, stop, tasks, dc })
    }

    /// Where clients connect.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every channel: its dialog id, its title, and whether all its members may write in it.
    pub(crate) fn channels(&self) -> Vec<(i64, String, bool)> {
        self.dc.channels()
    }

    /// Writes a message as a person would and answers its id. A chat is a channel by its Bot-API dialog id ("-100…"),
    /// or the private messages of a user by the user's id.
    ///
    /// # Errors
    /// [`ControlError`]
    pub fn post_message(&self, chat: &str, message: &NewMessage) -> Result<String, ControlError> {
        self.dc.post_message(chat, message)
    }

    /// Messages of a chat after an id, oldest first; `None` begins at the first.
    ///
    /// # Errors
    /// [`ControlError`]
    pub fn list_messages(
        &self,
        chat: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<MessageItem>, ControlError> {
        self.dc.list_messages(chat, after, limit)
    }

    /// One message.
    ///
    /// # Errors
    /// [`ControlError`]
    pub fn get_message(&self, chat: &str, id: &str) -> Result<MessageItem, ControlError> {
        self.dc.get_message(chat, id)
    }

    /// Edits a message as its author would and answers it as it now stands.
    ///
    /// # Errors
    /// [`ControlError`]
    pub fn edit_message(
        &self,
        chat: &str,
        id: &str,
        edit: &EditedMessage,
    ) -> Result<MessageItem, ControlError> {
        self.dc.edit_message(chat, id, edit)
    }

    /// Deletes a message for everybody.
    ///
    /// # Errors
    /// [`ControlError`]
    pub fn delete_message(&self, chat: &str, id: &str) -> Result<(), ControlError> {
        self.dc.delete_message(chat, id)
    }

    /// Makes an authorisation key known; with a user it is signed in as that user. The same again changes nothing.
    ///
    /// # Errors
    /// [`ControlError`]
    pub fn register_auth_key(&self, auth_key: &[u8; 256], user: Option<i64>) -> Result<(), ControlError> {
        self.dc.register_auth_key(auth_key, user)
    }

    /// Gives a user another place in a channel; `None` removes them. They are told as Telegram tells them.
    ///
    /// # Errors
    /// [`ControlError`]
    pub fn set_member(&self, chat: &str, user: i64, role: Option<MemberRole>) -> Result<(), ControlError> {
        self.dc.set_member(chat, user, role)
    }

    /// Scans a sign-in's QR code as a person would; without a token the code that was shown last. Answers the token.
    ///
    /// # Errors
    /// [`ControlError`]
    pub fn accept_login_token(&self, token: Option<&[u8]>, user: i64) -> Result<Vec<u8>, ControlError> {
        self.dc.accept_login_token(token, user)
    }

    /// Every registered authorisation key: secrets, for tests that search for places where they must not be.
    #[must_use]
    pub fn auth_keys(&self) -> Vec<[u8; 256]> {
        self.dc.auth_keys()
    }

    /// How many sessions of a user there are: keys that are signed in.
    #[must_use]
    pub fn signed_in_keys(&self, user: i64) -> usize {
        self.dc.signed_in_keys(user)
    }

    /// Cuts every connection, stops serving and closes the journal.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.dc.close();
    }
}

/// Takes connections until told to stop; beyond the bound they are closed at once.
async fn accept(dc: Arc<Dc>, listener: TcpListener, stop: CancellationToken, tasks: TaskTracker) {
    let places = Arc::new(Semaphore::new(dc.config.max_connections));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a Telegram connection could not be accepted");
                // The cause (no file descriptors, most likely) does not go away at once.
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            tracing::warn!("there are too many Telegram connections, one is turned away");
            continue;
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a Telegram connection keeps its delay");
        }
        let (dc, stop) = (Arc::clone(&dc), stop.clone());
        tasks.spawn(async move {
            connection::serve(dc, stream, stop).await;
            drop(place);
        });
    }
}
