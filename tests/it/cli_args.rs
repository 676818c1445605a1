//! The command line itself: verbs, flags, help, and what is refused.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot be set up has failed")]

use clap::CommandFactory;
use switchyard::cli::{Cli, Command, ExitCode, parse};
use switchyard::config::{Config, SandboxMode, SandboxPairs, Sources};

use crate::cli_support::console;

fn command(arguments: &[&str]) -> Command {
    let (mut console, _, err) = console();
    match parse(["switchyard"].iter().chain(arguments), &mut console) {
        Ok(cli) => cli.command,
        Err(code) => panic!("{code:?}: {}", err.text()),
    }
}

fn refused(arguments: &[&str]) -> (ExitCode, String, String) {
    let (mut console, out, err) = console();
    let code = parse(["switchyard"].iter().chain(arguments), &mut console).map(|_| ()).unwrap_err();
    (code, out.text(), err.text())
}

#[test]
fn clap_has_nothing_to_complain_of() {
    Cli::command().debug_assert();
}

#[test]
fn serve_s_flags_are_the_topmost_layer() {
    let mode = |arguments: &[&str]| {
        let Command::Serve(args) = command(&[&["serve", "--listen", "127.0.0.1:0"], arguments].concat())
        else {
            panic!("not serve")
        };
        let config = Config::load(&Sources { flags: args.flags(), ..Sources::default() }).unwrap();
        assert_eq!(config.http.listen.port(), 0);
        assert_eq!(args.base.data.data_dir.to_str(), Some("./switchyard-data"));
        config.sandbox.mode
    };
    assert_eq!(mode(&[]), SandboxMode::Off);
    assert_eq!(mode(&["--sandbox"]), SandboxMode::Embedded);
    assert_eq!(mode(&["--sandbox=http://127.0.0.1:9"]), SandboxMode::Attached("http://127.0.0.1:9".into()));
}

#[test]
fn sandbox_s_flags_are_keys_of_its_section() {
    let Command::Sandbox(args) = command(&[
        "sandbox",
        "--listen",
        "127.0.0.1:7001",
        "--limits",
        "published",
        "--seed",
        "42",
        "--pairs",
        "3",
        "--discord-to-discord",
        "1",
        "--webhooks",
        "4",
        "--telegram-users",
        "2",
        "--discord-bots",
        "2",
    ]) else {
        panic!("not sandbox")
    };
    let sandbox = Config::load(&Sources { flags: args.flags(), ..Sources::default() }).unwrap().sandbox;
    assert_eq!((sandbox.control_listen.port(), sandbox.seed), (7001, 42));
    let SandboxPairs { telegram_to_discord, telegram_to_telegram, discord_to_telegram, discord_to_discord } =
        sandbox.pairs;
    let pairs = [telegram_to_discord, telegram_to_telegram, discord_to_telegram, discord_to_discord];
    assert_eq!(pairs, [3, 3, 3, 1], "a direction of its own goes before all");
    assert_eq!((sandbox.telegram_users.get(), sandbox.discord_bots.get()), (2, 2));
    assert_eq!((sandbox.telegram_bots, sandbox.webhooks), (1, 4));
}

#[test]
fn mistakes_are_usage_and_calls_for_help_are_not() {
    for arguments in [
        &["fly"][..],
        &[],
        &["serve", "--speed", "9"],
        &["serve", "--listen", "everywhere"],
        &["restart"],
        &["restart", "a//b"],
        &["reconnect", "not-an-id"],
        &["sandbox", "--limits", "some"],
    ] {
        let (code, out, err) = refused(arguments);
        assert_eq!((code, out.as_str()), (ExitCode::Usage, ""), "{arguments:?}");
        assert!(!err.is_empty(), "{arguments:?}");
    }
    for arguments in [&["--help"][..], &["--version"], &["serve", "--help"]] {
        let (code, out, err) = refused(arguments);
        assert_eq!((code, err.as_str()), (ExitCode::Ok, ""), "{arguments:?}");
        assert!(!out.is_empty(), "{arguments:?}");
    }
}

#[test]
fn exit_codes_are_those_of_sysexits() {
    let codes = [
        (ExitCode::Ok, 0),
        (ExitCode::Usage, 64),
        (ExitCode::Unavailable, 69),
        (ExitCode::Software, 70),
        (ExitCode::Io, 74),
        (ExitCode::TryAgain, 75),
        (ExitCode::Config, 78),
    ];
    for (code, number) in codes {
        assert_eq!(code.code(), number);
    }
}
