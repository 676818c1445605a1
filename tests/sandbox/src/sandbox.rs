//! A running sandbox: its servers, started and stopped together.

use std::net::SocketAddr;

use std::sync::Arc;

use tokio::net::TcpListener;

use crate::bot::{Bot, BotError};
use crate::clock::SandboxClock;
use crate::config::SandboxConfig;
use crate::control::{Control, ControlState, restore_clock};
use crate::discord::{Discord, DiscordError};
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
    state: Arc<ControlState>,
    control: Control,
}

impl Sandbox {
    /// Seeds the worlds, replays their journals and starts all servers.
    ///
    /// # Errors
    /// [`SandboxError`]
    pub async fn start(config: SandboxConfig) -> Result<Self, SandboxError> {
        for address in
            [config.control_listen, config.telegram_listen, config.discord_listen, config.bot_listen]
        {
            if !address.ip().is_loopback() {
                return Err(SandboxError::NotLoopback(address));
            }
        }
        let seed = Seed::new(config.seed, config.shape)?;
        let shared = Shared::with_clock(config.limits, SandboxClock::in_mode(config.clock));
        if let Some(folder) = &config.data_dir {
            std::fs::create_dir_all(folder).map_err(SandboxError::Folder)?;
        }
        let journal = |name| open_journal(&config, &seed, name);
        let clock = journal("clock")?;
        restore_clock(&shared.clock, &clock)?;
        let listener = listen(config.telegram_listen).await?;
        let world = journal(Platform::Telegram.as_str())?;
        let telegram = Telegram::start(shared.clone(), &seed, config.telegram, world, listener)?;
        let started = journal(Platform::Discord.as_str()).map_err(DiscordError::from).and_then(|journal| {
            Discord::start(shared.clone(), config.discord, &seed, journal, config.discord_listen)
        });
        let discord = match started {
            Ok(discord) => discord,
            Err(error) => {
                telegram.stop().await;
                return Err(match error {
                    DiscordError::Journal(error) => SandboxError::Journal(error),
                    DiscordError::Listen(source) => {
                        SandboxError::Listen { address: config.discord_listen, source }
                    }
                });
            }
        };
        let started = journal(Platform::Bot.as_str())
            .map_err(BotError::from)
            .and_then(|journal| Bot::start(shared.clone(), config.bot, &seed, journal, config.bot_listen));
        let bot = match started {
            Ok(bot) => bot,
            Err(error) => {
                telegram.stop().await;
                discord.stop().await;
                return Err(match error {
                    BotError::Journal(error) => SandboxError::Journal(error),
                    BotError::Listen(source) => SandboxError::Listen { address: config.bot_listen, source },
                });
            }
        };
        let state = Arc::new(ControlState { seed, shared, telegram, discord, bot, journal: clock });
        match Control::start(Arc::clone(&state), config.control_listen) {
            Ok(control) => Ok(Self { state, control }),
            Err(source) => {
                state.stop().await;
                Err(SandboxError::Listen { address: config.control_listen, source })
            }
        }
    }

    /// Everything that the seed made.
    #[must_use]
    pub fn seed(&self) -> &Seed {
        &self.state.seed
    }

    /// The clock, faults and violation counters.
    #[must_use]
    pub fn shared(&self) -> &Shared {
        &self.state.shared
    }

    /// Address of the Telegram data centre.
    #[must_use]
    pub fn telegram_address(&self) -> SocketAddr {
        self.state.telegram.address()
    }

    /// Address of the control API.
    #[must_use]
    pub const fn control_address(&self) -> SocketAddr {
        self.control.address()
    }

    /// Base of the control API: `http://127.0.0.1:port`.
    #[must_use]
    pub fn control_url(&self) -> String {
        format!("http://{}", self.control_address())
    }

    /// Every authorisation key that is registered with the Telegram data centre. See [`Telegram::auth_keys`].
    #[must_use]
    pub fn registered_auth_keys(&self) -> Vec<[u8; 256]> {
        self.state.telegram.auth_keys()
    }

    /// Address of Discord's REST API and gateway.
    #[must_use]
    pub fn discord_address(&self) -> SocketAddr {
        self.state.discord.address()
    }

    /// The Bot API server, for tests that drive it without the control API.
    #[must_use]
    pub fn bot(&self) -> &Bot {
        &self.state.bot
    }

    /// The Telegram data centre, for tests that drive it without the control API.
    #[must_use]
    pub fn telegram(&self) -> &Telegram {
        &self.state.telegram
    }

    /// The Discord server, for tests that drive it without the control API.
    #[must_use]
    pub fn discord(&self) -> &Discord {
        &self.state.discord
    }

    /// Stops all servers and closes the journals.
    pub async fn stop(self) {
        self.control.stop().await;
        self.state.stop().await;
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
