//! Start of many children, and what they hold in memory once idle.

use std::time::Duration;

use switchyard_actors::supervision::ChildRef;

use super::{
    child::{Add, Counter, counter},
    report::Report,
    scene::{Scene, micros_each, now, resident},
};

/// Longer than the interval in which children publish what they show of themselves.
const QUIET: Duration = Duration::from_secs(1);

/// `start`: each child added to a dynamic branch, until all are up. `memory`: what one of them holds when idle;
/// `memory_used`: the same after two messages.
pub(crate) async fn run(children: usize) -> Report {
    let scene = Scene::new().await;
    let before = resident();
    let began = now();
    let all: Vec<ChildRef<Counter>> = scene
        .start(children, |branch| {
            (0..children).map(|number| branch.add(counter(number)).expect("a new child")).collect()
        })
        .await;
    let started = began.elapsed();
    tokio::time::sleep(QUIET).await;
    let idle = resident();
    for child in &all {
        // Two in a row: what the second changed is published later, by a timer.
        child.ask(Add).await.expect("an answer");
        child.ask(Add).await.expect("an answer");
    }
    tokio::time::sleep(QUIET).await;
    let used = resident();
    drop(all);
    scene.end().await;
    let each = |bytes: f64| (bytes - before) / children as f64;
    Report::default()
        .with("start", "us", micros_each(started, children))
        .with("memory", "B", each(idle))
        .with("memory_used", "B", each(used))
}
