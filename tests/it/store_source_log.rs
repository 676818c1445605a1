//! What intake knows of a source's past, and Discord's threads as sources of their own.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot be set up has failed")]

use switchyard::store::Store;
use switchyard_actors::model::{
    Fence, MessageId, Pair, PairId, PauseCause, Place, Platform, SourceEvent, ThreadId,
};
use switchyard_actors::ports::{Intake, IntakeUnit, Jobs, Outbox, Routes, SourceLog, TryResult};
use uuid::Uuid;

use crate::harness::values::{People, deliver, message, message_id, pair, people, place, unit};

fn deleted(id: i64) -> IntakeUnit {
    let place = place(Platform::Telegram, 100);
    IntakeUnit { events: vec![SourceEvent::Deleted { place, id: message_id(id) }], cursors: Vec::new() }
}

async fn known(store: &Store, people: People, place: Place, up_to: i64, limit: u32) -> Vec<i64> {
    let found = store.accepted(people.reader, place, up_to, limit).await.unwrap();
    let mut found: Vec<i64> = found.into_iter().map(MessageId::get).collect();
    found.sort_unstable();
    found
}

/// Delivers everything that is open.
async fn deliver_all(store: &Store, pair: &Pair, source: Fence, target: Fence) {
    let routes = store.claim(pair.id, 100).await.unwrap();
    let verdicts: Vec<_> = routes.iter().map(|route| (route.id, deliver(&["text"]))).collect();
    store.close(source, pair.id, &verdicts).await.unwrap();
    for delivery in store.lane(pair.target_account, pair.id, None, 100).await.unwrap() {
        store.begin(target, delivery.id, 0).await.unwrap();
        let message = Some(message_id(7_000 + delivery.source_message.get()));
        store.finish(target, delivery.id, &TryResult::Sent { part: 0, message }).await.unwrap();
    }
}

/// A message of a place on Discord.
fn in_place(place: Place, id: i64) -> IntakeUnit {
    let SourceEvent::New(mut new) = message(place.chat.get(), id, "text") else { unreachable!() };
    new.place = place;
    IntakeUnit { events: vec![SourceEvent::New(new)], cursors: Vec::new() }
}

on_both_databases! {
    async fn accepted_messages_are_known_until_their_deletion_is(world) {
        let people = people(&world.store, 1).await;
        let paused = pair(&world.store, people, 1, 100, 900).await;
        world.store.set_pause(paused.id, PauseCause::User, true).await.unwrap();
        let fence = world.assign(people.reader).await;
        world.store.record(fence, &unit(100, 1..=8, 8)).await.unwrap();
        world.store.record(fence, &deleted(3)).await.unwrap();
        let chat = place(Platform::Telegram, 100);
        assert_eq!(known(&world.store, people, chat, 6, 10).await, [1, 2, 4, 5, 6]);
        assert_eq!(known(&world.store, people, chat, 8, 1).await, [7, 8], "about as many as asked for");
        assert_eq!(known(&world.store, people, place(Platform::Telegram, 200), 8, 10).await, Vec::<i64>::new());
    }

    async fn copies_are_known_longer_than_events(world) {
        let people = people(&world.store, 1).await;
        let pair = pair(&world.store, people, 1, 100, 900).await;
        let (source, target) = (world.assign(people.reader).await, world.assign(people.writer).await);
        world.store.record(source, &unit(100, 1..=3, 3)).await.unwrap();
        deliver_all(&world.store, &pair, source, target).await;
        let end_of_time = chrono::DateTime::from_timestamp_millis(i64::MAX / 2_000).unwrap();
        world.store.purge(end_of_time, 1_000).await.unwrap();
        assert_eq!(world.numbers("SELECT count(*) FROM events").await, [0]);
        assert_eq!(known(&world.store, people, pair.source, 9, 10).await, [1, 2, 3]);
    }

    async fn a_thread_on_discord_is_a_source_of_its_own(world) {
        let people = people(&world.store, 1).await;
        let channel = place(Platform::Discord, 500);
        let thread = Place { thread: Some(ThreadId::new(501).unwrap()), ..channel };
        let mut pairs = Vec::new();
        for (number, source) in [(1, channel), (2, thread)] {
            let pair = Pair {
                id: PairId::from_uuid(Uuid::from_u128(number)),
                user: people.user,
                source_account: people.reader,
                source,
                target_account: people.writer,
                target: place(Platform::Discord, 900 + i64::try_from(number).unwrap()),
                paused: std::collections::BTreeSet::new(),
            };
            world.store.create_pair(&pair).await.unwrap();
            pairs.push(pair.id);
        }
        let fence = world.assign(people.reader).await;
        let receipt = world.store.record(fence, &in_place(thread, 20)).await.unwrap();
        assert_eq!(receipt.pairs, pairs[1..], "the thread's message is not the channel's");
        let receipt = world.store.record(fence, &in_place(channel, 21)).await.unwrap();
        assert_eq!(receipt.pairs, pairs[..1]);
        let gone = SourceEvent::Deleted { place: channel, id: message_id(20) };
        let gone = IntakeUnit { events: vec![gone], cursors: Vec::new() };
        assert_eq!(world.store.record(fence, &gone).await.unwrap().pairs, pairs[..1]);
        assert_eq!(known(&world.store, people, channel, 99, 10).await, [21]);
        assert_eq!(known(&world.store, people, thread, 99, 10).await, [20]);
    }
}
