//! kameo 0.22: actors under its own supervision, which restarts them behind the same reference.

use std::time::Duration;

use kameo::{
    Actor,
    actor::{ActorRef, Spawn},
    error::Infallible,
    mailbox,
    message::{Context, Message},
    supervision::RestartPolicy,
};
use switchyard_peers::{
    ASKS, BATCH, BATCHES, CRASHES, MAILBOX, QUIET, ROUNDS, Task, WARM_UP, log_nothing, log_to_nowhere,
    metric, micros_each, now, resident,
};
use tokio::sync::oneshot;

/// Its state is one number.
struct Counter(u64);

impl Actor for Counter {
    type Args = ();
    type Error = Infallible;

    async fn on_start((): (), _me: ActorRef<Self>) -> Result<Self, Infallible> {
        Ok(Self(0))
    }
}

struct Add;
struct Get;
struct Report(oneshot::Sender<u64>);
struct Crash;
struct Tell(ActorRef<Counter>, usize, oneshot::Sender<u64>);
struct Ask(ActorRef<Counter>, usize);

impl Message<Add> for Counter {
    type Reply = ();

    async fn handle(&mut self, Add: Add, _: &mut Context<Self, ()>) {
        self.0 += 1;
    }
}

impl Message<Get> for Counter {
    type Reply = u64;

    async fn handle(&mut self, Get: Get, _: &mut Context<Self, u64>) -> u64 {
        self.0
    }
}

impl Message<Report> for Counter {
    type Reply = ();

    async fn handle(&mut self, Report(done): Report, _: &mut Context<Self, ()>) {
        done.send(self.0).expect("somebody waits");
    }
}

impl Message<Crash> for Counter {
    type Reply = ();

    async fn handle(&mut self, Crash: Crash, _: &mut Context<Self, ()>) {
        panic!("asked to crash after {} messages", self.0);
    }
}

impl Message<Tell> for Counter {
    type Reply = ();

    async fn handle(&mut self, Tell(to, times, done): Tell, _: &mut Context<Self, ()>) {
        for _ in 0..times {
            to.tell(Add).try_send().expect("room in the mailbox");
        }
        to.tell(Report(done)).try_send().expect("room in the mailbox");
    }
}

impl Message<Ask> for Counter {
    type Reply = u64;

    async fn handle(&mut self, Ask(to, times): Ask, _: &mut Context<Self, u64>) -> u64 {
        let mut sum = 0;
        for _ in 0..times {
            sum += get(&to).await;
        }
        sum
    }
}

/// One for one, its default.
struct Supervisor;

impl Actor for Supervisor {
    type Args = ();
    type Error = Infallible;

    async fn on_start((): (), _me: ActorRef<Self>) -> Result<Self, Infallible> {
        Ok(Self)
    }
}

fn supervisor() -> ActorRef<Supervisor> {
    Supervisor::spawn_with_mailbox((), mailbox::unbounded())
}

async fn start(supervisor: &ActorRef<Supervisor>) -> ActorRef<Counter> {
    Counter::supervise(supervisor, ())
        .restart_policy(RestartPolicy::Transient)
        .restart_limit(u32::MAX, Duration::from_secs(1))
        .spawn_with_mailbox(mailbox::bounded(MAILBOX))
        .await
}

async fn starts(supervisor: &ActorRef<Supervisor>, count: usize) -> Vec<ActorRef<Counter>> {
    let mut all = Vec::with_capacity(count);
    for _ in 0..count {
        all.push(start(supervisor).await);
    }
    all
}

async fn get(child: &ActorRef<Counter>) -> u64 {
    child.ask(Get).await.expect("an answer")
}

async fn many(children: usize) {
    let supervisor = supervisor();
    supervisor.wait_for_startup().await;
    let before = resident();
    let began = now();
    let all = starts(&supervisor, children).await;
    for child in &all {
        child.wait_for_startup().await;
    }
    metric("start", "us", micros_each(began.elapsed(), children));
    tokio::time::sleep(QUIET).await;
    metric("memory", "B", (resident() - before) / children as f64);
    for child in &all {
        child.tell(Add).try_send().expect("room in the mailbox");
        get(child).await;
    }
    tokio::time::sleep(QUIET).await;
    metric("memory_used", "B", (resident() - before) / children as f64);
}

fn told() -> u64 {
    (BATCH * (BATCHES + BATCHES / WARM_UP)) as u64
}

async fn tell() {
    let supervisor = supervisor();
    let child = start(&supervisor).await;
    let batches = async |count: usize| {
        for _ in 0..count {
            for _ in 0..BATCH {
                child.tell(Add).try_send().expect("room in the mailbox");
            }
            get(&child).await;
        }
    };
    batches(BATCHES / WARM_UP).await;
    let began = now();
    batches(BATCHES).await;
    metric("tell", "ns", micros_each(began.elapsed(), BATCH * BATCHES) * 1e3);
    assert_eq!(get(&child).await, told());
}

async fn tell_child() {
    let supervisor = supervisor();
    let (child, talker) = (start(&supervisor).await, start(&supervisor).await);
    let batches = async |count: usize| {
        for _ in 0..count {
            let (done, answer) = oneshot::channel();
            talker.tell(Tell(child.clone(), BATCH, done)).try_send().expect("room in the mailbox");
            answer.await.expect("an answer");
        }
    };
    batches(BATCHES / WARM_UP).await;
    let began = now();
    batches(BATCHES).await;
    metric("tell_child", "ns", micros_each(began.elapsed(), BATCH * BATCHES) * 1e3);
    assert_eq!(get(&child).await, told());
}

async fn ask() {
    let supervisor = supervisor();
    let child = start(&supervisor).await;
    for _ in 0..ASKS / WARM_UP {
        get(&child).await;
    }
    let began = now();
    for _ in 0..ASKS {
        get(&child).await;
    }
    metric("ask", "us", micros_each(began.elapsed(), ASKS));
}

async fn ask_child() {
    let supervisor = supervisor();
    let (child, talker) = (start(&supervisor).await, start(&supervisor).await);
    talker.ask(Ask(child.clone(), ASKS / WARM_UP)).await.expect("an answer");
    let began = now();
    talker.ask(Ask(child.clone(), ASKS)).await.expect("an answer");
    metric("ask_child", "us", micros_each(began.elapsed(), ASKS));
}

async fn crash(name: &str) {
    let supervisor = supervisor();
    let mut took = Duration::ZERO;
    for round in 0..ROUNDS + ROUNDS / WARM_UP {
        let child = start(&supervisor).await;
        assert_eq!(get(&child).await, 0);
        let began = now();
        for _ in 0..CRASHES {
            child.tell(Crash).try_send().expect("room in the mailbox");
            assert_eq!(get(&child).await, 0);
        }
        if round >= ROUNDS / WARM_UP {
            took += began.elapsed();
        }
        // A normal end, after which a transient child is not restarted.
        child.stop_gracefully().await.expect("a mailbox");
    }
    metric(name, "us", micros_each(took, ROUNDS * CRASHES));
}

async fn mass_crash(children: usize) {
    let supervisor = supervisor();
    let all = starts(&supervisor, children).await;
    for child in &all {
        child.wait_for_startup().await;
    }
    let began = now();
    for child in &all {
        child.tell(Crash).try_send().expect("room in the mailbox");
    }
    for child in &all {
        assert_eq!(get(child).await, 0);
    }
    metric("mass_crash", "us", micros_each(began.elapsed(), children));
}

fn main() {
    let task = Task::read();
    let (part, children) = (task.part.clone(), task.children);
    if part.ends_with("_logged") {
        log_to_nowhere()
    } else {
        log_nothing()
    }
    task.run(async move {
        match part.as_str() {
            "start" => many(children).await,
            "tell" => tell().await,
            "tell_child" => tell_child().await,
            "ask" => ask().await,
            "ask_child" => ask_child().await,
            "crash" | "crash_logged" => crash(&part).await,
            "mass_crash" => mass_crash(children).await,
            other => panic!("no part: {other}"),
        }
    });
}
