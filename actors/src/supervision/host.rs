//! The actix actor behind every child, and the link it shares with its runner.

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    rc::Rc,
    sync::Arc,
    task::Poll,
};

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Supervised};
use tokio::time::Instant;

use super::{
    child::{Child, Message, Receive},
    contained::{Contained, failure_of},
    context::Cx,
    failure::{Failure, Phase, short_type_name},
    message::Packet,
    node::Node,
    panics::catch,
    reference::ChildRef,
    world::Stamp,
};

/// What a child asked for through its context, or what became of it.
#[derive(Debug)]
pub(crate) enum Request {
    /// It panicked with a message in hand.
    Crash(Failure),
    Fail(String),
    Stop,
    Park(String),
}

impl Request {
    /// A request as such, or the failure that it is.
    pub(crate) fn or_crash(self) -> Result<Option<Self>, Failure> {
        match self {
            Self::Crash(failure) => Err(failure),
            request => Ok(Some(request)),
        }
    }
}

/// What a child is doing right now: names the culprit of a panic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Doing {
    pub(crate) phase: Phase,
    /// Names the message; asked only when something went wrong.
    pub(crate) message: Option<fn() -> &'static str>,
}

/// How an instance is being ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// For good: drain or removal.
    Stop,
    /// Another instance follows.
    Restart,
}

/// Shared by a child's host, context, futures and runner; all on one thread.
pub(crate) struct Link<C: Child> {
    pub(crate) me: ChildRef<C>,
    pub(crate) state: RefCell<Option<Contained<C>>>,
    /// What the child asked for; it is over then.
    asked: Cell<Option<Box<Request>>>,
    pub(crate) doing: Cell<Doing>,
    /// Futures that count as work in flight.
    pub(crate) inflight: Cell<u32>,
    /// When that which stands still longest made its last progress, as seen when all were last looked at.
    pub(crate) oldest: Cell<Option<Stamp>>,
    /// The child asked to be judged even when idle: when it last did anything.
    pub(crate) vigil: Cell<Option<Stamp>>,
    pub(crate) dirty: Cell<bool>,
    /// Messages it may still handle before it yields to its neighbours.
    pub(crate) budget: Cell<u32>,
    /// How it is being ended, and until when.
    ending: Cell<Option<Ending>>,
    ending_by: Cell<Option<Stamp>>,
}

impl<C: Child> Link<C> {
    pub(crate) fn new(me: ChildRef<C>) -> Rc<Self> {
        Rc::new(Self {
            me,
            state: RefCell::new(None),
            asked: Cell::new(None),
            doing: Cell::new(Doing { phase: Phase::Load, message: None }),
            inflight: Cell::new(0),
            oldest: Cell::new(None),
            vigil: Cell::new(None),
            dirty: Cell::new(false),
            budget: Cell::new(0),
            ending: Cell::new(None),
            ending_by: Cell::new(None),
        })
    }

    pub(crate) fn node(&self) -> &Arc<Node> {
        self.me.node()
    }

    pub(crate) fn doing(&self, phase: Phase, message: Option<fn() -> &'static str>) {
        self.doing.set(Doing { phase, message });
    }

    pub(crate) fn beat(&self) {
        self.node().beat();
    }

    /// This moment.
    pub(crate) fn stamp(&self) -> Stamp {
        self.node().world.stamp(Instant::now())
    }

    /// It did something. A tick of its own clock is nothing done.
    pub(crate) fn awake(&self) {
        if self.vigil.get().is_some() && self.doing.get().phase != Phase::Timer {
            self.vigil.set(Some(self.stamp()));
        }
    }

    /// Work in flight stands still since then.
    pub(crate) fn stands(&self, since: Stamp) {
        let oldest = self.oldest.get().map_or(since, |oldest| oldest.min(since));
        self.oldest.set(Some(oldest));
    }

    pub(crate) fn set_ending(&self, ending: Option<(Ending, Option<Instant>)>) {
        self.ending.set(ending.map(|(ending, _)| ending));
        let by = ending.and_then(|(_, by)| by);
        self.ending_by.set(by.map(|by| self.node().world.stamp(by)));
    }

    pub(crate) fn ending(&self) -> Option<(Ending, Option<Instant>)> {
        let by = self.ending_by.get().map(|by| self.node().world.stamped(by));
        self.ending.get().map(|ending| (ending, by))
    }

    /// Takes what the child asks for; the first counts.
    pub(crate) fn request(&self, request: Request) {
        let first = self.asked.take().unwrap_or_else(|| Box::new(request));
        self.asked.set(Some(first));
    }

    /// The child crashed, which counts for more than what it asked for before.
    fn crash(&self, failure: Failure) {
        self.asked.set(Some(Box::new(Request::Crash(failure))));
    }

    pub(crate) fn take_request(&self) -> Option<Request> {
        self.asked.take().map(|request| *request)
    }

    /// True once the child asked for its end.
    pub(crate) fn is_over(&self) -> bool {
        let asked = self.asked.take();
        let over = asked.is_some();
        self.asked.set(asked);
        over
    }

    /// Runs `work` on the state, if there is one.
    pub(crate) fn with<R>(
        self: &Rc<Self>,
        host: &mut Context<Host<C>>,
        work: impl FnOnce(&mut C, &mut Cx<'_, C>) -> R,
    ) -> Option<R> {
        let mut state = self.state.borrow_mut();
        let state = state.as_mut()?.get_mut()?;
        let outcome = work(state, &mut Cx::new(self, host));
        self.dirty.set(true);
        self.awake();
        Some(outcome)
    }
}

/// The actix actor; it owns nothing, so that nothing is torn when it is restarted.
pub(crate) struct Host<C: Child> {
    pub(crate) link: Rc<Link<C>>,
}

impl<C: Child> Actor for Host<C> {
    type Context = Context<Self>;
}

impl<C: Child> Supervised for Host<C> {}

impl<C: Receive<M>, M: Message> Handler<Packet<M>> for Host<C> {
    type Result = ();

    fn handle(&mut self, mut packet: Packet<M>, host: &mut Context<Self>) {
        let link = &self.link;
        let Some((message, responder)) = packet.open() else { return };
        let mut held = Some(responder.taken(link.node().epoch()));
        link.doing(Phase::Handler, Some(short_type_name::<M>));
        // Caught as close as can be: unwinding costs by the frame, and by what a frame has to clean up.
        let caught = link.with(host, |state, cx| catch(|| state.receive_held(message, cx, &mut held)));
        if let Some(Err(caught)) = caught {
            if let Some(responder) = held {
                responder.crashed();
            }
            link.crash(failure_of(Phase::Handler, Some(short_type_name::<M>()), caught));
            return host.terminate();
        }
        let left = link.budget.get().saturating_sub(1);
        link.budget.set(left);
        if left == 0 {
            // actix drains a mailbox without a break; a waiting future is the only way to make it yield.
            host.wait(actix::fut::wrap_future(yield_once()));
        }
    }
}

/// Pending once.
fn yield_once() -> impl Future<Output = ()> {
    let mut yielded = false;
    poll_fn(move |task| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        task.waker().wake_by_ref();
        Poll::Pending
    })
}
