//! Telethon sessions that are taken over, and log-outs, against the sandbox's data centre.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::time::Duration;

use secrecy::SecretString;
use switchyard::config::TelegramConfig;
use switchyard_actors::model::AccountKind;
use switchyard_actors::ports::{ConnectionError, LoginError};
use tokio::net::TcpListener;
use uuid::Uuid;

use super::adapter_harness::{self, within};
use super::adapter_login::{World, digits, names};

#[tokio::test(flavor = "multi_thread")]
async fn logging_out_ends_the_session_of_that_key_and_no_other() {
    let world = World::new().await;
    let identified = world.signed_in().await;
    let other = world.telethon(Some(world.user(0).2), world.sandbox.telegram_address(), [9; 256]);
    let account = world.keep(identified).await;
    let login = world.login();
    within(login.log_out(&account)).await.unwrap();
    let refused = world.connect(&account, &world.config).await.unwrap_err();
    assert!(matches!(refused, ConnectionError::NeedsLogin(_)), "{refused}");
    within(login.log_out(&account)).await.unwrap();
    within(login.import_telethon(&other, true, None)).await.unwrap();
    let keyless = adapter_harness::account(Uuid::from_u128(78), AccountKind::TelegramUser, 5);
    login.log_out(&keyless).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_the_server_forgot_counts_as_logged_out() {
    let (world, other) = (World::new().await, World::with(|config| config.seed = 2).await);
    let account = world.keep(world.signed_in().await).await;
    let elsewhere =
        TelegramConfig { address: Some(other.sandbox.telegram_address()), ..world.config.clone() };
    within(world.login_with(elsewhere).log_out(&account)).await.unwrap();
    world.connect(&account, &world.config).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_telethon_session_is_taken_over_at_its_own_address() {
    let world = World::new().await;
    let (own, user) = (world.sandbox.telegram_address(), world.user(0).2);
    let session = world.telethon(Some(user), own, [7; 256]);
    let identified = within(world.login().import_telethon(&session, true, None)).await.unwrap();
    assert_eq!((identified.kind, identified.platform_id), (AccountKind::TelegramUser, user));
    assert_eq!(names(&identified), ["home_dc", "dc.2"], "the configured address needs no other");

    // A server that is configured for everybody else, and that must not see the key.
    let trap = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = TelegramConfig { address: Some(trap.local_addr().unwrap()), ..world.config.clone() };
    let identified =
        within(world.login_with(config.clone()).import_telethon(&session, true, None)).await.unwrap();
    assert_eq!(names(&identified), ["home_dc", "dc.2", "address"]);
    let account = world.keep(identified).await;
    world.connect(&account, &config).await.unwrap();
    within(world.login_with(config).log_out(&account)).await.unwrap();
    let refused = world.connect(&account, &world.config).await.unwrap_err();
    assert!(matches!(refused, ConnectionError::NeedsLogin(_)), "{refused}");
    let visit = tokio::time::timeout(Duration::ZERO, trap.accept()).await;
    assert!(visit.is_err(), "nobody came to the configured address");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_configured_address_the_one_inside_counts() {
    let world = World::new().await;
    let session = world.telethon(Some(world.user(0).2), world.sandbox.telegram_address(), [7; 256]);
    let config = TelegramConfig { address: None, ..world.config.clone() };
    let identified =
        within(world.login_with(config.clone()).import_telethon(&session, true, None)).await.unwrap();
    assert_eq!(names(&identified), ["home_dc", "dc.2"]);
    let account = world.keep(identified).await;
    world.connect(&account, &config).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_cannot_be_used_are_refused_in_plain_words() {
    let world = World::with(|config| config.shape.telegram_bots = 1).await;
    let (own, login) = (world.sandbox.telegram_address(), world.login());
    let refusal =
        async |session: SecretString| match within(login.import_telethon(&session, true, None)).await {
            Err(LoginError::Refused(why)) => why,
            other => panic!("not refused: {other:?}"),
        };
    let unknown = refusal(world.telethon(None, own, [5; 256])).await;
    assert!(unknown.contains("does not accept the session"), "{unknown}");
    world.sandbox.telegram().register_auth_key(&[6; 256], None).unwrap();
    let nobody = refusal(world.telethon(None, own, [6; 256])).await;
    assert!(nobody.contains("does not accept the session"), "{nobody}");
    let bot = world.sandbox.seed().telegram.bots[0].user_id;
    let bots = refusal(world.telethon(Some(bot), own, [8; 256])).await;
    assert!(bots.contains("belongs to a bot"), "{bots}");
    refusal(digits("not a session")).await;

    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error =
        within(login.import_telethon(&world.telethon(None, closed, [5; 256]), true, None)).await.unwrap_err();
    assert!(matches!(error, LoginError::Unreachable(_)), "{error}");
}

/// The Python with the peers' packages (`tests/peers/requirements.txt`); CI always names one.
const PYTHON: &str = "SWITCHYARD_PEERS_PYTHON";

async fn telethon_says(python: &str, arguments: Vec<String>) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/telethon_session.py");
    let mut command = std::process::Command::new(python);
    command.arg(script).args(arguments);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_telethon_itself_wrote_is_taken_over_and_logged_out() {
    let Ok(python) = std::env::var(PYTHON) else {
        println!("SKIPPED: {PYTHON} names no Python with Telethon");
        return;
    };
    let world = World::new().await;
    let sandbox = vec!["--sandbox".to_owned(), world.sandbox.control_url()];
    let session = telethon_says(&python, sandbox.clone()).await;
    let config = TelegramConfig { address: None, ..world.config.clone() };
    let login = world.login_with(config.clone());
    let identified = within(login.import_telethon(&digits(&session), true, None)).await.unwrap();
    assert_eq!(identified.platform_id, world.user(0).2);
    let account = world.keep(identified).await;
    world.connect(&account, &config).await.unwrap();
    let asked = [sandbox, vec!["--gone".to_owned(), session]].concat();
    assert_eq!(telethon_says(&python, asked.clone()).await, "alive");
    within(login.log_out(&account)).await.unwrap();
    assert_eq!(telethon_says(&python, asked).await, "over");
}
