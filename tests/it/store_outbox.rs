//! The outbox: lanes in order also under retry, parts across a crash, outcomes once.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot be set up has failed")]

use std::time::Duration;

use chrono::DateTime;
use switchyard::store::Store;
use switchyard_actors::model::{
    DeadReason, Delivery, EventKind, Fence, NewDelivery, Pair, PartBody, PartState, PauseCause, Platform,
    RouteVerdict, SkipReason, SourceEvent,
};
use switchyard_actors::ports::{Intake, IntakeUnit, Jobs, Lease, Outbox, Routes, StoreError, TryResult};

use crate::harness::store::Fixture;
use crate::harness::values::{People, deliver, message_id, pair, people, place, unit};

/// A pair with pending deliveries of these parts, and the fences of its two accounts.
struct Lane {
    people: People,
    pair: Pair,
    source: Fence,
    target: Fence,
}

impl Lane {
    async fn new(world: &Fixture) -> Self {
        let people = people(&world.store, 1).await;
        let pair = pair(&world.store, people, 1, 100, 900).await;
        let (source, target) = (world.assign(people.reader).await, world.assign(people.writer).await);
        Self { people, pair, source, target }
    }

    /// Messages from `first` on, one delivery each.
    async fn fill(&self, store: &Store, first: i64, deliveries: &[&[&str]]) {
        let last = first + i64::try_from(deliveries.len()).unwrap() - 1;
        store.record(self.source, &unit(100, first..=last, 1)).await.unwrap();
        let routes = store.claim(self.pair.id, 100).await.unwrap();
        let verdicts: Vec<_> =
            routes.iter().zip(deliveries).map(|(route, parts)| (route.id, deliver(parts))).collect();
        store.close(self.target, self.pair.id, &verdicts).await.unwrap();
    }

    async fn pending(&self, store: &Store) -> Vec<Delivery> {
        store.lane(self.people.writer, self.pair.id, None, 100).await.unwrap()
    }

    async fn sent(&self, store: &Store, delivery: &Delivery, part: u16, id: i64) {
        store.begin(self.target, delivery.id, part).await.unwrap();
        let result = TryResult::Sent { part, message: Some(message_id(id)) };
        store.finish(self.target, delivery.id, &result).await.unwrap();
    }
}

fn later(not_before: i64, counts: bool) -> TryResult {
    TryResult::Later { not_before, counts, error: "FLOOD_WAIT".to_owned(), unsent: None }
}

on_both_databases! {
    async fn a_head_in_retry_keeps_its_place_in_the_lane(world) {
        let lane = Lane::new(&world).await;
        lane.fill(&world.store, 1, &[&["one"], &["two"], &["three"]]).await;
        let before = lane.pending(&world.store).await;
        world.store.begin(lane.target, before[0].id, 0).await.unwrap();
        world.store.finish(lane.target, before[0].id, &later(77, false)).await.unwrap();
        world.store.finish(lane.target, before[0].id, &later(99, true)).await.unwrap();
        let after = lane.pending(&world.store).await;
        assert_eq!(after.iter().map(|d| d.id).collect::<Vec<_>>(), before.iter().map(|d| d.id).collect::<Vec<_>>());
        assert_eq!((after[0].not_before, after[0].tries), (Some(99), 1));
        assert_eq!(after[0].parts[0].state, PartState::Sending, "a later try keeps what is known of the part");
        let rest = world.store.lane(lane.people.writer, lane.pair.id, Some(before[0].seq), 1).await.unwrap();
        assert_eq!(rest.iter().map(|d| d.id).collect::<Vec<_>>(), [before[1].id]);
    }

    async fn lanes_are_the_pairs_with_work_that_run(world) {
        let lane = Lane::new(&world).await;
        let idle = pair(&world.store, lane.people, 2, 200, 901).await;
        assert_eq!(world.store.lanes(lane.people.writer).await.unwrap(), []);
        lane.fill(&world.store, 1, &[&["one"]]).await;
        assert_eq!(world.store.lanes(lane.people.writer).await.unwrap(), [lane.pair.id]);
        assert_eq!(world.store.lanes(lane.people.reader).await.unwrap(), []);
        world.store.set_pause(lane.pair.id, PauseCause::Permission, true).await.unwrap();
        world.store.set_pause(lane.pair.id, PauseCause::Permission, true).await.unwrap();
        assert_eq!(world.store.lanes(lane.people.writer).await.unwrap(), []);
        assert_eq!(lane.pending(&world.store).await, []);
        assert!(world.store.pair(lane.pair.id).await.unwrap().paused.contains(&PauseCause::Permission));
        world.store.set_pause(lane.pair.id, PauseCause::Permission, false).await.unwrap();
        assert_eq!(world.store.lanes(lane.people.writer).await.unwrap(), [lane.pair.id]);
        assert_eq!(world.store.lane(lane.people.writer, idle.id, None, 9).await.unwrap(), []);
    }

    async fn a_crash_between_sending_and_answer_shows_in_the_part(world) {
        let lane = Lane::new(&world).await;
        lane.fill(&world.store, 1, &[&["one", "two", "three"]]).await;
        let delivery = lane.pending(&world.store).await.remove(0);
        lane.sent(&world.store, &delivery, 0, 501).await;
        world.clock.advance(Duration::from_secs(5));
        let since = world.clock.millis();
        world.store.begin(lane.target, delivery.id, 1).await.unwrap();
        world.clock.advance(Duration::from_secs(60));

        let restarted = world.open_as(1).await;
        restarted.renew(crate::harness::store::LEASE).await.unwrap();
        let found = restarted.lane(lane.people.writer, lane.pair.id, None, 9).await.unwrap().remove(0);
        let states: Vec<_> = found.parts.iter().map(|part| (part.state, part.sending_since.is_some())).collect();
        assert_eq!(states, [(PartState::Sent, true), (PartState::Sending, true), (PartState::Queued, false)]);
        assert_eq!(found.parts[1].sending_since, Some(since));
        assert_eq!(found.parts[0].remote_id, Some(message_id(501)));
        assert_eq!(found.id, delivery.id, "so its idempotency keys are the same");

        // The new process's fence replaces the dead one's.
        let fence = restarted.assign(lane.people.writer).await.unwrap();
        let answer = TryResult::Sent { part: 1, message: Some(message_id(502)) };
        let late = world.store.finish(lane.target, delivery.id, &answer).await;
        assert_eq!(late, Err(StoreError::Fenced(lane.target)));
        assert_eq!(world.store.begin(lane.target, delivery.id, 1).await, Err(StoreError::Fenced(lane.target)));
        restarted.begin(fence, delivery.id, 1).await.unwrap();
        let again = restarted.lane(lane.people.writer, lane.pair.id, None, 9).await.unwrap().remove(0);
        assert_eq!(again.parts[1].sending_since, Some(since), "a repeat does not make the part look younger");
        restarted.finish(fence, delivery.id, &answer).await.unwrap();
        restarted.begin(fence, delivery.id, 2).await.unwrap();
        let last = TryResult::Sent { part: 2, message: None };
        restarted.finish(fence, delivery.id, &last).await.unwrap();
        assert_eq!(lane.pending(&world.store).await, []);
        let copies = world.numbers("SELECT target_message FROM message_map WHERE source_message = 1 ORDER BY part").await;
        assert_eq!(copies, [501, 502], "an unknown id has no row");
    }

    async fn an_outcome_counts_once(world) {
        let lane = Lane::new(&world).await;
        lane.fill(&world.store, 1, &[&["one", "two"], &["three"]]).await;
        let pending = lane.pending(&world.store).await;
        let counts = || async {
            let rows = world.numbers("SELECT messages FROM delivery_counts").await;
            (rows, world.numbers("SELECT parts FROM delivery_counts").await)
        };
        for _ in 0..2 {
            world.store.begin(lane.target, pending[1].id, 0).await.ok();
            let sent = TryResult::Sent { part: 0, message: Some(message_id(600)) };
            world.store.finish(lane.target, pending[1].id, &sent).await.unwrap();
        }
        assert_eq!(counts().await, (vec![1], vec![1]));
        lane.sent(&world.store, &pending[0], 0, 601).await;
        let again = TryResult::Sent { part: 0, message: Some(message_id(601)) };
        world.store.finish(lane.target, pending[0].id, &again).await.unwrap();
        assert_eq!(counts().await, (vec![1], vec![2]), "not complete yet");
        lane.sent(&world.store, &pending[0], 1, 602).await;
        assert_eq!(counts().await, (vec![2], vec![3]));
        // What is over stays over.
        world.store.finish(lane.target, pending[0].id, &TryResult::Dead(DeadReason::Expired)).await.unwrap();
        world.store.finish(lane.target, pending[0].id, &later(1, true)).await.unwrap();
        let states = world.numbers("SELECT COUNT(*) FROM deliveries WHERE state = 'delivered'").await;
        assert_eq!(states, [2]);
        let refused = world.store.begin(lane.target, pending[0].id, 0).await;
        assert!(matches!(refused, Err(StoreError::NotFound(_))), "{refused:?}");
    }

    async fn a_part_at_the_target_is_not_begun_again(world) {
        let lane = Lane::new(&world).await;
        lane.fill(&world.store, 1, &[&["one", "two"]]).await;
        let delivery = lane.pending(&world.store).await.remove(0);
        lane.sent(&world.store, &delivery, 0, 700).await;
        for part in [0, 7] {
            let refused = world.store.begin(lane.target, delivery.id, part).await;
            assert!(matches!(refused, Err(StoreError::NotFound(_))), "part {part}: {refused:?}");
        }
        let foreign = world.store.begin(lane.source, delivery.id, 1).await;
        assert_eq!(foreign, Err(StoreError::Fenced(lane.source)), "not the account that sends it");
    }

    async fn a_dead_delivery_leaves_its_lane_with_a_reason(world) {
        let lane = Lane::new(&world).await;
        lane.fill(&world.store, 1, &[&["one"], &["two"]]).await;
        let pending = lane.pending(&world.store).await;
        let reason = DeadReason::Refused("MESSAGE_TOO_LONG".to_owned());
        world.store.finish(lane.target, pending[0].id, &TryResult::Dead(reason)).await.unwrap();
        let left = lane.pending(&world.store).await;
        assert_eq!(left.iter().map(|d| d.id).collect::<Vec<_>>(), [pending[1].id]);
        let dead = "SELECT seq FROM deliveries WHERE state = 'dead' AND dead LIKE '%MESSAGE_TOO_LONG%'";
        assert_eq!(world.numbers(dead).await, [pending[0].seq]);
        assert_eq!(world.numbers("SELECT messages FROM delivery_counts").await, Vec::<i64>::new());
    }

    async fn copies_and_originals_find_each_other(world) {
        use switchyard::store::MessageOrigin;
        use switchyard_actors::model::MessageCopy;
        let lane = Lane::new(&world).await;
        lane.fill(&world.store, 41, &[&["one", "two"], &["three"]]).await;
        let pending = lane.pending(&world.store).await;
        lane.sent(&world.store, &pending[0], 0, 501).await;
        lane.sent(&world.store, &pending[0], 1, 502).await;
        lane.sent(&world.store, &pending[1], 0, 503).await;
        let (source, target) = (lane.pair.source.chat, lane.pair.target.chat);
        let copies = world.store.copies(lane.pair.id, source, message_id(41)).await.unwrap();
        let copy = |part, id| MessageCopy { part, chat: target, message: message_id(id) };
        assert_eq!(copies, [copy(0, 501), copy(1, 502)]);
        let originals = world.store.originals(target, message_id(502)).await.unwrap();
        assert_eq!(originals, [MessageOrigin { pair: lane.pair.id, part: 1, chat: source, message: message_id(41) }]);
        assert_eq!(world.store.originals(source, message_id(502)).await.unwrap(), []);
        assert_eq!(world.store.copies(lane.pair.id, source, message_id(43)).await.unwrap(), []);
    }

    async fn a_deletion_forgets_the_copies_part_by_part(world) {
        let lane = Lane::new(&world).await;
        lane.fill(&world.store, 1, &[&["one", "two"]]).await;
        let delivery = lane.pending(&world.store).await.remove(0);
        lane.sent(&world.store, &delivery, 0, 801).await;
        lane.sent(&world.store, &delivery, 1, 802).await;
        assert_eq!(world.numbers("SELECT target_message FROM message_map ORDER BY part").await, [801, 802]);
        let gone = SourceEvent::Deleted { place: place(Platform::Telegram, 100), id: message_id(1) };
        let unit = IntakeUnit { events: vec![gone], cursors: vec![] };
        world.store.record(lane.source, &unit).await.unwrap();
        let route = world.store.claim(lane.pair.id, 9).await.unwrap().remove(0);
        let deletion = RouteVerdict::Deliver(NewDelivery {
            action: EventKind::Deleted,
            parts: vec![PartBody::Deletion; 2],
            reply_to: None,
        });
        world.store.close(lane.target, lane.pair.id, &[(route.id, deletion)]).await.unwrap();
        let deletion = lane.pending(&world.store).await.remove(0);
        assert_eq!((deletion.action, deletion.source_message), (EventKind::Deleted, message_id(1)));
        let forwarded = || world.store.forwarded(lane.pair.id, lane.pair.source.chat, message_id(1));
        assert_eq!(forwarded().await.unwrap(), None, "what is being deleted takes no more edits");
        for (part, left) in [(0, vec![802]), (1, vec![])] {
            assert_eq!(deletion.parts[usize::from(part)].body, PartBody::Deletion);
            world.store.begin(lane.target, deletion.id, part).await.unwrap();
            for _ in 0..2 {
                world.store.finish(lane.target, deletion.id, &TryResult::Gone { part }).await.unwrap();
            }
            assert_eq!(world.numbers("SELECT target_message FROM message_map").await, left);
        }
        assert_eq!(lane.pending(&world.store).await, []);
        assert_eq!(world.numbers("SELECT target_message FROM message_map").await, Vec::<i64>::new());
        assert_eq!(world.numbers("SELECT messages FROM delivery_counts").await, [1], "a deletion is no message");
    }

    async fn retention_takes_what_is_over_and_nothing_else(world) {
        let lane = Lane::new(&world).await;
        lane.fill(&world.store, 1, &[&["sent"], &["dead"], &["pending"]]).await;
        let pending = lane.pending(&world.store).await;
        lane.sent(&world.store, &pending[0], 0, 901).await;
        world.store.finish(lane.target, pending[1].id, &TryResult::Dead(DeadReason::Expired)).await.unwrap();
        world.store.record(lane.source, &unit(100, 4..=5, 1)).await.unwrap();
        let routes = world.store.claim(lane.pair.id, 9).await.unwrap();
        let skip = [(routes[0].id, RouteVerdict::Skip(SkipReason::Empty))];
        world.store.close(lane.target, lane.pair.id, &skip).await.unwrap();
        let now = DateTime::from_timestamp_millis(world.clock.millis()).unwrap();
        assert_eq!(world.store.purge(now, 100).await.unwrap(), 0, "nothing is older than now");

        world.clock.advance(Duration::from_secs(3600));
        let later = DateTime::from_timestamp_millis(world.clock.millis()).unwrap();
        // Two of three events, and what streams were told of the new user and the dead letter.
        assert_eq!(world.store.purge(later, 2).await.unwrap(), 2 + 2);
        assert_eq!(world.store.purge(later, 100).await.unwrap(), 1);
        assert_eq!(world.store.purge(later, 100).await.unwrap(), 0);
        assert_eq!(world.numbers("SELECT message FROM events ORDER BY seq").await, [3, 5], "one pending, one open");
        assert_eq!(world.numbers("SELECT COUNT(*) FROM routes").await, [2]);
        assert_eq!(world.numbers("SELECT COUNT(*) FROM deliveries").await, [1]);
        assert_eq!(world.numbers("SELECT COUNT(*) FROM delivery_parts").await, [1]);
        assert_eq!(world.numbers("SELECT target_message FROM message_map").await, [901], "edits can still follow");

        // What comes now is accepted after all that ever was.
        let highest = pending[2].seq;
        world.store.record(lane.source, &unit(100, 6..=6, 1)).await.unwrap();
        let seqs = world.numbers("SELECT seq FROM events WHERE message = 6").await;
        assert!(seqs[0] > highest);
    }
}
