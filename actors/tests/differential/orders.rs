//! What a script does to a branch from outside, and what OTP would answer.

use switchyard_actors::supervision::{
    AutoShutdown, Intensity, OnExceed, Order, RestartType,
    core::{CorePolicy, Event, Exit, Key},
};

use super::{
    model::{Message, Model, PERIOD, State},
    script::{Action, Child, Id, Kind, Outcome, Reason},
};

impl Model {
    /// What happens without the supervisor, or to it as a whole; `None` for an order that it has yet to meet.
    pub fn happen(
        &mut self,
        action: &Action,
        place: usize,
        alone: bool,
    ) -> Result<Option<&'static str>, usize> {
        match action {
            Action::Exit(id, reason) => {
                let Some(key) = self.find(id).filter(|key| self.runners[key].state == State::Up) else {
                    return Ok(Some("dead"));
                };
                let exit = exit(*reason);
                self.runner(key).state = State::Dead(exit);
                self.messages.push_back(Message::Exited(key, exit, Some(place)));
            }
            Action::Plan(..) => {}
            Action::Shutdown => self.shut_down(),
            Action::Reload(..) | Action::Respec(..) if !alone || self.ended => return Err(place),
            Action::Reload(intensity, auto) => self.reload(*intensity, *auto).ok_or(place)?,
            Action::Respec(id, restart, significant) => {
                self.respec(id, *restart, *significant).ok_or(place)?;
            }
            Action::Start(Child { id, .. })
            | Action::StartDynamic(id)
            | Action::Terminate(id)
            | Action::Restart(id)
            | Action::Delete(id) => {
                let starts = self.started(id);
                self.messages.push_back(Message::Order(action.clone(), place, starts));
                return Ok(None);
            }
        }
        Ok(Some("done"))
    }

    /// `None` where OTP would refuse: significant children of a template without auto_shutdown.
    fn reload(&mut self, intensity: Option<u32>, auto: AutoShutdown) -> Option<()> {
        if auto == AutoShutdown::Never && self.template.as_ref().is_some_and(|template| template.significant)
        {
            return None;
        }
        self.auto = auto;
        let wanted = CorePolicy {
            intensity: counted(intensity),
            auto_shutdown: auto,
            ..CorePolicy::new(Order::Ordered)
        };
        let CorePolicy { intensity, auto_shutdown, .. } = (self.twist.branch)(wanted);
        self.step(Event::Reconfigure { intensity, on_exceed: OnExceed::Escalate, auto_shutdown });
        Some(())
    }

    /// `None` where OTP would refuse.
    fn respec(&mut self, id: &Id, restart: RestartType, significant: bool) -> Option<()> {
        let dynamic = self.template.is_some();
        let changed: Vec<_> = self.present().filter(|key| dynamic || self.runners[key].id == *id).collect();
        let refused = |key: Key| self.runners[&key].significant && !changed.contains(&key);
        let never = self.auto == AutoShutdown::Never;
        let illegal = significant && (never || restart == RestartType::Permanent);
        if illegal || (never && self.present().any(refused)) {
            return None;
        }
        if let Some(template) = self.template.as_mut() {
            // OTP did not keep what a restart of the children that are there would need.
            if template.restart == RestartType::Temporary && restart != RestartType::Temporary {
                return None;
            }
            (template.restart, template.significant) = (restart, significant);
        }
        for key in changed {
            let runner = self.runner(key);
            (runner.restart, runner.significant) = (restart, significant);
            let policy = self.policy(key);
            self.step(Event::Repolicy { key, policy });
        }
        Some(())
    }

    /// An order and its answer; `None` when it lies outside.
    pub fn order(&mut self, action: &Action, starts: u32) -> Option<&'static str> {
        match action {
            Action::Start(_) | Action::Restart(_) if self.is_group_incomplete() => None,
            Action::Terminate(id) if self.is_group_incomplete() && self.has_failed(id) => None,
            Action::Start(child) if self.kind != Kind::Dynamic => self.start(child.clone()),
            Action::StartDynamic(id) => {
                let child = Child { id: id.clone(), ..self.template.clone()? };
                if self.started(id) > 0 { None } else { self.start(child) }
            }
            Action::Terminate(id) if self.kind == Kind::Dynamic => self.terminate_dynamic(id, starts),
            Action::Terminate(id) => {
                let Some(key) = self.find(id) else { return Some("not_found") };
                self.step(Event::Terminate { key });
                Some("ok")
            }
            Action::Restart(id) => self.when_down(id, |model, key| {
                let temporary = model.runners[&key].restart == RestartType::Temporary;
                let answer = model.coming(id).filter(|answer| !temporary || *answer == "ok")?;
                model.step(Event::Restart { key });
                Some(answer)
            }),
            Action::Delete(id) => self.when_down(id, |model, key| {
                model.step(Event::Remove { key, deadline: None });
                Some("ok")
            }),
            _ => None,
        }
    }

    fn start(&mut self, child: Child) -> Option<&'static str> {
        if child.significant && self.auto == AutoShutdown::Never {
            return None;
        }
        if let Some(key) = self.find(&child.id) {
            let up = matches!(self.runners[&key].state, State::Up | State::Dead(_));
            return Some(if up { "already_started" } else { "already_present" });
        }
        let answer = self.coming(&child.id)?;
        self.add(child);
        Some(answer)
    }

    /// By pid: one that was replaced meanwhile is another child.
    fn terminate_dynamic(&mut self, id: &Id, starts: u32) -> Option<&'static str> {
        if starts == 0 {
            return None;
        }
        let key = self.find(id).filter(|_| self.started(id) == starts);
        if let Some(key) = key.filter(|key| self.runners[key].state != State::Idle) {
            self.step(Event::Remove { key, deadline: None });
        }
        Some("ok")
    }

    fn when_down(
        &mut self,
        id: &Id,
        order: impl FnOnce(&mut Self, Key) -> Option<&'static str>,
    ) -> Option<&'static str> {
        let Some(key) = self.find(id) else { return Some("not_found") };
        match self.runners[&key].state {
            State::Idle => order(self, key),
            State::Failed => Some("restarting"),
            State::Up | State::Dead(_) => Some("running"),
            State::Gone => Some("not_found"),
        }
    }

    fn has_failed(&self, id: &Id) -> bool {
        self.find(id).is_some_and(|key| self.runners[&key].state == State::Failed)
    }

    /// A group whose restart met a start that failed: what OTP leaves up or down until it tries again is its own.
    pub fn is_group_incomplete(&self) -> bool {
        self.kind.is_group() && self.runners.values().any(|runner| runner.state == State::Failed)
    }

    /// The answer to the start that is ordered; `None` when it will fail.
    fn coming(&self, id: &Id) -> Option<&'static str> {
        match self.plans.get(id).and_then(|(plan, _)| plan.front()) {
            None | Some(Outcome::Ok) => Some("ok"),
            Some(Outcome::Ignore) => Some("ignored"),
            Some(Outcome::Fail) => None,
        }
    }
}

pub const fn within_period(restarts: u32) -> Intensity {
    Intensity::new(restarts, PERIOD)
}

pub fn counted(intensity: Option<u32>) -> Option<Intensity> {
    Some(within_period(intensity.unwrap_or(u32::MAX)))
}

const fn exit(reason: Reason) -> Exit {
    match reason {
        Reason::Normal | Reason::Shutdown | Reason::OtherShutdown => Exit::Normal,
        Reason::Crash | Reason::Killed => Exit::Failed,
    }
}
