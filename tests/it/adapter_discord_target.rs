//! Discord bots as targets: what follows a message, and what limits say of it, against the sandbox over real sockets.

use std::sync::atomic::Ordering;
use std::time::Duration;

use switchyard_actors::model::{MessageId, PartBody, SendOutcome};
use switchyard_actors::ports::{Operation, PlatformConnector as _, SendRequest};
use switchyard_sandbox::Limits;
use switchyard_sandbox::faults::FaultKind;
use switchyard_sandbox::messages::MessageItem;

use super::adapter_discord::{Connected, GATEWAY, ME, World, delivered, gateway, server};
use super::adapter_harness::{request, says, within};

fn edit(world: &World, message: MessageId, content: &str) -> SendRequest {
    let body = PartBody::Markdown { content: content.to_owned(), author: None };
    SendRequest { operation: Operation::Edit { message, body }, ..world.part(100, content) }
}

fn delete(world: &World, message: MessageId) -> SendRequest {
    SendRequest { operation: Operation::Delete { message }, ..world.part(101, "") }
}

fn answer(world: &World, delivery: u128, content: &str, reply_to: MessageId) -> SendRequest {
    let body = PartBody::Markdown { content: content.to_owned(), author: None };
    let operation = Operation::Send { body, reply_to: Some(reply_to) };
    SendRequest { operation, ..world.part(delivery, content) }
}

async fn done(bot: &Connected, request: SendRequest) {
    let report = bot.send(request).await;
    assert!(matches!(report.outcome, SendOutcome::Delivered { .. }), "{report:?}");
}

fn item(world: &World, id: MessageId) -> MessageItem {
    world.sandbox.discord().get_message(&world.chat, &id.to_string()).unwrap()
}

fn a_persons_message(world: &World, text: &str) -> MessageId {
    world.sandbox.discord().post_message(&world.chat, &says(text)).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_replaces_the_copy_however_often_it_is_made() {
    let world = World::new(|_| {}).await;
    let bot = world.connect().await;
    let id = delivered(&bot.send(world.part(1, "first words")).await);
    for _ in 0..2 {
        let report = bot.send(edit(&world, id, "other **words** @everyone")).await;
        assert_eq!(delivered(&report), id);
        assert_eq!(report.hint, None, "an edit's limits say nothing of new messages");
    }
    assert_eq!(world.arrived(), [(id.to_string(), "other **words** @everyone".to_owned())]);
    assert!(item(&world, id).edited_at.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_without_an_answer_may_be_made_again() {
    let world = World::new(|_| {}).await;
    let bot = world.connect().await;
    let id = delivered(&bot.send(world.part(1, "x")).await);
    world.strike(FaultKind::LostAnswer, Duration::ZERO);
    let report = bot.send(edit(&world, id, "y")).await;
    assert!(matches!(report.outcome, SendOutcome::Unclear { .. }), "{report:?}");
    done(&bot, edit(&world, id, "y")).await;
    world.strike(FaultKind::LostAnswer, Duration::ZERO);
    let report = bot.send(delete(&world, id)).await;
    assert!(matches!(report.outcome, SendOutcome::Unclear { .. }), "{report:?}");
    done(&bot, delete(&world, id)).await;
    assert_eq!(world.arrived(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_gone_is_deleted_already_and_takes_no_edit() {
    let world = World::new(|_| {}).await;
    let bot = world.connect().await;
    let id = delivered(&bot.send(world.part(1, "x")).await);
    done(&bot, delete(&world, id)).await;
    assert_eq!(world.arrived(), []);
    done(&bot, delete(&world, id)).await;
    let report = bot.send(edit(&world, id, "y")).await;
    let SendOutcome::Refused { error } = report.outcome else { panic!("{report:?}") };
    assert!(error.contains("gone"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_wrote_is_not_edited() {
    let world = World::new(|_| {}).await;
    let bot = world.connect().await;
    let id = a_persons_message(&world, "mine");
    let report = bot.send(edit(&world, id, "yours")).await;
    assert!(matches!(report.outcome, SendOutcome::Refused { .. }), "{report:?}");
    assert_eq!(item(&world, id).text, "mine");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_points_at_its_message_and_stands_alone_when_that_is_gone() {
    let world = World::new(|_| {}).await;
    let bot = world.connect().await;
    let first = delivered(&bot.send(world.part(1, "question")).await);
    let reply = delivered(&bot.send(answer(&world, 2, "reply", first)).await);
    assert_eq!(item(&world, reply).reply_to, Some(first.to_string()));
    let persons = a_persons_message(&world, "a person's");
    let reply = delivered(&bot.send(answer(&world, 3, "to a person", persons)).await);
    assert_eq!(item(&world, reply).reply_to, Some(persons.to_string()));
    done(&bot, delete(&world, first)).await;
    let alone = delivered(&bot.send(answer(&world, 4, "too late", first)).await);
    assert_eq!(item(&world, alone).text, "too late");
    assert_eq!(delivered(&bot.send(answer(&world, 4, "too late", first)).await), alone, "once, all the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_that_is_used_up_is_not_called_and_breaks_no_limit() {
    let world = World::new(|config| config.limits = Limits::Published).await;
    let bot = world.connect().await;
    let id = delivered(&bot.send(world.part(1, "0")).await);
    let mut made = 0;
    let waits = loop {
        match bot.send(edit(&world, id, &format!("{made}"))).await.outcome {
            SendOutcome::Delivered { .. } => made += 1,
            SendOutcome::RetryAfter { wait, .. } => break wait,
            other => panic!("{other:?}"),
        }
    };
    assert!(made >= 5, "{made} edits");
    assert!(waits <= Duration::from_secs(5), "{waits:?}");
    assert!(world.sandbox.shared().violations.snapshot().is_empty());
    done(&bot, delete(&world, id)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_taken_back_while_sending_ends_the_session_and_loses_nothing() {
    let world = World::new(|_| {}).await;
    let bot = world.connect().await;
    let id = delivered(&bot.send(world.part(1, "x")).await);
    world.strike(FaultKind::Unauthorized, Duration::ZERO);
    for request in [delete(&world, id), edit(&world, id, "y"), world.part(2, "z")] {
        let report = bot.send(request).await;
        assert!(matches!(report.outcome, SendOutcome::SessionDead { .. }), "{report:?}");
    }
    let again = world.connect().await;
    done(&again, world.part(2, "z")).await;
    assert_eq!(world.arrived().len(), 2, "once each");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_answer_is_written_without_what_it_answers() {
    let world = World::new(|_| {}).await;
    let messages = format!("/api/v10/channels/{}/messages", world.chat);
    let refusal = "{\"message\": \"no history, no replies\", \"code\": 160002}".to_owned();
    let real = gateway(&world.sandbox.discord().gateway_url(), 1_000);
    let (base, calls) =
        server(vec![(ME, 200, world.me()), (GATEWAY, 200, real), (&messages, 400, refusal)]).await;
    let connector = world.connector(&base);
    let connection = within(connector.connect(request(&world.account, &[], Vec::new()))).await.unwrap();
    let calls_before = calls.load(Ordering::Relaxed);
    let sender = connection.sender.clone().unwrap();
    let question = MessageId::new(5).unwrap();
    let report = within(sender.send(answer(&world, 1, "x", question))).await;
    assert!(matches!(report.outcome, SendOutcome::Refused { .. }), "{report:?}");
    assert_eq!(calls.load(Ordering::Relaxed), calls_before + 2);
}
