//! ractor 0.16: actors linked to a supervisor that spawns a new one for each that failed. ractor has no restart of its own.

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent, rpc::CallResult};
use switchyard_peers::{
    ASKS, BATCH, BATCHES, CRASHES, QUIET, ROUNDS, Task, WARM_UP, log_nothing, log_to_nowhere, metric,
    micros_each, now, resident,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Its state is one number.
struct Counter;

enum Order {
    Add,
    Get(RpcReplyPort<u64>),
    Crash,
    Tell { to: ActorRef<Order>, times: usize, done: RpcReplyPort<u64> },
    Ask { to: ActorRef<Order>, times: usize, done: RpcReplyPort<u64> },
}

impl Actor for Counter {
    type Msg = Order;
    type State = u64;
    type Arguments = ();

    async fn pre_start(&self, _me: ActorRef<Order>, (): ()) -> Result<u64, ActorProcessingErr> {
        Ok(0)
    }

    async fn handle(
        &self,
        _me: ActorRef<Order>,
        order: Order,
        count: &mut u64,
    ) -> Result<(), ActorProcessingErr> {
        match order {
            Order::Add => *count += 1,
            Order::Get(done) => done.send(*count)?,
            Order::Crash => panic!("asked to crash after {count} messages"),
            Order::Tell { to, times, done } => {
                for _ in 0..times {
                    to.cast(Order::Add)?;
                }
                to.cast(Order::Get(done))?;
            }
            Order::Ask { to, times, done } => {
                for _ in 0..times {
                    get(&to).await;
                }
                done.send(0)?;
            }
        }
        Ok(())
    }
}

/// Spawns a new counter for each that failed, and says which.
struct Supervisor;

impl Actor for Supervisor {
    type Msg = ();
    type State = UnboundedSender<ActorRef<Order>>;
    type Arguments = UnboundedSender<ActorRef<Order>>;

    async fn pre_start(
        &self,
        _me: ActorRef<()>,
        up: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(up)
    }

    async fn handle_supervisor_evt(
        &self,
        me: ActorRef<()>,
        event: SupervisionEvent,
        up: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        if let SupervisionEvent::ActorFailed(who, failure) = event {
            tracing::warn!(actor = %who.get_id(), %failure, "actor restarts");
            up.send(start(&me).await)?;
        }
        Ok(())
    }
}

type Up = UnboundedReceiver<ActorRef<Order>>;

async fn supervisor() -> (ActorRef<()>, Up) {
    let (sender, up) = unbounded_channel();
    let (supervisor, _) = Actor::spawn(None, Supervisor, sender).await.expect("a supervisor");
    (supervisor, up)
}

async fn start(supervisor: &ActorRef<()>) -> ActorRef<Order> {
    Actor::spawn_linked(None, Counter, (), supervisor.get_cell()).await.expect("a child").0
}

async fn starts(supervisor: &ActorRef<()>, count: usize) -> Vec<ActorRef<Order>> {
    let mut all = Vec::with_capacity(count);
    for _ in 0..count {
        all.push(start(supervisor).await);
    }
    all
}

async fn call(to: &ActorRef<Order>, order: impl FnOnce(RpcReplyPort<u64>) -> Order) -> u64 {
    match to.call(order, None).await.expect("a mailbox") {
        CallResult::Success(count) => count,
        other => panic!("no answer: {other:?}"),
    }
}

async fn get(to: &ActorRef<Order>) -> u64 {
    call(to, Order::Get).await
}

async fn many(children: usize) {
    let (supervisor, _up) = supervisor().await;
    let before = resident();
    let began = now();
    let all = starts(&supervisor, children).await;
    get(all.last().expect("some children")).await;
    metric("start", "us", micros_each(began.elapsed(), children));
    tokio::time::sleep(QUIET).await;
    metric("memory", "B", (resident() - before) / children as f64);
    for child in &all {
        child.cast(Order::Add).expect("a mailbox");
        get(child).await;
    }
    tokio::time::sleep(QUIET).await;
    metric("memory_used", "B", (resident() - before) / children as f64);
}

async fn tell() {
    let (supervisor, _up) = supervisor().await;
    let child = start(&supervisor).await;
    let batches = async |count: usize| {
        for _ in 0..count {
            for _ in 0..BATCH {
                child.cast(Order::Add).expect("a mailbox");
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

fn told() -> u64 {
    (BATCH * (BATCHES + BATCHES / WARM_UP)) as u64
}

async fn tell_child() {
    let (supervisor, _up) = supervisor().await;
    let (child, talker) = (start(&supervisor).await, start(&supervisor).await);
    let batches = async |count: usize| {
        for _ in 0..count {
            call(&talker, |done| Order::Tell { to: child.clone(), times: BATCH, done }).await;
        }
    };
    batches(BATCHES / WARM_UP).await;
    let began = now();
    batches(BATCHES).await;
    metric("tell_child", "ns", micros_each(began.elapsed(), BATCH * BATCHES) * 1e3);
    assert_eq!(get(&child).await, told());
}

async fn ask() {
    let (supervisor, _up) = supervisor().await;
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
    let (supervisor, _up) = supervisor().await;
    let (child, talker) = (start(&supervisor).await, start(&supervisor).await);
    call(&talker, |done| Order::Ask { to: child.clone(), times: ASKS / WARM_UP, done }).await;
    let began = now();
    call(&talker, |done| Order::Ask { to: child.clone(), times: ASKS, done }).await;
    metric("ask_child", "us", micros_each(began.elapsed(), ASKS));
}

async fn crash(name: &str) {
    let (supervisor, mut up) = supervisor().await;
    let mut took = std::time::Duration::ZERO;
    for round in 0..ROUNDS + ROUNDS / WARM_UP {
        let mut child = start(&supervisor).await;
        assert_eq!(get(&child).await, 0);
        let began = now();
        for _ in 0..CRASHES {
            child.cast(Order::Crash).expect("a mailbox");
            child = up.recv().await.expect("a new child");
            assert_eq!(get(&child).await, 0);
        }
        if round >= ROUNDS / WARM_UP {
            took += began.elapsed();
        }
        child.stop_and_wait(None, None).await.expect("its end");
    }
    metric(name, "us", micros_each(took, ROUNDS * CRASHES));
}

async fn mass_crash(children: usize) {
    let (supervisor, mut up) = supervisor().await;
    let all = starts(&supervisor, children).await;
    let began = now();
    for child in &all {
        child.cast(Order::Crash).expect("a mailbox");
    }
    for _ in 0..children {
        assert_eq!(get(&up.recv().await.expect("a new child")).await, 0);
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
