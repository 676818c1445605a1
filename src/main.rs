//! Entry point: a checklist.

use std::process::ExitCode;

use switchyard::cli::{self, Console};
use switchyard::{app, crypto};

fn main() -> ExitCode {
    crypto::install_ring_provider();
    let mut console = Console::process();
    let cli = match cli::parse(std::env::args_os(), &mut console) {
        Ok(cli) => cli,
        Err(code) => return code.into(),
    };
    app::run(&cli.command, &mut console).into()
}
