//! Scheduled jobs: a restart neither skips nor repeats a run, and operators see what failed and what comes next.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use switchyard_actors::ports::{Clock as _, Jobs as _};
use switchyard_actors::testkit::{FakePlatform, MemoryStore};
use switchyard_actors::tree::JobView;

use crate::world::{World, config, run};

const HOUR: Duration = Duration::from_secs(3_600);
const MINUTE: Duration = Duration::from_secs(60);

fn job(world: &World, name: &str) -> JobView {
    let jobs = world.node("scheduler").observable.get("jobs").cloned().expect("jobs");
    let jobs: Vec<JobView> = serde_json::from_value(jobs).expect("jobs");
    jobs.into_iter().find(|job| job.job == name).expect("the job")
}

fn purge(world: &World) -> JobView {
    job(world, "retention.purge")
}

/// Ends the tree and, after a while, starts another over the same store by the same clock.
async fn restart(world: World, away: Duration) -> World {
    let World { platform, store, clock, root } = world;
    root.kill();
    tokio::time::sleep(away).await;
    World::at(clock, store, platform, "").await
}

#[test]
fn a_restart_does_not_repeat_a_run() {
    run(|| async {
        assert_eq!(config().purge_interval, HOUR);
        let mut world = World::start(1, 1, "").await;
        world.pass(Duration::from_secs(5)).await;
        assert_eq!(world.store.purges().len(), 1, "a job that never ran runs at once");
        let first = purge(&world);
        for _ in 0..10 {
            world = restart(world, MINUTE).await;
            world.pass(Duration::from_secs(5)).await;
            let kept = purge(&world);
            assert_eq!((kept.last_run, kept.next_run), (first.last_run, first.next_run));
        }
        assert_eq!(world.store.purges().len(), 1);
        assert_eq!(Some(first.next_run), first.last_run.map(|last| last + TimeDelta::hours(1)));
    });
}

#[test]
fn a_restart_does_not_put_a_run_off() {
    run(|| async {
        let mut world = World::start(1, 1, "").await;
        // Starts anew every 7 minutes: an interval that began at each start would never end.
        for _ in 0..62 {
            world.pass(MINUTE * 6).await;
            world = restart(world, MINUTE).await;
        }
        world.pass(Duration::from_secs(5)).await;
        assert_eq!(world.store.purges().len(), 8, "at the start and after each of seven hours");
    });
}

#[test]
fn a_job_that_was_due_while_nothing_ran_runs_once_at_the_start() {
    run(|| async {
        let world = World::start(1, 1, "").await;
        world.pass(Duration::from_secs(5)).await;
        let world = restart(world, HOUR * 30).await;
        world.pass(Duration::from_secs(5)).await;
        assert_eq!(world.store.purges().len(), 2, "thirty times due, run once");
        world.pass(MINUTE * 50).await;
        assert_eq!(world.store.purges().len(), 2);
        world.pass(MINUTE * 11).await;
        assert_eq!(world.store.purges().len(), 3);
    });
}

#[test]
fn a_failed_job_shows_why_and_is_tried_again_ever_more_seldom() {
    run(|| async {
        let world = World::start(1, 1, "").await;
        world.pass(Duration::from_secs(5)).await;
        let last = purge(&world).last_run;
        world.store.fail_purges(4);
        world.pass(HOUR).await;
        world.pass(Duration::from_secs(2)).await;
        let failed = purge(&world);
        assert!(
            failed.failures > 0 && failed.error.as_deref().is_some_and(|error| error.contains("told so"))
        );
        assert_eq!(failed.last_run, last, "a failure is no run");
        let now = world.clock.now();
        assert!(
            failed.next_run > now - TimeDelta::seconds(2) && failed.next_run < now + TimeDelta::minutes(1)
        );
        world.pass(MINUTE * 5).await;
        let mended = purge(&world);
        assert_eq!((mended.failures, mended.error), (0, None));
        assert_eq!(
            world.store.purges().len(),
            1 + 4 + 1,
            "each failure is tried again once, and then it rests"
        );
    });
}

#[test]
fn the_lease_is_renewed_and_seen_and_of_this_start_only() {
    run(|| async {
        let world = World::start(1, 1, "").await;
        world.pass(Duration::from_secs(31)).await;
        let renewed = job(&world, "lease.renew");
        let age = world.clock.now() - renewed.last_run.expect("a run");
        assert!(age <= TimeDelta::seconds(7), "{age}");
        assert_eq!(world.store.last_run("lease.renew").await.expect("an answer"), None);
        world.store.set_unavailable(true);
        world.pass(Duration::from_secs(12)).await;
        let failing = job(&world, "lease.renew");
        assert!(failing.failures >= 3, "tried every second: {failing:?}");
        world.store.set_unavailable(false);
        world.pass(Duration::from_secs(2)).await;
        assert_eq!(job(&world, "lease.renew").failures, 0);
    });
}

#[test]
fn a_clock_that_is_set_back_stops_no_job() {
    run(|| async {
        let world = World::start(1, 1, "").await;
        world.pass(Duration::from_secs(5)).await;
        let store = world.store.clone();
        let ahead = world.clock.now() + TimeDelta::days(400);
        store.ran("retention.purge", ahead).await.expect("noted");
        let world = restart(world, MINUTE).await;
        world.pass(Duration::from_secs(5)).await;
        assert_eq!(store.purges().len(), 2);
        assert!(purge(&world).last_run.is_some_and(|last| last < ahead));
    });
}

#[test]
fn a_purge_of_very_much_is_not_stuck() {
    run(|| async {
        let store = Arc::new(MemoryStore::default());
        store.full_purges([MINUTE; 30]);
        let world = World::over(store, FakePlatform::default(), "").await;
        world.pass(MINUTE * 29).await;
        assert_eq!(purge(&world).last_run, None, "still at it");
        world.pass(MINUTE * 2).await;
        assert!(purge(&world).last_run.is_some());
        let scheduler = world.node("scheduler");
        assert_eq!((scheduler.epoch, scheduler.last_failure), (1, None));
    });
}
