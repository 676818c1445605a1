//! Taking over the accounts of a node that is gone: their actors here, parked since that node had them, are tried at once.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::deps::Deps;
use crate::model::{AccountId, Fence};
use crate::ports::StoreError;
use crate::supervision::{Child, ChildPath, ChildRef};

/// Accounts whose pairs are asked for at once.
const BATCH: usize = 500;

/// Which actors were tried already after which owner: a second try is the probes' business.
#[derive(Default)]
pub(super) struct Takeover(Mutex<HashSet<(ChildPath, Fence)>>);

impl Takeover {
    /// Looks for accounts whose owner is gone, and has their parked actors here tried.
    pub(super) async fn look(&self, deps: &Deps) -> Result<(), StoreError> {
        let orphans = deps.store.orphans().await?;
        self.forget_others(&orphans);
        for fences in orphans.chunks(BATCH) {
            self.sessions_and_queues(deps, fences);
            let by_account: HashMap<AccountId, Fence> =
                fences.iter().map(|fence| (fence.account, *fence)).collect();
            let accounts: Vec<AccountId> = by_account.keys().copied().collect();
            for pair in deps.store.pairs_through(&accounts).await? {
                // A pair works under the fence of the account that it writes through.
                let fence = by_account.get(&pair.target_account);
                if let Some((fence, pair)) = fence.zip(deps.links.pairs.get(&pair.id)) {
                    self.attempt(&pair, *fence);
                }
            }
        }
        Ok(())
    }

    fn sessions_and_queues(&self, deps: &Deps, fences: &[Fence]) {
        for fence in fences {
            if let Some(session) = deps.links.sessions.get(&fence.account) {
                self.attempt(&session, *fence);
            }
            if let Some(queue) = deps.links.queues.get(&fence.account) {
                self.attempt(&queue, *fence);
            }
        }
    }

    /// Tries a parked actor; one that is not parked now may be by the next look.
    fn attempt<C: Child>(&self, actor: &ChildRef<C>, fence: Fence) {
        let key = (actor.path().clone(), fence);
        // One look follows the other, so nothing is tried twice between these locks.
        if self.tried().contains(&key) || !actor.probe_now() {
            return;
        }
        tracing::info!(
            path = %key.0, account = %fence.account, node = %fence.node, epoch = fence.epoch.get(),
            "the node that had this account is gone: its actor here is tried"
        );
        self.tried().insert(key);
    }

    fn tried(&self) -> MutexGuard<'_, HashSet<(ChildPath, Fence)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget_others(&self, orphans: &[Fence]) {
        let mut tried = self.tried();
        if !tried.is_empty() {
            let orphans: HashSet<&Fence> = orphans.iter().collect();
            tried.retain(|(_, fence)| orphans.contains(fence));
        }
    }
}
