//! Ending in good order: the queue, the futures in flight, `drain`, `stopped`, each within its time.

use std::{
    sync::Arc,
    task::{Context as TaskContext, Poll},
};

use futures_util::future::LocalBoxFuture;
use tokio::time::Instant;

use super::{Phase, Runner, Turn};
use crate::supervision::{
    child::Child,
    contained::Contained,
    core::Exit,
    event::Happening,
    execute::Because,
    failure::{ExitReason, Phase as Doing},
    host::{Ending, Request},
    node::Teardown,
    panics::catch,
    state::NodeState,
};

enum Stage {
    /// Finishing queued messages and futures in flight, until then at most.
    Working {
        until: Option<Instant>,
    },
    Draining(Contained<LocalBoxFuture<'static, ()>>),
}

/// An instance on its way out.
pub(super) struct Closing {
    ending: Ending,
    /// The latest end.
    deadline: Option<Instant>,
    stage: Stage,
    /// False once something was dropped that should have been finished.
    clean: bool,
}

impl Closing {
    pub(super) fn next(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Working { until } => *until,
            Stage::Draining(_) => self.deadline,
        }
    }
}

impl<C: Child> Runner<C> {
    /// Ends this instance, keeps the queue.
    pub(super) fn halt(&mut self, deadline: Option<Instant>, down: bool) {
        let state = if down { NodeState::Draining } else { NodeState::Starting };
        match &mut self.phase {
            Phase::Running | Phase::Suspended => {
                self.node().set_state(state);
                self.close(Ending::Restart, deadline);
            }
            Phase::Loading(_) | Phase::Idle(_) => {
                self.phase = Phase::Idle(None);
                self.report(Exit::Halted, Because::Nothing);
            }
            Phase::Closing(closing) => {
                closing.deadline = earliest(closing.deadline, deadline);
                if down {
                    self.node().set_state(state);
                }
            }
            Phase::Ended => {}
        }
    }

    /// Ends for good.
    pub(super) fn stop(&mut self, deadline: Option<Instant>) {
        match &mut self.phase {
            Phase::Running | Phase::Suspended => {
                self.node().set_state(NodeState::Draining);
                self.close(Ending::Stop, deadline);
            }
            Phase::Closing(closing) => {
                closing.ending = Ending::Stop;
                closing.deadline = earliest(closing.deadline, deadline);
                self.node().set_state(NodeState::Draining);
            }
            Phase::Loading(_) | Phase::Idle(_) => self.finish(true, true),
            Phase::Ended => {}
        }
    }

    fn close(&mut self, ending: Ending, deadline: Option<Instant>) {
        let now = Instant::now();
        let deadline = earliest(deadline, self.limits.stop.map(|stop| now + stop.limit));
        self.link.set_ending(Some((ending, deadline)));
        let until = deadline.map(|deadline| {
            let left = deadline.saturating_duration_since(now);
            let reserve = self.limits.stop.map_or(left / 2, |stop| stop.reserve.min(left / 2));
            deadline.checked_sub(reserve).unwrap_or(now)
        });
        self.phase = Phase::Closing(Box::new(Closing {
            ending,
            deadline,
            stage: Stage::Working { until },
            clean: true,
        }));
        if ending == Ending::Restart {
            // The queue is for the next instance.
            return self.begin_drain(true);
        }
        let link = &self.link;
        link.doing(Doing::Drain, None);
        let Some(context) = self.context.as_mut() else { return };
        if let Err(caught) = catch(|| link.with(context.ctx(), |state, cx| state.closing(cx))) {
            self.node().contain(Doing::Drain, None, caught);
        }
    }

    pub(super) fn turn_closing(&mut self, task: &mut TaskContext<'_>, now: Instant) -> Turn {
        let Phase::Closing(closing) = &mut self.phase else { return Turn::Again };
        match &mut closing.stage {
            Stage::Working { until } => {
                let late = until.is_some_and(|until| until <= now);
                match self.run(task) {
                    Err(failure) => self.crashed(failure),
                    Ok(Some(Request::Fail(text))) => {
                        self.requested(Request::Fail(text));
                    }
                    Ok(Some(_)) => self.begin_drain(true),
                    Ok(None) if !self.has_work() => self.begin_drain(true),
                    Ok(None) if late => self.begin_drain(false),
                    Ok(None) => return Turn::Wait,
                }
            }
            Stage::Draining(drain) => {
                let late = closing.deadline.is_some_and(|deadline| deadline <= now);
                let Some(future) = drain.get_mut() else { return Turn::Wait };
                match catch(|| future.as_mut().poll(task)) {
                    Ok(Poll::Pending) if late => {
                        closing.clean = false;
                        self.closed();
                    }
                    Ok(Poll::Pending) => return Turn::Wait,
                    Ok(Poll::Ready(())) => self.closed(),
                    Err(caught) => {
                        self.node().contain(Doing::Drain, None, caught);
                        self.closed();
                    }
                }
            }
        }
        Turn::Again
    }

    /// No more messages, timers or futures: the child's own last work.
    fn begin_drain(&mut self, clean: bool) {
        self.node().set_teardown(Teardown::Stop);
        self.clear_context();
        self.node().set_teardown(Teardown::None);
        let link = &self.link;
        link.doing(Doing::Drain, None);
        let Some(context) = self.context.as_mut() else { return };
        let drain = catch(|| link.with(context.ctx(), |state, cx| state.drain(cx)));
        let node = Arc::clone(self.node());
        let Phase::Closing(closing) = &mut self.phase else { return };
        closing.clean &= clean;
        match drain {
            Ok(Some(drain)) => closing.stage = Stage::Draining(Contained::new(drain, node)),
            Ok(None) => self.closed(),
            Err(caught) => {
                node.contain(Doing::Drain, None, caught);
                self.closed();
            }
        }
    }

    fn closed(&mut self) {
        let Phase::Closing(closing) = &mut self.phase else { return };
        let (ending, clean) = (closing.ending, closing.clean);
        match ending {
            Ending::Restart => {
                self.end_instance(&ExitReason::Restart, Teardown::Stop);
                self.report(Exit::Halted, Because::Nothing);
            }
            Ending::Stop => {
                self.end_instance(&ExitReason::Shutdown, Teardown::Stop);
                self.finish(clean, true);
            }
        }
    }

    pub(super) fn kill(&mut self) {
        let nothing_to_lose = matches!(self.phase, Phase::Idle(_));
        self.finish(nothing_to_lose, true);
    }

    /// The runner ends; what is still queued is dropped and its askers are told.
    pub(super) fn finish(&mut self, clean: bool, tell: bool) {
        if let Phase::Ended = self.phase {
            return;
        }
        let node = Arc::clone(self.node());
        // What is out of service was not at its queue: nothing of it is cut short.
        let before = node.state();
        node.set_state(NodeState::Stopped);
        let clean = before.is_out_of_service() || clean && node.depth() == 0;
        node.set_teardown(Teardown::Stop);
        self.let_go();
        if !clean && !node.is_branch() {
            node.world.left_unfinished(node.path.clone());
        }
        if node.is_branch() {
            self.parent.abandon(self.key());
        }
        if before != NodeState::Stopped {
            node.world.emit(&node, Happening::Stopped { clean });
        }
        if tell {
            self.report(Exit::Stopped, Because::Nothing);
        }
    }
}

fn earliest(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
}
