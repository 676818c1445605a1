//! The command line: parses, asks the running daemon or runs one, prints, and says how it went by an exit code.

mod accounts;
mod admins;
mod announce;
mod args;
mod client;
mod console;
mod doctor;
mod exit;
mod generate;
mod keys;
mod keys_args;
mod manage_args;
mod manage_client;
mod ops;
mod ops_args;
mod orders;
mod pairs;
mod plans;
mod report;
mod secret_input;
mod status;
mod table;
mod upload;
mod users;
mod users_args;
mod watch;

use std::ffi::OsString;

use clap::Parser;
use clap::error::{ContextKind, ContextValue, ErrorKind};

pub use admins::{AddAdminArgs, AdminArgs, AdminRefArgs, AdminVerb, ResetPasswordArgs, SetRoleArgs};
pub use announce::{AnnounceArgs, AnnounceVerb, Kind, ListAnnouncementsArgs, OneAnnouncementArgs, SendArgs};
pub use args::{
    Cli, Command, ConfigArgs, DataDir, HealthcheckArgs, RestartArgs, SandboxArgs, ServeArgs, StatusArgs,
};
pub use client::{Client, ClientError};
pub use console::{Console, Size};
pub use doctor::DoctorArgs;
pub use exit::ExitCode;
pub use generate::{CompletionsArgs, ManArgs};
pub use keys_args::{
    KeysArgs, KeysListArgs, KeysVerb, RemoveSecretArgs, RetireArgs, RotateArgs, SecretsArgs, SecretsVerb,
    SetSecretArgs,
};
pub use manage_args::{
    AccountsArgs, AccountsVerb, AddBotArgs, AddPairArgs, AddWebhookArgs, ChangePairArgs, End, ImportArgs,
    ListArgs, LoginArgs, OwnerArgs, PairArgs, PairsArgs, PairsVerb, PlansArgs, PlansVerb, RemoveArgs,
};
pub use ops_args::{
    DeadLettersArgs, DeadLettersVerb, JobChoice, JobsArgs, LetterFilterArgs, LetterListArgs,
    LetterReplayArgs, QueueArgs, QueueListArgs, QueueRestartArgs, QueuesArgs, QueuesVerb, ReconnectArgs,
};
pub use report::{PairReport, SandboxReport, StartupReport};
pub use secret_input::{hidden, line};
pub use status::Status;
pub use upload::{Upload, UploadArgs, show_link};
pub use users_args::{
    BulkPairsArgs, DeleteUserArgs, ListUsersArgs, PlanUserArgs, SuspendUserArgs, UserPairsArgs,
    UserPairsVerb, UserRefArgs, UsersArgs, UsersVerb,
};

/// Reads a command line, program name first.
///
/// # Errors
/// The exit code, after a usage text or a complaint was printed: a call for help is no mistake.
pub fn parse(
    arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    console: &mut Console,
) -> Result<Cli, ExitCode> {
    let arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
    let secrets = arguments.get(1).is_some_and(|verb| TAKES_SECRETS.iter().any(|known| verb == known));
    Cli::try_parse_from(arguments).map_err(|mut error| {
        if secrets {
            hide_values(&mut error);
        }
        let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
        console.print(&error.render().to_string(), !asked);
        if asked { ExitCode::Ok } else { ExitCode::Usage }
    })
}

/// Verbs whose secrets people may give as an argument by mistake.
const TAKES_SECRETS: [&str; 2] = ["accounts", "login"];

/// What was given is not repeated: it may be a secret, and what is printed is kept in logs.
fn hide_values(error: &mut clap::Error) {
    const HIDDEN: &str = "(not shown: a secret is never an argument)";
    let hidden = || ContextValue::String(HIDDEN.to_owned());
    let is_flag = |text: &str| {
        text.strip_prefix("--")
            .is_some_and(|name| name.chars().all(|char| char.is_ascii_lowercase() || char == '-'))
    };
    let named = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(text)) => is_flag(text.split([' ', '=']).next().unwrap_or_default()),
        Some(_) | None => true,
    };
    if !named {
        error.insert(ContextKind::InvalidArg, hidden());
    }
    for kind in [ContextKind::InvalidValue, ContextKind::InvalidSubcommand, ContextKind::Custom] {
        if error.get(kind).is_some() {
            error.insert(kind, hidden());
        }
    }
    for kind in [ContextKind::Suggested, ContextKind::TrailingArg] {
        if error.get(kind).is_some() {
            error.insert(kind, ContextValue::None);
        }
    }
}

/// Carries out a verb that needs no more than the command line or the running daemon; none for the others.
pub async fn ask(command: &Command, console: &mut Console) -> Option<ExitCode> {
    let result = match command {
        Command::Completions(args) => return Some(generate::completions(args, console)),
        Command::Man(args) => return Some(generate::man(args, console)),
        Command::OpenApi => return Some(generate::openapi(console)),
        Command::Status(args) => status::run(args, console).await,
        Command::Restart(args) => orders::restart(args, console).await,
        Command::Reconnect(args) => ops::reconnect(args, console).await,
        Command::Queues(args) => ops::queues(args, console).await,
        Command::DeadLetters(args) => ops::dead_letters(args, console).await,
        Command::Jobs(args) => ops::jobs(args, console).await,
        Command::Accounts(args) => accounts::run(args, console).await,
        Command::Pairs(args) => pairs::run(args, console).await,
        Command::Admin(args) => admins::run(args, console).await,
        Command::Plans(args) => plans::run(args, console).await,
        Command::Users(args) => users::run(args, console).await,
        Command::Keys(args) => keys::keys(args, console).await,
        Command::Secrets(args) => keys::secrets(args, console).await,
        Command::Announce(args) => announce::run(args, console).await,
        Command::Healthcheck(args) => orders::healthcheck(args, console).await,
        Command::Serve(_)
        | Command::Sandbox(_)
        | Command::Migrate(_)
        | Command::Doctor(_)
        | Command::Login(_) => return None,
    };
    Some(match result {
        Ok(()) => ExitCode::Ok,
        Err(error) => {
            console.complain(&error);
            error.exit_code()
        }
    })
}
