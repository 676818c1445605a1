//! Telegram as a target, by the session of a user: against the sandbox's data centre, over real sockets.

use std::time::Duration;

use switchyard::clock::SystemClock;
use switchyard_actors::model::{
    AccountKind, Entity, EntityKind, HoldScope, PartBody, RichText, SendOutcome, SourceEvent,
};
use switchyard_actors::ports::{Clock, ConnectionError, Operation};
use switchyard_sandbox::faults::{FaultKind, FaultTarget};
use switchyard_sandbox::messages::EntityKind as Kind;

use super::adapter_harness::{Reader, fault, says};
use super::adapter_telegram_bench::{Bench, carry_out, delivered, id, operation, place, rich, send};

fn own(bench: &Bench) -> FaultTarget {
    FaultTarget::Account(bench.account.id.as_uuid())
}

fn now_ms() -> i64 {
    SystemClock.now().timestamp_millis()
}

/// What both kinds of account do alike.
async fn writes_changes_and_deletes(bench: Bench) {
    let (_connection, sender) = bench.connect().await;
    let bold = Entity { offset: 6, length: 2, kind: EntityKind::Bold };
    let body = PartBody::Rich { text: RichText::new("hello 😀", vec![bold]).unwrap() };
    let first = Operation::Send { body: body.clone(), reply_to: None };
    let first = delivered(&carry_out(&sender, operation(&bench.chat, 1, first)).await);
    let answer = Operation::Send { body: rich("yes"), reply_to: Some(first) };
    let answer = delivered(&carry_out(&sender, operation(&bench.chat, 2, answer)).await);
    let messages = bench.messages(&bench.chat);
    assert_eq!(messages.len(), 2);
    assert_eq!((messages[0].text.as_str(), id(&messages[0].id)), ("hello 😀", first));
    let entity = &messages[0].entities[0];
    assert_eq!((entity.kind, entity.offset, entity.length), (Kind::Bold, 6, 2));
    assert_eq!(messages[1].reply_to.as_deref(), Some(messages[0].id.as_str()));

    let edit = |text: &str| Operation::Edit { message: first, body: rich(text) };
    for _ in 0..2 {
        let outcome = carry_out(&sender, operation(&bench.chat, 3, edit("hello again"))).await;
        assert_eq!(delivered(&outcome), first, "one that says so already is done");
    }
    assert_eq!(bench.texts(), ["hello again", "yes"]);
    for _ in 0..2 {
        let delete = Operation::Delete { message: answer };
        let outcome = carry_out(&sender, operation(&bench.chat, 4, delete)).await;
        assert!(matches!(outcome, SendOutcome::Delivered { .. }), "one that is gone is done: {outcome:?}");
    }
    assert_eq!(bench.texts(), ["hello again"]);
    bench.no_violations();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_writes_answers_changes_and_deletes() {
    writes_changes_and_deletes(Bench::user().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_writes_answers_changes_and_deletes() {
    writes_changes_and_deletes(Bench::bot().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_what_is_gone_is_written_without_it_and_once() {
    let bench = Bench::user().await;
    let gone = bench.sandbox.telegram().post_message(&bench.chat, &says("gone soon")).unwrap();
    bench.sandbox.telegram().delete_message(&bench.chat, &gone).unwrap();
    let (_connection, sender) = bench.connect().await;
    let answer = Operation::Send { body: rich("to nobody"), reply_to: Some(id(&gone)) };
    delivered(&carry_out(&sender, operation(&bench.chat, 1, answer)).await);
    let messages = bench.messages(&bench.chat);
    assert_eq!((messages.len(), messages[0].reply_to.as_deref()), (1, None));
}

/// A send whose answer is lost is repeated under its key: it stands there once, and its id is found.
async fn repeats_without_harm(mut bench: Bench, chat: String, inbox: String) {
    bench.config.request_timeout = Duration::from_secs(5);
    let before = bench.messages(&inbox).len();
    for number in 0..3_u128 {
        let (_connection, sender) = bench.connect().await;
        // All the same, so that only the number that they go under tells them apart.
        let request = send(&chat, number, "again and again");
        let since = now_ms();
        fault(&bench.sandbox, own(&bench), FaultKind::LostAnswer, 1, Duration::ZERO);
        let outcome = carry_out(&sender, request.clone()).await;
        assert!(matches!(outcome, SendOutcome::Unclear { .. }), "{outcome:?}");
        // The connection went with the answer; another one sends again.
        let (_connection, sender) = bench.connect().await;
        let mut repeat = request;
        repeat.unclear_since = Some(since);
        let found = delivered(&carry_out(&sender, repeat).await);
        let messages = bench.messages(&inbox);
        assert_eq!(messages.len(), before + usize::try_from(number).unwrap() + 1, "none twice");
        assert_eq!(found, id(&messages.last().unwrap().id));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_users_send_whose_answer_is_lost_is_not_repeated() {
    let bench = Bench::user().await;
    let chat = bench.chat.clone();
    repeats_without_harm(bench, chat.clone(), chat).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bots_send_whose_answer_is_lost_is_not_repeated() {
    let bench = Bench::bot().await;
    let chat = bench.chat.clone();
    repeats_without_harm(bench, chat.clone(), chat).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_send_whose_answer_is_lost_is_not_repeated() {
    let bench = Bench::user().await;
    let (person, inbox) = met(&bench);
    repeats_without_harm(bench, person, inbox).await;
}

/// A person who has written to the account, and the account's private messages as the control API names them.
fn met(bench: &Bench) -> (String, String) {
    let person = bench.sandbox.seed().telegram.persons[0].id.to_string();
    let inbox = bench.account.platform_id.to_string();
    let mut hello = says("hello");
    hello.from = Some(person.clone());
    bench.sandbox.telegram().post_message(&inbox, &hello).unwrap();
    (person, inbox)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_too_far_back_is_found_in_history_and_by_a_bot_not_at_all() {
    for kind in [AccountKind::TelegramUser, AccountKind::TelegramBot] {
        let mut bench = Bench::new(kind, |_| {}).await;
        bench.config.request_timeout = Duration::from_secs(5);
        bench.config.sent_lookback = 2;
        let (_connection, sender) = bench.connect().await;
        let mut request = send(&bench.chat, 1, "mine");
        request.unclear_since = Some(now_ms());
        fault(&bench.sandbox, own(&bench), FaultKind::LostAnswer, 1, Duration::ZERO);
        carry_out(&sender, request.clone()).await;
        let sent = id(&bench.messages(&bench.chat).last().unwrap().id);
        for _ in 0..4 {
            bench.sandbox.telegram().post_message(&bench.chat, &says("mine")).unwrap();
        }
        let (_connection, sender) = bench.connect().await;
        let outcome = carry_out(&sender, request).await;
        let message = Some(sent).filter(|_| kind == AccountKind::TelegramUser);
        assert_eq!(outcome, SendOutcome::Delivered { message }, "{kind:?}");
        assert_eq!(bench.texts().len(), 5);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_connection_leaves_one_message() {
    let bench = Bench::user().await;
    let (connection, sender) = bench.connect().await;
    let mut reader = Reader::new(connection, &[]);
    let since = now_ms();
    let request = send(&bench.chat, 1, "once");
    delivered(&carry_out(&sender, request.clone()).await);
    // The process dies before it can write the outcome down; another sends again.
    fault(&bench.sandbox, own(&bench), FaultKind::DropConnection, 1, Duration::ZERO);
    assert!(matches!(reader.end().await, ConnectionError::Unreachable(_)));
    // As soon as the client has noticed too, nothing leaves any more, and that is said.
    loop {
        match carry_out(&sender, send(&bench.chat, 2, "never")).await {
            SendOutcome::Offline { .. } => break,
            SendOutcome::Unclear { .. } => {}
            other => panic!("without a connection: {other:?}"),
        }
    }
    let (_connection, sender) = bench.connect().await;
    let mut repeat = request;
    repeat.unclear_since = Some(since);
    delivered(&carry_out(&sender, repeat).await);
    assert_eq!(bench.texts(), ["once"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_telegram_refuses_has_its_outcome() {
    let bench = Bench::user().await;
    let (_connection, sender) = bench.connect().await;
    fault(&bench.sandbox, own(&bench), FaultKind::ServerError, 1, Duration::ZERO);
    let outcome = carry_out(&sender, send(&bench.chat, 1, "x")).await;
    assert!(matches!(outcome, SendOutcome::Backoff { .. }), "{outcome:?}");
    let long = "x".repeat(4_097);
    let outcome = carry_out(&sender, send(&bench.chat, 1, &long)).await;
    assert!(
        matches!(&outcome, SendOutcome::Refused { error } if error.contains("MESSAGE_TOO_LONG")),
        "{outcome:?}"
    );
    let markdown = Operation::Send {
        body: PartBody::Markdown { content: "x".to_owned(), author: None },
        reply_to: None,
    };
    let outcome = carry_out(&sender, operation(&bench.chat, 1, markdown)).await;
    assert!(matches!(outcome, SendOutcome::Refused { .. }), "{outcome:?}");
    let absent = Operation::Edit { message: id("4000"), body: rich("x") };
    let outcome = carry_out(&sender, operation(&bench.chat, 1, absent)).await;
    assert!(matches!(outcome, SendOutcome::Refused { .. }), "{outcome:?}");
    assert_eq!(bench.texts(), Vec::<String>::new());
    delivered(&carry_out(&sender, send(&bench.chat, 1, "x")).await);
    fault(&bench.sandbox, own(&bench), FaultKind::Unauthorized, 1, Duration::ZERO);
    let outcome = carry_out(&sender, send(&bench.chat, 2, "y")).await;
    assert!(matches!(outcome, SendOutcome::SessionDead { .. }), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_is_told_with_its_length_and_for_whom() {
    let bench = Bench::user().await;
    let (_connection, sender) = bench.connect().await;
    fault(&bench.sandbox, own(&bench), FaultKind::FloodWait, 1, Duration::from_secs(7));
    let outcome = carry_out(&sender, send(&bench.chat, 1, "x")).await;
    let wait = Duration::from_secs(7);
    assert_eq!(outcome, SendOutcome::RetryAfter { wait, scope: HoldScope::Account });
}

#[tokio::test(flavor = "multi_thread")]
async fn after_every_end_of_a_session_nothing_was_sent_and_a_login_is_needed() {
    use FaultKind::{AuthKeyDuplicated, SessionRevoked, UserDeactivatedBan};
    for kind in [SessionRevoked, AuthKeyDuplicated, UserDeactivatedBan] {
        let mut bench = Bench::user().await;
        bench.config.request_timeout = Duration::from_secs(5);
        bench.config.connect_timeout = Duration::from_secs(5);
        let (_connection, sender) = bench.connect().await;
        // A ban lasts: it is met again by the next connection.
        fault(
            &bench.sandbox,
            own(&bench),
            kind,
            if kind == UserDeactivatedBan { 9 } else { 1 },
            Duration::ZERO,
        );
        // The server may hang up before it answers.
        let outcome = carry_out(&sender, send(&bench.chat, 1, "x")).await;
        let kept = matches!(
            outcome,
            SendOutcome::SessionDead { .. } | SendOutcome::Unclear { .. } | SendOutcome::Offline { .. }
        );
        assert!(kept, "{kind:?}: {outcome:?}");
        assert_eq!(bench.texts(), Vec::<String>::new());
        let refused = bench.try_connect(&[], &[], Vec::new()).await.map(drop);
        assert!(matches!(refused, Err(ConnectionError::NeedsLogin(_))), "{kind:?}: {refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_may_not_write_is_quarantined_and_a_chat_that_refuses_pauses_its_pair() {
    for account in [AccountKind::TelegramUser, AccountKind::TelegramBot] {
        let bench = Bench::new(account, |_| {}).await;
        let (_connection, sender) = bench.connect().await;
        for (kind, wait) in [
            (FaultKind::Frozen, Duration::ZERO),
            (FaultKind::PeerFlood, Duration::ZERO),
            (FaultKind::ChatWriteForbidden, Duration::ZERO),
            (FaultKind::SlowmodeWait, Duration::from_secs(9)),
        ] {
            fault(&bench.sandbox, own(&bench), kind, 1, wait);
            let outcome = carry_out(&sender, send(&bench.chat, 1, "x")).await;
            let right = match (kind, &outcome) {
                (FaultKind::Frozen | FaultKind::PeerFlood, SendOutcome::Quarantine { .. }) => true,
                (FaultKind::ChatWriteForbidden, SendOutcome::PausePair { .. }) => true,
                (FaultKind::SlowmodeWait, SendOutcome::RetryAfter { wait: told, scope }) => {
                    (*told, *scope) == (wait, HoldScope::Chat)
                }
                _ => false,
            };
            assert!(right, "{account:?} {kind:?}: {outcome:?}");
        }
        assert_eq!(bench.texts(), Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_that_cannot_be_found_pauses_its_pair_and_nobody_else() {
    for kind in [AccountKind::TelegramUser, AccountKind::TelegramBot] {
        let bench = Bench::new(kind, |_| {}).await;
        let (_connection, sender) = bench.connect().await;
        let outcome = carry_out(&sender, send("-1001999999999", 1, "x")).await;
        let SendOutcome::PausePair { error } = outcome else { panic!("not paused: {outcome:?}") };
        assert!(error.contains("-1001999999999"), "{error}");
        delivered(&carry_out(&sender, send(&bench.chat, 2, "x")).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_hash_that_is_out_of_date_is_asked_for_again() {
    for kind in [AccountKind::TelegramUser, AccountKind::TelegramBot] {
        let bench = Bench::new(kind, |_| {}).await;
        drop(bench.connect().await);
        bench.credentials.spoil_peer(bench.account.id, bench.chat.parse().unwrap());
        let (_connection, sender) = bench.connect().await;
        delivered(&carry_out(&sender, send(&bench.chat, 1, "x")).await);
        assert_eq!(bench.texts(), ["x"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn own_sends_are_told_by_the_same_stream_without_a_gap() {
    let bench = Bench::user().await;
    let (person, _) = met(&bench);
    let sources = [place(&bench.chat), place(&person)];
    let connection = bench.try_connect(&sources, &sources, Vec::new()).await.unwrap();
    let sender = connection.sender.clone().unwrap();
    let mut reader = Reader::new(connection, &[]);
    reader.unit().await.unwrap();
    for number in 0..20_u128 {
        let chat = if number % 2 == 0 { &bench.chat } else { &person };
        delivered(&carry_out(&sender, send(chat, number, &number.to_string())).await);
    }
    bench.sandbox.telegram().post_message(&bench.chat, &says("marker")).unwrap();
    let events = reader.events(21).await;
    let mut texts: Vec<_> = events.iter().map(super::adapter_harness::text).collect();
    assert_eq!(texts.pop().unwrap(), "marker", "nothing is told twice, nothing is told late");
    texts.sort_by_key(|text| text.parse::<u32>().unwrap());
    assert_eq!(texts, (0..20).map(|number| number.to_string()).collect::<Vec<_>>());
    // By hand or by this system: the store tells the two apart, not the platform.
    let ours = |event: &SourceEvent| matches!(event, SourceEvent::New(message) if message.own);
    assert!(!events.iter().any(ours));
}
