//! The command line: verbs and flags. What a flag means for the configuration stands beside it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand};
use switchyard_actors::supervision::{ChildPath, NodeState};

use crate::config::{self, Flag};

use super::admins::AdminArgs;
use super::announce::AnnounceArgs;
use super::doctor::DoctorArgs;
use super::generate::{CompletionsArgs, ManArgs};
use super::keys_args::{KeysArgs, SecretsArgs};
use super::manage_args::{AccountsArgs, PairsArgs, PlansArgs};
use super::ops_args::{DeadLettersArgs, JobsArgs, QueuesArgs, ReconnectArgs};
use super::upload::UploadArgs;
use super::users_args::UsersArgs;

const DATA_DIR: &str = "./switchyard-data";

/// Forwards messages between Telegram and Discord under supervision.
#[derive(Debug, Parser)]
#[command(name = "switchyard", version, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon.
    Serve(ServeArgs),
    /// Run a sandbox alone: servers on loopback that speak Telegram's and Discord's own protocols.
    Sandbox(SandboxArgs),
    /// Show the live supervision tree of the running daemon.
    Status(StatusArgs),
    /// Restart an actor of the running daemon; a parked one is started again.
    Restart(RestartArgs),
    /// Close an account's connection and make a new one, or those of all sessions in a state.
    Reconnect(ReconnectArgs),
    /// List, restart, pause and resume queues of the running daemon.
    Queues(QueuesArgs),
    /// List deliveries that were given up, and try them again.
    DeadLetters(DeadLettersArgs),
    /// Show long work and how far it is.
    Jobs(JobsArgs),
    /// Connect, list and remove accounts of the running daemon.
    Accounts(AccountsArgs),
    /// Sign a Telegram user in on this machine, and hand the session over sealed: code and password go to Telegram alone.
    Login(UploadArgs),
    /// Add, list, pause and remove pairs of the running daemon.
    Pairs(PairsArgs),
    /// The staff: admins of a running daemon.
    Admin(AdminArgs),
    /// List, show, suspend, restore and delete users of the running daemon, and give them plans.
    Users(UsersArgs),
    /// Plans: what users may have and use.
    Plans(PlansArgs),
    /// List, add, rotate and retire the master keys of the running daemon.
    Keys(KeysArgs),
    /// Set, list and remove the installation's own secrets: of payment providers, the mail server, the bot.
    Secrets(SecretsArgs),
    /// Make, list, cancel and resume announcements through the bot.
    Announce(AnnounceArgs),
    /// Apply pending schema changes to the store and end.
    Migrate(ConfigArgs),
    /// Ask the running daemon whether it is well; for containers.
    Healthcheck(HealthcheckArgs),
    /// Look at everything that the daemon needs, whether it runs or not: one line a check.
    Doctor(DoctorArgs),
    /// Print a completion script for a shell.
    Completions(CompletionsArgs),
    /// Print the manual page, or write those of all verbs into a folder.
    Man(ManArgs),
    /// Print the OpenAPI document of this version's HTTP API.
    #[command(name = "openapi")]
    OpenApi,
}

/// Where a running daemon has its data.
#[derive(Args, Clone, Debug)]
pub struct DataDir {
    /// Data folder of the daemon.
    #[arg(long, value_name = "DIR", default_value = DATA_DIR)]
    pub data_dir: PathBuf,
}

/// What a configuration is made of.
#[derive(Args, Clone, Debug)]
pub struct ConfigArgs {
    /// Configuration file, over the compiled-in config.toml.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Data folder.
    #[command(flatten)]
    pub data: DataDir,
}

/// `serve`
#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    /// Configuration and data folder.
    #[command(flatten)]
    pub base: ConfigArgs,
    /// Address and port of the API; port 0 picks a free one.
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// Work against a sandbox: inside this daemon, or the one whose control API is at URL.
    #[arg(long, value_name = "URL", num_args = 0..=1, require_equals = true, default_missing_value = "embedded")]
    pub sandbox: Option<String>,
}

impl ServeArgs {
    /// The flags as the topmost layer.
    #[must_use]
    pub fn flags(&self) -> Vec<Flag> {
        layer([
            ("--listen", "http.listen", self.listen.map(|address| address.to_string())),
            ("--sandbox", "sandbox.mode", self.sandbox.clone()),
        ])
    }
}

/// `sandbox`
#[derive(Args, Clone, Debug)]
pub struct SandboxArgs {
    /// Configuration file, over the compiled-in config.toml.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder in which the world is kept; without it the world ends with the process.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Address of the control API; port 0 picks a free one.
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// Address of the Telegram data centre.
    #[arg(long, value_name = "ADDR")]
    pub telegram_listen: Option<SocketAddr>,
    /// Address of Discord's API and gateway.
    #[arg(long, value_name = "ADDR")]
    pub discord_listen: Option<SocketAddr>,
    /// Address of the Bot API.
    #[arg(long, value_name = "ADDR")]
    pub bot_listen: Option<SocketAddr>,
    /// Limits that are enforced.
    #[arg(long, value_parser = PossibleValuesParser::new(["none", "published"]))]
    pub limits: Option<String>,
    /// Every id, token and code is derived from it.
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
    /// Seeded Telegram user accounts.
    #[arg(long, value_name = "COUNT")]
    pub telegram_users: Option<u16>,
    /// Seeded Telegram bots.
    #[arg(long, value_name = "COUNT")]
    pub telegram_bots: Option<u16>,
    /// Seeded Discord bots.
    #[arg(long, value_name = "COUNT")]
    pub discord_bots: Option<u16>,
    /// Seeded Discord webhooks.
    #[arg(long, value_name = "COUNT")]
    pub webhooks: Option<u16>,
    /// Seeded pairs in each direction that is not named by a flag of its own.
    #[arg(long, value_name = "COUNT")]
    pub pairs: Option<u16>,
    /// Seeded pairs from Telegram to Discord.
    #[arg(long, value_name = "COUNT")]
    pub telegram_to_discord: Option<u16>,
    /// Seeded pairs from Telegram to Telegram.
    #[arg(long, value_name = "COUNT")]
    pub telegram_to_telegram: Option<u16>,
    /// Seeded pairs from Discord to Telegram.
    #[arg(long, value_name = "COUNT")]
    pub discord_to_telegram: Option<u16>,
    /// Seeded pairs from Discord to Discord.
    #[arg(long, value_name = "COUNT")]
    pub discord_to_discord: Option<u16>,
}

impl SandboxArgs {
    /// The flags as the topmost layer.
    #[must_use]
    pub fn flags(&self) -> Vec<Flag> {
        let address = |address: Option<SocketAddr>| address.map(|address| address.to_string());
        let count = |count: Option<u16>| count.map(|count| count.to_string());
        let pairs = |own: Option<u16>| count(own.or(self.pairs));
        layer([
            ("--listen", "sandbox.control_listen", address(self.listen)),
            ("--telegram-listen", "sandbox.telegram_listen", address(self.telegram_listen)),
            ("--discord-listen", "sandbox.discord_listen", address(self.discord_listen)),
            ("--bot-listen", "sandbox.bot_listen", address(self.bot_listen)),
            ("--limits", "sandbox.limits", self.limits.clone()),
            ("--seed", "sandbox.seed", self.seed.map(|number| number.to_string())),
            ("--telegram-users", "sandbox.telegram_users", count(self.telegram_users)),
            ("--telegram-bots", "sandbox.telegram_bots", count(self.telegram_bots)),
            ("--discord-bots", "sandbox.discord_bots", count(self.discord_bots)),
            ("--webhooks", "sandbox.webhooks", count(self.webhooks)),
            ("--telegram-to-discord", "sandbox.pairs.telegram_to_discord", pairs(self.telegram_to_discord)),
            (
                "--telegram-to-telegram",
                "sandbox.pairs.telegram_to_telegram",
                pairs(self.telegram_to_telegram),
            ),
            ("--discord-to-telegram", "sandbox.pairs.discord_to_telegram", pairs(self.discord_to_telegram)),
            ("--discord-to-discord", "sandbox.pairs.discord_to_discord", pairs(self.discord_to_discord)),
        ])
    }
}

/// `status`
#[derive(Args, Clone, Debug)]
pub struct StatusArgs {
    /// Where the daemon is.
    #[command(flatten)]
    pub data: DataDir,
    /// Only actors at or below this path; the same as --prefix.
    #[arg(value_name = "PATH", value_parser = path, conflicts_with = "prefix")]
    pub path: Option<ChildPath>,
    /// Only actors at or below this path.
    #[arg(long, value_name = "PATH", value_parser = path)]
    pub prefix: Option<ChildPath>,
    /// Only actors in this state: starting, running, backoff, parked, suspended, draining or stopped.
    #[arg(long, value_name = "STATE")]
    pub state: Option<NodeState>,
    /// Print JSON: one document, or one on each line with --watch.
    #[arg(long)]
    pub json: bool,
    /// Show it again and again until interrupted or until nobody reads any more: drawn anew on a terminal, those that are not
    /// running first, else one after the other. Waits for a daemon that is away. Ends with 0 if the daemon answered last.
    #[arg(long)]
    pub watch: bool,
    /// Time between two looks of --watch, 100ms to 1h.
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = interval, requires = "watch")]
    pub interval: Duration,
}

impl StatusArgs {
    /// At or below which path.
    pub(super) fn below(&self) -> Option<&ChildPath> {
        self.path.as_ref().or(self.prefix.as_ref())
    }
}

/// `restart`
#[derive(Args, Clone, Debug)]
pub struct RestartArgs {
    /// Where the daemon is.
    #[command(flatten)]
    pub data: DataDir,
    /// The actor, as `status` shows it, such as pairs/ID.
    #[arg(value_name = "PATH", value_parser = path)]
    pub path: ChildPath,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `healthcheck`
#[derive(Args, Clone, Debug)]
pub struct HealthcheckArgs {
    /// Where the daemon is.
    #[command(flatten)]
    pub data: DataDir,
    /// Ask whether it forwards messages, not only whether it lives.
    #[arg(long)]
    pub ready: bool,
}

fn path(text: &str) -> Result<ChildPath, String> {
    ChildPath::parse(text).map_err(|error| error.to_string())
}

/// Shorter would only tire the daemon, longer is no watch.
fn interval(text: &str) -> Result<Duration, String> {
    let given = config::duration(text)?;
    if (Duration::from_millis(100)..=Duration::from_secs(3_600)).contains(&given) {
        Ok(given)
    } else {
        Err("it must be 100ms to 1h".to_owned())
    }
}

fn layer<const N: usize>(flags: [(&'static str, &'static str, Option<String>); N]) -> Vec<Flag> {
    flags.into_iter().filter_map(|(name, key, value)| Some(Flag { name, key, value: value? })).collect()
}
