//! What a throttle remembers in the store, and under which assignment: an account's memory goes with the account.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::Identity;
use crate::model::Fence;
use crate::ports::StoreError;
use crate::tree::deps::Deps;

/// The way to a throttle's memory.
#[derive(Clone)]
pub(super) struct Memory {
    identity: Identity,
    deps: Deps,
    /// The latest assignment of the account that it was read under.
    fence: Option<Fence>,
    /// A digest of what the store said last: whoever finds something else there finds what another node wrote.
    known: u64,
}

impl Memory {
    pub(super) fn new(identity: Identity, deps: Deps) -> Self {
        Self { identity, deps, fence: None, known: digest(None) }
    }

    pub(super) fn know(&mut self, kept: Option<&str>) {
        self.known = digest(kept);
    }

    pub(super) fn is_known(&self, kept: Option<&str>) -> bool {
        self.known == digest(kept)
    }

    /// Whether it was read under this assignment or a later one; from now on it counts as read under this one.
    pub(super) fn goes_by(&mut self, fence: Option<Fence>) -> bool {
        let Some(fence) = fence else { return true };
        if self.fence.is_some_and(|known| known.epoch >= fence.epoch) {
            return true;
        }
        self.fence = Some(fence);
        false
    }

    pub(super) async fn read(&self) -> Result<Option<String>, StoreError> {
        self.deps.store.throttle_state(&self.identity.to_string()).await
    }

    /// Reads, however long that takes.
    pub(super) async fn read_anyway(&self, beat: impl Fn()) -> Option<String> {
        let mut tries = 0;
        loop {
            match self.read().await {
                Ok(kept) => return kept,
                Err(error) => self.pause(&mut tries, &error, &beat).await,
            }
        }
    }

    /// Keeps a state, unless the account is not this node's: then its memory is that of another.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) async fn keep(&self, state: &str) -> Result<(), StoreError> {
        let fence = match (&self.identity, self.fence) {
            (Identity::Egress(_), _) => None,
            (Identity::Account(_), Some(fence)) => Some(fence),
            (Identity::Account(id), None) => match self.deps.assignments.held(*id).await {
                None => return Ok(()),
                held => held,
            },
        };
        match self.deps.store.set_throttle_state(&self.identity.to_string(), fence, state).await {
            Err(StoreError::Fenced(_)) => Ok(()),
            kept => kept,
        }
    }

    /// Keeps a state, however long that takes.
    pub(super) async fn keep_anyway(&self, state: &str, beat: impl Fn()) {
        let mut tries = 0;
        while let Err(error) = self.keep(state).await {
            self.pause(&mut tries, &error, &beat).await;
        }
    }

    async fn pause(&self, tries: &mut u32, error: &StoreError, beat: &impl Fn()) {
        *tries = tries.saturating_add(1);
        let (throttle, deps) = (&self.identity, &self.deps);
        tracing::warn!(%throttle, %error, tries, "throttle waits for the store, and sends wait for it");
        beat();
        tokio::time::sleep(deps.config.retry.delay(*tries, deps.rng.next_u64())).await;
    }
}

fn digest(kept: Option<&str>) -> u64 {
    let mut hasher = DefaultHasher::new();
    kept.hash(&mut hasher);
    hasher.finish()
}
