//! The command line: parses, asks the running daemon or runs one, prints, and says how it went by an exit code.

mod accounts;
mod announce;
mod args;
mod client;
mod console;
mod doctor;
mod exit;
mod generate;
mod manage_args;
mod manage_client;
mod orders;
mod pairs;
mod report;
mod secret_input;
mod status;
mod table;

use std::ffi::OsString;

use clap::Parser;
use clap::error::ErrorKind;

pub use announce::{AnnounceArgs, AnnounceVerb, Kind, ListAnnouncementsArgs, OneAnnouncementArgs, SendArgs};
pub use args::{
    Cli, Command, ConfigArgs, DataDir, HealthcheckArgs, ReconnectArgs, RestartArgs, SandboxArgs, ServeArgs,
    StatusArgs,
};
pub use client::{Client, ClientError};
pub use console::Console;
pub use doctor::DoctorArgs;
pub use exit::ExitCode;
pub use generate::{CompletionsArgs, ManArgs};
pub use manage_args::{
    AccountsArgs, AccountsVerb, AddBotArgs, AddPairArgs, AddWebhookArgs, End, ImportArgs, ListArgs,
    LoginArgs, OwnerArgs, PairArgs, PairsArgs, PairsVerb, RemoveArgs,
};
pub use report::{PairReport, SandboxReport, StartupReport};
pub use status::Status;

/// Reads a command line, program name first.
///
/// # Errors
/// The exit code, after a usage text or a complaint was printed: a call for help is no mistake.
pub fn parse(
    arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    console: &mut Console,
) -> Result<Cli, ExitCode> {
    Cli::try_parse_from(arguments).map_err(|error| {
        let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
        console.print(&error.render().to_string(), !asked);
        if asked { ExitCode::Ok } else { ExitCode::Usage }
    })
}

/// Carries out a verb that needs no more than the command line or the running daemon; none for the others.
pub async fn ask(command: &Command, console: &mut Console) -> Option<ExitCode> {
    let result = match command {
        Command::Completions(args) => return Some(generate::completions(args, console)),
        Command::Man(args) => return Some(generate::man(args, console)),
        Command::OpenApi => return Some(generate::openapi(console)),
        Command::Status(args) => status::run(args, console).await,
        Command::Restart(args) => orders::restart(args, console).await,
        Command::Reconnect(args) => orders::reconnect(args, console).await,
        Command::Accounts(args) => accounts::run(args, console).await,
        Command::Pairs(args) => pairs::run(args, console).await,
        Command::Announce(args) => announce::run(args, console).await,
        Command::Healthcheck(args) => orders::healthcheck(args, console).await,
        Command::Serve(_) | Command::Sandbox(_) | Command::Migrate(_) | Command::Doctor(_) => return None,
    };
    Some(match result {
        Ok(()) => ExitCode::Ok,
        Err(error) => {
            console.complain(&error);
            error.exit_code()
        }
    })
}
