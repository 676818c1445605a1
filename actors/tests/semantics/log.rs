//! The log: one line for each restart, parking, un-parking and escalation, and how many more were like it.

use std::{
    io::{self, Write},
    num::NonZeroUsize,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::Value;
use switchyard_actors::supervision::{
    BranchSpec, ChildRef, Happening, Intensity, Phase, Policy, RuntimeConfig, SupervisionEvent,
    SupervisionSink,
};

use crate::{
    bench::{World, exact, pass, run, secs, settle},
    puppet::{Bomb, Do, Poison, Puppet, Rope, Script, puppet},
};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// What was logged at `info` and above since the last look.
    fn take(&self) -> Vec<Value> {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap());
        let text = String::from_utf8(bytes).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The same, as `event path more`, for what is short of it `-`.
    fn words(&self) -> Vec<String> {
        let word = |line: &Value, field: &str| match &line[field] {
            Value::Null => "-".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let words =
            |line: &Value| format!("{} {} {}", word(line, "event"), word(line, "path"), word(line, "more"));
        self.take().iter().map(words).collect()
    }
}

/// Runs a test whose log is kept.
fn logged<F: Future>(test: impl FnOnce(Lines) -> F) -> F::Output {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_max_level(tracing::Level::INFO)
        .with_writer(Mutex::new(writer))
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    run(test(lines))
}

fn config(window: Option<Duration>, signatures: usize) -> RuntimeConfig {
    RuntimeConfig {
        log_window: window,
        log_signatures_max: NonZeroUsize::new(signatures).unwrap(),
        ..RuntimeConfig::default()
    }
}

/// A world with so many puppets that never give up.
async fn many(config: RuntimeConfig, count: usize) -> (World, Vec<ChildRef<Puppet>>) {
    let world = World::configured(config);
    let branch = world.runtime.root().add_branch(BranchSpec::dynamic("pairs")).unwrap();
    let policy = Policy { intensity: Intensity::new(1_000, secs(60)), ..exact() };
    let rope = Rope::default();
    let children = (0..count)
        .map(|n| branch.add(puppet(&format!("{n:04}"), &rope).policy(policy.clone())).unwrap())
        .collect();
    world.runtime.start().await;
    settle().await;
    (world, children)
}

#[test]
fn a_restart_a_parking_and_an_unparking_are_a_line_each() {
    logged(|lines| async move {
        let rope = Rope::default();
        let policy = Policy { intensity: Intensity::new(1, secs(60)), ..exact() };
        let (world, child) = World::with(puppet("a", &rope).policy(policy)).await;
        assert!(lines.take().is_empty(), "a start is no news");
        child.tell(Poison).unwrap();
        settle().await;
        let [line] = &lines.take()[..] else { panic!("one line") };
        assert_eq!((&line["level"], &line["event"]), (&"WARN".into(), &"restart".into()));
        assert_eq!((&line["path"], &line["kind"]), (&"a".into(), &"puppet".into()));
        assert_eq!((&line["phase"], &line["handling"]), (&"handler".into(), &"Poison".into()));
        assert_eq!((&line["failure"], &line["delay_ms"]), (&"poisoned".into(), &1_000.into()));
        assert_eq!(line["restarts_in_window"], 1);
        assert!(line["location"].as_str().unwrap().contains("puppet.rs:"), "{line}");
        assert_eq!(line["message"], "child waits for its backoff, then starts again");
        pass(secs(1)).await;
        child.tell(Poison).unwrap();
        settle().await;
        let [line] = &lines.take()[..] else { panic!("one line") };
        assert_eq!((&line["event"], &line["why"]), (&"park".into(), &"intensity".into()));
        assert_eq!((&line["phase"], &line["path"]), (&"handler".into(), &"a".into()));
        assert!(line["reason"].as_str().unwrap().starts_with("poisoned in handler of Poison at "), "{line}");
        assert_eq!(
            line["message"],
            "child is parked: it refuses messages until an admin or a probe starts it"
        );
        world.restart("a");
        settle().await;
        let [line] = &lines.take()[..] else { panic!("one line") };
        assert_eq!(
            (&line["level"], &line["event"], &line["why"]),
            (&"INFO".into(), &"unpark".into(), &"admin".into())
        );
        // Parked for another reason than its latest failure.
        child.tell(Do::it(|_, cx| cx.park("somebody has to look"))).unwrap();
        settle().await;
        let [line] = &lines.take()[..] else { panic!("one line") };
        assert_eq!((&line["why"], &line["reason"]), (&"asked".into(), &"somebody has to look".into()));
        assert_eq!((&line["phase"], &line["location"]), (&Value::Null, &Value::Null));
    });
}

#[test]
fn an_escalation_is_a_line_of_its_own_for_each_branch() {
    logged(|lines| async move {
        let world = World::new();
        for name in ["one", "two"] {
            let spec = BranchSpec::ordered(name).intensity(Some(Intensity::new(0, secs(60))));
            let branch = world.runtime.root().add_branch(spec).unwrap();
            let rope = Rope::default();
            let policy = Policy { intensity: Intensity::new(0, secs(60)), ..exact() };
            rope.loads([Script::Retry]);
            let inner = branch
                .add_branch(BranchSpec::ordered("in").intensity(Some(Intensity::new(0, secs(60)))))
                .unwrap();
            inner
                .add(puppet("a", &rope).policy(Policy { intensity: Intensity::new(9, secs(60)), ..policy }))
                .unwrap();
        }
        world.runtime.start().await;
        pass(secs(5)).await;
        let lines = lines.take();
        let of =
            |event: &str| -> Vec<&Value> { lines.iter().filter(|line| line["event"] == event).collect() };
        let paths: Vec<_> =
            of("escalation").iter().map(|line| line["path"].as_str().unwrap().to_owned()).collect();
        assert_eq!(paths, ["one/in", "one", "two/in", "two"]);
        assert!(of("escalation").iter().all(|line| line["level"] == "ERROR"));
        assert!(of("escalation")[0]["chain"].as_str().unwrap().contains("store is busy"));
        let parked: Vec<_> =
            of("park").iter().map(|line| line["path"].as_str().unwrap().to_owned()).collect();
        assert_eq!(parked, ["one", "two"], "each branch is one of a kind");
    });
}

#[test]
fn of_failures_of_one_signature_the_first_is_logged_and_the_rest_are_counted() {
    logged(|lines| async move {
        let (world, children) = many(config(Some(secs(60)), 256), 214).await;
        for child in &children {
            child.tell(Poison).unwrap();
        }
        settle().await;
        assert_eq!(lines.words(), ["restart pairs/0000 -"]);
        // Another place in the source is another signature; the sink and the counters hear of everything.
        children[0].tell(Do::it(|_, _| panic!("elsewhere"))).unwrap();
        pass(secs(2)).await;
        assert_eq!(lines.words(), ["restart pairs/0000 -"]);
        pass(secs(57)).await;
        assert!(lines.take().is_empty(), "the window is not over");
        pass(secs(1)).await;
        let [line] = &lines.take()[..] else { panic!("one line") };
        assert_eq!(
            (&line["event"], &line["more"], &line["kind"]),
            (&"restart".into(), &213.into(), &"puppet".into())
        );
        assert_eq!((&line["message"], &line["last"]), (&"and 213 more like it".into(), &"pairs/0213".into()));
        assert_eq!((&line["phase"], &line["window_s"]), (&"handler".into(), &60.into()));
        assert!(line["location"].as_str().unwrap().contains("puppet.rs:"), "{line}");
        pass(secs(3_600)).await;
        assert!(lines.take().is_empty(), "told once");
        let restarts = |what: &Happening| matches!(what, Happening::Restarting { .. });
        let heard: usize = (0..214).map(|n| world.sink.count(&format!("pairs/{n:04}"), restarts)).sum();
        let totals = world.runtime.tree().totals();
        let puppets = totals.iter().find(|totals| totals.kind == "puppet").unwrap();
        assert_eq!((heard, puppets.history.restarts), (215, 215));
        // The window is over: the next is in full again.
        children[5].tell(Poison).unwrap();
        settle().await;
        assert_eq!(lines.words(), ["restart pairs/0005 -"]);
    });
}

#[test]
fn windows_follow_each_other_while_failures_go_on() {
    logged(|lines| async move {
        let (_world, children) = many(config(Some(secs(10)), 256), 1).await;
        // The backoff of this child is at its cap of 60 s in the end: five failures in the first minute.
        for _ in 0..8 {
            children[0].tell(Poison).unwrap();
        }
        // Failures at 0, 1, 3, 7, 15, 31, 63 and 123 s.
        let mut heard = Vec::new();
        for second in 0..200 {
            pass(secs(1)).await;
            heard.extend(lines.words().into_iter().map(|words| format!("{second}: {words}")));
        }
        let expected = [
            "0: restart pairs/0000 -",
            "9: restart - 3",
            "14: restart pairs/0000 -",
            "30: restart pairs/0000 -",
            "62: restart pairs/0000 -",
            "122: restart pairs/0000 -",
        ];
        assert_eq!(heard, expected);
    });
}

#[test]
fn what_was_counted_is_told_when_the_tree_ends() {
    logged(|lines| async move {
        let (world, children) = many(config(Some(secs(3_600)), 256), 3).await;
        for child in &children {
            child.tell(Poison).unwrap();
        }
        settle().await;
        assert_eq!(lines.words(), ["restart pairs/0000 -"]);
        world.runtime.drain(secs(5)).await;
        assert_eq!(lines.words(), ["restart - 2"]);
        let (world, children) = many(config(Some(secs(3_600)), 256), 3).await;
        for child in &children {
            child.tell(Poison).unwrap();
        }
        settle().await;
        drop((world, children));
        assert_eq!(lines.words(), ["restart pairs/0000 -", "restart - 2"], "also without a drain");
    });
}

#[test]
fn signatures_beyond_the_bound_count_as_one() {
    logged(|lines| async move {
        let (_world, children) = many(config(Some(secs(60)), 2), 6).await;
        let fail = |n: usize, order: Do| {
            children[n].tell(order).unwrap();
            settle()
        };
        fail(0, Do::it(|_, _| panic!("first"))).await;
        fail(1, Do::it(|_, _| panic!("second"))).await;
        fail(2, Do::it(|_, _| panic!("third"))).await;
        fail(3, Do::it(|_, _| panic!("fourth"))).await;
        fail(4, Do::it(|_, _| panic!("fifth"))).await;
        let firsts = ["restart pairs/0000 -", "restart pairs/0001 -", "restart pairs/0002 -"];
        assert_eq!(lines.words(), firsts, "the first two, and the first of all others");
        pass(secs(61)).await;
        assert_eq!(lines.words(), ["other - 2"]);
        fail(5, Do::it(|_, _| panic!("sixth"))).await;
        assert_eq!(lines.words(), ["restart pairs/0005 -"], "there is room again");
    });
}

#[test]
fn without_a_window_every_line_is_written() {
    logged(|lines| async move {
        let (_world, children) = many(config(None, 1), 50).await;
        for child in &children {
            child.tell(Poison).unwrap();
        }
        settle().await;
        assert_eq!(lines.take().len(), 50);
        pass(secs(600)).await;
        assert!(lines.take().is_empty());
    });
}

#[test]
fn contained_failures_and_unclean_ends_are_limited_alike() {
    logged(|lines| async move {
        let (world, children) = many(config(Some(secs(60)), 256), 4).await;
        for child in &children {
            child
                .tell(Do::it(|_, cx| {
                    let bomb = Bomb("future");
                    drop(cx.spawn(
                        async move {
                            let _bomb = bomb;
                            std::future::pending::<()>().await;
                        },
                        |_, (), _| (),
                    ));
                }))
                .unwrap();
        }
        settle().await;
        world.runtime.drain(secs(1)).await;
        let mut words = lines.words();
        words.sort();
        let expected =
            ["contained - 3", "contained pairs/0000 -", "unclean_stop - 3", "unclean_stop pairs/0000 -"];
        assert_eq!(words, expected);
        let totals = world.runtime.tree().totals();
        let puppets = totals.iter().find(|totals| totals.kind == "puppet").unwrap();
        assert_eq!(puppets.history.contained.get(&Phase::Drop), Some(&4));
        assert_eq!((puppets.history.stops, puppets.history.unclean_stops), (4, 4));
    });
}

struct Deaf;
impl SupervisionSink for Deaf {
    fn record(&self, _: &SupervisionEvent) {
        panic!("the sink is broken");
    }
}

#[test]
fn a_sink_that_panics_over_everything_is_told_of_once_in_a_window() {
    logged(|lines| async move {
        let clock = Arc::new(chrono::DateTime::<chrono::Utc>::default);
        let runtime =
            switchyard_actors::supervision::Runtime::new(config(Some(secs(60)), 256), clock, Arc::new(Deaf))
                .unwrap();
        for n in 0..5 {
            runtime.root().add(puppet(&format!("{n}"), &Rope::default())).unwrap();
        }
        runtime.start().await;
        settle().await;
        assert_eq!(lines.words(), ["sink_panic 0 -"]);
        pass(secs(61)).await;
        assert_eq!(lines.words(), ["sink_panic - 5"]);
    });
}
