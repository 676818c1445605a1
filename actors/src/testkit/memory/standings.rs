//! Users of the store in memory: suspension, plan, and what they used.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;

use super::{MemoryStore, State};
use crate::model::{
    Day, DeliveryId, EventKind, PairId, PartState, PauseCause, PlanName, Standing, Usage, UserId,
};
use crate::ports::{Standings, StoreError};

/// What is known of users.
#[derive(Default)]
pub(super) struct Known {
    standing: HashMap<UserId, Standing>,
    used: HashMap<(UserId, Day), u64>,
    told: HashSet<(UserId, Day)>,
    /// The day on which deliveries are confirmed.
    today: Option<Box<dyn Fn() -> Day + Send>>,
}

impl State {
    /// A new message of a pair is complete.
    pub(super) fn meter(&mut self, pair: PairId) {
        let (Some(pair), Some(today)) = (self.pairs.get(&pair), &self.users.today) else { return };
        let day = today();
        *self.users.used.entry((pair.user, day)).or_default() += 1;
    }
}

impl MemoryStore {
    /// The day by which deliveries are counted from now on.
    pub fn count_by(&self, today: impl Fn() -> Day + Send + 'static) {
        self.peek().users.today = Some(Box::new(today));
    }

    /// Gives a user a plan.
    pub fn set_plan(&self, user: UserId, plan: Option<PlanName>) {
        let mut state = self.peek();
        let standing = state.users.standing.entry(user).or_default();
        (standing.plan, standing.plan_until) = (plan, None);
    }

    /// Gives a user a plan until a time, Unix milliseconds.
    pub fn set_plan_until(&self, user: UserId, plan: PlanName, until: i64) {
        let mut state = self.peek();
        let standing = state.users.standing.entry(user).or_default();
        (standing.plan, standing.plan_until) = (Some(plan), Some(until));
    }

    /// Suspends or restores a user with all their pairs, at once.
    pub fn set_suspended(&self, user: UserId, on: bool) {
        let mut state = self.peek();
        state.users.standing.entry(user).or_default().suspended = on;
        for pair in state.pairs.values_mut().filter(|pair| pair.user == user) {
            if on {
                pair.paused.insert(PauseCause::Suspension);
            } else {
                pair.paused.remove(&PauseCause::Suspension);
            }
        }
    }

    /// What a user used of a day.
    #[must_use]
    pub fn used(&self, user: UserId, day: Day) -> u64 {
        self.peek().users.used.get(&(user, day)).copied().unwrap_or(0)
    }
}

#[async_trait]
impl Standings for MemoryStore {
    async fn standing(&self, user: UserId) -> Result<Standing, StoreError> {
        Ok(self.lock()?.users.standing.get(&user).cloned().unwrap_or_default())
    }

    async fn usage(&self, user: UserId, day: Day) -> Result<Usage, StoreError> {
        let state = self.lock()?;
        let own = |pair: &PairId| state.pairs.get(pair).is_some_and(|pair| pair.user == user);
        let new = state.deliveries.values().filter(|row| row.action == EventKind::New && own(&row.pair));
        let begun = new.filter(|row| row.parts.iter().any(|part| part.state != PartState::Queued));
        let begun: Vec<DeliveryId> = begun.map(|row| row.id).collect();
        let delivered = state.users.used.get(&(user, day)).copied().unwrap_or(0);
        Ok(Usage { delivered, begun })
    }

    async fn tell_limit(&self, user: UserId, day: Day) -> Result<bool, StoreError> {
        Ok(self.lock()?.users.told.insert((user, day)))
    }
}
