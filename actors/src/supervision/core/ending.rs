//! Ending a branch: reverse order, halting or stopping.

use super::{
    super::spec::{Order, RestartType},
    Action, After, Core, EndHow, Key, Mode, Moment,
    slot::{self, Status, Then},
};

impl Core {
    pub(super) fn end(
        &mut self,
        how: EndHow,
        deadline: Option<Moment>,
        after: After,
        actions: &mut Vec<Action>,
    ) {
        match self.mode {
            Mode::Ended => {
                actions.push(Action::Ended);
                return;
            }
            // Already ending for good: a halt adds nothing.
            Mode::Ending { how: EndHow::Stop, .. } if how == EndHow::Halt => return,
            _ => {}
        }
        self.mode = Mode::Ending { how, deadline, after };
        self.awaited.clear();
        let wanted = slot::keys(self.slots.iter(), |slot| match how {
            EndHow::Halt => slot.is_active(),
            EndHow::Stop => slot.status != Status::Ended,
        });
        // Ended from the back: last started, first stopped.
        self.queue = wanted.collect();
        self.pump_end(actions);
    }

    pub(super) fn pump_end(&mut self, actions: &mut Vec<Action>) {
        let Mode::Ending { how, deadline, after } = self.mode else { return };
        while self.policy.order == Order::Concurrent || self.awaited.is_empty() {
            let Some(key) = self.queue.pop_back() else { break };
            let Some(slot) = self.slots.get_mut(&key) else { continue };
            match how {
                EndHow::Halt if !slot.is_active() => continue,
                EndHow::Halt => {
                    // One that an admin takes down stays down.
                    let down = slot.status == (Status::Halting { then: Then::Rest });
                    slot.status = Status::Halting { then: if down { Then::Rest } else { Then::Hold } };
                    actions.push(Action::Halt { key, deadline, down });
                }
                EndHow::Stop if slot.status == Status::Ended => continue,
                EndHow::Stop => {
                    slot.status = Status::Stopping;
                    actions.push(Action::Stop { key, deadline });
                }
            }
            self.awaited.insert(key);
        }
        if !self.queue.is_empty() || !self.awaited.is_empty() {
            return;
        }
        self.mode = if how == EndHow::Stop { Mode::Ended } else { Mode::Idle };
        actions.push(match after {
            After::Nothing => Action::Ended,
            After::Fail(culprit) => Action::Fail { culprit },
            After::Finish => Action::Finish,
        });
    }

    /// A child's instance ended while the branch was ending, or is not up.
    pub(super) fn settle_end(&mut self, key: Key, how: EndHow, actions: &mut Vec<Action>) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        if slot.removing || (how == EndHow::Halt && slot.policy.restart == RestartType::Temporary) {
            return self.forget(key, actions);
        }
        match how {
            EndHow::Halt if slot.status == (Status::Halting { then: Then::Rest }) => self.rest(key, actions),
            EndHow::Halt => {
                slot.status = Status::Held;
                actions.push(Action::Hold { key });
            }
            EndHow::Stop => {
                slot.status = Status::Ended;
                actions.push(Action::Retire { key });
            }
        }
    }

    /// A child's runner is gone.
    pub(super) fn gone(&mut self, key: Key, actions: &mut Vec<Action>) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        if slot.removing {
            return self.forget(key, actions);
        }
        if slot.status != Status::Ended {
            slot.status = Status::Ended;
            actions.push(Action::Retire { key });
        }
    }

    pub(super) fn abandon(&mut self, actions: &mut Vec<Action>) {
        self.mode = Mode::Ended;
        self.queue.clear();
        self.awaited.clear();
        for (key, slot) in &mut self.slots {
            if slot.status != Status::Ended {
                slot.status = Status::Ended;
                actions.push(Action::Kill { key: *key });
            }
        }
    }

    pub(super) fn shelve(&mut self, actions: &mut Vec<Action>) {
        if self.mode != Mode::Idle {
            return;
        }
        self.mode = Mode::Shelved;
        actions.extend(
            slot::keys(self.slots.iter(), |slot| slot.status == Status::Held)
                .map(|key| Action::Shelve { key }),
        );
    }
}
