//! The bot's outbox and the chats it writes to, in the store: linking, consent, order, claims that are checked when they are
//! made (features A9, F1).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use switchyard::crypto::SystemRng;
use switchyard::services::linking::LinkingService;
use switchyard::store::{
    AnnouncementKind, AnnouncementState, Audience, BotActed, BotAction, NewAnnouncement, Store,
};
use switchyard_actors::model::{AnnouncementId, ChatId, UserId};
use switchyard_actors::ports::{
    BotChatKind, BotEvent, BotInbox, BotUpdate, Clock, NoticeBox, NoticeId, NoticeVerdict, Promise,
    StoreError,
};
use uuid::Uuid;

use crate::harness::store::Fixture;

const TTL: Duration = Duration::from_secs(30);

fn user(number: u128) -> UserId {
    UserId::from_uuid(Uuid::from_u128(number))
}

fn chat(id: i64) -> ChatId {
    ChatId::new(id).unwrap()
}

/// Makes users with these numbers, each with a linked chat of the same number; answers the next update's number.
async fn linked(world: &Fixture, numbers: std::ops::RangeInclusive<i64>) -> i64 {
    let until = world.clock.now() + TimeDelta::minutes(10);
    let next = world.store.hold_bot(TTL).await.unwrap().expect("nobody else has it");
    let mut update = next;
    for number in numbers {
        let id = user(u128::try_from(number).unwrap());
        world.store.create_user(id, "Ada").await.unwrap();
        let code = format!("code {number}");
        world.store.set_link_code(id, &code, until).await.unwrap();
        let action = BotAction::Link { code };
        world.store.act_on_update(update, Some(chat(number)), action, |_| Vec::new()).await.unwrap();
        update += 1;
    }
    update
}

async fn announce(
    world: &Fixture,
    number: u128,
    kind: AnnouncementKind,
    audience: Audience,
) -> AnnouncementId {
    let id = AnnouncementId::from_uuid(Uuid::from_u128(number));
    let new = NewAnnouncement {
        id,
        kind,
        text: "1 < 2".to_owned(),
        audience,
        send_at: world.clock.now(),
        created_by: "operator".to_owned(),
    };
    world.store.create_announcement(&new).await.unwrap();
    while world.store.advance_announcements(2).await.unwrap() {}
    id
}

fn everybody() -> Audience {
    Audience { plans: BTreeSet::from(["*".to_owned()]), ..Audience::default() }
}

async fn due(store: &Store) -> Vec<(NoticeId, i64)> {
    store.due_notices(100).await.unwrap().iter().map(|due| (due.id, due.chat.get())).collect()
}

async fn outcomes(store: &Store, id: AnnouncementId) -> Vec<(String, u64)> {
    store.announcement(id).await.unwrap().progress.outcomes.into_iter().collect()
}

fn counts(expected: &[(&str, u64)]) -> Vec<(String, u64)> {
    expected.iter().map(|(state, count)| ((*state).to_owned(), *count)).collect()
}

on_both_databases! {
    async fn a_code_links_one_chat_once_and_not_for_ever(world) {
        let (store, ada) = (&world.store, user(1));
        store.create_user(ada, "Ada").await.unwrap();
        store.hold_bot(TTL).await.unwrap();
        let until = world.clock.now() + TimeDelta::minutes(10);
        let told = Arc::new(std::sync::Mutex::new(Vec::new()));
        let bring = async |update: i64, from: i64, code: &str| {
            let (told, action) = (Arc::clone(&told), BotAction::Link { code: code.to_owned() });
            let note = move |acted: BotActed| {
                told.lock().unwrap().push(acted);
                Vec::new()
            };
            store.act_on_update(update, Some(chat(from)), action, note).await.unwrap();
            told_last(&world.store, ada).await
        };
        store.set_link_code(ada, "one", until).await.unwrap();
        assert!(bring(1, 7, "two").await.is_empty(), "not the code");
        assert_eq!(bring(2, 7, "one").await, [7]);
        assert_eq!(bring(2, 8, "one").await, [7], "an update that was seen");
        assert_eq!(bring(3, 8, "one").await, [7], "a code is good once");
        store.set_link_code(ada, "old", until).await.unwrap();
        store.set_link_code(ada, "new", until).await.unwrap();
        assert_eq!(bring(4, 8, "old").await, [7], "the later code counts");
        assert_eq!(bring(5, 8, "new").await, [8], "one private chat per user: the last one");
        store.set_link_code(ada, "late", until).await.unwrap();
        world.clock.advance(Duration::from_secs(660));
        assert_eq!(bring(6, 9, "late").await, [8], "too old");
        let told = told.lock().unwrap().clone();
        let (bad, first) = (BotActed::BadCode, BotActed::Linked { replaced: false });
        let again = BotActed::Linked { replaced: true };
        assert_eq!(told, [bad.clone(), first, bad.clone(), bad.clone(), again, bad]);
    }

    async fn wishes_are_noted_with_time_and_source(world) {
        let mut update = linked(&world, 1..=1).await;
        let (store, ada) = (&world.store, user(1));
        assert!(!store.notification_settings(ada).await.unwrap().promotions, "nobody agrees by silence");
        let first = world.clock.now();
        store.set_notification_settings(ada, true, BTreeSet::from(["health".to_owned()]), "api").await.unwrap();
        world.clock.advance(Duration::from_secs(60));
        store.set_notification_settings(ada, true, BTreeSet::new(), "api").await.unwrap();
        let said = store.notification_settings(ada).await.unwrap().promotions_said.unwrap();
        assert_eq!((said.0.timestamp_millis(), said.1.as_str()), (first.timestamp_millis(), "api"), "said once");
        let off = BotAction::Promotions(false);
        store.act_on_update(update, Some(chat(1)), off, |_| Vec::new()).await.unwrap();
        update += 1;
        let settings = store.notification_settings(ada).await.unwrap();
        assert!(!settings.promotions);
        assert_eq!(settings.promotions_said.unwrap().1, "telegram");
        store.act_on_update(update, Some(chat(1)), BotAction::Unlink, |_| Vec::new()).await.unwrap();
        assert!(told_last(store, ada).await.is_empty());
    }

    async fn the_conversation_answers_and_registers_channels_of_linked_people(world) {
        let update = linked(&world, 1..=1).await;
        let talk = LinkingService {
            store: world.store.clone(),
            channel: None,
            clock: world.clock.clone(),
            rng: Arc::new(SystemRng),
            code_life: Duration::from_secs(600),
            account_page: Some("https://switchyard.example/account".to_owned()),
        };
        let kind = BotChatKind::Channel;
        let role = |chat, by, writes| BotEvent::Role { chat, kind, title: "A & B".to_owned(), by, writes };
        let say = |text: &str| BotEvent::Message {
            chat: chat(1), kind: BotChatKind::Private, text: text.to_owned(),
        };
        let events = [
            say("/privacy"), say("what?"), role(chat(-1001), 1, true), role(chat(-1002), 99, true),
            role(chat(-1003), 1, true), role(chat(-1003), 1, false), say("/offers_on"),
        ];
        for (update, event) in (update..).zip(events) {
            talk.receive(&BotUpdate { id: update, event }).await.unwrap();
        }
        let chats = world.store.linked_chats(user(1)).await.unwrap();
        let known: Vec<_> = chats.iter().map(|linked| (linked.chat.get(), linked.channel)).collect();
        assert_eq!(known, [(1, false), (-1001, true)], "only by hand of somebody who is linked, and while it lasts");
        assert!(world.store.notification_settings(user(1)).await.unwrap().promotions);
        let mut said = Vec::new();
        while let [(id, to)] = due(&world.store).await[..] {
            assert_eq!(to, 1, "answers go to the person, one after the other");
            let claimed = world.store.claim_notice(id).await.unwrap().expect("to be sent");
            assert_eq!(claimed.promise, Promise::AtLeastOnce);
            said.push(claimed.html);
            world.store.settle_notice(id, &NoticeVerdict::Sent { message: 1 }).await.unwrap();
        }
        let parts = ["Stored about this chat", "/privacy – what is stored", "A &amp; B", "A &amp; B", "you agree to offers"];
        assert_eq!(said.len(), parts.len(), "{said:?}");
        for (text, part) in said.iter().zip(parts) {
            assert!(text.contains(part), "{text}");
        }
        assert!(said[0].ends_with("https://switchyard.example/account"));
    }

    async fn wishes_and_chats_are_looked_at_when_a_message_is_claimed(world) {
        let update = linked(&world, 1..=6).await;
        let store = &world.store;
        for number in 1..=5 {
            store.set_notification_settings(user(number), true, BTreeSet::new(), "api").await.unwrap();
        }
        let id = announce(&world, 50, AnnouncementKind::Promotion, everybody()).await;
        let due_now = due(store).await;
        assert_eq!(due_now.len(), 6, "who gets it is decided when it is sent");
        // All of this comes between the making and the sending.
        store.set_notification_settings(user(2), false, BTreeSet::new(), "api").await.unwrap();
        store.act_on_update(update, Some(chat(3)), BotAction::Unlink, |_| Vec::new()).await.unwrap();
        let gone = BotAction::Gone { reason: "blocked".to_owned() };
        store.act_on_update(update + 1, Some(chat(4)), gone, |_| Vec::new()).await.unwrap();
        for (notice, to) in due_now {
            let claimed = store.claim_notice(notice).await.unwrap();
            assert_eq!(claimed.is_some(), [1, 5].contains(&to), "{to}");
            if let Some(claimed) = claimed {
                assert!(claimed.html.starts_with("1 &lt; 2\n\n") && claimed.html.contains("/offers_off"));
                assert_eq!(claimed.promise, Promise::AtMostOnce);
                assert_eq!(store.claim_notice(notice).await.unwrap(), None, "claimed once");
                store.settle_notice(notice, &NoticeVerdict::Sent { message: 9 }).await.unwrap();
            }
        }
        while store.advance_announcements(2).await.unwrap() {}
        assert_eq!(outcomes(store, id).await, counts(&[("sent", 2), ("skipped", 4)]));
        assert_eq!(store.announcement(id).await.unwrap().state, AnnouncementState::Completed);

        let soon = announce(&world, 51, AnnouncementKind::Promotion, everybody()).await;
        for (notice, _) in due(store).await {
            assert_eq!(store.claim_notice(notice).await.unwrap(), None, "not two promotions in a week");
        }
        assert_eq!(outcomes(store, soon).await, counts(&[("skipped", 5)]));
        let system = announce(&world, 52, AnnouncementKind::System, everybody()).await;
        store.set_notification_settings(user(1), true, BTreeSet::from(["system".to_owned()]), "api").await.unwrap();
        for (notice, to) in due(store).await {
            assert_eq!(store.claim_notice(notice).await.unwrap().is_some(), [2, 5, 6].contains(&to), "{to}");
        }
        assert_eq!(outcomes(store, system).await, counts(&[("sending", 3), ("skipped", 2)]));
    }

    async fn who_is_suspended_gets_no_announcement_and_plans_count_until_their_time(world) {
        linked(&world, 1..=4).await;
        let store = &world.store;
        let until = (world.clock.now() + TimeDelta::minutes(1)).timestamp_millis();
        store.set_user_plan(user(3), &"pro".parse().unwrap(), Some(until)).await.unwrap();
        store.set_user_plan(user(4), &"pro".parse().unwrap(), None).await.unwrap();
        for number in 1..=4 {
            store.set_notification_settings(user(number), true, BTreeSet::new(), "api").await.unwrap();
        }
        let free = Audience::default();
        assert_eq!(store.audience_size(&free).await.unwrap(), 2);
        let mut all = Vec::new();
        for (number, kind) in [(60, AnnouncementKind::System), (61, AnnouncementKind::Promotion)] {
            all.push(announce(&world, number, kind, free.clone()).await);
        }
        // Both come between the making and the sending.
        assert!(store.suspend_user(user(2), None).await.unwrap());
        world.clock.advance(Duration::from_secs(60));
        store.hold_bot(TTL).await.unwrap();
        assert_eq!(store.audience_size(&free).await.unwrap(), 2, "one is suspended, one has no plan any more");
        assert_eq!(store.audience_size(&everybody()).await.unwrap(), 3);
        for id in all {
            for (notice, to) in due(store).await {
                let claimed = store.claim_notice(notice).await.unwrap();
                assert_eq!(claimed.is_some(), [1, 3].contains(&to), "{to}");
                if claimed.is_some() {
                    store.settle_notice(notice, &NoticeVerdict::Sent { message: 9 }).await.unwrap();
                }
            }
            assert_eq!(outcomes(store, id).await, counts(&[("sent", 2), ("skipped", 2)]));
        }
    }

    async fn a_cancelled_announcement_stops_and_goes_on_where_it_was(world) {
        linked(&world, 1..=3).await;
        let store = &world.store;
        let id = announce(&world, 50, AnnouncementKind::System, everybody()).await;
        let due_now = due(store).await;
        store.claim_notice(due_now[0].0).await.unwrap().expect("to be sent");
        store.cancel_announcement(id).await.unwrap();
        assert_eq!(store.claim_notice(due_now[1].0).await.unwrap(), None);
        assert!(due(store).await.is_empty(), "nothing waits");
        store.settle_notice(due_now[0].0, &NoticeVerdict::Sent { message: 1 }).await.unwrap();
        assert_eq!(outcomes(store, id).await, counts(&[("cancelled", 2), ("sent", 1)]));
        assert!(matches!(store.cancel_announcement(id).await, Err(StoreError::Conflict(_))));
        store.resume_announcement(id).await.unwrap();
        store.advance_announcements(2).await.unwrap();
        assert_eq!(due(store).await.len(), 2, "only those without an outcome");
    }

    async fn one_node_at_a_time_and_what_a_crash_left_is_known(world) {
        linked(&world, 1..=2).await;
        let store = &world.store;
        let id = announce(&world, 50, AnnouncementKind::System, everybody()).await;
        let reply = |_| vec![(chat(2), "hello".to_owned())];
        store.act_on_update(100, Some(chat(2)), BotAction::None, reply).await.unwrap();
        let due_now = due(store).await;
        let order: Vec<i64> = due_now.iter().map(|(_, to)| *to).collect();
        assert_eq!(order, [2, 1, 2], "answers before announcements");
        for (notice, _) in &due_now[..2] {
            store.claim_notice(*notice).await.unwrap().expect("to be sent");
        }
        let left = due(store).await;
        assert!(left.is_empty(), "nothing goes to a chat beside what is on its way there");

        let other = world.open_as(2).await;
        assert_eq!(other.hold_bot(TTL).await.unwrap(), None, "another node has it");
        assert_eq!(other.claim_notice(due_now[2].0).await.unwrap(), None);
        world.clock.advance(Duration::from_secs(31));
        assert_eq!(other.hold_bot(TTL).await.unwrap(), Some(101));
        assert_eq!(store.hold_bot(TTL).await.unwrap(), None);
        assert_eq!(other.recover_notices().await.unwrap(), 2);
        assert_eq!(outcomes(&other, id).await, counts(&[("uncertain", 1), ("waiting", 1)]));
        assert_eq!(due(&other).await.len(), 2, "the answer is sent again, the announcement not");
        store.settle_notice(due_now[1].0, &NoticeVerdict::Sent { message: 5 }).await.unwrap();
        assert_eq!(outcomes(&other, id).await, counts(&[("sent", 1), ("waiting", 1)]), "a late answer is no guess");
        let lately = other.sent_lately(Duration::from_secs(60)).await.unwrap();
        assert_eq!(lately.iter().map(|(to, _)| to.get()).collect::<Vec<_>>(), [1]);
        other.release_bot().await.unwrap();
        assert!(store.hold_bot(TTL).await.unwrap().is_some(), "given up, not waited for");
    }

    async fn a_chat_that_refuses_gets_nothing_more_until_it_writes(world) {
        let update = linked(&world, 1..=1).await;
        let store = &world.store;
        announce(&world, 50, AnnouncementKind::System, everybody()).await;
        let first = due(store).await[0].0;
        store.claim_notice(first).await.unwrap().unwrap();
        let again = NoticeVerdict::Again {
            at: world.clock.now() + TimeDelta::seconds(7), counts: false, error: "wait".to_owned(),
        };
        store.settle_notice(first, &again).await.unwrap();
        assert!(due(store).await.is_empty(), "not before its time");
        world.clock.advance(Duration::from_secs(7));
        assert_eq!(due(store).await.len(), 1);
        store.claim_notice(first).await.unwrap().unwrap();
        let blocked = NoticeVerdict::Unreachable { error: "Forbidden: bot was blocked by the user".to_owned() };
        store.settle_notice(first, &blocked).await.unwrap();
        assert!(store.linked_chats(user(1)).await.unwrap()[0].unreachable.is_some());
        let second = announce(&world, 51, AnnouncementKind::System, everybody()).await;
        for (notice, _) in due(store).await {
            assert_eq!(store.claim_notice(notice).await.unwrap(), None);
        }
        assert_eq!(outcomes(store, second).await, counts(&[("skipped", 1)]));
        store.act_on_update(update, Some(chat(1)), BotAction::None, |_| Vec::new()).await.unwrap();
        assert_eq!(store.linked_chats(user(1)).await.unwrap()[0].unreachable, None);
    }
}

/// The private chats that a user linked.
async fn told_last(store: &Store, user: UserId) -> Vec<i64> {
    store.linked_chats(user).await.unwrap().iter().map(|linked| linked.chat.get()).collect()
}
