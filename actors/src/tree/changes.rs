//! What an operator changes while the tree runs: accounts and pairs come, change and go, each at once.

use std::time::Duration;

use thiserror::Error;

use super::pair;
use super::root::Operator;
use super::session::{IsConnected, PairsChanged};
use crate::model::{AccountId, Pair, PairId};
use crate::ports::StoreError;
use crate::supervision::AddError;

/// Why a change did not reach the tree.
#[derive(Debug, Error)]
pub enum ChangeError {
    /// The actor cannot be added: it is there already, or the daemon is stopping.
    #[error(transparent)]
    Add(#[from] AddError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Operator {
    /// An account was stored: its actors start, and its session connects.
    ///
    /// # Errors
    /// [`ChangeError::Add`] when they are there already.
    pub fn account_added(&self, id: AccountId) -> Result<(), ChangeError> {
        Ok(self.roster().add_account(id)?)
    }

    /// Stops an account's session, so that new credentials can be stored: the old session writes none any more. Its
    /// queue goes on and waits for the new one. The caller must end it by [`account_renewed`](Self::account_renewed),
    /// also when nothing was stored.
    pub async fn account_renewing(&self, id: AccountId) {
        self.roster().remove_session(id).await;
    }

    /// An account has new credentials: its session starts anew, also one that was parked, and its queue goes on with
    /// what waited for it. A quarantine stays: it is lifted by an operator, not by a new login.
    ///
    /// # Errors
    /// [`ChangeError::Add`].
    pub async fn account_renewed(&self, id: AccountId) -> Result<(), ChangeError> {
        let roster = self.roster();
        roster.remove_session(id).await;
        match self.deps().links.queues.get(&id) {
            Some(_) => Ok(roster.add_session(id)?),
            None => Ok(roster.add_account(id)?),
        }
    }

    /// An account is to be deleted: its session, queue and throttle stop, then the pairs that read or write through
    /// it, which are answered. Each finishes what it has in hand; then nothing uses the account any more.
    ///
    /// # Errors
    /// [`ChangeError::Store`] when its pairs cannot be read; then nothing is stopped.
    pub async fn account_removed(&self, id: AccountId) -> Result<Vec<Pair>, ChangeError> {
        let mut pairs = self.deps().store.pairs().await?;
        pairs.retain(|pair| pair.source_account == id || pair.target_account == id);
        self.roster().remove_account(id).await;
        for pair in &pairs {
            self.roster().remove_pair(pair.id).await;
            self.told_of_pairs(pair, Some(id));
        }
        self.deps().assignments.release(id).await;
        Ok(pairs)
    }

    /// A pair was stored: its actor starts, and its accounts' sessions take it on. Waits, for at most `limit`, until
    /// its source is read: what is written there from then on is seen. Answers whether it is.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn pair_added(&self, id: PairId, limit: Duration) -> Result<bool, ChangeError> {
        let deps = self.deps();
        let pair = deps.store.pair(id).await?;
        self.roster().add_pair(id)?;
        deps.links.forget(pair.source_account);
        self.told_of_pairs(&pair, None);
        let reads = async {
            deps.links.all_attempted(&[pair.source_account]).await;
            match deps.links.sessions.get(&pair.source_account) {
                Some(session) => session.ask(IsConnected).await.unwrap_or(false),
                None => false,
            }
        };
        Ok(tokio::time::timeout(limit, reads).await.unwrap_or(false))
    }

    /// A pair was paused or resumed in the store: it stops or goes on at once, and so does its queue.
    ///
    /// # Errors
    /// [`ChangeError::Store`].
    pub async fn pair_changed(&self, id: PairId) -> Result<(), ChangeError> {
        let deps = self.deps();
        let pair = deps.store.pair(id).await?;
        if let Some(actor) = deps.links.pairs.get(&id) {
            // An actor that does not take it reads the pair when it starts.
            let _ = actor.tell(pair::Changed);
        }
        deps.links.wake_queue(pair.target_account, id);
        Ok(())
    }

    /// A pair is to be deleted: its actor stops. False when it had none. After the deletion call
    /// [`pair_removed`](Self::pair_removed).
    pub async fn pair_removing(&self, id: PairId) -> bool {
        self.roster().remove_pair(id).await
    }

    /// A pair was deleted: its accounts' sessions no longer work for it, and its queue forgets its lane.
    pub fn pair_removed(&self, pair: &Pair) {
        self.deps().links.wake_queue(pair.target_account, pair.id);
        self.told_of_pairs(pair, None);
    }

    fn told_of_pairs(&self, pair: &Pair, except: Option<AccountId>) {
        let accounts = [pair.source_account, pair.target_account];
        let same = pair.source_account == pair.target_account;
        for id in accounts.into_iter().take(if same { 1 } else { 2 }).filter(|id| Some(*id) != except) {
            let told = self.deps().links.sessions.get(&id).map(|session| session.tell(PairsChanged));
            if !matches!(told, Some(Ok(()))) {
                // A session that is not up reads its pairs when it connects.
                self.deps().links.attempted(id);
            }
        }
    }
}
