//! Restart of a group, for one_for_all and rest_for_one.
//!
//! The members that are up are halted newest first. Once all are down and the backoff of the one that failed is over,
//! they are started oldest first, also those that had ended normally: the group begins anew, as in OTP. A member that
//! fails meanwhile begins another group restart, which counts as another failure; one that ends while it is halted
//! was going anyway and counts for nothing. Parked members stay parked.

use super::{
    super::spec::RestartType,
    Action, Core, Key, Mode, Regroup, Stage, Strategy,
    slot::{self, Status, Then},
};

impl Core {
    /// Whether a failure concerns more than the child itself.
    pub(super) const fn has_group(&self) -> bool {
        matches!(self.policy.strategy, Strategy::OneForAll | Strategy::RestForOne)
    }

    /// A member failed and waits for its backoff: the others go down with it.
    pub(super) fn regroup(&mut self, culprit: Key, actions: &mut Vec<Action>) {
        let from = match self.policy.strategy {
            Strategy::OneForAll => Key::MIN,
            Strategy::RestForOne | Strategy::OneForOne => {
                self.first_unstarted().map_or(culprit, |key| key.min(culprit))
            }
        };
        let resting = |slot: &slot::Slot| slot.status == Status::Resting;
        for key in slot::keys(self.slots.range(from..), resting).collect::<Vec<_>>() {
            self.call_back(key, actions);
        }
        self.awaited.clear();
        self.queue = slot::keys(self.slots.range(from..), slot::Slot::is_active).collect();
        self.queue.retain(|key| *key != culprit);
        self.mode = Mode::Regrouping(Regroup { from, culprit, stage: Stage::Halting { due: false } });
        self.pump_group(actions);
    }

    /// The oldest member whose turn to be started has not come or is not over: one behind it may have been started by an
    /// admin's order, and its failure must not end the start of those between.
    fn first_unstarted(&self) -> Option<Key> {
        let starting =
            matches!(self.mode, Mode::Starting | Mode::Regrouping(Regroup { stage: Stage::Starting, .. }));
        self.queue.iter().chain(&self.awaited).min().copied().filter(|_| starting)
    }

    /// A member that is down comes back with its group; one that became temporary meanwhile does not.
    fn call_back(&mut self, key: Key, actions: &mut Vec<Action>) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        if slot.policy.restart == RestartType::Temporary {
            return self.forget(key, actions);
        }
        slot.status = Status::Held;
    }

    /// Does what is next for the group.
    pub(super) fn pump_group(&mut self, actions: &mut Vec<Action>) {
        let Mode::Regrouping(regroup) = self.mode else { return };
        match regroup.stage {
            Stage::Halting { due } => {
                if self.halt_next(actions) {
                    return;
                }
                let stage = if due { Stage::Starting } else { Stage::Waiting };
                self.mode = Mode::Regrouping(Regroup { stage, ..regroup });
                if due {
                    self.start_group(regroup.from, actions);
                }
            }
            Stage::Waiting => {}
            Stage::Starting => self.pump_start(actions),
        }
    }

    /// Halts the newest member that is left; false when all are down.
    fn halt_next(&mut self, actions: &mut Vec<Action>) -> bool {
        while self.awaited.is_empty() {
            let Some(key) = self.queue.pop_back() else { return false };
            let Some(slot) = self.slots.get_mut(&key).filter(|slot| slot.is_active()) else { continue };
            slot.status = Status::Halting { then: Then::Hold };
            self.awaited.insert(key);
            actions.push(Action::Halt { key, deadline: None, down: false });
        }
        true
    }

    fn start_group(&mut self, from: Key, actions: &mut Vec<Action>) {
        self.queue = slot::keys(self.slots.range(from..), |slot| slot.status == Status::Held).collect();
        self.pump_start(actions);
    }

    /// The backoff of the member that failed is over, or nobody waits for it any more.
    pub(super) fn group_due(&mut self, key: Key, actions: &mut Vec<Action>) {
        let Mode::Regrouping(regroup) = self.mode else { return };
        if regroup.culprit != key {
            return;
        }
        if let Some(slot) = self.slots.get_mut(&key).filter(|slot| slot.status == Status::Waiting) {
            slot.status = Status::Held;
            actions.push(Action::Hold { key });
        }
        match regroup.stage {
            Stage::Halting { .. } => {
                self.mode = Mode::Regrouping(Regroup { stage: Stage::Halting { due: true }, ..regroup });
            }
            Stage::Waiting => {
                self.mode = Mode::Regrouping(Regroup { stage: Stage::Starting, ..regroup });
                self.start_group(regroup.from, actions);
            }
            Stage::Starting => {}
        }
    }

    /// Whether this child's end belongs to the group's going down.
    pub(super) fn is_going_down(&self, key: Key) -> bool {
        let Mode::Regrouping(Regroup { stage: Stage::Halting { .. }, .. }) = self.mode else { return false };
        self.queue.contains(&key)
    }

    /// A member ended by itself before it was its turn to be halted.
    pub(super) fn ended_before_halt(&mut self, key: Key, actions: &mut Vec<Action>) {
        self.queue.retain(|queued| *queued != key);
        self.after_halt(key, Then::Hold, actions);
    }

    /// Puts a new child behind those that are still to be started.
    pub(super) fn queue_start(&mut self, key: Key) {
        // While the group goes down the queue holds those to be halted; the new one is collected with the others.
        if !matches!(
            self.mode,
            Mode::Regrouping(Regroup { stage: Stage::Halting { .. } | Stage::Waiting, .. })
        ) {
            self.queue.push_back(key);
        }
    }

    /// Whether a child that is to be started will be, with the group that is being restarted.
    pub(super) fn comes_with_group(&self, key: Key) -> bool {
        let Mode::Regrouping(regroup) = self.mode else { return false };
        key >= regroup.from && regroup.stage != Stage::Starting
    }
}
