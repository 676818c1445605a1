//! The task behind a child: polls its actix context under a guard, obeys its control word, loads and ends instances.

mod closing;
mod instance;

use std::{
    future::Future,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context as TaskContext, Poll},
    time::Duration,
};

use actix::{
    Context,
    dev::{
        ContextFut,
        channel::{self, AddressReceiver},
    },
};
use futures_util::future::LocalBoxFuture;
use tokio::time::{Instant, Sleep};

use self::closing::Closing;
use super::{
    cell::BranchCell,
    child::{Child, LoadError, Loaded},
    command::Command,
    contained::Contained,
    core::{Event, Exit, Key},
    execute::Because,
    failure::{Failure, cut},
    host::{Host, Link, Request},
    node::{Node, Teardown},
    reference::ChildRef,
    shards::Pulse,
    spec::{Policy, StopLimit},
    state::NodeState,
    world::Stamp,
};

/// State changes followed inside one poll before the neighbours get a turn.
const STEPS_A_POLL: u32 = 8;

/// What `Child::load` returns.
type Load<C> = LocalBoxFuture<'static, Result<Loaded<C>, LoadError>>;

/// Limits of a child that its runner keeps; a branch has none of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    stop: Option<StopLimit>,
    load: Duration,
    stuck: Option<Duration>,
}

impl Limits {
    pub(crate) fn new(policy: &Policy, branch: bool) -> Self {
        Self {
            stop: (!branch).then_some(policy.stop),
            load: policy.load_limit,
            stuck: policy.stuck_after.filter(|_| !branch),
        }
    }
}

/// A load under way.
struct Loading<C: Child> {
    load: Contained<Load<C>>,
    /// None as long as it was never pending: most loads need no clock.
    until: Option<Instant>,
}

/// What is not idle and does not last is boxed: a runner is as large as its largest phase, and most of them just run.
enum Phase<C: Child> {
    /// No instance: not started, in backoff, parked, down; when to tell the supervisor that its time has come.
    Idle(Option<Instant>),
    Loading(Box<Loading<C>>),
    Running,
    Suspended,
    Closing(Box<Closing>),
    Ended,
}

/// What came out of one turn.
enum Turn {
    /// Something changed: take another turn.
    Again,
    /// Nothing to do until woken.
    Wait,
}

/// See the module.
pub(crate) struct Runner<C: Child> {
    /// Boxed, so that no type of child has a larger runner than another.
    args: Option<Box<C::Args>>,
    link: Rc<Link<C>>,
    context: Option<ContextFut<Host<C>, Context<Host<C>>>>,
    parent: Arc<BranchCell>,
    limits: Arc<Limits>,
    phase: Phase<C>,
    timer: Option<Pin<Box<Sleep>>>,
    published: Option<Stamp>,
}

/// The handle to a child that nobody runs yet, and what its messages come out of.
pub(crate) fn mailbox<C: Child>(node: Arc<Node>) -> (ChildRef<C>, AddressReceiver<Host<C>>) {
    let (sender, receiver) = channel::channel(0);
    (ChildRef::new(sender, node), receiver)
}

impl<C: Child> Runner<C> {
    /// Makes the runner on the actors' thread; it waits for its first command. False when that thread is gone.
    pub(crate) fn launch(
        parent: &Arc<BranchCell>,
        child: &ChildRef<C>,
        mailbox: AddressReceiver<Host<C>>,
        limits: Arc<Limits>,
        args: C::Args,
    ) -> bool {
        let (me, parent) = (child.clone(), Arc::clone(parent));
        let world = &child.node().world;
        world.runner_made();
        let launched = world.shards.run(child.node().shard, move || {
            let link = Link::new(me);
            let context = Context::with_receiver(mailbox).into_future(Host { link: Rc::clone(&link) });
            let phase = Phase::Idle(None);
            let args = Some(Box::new(args));
            let runner = Self {
                args,
                link,
                context: Some(context),
                parent,
                limits,
                phase,
                timer: None,
                published: None,
            };
            actix_rt::spawn(runner);
        });
        if !launched {
            world.runner_gone();
            child.node().set_state(NodeState::Stopped);
        }
        launched
    }

    fn node(&self) -> &Arc<Node> {
        self.link.node()
    }

    fn key(&self) -> Key {
        self.node().key
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Start => {
                if let Phase::Idle(_) = self.phase {
                    self.begin_load();
                }
            }
            Command::Wait { due_in } => {
                if let Phase::Idle(due) = &mut self.phase {
                    *due = due_in.map(|delay| Instant::now() + delay);
                }
            }
            Command::Suspend => {
                if let Phase::Running = self.phase {
                    self.phase = Phase::Suspended;
                    self.node().set_state(NodeState::Suspended);
                }
            }
            Command::Resume => {
                if let Phase::Suspended = self.phase {
                    self.link.beat();
                    self.phase = Phase::Running;
                    self.node().set_state(NodeState::Running);
                }
            }
            Command::Fail(failure) => {
                if let Phase::Running | Phase::Suspended = self.phase {
                    self.crashed(*failure);
                }
            }
            Command::Finish => {
                if let Phase::Running | Phase::Suspended = self.phase {
                    self.requested(Request::Stop);
                }
            }
            Command::Halt { deadline, down } => self.halt(deadline, down),
            Command::Stop { deadline } => self.stop(deadline),
            Command::End => self.finish(true, false),
            Command::Kill => self.kill(),
        }
    }

    fn turn(&mut self, task: &mut TaskContext<'_>) -> Turn {
        match &mut self.phase {
            Phase::Idle(due) => {
                if due.take_if(|at| *at <= Instant::now()).is_none() {
                    return Turn::Wait;
                }
                self.parent.step(Event::Due { key: self.key() });
                Turn::Again
            }
            Phase::Loading(_) => self.turn_loading(task),
            Phase::Running => self.turn_running(task),
            Phase::Suspended | Phase::Ended => Turn::Wait,
            Phase::Closing(_) => self.turn_closing(task, Instant::now()),
        }
    }

    fn turn_running(&mut self, task: &mut TaskContext<'_>) -> Turn {
        match self.run(task) {
            Ok(None) => {
                if let Some(failure) = self.stuck() {
                    self.crashed(failure);
                    return Turn::Again;
                }
                self.publish(false);
                Turn::Wait
            }
            Ok(Some(request)) => {
                self.requested(request);
                Turn::Again
            }
            Err(failure) => {
                self.crashed(failure);
                Turn::Again
            }
        }
    }

    /// The moment this runner has to be polled again even if nothing happens.
    fn deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Idle(due) => *due,
            Phase::Loading(loading) => loading.until,
            Phase::Running => self.stuck_at().into_iter().chain(self.publish_at()).min(),
            Phase::Closing(closing) => closing.next(),
            Phase::Suspended | Phase::Ended => None,
        }
    }

    /// Arms the one timer; true when its time has come already.
    fn is_due(&mut self, task: &mut TaskContext<'_>) -> bool {
        let Some(at) = self.deadline() else { return false };
        let timer = match &mut self.timer {
            Some(timer) => {
                if timer.deadline() != at {
                    timer.as_mut().reset(at);
                }
                timer
            }
            None => self.timer.insert(Box::pin(tokio::time::sleep_until(at))),
        };
        timer.as_mut().poll(task).is_ready()
    }

    fn report(&self, exit: Exit, because: Because) {
        self.parent.exited(self.key(), exit, because);
    }
}

// Nothing in it is pinned in place: context, load and timer are boxed or `Unpin` themselves.
impl<C: Child> Unpin for Runner<C> {}

impl<C: Child> Future for Runner<C> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<()> {
        let this = self.get_mut();
        if let Some(pulse) = this.pulse() {
            pulse.enter(this.node().id);
        }
        let polled = this.turns(task);
        if let Some(pulse) = this.pulse() {
            pulse.leave();
        }
        polled
    }
}

impl<C: Child> Runner<C> {
    fn pulse(&self) -> Option<&Pulse> {
        let node = self.node();
        node.world.shards.pulse(node.shard)
    }

    /// Takes turns until there is nothing to do, or the neighbours are to have theirs.
    fn turns(&mut self, task: &mut TaskContext<'_>) -> Poll<()> {
        self.node().waker.register(task.waker());
        self.node().begin_turns();
        if let Some(limits) = self.node().take_limits() {
            self.limits = limits;
        }
        for _ in 0..STEPS_A_POLL {
            while let Some(command) = self.node().take_command() {
                self.obey(command);
            }
            if let Phase::Ended = self.phase {
                return Poll::Ready(());
            }
            match self.turn(task) {
                Turn::Again => {}
                Turn::Wait if self.is_due(task) => {}
                Turn::Wait if self.node().end_turns() => return Poll::Pending,
                Turn::Wait => self.node().begin_turns(),
            }
        }
        self.node().end_turns();
        task.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<C: Child> Drop for Runner<C> {
    fn drop(&mut self) {
        if !matches!(self.phase, Phase::Ended) {
            // The whole system goes down without a drain.
            self.node().set_teardown(Teardown::Stop);
            self.node().set_state(NodeState::Stopped);
            self.let_go();
        }
        self.node().world.runner_gone();
    }
}

/// What the runner does when a child asked for its own end.
impl<C: Child> Runner<C> {
    fn requested(&mut self, request: Request) {
        match request {
            Request::Crash(failure) => self.crashed(failure),
            Request::Fail(text) => self.crashed(Failure::new(super::failure::Phase::Declared, text)),
            Request::Stop => {
                self.end_instance(&super::failure::ExitReason::Normal, Teardown::Stop);
                self.report(Exit::Normal, Because::Nothing);
            }
            Request::Park(reason) => {
                let reason = cut(&reason);
                self.end_instance(&super::failure::ExitReason::Parked(reason.clone()), Teardown::Stop);
                self.report(Exit::Park, Because::Said(reason));
            }
        }
    }
}
