//! What follows when an instance of a child ended.

use super::{
    super::{event::ParkCause, spec::RestartType},
    Action, Core, EndHow, Exit, Key, Mode, Moment,
    slot::Status,
};

impl Core {
    pub(super) fn exited(&mut self, key: Key, exit: Exit, now: Moment, actions: &mut Vec<Action>) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        let status = slot.status;
        if slot.removing || exit == Exit::Stopped {
            self.gone(key, actions);
        } else if let Mode::Ending { how, .. } = self.mode {
            self.settle_end(key, how, actions);
        } else if !self.is_live() {
            self.settle_end(key, EndHow::Halt, actions);
        } else if let Status::Halting { then_start } = status {
            // Whatever ended it, the admin asked for a new instance: no failure is counted.
            self.after_halt(key, then_start, actions);
        } else {
            self.verdict(key, exit, now, actions);
        }
        self.outcome(key, actions);
    }

    fn verdict(&mut self, key: Key, exit: Exit, now: Moment, actions: &mut Vec<Action>) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        let temporary = slot.policy.restart == RestartType::Temporary;
        match exit {
            // Halted, but nobody waits for it any more.
            Exit::Halted | Exit::Stopped => self.after_halt(key, true, actions),
            Exit::Fatal | Exit::Park if temporary => self.forget(key, actions),
            Exit::Fatal => self.park(key, ParkCause::Fatal, false, actions),
            Exit::Park => self.park(key, ParkCause::Asked, false, actions),
            Exit::Escalated if self.policy.parks_escalated => {
                self.park(key, ParkCause::Escalated, true, actions)
            }
            Exit::Normal if slot.policy.restart == RestartType::Transient => {
                slot.forgive();
                self.rest(key, actions);
            }
            Exit::Normal | Exit::Failed | Exit::Escalated if temporary => self.forget(key, actions),
            Exit::Normal | Exit::Failed | Exit::Escalated => self.count(key, now, actions),
        }
    }

    /// Counts a restart against the child, then against the branch.
    fn count(&mut self, key: Key, now: Moment, actions: &mut Vec<Action>) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        let up_for = match slot.status {
            Status::Up { since } => Some(now.saturating_sub(since)),
            _ => None,
        };
        if up_for.is_some_and(|up_for| up_for >= slot.policy.backoff.reset_after) {
            slot.failures = 0;
            if slot.half_open {
                slot.forgive();
            }
        }
        if slot.half_open {
            return self.park(key, ParkCause::Probe, true, actions);
        }
        if slot.window.record(now) {
            return self.park(key, ParkCause::Intensity, true, actions);
        }
        slot.failures = slot.failures.saturating_add(1);
        let delay = slot.policy.backoff.delay(slot.failures, slot.policy.jitter_key);
        if self.window.as_mut().is_some_and(|window| window.record(now)) {
            return self.escalate(key, actions);
        }
        if let Some(slot) = self.slots.get_mut(&key) {
            slot.status = Status::Waiting;
        }
        actions.push(Action::Restart { key, delay });
    }

    fn park(&mut self, key: Key, cause: ParkCause, probed: bool, actions: &mut Vec<Action>) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        slot.status = Status::Parked;
        slot.failures = 0;
        slot.probing = false;
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
        self.end(EndHow::Halt, None, Some(culprit), actions);
    }

    fn after_halt(&mut self, key: Key, then_start: bool, actions: &mut Vec<Action>) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        if then_start {
            slot.forgive();
            slot.status = Status::Starting;
            actions.push(Action::Start { key });
        } else {
            slot.status = Status::Held;
            actions.push(Action::Hold { key });
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
