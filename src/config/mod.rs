//! Configuration: `config.toml` compiled in, under a file, under the environment, under flags; checked as a whole.

mod admin;
mod auth;
mod bot;
mod check;
mod discord;
mod doctor;
mod error;
mod http;
mod layers;
mod limits;
mod log;
mod mail;
mod networks;
mod operations;
mod origins;
mod plans;
mod queue;
mod retention;
mod sandbox;
mod secret;
mod store;
mod supervision;
mod telegram;
mod units;
mod vault;

use std::path::PathBuf;

use figment::error::Kind;
use serde::Deserialize;

use check::Check;

pub use admin::AdminConfig;
pub use auth::AuthConfig;
pub use bot::BotConfig;
pub use discord::DiscordConfig;
pub use doctor::DoctorConfig;
pub use error::{ConfigError, Fault};
pub use http::{HttpConfig, TlsConfig};
pub use layers::{Flag, REFERENCE, Sources};
pub use limits::LimitsConfig;
pub use log::{LogConfig, LogFormat};
pub use mail::MailConfig;
pub use operations::{EventsConfig, JobsConfig};
pub use origins::Origins;
pub use plans::PlansConfig;
pub use queue::QueueConfig;
pub use retention::RetentionConfig;
pub use sandbox::{SandboxLimits, SandboxMode, SandboxPairs, SandboxSettings};
pub use secret::Secret;
pub use store::StoreConfig;
pub use supervision::SupervisionConfig;
pub use telegram::{ServerLogin, TelegramConfig};
pub use units::{ByteSize, duration};
pub use vault::VaultConfig;

/// Keys whose values are never shown, not even in an error.
const SECRET_KEYS: [&str; 4] = ["store.url", "telegram.api_hash", "bot.token", "vault.master_key"];

/// A whole configuration that was checked.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The data folder: a flag, not a key.
    #[serde(skip)]
    pub data_dir: PathBuf,
    /// The HTTP server.
    pub http: HttpConfig,
    /// The database.
    pub store: StoreConfig,
    /// The supervision tree.
    pub supervision: SupervisionConfig,
    /// Pairs and queues.
    pub queue: QueueConfig,
    /// Telegram.
    pub telegram: TelegramConfig,
    /// Discord.
    pub discord: DiscordConfig,
    /// The bot that writes to people.
    pub bot: BotConfig,
    /// The vault.
    pub vault: VaultConfig,
    /// Logs.
    pub log: LogConfig,
    /// The sandbox.
    pub sandbox: SandboxSettings,
    /// Retention.
    pub retention: RetentionConfig,
    /// Bounds of one daemon.
    pub limits: LimitsConfig,
    /// Plans.
    pub plans: PlansConfig,
    /// Streams of events.
    pub events: EventsConfig,
    /// Long work.
    pub jobs: JobsConfig,
    /// The doctor.
    pub doctor: DoctorConfig,
    /// Signing in.
    pub auth: AuthConfig,
    /// Letters.
    pub mail: MailConfig,
    /// The staff's side of the API.
    pub admin: AdminConfig,
}

impl Config {
    /// Reads and checks a configuration.
    ///
    /// # Errors
    /// [`ConfigError`], naming each key at fault and the layer that set it.
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        let figment = layers::merge(sources)?;
        let mut config: Self = figment.extract().map_err(|error| refused(&error))?;
        config.data_dir.clone_from(&sources.data_dir);
        let mut check = Check::new(&figment);
        config.check(&mut check, sources);
        check.finish()?;
        Ok(config)
    }

    fn check(&mut self, check: &mut Check<'_>, sources: &Sources) {
        self.http.check(check);
        self.store.check(check);
        self.supervision.check(check);
        self.queue.check(check);
        self.telegram.check(check);
        self.discord.check(check);
        self.bot.check(check);
        self.vault.check(check, sources);
        self.log.check(check);
        self.sandbox.check(check);
        self.plans.check(check);
        self.doctor.check(check);
        self.auth.check(check);
        self.mail.check(check);
        self.admin.check(check);
        self.jobs.check(check);
        check.refuse_if(
            self.limits.idempotency_lease <= self.http.answer_timeout,
            "limits.idempotency_lease",
            "it must be longer than http.answer_timeout",
        );
        check.refuse_if(
            self.queue.event_attempts_max.get() <= self.supervision.restarts_max,
            "queue.event_attempts_max",
            "it must be more than supervision.restarts_max",
        );
    }
}

fn refused(error: &figment::Error) -> ConfigError {
    let key = error.path.join(".");
    let reason = match &error.kind {
        _ if SECRET_KEYS.contains(&key.as_str()) => "it must be a text in quotes".to_owned(),
        Kind::Message(text) => text.clone(),
        kind => kind.to_string(),
    };
    let layer =
        error.metadata.as_ref().map_or("an unknown layer", |metadata| metadata.name.as_ref()).to_owned();
    ConfigError::Refused(vec![Fault { key, layer, reason }])
}
