//! One instance of a child: load, start, run, publish, fail, end.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context as TaskContext, Poll},
};

use tokio::time::Instant;

use super::{Loading, Phase, Runner, Turn};
use crate::supervision::{
    child::{Child, LoadEnv, LoadError, Loaded},
    contained::{Contained, discard, failure_of},
    core::{Event, Exit},
    execute::Because,
    failure::{ExitReason, Failure, Phase as Doing},
    host::Request,
    node::Teardown,
    panics::{Caught, catch},
    state::NodeState,
};

/// Attempts to drop what a context holds; each gets further, for what panicked is gone.
const ATTEMPTS_TO_CLEAR: u32 = 4;

impl<C: Child> Runner<C> {
    pub(super) fn begin_load(&mut self) {
        let node = self.node();
        node.set_state(NodeState::Starting);
        let last_failure = node.last_failure();
        let env = LoadEnv { path: node.path.clone(), epoch: node.next_epoch(), last_failure };
        let Some(args) = self.args.as_deref() else { return };
        match catch(|| C::load(args.clone(), env)) {
            Ok(load) => {
                let load = Contained::new(load, Arc::clone(self.node()));
                self.phase = Phase::Loading(Box::new(Loading { load, until: None }));
            }
            Err(caught) => self.crashed(failure_of(Doing::Load, None, caught)),
        }
    }

    pub(super) fn turn_loading(&mut self, task: &mut TaskContext<'_>) -> Turn {
        let Phase::Loading(loading) = &mut self.phase else { return Turn::Again };
        let Loading { load, until } = &mut **loading;
        let Some(future) = load.get_mut() else { return Turn::Wait };
        match catch(|| future.as_mut().poll(task)) {
            Ok(Poll::Pending) => {
                let now = Instant::now();
                if *until.get_or_insert_with(|| now + self.limits.load) > now {
                    return Turn::Wait;
                }
                let text = format!("load took longer than {:?}", self.limits.load);
                self.crashed(Failure::new(Doing::Load, text));
            }
            Ok(Poll::Ready(Ok(Loaded::Ready(state)))) => self.install(state),
            Ok(Poll::Ready(Ok(Loaded::Ignore))) => {
                self.phase = Phase::Idle(None);
                self.parent.step(Event::Ignored { key: self.key() });
            }
            Ok(Poll::Ready(Err(LoadError::Retry(text)))) => self.crashed(Failure::new(Doing::Load, text)),
            Ok(Poll::Ready(Err(LoadError::Fatal(text)))) => {
                self.phase = Phase::Idle(None);
                let failure = Failure::new(Doing::Load, text);
                self.node().record(&failure);
                self.report(Exit::Fatal, Because::Said(failure.text));
            }
            Err(caught) => self.crashed(failure_of(Doing::Load, None, caught)),
        }
        Turn::Again
    }

    /// The state is there: the instance begins.
    fn install(&mut self, state: C) {
        let state = Contained::new(state, Arc::clone(self.node()));
        self.phase = Phase::Running;
        let link = &self.link;
        let before = link.state.borrow_mut().replace(state);
        drop(before);
        let _of_the_one_before = link.take_request();
        link.vigil.set(None);
        link.set_ending(None);
        link.doing(Doing::Started, None);
        let Some(context) = self.context.as_mut() else { return };
        let started = catch(|| link.with(context.ctx(), |state, cx| state.started(cx)));
        if let Err(caught) = started {
            return self.crashed(failure_of(Doing::Started, None, caught));
        }
        match self.link.take_request() {
            Some(request @ Request::Fail(_)) => return self.requested(request),
            Some(request) => self.link.request(request),
            None => {}
        }
        // A branch is up once its children are; it says so itself.
        if !self.node().is_branch() {
            self.node().set_state(NodeState::Running);
            self.parent.step(Event::Up { key: self.key() });
        }
        self.publish(true);
    }

    /// Polls the context once: messages, timers, futures.
    pub(super) fn run(&mut self, task: &mut TaskContext<'_>) -> Result<Option<Request>, Failure> {
        let Some(context) = self.context.as_mut() else { return Ok(None) };
        if let Some(request) = self.link.take_request() {
            return request.or_crash();
        }
        self.link.budget.set(self.link.node().world.config.messages_a_turn.get());
        // All work in flight is polled with the context, and says since when it stands still.
        self.link.oldest.set(None);
        let polled = catch(|| Pin::new(context).poll(task));
        let _pending = polled.map_err(|caught| self.blame(caught))?;
        self.link.take_request().map_or(Ok(None), Request::or_crash)
    }

    fn blame(&self, caught: Caught) -> Failure {
        let doing = self.link.doing.get();
        failure_of(doing.phase, doing.message.map(|name| name()), caught)
    }

    /// Messages queued or futures in flight.
    pub(super) fn has_work(&self) -> bool {
        self.link.inflight.get() > 0 || self.node().depth() > 0
    }

    /// When what stands still longest has done so for too long.
    pub(super) fn stuck_at(&self) -> Option<Instant> {
        let limit = self.limits.stuck?;
        let judged = self.link.oldest.get().into_iter().chain(self.link.vigil.get()).min()?;
        let node = self.node();
        Some(node.world.stamped(judged).max(node.latest_beat()) + limit)
    }

    pub(super) fn stuck(&self) -> Option<Failure> {
        let at = self.stuck_at().filter(|at| *at <= Instant::now())?;
        let limit = self.limits.stuck.unwrap_or_default();
        let (queued, inflight) = (self.node().depth(), self.link.inflight.get());
        let late = Instant::now().saturating_duration_since(at);
        let text = format!(
            "no progress for {:?} with {queued} messages queued and {inflight} futures in flight",
            limit + late
        );
        Some(Failure::new(Doing::Stuck, text))
    }

    pub(super) fn publish_at(&self) -> Option<Instant> {
        let last = self.published.filter(|_| self.link.dirty.get())?;
        Some(self.node().world.stamped(last) + self.node().world.config.publish_interval)
    }

    /// Publishes the observable state when it changed and its interval is over.
    pub(super) fn publish(&mut self, now: bool) {
        let due = if now { None } else { self.publish_at() };
        if !now && due.is_none() {
            return;
        }
        let at = Instant::now();
        if due.is_some_and(|due| due > at) {
            return;
        }
        self.link.dirty.set(false);
        self.published = Some(self.node().world.stamp(at));
        let value = {
            let state = self.link.state.borrow();
            let Some(state) = state.as_ref().and_then(Contained::get) else { return };
            catch(|| state.snapshot())
        };
        match value {
            Ok(value) => self.node().show(value),
            Err(caught) => self.node().contain(Doing::Snapshot, None, caught),
        }
    }

    /// The instance failed; its supervisor says what follows.
    pub(super) fn crashed(&mut self, failure: Failure) {
        self.node().record(&failure);
        let exit = if failure.phase == Doing::Escalation { Exit::Escalated } else { Exit::Failed };
        let reason = ExitReason::Failed(failure);
        self.end_instance(&reason, Teardown::Crash);
        if let ExitReason::Failed(failure) = reason {
            self.report(exit, Because::Failed(failure));
        }
    }

    /// Drops futures, timers and state; the mailbox stays.
    pub(super) fn end_instance(&mut self, reason: &ExitReason, teardown: Teardown) {
        self.node().set_teardown(teardown);
        self.phase = Phase::Idle(None);
        self.clear_context();
        let state = self.link.state.borrow_mut().take();
        if let Some(mut state) = state {
            if let Some(state) = state.get_mut()
                && let Err(caught) = catch(|| state.stopped(reason))
            {
                self.node().contain(Doing::Stopped, None, caught);
            }
            state.clear();
        }
        let _over = self.link.take_request();
        self.link.dirty.set(false);
        self.node().set_teardown(Teardown::None);
    }

    /// Drops what runs inside the context and makes it ready for the next instance; queued messages stay.
    pub(super) fn clear_context(&mut self) {
        let node = Arc::clone(self.node());
        let Some(context) = self.context.as_mut() else { return };
        for _ in 0..ATTEMPTS_TO_CLEAR {
            match catch(|| context.restart()) {
                Ok(_) => return,
                Err(caught) => node.contain(Doing::Drop, None, caught),
            }
        }
    }

    /// Drops everything, the mailbox included.
    pub(super) fn let_go(&mut self) {
        let node = Arc::clone(self.node());
        self.phase = Phase::Ended;
        let state = self.link.state.borrow_mut().take();
        drop(state);
        if let Some(args) = self.args.take() {
            discard(args, &node);
        }
        self.timer = None;
        if let Some(mut context) = self.context.take() {
            // Terminated, so that its drop does not poll it once more.
            actix::ActorContext::terminate(context.ctx());
            if let Err(caught) = catch(|| drop(context)) {
                node.contain(Doing::Drop, None, caught);
            }
        }
    }
}
