//! The command line of `queues`, `dead-letters` and `jobs`.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use switchyard_actors::model::{AccountId, DeliveryId, JobId, PairId, UserId};

use crate::services::deliveries::DeadWord;
use crate::services::states::{QueueStanding, SessionStanding};

use super::args::DataDir;

/// `queues`
#[derive(Args, Clone, Debug)]
pub struct QueuesArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: QueuesVerb,
}

/// The verbs of `queues`.
#[derive(Subcommand, Clone, Debug)]
pub enum QueuesVerb {
    /// List queues and what waits in each.
    List(QueueListArgs),
    /// Start a queue anew, or all that are in a state; what waits is kept.
    Restart(QueueRestartArgs),
    /// Hold a queue: it begins no send, what waits is kept.
    Pause(QueueArgs),
    /// Let a held queue go on.
    Resume(QueueArgs),
}

/// `queues list`
#[derive(Args, Clone, Debug)]
pub struct QueueListArgs {
    /// Where the daemon is.
    #[command(flatten)]
    pub data: DataDir,
    /// Only those in this state: running, restarting, paused, quarantined, failing, parked.
    #[arg(long, value_name = "STATE")]
    pub state: Option<QueueStanding>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `queues restart`
#[derive(Args, Clone, Debug)]
#[group(id = "which_queues", required = true, multiple = false, args = ["queue", "state"])]
pub struct QueueRestartArgs {
    /// Where the daemon is.
    #[command(flatten)]
    pub data: DataDir,
    /// The queue: its account's id.
    #[arg(value_name = "ACCOUNT")]
    pub queue: Option<AccountId>,
    /// All queues in this state.
    #[arg(long, value_name = "STATE")]
    pub state: Option<QueueStanding>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `queues pause`, `queues resume`
#[derive(Args, Clone, Debug)]
pub struct QueueArgs {
    /// Where the daemon is.
    #[command(flatten)]
    pub data: DataDir,
    /// The queue: its account's id.
    #[arg(value_name = "ACCOUNT")]
    pub queue: AccountId,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `reconnect`
#[derive(Args, Clone, Debug)]
#[group(id = "which_sessions", required = true, multiple = false, args = ["account", "all"])]
pub struct ReconnectArgs {
    /// Where the daemon is.
    #[command(flatten)]
    pub data: DataDir,
    /// The account's id, as `status` shows it under sessions/.
    #[arg(value_name = "ACCOUNT")]
    pub account: Option<AccountId>,
    /// All sessions in the state that --state names.
    #[arg(long, requires = "state")]
    pub all: bool,
    /// With --all: retrying, stopped, platform_wait or needs_login.
    #[arg(long, value_name = "STATE", requires = "all")]
    pub state: Option<SessionStanding>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `dead-letters`
#[derive(Args, Clone, Debug)]
pub struct DeadLettersArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: DeadLettersVerb,
}

/// The verbs of `dead-letters`.
#[derive(Subcommand, Clone, Debug)]
pub enum DeadLettersVerb {
    /// List deliveries that were given up, with their reasons.
    List(LetterListArgs),
    /// Try dead deliveries again: those named, or all that a filter finds.
    Replay(LetterReplayArgs),
}

/// Which dead letters.
#[derive(Args, Clone, Debug, Default)]
pub struct LetterFilterArgs {
    /// Only of this user.
    #[arg(long, value_name = "USER")]
    pub user: Option<UserId>,
    /// Only of this account.
    #[arg(long, value_name = "ACCOUNT")]
    pub account: Option<AccountId>,
    /// Only of this pair.
    #[arg(long, value_name = "PAIR")]
    pub pair: Option<PairId>,
    /// Only given up for this reason: refused, exhausted, expired, copy_unknown.
    #[arg(long, value_name = "REASON")]
    pub reason: Option<DeadWord>,
    /// Only made at this time or later (RFC 3339).
    #[arg(long, value_name = "TIME")]
    pub from: Option<DateTime<Utc>>,
    /// Only made before this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    pub to: Option<DateTime<Utc>>,
}

/// `dead-letters list`
#[derive(Args, Clone, Debug)]
pub struct LetterListArgs {
    /// Where the daemon is.
    #[command(flatten)]
    pub data: DataDir,
    /// Which.
    #[command(flatten)]
    pub filter: LetterFilterArgs,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `dead-letters replay`
#[derive(Args, Clone, Debug)]
pub struct LetterReplayArgs {
    /// Where the daemon is.
    #[command(flatten)]
    pub data: DataDir,
    /// These alone.
    #[arg(value_name = "DELIVERY")]
    pub ids: Vec<DeliveryId>,
    /// All that these find.
    #[command(flatten)]
    pub filter: LetterFilterArgs,
    /// All there are.
    #[arg(long, conflicts_with = "ids")]
    pub all: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `jobs`
#[derive(Args, Clone, Debug)]
pub struct JobsArgs {
    /// Where the daemon is.
    #[command(flatten)]
    pub data: DataDir,
    /// One job; without it, or with the word `list`, all that are kept.
    #[arg(value_name = "JOB")]
    pub job: Option<JobChoice>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Which jobs are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobChoice {
    /// All that are kept.
    List,
    /// One.
    One(JobId),
}

impl FromStr for JobChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "list" {
            return Ok(Self::List);
        }
        text.parse().map(Self::One).map_err(|_| "it must be a job's id, or the word list".to_owned())
    }
}
