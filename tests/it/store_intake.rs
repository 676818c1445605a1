//! Intake: every event once, cursors never ahead, writers fenced.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot be set up has failed")]

use switchyard_actors::model::{CursorKey, CursorValue, Epoch, Fence, NodeId, PauseCause, SourceEvent};
use switchyard_actors::ports::{Intake, IntakeUnit, Routes, StoreError};
use uuid::Uuid;

use crate::harness::values::{common, message, message_id, pair, people, place, unit};

on_both_databases! {
    async fn a_unit_is_kept_once_and_wakes_its_pairs(world) {
        let people = people(&world.store, 1).await;
        let one = pair(&world.store, people, 1, 100, 900).await;
        let two = pair(&world.store, people, 2, 100, 901).await;
        let other = pair(&world.store, people, 3, 200, 902).await;
        let fence = world.assign(people.reader).await;

        let receipt = world.store.record(fence, &unit(100, 1..=5, 5)).await.unwrap();
        assert_eq!((receipt.accepted, receipt.pairs), (5, vec![one.id, two.id]));
        let again = world.store.record(fence, &unit(100, 3..=6, 6)).await.unwrap();
        assert_eq!((again.accepted, again.pairs), (1, vec![one.id, two.id]));

        for pair in [one.id, two.id] {
            let routes = world.store.claim(pair, 100).await.unwrap();
            let ids: Vec<_> = routes.iter().map(|route| route.event.message_id().get()).collect();
            assert_eq!(ids, [1, 2, 3, 4, 5, 6]);
            assert!(routes.is_sorted_by(|a, b| a.seq < b.seq));
            assert_eq!(routes[2].event, message(100, 3, "message 3"));
        }
        assert_eq!(world.store.claim(other.id, 100).await.unwrap(), []);
    }

    async fn an_event_repeated_inside_one_unit_is_kept_once(world) {
        let people = people(&world.store, 1).await;
        let pair = pair(&world.store, people, 1, 100, 900).await;
        let fence = world.assign(people.reader).await;
        let twice = IntakeUnit { events: vec![message(100, 1, "a"), message(100, 1, "a")], cursors: vec![] };
        assert_eq!(world.store.record(fence, &twice).await.unwrap().accepted, 1);
        let deleted = SourceEvent::Deleted { place: place(switchyard_actors::model::Platform::Telegram, 100), id: message_id(1) };
        let gone = IntakeUnit { events: vec![deleted], cursors: vec![] };
        assert_eq!(world.store.record(fence, &gone).await.unwrap().accepted, 1, "another kind is another event");
        assert_eq!(world.store.claim(pair.id, 10).await.unwrap().len(), 2);
    }

    async fn an_event_without_a_pair_is_not_kept_but_its_cursor_moves(world) {
        let people = people(&world.store, 1).await;
        let fence = world.assign(people.reader).await;
        let receipt = world.store.record(fence, &unit(100, 1..=5, 5)).await.unwrap();
        assert_eq!((receipt.accepted, receipt.pairs), (0, vec![]));
        assert_eq!(world.store.cursors(people.reader).await.unwrap(), [common(5)]);
    }

    async fn routes_of_a_paused_pair_wait_for_it(world) {
        let people = people(&world.store, 1).await;
        let pair = pair(&world.store, people, 1, 100, 900).await;
        let fence = world.assign(people.reader).await;
        world.store.set_pause(pair.id, PauseCause::User, true).await.unwrap();
        world.store.set_pause(pair.id, PauseCause::Admin, true).await.unwrap();
        world.store.record(fence, &unit(100, 1..=3, 3)).await.unwrap();
        assert_eq!(world.store.claim(pair.id, 10).await.unwrap(), []);
        world.store.set_pause(pair.id, PauseCause::Admin, false).await.unwrap();
        assert_eq!(world.store.claim(pair.id, 10).await.unwrap(), [], "the user's own pause stays");
        world.store.set_pause(pair.id, PauseCause::User, false).await.unwrap();
        assert_eq!(world.store.claim(pair.id, 10).await.unwrap().len(), 3);
    }

    async fn cursors_never_go_backwards(world) {
        let people = people(&world.store, 1).await;
        let fence = world.assign(people.reader).await;
        let record = |cursors| IntakeUnit { events: vec![], cursors };
        world.store.record(fence, &record(vec![common(50)])).await.unwrap();
        world.store.record(fence, &record(vec![common(40)])).await.unwrap();
        assert_eq!(world.store.cursors(people.reader).await.unwrap(), [common(50)]);

        let last = |id| switchyard_actors::model::Cursor {
            key: CursorKey::DiscordChannel { chat: place(switchyard_actors::model::Platform::Discord, 9).chat },
            value: CursorValue::LastMessage { id },
        };
        world.store.record(fence, &record(vec![last(7)])).await.unwrap();
        world.store.record(fence, &record(vec![last(6)])).await.unwrap();
        let mut kept = world.store.cursors(people.reader).await.unwrap();
        kept.sort_by_key(|cursor| cursor.key);
        assert_eq!(kept, [common(50), last(7)]);
    }

    async fn a_failing_chunk_leaves_the_cursor_and_nobody_is_forgotten(world) {
        let people = people(&world.store, 1).await;
        let pair = pair(&world.store, people, 1, 100, 900).await;
        let fence = world.assign(people.reader).await;
        world.store.record(fence, &unit(100, 1..=1, 1)).await.unwrap();

        // Chunks of two, and a rule that the second chunk breaks: only one route of a pair after the third event.
        let config = switchyard::store::StoreConfig { intake_chunk: 2, ..world.config.clone() };
        let small = world.open_config(config).await;
        world.execute("CREATE UNIQUE INDEX one_only ON routes (pair_id) WHERE event_seq > 3").await;
        let failed = small.record(fence, &unit(100, 2..=6, 6)).await.unwrap_err();
        assert!(matches!(failed, StoreError::Conflict(_)), "{failed}");
        assert_eq!(world.store.cursors(people.reader).await.unwrap(), [common(1)]);
        assert_eq!(world.store.claim(pair.id, 10).await.unwrap().len(), 3, "nothing of the failed chunk is kept");

        world.execute("DROP INDEX one_only").await;
        let receipt = small.record(fence, &unit(100, 2..=6, 6)).await.unwrap();
        assert_eq!((receipt.accepted, receipt.pairs), (3, vec![pair.id]));
        assert_eq!(world.store.cursors(people.reader).await.unwrap(), [common(6)]);
        assert_eq!(world.store.claim(pair.id, 10).await.unwrap().len(), 6);
        small.shut_down().await;
    }

    async fn a_writer_without_the_assignment_is_refused(world) {
        let people = people(&world.store, 1).await;
        let pair = pair(&world.store, people, 1, 100, 900).await;
        let old = world.assign(people.reader).await;
        let fence = world.assign(people.reader).await;
        assert!(fence.epoch > old.epoch);
        let foreign = Fence { node: NodeId::from_uuid(Uuid::from_u128(99)), ..fence };
        let ahead = Fence { epoch: Epoch::new(fence.epoch.get() + 1), ..fence };
        for wrong in [old, foreign, ahead] {
            let refused = world.store.record(wrong, &unit(100, 1..=2, 2)).await;
            assert_eq!(refused, Err(StoreError::Fenced(wrong)));
        }
        assert_eq!(world.store.claim(pair.id, 10).await.unwrap(), []);
        assert_eq!(world.store.cursors(people.reader).await.unwrap(), []);
        world.store.record(fence, &unit(100, 1..=2, 2)).await.unwrap();
    }

    async fn a_thread_has_its_own_pair_and_deletions_reach_all(world) {
        use switchyard_actors::model::{Pair, PairId, Platform, ThreadId};
        let people = people(&world.store, 1).await;
        let whole = pair(&world.store, people, 1, 100, 900).await;
        let mut threaded = Pair { id: PairId::from_uuid(Uuid::from_u128(2)), ..whole.clone() };
        threaded.source.thread = Some(ThreadId::new(5).unwrap());
        world.store.create_pair(&threaded).await.unwrap();
        let fence = world.assign(people.reader).await;
        let mut inside = message(100, 1, "inside");
        if let SourceEvent::New(message) = &mut inside {
            message.place.thread = threaded.source.thread;
        }
        let deleted = SourceEvent::Deleted { place: place(Platform::Telegram, 100), id: message_id(1) };
        let events = vec![inside, message(100, 2, "outside"), deleted];
        world.store.record(fence, &IntakeUnit { events, cursors: vec![] }).await.unwrap();
        assert_eq!(world.store.claim(whole.id, 10).await.unwrap().len(), 3);
        let in_thread = world.store.claim(threaded.id, 10).await.unwrap();
        let kinds: Vec<_> = in_thread.iter().map(|route| route.event.kind().as_str()).collect();
        assert_eq!(kinds, ["new", "deleted"]);
    }

    async fn many_accounts_at_once_keep_their_own_order(world) {
        let mut tasks = tokio::task::JoinSet::new();
        for number in 1..=8_u128 {
            let people = people(&world.store, number).await;
            let chat = i64::try_from(number).unwrap() * 100;
            let pair = pair(&world.store, people, number, chat, 900 + chat).await;
            let fence = world.assign(people.reader).await;
            let store = world.store.clone();
            tasks.spawn(async move {
                for step in 0..10_i64 {
                    let ids = step * 5 + 1..=step * 5 + 5;
                    store.record(fence, &unit(chat, ids, i32::try_from(step).unwrap() + 1)).await.unwrap();
                }
                let routes = store.claim(pair.id, 100).await.unwrap();
                let ids: Vec<_> = routes.iter().map(|route| route.event.message_id().get()).collect();
                assert_eq!(ids, (1..=50).collect::<Vec<_>>());
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
    }
}
