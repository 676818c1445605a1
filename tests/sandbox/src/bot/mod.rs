//! The Telegram Bot API: one bot that an operator would have made with @BotFather, over a world of chats that know it.

mod control;
mod core;
mod error;
mod html;
mod limits;
mod markdown;
mod markup;
mod methods;
mod params;
mod polling;
mod rest;
mod view;
mod world;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpRequest, web};

use self::core::Core;
use crate::http::{self, HttpHandle};
use crate::journal::{Journal, JournalError};
use crate::seed::Seed;
use crate::shared::Shared;
pub use control::{BotChatView, BotMessageView, NewBotChat};
pub use world::{BotRole, ChatKind};

/// Bounds of the Bot API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BotConfig {
    /// Messages kept in each chat; beyond it the oldest is forgotten.
    pub history: usize,
    /// Updates kept for the bot; beyond it the oldest is dropped.
    pub updates_max: usize,
    /// The largest body of a call, in bytes.
    pub max_body: usize,
    /// The longest long poll that is granted.
    pub poll_max: Duration,
    /// Threads that serve.
    pub workers: NonZeroUsize,
}

impl Default for BotConfig {
    fn default() -> Self {
        Self {
            history: 1_000,
            updates_max: 100_000,
            max_body: 8 * 1024 * 1024,
            poll_max: Duration::from_secs(50),
            workers: NonZeroUsize::MIN,
        }
    }
}

/// Why the Bot API server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BotError {
    /// The world's journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The address cannot be listened on.
    #[error("cannot listen: {0}")]
    Listen(#[from] std::io::Error),
}

/// A running Bot API server.
#[derive(Debug)]
pub struct Bot {
    core: Arc<Core>,
    server: HttpHandle,
}

impl Bot {
    /// Replays the journal and begins to serve.
    ///
    /// # Errors
    /// [`BotError`]
    pub fn start(
        shared: Shared,
        config: BotConfig,
        seed: &Seed,
        journal: Journal,
        listen: SocketAddr,
    ) -> Result<Self, BotError> {
        let core = Arc::new(Core::new(shared, config, seed, journal)?);
        let served = Arc::clone(&core);
        let configure = move |app: &mut web::ServiceConfig| {
            let served = Arc::clone(&served);
            let call = move |request: HttpRequest, body: web::Payload| {
                let core = Arc::clone(&served);
                async move { rest::serve(&core, &request, body).await }
            };
            app.default_service(web::to(call));
        };
        let server = http::serve(listen, config.workers, configure)?;
        Ok(Self { core, server })
    }

    /// Where it is served.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// What stands in the place of `https://api.telegram.org`.
    #[must_use]
    pub fn api_base(&self) -> String {
        format!("http://{}", self.server.address)
    }

    fn core(&self) -> &Core {
        &self.core
    }

    /// Ends long polls, stops serving and closes the journal.
    pub async fn stop(&self) {
        self.core.stop.cancel();
        self.server.stop().await;
        self.core.lock().journal.close();
    }
}

#[cfg(test)]
mod tests;
