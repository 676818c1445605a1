//! The command line of `users`.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use switchyard_actors::model::{PlanName, UserId};

use super::args::DataDir;
use crate::services::bulk::PairVerb;
use crate::services::identity::UserState;

/// `users`
#[derive(Args, Clone, Debug)]
pub struct UsersArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: UsersVerb,
}

/// The verbs of `users`.
#[derive(Subcommand, Clone, Debug)]
pub enum UsersVerb {
    /// List users with plan and usage, or search them.
    List(ListUsersArgs),
    /// Show one user with everything that is known of them.
    Show(UserRefArgs),
    /// Suspend a user: no send of theirs starts any more, and what waits is kept.
    Suspend(SuspendUserArgs),
    /// Restore a suspended user: what waited goes out in order.
    Restore(UserRefArgs),
    /// Give a user a plan, at once.
    Plan(PlanUserArgs),
    /// Delete a user with everything of theirs.
    Delete(DeleteUserArgs),
    /// Pause, resume or delete all pairs of a user, as a job.
    Pairs(UserPairsArgs),
}

/// A user as people name them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserRef {
    /// By id.
    Id(UserId),
    /// By e-mail address.
    Email(String),
}

impl FromStr for UserRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains('@') {
            return Ok(Self::Email(text.to_owned()));
        }
        text.parse().map(Self::Id).map_err(|_| format!("{text:?} is neither the id of a user nor an address"))
    }
}

/// `users list`
#[derive(Args, Clone, Debug)]
pub struct ListUsersArgs {
    /// Where the daemon is.
    #[command(flatten)]
    pub data: DataDir,
    /// A whole e-mail address, an id or its beginning, or a part of the staff's label.
    #[arg(long, value_name = "TEXT")]
    pub query: Option<String>,
    /// Only users whose plan this is now.
    #[arg(long, value_name = "PLAN")]
    pub plan: Option<PlanName>,
    /// Only users in this state: active, suspended, deleting.
    #[arg(long, value_name = "STATE")]
    pub state: Option<UserState>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Which user.
#[derive(Args, Clone, Debug)]
pub struct UserRefArgs {
    /// Where the daemon is.
    #[command(flatten)]
    pub data: DataDir,
    /// The user's id or e-mail address.
    #[arg(value_name = "USER")]
    pub user: UserRef,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `users suspend`
#[derive(Args, Clone, Debug)]
pub struct SuspendUserArgs {
    /// Whom.
    #[command(flatten)]
    pub user: UserRefArgs,
    /// Why, in words for people; the user is shown them.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// `users plan`
#[derive(Args, Clone, Debug)]
pub struct PlanUserArgs {
    /// Whom.
    #[command(flatten)]
    pub user: UserRefArgs,
    /// The plan's name, as `plans list` shows it.
    #[arg(value_name = "PLAN")]
    pub plan: PlanName,
    /// Until when, such as 2027-01-01T00:00:00Z; without it without an end.
    #[arg(long, value_name = "TIME")]
    pub until: Option<DateTime<Utc>>,
}

/// `users delete`
#[derive(Args, Clone, Debug)]
pub struct DeleteUserArgs {
    /// Whom.
    #[command(flatten)]
    pub user: UserRefArgs,
    /// Really: it cannot be undone.
    #[arg(long, required = true)]
    pub yes: bool,
}

/// `users pairs`
#[derive(Args, Clone, Debug)]
pub struct UserPairsArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: UserPairsVerb,
}

/// The verbs of `users pairs`.
#[derive(Subcommand, Clone, Debug)]
pub enum UserPairsVerb {
    /// Pause all pairs of a user for the staff's reason.
    Pause(BulkPairsArgs),
    /// Lift that reason from all pairs of a user; others stay.
    Resume(BulkPairsArgs),
    /// Delete all pairs of a user.
    Delete(BulkPairsArgs),
}

impl UserPairsVerb {
    /// What is done, and to whose pairs.
    #[must_use]
    pub const fn parts(&self) -> (PairVerb, &BulkPairsArgs) {
        match self {
            Self::Pause(args) => (PairVerb::Pause, args),
            Self::Resume(args) => (PairVerb::Resume, args),
            Self::Delete(args) => (PairVerb::Delete, args),
        }
    }
}

/// `users pairs pause`, `resume`, `delete`
#[derive(Args, Clone, Debug)]
pub struct BulkPairsArgs {
    /// Whose.
    #[command(flatten)]
    pub user: UserRefArgs,
    /// Wait until the job is over; it fails if a pair failed.
    #[arg(long)]
    pub wait: bool,
}
