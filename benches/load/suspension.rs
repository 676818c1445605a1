//! How long it takes from the call to the answer of a suspension, while the user's messages flow. The aim: p99 within 1 s.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use switchyard_sandbox::{PairCounts, SeedShape};

use super::daemon::Scene;
use super::measure::{Times, against, head, now};

const SUSPENSIONS: usize = 120;
const PAIRS: u16 = 4;
/// Messages of each pair before each suspension.
const BURST: usize = 6;
const TARGET: Duration = Duration::from_secs(1);
/// Looks at what arrived, a few milliseconds apart, before it is given up.
const LOOKS_MAX: u32 = 20_000;

/// A pair, and what arrived of it.
struct Lane {
    source: Value,
    target: Value,
    arrived: Vec<String>,
    last: String,
}

impl Lane {
    async fn look(&mut self, scene: &Scene) {
        let (texts, last) = scene.read(&self.target, &self.last).await;
        self.arrived.extend(texts);
        self.last = last;
    }
}

/// Waits until so many messages arrived in all.
async fn arrived(scene: &Scene, lanes: &mut [Lane], count: usize) {
    for _ in 0..LOOKS_MAX {
        for lane in &mut *lanes {
            lane.look(scene).await;
        }
        if lanes.iter().map(|lane| lane.arrived.len()).sum::<usize>() >= count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("messages do not arrive: {}", scene.log());
}

pub(crate) async fn run() {
    let pairs = PairCounts { telegram_to_telegram: PAIRS, ..PairCounts::default() };
    let scene = Scene::start(SeedShape { pairs, ..SeedShape::default() }, &[]).await;
    let mut lanes: Vec<Lane> = scene.seed["pairs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| Lane {
            source: pair["source"].clone(),
            target: pair["target"].clone(),
            arrived: Vec::new(),
            last: String::new(),
        })
        .collect();
    let user = scene.seed["user"]["id"].as_str().unwrap().to_owned();
    let path = |verb: &str| format!("/api/v1/admin/users/{user}/{verb}");
    let (mut suspended, mut restored, mut flowing) = (Times::default(), Times::default(), 0_usize);
    let mut written = 0;
    for _ in 0..SUSPENSIONS {
        let before = written * lanes.len();
        for n in written..written + BURST {
            for lane in &lanes {
                scene.write(&lane.source, &format!("message {n}")).await;
            }
        }
        written += BURST;
        // Amid the burst: what was written before has arrived, and some of this.
        arrived(&scene, &mut lanes, before + 1).await;
        let asked = now();
        scene.order(Method::POST, &path("suspend"), Some(json!({}))).await;
        suspended.add(asked.elapsed());
        for lane in &mut lanes {
            lane.look(&scene).await;
        }
        let here: usize = lanes.iter().map(|lane| lane.arrived.len()).sum();
        flowing += usize::from(here < written * lanes.len());
        let asked = now();
        scene.order(Method::POST, &path("restore"), None).await;
        restored.add(asked.elapsed());
    }
    let all = written * lanes.len();
    arrived(&scene, &mut lanes, all).await;
    let expected: Vec<String> = (0..written).map(|n| format!("message {n}")).collect();
    assert!(lanes.iter().all(|lane| lane.arrived == expected), "all arrive, in order, once");
    head("suspension of a user whose messages flow, from the call to the answer");
    println!("{}", suspended.line("suspend"));
    println!("{}", restored.line("restore"));
    println!("{flowing} of {SUSPENSIONS} with messages left to send; {all} messages arrived in order, once");
    against(&suspended, TARGET);
}
