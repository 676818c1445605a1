//! The map between messages and their copies, read from either end: for edits, deletions, replies and against loops.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::collections::BTreeSet;

use switchyard::store::Store;
use switchyard_actors::model::{
    AccountId, Delivery, EventKind, Fence, Message, NewDelivery, Origin, Pair, PairId, PartBody, Place,
    Platform, RouteVerdict, SourceEvent,
};
use switchyard_actors::ports::{Directory, Intake, IntakeUnit, Outbox, Routes, TryResult};
use uuid::Uuid;

use crate::harness::store::Fixture;
use crate::harness::values::{People, deliver, message, message_id, pair, people, place};

/// Telegram chats: a channel, whose ids everybody shares, and a private chat, whose ids each account has for itself.
const CHANNEL: i64 = -1_001_000_000_001;
const PRIVATE: i64 = 4_711;
/// A Discord channel.
const ROOM: i64 = 900;

struct Ends {
    people: People,
    source: Fence,
    target: Fence,
}

impl Ends {
    async fn new(world: &Fixture) -> Self {
        let people = people(&world.store, 1).await;
        let (source, target) = (world.assign(people.reader).await, world.assign(people.writer).await);
        Self { people, source, target }
    }

    /// A pair from the Discord channel back to a Telegram chat, written by `writer`.
    async fn back(&self, store: &Store, number: u128, chat: i64, writer: AccountId) -> Pair {
        let pair = Pair {
            id: PairId::from_uuid(Uuid::from_u128(number)),
            user: self.people.user,
            source_account: self.people.writer,
            source: place(Platform::Discord, ROOM),
            target_account: writer,
            target: place(Platform::Telegram, chat),
            paused: BTreeSet::new(),
        };
        store.create_pair(&pair).await.unwrap();
        pair
    }

    /// Takes an event in through the source and closes its route.
    async fn close(&self, store: &Store, pair: &Pair, event: SourceEvent, verdict: RouteVerdict) {
        let unit = IntakeUnit { events: vec![event], cursors: Vec::new() };
        store.record(self.source, &unit).await.unwrap();
        let routes = store.claim(pair.id, 9).await.unwrap();
        let verdicts: Vec<_> = routes.iter().map(|route| (route.id, verdict.clone())).collect();
        store.close(self.target, pair.id, &verdicts).await.unwrap();
    }

    /// Message `id` of the pair's source chat is on its way as these parts.
    async fn forward(&self, store: &Store, pair: &Pair, id: i64, parts: &[&str]) -> Delivery {
        self.close(store, pair, message(pair.source.chat.get(), id, "x"), deliver(parts)).await;
        self.pending(store, pair).await.pop().unwrap()
    }

    async fn pending(&self, store: &Store, pair: &Pair) -> Vec<Delivery> {
        store.lane(pair.target_account, pair.id, None, 100).await.unwrap()
    }

    async fn done(&self, store: &Store, delivery: &Delivery, result: TryResult, part: u16) {
        store.begin(self.target, delivery.id, part).await.unwrap();
        store.finish(self.target, delivery.id, &result).await.unwrap();
    }

    async fn sent(&self, store: &Store, delivery: &Delivery, part: u16, id: i64) {
        self.done(store, delivery, TryResult::Sent { part, message: Some(message_id(id)) }, part).await;
    }
}

async fn parts(store: &Store, pair: &Pair, id: i64) -> Option<u16> {
    store.forwarded(pair.id, pair.source.chat, message_id(id)).await.unwrap()
}

async fn origin(store: &Store, reader: AccountId, at: Place, id: i64, author: Option<i64>) -> Origin {
    let origins = store.origins(reader, at, &[(message_id(id), author)], 0).await.unwrap();
    origins.into_iter().next().unwrap()
}

fn follow(action: EventKind, parts: Vec<PartBody>) -> RouteVerdict {
    RouteVerdict::Deliver(NewDelivery { action, parts, reply_to: None })
}

fn written(text: &str) -> PartBody {
    PartBody::Markdown { content: text.to_owned(), author: None }
}

on_both_databases! {
    async fn what_was_made_of_a_message_is_known_from_its_planning_to_its_deletion(world) {
        let (store, ends) = (&world.store, Ends::new(&world).await);
        let pair = pair(store, ends.people, 1, CHANNEL, ROOM).await;
        assert_eq!(parts(store, &pair, 1).await, None);
        let first = ends.forward(store, &pair, 1, &["one", "two", "three"]).await;
        assert_eq!(parts(store, &pair, 1).await, Some(3), "under way");
        for (part, id) in [(0, 501), (1, 502), (2, 503)] {
            ends.sent(store, &first, part, id).await;
        }
        assert_eq!(parts(store, &pair, 1).await, Some(3));
        assert_eq!(parts(store, &pair, 2).await, None, "another message");

        // An edit to fewer parts: the second changes nothing of its id, the third goes.
        let bodies = vec![written("uno"), written("due"), PartBody::Deletion];
        let SourceEvent::New(message) = message(CHANNEL, 1, "y") else { return };
        let changed = SourceEvent::Edited(Message { edited_at: Some(message.sent_at), ..message.clone() });
        ends.close(store, &pair, changed, follow(EventKind::Edited, bodies.clone())).await;
        let edit = ends.pending(store, &pair).await.pop().unwrap();
        assert_eq!(edit.parts.iter().map(|part| part.body.clone()).collect::<Vec<_>>(), bodies);
        ends.sent(store, &edit, 0, 501).await;
        ends.sent(store, &edit, 1, 502).await;
        ends.done(store, &edit, TryResult::Gone { part: 2 }, 2).await;
        assert_eq!(ends.pending(store, &pair).await, []);
        assert_eq!(parts(store, &pair, 1).await, Some(2));
        assert_eq!(world.numbers("SELECT target_message FROM message_map ORDER BY part").await, [501, 502]);
        assert_eq!(world.numbers("SELECT parts FROM delivery_counts").await, [3], "an edit is no new part");

        let gone = SourceEvent::Deleted { place: pair.source, id: message_id(1) };
        ends.close(store, &pair, gone, follow(EventKind::Deleted, vec![PartBody::Deletion; 2])).await;
        assert_eq!(parts(store, &pair, 1).await, None, "its deletion is under way");
    }

    async fn what_was_given_up_has_only_the_parts_that_arrived(world) {
        let (store, ends) = (&world.store, Ends::new(&world).await);
        let pair = pair(store, ends.people, 1, CHANNEL, ROOM).await;
        let dead = || TryResult::Dead(switchyard_actors::model::DeadReason::Expired);
        let nothing = ends.forward(store, &pair, 1, &["one"]).await;
        ends.done(store, &nothing, dead(), 0).await;
        assert_eq!(parts(store, &pair, 1).await, None);
        let half = ends.forward(store, &pair, 2, &["one", "two"]).await;
        ends.sent(store, &half, 0, 601).await;
        ends.done(store, &half, dead(), 1).await;
        assert_eq!(parts(store, &pair, 2).await, Some(1));
    }

    async fn copies_are_known_where_they_stand_and_nowhere_else(world) {
        let (store, ends) = (&world.store, Ends::new(&world).await);
        let pair = pair(store, ends.people, 1, CHANNEL, ROOM).await;
        let room = place(Platform::Discord, ROOM);
        let reader = ends.people.writer;
        let us = store.account(reader).await.unwrap().platform_id;
        assert_eq!(origin(store, reader, room, 701, Some(us)).await, Origin::Foreign);
        let delivery = ends.forward(store, &pair, 1, &["one"]).await;
        assert_eq!(origin(store, reader, room, 701, Some(us)).await, Origin::Foreign, "nothing was sent yet");
        store.begin(ends.target, delivery.id, 0).await.unwrap();
        assert_eq!(origin(store, reader, room, 701, Some(us)).await, Origin::Undecided);
        assert_eq!(origin(store, reader, room, 701, None).await, Origin::Undecided, "nobody is named");
        assert_eq!(origin(store, reader, room, 701, Some(us + 1)).await, Origin::Foreign, "somebody else wrote it");
        let refused = TryResult::Later { not_before: 0, counts: false, error: "403".to_owned(), unsent: Some(0) };
        store.finish(ends.target, delivery.id, &refused).await.unwrap();
        assert_eq!(origin(store, reader, room, 701, None).await, Origin::Foreign, "a refused send is none");
        store.begin(ends.target, delivery.id, 0).await.unwrap();
        assert_eq!(origin(store, reader, room, 701, None).await, Origin::Undecided);
        let later = world.clock.millis() + 1;
        let waited = store.origins(reader, room, &[(message_id(701), None)], later).await.unwrap();
        assert_eq!(waited, [Origin::Foreign], "it is not waited for for ever");
        let elsewhere = place(Platform::Discord, ROOM + 1);
        assert_eq!(origin(store, reader, elsewhere, 701, Some(us)).await, Origin::Foreign);
        ends.sent(store, &delivery, 0, 701).await;
        assert_eq!(origin(store, reader, room, 701, Some(us)).await, Origin::Copy);
        assert_eq!(origin(store, reader, room, 702, Some(us)).await, Origin::Foreign, "written by hand");
        let telegram = place(Platform::Telegram, ROOM);
        assert_eq!(origin(store, reader, telegram, 701, Some(us)).await, Origin::Foreign);
        let two = [(message_id(702), None), (message_id(701), None)];
        assert_eq!(store.origins(reader, room, &two, 0).await.unwrap(), [Origin::Foreign, Origin::Copy]);
    }

    async fn a_number_of_a_private_chat_means_something_to_its_own_account_only(world) {
        let (store, ends) = (&world.store, Ends::new(&world).await);
        let other = people(store, 2).await;
        for (number, chat, copy) in [(11, PRIVATE, Origin::Foreign), (12, CHANNEL, Origin::Copy)] {
            let back = ends.back(store, number, chat, ends.people.reader).await;
            let event = {
                let SourceEvent::New(new) = message(1, 1, "x") else { return };
                SourceEvent::New(Message { place: back.source, id: message_id(chat.abs()), ..new })
            };
            let unit = IntakeUnit { events: vec![event], cursors: Vec::new() };
            store.record(ends.target, &unit).await.unwrap();
            let route = store.claim(back.id, 9).await.unwrap().pop().unwrap();
            store.close(ends.source, back.id, &[(route.id, deliver(&["x"]))]).await.unwrap();
            let delivery = store.lane(ends.people.reader, back.id, None, 9).await.unwrap().pop().unwrap();
            store.begin(ends.source, delivery.id, 0).await.unwrap();
            let sent = TryResult::Sent { part: 0, message: Some(message_id(801)) };
            store.finish(ends.source, delivery.id, &sent).await.unwrap();
            let at = place(Platform::Telegram, chat);
            assert_eq!(origin(store, ends.people.reader, at, 801, None).await, Origin::Copy);
            assert_eq!(origin(store, other.reader, at, 801, None).await, copy);
        }
    }

    async fn an_answer_finds_the_copy_or_the_original_of_what_it_answers(world) {
        let (store, ends) = (&world.store, Ends::new(&world).await);
        let there = pair(store, ends.people, 1, CHANNEL, ROOM).await;
        let back = ends.back(store, 2, CHANNEL, ends.people.reader).await;
        let aside = ends.back(store, 3, CHANNEL - 1, ends.people.reader).await;
        let delivery = ends.forward(store, &there, 41, &["one", "two"]).await;
        ends.sent(store, &delivery, 0, 901).await;
        ends.sent(store, &delivery, 1, 902).await;
        let find = async |pair: &Pair, id| store.counterpart(pair.id, pair.source.chat, message_id(id)).await.unwrap();
        assert_eq!(find(&there, 41).await, Some(message_id(901)), "the copy's first part");
        assert_eq!(find(&there, 42).await, None);
        assert_eq!(find(&back, 901).await, Some(message_id(41)), "the original");
        assert_eq!(find(&back, 902).await, Some(message_id(41)));
        assert_eq!(find(&aside, 901).await, None, "its original stands in another chat");
    }
}
