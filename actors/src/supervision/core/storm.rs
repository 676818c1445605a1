//! Storm mode: too many children of a branch fail, and the branch starts them slower instead of giving up.

use std::time::Duration;

use super::{Action, Core, Moment, OnExceed, spread::Spread};

/// What spreads a branch's restarts, where it has a rate.
pub(super) fn spread(on_exceed: OnExceed) -> Option<Spread> {
    match on_exceed {
        OnExceed::Escalate => None,
        OnExceed::Storm(storm) => Some(Spread::new(storm.starts_per_second)),
    }
}

impl Core {
    /// Counts a restart against the branch; true when the branch is to give up.
    pub(super) fn branch_exceeded(&mut self, now: Moment, actions: &mut Vec<Action>) -> bool {
        let Some(window) = self.window.as_mut() else { return false };
        if !window.record(now) {
            return false;
        }
        if self.policy.on_exceed == OnExceed::Escalate {
            return true;
        }
        if !self.storming {
            self.storming = true;
            let (restarts_in_window, check_in) = (window.count(now), window.empty_in(now));
            actions.push(Action::Storm { restarts_in_window, check_in });
        }
        false
    }

    /// The delay of a restart, put off until the branch may start one more.
    pub(super) fn spread_out(&mut self, delay: Duration, now: Moment) -> Duration {
        let floor = match self.policy.on_exceed {
            OnExceed::Storm(storm) if self.storming => storm.floor,
            _ => Duration::ZERO,
        };
        let delay = delay.max(floor);
        let Some(spread) = self.spread.as_mut() else { return delay };
        spread.take(now, now.saturating_add(delay)).saturating_sub(now)
    }

    pub(super) fn storm_due(&mut self, now: Moment, actions: &mut Vec<Action>) {
        if !self.storming {
            return;
        }
        let check_in = self.window.as_ref().map_or(Duration::ZERO, |window| window.empty_in(now));
        if check_in.is_zero() {
            self.storming = false;
            actions.push(Action::StormOver);
        } else {
            actions.push(Action::StormGoesOn { check_in });
        }
    }
}
