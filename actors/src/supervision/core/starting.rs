//! Starting a branch and its children: in order, each after the first outcome of the one before.

use std::{collections::VecDeque, time::Duration};

use super::{
    super::{event::Unparker, spec::Order},
    Action, Core, EndHow, Key, Mode, Moment, SlotPolicy,
    slot::{self, Slot, Status},
};

impl Core {
    pub(super) fn begin(&mut self, actions: &mut Vec<Action>) {
        match self.mode {
            Mode::Idle | Mode::Shelved => {}
            Mode::Running => return actions.push(Action::Settled),
            Mode::Starting | Mode::Regrouping(_) | Mode::Ending { .. } | Mode::Ended => return,
        }
        let shelved = self.mode == Mode::Shelved;
        self.mode = Mode::Starting;
        self.settled = false;
        self.awaited.clear();
        self.start_afresh(actions);
        self.queue = slot::keys(self.slots.iter(), |slot| slot.status == Status::Held).collect();
        if shelved {
            // They wait for their turns from now on.
            actions.extend(self.queue.iter().map(|key| Action::Hold { key: *key }));
        }
        self.pump_start(actions);
    }

    /// A supervisor that is started knows of no failures, as in OTP. Those that are parked stay so, and keep their probes.
    fn start_afresh(&mut self, actions: &mut Vec<Action>) {
        if let Some(window) = self.window.as_mut() {
            window.clear();
        }
        if std::mem::take(&mut self.storming) {
            actions.push(Action::StormOver);
        }
        for (key, slot) in &mut self.slots {
            if slot.status == Status::Held {
                slot.forgive();
            } else if slot.status == Status::Parked && slot.take_owed() {
                actions.push(Action::Probe { key: *key, delay: Duration::ZERO });
            }
        }
    }

    /// Starts what is next; the branch is up once nothing is left.
    pub(super) fn pump_start(&mut self, actions: &mut Vec<Action>) {
        while self.policy.order == Order::Concurrent || self.awaited.is_empty() {
            let Some(key) = self.queue.pop_front() else { break };
            let Some(slot) = self.slots.get_mut(&key) else { continue };
            if slot.status == Status::Held {
                slot.status = Status::Starting;
                if self.policy.order == Order::Ordered {
                    self.awaited.insert(key);
                }
                actions.push(Action::Start { key });
            }
        }
        if !self.queue.is_empty() || !self.awaited.is_empty() {
            return;
        }
        // Room for all children is needed at a start only.
        self.queue = VecDeque::new();
        self.mode = Mode::Running;
        if !self.settled {
            self.settled = true;
            actions.push(Action::Settled);
        }
    }

    /// A child had its first outcome, or is gone: the next may come.
    pub(super) fn outcome(&mut self, key: Key, actions: &mut Vec<Action>) {
        if self.awaited.remove(&key) {
            match self.mode {
                Mode::Starting => self.pump_start(actions),
                Mode::Regrouping(_) => self.pump_group(actions),
                Mode::Ending { .. } => self.pump_end(actions),
                Mode::Idle | Mode::Running | Mode::Shelved | Mode::Ended => {}
            }
        }
    }

    pub(super) fn added(&mut self, key: Key, policy: SlotPolicy, actions: &mut Vec<Action>) {
        let mut slot = Slot::new(self.policies.share(policy));
        match self.mode {
            Mode::Running => {
                slot.status = Status::Starting;
                actions.push(Action::Start { key });
            }
            // It is the last of the group that is being restarted.
            Mode::Starting | Mode::Regrouping(_) => self.queue_start(key),
            Mode::Shelved => actions.push(Action::Shelve { key }),
            // It came too late.
            Mode::Ended | Mode::Ending { how: EndHow::Stop, .. } => {
                slot.status = Status::Ended;
                actions.push(Action::Retire { key });
            }
            Mode::Idle | Mode::Ending { how: EndHow::Halt, .. } => {}
        }
        self.slots.insert(key, slot);
        if self.mode == Mode::Starting {
            self.pump_start(actions);
        }
    }

    pub(super) fn up(&mut self, key: Key, now: Moment, actions: &mut Vec<Action>) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        if slot.status != Status::Starting {
            return;
        }
        slot.status = Status::Up { since: now };
        if slot.probed() {
            actions.push(Action::Unparked { key, by: Unparker::Probe });
        }
        self.outcome(key, actions);
    }

    pub(super) fn ignored(&mut self, key: Key, actions: &mut Vec<Action>) {
        if let Some(slot) = self.slots.get_mut(&key) {
            slot.probed();
            match self.mode {
                Mode::Ending { how, .. } => self.settle_end(key, how, actions),
                _ if slot.is_halting() => self.halted(key, actions),
                _ => self.rest(key, actions),
            }
        }
        self.outcome(key, actions);
    }
}
