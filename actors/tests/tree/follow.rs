//! Edits and deletions follow, answers point at the right copy, and copies are not copied back.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use switchyard_actors::model::{
    DeadReason, Message, Pair, PartBody, SendOutcome, Sender, SenderKind, SkipReason, SourceEvent, UserId,
};
use switchyard_actors::ports::Directory as _;
use switchyard_actors::testkit::SentPart;
use uuid::Uuid;

use crate::world::{World, account, message_id, pair, run, source, target};

impl World {
    fn edit(&self, n: u128, id: i64, text: &str) {
        let edited_at = Some(switchyard_actors::ports::Clock::now(self.clock.as_ref()));
        let message = Message { edited_at, ..self.message(source(n), id, text) };
        self.platform.write(account(0), SourceEvent::Edited(message));
    }

    fn delete(&self, n: u128, id: i64) {
        self.platform.write(account(0), SourceEvent::Deleted { place: source(n), id: message_id(id) });
    }

    fn answer(&self, n: u128, id: i64, to: i64, text: &str) {
        let message = Message { reply_to: Some(message_id(to)), ..self.message(source(n), id, text) };
        self.platform.write(account(0), SourceEvent::New(message));
    }

    async fn settled(&self) {
        for _ in 0..10_000 {
            self.pass(Duration::from_millis(100)).await;
            if self.store.unsettled() == (0, 0) {
                return;
            }
        }
        panic!("unsettled: {:?}", self.store.unsettled());
    }
}

fn text(part: &SentPart) -> &str {
    match &part.body {
        PartBody::Markdown { content, .. } => content,
        PartBody::Rich { text } => text.text(),
        PartBody::Deletion => "",
    }
}

#[test]
fn edits_and_deletions_follow_in_order_also_when_they_come_at_once() {
    run(|| async {
        let world = World::start(1, 2, "").await;
        for id in 1..=20 {
            world.write(0, id, &format!("first {id}"));
            world.edit(0, id, &format!("second {id}"));
            if id % 2 == 0 {
                world.delete(0, id);
            }
            world.write(1, id, "elsewhere");
        }
        world.settled().await;
        let expected: Vec<_> = (1..=20).filter(|id| id % 2 == 1).map(|id| format!("second {id}")).collect();
        assert_eq!(world.platform.texts(target(0)), expected);
        assert_eq!(
            world.platform.texts(target(1)).len(),
            20,
            "the same numbers in another chat are other messages"
        );
        assert_eq!(world.store.skips(), []);
    });
}

#[test]
fn an_edit_of_a_long_text_changes_each_part_and_takes_the_rest_away() {
    run(|| async {
        let world = World::start(1, 1, "").await;
        world.write(0, 1, &"long ".repeat(1_000));
        world.arrived(0, 3).await;
        world.edit(0, 1, &"less ".repeat(600));
        world.settled().await;
        let texts = world.platform.texts(target(0));
        assert_eq!(texts.len(), 2, "{:?}", world.store.skips());
        assert!(texts.iter().all(|text| text.starts_with("less")), "{texts:?}");
        world.edit(0, 1, &"more ".repeat(1_000));
        world.settled().await;
        assert_eq!(world.store.skips(), [(pair(0), SkipReason::EditTooLong)]);
        world.delete(0, 1);
        world.settled().await;
        assert_eq!(world.platform.texts(target(0)), Vec::<String>::new());
        world.edit(0, 1, "too late");
        world.settled().await;
        assert_eq!(world.store.skips().last(), Some(&(pair(0), SkipReason::NotForwarded)));
    });
}

#[test]
fn what_changes_without_a_copy_is_skipped_and_a_lost_id_is_a_dead_letter() {
    run(|| async {
        let world = World::start(1, 1, "").await;
        world.edit(0, 77, "never seen");
        world.delete(0, 78);
        world.settled().await;
        let skip = (pair(0), SkipReason::NotForwarded);
        assert_eq!(world.store.skips(), [skip, skip]);

        // The head waits, so that the edit is planned while its message is under way; the id is never told.
        let wait = SendOutcome::Offline { error: "told so by the test".to_owned() };
        world.platform.script(account(1), [wait, SendOutcome::Delivered { message: None }]);
        world.write(0, 1, "words");
        world.edit(0, 1, "other words");
        world.write(0, 2, "next");
        world.settled().await;
        assert_eq!(world.platform.texts(target(0)), ["words", "next"]);
        let dead: Vec<_> = world.store.dead().into_iter().map(|(_, reason)| reason).collect();
        assert_eq!(dead, [DeadReason::CopyUnknown]);
    });
}

#[test]
fn an_unanswered_edit_or_deletion_is_repeated() {
    run(|| async {
        let world = World::start(1, 1, "").await;
        world.write(0, 1, "one");
        world.write(0, 2, "two");
        world.arrived(0, 2).await;
        let lost = || SendOutcome::Unclear { error: "timeout".to_owned() };
        world.platform.script(account(1), [lost(), SendOutcome::Backoff { error: "500".to_owned() }, lost()]);
        world.edit(0, 1, "one, again");
        world.delete(0, 2);
        world.settled().await;
        assert_eq!(world.platform.texts(target(0)), ["one, again"]);
        assert_eq!(world.store.dead(), []);
    });
}

#[test]
fn an_answer_points_at_the_copy_and_one_to_something_unknown_at_nothing() {
    run(|| async {
        let world = World::start(1, 1, "").await;
        world.write(0, 1, "question");
        world.answer(0, 2, 1, "answer");
        world.answer(0, 3, 99, "answer to nothing");
        world.settled().await;
        let sent = world.platform.sent();
        let replies: Vec<_> = sent.iter().map(|part| (text(part), part.reply_to)).collect();
        let copy = sent.first().map(|part| part.id);
        assert_eq!(replies, [("question", None), ("answer", copy), ("answer to nothing", None)]);
    });
}

/// Two pairs, there and back between the same two chats.
async fn there_and_back() -> World {
    let world = World::start(1, 1, "").await;
    world.store.add_pair(Pair {
        id: pair(7),
        user: UserId::from_uuid(Uuid::from_u128(1)),
        source_account: account(1),
        source: target(0),
        target_account: account(0),
        target: source(0),
        paused: BTreeSet::new(),
    });
    world.root.kill();
    let World { store, platform, .. } = world;
    World::over(Arc::clone(&store), platform, "").await
}

#[test]
fn a_refused_send_holds_nobody_who_reads_its_target() {
    run(|| async {
        let world = there_and_back().await;
        world.platform.script(account(1), [SendOutcome::PausePair { error: "403".to_owned() }]);
        world.write(0, 1, "refused");
        world.pass(Duration::from_secs(5)).await;
        let own = world.store.account(account(1)).await.expect("an account").platform_id;
        let by = Sender { id: own, name: "us".to_owned(), kind: SenderKind::Person };
        let by_hand = Message { sender: Some(by), ..world.message(target(0), 9, "by hand") };
        world.platform.write(account(1), SourceEvent::New(by_hand));
        world.pass(Duration::from_secs(5)).await;
        assert_eq!(world.platform.texts(source(0)), ["by hand"]);
    });
}

#[test]
fn a_drain_does_not_wait_for_an_answer_that_a_pair_waits_for() {
    // A fault of the server is no refusal: what it was asked for may have happened.
    waits_and_drains(|| SendOutcome::Unclear { error: "timeout".to_owned() });
    waits_and_drains(|| SendOutcome::Backoff { error: "500".to_owned() });
}

fn waits_and_drains(outcome: fn() -> SendOutcome) {
    run(|| async move {
        let world = there_and_back().await;
        world.platform.script(account(1), std::iter::repeat_with(outcome).take(50));
        world.write(0, 1, "unanswered");
        world.pass(Duration::from_secs(5)).await;
        let own = world.store.account(account(1)).await.expect("an account").platform_id;
        let by = Sender { id: own, name: "us".to_owned(), kind: SenderKind::Person };
        let echo = Message { sender: Some(by), ..world.message(target(0), 9, "perhaps ours") };
        world.platform.write(account(1), SourceEvent::New(echo));
        world.pass(Duration::from_secs(5)).await;
        assert_eq!(world.platform.texts(source(0)), Vec::<String>::new(), "not decided yet");
        let report = world.root.drain(Duration::from_secs(30)).await;
        assert!(report.is_clean(), "{report:?}");
    });
}

#[test]
fn a_copy_is_not_copied_back_however_early_it_is_seen() {
    run(|| async {
        let world = there_and_back().await;
        let own = world.store.account(account(1)).await.expect("an account").platform_id;
        world.write(0, 1, "there");
        // The platform shows the copy to the reader before it answers the sender.
        world.pass(Duration::from_millis(10)).await;
        let by = Sender { id: own, name: "us".to_owned(), kind: SenderKind::Person };
        let echo = Message { sender: Some(by), ..world.message(target(0), 1, "there") };
        world.platform.write(account(1), SourceEvent::New(echo.clone()));
        let other = Sender { id: 5_555, name: "somebody".to_owned(), kind: SenderKind::Person };
        let answer = Message {
            sender: Some(other),
            reply_to: Some(message_id(1)),
            ..world.message(target(0), 2, "and back")
        };
        world.platform.write(account(1), SourceEvent::New(answer));
        world.settled().await;
        assert_eq!(world.store.skips(), [(pair(7), SkipReason::Loop)]);
        let back =
            world.platform.sent().into_iter().find(|part| part.target == source(0)).expect("the answer");
        assert_eq!(
            (text(&back), back.reply_to),
            ("and back", Some(message_id(1))),
            "it answers the original"
        );
        assert_eq!(world.platform.sent().len(), 2);
    });
}
