//! Pauses of queues in memory.

use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;

use super::MemoryStore;
use crate::model::{AccountId, PauseCause};
use crate::ports::{QueuePauses, StoreError};

/// Why queues are paused.
pub(super) type QueuePausesKept = HashMap<AccountId, BTreeSet<PauseCause>>;

impl MemoryStore {
    /// Adds or lifts one cause of a queue's pause.
    pub fn pause_queue(&self, account: AccountId, cause: PauseCause, on: bool) {
        let mut state = self.peek();
        let causes = state.queue_pauses.entry(account).or_default();
        if on {
            causes.insert(cause);
        } else {
            causes.remove(&cause);
        }
    }
}

#[async_trait]
impl QueuePauses for MemoryStore {
    async fn queue_pauses(&self, account: AccountId) -> Result<BTreeSet<PauseCause>, StoreError> {
        Ok(self.lock()?.queue_pauses.get(&account).cloned().unwrap_or_default())
    }
}
