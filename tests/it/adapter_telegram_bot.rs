//! Telegram bots over MTProto: sign-in by token, reading without history, and what is lost by that.

use std::time::Duration;

use secrecy::SecretSlice;
use switchyard_actors::model::{AccountKind, Cursor, SendOutcome, SourceEvent};
use switchyard_actors::ports::{ConnectionError, Credentials};
use switchyard_sandbox::faults::{FaultKind, FaultTarget};
use switchyard_sandbox::messages::EditedMessage;

use super::adapter_harness::{Reader, fault, says, text};
use super::adapter_telegram_bench::{Bench, carry_out, delivered, place, send};

async fn read(bench: &Bench, cursors: Vec<Cursor>) -> Reader {
    let source = place(&bench.chat);
    let connection = bench.try_connect(&[source], &[source], cursors.clone()).await.unwrap();
    Reader::new(connection, &cursors)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_signs_in_once_and_keeps_its_key() {
    let bench = Bench::bot().await;
    drop(bench.connect().await);
    let (keys, writes) = (bench.sandbox.registered_auth_keys().len(), bench.credentials.writes());
    let (_connection, sender) = bench.connect().await;
    delivered(&carry_out(&sender, send(&bench.chat, 1, "x")).await);
    assert_eq!(bench.sandbox.registered_auth_keys().len(), keys);
    assert_eq!(bench.credentials.writes(), writes);
    bench.no_violations();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_wrong_or_missing_needs_a_login() {
    let bench = Bench::bot().await;
    let wrong = SecretSlice::from(b"3000001:AAwrong".to_vec());
    bench.credentials.set_secret(bench.account.id, "token", wrong).await.unwrap();
    let refused = bench.try_connect(&[], &[], Vec::new()).await.map(drop);
    let Err(ConnectionError::NeedsLogin(why)) = &refused else { panic!("not refused: {refused:?}") };
    assert!(why.contains("ACCESS_TOKEN_INVALID") && !why.contains("AAwrong"), "{why}");
    let bench = Bench::new(AccountKind::TelegramBot, |_| {}).await;
    bench.credentials.forget_secret(bench.account.id, "token");
    let refused = bench.try_connect(&[], &[], Vec::new()).await.map(drop);
    assert!(matches!(refused, Err(ConnectionError::NeedsLogin(_))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_whose_session_was_ended_signs_in_again() {
    use FaultKind::{AuthKeyDuplicated, SessionRevoked};
    for kind in [SessionRevoked, AuthKeyDuplicated] {
        let mut bench = Bench::bot().await;
        bench.config.request_timeout = Duration::from_secs(5);
        bench.config.connect_timeout = Duration::from_secs(5);
        let (_connection, sender) = bench.connect().await;
        let target = FaultTarget::Account(bench.account.id.as_uuid());
        fault(&bench.sandbox, target, kind, 1, Duration::ZERO);
        let outcome = carry_out(&sender, send(&bench.chat, 1, "x")).await;
        assert!(!matches!(outcome, SendOutcome::Delivered { .. }), "{kind:?}: {outcome:?}");
        if kind == AuthKeyDuplicated {
            // The key is dead, the token is not: the first connection notices, the next one has another key.
            let refused = bench.try_connect(&[], &[], Vec::new()).await.map(drop);
            assert!(matches!(refused, Err(ConnectionError::Unreachable(_))), "{refused:?}");
        }
        let (_connection, sender) = bench.connect().await;
        delivered(&carry_out(&sender, send(&bench.chat, 1, "x")).await);
        assert_eq!(bench.texts(), ["x"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_whose_key_the_server_lost_makes_another() {
    let first = Bench::bot().await;
    drop(first.connect().await);
    // The same account at a server that never saw its key.
    let mut second = Bench::bot().await;
    second.config.request_timeout = Duration::from_secs(5);
    second.config.connect_timeout = Duration::from_secs(5);
    second.credentials = first.credentials.clone();
    let refused = second.try_connect(&[], &[], Vec::new()).await.map(drop);
    assert!(matches!(refused, Err(ConnectionError::Unreachable(_))), "{refused:?}");
    let (_connection, sender) = second.connect().await;
    delivered(&carry_out(&sender, send(&second.chat, 1, "x")).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_reads_what_is_written_live_and_while_it_was_away() {
    let bench = Bench::bot().await;
    let telegram = bench.sandbox.telegram();
    telegram.post_message(&bench.chat, &says("before the bot")).unwrap();
    let mut reader = read(&bench, Vec::new()).await;
    reader.unit().await.unwrap();
    let first = telegram.post_message(&bench.chat, &says("first")).unwrap();
    assert_eq!(reader.texts(1).await, ["first"]);
    let cursors = reader.stored();
    drop(reader);
    let edit = EditedMessage { text: "first, edited".to_owned(), entities: Vec::new() };
    telegram.edit_message(&bench.chat, &first, &edit).unwrap();
    for number in 0..150 {
        telegram.post_message(&bench.chat, &says(&number.to_string())).unwrap();
    }
    let mut reader = read(&bench, cursors).await;
    let events = reader.events(151).await;
    let new: Vec<_> = events.iter().filter(|event| matches!(event, SourceEvent::New(_))).map(text).collect();
    assert_eq!(new, (0..150).map(|number| number.to_string()).collect::<Vec<_>>());
    assert!(events.iter().any(|event| matches!(event, SourceEvent::Edited(_))));
    bench.no_violations();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bots_own_messages_are_marked_as_its_own() {
    let bench = Bench::bot().await;
    let source = place(&bench.chat);
    let connection = bench.try_connect(&[source], &[source], Vec::new()).await.unwrap();
    let sender = connection.sender.clone().unwrap();
    let mut reader = Reader::new(connection, &[]);
    reader.unit().await.unwrap();
    delivered(&carry_out(&sender, send(&bench.chat, 1, "mine")).await);
    bench.sandbox.telegram().post_message(&bench.chat, &says("theirs")).unwrap();
    let own: Vec<_> = reader
        .events(2)
        .await
        .into_iter()
        .map(|event| match event {
            SourceEvent::New(message) => (message.text.text().to_owned(), message.own),
            other => panic!("not a new message: {other:?}"),
        })
        .collect();
    assert_eq!(own, [("mine".to_owned(), true), ("theirs".to_owned(), false)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_difference_that_is_too_long_a_bot_gets_the_newest_and_never_the_oldest_again() {
    let bench = Bench::new(AccountKind::TelegramBot, |config| config.telegram.update_log = 20).await;
    let telegram = bench.sandbox.telegram();
    let write = |range: std::ops::Range<u32>| {
        for number in range {
            telegram.post_message(&bench.chat, &says(&number.to_string())).unwrap();
        }
    };
    let mut reader = read(&bench, Vec::new()).await;
    write(0..5);
    assert_eq!(reader.texts(5).await, ["0", "1", "2", "3", "4"]);
    let cursors = reader.stored();
    drop(reader);
    write(5..60);
    let mut reader = read(&bench, cursors).await;
    let mut told: Vec<u32> = Vec::new();
    while told.last() != Some(&59) {
        told.extend(reader.texts(1).await.iter().map(|text| text.parse::<u32>().unwrap()));
    }
    let newest: Vec<u32> = (told[0]..60).collect();
    assert_eq!(told, newest, "whole as far as it is told");
    assert!(told[0] >= 5, "nothing twice: {told:?}");
    write(60..61);
    assert_eq!(reader.texts(1).await, ["60"], "and it goes on");
}
