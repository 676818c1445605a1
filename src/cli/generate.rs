//! `completions`, `man`, `openapi`: what shells, manuals and programs know of this version, made from the code itself.

use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use super::args::Cli;
use super::console::Console;
use super::exit::ExitCode;
use crate::http::api::document;

/// The program's name, and the first part of every page's.
const NAME: &str = "switchyard";

/// `completions`
#[derive(Args, Clone, Debug)]
pub struct CompletionsArgs {
    /// The shell that is to complete.
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// `man`
#[derive(Args, Clone, Debug)]
pub struct ManArgs {
    /// Folder into which a page for the program and one for each verb is written; without it the program's own page is
    /// printed.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// Prints a shell's completion script.
pub(super) fn completions(args: &CompletionsArgs, console: &mut Console) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(), NAME, &mut script);
    console.print(&String::from_utf8_lossy(&script), false);
    ExitCode::Ok
}

/// Prints the manual page, or writes all of them.
pub(super) fn man(args: &ManArgs, console: &mut Console) -> ExitCode {
    let written = match &args.dir {
        None => page(&command()).map(|page| console.print(&String::from_utf8_lossy(&page), false)),
        Some(folder) => write(folder).map(|count| {
            console.say(format_args!("wrote {count} pages to {}", folder.display()));
        }),
    };
    match written {
        Ok(()) => ExitCode::Ok,
        Err(error) => {
            console.complain(format_args!("manual pages cannot be written: {error}"));
            ExitCode::Io
        }
    }
}

/// Prints the OpenAPI document.
pub(super) fn openapi(console: &mut Console) -> ExitCode {
    console.print(&format!("{}\n", document()), false);
    ExitCode::Ok
}

fn command() -> Command {
    let mut command = Cli::command();
    command.build();
    command
}

fn page(command: &Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(command.clone()).render(&mut page)?;
    Ok(page)
}

/// A page per verb, in man's own way of naming them: `switchyard-pairs-add.1`.
fn write(folder: &Path) -> io::Result<usize> {
    std::fs::create_dir_all(folder)?;
    let mut pages = Vec::new();
    collect(command(), &mut pages);
    for command in &pages {
        // Set for every verb by the building of the command line, with the names of those above it.
        let name = command.get_display_name().unwrap_or(NAME);
        std::fs::write(folder.join(format!("{name}.1")), page(command)?)?;
    }
    Ok(pages.len())
}

fn collect(command: Command, pages: &mut Vec<Command>) {
    for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
        collect(verb.clone(), pages);
    }
    pages.push(command);
}
