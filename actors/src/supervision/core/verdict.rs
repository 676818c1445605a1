//! What follows when an instance of a child ended.

use super::{
    super::{event::ParkCause, spec::RestartType},
    Action, After, Core, EndHow, Exit, Key, Mode, Moment,
    slot::{Status, Then},
};

impl Core {
    pub(super) fn exited(&mut self, key: Key, exit: Exit, now: Moment, actions: &mut Vec<Action>) {
        let Some(slot) = self.slots.get(&key) else { return };
        if slot.removing || exit == Exit::Stopped {
            self.gone(key, actions);
        } else if let Mode::Ending { how, .. } = self.mode {
            self.settle_end(key, how, actions);
        } else if !self.is_live() {
            self.settle_end(key, EndHow::Halt, actions);
        } else if slot.is_halting() {
            // Whatever ended it, it was to end: no failure is counted.
            self.halted(key, actions);
        } else if self.is_going_down(key) {
            self.ended_before_halt(key, actions);
        } else if exit == Exit::Halted {
            // The one who ordered it waits no longer. What was decided since then was not heard.
            return self.resume(key, now, actions);
        } else {
            self.verdict(key, exit, now, actions);
        }
        self.outcome(key, actions);
    }

    fn verdict(&mut self, key: Key, exit: Exit, now: Moment, actions: &mut Vec<Action>) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        let temporary = slot.policy.restart == RestartType::Temporary;
        match exit {
            Exit::Halted | Exit::Stopped => {}
            Exit::Fatal | Exit::Park if temporary => self.end_for_good(key, actions),
            Exit::Fatal => self.park(key, ParkCause::Fatal, false, actions),
            Exit::Park => self.park(key, ParkCause::Asked, false, actions),
            Exit::Escalated if self.policy.parks_escalated && !temporary => {
                self.park(key, ParkCause::Escalated, true, actions)
            }
            Exit::Normal if slot.policy.restart == RestartType::Transient => {
                slot.forgive();
                self.end_for_good(key, actions);
            }
            Exit::Normal | Exit::Failed | Exit::Escalated if temporary => self.end_for_good(key, actions),
            Exit::Normal | Exit::Failed | Exit::Escalated => self.count(key, now, actions),
        }
    }

    /// It ended by itself and is not started again.
    fn end_for_good(&mut self, key: Key, actions: &mut Vec<Action>) {
        let significant = self.slots.get(&key).is_some_and(|slot| slot.policy.significant);
        self.rest(key, actions);
        if significant {
            self.significant_ended(key, actions);
        }
    }

    /// Counts a restart against the child, then against the branch.
    fn count(&mut self, key: Key, now: Moment, actions: &mut Vec<Action>) {
        let grouped = self.has_group();
        let Some(slot) = self.slots.get_mut(&key) else { return };
        let up_for = match slot.status {
            Status::Up { since } => Some(now.saturating_sub(since)),
            _ => None,
        };
        if up_for.is_some_and(|up_for| up_for >= slot.policy.backoff.reset_after) {
            slot.forget_failures();
            if slot.is_half_open() {
                slot.forgive();
            }
        }
        if slot.is_half_open() {
            return self.park(key, ParkCause::Probe, true, actions);
        }
        let trouble = slot.trouble();
        let exceeded = trouble.window.record(now);
        // A group stands and falls as one: none of its members is parked for failing too often.
        if exceeded && !grouped {
            return self.park(key, ParkCause::Intensity, true, actions);
        }
        trouble.failures = trouble.failures.saturating_add(1);
        let failures = trouble.failures;
        let delay = slot.policy.backoff.delay(failures, slot.jitter_key);
        if exceeded || self.branch_exceeded(now, actions) {
            return self.escalate(key, actions);
        }
        let delay = self.spread_out(delay, now);
        if let Some(slot) = self.slots.get_mut(&key) {
            slot.status = Status::Waiting;
        }
        actions.push(Action::Restart { key, delay });
        if grouped {
            self.regroup(key, actions);
        }
    }

    fn park(&mut self, key: Key, cause: ParkCause, probed: bool, actions: &mut Vec<Action>) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        slot.status = Status::Parked;
        slot.forget_failures();
        slot.probed();
        let probe_in = if probed { slot.next_probe() } else { None };
        actions.push(Action::Park { key, cause, probe_in });
    }

    /// The branch gives up: everything halts in reverse order, then it fails in its own supervisor.
    fn escalate(&mut self, culprit: Key, actions: &mut Vec<Action>) {
        if let Some(slot) = self.slots.get_mut(&culprit) {
            slot.status = Status::Held;
            slot.forgive();
        }
        actions.push(Action::Hold { key: culprit });
        actions.push(Action::Escalating { culprit });
        if let Some(window) = self.window.as_mut() {
            window.clear();
        }
        self.end(EndHow::Halt, None, After::Fail(culprit), actions);
    }

    /// An instance that was told to halt is gone.
    pub(super) fn halted(&mut self, key: Key, actions: &mut Vec<Action>) {
        if let Some(Status::Halting { then }) = self.slots.get(&key).map(|slot| slot.status) {
            self.after_halt(key, then, actions);
        }
    }

    pub(super) fn after_halt(&mut self, key: Key, then: Then, actions: &mut Vec<Action>) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        match then {
            Then::Start => {
                slot.forgive();
                slot.status = Status::Starting;
                actions.push(Action::Start { key });
            }
            Then::Hold if slot.policy.restart == RestartType::Temporary => self.forget(key, actions),
            Then::Hold => {
                slot.status = Status::Held;
                actions.push(Action::Hold { key });
            }
            Then::Rest => {
                slot.forgive();
                self.rest(key, actions);
            }
        }
    }

    /// A late halt was carried out: what the child was to do is said again.
    fn resume(&mut self, key: Key, now: Moment, actions: &mut Vec<Action>) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        match slot.status {
            Status::Starting | Status::Up { .. } => {
                slot.status = Status::Starting;
                actions.push(Action::Start { key });
            }
            Status::Waiting => self.due(key, now, actions),
            Status::Parked => {
                if let Some(delay) = slot.next_probe() {
                    actions.push(Action::Probe { key, delay });
                }
            }
            Status::Held | Status::Halting { .. } | Status::Resting | Status::Stopping | Status::Ended => {}
        }
    }

    /// It stays down; a temporary one is forgotten.
    pub(super) fn rest(&mut self, key: Key, actions: &mut Vec<Action>) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        if slot.removing || slot.policy.restart == RestartType::Temporary {
            return self.forget(key, actions);
        }
        slot.status = Status::Resting;
        actions.push(Action::Rest { key });
    }

    pub(super) fn forget(&mut self, key: Key, actions: &mut Vec<Action>) {
        self.slots.remove(&key);
        actions.push(Action::Forget { key });
    }
}
