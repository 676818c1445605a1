//! What an admin orders for one child, and what becomes due for it.

use super::{
    super::{event::Unparker, spec::RestartType},
    Action, Core, Key, Mode, Moment,
    slot::{Status, Then},
};

impl Core {
    /// A new instance in place of the one that runs, or one where there is none; failures are forgotten.
    pub(super) fn restart(&mut self, key: Key, actions: &mut Vec<Action>) {
        if !self.is_live() {
            return;
        }
        let with_group = self.comes_with_group(key);
        let Some(slot) = self.slots.get_mut(&key) else { return };
        match slot.status {
            Status::Up { .. } => {
                slot.status = Status::Halting { then: Then::Start };
                actions.push(Action::Halt { key, deadline: None, down: false });
            }
            Status::Halting { then: Then::Rest } => slot.status = Status::Halting { then: Then::Start },
            // The group's start brings it up.
            Status::Waiting if with_group => {
                slot.forgive();
                self.group_due(key, actions);
            }
            Status::Waiting | Status::Parked | Status::Resting => {
                if slot.status == Status::Parked {
                    actions.push(Action::Unparked { key, by: Unparker::Admin });
                }
                slot.forgive();
                if with_group {
                    slot.status = Status::Held;
                    actions.push(Action::Hold { key });
                } else {
                    slot.status = Status::Starting;
                    actions.push(Action::Start { key });
                }
            }
            Status::Halting { .. } | Status::Held | Status::Starting | Status::Stopping | Status::Ended => {}
        }
    }

    /// Takes a child down and keeps its spec; a temporary one is forgotten.
    pub(super) fn terminate(&mut self, key: Key, actions: &mut Vec<Action>) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        match slot.status {
            Status::Up { .. } | Status::Starting | Status::Waiting => {
                slot.status = Status::Halting { then: Then::Rest };
                actions.push(Action::Halt { key, deadline: None, down: true });
            }
            Status::Halting { .. } => {
                // Its branch or its group waits for it: it is out of both from now on.
                slot.status = Status::Halting { then: Then::Rest };
                actions.push(Action::Halt { key, deadline: None, down: true });
            }
            Status::Held | Status::Parked => {
                slot.forgive();
                self.rest(key, actions);
            }
            // It became temporary while it was down.
            Status::Resting if slot.policy.restart == RestartType::Temporary => self.forget(key, actions),
            Status::Resting | Status::Stopping | Status::Ended => {}
        }
        // Nobody waits for the backoff of a member that is down.
        self.group_due(key, actions);
    }

    /// Its spec goes with it.
    pub(super) fn remove(&mut self, key: Key, deadline: Option<Moment>, actions: &mut Vec<Action>) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        slot.removing = true;
        if slot.status == Status::Ended {
            return self.forget(key, actions);
        }
        slot.status = Status::Stopping;
        actions.push(Action::Stop { key, deadline });
        self.group_due(key, actions);
    }

    /// A backoff is over, or it is time for a half-open attempt.
    pub(super) fn due(&mut self, key: Key, now: Moment, actions: &mut Vec<Action>) {
        if !self.is_live() {
            return self.probe(key, now, actions);
        }
        let in_group = matches!(self.mode, Mode::Regrouping(regroup) if regroup.culprit == key);
        let going_down = self.is_going_down(key);
        let Some(slot) = self.slots.get_mut(&key) else { return };
        match slot.status {
            Status::Waiting if in_group => self.group_due(key, actions),
            // An older one failed since then, and has the group halted: this one is down already.
            Status::Waiting if going_down => self.ended_before_halt(key, actions),
            Status::Waiting => {
                slot.status = Status::Starting;
                actions.push(Action::Start { key });
            }
            Status::Parked => self.probe(key, now, actions),
            _ => {}
        }
    }

    /// Makes the half-open attempt of a parked child: when its branch may start one more, and is up.
    pub(super) fn probe(&mut self, key: Key, now: Moment, actions: &mut Vec<Action>) {
        let live = self.is_live();
        let Some(slot) = self.slots.get_mut(&key).filter(|slot| slot.status == Status::Parked) else {
            return;
        };
        let trouble = slot.trouble();
        if !live {
            // Its place lapses: many that come back together take new ones.
            (trouble.owed, trouble.place) = (true, None);
            return;
        }
        let place = match (trouble.place, self.spread.as_mut()) {
            (Some(place), _) => place,
            (None, Some(spread)) => spread.take(now, now),
            (None, None) => now,
        };
        if place > now {
            trouble.place = Some(place);
            return actions.push(Action::Probe { key, delay: place.saturating_sub(now) });
        }
        (trouble.half_open, trouble.probing, trouble.place) = (true, true, None);
        slot.status = Status::Starting;
        actions.push(Action::Start { key });
    }
}
