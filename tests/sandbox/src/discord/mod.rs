//! The Discord server: REST v10 and the gateway, over a world of guilds, channels and messages.

mod control;
mod core;
mod events;
mod gateway;
mod json;
mod links;
mod mentions;
mod people;
mod rest;
mod snowflake;
mod world;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpRequest, web};
use uuid::Uuid;

use self::core::Core;
use crate::http::{self, HttpHandle};
use crate::journal::{Journal, JournalError};
use crate::messages::{ControlError, EditedMessage, MessageItem, NewMessage};
use crate::seed::Seed;
use crate::shared::Shared;
pub use control::{RightsChange, RightsView};
pub use gateway::SessionBounds;

/// Bounds and times of the Discord server. The defaults are Discord's own where they are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiscordConfig {
    /// How often the gateway asks for a heartbeat.
    pub heartbeat: Duration,
    /// How long a nonce stands for its message ("a few minutes").
    pub nonce_window: Duration,
    /// Messages kept in each channel; beyond it the oldest is forgotten.
    pub history: usize,
    /// The gateway's memory.
    pub sessions: SessionBounds,
    /// How often a bot may IDENTIFY in a day.
    pub session_starts: usize,
    /// Invalid requests in ten minutes after which an address is shut out for an hour.
    pub max_invalid_requests: u64,
    /// The largest body of a REST call, in bytes.
    pub max_body: usize,
    /// How long a gateway connection may take to accept a payload.
    pub send_timeout: Duration,
    /// Threads that serve REST and gateway.
    pub workers: NonZeroUsize,
}

impl Default for DiscordConfig {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(41_250),
            nonce_window: Duration::from_secs(180),
            history: 100_000,
            sessions: SessionBounds::default(),
            session_starts: 1_000,
            max_invalid_requests: 10_000,
            max_body: 1024 * 1024,
            send_timeout: Duration::from_secs(30),
            workers: NonZeroUsize::MIN,
        }
    }
}

/// Why the Discord server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum DiscordError {
    /// The world's journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The address cannot be listened on.
    #[error("cannot listen: {0}")]
    Listen(#[from] std::io::Error),
}

/// A running Discord server.
#[derive(Debug)]
pub struct Discord {
    core: Arc<Core>,
    server: HttpHandle,
}

impl Discord {
    /// Replays the journal over the seeded world and begins to serve.
    ///
    /// # Errors
    /// [`DiscordError`]
    pub fn start(
        shared: Shared,
        config: DiscordConfig,
        seed: &Seed,
        journal: Journal,
        listen: SocketAddr,
    ) -> Result<Self, DiscordError> {
        let core = Arc::new(Core::new(shared, config, seed, journal)?);
        let served = Arc::clone(&core);
        let configure = move |app: &mut web::ServiceConfig| {
            let (gateway, rest) = (Arc::clone(&served), Arc::clone(&served));
            let connect = move |request: HttpRequest, body: web::Payload| {
                let core = Arc::clone(&gateway);
                async move { gateway::connect(core, &request, body) }
            };
            let call = move |request: HttpRequest, body: web::Payload| {
                let core = Arc::clone(&rest);
                async move { rest::serve(&core, &request, body).await }
            };
            app.route(gateway::PATH, web::get().to(connect)).default_service(web::to(call));
        };
        let server = http::serve(listen, config.workers, configure)?;
        Ok(Self { core, server })
    }

    /// Where REST and gateway are served.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// The base of REST addresses: what stands in the place of `https://discord.com`.
    #[must_use]
    pub fn api_base(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// The gateway's address, as `GET /gateway` tells it.
    #[must_use]
    pub fn gateway_url(&self) -> String {
        gateway::url(self.server.address)
    }

    /// Writes a message as a person would and answers its id.
    ///
    /// # Errors
    /// [`ControlError`]
    pub fn post_message(&self, chat: &str, message: &NewMessage) -> Result<String, ControlError> {
        people::post(&self.core, chat, message)
    }

    /// Messages of a channel after an id, oldest first; `None` begins at the first.
    ///
    /// # Errors
    /// [`ControlError`]
    pub fn list_messages(
        &self,
        chat: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<MessageItem>, ControlError> {
        people::list(&self.core, chat, after, limit)
    }

    /// One message.
    ///
    /// # Errors
    /// [`ControlError`]
    pub fn get_message(&self, chat: &str, id: &str) -> Result<MessageItem, ControlError> {
        people::get(&self.core, chat, id)
    }

    /// Edits a message as its author would and answers it as it now stands. A bot's message cannot be edited so.
    ///
    /// # Errors
    /// [`ControlError`]
    pub fn edit_message(
        &self,
        chat: &str,
        id: &str,
        edit: &EditedMessage,
    ) -> Result<MessageItem, ControlError> {
        people::edit(&self.core, chat, id, edit)
    }

    /// Deletes a message as a moderator would.
    ///
    /// # Errors
    /// [`ControlError`]
    pub fn delete_message(&self, chat: &str, id: &str) -> Result<(), ControlError> {
        people::delete(&self.core, chat, id)
    }

    /// Deletes messages of a channel at once, as a moderator would.
    ///
    /// # Errors
    /// [`ControlError`]
    pub fn bulk_delete_messages(&self, chat: &str, ids: &[String]) -> Result<(), ControlError> {
        people::bulk_delete(&self.core, chat, ids)
    }

    /// Gives a bot privileged intents or permissions, or takes them from it, and answers what it has now. Sessions
    /// that are open keep what they were given.
    ///
    /// # Errors
    /// [`ControlError`]
    pub fn set_rights(&self, account: Uuid, change: RightsChange) -> Result<RightsView, ControlError> {
        control::set_rights(&self.core, account, change)
    }

    /// Lets everyone, bots included, write in a channel or no longer.
    ///
    /// # Errors
    /// [`ControlError`]
    pub fn set_writable(&self, chat: &str, writable: bool) -> Result<(), ControlError> {
        control::set_writable(&self.core, chat, writable)
    }

    /// Cuts every connection, stops serving and closes the journal.
    pub async fn stop(&self) {
        self.core.stop.cancel();
        self.server.stop().await;
        self.core.lock().journal.close();
    }
}
