//! Messages: told in batches, asked one by one, by the main task and by another child.

use switchyard_actors::supervision::{ChildRef, ChildSpec};
use tokio::time::Instant;

use super::{
    child::{Add, AskTimes, Counter, Get, Talker, TellTimes, counter},
    report::Report,
    scene::{Scene, micros_each, now},
};

/// Messages told before an answer is waited for; fewer than a mailbox holds.
const BATCH: usize = 1_000;

/// Batches of one measurement.
const BATCHES: usize = 1_000;

/// Asks of one measurement.
const ASKS: usize = 300_000;

/// What is done before the clock starts, as a share of the measurement.
const WARM_UP: usize = 10;

fn tell_report(metric: &str, began: Instant) -> Report {
    Report::default().with(metric, "ns", micros_each(began.elapsed(), BATCH * BATCHES) * 1e3)
}

async fn tell_batches(child: &ChildRef<Counter>, batches: usize) {
    for _ in 0..batches {
        for _ in 0..BATCH {
            child.tell(Add).expect("room in the mailbox");
        }
        child.ask(Get).await.expect("an answer");
    }
}

/// `tell`: from the main task, enqueued and handled, each.
pub(crate) async fn tell() -> Report {
    let scene = Scene::new().await;
    let child = scene.branch.add(counter(0)).unwrap();
    tell_batches(&child, BATCHES / WARM_UP).await;
    let began = now();
    tell_batches(&child, BATCHES).await;
    let report = tell_report("tell", began);
    let told = BATCH * (BATCHES + BATCHES / WARM_UP);
    assert_eq!(child.ask(Get).await, Ok(told as u64), "every message is handled once");
    scene.end().await;
    report
}

/// `tell_child`: from another child, enqueued and handled, each.
pub(crate) async fn tell_child() -> Report {
    let scene = Scene::new().await;
    let (child, talker) = pair(&scene);
    for _ in 0..BATCHES / WARM_UP {
        talker.ask(TellTimes(BATCH)).await.expect("an answer");
    }
    let began = now();
    for _ in 0..BATCHES {
        talker.ask(TellTimes(BATCH)).await.expect("an answer");
    }
    let report = tell_report("tell_child", began);
    let told = BATCH * (BATCHES + BATCHES / WARM_UP);
    assert_eq!(child.ask(Get).await, Ok(told as u64), "every message is handled once");
    scene.end().await;
    report
}

/// `ask`: by the main task, from request to reply.
pub(crate) async fn ask() -> Report {
    let scene = Scene::new().await;
    let child = scene.branch.add(counter(0)).unwrap();
    for _ in 0..ASKS / WARM_UP {
        child.ask(Get).await.expect("an answer");
    }
    let began = now();
    for _ in 0..ASKS {
        child.ask(Get).await.expect("an answer");
    }
    let report = Report::default().with("ask", "us", micros_each(began.elapsed(), ASKS));
    scene.end().await;
    report
}

/// `ask_child`: by another child.
pub(crate) async fn ask_child() -> Report {
    let scene = Scene::new().await;
    let (_child, talker) = pair(&scene);
    talker.ask(AskTimes(ASKS / WARM_UP)).await.expect("an answer");
    let began = now();
    talker.ask(AskTimes(ASKS)).await.expect("an answer");
    let report = Report::default().with("ask_child", "us", micros_each(began.elapsed(), ASKS));
    scene.end().await;
    report
}

fn pair(scene: &Scene) -> (ChildRef<Counter>, ChildRef<Talker>) {
    let child = scene.branch.add(counter(0)).unwrap();
    let talker = scene.branch.add(ChildSpec::new("talker", child.clone())).unwrap();
    (child, talker)
}
