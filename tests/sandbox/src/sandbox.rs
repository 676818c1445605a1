//! A running sandbox: its servers, started and stopped together.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use crate::config::SandboxConfig;
use crate::journal::{Journal, JournalError};
use crate::platform::Platform;
use crate::seed::{Seed, ShapeError};
use crate::shared::Shared;
use crate::telegram::{Telegram, TelegramError};

/// Why a sandbox cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// An address outside loopback was asked for.
    #[error("{0} is not a loopback address: the sandbox is not for a network")]
    NotLoopback(SocketAddr),
    /// The seed's shape makes no sense.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// A port is taken, or not allowed.
    #[error("the sandbox cannot listen on {address}: {source}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The folder of the journals cannot be made.
    #[error("the sandbox's folder cannot be made: {0}")]
    Folder(std::io::Error),
    /// A journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The Telegram data centre cannot start.
    #[error(transparent)]
    Telegram(#[from] TelegramError),
}

/// A sandbox that runs. Dropping it without [`Sandbox::stop`] leaves its tasks to the runtime.
#[derive(Debug)]
pub struct Sandbox {
    seed: Seed,
    shared: Shared,
    telegram: Telegram,
}

impl Sandbox {
    /// Seeds the worlds, replays their journals and starts all servers.
    ///
    /// # Errors
    /// [`SandboxError`]
    pub async fn start(config: SandboxConfig) -> Result<Self, SandboxError> {
        for address in [config.control_listen, config.telegram_listen, config.discord_listen] {
            if !address.ip().is_loopback() {
                return Err(SandboxError::NotLoopback(address));
            }
        }
        let seed = Seed::new(config.seed, config.shape)?;
        let shared = Shared::new(config.limits);
        if let Some(folder) = &config.data_dir {
            std::fs::create_dir_all(folder).map_err(SandboxError::Folder)?;
        }
        let listener = listen(config.telegram_listen).await?;
        let journal = open_journal(&config, &seed, Platform::Telegram.as_str())?;
        let telegram = Telegram::start(shared.clone(), &seed, journal, listener)?;
        Ok(Self { seed, shared, telegram })
    }

    /// Everything that the seed made.
    #[must_use]
    pub const fn seed(&self) -> &Seed {
        &self.seed
    }

    /// The clock, faults and violation counters.
    #[must_use]
    pub const fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Address of the Telegram data centre.
    #[must_use]
    pub const fn telegram_address(&self) -> SocketAddr {
        self.telegram.address()
    }

    /// The Telegram data centre, for tests that drive it without the control API.
    #[must_use]
    pub const fn telegram(&self) -> &Telegram {
        &self.telegram
    }

    /// Stops all servers and closes the journals.
    pub async fn stop(self) {
        self.telegram.stop().await;
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, SandboxError> {
    TcpListener::bind(address).await.map_err(|source| SandboxError::Listen { address, source })
}

fn open_journal(config: &SandboxConfig, seed: &Seed, name: &str) -> Result<Journal, JournalError> {
    match &config.data_dir {
        None => Ok(Journal::memory()),
        Some(folder) => Journal::open(folder, name, config.world_key.as_ref(), &seed.fingerprint()),
    }
}
