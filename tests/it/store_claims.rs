//! A pair's claims: order, counted attempts, verdicts once.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot be set up has failed")]

use switchyard_actors::model::{OpenRoute, PauseCause, RouteId, RouteVerdict, SkipReason};
use switchyard_actors::ports::{Intake, Outbox, Routes, StoreError};

use crate::harness::values::{deliver, pair, people, unit};

/// Which routes, of which messages, after how many attempts.
fn described(routes: &[OpenRoute]) -> Vec<(RouteId, i64, u32)> {
    routes.iter().map(|route| (route.id, route.event.message_id().get(), route.attempts)).collect()
}

on_both_databases! {
    async fn a_claim_counts_as_an_attempt_on_the_first_route_only(world) {
        let people = people(&world.store, 1).await;
        let pair = pair(&world.store, people, 1, 100, 900).await;
        let fence = world.assign(people.reader).await;
        world.store.record(fence, &unit(100, 1..=4, 4)).await.unwrap();
        let attempts = |routes: &[switchyard_actors::model::OpenRoute]| {
            routes.iter().map(|route| route.attempts).collect::<Vec<_>>()
        };
        assert_eq!(attempts(&world.store.claim(pair.id, 3).await.unwrap()), [1, 0, 0]);
        // A pair that dies on the first event comes back with its attempts, also in another process.
        let again = world.open_as(1).await;
        let routes = again.claim(pair.id, 3).await.unwrap();
        assert_eq!(attempts(&routes), [2, 0, 0]);
        let poison = [(routes[0].id, RouteVerdict::Skip(SkipReason::Poison))];
        again.close(fence, pair.id, &poison).await.unwrap();
        assert_eq!(attempts(&world.store.claim(pair.id, 10).await.unwrap()), [1, 0, 0]);
    }

    async fn verdicts_become_deliveries_in_order_and_skips_stay_in_the_ledger(world) {
        let people = people(&world.store, 1).await;
        let pair = pair(&world.store, people, 1, 100, 900).await;
        let fence = world.assign(people.reader).await;
        world.store.record(fence, &unit(100, 1..=4, 4)).await.unwrap();
        let routes = world.store.claim(pair.id, 3).await.unwrap();
        // Given out of order: the lane's order is that of acceptance.
        let verdicts = [
            (routes[2].id, deliver(&["three", "and more"])),
            (routes[1].id, RouteVerdict::Skip(SkipReason::Loop)),
            (routes[0].id, deliver(&["one"])),
        ];
        world.store.close(fence, pair.id, &verdicts).await.unwrap();
        let lane = world.store.lane(people.writer, pair.id, None, 10).await.unwrap();
        let seqs: Vec<_> = lane.iter().map(|delivery| delivery.seq).collect();
        assert_eq!(seqs, [routes[0].seq, routes[2].seq]);
        assert_eq!(lane.iter().map(|delivery| delivery.parts.len()).collect::<Vec<_>>(), [1, 2]);
        assert_eq!((lane[0].target, lane[0].account), (pair.target, people.writer));
        let skips = world.numbers("SELECT event_seq FROM routes WHERE skip = '{\"reason\":\"loop\"}'").await;
        assert_eq!(skips, [routes[1].seq]);
        let left = world.store.claim(pair.id, 10).await.unwrap();
        assert_eq!(left.iter().map(|route| route.event.message_id().get()).collect::<Vec<_>>(), [4]);
    }

    async fn closing_twice_delivers_once(world) {
        let people = people(&world.store, 1).await;
        let pair = pair(&world.store, people, 1, 100, 900).await;
        let fence = world.assign(people.reader).await;
        world.store.record(fence, &unit(100, 1..=2, 2)).await.unwrap();
        let routes = world.store.claim(pair.id, 10).await.unwrap();
        world.store.close(fence, pair.id, &[(routes[0].id, deliver(&["one"]))]).await.unwrap();
        let both = [(routes[0].id, deliver(&["one"])), (routes[1].id, deliver(&["two"]))];
        world.store.close(fence, pair.id, &both).await.unwrap();
        world.store.close(fence, pair.id, &both).await.unwrap();
        assert_eq!(world.store.lane(people.writer, pair.id, None, 10).await.unwrap().len(), 2);
    }

    async fn a_fenced_close_closes_nothing(world) {
        let (ours, others) = (people(&world.store, 1).await, people(&world.store, 2).await);
        let pair = pair(&world.store, ours, 1, 100, 900).await;
        let old = world.assign(ours.reader).await;
        let fence = world.assign(ours.reader).await;
        world.store.record(fence, &unit(100, 1..=2, 2)).await.unwrap();
        let routes = world.store.claim(pair.id, 10).await.unwrap();
        let verdicts = [(routes[0].id, deliver(&["one"]))];
        let unrelated = world.assign(others.reader).await;
        for wrong in [old, unrelated] {
            assert_eq!(world.store.close(wrong, pair.id, &verdicts).await, Err(StoreError::Fenced(wrong)));
        }
        assert_eq!(world.store.lanes(ours.writer).await.unwrap(), []);
        assert_eq!(world.store.claim(pair.id, 10).await.unwrap().len(), 2);
        let target = world.assign(ours.writer).await;
        world.store.close(target, pair.id, &verdicts).await.unwrap();
        assert_eq!(world.store.lanes(ours.writer).await.unwrap(), [pair.id]);
    }

    async fn an_unreadable_event_stops_the_pair_when_it_is_first(world) {
        let people = people(&world.store, 1).await;
        let pair = pair(&world.store, people, 1, 100, 900).await;
        let fence = world.assign(people.reader).await;
        world.store.record(fence, &unit(100, 1..=3, 3)).await.unwrap();
        // The second message's ciphertext is put where the third one's was.
        world
            .execute("UPDATE events SET payload = (SELECT payload FROM events WHERE message = 2) WHERE message = 3")
            .await;
        let routes = world.store.claim(pair.id, 10).await.unwrap();
        assert_eq!(routes.len(), 2, "what comes before it is handled");
        let verdicts: Vec<_> = routes.iter().map(|route| (route.id, deliver(&["x"]))).collect();
        world.store.close(fence, pair.id, &verdicts).await.unwrap();
        let error = world.store.claim(pair.id, 10).await.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt(_)), "{error}");
        let routes = world.numbers("SELECT CAST(attempts AS BIGINT) FROM routes WHERE state = 'open'").await;
        assert_eq!(routes, [1], "and the attempt counts");
    }

    async fn a_reclaim_hands_out_what_a_claim_does_and_counts_no_attempt(world) {
        let people = people(&world.store, 1).await;
        let pair = pair(&world.store, people, 1, 100, 900).await;
        let fence = world.assign(people.reader).await;
        world.store.record(fence, &unit(100, 1..=4, 4)).await.unwrap();
        let first = world.store.reclaim(pair.id, 3).await.unwrap();
        assert_eq!(first.iter().map(|route| route.attempts).collect::<Vec<_>>(), [0, 0, 0]);
        let claimed = world.store.claim(pair.id, 3).await.unwrap();
        let again = world.open_as(1).await;
        for store in [&world.store, &again, &world.store] {
            let routes = store.reclaim(pair.id, 3).await.unwrap();
            assert_eq!(described(&routes), described(&claimed), "in order, with the attempt that the claim counted");
        }
        assert_eq!(world.store.reclaim(pair.id, 10).await.unwrap().len(), 4);
        let attempts = world.numbers("SELECT CAST(attempts AS BIGINT) FROM routes ORDER BY event_seq").await;
        assert_eq!(attempts, [1, 0, 0, 0], "nor is one counted behind what it says");
    }

    async fn a_reclaim_leaves_out_what_is_closed_paused_or_another_pairs(world) {
        let (ours, others) = (people(&world.store, 1).await, people(&world.store, 2).await);
        let one = pair(&world.store, ours, 1, 100, 900).await;
        let two = pair(&world.store, ours, 2, 100, 901).await;
        let theirs = pair(&world.store, others, 3, 100, 902).await;
        let fence = world.assign(ours.reader).await;
        world.store.record(fence, &unit(100, 1..=3, 3)).await.unwrap();
        let claimed = world.store.claim(two.id, 10).await.unwrap();
        let routes = world.store.reclaim(one.id, 10).await.unwrap();
        assert!(routes.iter().all(|route| claimed.iter().all(|other| other.id != route.id)));
        assert_eq!(described(&routes).iter().map(|(_, _, attempts)| *attempts).collect::<Vec<_>>(), [0, 0, 0]);
        assert_eq!(described(&world.store.reclaim(theirs.id, 10).await.unwrap()), []);
        world.store.close(fence, one.id, &[(routes[0].id, deliver(&["one"]))]).await.unwrap();
        let left = world.store.reclaim(one.id, 10).await.unwrap();
        assert_eq!(described(&left), described(&routes[1..]));
        world.store.set_pause(one.id, PauseCause::User, true).await.unwrap();
        assert_eq!(described(&world.store.reclaim(one.id, 10).await.unwrap()), []);
        assert_eq!(world.store.reclaim(two.id, 10).await.unwrap().len(), 3, "the pause is of the one pair");
    }

    async fn what_is_reclaimed_after_the_account_went_to_another_cannot_be_closed(world) {
        let people = people(&world.store, 1).await;
        let pair = pair(&world.store, people, 1, 100, 900).await;
        let old = world.assign(people.reader).await;
        world.store.record(old, &unit(100, 1..=2, 2)).await.unwrap();
        world.store.claim(pair.id, 10).await.unwrap();
        let fence = world.assign(people.reader).await;
        let routes = world.store.reclaim(pair.id, 10).await.unwrap();
        let verdicts: Vec<_> = routes.iter().map(|route| (route.id, deliver(&["x"]))).collect();
        assert_eq!(world.store.close(old, pair.id, &verdicts).await, Err(StoreError::Fenced(old)));
        let left = world.store.reclaim(pair.id, 10).await.unwrap();
        assert_eq!(described(&left), described(&routes), "nothing of it is closed");
        world.store.close(fence, pair.id, &verdicts).await.unwrap();
        assert_eq!(described(&world.store.reclaim(pair.id, 10).await.unwrap()), []);
    }
}
