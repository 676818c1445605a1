//! The outbox of domain events: the order in which readers see it, filters, retention; and the ledger's dead letters.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot be set up has failed")]

use std::time::Duration;

use serde_json::json;
use switchyard::store::{EventQuery, JobProgress, JobState, LedgerFilter, PairChange, Store};
use switchyard_actors::model::{
    Audience, Day, DeadReason, DeliveryState, DomainEvent, NewDomainEvent, PartState, PauseCause, Topic,
    UserId,
};
use switchyard_actors::ports::{
    Directory, Intake, Lease, Outbox, QueuePauses, Routes, Standings, StoreError, TryResult,
};

use crate::harness::store::LEASE;
use crate::harness::values::{deliver, message_id, pair, people, unit};

const LONG: Duration = Duration::from_secs(60);

fn event(subject: &str, user: Option<UserId>, audience: Audience) -> NewDomainEvent {
    let subject = subject.to_owned();
    NewDomainEvent { topic: Topic::SessionState, user, audience, subject, body: json!({ "n": 1 }) }
}

fn subjects(events: &[DomainEvent]) -> Vec<&str> {
    events.iter().map(|event| event.subject.as_str()).collect()
}

async fn after(store: &Store, query: &EventQuery, after: i64) -> Vec<DomainEvent> {
    store.events_after(query, after, 10_000).await.unwrap()
}

on_both_databases! {
    /// Numbers are drawn before they are seen: a reader that goes by the last one it saw must not miss one that is
    /// committed later.
    async fn a_reader_that_follows_many_writers_sees_everything_once_and_in_order(world) {
        const WRITERS: usize = 8;
        const EACH: usize = 25;
        let other = world.open_as(2).await;
        let mut writers = Vec::new();
        for writer in 0..WRITERS {
            let store = if writer % 2 == 0 { world.store.clone() } else { other.clone() };
            writers.push(tokio::spawn(async move {
                for n in 0..EACH {
                    store.publish_events(vec![event(&format!("{writer}/{n}"), None, Audience::Staff); 2]).await.unwrap();
                }
            }));
        }
        let (mut seen, mut last) = (Vec::new(), 0);
        while seen.len() < WRITERS * EACH * 2 {
            for event in after(&world.store, &EventQuery::default(), last).await {
                assert!(event.id > last, "{} after {last}", event.id);
                last = event.id;
                seen.push(event);
            }
            tokio::task::yield_now().await;
        }
        for writer in writers {
            writer.await.unwrap();
        }
        assert_eq!(after(&world.store, &EventQuery::default(), last).await, [], "nothing came below what was seen");
        let all = after(&world.store, &EventQuery::default(), 0).await;
        assert_eq!(all, seen);
        for writer in 0..WRITERS {
            let own = subjects(&all).into_iter().filter(|subject| subject.starts_with(&format!("{writer}/")));
            let expected: Vec<String> = (0..EACH).flat_map(|n| vec![format!("{writer}/{n}"); 2]).collect();
            assert_eq!(own.collect::<Vec<_>>(), expected, "a writer's own order is kept");
        }
    }

    /// What holds a user's row and then publishes must not wait for what publishes and then needs that row.
    async fn changes_of_one_user_and_events_about_them_do_not_block_each_other(world) {
        const EACH: usize = 100;
        let ada = people(&world.store, 1).await;
        let reader = world.store.account(ada.reader).await.unwrap();
        let mut writers = Vec::new();
        for writer in 0..4 {
            let (store, reader) = (world.store.clone(), reader.clone());
            writers.push(tokio::spawn(async move {
                for n in 0..EACH {
                    match writer % 2 {
                        // Holds the user against every other change of what they have.
                        0 => drop(store.connect_account(&reader, &[]).await.unwrap()),
                        _ => {
                            let told = event(&format!("{writer}/{n}"), Some(reader.user), Audience::User);
                            store.publish_events(vec![told]).await.unwrap();
                        }
                    }
                }
            }));
        }
        for writer in writers {
            writer.await.unwrap();
        }
    }

    async fn each_hears_what_is_meant_for_it(world) {
        let (ada, bob) = (people(&world.store, 1).await, people(&world.store, 2).await);
        let start = world.store.event_bounds().await.unwrap().newest;
        world.store.publish_events(vec![
            event("a", Some(ada.user), Audience::User),
            event("b", Some(bob.user), Audience::User),
            event("c", Some(ada.user), Audience::Staff),
            event("d", None, Audience::Staff),
        ]).await.unwrap();
        let all = after(&world.store, &EventQuery::default(), start).await;
        assert_eq!(subjects(&all), ["a", "b", "c", "d"]);
        let own = EventQuery { user: Some(ada.user), for_users: true, topics: Vec::new() };
        assert_eq!(subjects(&after(&world.store, &own, start).await), ["a"]);
        let topics = EventQuery { topics: vec![Topic::PairAdded], ..EventQuery::default() };
        assert_eq!(after(&world.store, &topics, start).await, []);
        let gone = UserId::from_uuid(uuid::Uuid::from_u128(99));
        world.store.publish_events(vec![event("e", Some(gone), Audience::User), event("f", None, Audience::Staff)]).await.unwrap();
        let rest = after(&world.store, &EventQuery::default(), all[3].id).await;
        assert_eq!(subjects(&rest), ["f"], "of a user who is gone nothing is told, and nobody else's is lost");
    }

    async fn retention_says_how_far_it_went(world) {
        world.store.publish_events(vec![event("old", None, Audience::Staff); 3]).await.unwrap();
        let old = after(&world.store, &EventQuery::default(), 0).await;
        world.clock.advance(Duration::from_secs(3600));
        world.store.publish_events(vec![event("new", None, Audience::Staff)]).await.unwrap();
        let before = world.clock.millis();
        assert_eq!(world.store.purge_events(before, 2).await.unwrap(), 2);
        let bounds = world.store.event_bounds().await.unwrap();
        assert_eq!(bounds.purged, old[1].id);
        assert_eq!(world.store.purge_events(before, 100).await.unwrap(), 1);
        let left = after(&world.store, &EventQuery::default(), 0).await;
        assert_eq!(subjects(&left), ["new"]);
        world.clock.advance(Duration::from_secs(3600));
        assert_eq!(world.store.purge_events(world.clock.millis(), 100).await.unwrap(), 1);
        let empty = world.store.event_bounds().await.unwrap();
        assert_eq!((empty.purged, empty.newest), (left[0].id, left[0].id), "an empty outbox knows where it stood");
        world.store.publish_events(vec![event("next", None, Audience::Staff)]).await.unwrap();
        assert!(after(&world.store, &EventQuery::default(), 0).await[0].id > left[0].id, "no number is used twice");
    }

    async fn what_happens_to_a_user_is_told(world) {
        let store = &world.store;
        let ada = people(store, 1).await;
        let pair = pair(store, ada, 1, 100, 900).await;
        let mut last = 0;
        let mut told = async |what: &str| {
            let new = after(store, &EventQuery::default(), last).await;
            last = new.last().unwrap_or_else(|| panic!("nothing is told of {what}")).id;
            new
        };
        let topics = |events: &[DomainEvent]| events.iter().map(|event| event.topic).collect::<Vec<_>>();
        let begun = told("what is there").await;
        assert_eq!(begun.iter().filter(|event| event.topic == Topic::UserAdded).count(), 1, "{begun:?}");
        let change = PairChange { pauses: vec![(PauseCause::User, true)], ..PairChange::default() };
        store.change_pair(pair.id, change).await.unwrap();
        let changed = told("a change").await;
        assert_eq!((topics(&changed), &changed[0].data["paused"]), (vec![Topic::PairChanged], &json!(["user"])));
        let stale = PairChange { version: Some(-1), name: Some(None), ..PairChange::default() };
        store.change_pair(pair.id, stale).await.unwrap();

        store.suspend_user(ada.user, Some("abuse".to_owned())).await.unwrap();
        let suspended = told("a suspension").await;
        assert_eq!(topics(&suspended), [Topic::UserSuspended, Topic::PairChanged], "and nothing of the stale change");
        assert_eq!(suspended[0].data, json!({ "user": ada.user, "reason": "abuse" }));
        assert_eq!(suspended[1].data["paused"], json!(["user", "suspension"]));
        assert!(!store.suspend_user(ada.user, None).await.unwrap());
        store.restore_user(ada.user).await.unwrap();
        let restored = told("a restoration").await;
        assert_eq!(topics(&restored), [Topic::UserRestored, Topic::PairChanged], "and nothing of the second suspension");
        assert_eq!(restored[1].data["paused"], json!(["user"]));

        store.set_user_plan(ada.user, &"pro".parse().unwrap(), None).await.unwrap();
        let plan = told("a plan").await;
        assert_eq!((topics(&plan), &plan[0].data["plan"]), (vec![Topic::UserPlan], &json!("pro")));
        let today = Day::of(world.clock.millis());
        assert!(store.tell_limit(ada.user, today).await.unwrap());
        assert!(!store.tell_limit(ada.user, today).await.unwrap());
        let limit = told("a limit").await;
        assert_eq!((topics(&limit), &limit[0].data["limit"]), (vec![Topic::UserLimit], &json!("messages_per_day")));
        assert!(limit.iter().all(|event| event.user == Some(ada.user) && !event.staff_only));

        store.begin_erasure(ada.user).await.unwrap();
        let going = told("an erasure that begins").await;
        assert_eq!(topics(&going), [Topic::UserChanged, Topic::PairChanged]);
        assert_eq!(going[0].data["state"], "deleting");
        store.erase_user(ada.user).await.unwrap();
        let gone = told("an erasure").await;
        assert_eq!((topics(&gone), gone[0].user), (vec![Topic::UserDeleted], None), "what tells of it outlives the user");
        store.erase_user(ada.user).await.unwrap();
        assert_eq!(after(store, &EventQuery::default(), gone[0].id).await, []);
    }

    async fn changes_are_told_in_their_own_transaction(world) {
        let ada = people(&world.store, 1).await;
        let pair = pair(&world.store, ada, 1, 100, 900).await;
        let start = world.store.event_bounds().await.unwrap().newest;
        for on in [true, true, false, false] {
            world.store.set_pause(pair.id, PauseCause::User, on).await.unwrap();
        }
        world.store.remove_pair(pair.id).await.unwrap();
        world.store.remove_account(ada.writer).await.unwrap();
        let told = after(&world.store, &EventQuery { user: Some(ada.user), for_users: true, topics: Vec::new() }, start).await;
        let topics: Vec<Topic> = told.iter().map(|event| event.topic).collect();
        assert_eq!(topics, [Topic::PairChanged, Topic::PairChanged, Topic::PairRemoved, Topic::AccountRemoved]);
        assert_eq!((&told[0].data["paused"], &told[1].data["paused"]), (&json!(["user"]), &json!([])));
    }

    async fn a_job_is_one_node_s_until_its_claim_ends(world) {
        let job = world.store.add_job("x", &json!({ "items": [1] }), Some(3), "operator").await.unwrap();
        let other = world.open_as(2).await;
        let claimed = world.store.claim_jobs(5, LONG, false).await.unwrap();
        assert_eq!(claimed.iter().map(|job| job.id).collect::<Vec<_>>(), [job.id]);
        assert_eq!(other.claim_jobs(5, LONG, true).await.unwrap(), []);
        let progress = |done| JobProgress { cursor: Some("1".to_owned()), done, ..JobProgress::default() };
        let now = world.store.advance_job(job.id, progress(1), LONG).await.unwrap();
        assert_eq!((now.done, now.cursor.as_deref(), now.state), (1, Some("1"), JobState::Running));
        let refused = other.advance_job(job.id, progress(1), LONG).await;
        assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
        // The same node after a crash takes its own up at once, another one when the claim has ended.
        assert_eq!(world.store.claim_jobs(5, LONG, false).await.unwrap(), []);
        assert_eq!(world.store.claim_jobs(5, LONG, true).await.unwrap().len(), 1);
        world.clock.advance(LONG + Duration::from_secs(1));
        assert_eq!(other.claim_jobs(5, LONG, false).await.unwrap()[0].done, 1);
        let lost = world.store.advance_job(job.id, progress(1), LONG).await;
        assert!(matches!(lost, Err(StoreError::Conflict(_))), "{lost:?}");
        let done = JobProgress { done: 2, ended: Some(JobState::Done), ..JobProgress::default() };
        assert!(other.advance_job(job.id, done, LONG).await.unwrap().state.is_over());
        world.clock.advance(LONG * 2);
        assert_eq!(other.claim_jobs(5, LONG, true).await.unwrap(), []);
        let read = world.store.job(job.id).await.unwrap();
        assert_eq!((read.done, read.total, read.finished_at.is_some()), (3, Some(3), true));
        assert_eq!(world.store.job_counts().await.unwrap(), [(JobState::Done, 1)]);
    }

    async fn a_replay_puts_each_letter_back_once_and_counts_it_once(world) {
        let ada = people(&world.store, 1).await;
        let pair = pair(&world.store, ada, 1, 100, 900).await;
        let (source, target) = (world.assign(ada.reader).await, world.assign(ada.writer).await);
        world.store.record(source, &unit(100, 1..=5, 1)).await.unwrap();
        let routes = world.store.claim(pair.id, 100).await.unwrap();
        let verdicts: Vec<_> = routes.iter().map(|route| (route.id, deliver(&["one", "two"]))).collect();
        world.store.close(target, pair.id, &verdicts).await.unwrap();
        let pending = world.store.lane(ada.writer, pair.id, None, 100).await.unwrap();
        for (n, delivery) in pending.iter().take(4).enumerate() {
            world.store.begin(target, delivery.id, 0).await.unwrap();
            if n == 3 {
                world.store.finish(target, delivery.id, &TryResult::Sent { part: 0, message: Some(message_id(77)) }).await.unwrap();
                world.store.begin(target, delivery.id, 1).await.unwrap();
            }
            let reason = if n == 0 { DeadReason::Exhausted("500".to_owned()) } else { DeadReason::Refused("400".to_owned()) };
            world.store.finish(target, delivery.id, &TryResult::Dead(reason)).await.unwrap();
        }
        assert_eq!(world.store.ledger_depth().await.unwrap().dead, 4);
        let refused = LedgerFilter { reason: Some("refused".to_owned()), ..LedgerFilter::default() };
        assert_eq!(world.store.count_ledger(&refused).await.unwrap(), 3);
        let foreign = LedgerFilter { user: Some(UserId::from_uuid(uuid::Uuid::nil())), ..refused.clone() };
        assert_eq!(world.store.count_ledger(&foreign).await.unwrap(), 0);

        let job = world.store.add_job("replay_dead_letters", &json!({}), Some(3), "operator").await.unwrap();
        world.store.claim_jobs(1, LONG, false).await.unwrap();
        let (first, kept) = world.store.replay(&refused, 2, Some((job.id, LONG))).await.unwrap();
        assert_eq!((first.count, first.over, kept.unwrap().done), (2, false, 2));
        assert_eq!(first.lanes, [(ada.writer, pair.id)]);
        let (second, kept) = world.store.replay(&refused, 2, Some((job.id, LONG))).await.unwrap();
        assert_eq!((second.count, second.over, kept.unwrap().state), (1, true, JobState::Done));
        assert_eq!(world.store.replay(&refused, 2, None).await.unwrap().0.count, 0, "never twice");

        let back = world.store.lane(ada.writer, pair.id, None, 100).await.unwrap();
        let ids: Vec<_> = back.iter().map(|delivery| delivery.id).collect();
        assert_eq!(ids, pending[1..].iter().map(|delivery| delivery.id).collect::<Vec<_>>(), "in their old places");
        assert!(back.iter().all(|delivery| delivery.tries == 0 && delivery.not_before.is_none()));
        assert_eq!(back[0].parts[0].state, PartState::Queued, "its only try was refused: nobody has to look for it");
        assert_eq!(back[2].parts[0].state, PartState::Sent, "what arrived is not sent again");
        let exhausted = LedgerFilter { ids: Some(vec![pending[0].id]), ..LedgerFilter::default() };
        world.store.replay(&exhausted, 1, None).await.unwrap();
        let head = world.store.lane(ada.writer, pair.id, None, 1).await.unwrap().remove(0);
        assert_eq!((head.id, head.parts[0].state), (pending[0].id, PartState::Sending), "it may have arrived");
        assert!(head.parts[0].sending_since.is_some());
        let told = EventQuery { topics: vec![Topic::DeliveryDead, Topic::DeliveryReplayed], ..EventQuery::default() };
        assert_eq!(after(&world.store, &told, 0).await.len(), 4 + 3, "one for each death, one for each portion's lane");
    }

    async fn the_ledger_comes_in_pages_the_newest_first(world) {
        let ada = people(&world.store, 1).await;
        let pair = pair(&world.store, ada, 1, 100, 900).await;
        let (source, target) = (world.assign(ada.reader).await, world.assign(ada.writer).await);
        for n in 1..=7 {
            world.store.record(source, &unit(100, n..=n, 1)).await.unwrap();
            let route = world.store.claim(pair.id, 1).await.unwrap().remove(0);
            world.store.close(target, pair.id, &[(route.id, deliver(&["x"]))]).await.unwrap();
            if n % 2 == 0 {
                world.clock.advance(Duration::from_secs(1));
                world.store.renew(LEASE).await.unwrap();
            }
        }
        let own = LedgerFilter { user: Some(ada.user), ..LedgerFilter::default() };
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let page = world.store.ledger(&own, cursor, 3).await.unwrap();
            let Some(last) = page.last() else { break };
            let text = last.cursor().to_string();
            cursor = Some(text.parse().unwrap());
            seen.extend(page.into_iter().map(|entry| entry.source_message));
        }
        seen.sort_unstable();
        assert_eq!(seen, [1, 2, 3, 4, 5, 6, 7], "without gap or repeat");
        let pending = LedgerFilter { state: Some(DeliveryState::Pending), ..own.clone() };
        assert_eq!(world.store.count_ledger(&pending).await.unwrap(), 7);
        let depth = world.store.queue_depths().await.unwrap()[&ada.writer];
        assert_eq!((depth.waiting, depth.oldest.is_some()), (7, true));
        let delivered = LedgerFilter { state: Some(DeliveryState::Delivered), ..own };
        assert_eq!(world.store.count_ledger(&delivered).await.unwrap(), 0);
    }

    async fn pauses_of_a_queue_are_kept_by_cause(world) {
        let ada = people(&world.store, 1).await;
        world.store.set_queue_pause(ada.writer, PauseCause::Admin, true).await.unwrap();
        world.store.set_queue_pause(ada.writer, PauseCause::Admin, true).await.unwrap();
        world.store.set_queue_pause(ada.writer, PauseCause::Suspension, true).await.unwrap();
        let again = world.open_as(1).await;
        assert_eq!(again.queue_pauses(ada.writer).await.unwrap().len(), 2);
        world.store.set_queue_pause(ada.writer, PauseCause::Admin, false).await.unwrap();
        let left = again.all_queue_pauses().await.unwrap();
        assert_eq!(left[&ada.writer].iter().collect::<Vec<_>>(), [&PauseCause::Suspension]);
        assert_eq!(again.queue_pauses(ada.reader).await.unwrap().len(), 0);
    }
}
