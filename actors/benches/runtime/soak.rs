//! The soak: many children of which one in a hundred panics each second, at random, for a minute; every count exact,
//! memory flat, no acknowledged message lost or doubled.

use std::{
    cell::RefCell,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::future::{self, LocalBoxFuture};
use switchyard_actors::{
    ports::Rng as _,
    supervision::{
        AskError, Backoff, Child, ChildRef, ChildSpec, Cx, Handle, Intensity, LoadEnv, LoadError, Loaded,
        Message, NodeState, Policy,
    },
    testkit::SeededRng,
};

use super::{
    crash::Log,
    report::Report,
    scene::{now, resident},
};

/// How long children panic, in seconds.
const SECONDS: usize = 60;

/// One child in so many panics each second.
const PANICS: usize = 100;

/// One child in so many is sent a message each second; of those, every one that is acknowledged is counted.
const PUTS: usize = 5;

/// Panics of each child before the minute begins.
const WARM_UP: usize = 2;

/// Children that panic together before the minute begins.
const CROWD: usize = 100;

/// Pieces of a second: the load is spread over it.
const TICKS: usize = 100;

/// Largest growth of the process's memory that counts as flat.
const FLAT: f64 = 0.05;

/// Of the random choices; printed with the result.
const SEED: u64 = 20_261_123;

/// What a child has stored: durable, as seen from the child.
type Stored = Arc<AtomicU64>;

/// Stores the number of the last message.
struct Ledger(Stored);

/// The next message of a child, numbered from 1.
struct Put(u64);

/// Makes it panic.
struct Burst;

impl Message for Put {
    type Reply = u64;
}

impl Message for Burst {
    type Reply = ();
}

impl Child for Ledger {
    type Args = Stored;

    const KIND: &'static str = "ledger";

    fn load(stored: Stored, _env: LoadEnv) -> LocalBoxFuture<'static, Result<Loaded<Self>, LoadError>> {
        Box::pin(future::ready(Ok(Loaded::Ready(Self(stored)))))
    }
}

impl Handle<Put> for Ledger {
    /// Messages of one sender come in order, once each: anything else is a defect of the runtime.
    fn handle(&mut self, Put(number): Put, _cx: &mut Cx<'_, Self>) -> u64 {
        let before = self.0.swap(number, Ordering::Relaxed);
        assert_eq!(before + 1, number, "lost, doubled or out of order");
        number
    }
}

impl Handle<Burst> for Ledger {
    fn handle(&mut self, Burst: Burst, _cx: &mut Cx<'_, Self>) {
        panic!("burst at message {}", self.0.load(Ordering::Relaxed));
    }
}

/// A child, and what it must be found to have done.
struct Member {
    child: ChildRef<Ledger>,
    stored: Stored,
    put: u64,
    panics: u64,
}

/// What came back from the children.
#[derive(Default)]
struct Answers {
    acknowledged: u64,
    crashed: u64,
    other: Vec<String>,
    /// From a message that panics to the answer to the next one, in microseconds.
    restarts: Vec<f64>,
}

/// `soak_*`: panics and messages of the minute, growth of memory, time from a panic to the next answer.
pub(crate) async fn run(children: usize) -> Report {
    let scene = Log::Daemon.scene().await;
    let mut members: Vec<Member> = scene
        .start(children, |branch| {
            let member = |number| {
                let stored = Stored::default();
                let child = branch.add(spec(number, &stored)).expect("a new child");
                Member { child, stored, put: 0, panics: 0 }
            };
            (0..children).map(member).collect()
        })
        .await;
    let answers = Rc::new(RefCell::new(Answers::default()));
    warm_up(&mut members, &answers).await;
    let dice = SeededRng::new(SEED);
    let (base, mut highest) = (resident(), 0.0_f64);
    eprintln!("seed {SEED}; {:.1} MB after {WARM_UP} panics of every child", base / 1e6);
    for second in 1..=SECONDS {
        one_second(&mut members, &dice, &answers).await;
        highest = highest.max(resident());
        if second % 10 == 0 {
            eprintln!("{second} s: {:.1} MB", resident() / 1e6);
        }
    }
    settle(&members).await;
    // The tasks that wait for the last answers.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let report = check(&members, &answers.borrow());
    let growth = (highest / base - 1.0) * 100.0;
    assert!(growth <= FLAT * 100.0, "memory grew by {growth} %");
    let counts = scene.runtime.tree().counts();
    assert_eq!(counts.get(&NodeState::Running), Some(&(children + 2)), "with the root and the branch");
    drop(members);
    scene.end().await;
    report.with("soak_growth", "%", growth)
}

fn spec(number: usize, stored: &Stored) -> ChildSpec<Ledger> {
    let at_once = Backoff { base: Duration::ZERO, cap: Duration::ZERO, ..Backoff::default() };
    let intensity = Intensity::new(1_000, Duration::from_secs(60));
    let policy = Policy { backoff: at_once, intensity, ..Policy::default() };
    ChildSpec::new(format!("ledger-{number:06}"), Arc::clone(stored)).policy(policy)
}

/// Every child has panicked and kept what there is to keep of it: from here on, memory is flat.
async fn warm_up(members: &mut [Member], answers: &Rc<RefCell<Answers>>) {
    for _ in 0..WARM_UP {
        // Few at a time: room that a crowd needed once would hide what is lost later.
        for some in members.chunks_mut(CROWD) {
            some.iter_mut().for_each(|member| burst(member, answers));
            settle(some).await;
        }
    }
    answers.borrow_mut().restarts.clear();
}

/// A second's panics and messages, spread over it.
async fn one_second(members: &mut [Member], dice: &SeededRng, answers: &Rc<RefCell<Answers>>) {
    let began = now();
    for tick in 1..=TICKS {
        for _ in 0..members.len() / PANICS / TICKS {
            burst(any(members, dice), answers);
        }
        for _ in 0..members.len() / PUTS / TICKS {
            put(any(members, dice), answers);
        }
        let due = began + Duration::from_secs(1).mul_f64(tick as f64 / TICKS as f64);
        tokio::time::sleep_until(due).await;
    }
}

fn any<'a>(members: &'a mut [Member], dice: &SeededRng) -> &'a mut Member {
    let index = dice.next_u64() as usize % members.len();
    members.get_mut(index).expect("a member")
}

/// A panic, with a message right behind it in the queue.
fn burst(member: &mut Member, answers: &Rc<RefCell<Answers>>) {
    member.panics += 1;
    member.put += 1;
    let began = now();
    let crashed = member.child.ask(Burst);
    let next = member.child.ask(Put(member.put));
    let answers = Rc::clone(answers);
    actix::spawn(async move {
        let (crashed, next) = (crashed.await, next.await);
        let mut answers = answers.borrow_mut();
        answers.restarts.push(began.elapsed().as_secs_f64() * 1e6);
        match crashed {
            Err(AskError::ChildCrashed { .. }) => answers.crashed += 1,
            other => answers.other.push(format!("{other:?} of a panic")),
        }
        answers.take(next);
    });
}

fn put(member: &mut Member, answers: &Rc<RefCell<Answers>>) {
    member.put += 1;
    let answer = member.child.ask(Put(member.put));
    let answers = Rc::clone(answers);
    actix::spawn(async move {
        let answer = answer.await;
        answers.borrow_mut().take(answer);
    });
}

impl Answers {
    fn take(&mut self, answer: Result<u64, AskError>) {
        match answer {
            Ok(_) => self.acknowledged += 1,
            Err(error) => self.other.push(error.to_string()),
        }
    }
}

/// Every child has handled whatever came before.
async fn settle(members: &[Member]) {
    for member in members {
        while member.child.depth() > 0 || member.child.status() != NodeState::Running {
            tokio::task::yield_now().await;
        }
    }
}

/// Each child by itself, then the sums.
fn check(members: &[Member], answers: &Answers) -> Report {
    for member in members {
        let path = member.child.path();
        assert_eq!(member.stored.load(Ordering::Relaxed), member.put, "{path}: each message once");
        assert_eq!(member.child.epoch(), member.panics + 1, "{path}: an epoch for each panic");
    }
    let (puts, panics) =
        members.iter().fold((0, 0), |(puts, panics), member| (puts + member.put, panics + member.panics));
    assert_eq!(answers.other, Vec::<String>::new(), "every message is answered");
    assert_eq!((answers.acknowledged, answers.crashed), (puts, panics));
    let mut restarts = answers.restarts.clone();
    restarts.sort_by(f64::total_cmp);
    let quantile =
        |share: f64| restarts.get((restarts.len() as f64 * share) as usize).copied().unwrap_or_default();
    let before = (members.len() * WARM_UP) as f64;
    Report::default()
        .with("soak_panics", "", answers.crashed as f64 - before)
        .with("soak_messages", "", answers.acknowledged as f64 - before)
        .with("soak_restart_p50", "us", quantile(0.5))
        .with("soak_restart_p99", "us", quantile(0.99))
}
