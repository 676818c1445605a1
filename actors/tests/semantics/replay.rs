//! A whole tree under random orders: counts are exact, nothing is lost unseen, and the same seed gives the same log.

use std::{collections::BTreeMap, num::NonZeroU32};

use switchyard_actors::supervision::{
    Ask, AskError, Backoff, BranchSpec, Change, ChildPath, ChildRef, Happening, Intensity, NodeState,
    OnExceed, Policy, Probe, RestartType, Storm, Strategy, Unparker,
};

use crate::{
    bench::{World, exact, millis, pass, run, secs, settle},
    puppet::{Add, Do, Later, Poison, Puppet, Rope, puppet},
};

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

/// Children of a tree; those that go are replaced.
const CHILDREN: usize = 40;

/// One branch of each sort.
fn branches() -> [(&'static str, BranchSpec); 4] {
    let storm = Storm { floor: secs(3), starts_per_second: NonZeroU32::MIN };
    let stormy = BranchSpec::dynamic("y").intensity(Some(Intensity::new(5, secs(60))));
    [
        ("x", BranchSpec::ordered("x")),
        ("y", stormy.on_exceed(OnExceed::Storm(storm))),
        ("all", BranchSpec::ordered("all").strategy(Strategy::OneForAll)),
        ("rest", BranchSpec::ordered("rest").strategy(Strategy::RestForOne)),
    ]
}

/// How the children of a script are configured: of every restart type, with short windows and probes.
fn policy(restart: RestartType) -> Policy {
    let probe = Some(Probe { interval: secs(20), cap: secs(80) });
    Policy { restart, backoff: Backoff::default(), intensity: Intensity::new(3, secs(30)), probe, ..exact() }
}

/// A tree under a random script.
struct Play {
    world: World,
    dice: Dice,
    /// All that were added and not removed; a temporary one may be gone.
    children: Vec<ChildRef<Puppet>>,
    added: u64,
    asks: Vec<Ask<u64>>,
    /// How often each kind of event had an effect.
    played: BTreeMap<&'static str, u64>,
}

impl Play {
    async fn start(seed: u64) -> Self {
        let world = World::seeded(seed);
        let mut play = Self {
            world,
            dice: Dice(seed),
            children: Vec::new(),
            added: 0,
            asks: Vec::new(),
            played: BTreeMap::new(),
        };
        for (_, spec) in branches() {
            play.world.runtime.root().add_branch(spec.policy(policy(RestartType::Permanent))).unwrap();
        }
        while play.children.len() < CHILDREN {
            play.add();
        }
        play.world.runtime.start().await;
        play
    }

    fn restart_type(&mut self) -> RestartType {
        let types =
            [RestartType::Permanent, RestartType::Permanent, RestartType::Transient, RestartType::Temporary];
        self.of(&types)
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.dice.roll(u64::try_from(all.len()).unwrap())).unwrap()]
    }

    /// A new child in one of the branches; no id is used twice, so that a path has one history.
    fn add(&mut self) {
        let branch = self.of(&["x", "y", "all", "rest"]);
        let spec = puppet(&format!("{:06}", self.added), &Rope::default());
        self.added += 1;
        let spec = spec.policy(policy(self.restart_type()));
        if let Ok(child) = self.world.branch(branch).add(spec) {
            self.children.push(child);
            self.note("add", true);
        }
    }

    fn note(&mut self, event: &'static str, done: bool) {
        *self.played.entry(event).or_default() += u64::from(done);
    }

    /// Another policy for one child.
    fn reload(&mut self, path: &ChildPath) -> bool {
        let intensity = Intensity::new(u32::try_from(self.dice.roll(6)).unwrap(), secs(30));
        let policy = Policy { intensity, ..policy(self.restart_type()) };
        self.world.runtime.tree().reload(&[(path.clone(), Change::Policy(Box::new(policy)))]).is_ok()
    }

    /// One random event. Of a tree that has too few children the next is one more.
    async fn event(&mut self) {
        if self.children.len() < CHILDREN {
            return self.add();
        }
        let at = usize::try_from(self.dice.roll(40)).unwrap();
        let child = self.children[at].clone();
        let (tree, path) = (self.world.runtime.tree(), child.path());
        let (event, done) = match self.dice.roll(18) {
            0 => ("panic", child.tell(Poison).is_ok()),
            1 => ("end", child.tell(Do::it(|_, cx| cx.stop())).is_ok()),
            2 => ("failure", child.tell(Do::it(|_, cx| cx.fail("declared"))).is_ok()),
            3 => ("restart", tree.restart(path).is_ok()),
            4 => {
                let (wait, fails) = (secs(self.dice.roll(3)), self.dice.roll(4) == 0);
                self.asks.push(child.ask(Later(wait, fails)));
                ("ask", true)
            }
            5 => ("suspend", tree.suspend(path).is_ok()),
            6 => ("resume", tree.resume(path).is_ok()),
            7 => {
                pass(millis(self.dice.roll(5_000))).await;
                ("time", true)
            }
            8 if self.dice.roll(30) == 0 => {
                let branch = self.of(&["x", "y", "all", "rest"]);
                ("branch", tree.restart(&ChildPath::parse(branch).unwrap()).is_ok())
            }
            9 => ("stop", tree.stop(path).is_ok()),
            10 => ("start", tree.start(path).is_ok()),
            11 => ("delete", tree.delete(path).is_ok() && self.let_go(at)),
            12 if self.dice.roll(3) == 0 => {
                // The request is made by the call; nobody waits for the end.
                let (branch, id) = path.as_str().split_once('/').unwrap();
                drop(self.world.branch(branch).remove(id));
                ("remove", self.let_go(at))
            }
            13 => ("reload", self.reload(path)),
            _ => ("tell", child.tell(Add(1)).is_ok()),
        };
        // One that was temporary and ended is forgotten.
        if tree.view(path).is_none() && self.children.get(at) == Some(&child) {
            self.let_go(at);
            self.note("forgotten", true);
        }
        self.note(event, done);
    }

    fn let_go(&mut self, at: usize) -> bool {
        self.children.swap_remove(at);
        true
    }

    /// What must hold of every child that is left.
    fn check(&self) {
        for child in &self.children {
            let path = child.path().as_str();
            let Some(view) = self.world.runtime.tree().view(child.path()) else { continue };
            let restarts = self.world.sink.count(path, |what| {
                matches!(what, Happening::Restarting { .. } | Happening::Unparked { by: Unparker::Probe })
            });
            assert_eq!(view.restarts_total, u64::try_from(restarts).unwrap(), "{view:?}");
        }
    }

    /// Ends the tree and everything that was asked of it; answers with how the asks ended.
    async fn end(&mut self) -> [u32; 3] {
        self.world.runtime.drain(secs(60)).await;
        let counts = self.world.runtime.tree().counts();
        assert_eq!(counts[&NodeState::Stopped], counts.values().sum::<usize>(), "{counts:?}");
        let [mut answered, mut crashed, mut refused] = [0; 3];
        for ask in std::mem::take(&mut self.asks) {
            match ask.await {
                Ok(_) => answered += 1,
                Err(AskError::ChildCrashed { .. } | AskError::Stopped) => crashed += 1,
                Err(AskError::Refused(_)) => refused += 1,
                Err(other) => panic!("{other}"),
            }
        }
        assert!(self.children.iter().all(|child| child.depth() == 0));
        [answered, crashed, refused]
    }
}

/// Plays a random script on 40 children in four branches and returns the log of events, and what was played.
fn play(seed: u64, events: usize) -> (String, BTreeMap<&'static str, u64>) {
    run(async move {
        let mut play = Play::start(seed).await;
        for _ in 0..events {
            play.event().await;
        }
        for child in &play.children {
            _ = play.world.runtime.tree().resume(child.path());
        }
        settle().await;
        play.check();
        let ended = play.end().await;
        let log = serde_json::to_string_pretty(&*play.world.sink.0.lock().unwrap()).unwrap();
        (format!("{ended:?}\n{log}"), play.played)
    })
}

#[test]
fn s44_the_same_seed_gives_the_same_log() {
    for seed in [1, 2, 3] {
        let (first, again) = (play(seed, 10_000), play(seed, 10_000));
        assert!(first.0 == again.0, "seed {seed}: the logs are not equal, byte for byte");
        for (event, times) in &first.1 {
            assert!(*times > 5, "seed {seed}: {event} was played {times} times");
        }
        let failures = first.0.matches("\"event\": \"restarting\"").count();
        assert!(failures > 200, "seed {seed}: {failures} restarts");
    }
    assert!(play(1, 200).0 != play(2, 200).0, "another seed, another log");
}

#[test]
fn random_orders_leave_nothing_behind() {
    for seed in 100..150 {
        play(seed, 300);
    }
}
