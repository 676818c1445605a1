//! What an operator changes while the tree runs: accounts and pairs come, change and go, each at once.

use std::time::Duration;

use thiserror::Error;

use super::allowance::AllowanceView;
use super::pair;
use super::root::Operator;
use super::session::{GetSender, IsConnected, Observe, OwnerChanged, PairsChanged};
use crate::model::{Account, AccountId, Pair, PairId, Place, UserId};
use crate::ports::{Look, Need, StoreError};
use crate::supervision::{AddError, NodeView};

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
    pub fn account_added(&self, id: AccountId, user: UserId) -> Result<(), ChangeError> {
        Ok(self.roster().add_account(id, user)?)
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
    pub async fn account_renewed(&self, id: AccountId, user: UserId) -> Result<(), ChangeError> {
        let roster = self.roster();
        roster.remove_session(id).await;
        match self.deps().links.queues.get(&id) {
            Some(_) => Ok(roster.add_session(id, user)?),
            None => Ok(roster.add_account(id, user)?),
        }
    }

    /// An account is to be deleted: its session, queue and throttle stop, then the pairs that read or write through
    /// it, which are answered. Each finishes what it has in hand; then nothing uses the account any more.
    ///
    /// # Errors
    /// [`ChangeError::Store`] when its pairs cannot be read; then nothing is stopped.
    pub async fn account_removed(&self, id: AccountId) -> Result<Vec<Pair>, ChangeError> {
        let pairs = self.deps().store.pairs_through(&[id]).await?;
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
        self.roster().add_pair(id, pair.user)?;
        deps.links.forget(pair.source_account);
        self.told_of_pairs(&pair, None);
        let reads = async {
            // It answers in order: by then it was told of the pairs.
            if let Some(session) = deps.links.sessions.get(&pair.source_account) {
                let _ = session.ask(IsConnected).await;
            }
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

    /// A user was suspended in the store. From the answer on no send of theirs starts in this process; what was under
    /// way already is waited for, for at most `limit`, and recorded also when it takes longer. Then their sessions have
    /// let go of their connections. What waits in the store stays there.
    ///
    /// # Errors
    /// [`ChangeError::Store`] when the store cannot be read; then nothing is stopped.
    pub async fn user_suspended(&self, user: UserId, limit: Duration) -> Result<(), ChangeError> {
        let deps = self.deps();
        let (accounts, pairs) = (deps.store.accounts_of(user).await?, deps.store.pairs_of(user).await?);
        deps.links.allowances.sync(deps, user).await?;
        let quiet = tokio::time::timeout(limit, deps.links.allowances.quiet(user)).await;
        if quiet.is_err() {
            tracing::warn!(%user, "sends that were under way when their user was suspended go on");
        }
        self.owner_changed(&accounts, limit).await;
        self.pairs_changed(&pairs);
        Ok(())
    }

    /// A user was restored in the store: their sessions connect again, and what waited goes out in order.
    ///
    /// # Errors
    /// [`ChangeError::Store`].
    pub async fn user_restored(&self, user: UserId, limit: Duration) -> Result<(), ChangeError> {
        let deps = self.deps();
        let (accounts, pairs) = (deps.store.accounts_of(user).await?, deps.store.pairs_of(user).await?);
        deps.links.allowances.sync(deps, user).await?;
        self.owner_changed(&accounts, limit).await;
        self.pairs_changed(&pairs);
        Ok(())
    }

    /// A user was given another plan in the store: what waits for a message of the day looks again at once.
    ///
    /// # Errors
    /// [`ChangeError::Store`].
    pub async fn plan_changed(&self, user: UserId) -> Result<(), ChangeError> {
        self.deps().links.allowances.sync(self.deps(), user).await?;
        Ok(())
    }

    /// Plans and suspensions may have changed in the store without a word: all that are known are read again.
    ///
    /// # Errors
    /// [`ChangeError::Store`].
    pub async fn standings_changed(&self, limit: Duration) -> Result<(), ChangeError> {
        let (deps, allowances) = (self.deps(), &self.deps().links.allowances);
        for user in allowances.users() {
            let before = allowances.is_suspended(user);
            match (before, allowances.sync(deps, user).await?.suspended) {
                (false, true) => self.user_suspended(user, limit).await?,
                (true, false) => self.user_restored(user, limit).await?,
                (true, true) | (false, false) => {}
            }
        }
        Ok(())
    }

    /// A session as it is at this moment, asked for at most `limit`; one that does not answer, as it was last seen.
    pub async fn session_view(&self, id: AccountId, limit: Duration) -> Option<NodeView> {
        let session = self.deps().links.sessions.get(&id)?;
        let fresh = session.ask_within(limit, Observe).await;
        let mut view = self.tree().view(session.path())?;
        if let Ok(observable) = fresh {
            view.observable = observable;
        }
        Some(view)
    }

    /// Whether an account may read or write a chat, asked through its session's connection for at most `limit`.
    pub async fn look(&self, account: AccountId, place: Place, need: Need, limit: Duration) -> Look {
        let Some(session) = self.deps().links.sessions.get(&account) else {
            return Look::Unknown("the account has no session".to_owned());
        };
        let look = async {
            match session.ask(GetSender).await {
                Ok(Ok(lent)) => lent.sender.look(place, need).await,
                Ok(Err(why)) => Look::Unknown(why),
                Err(error) => Look::Unknown(error.to_string()),
            }
        };
        let late = || Look::Unknown(format!("the platform did not answer within {} ms", limit.as_millis()));
        tokio::time::timeout(limit, look).await.unwrap_or_else(|_| late())
    }

    /// What a user may send, as the running queues know it.
    #[must_use]
    pub fn allowance(&self, user: UserId) -> AllowanceView {
        self.deps().links.allowances.view(user, self.deps().now_ms())
    }

    /// Tells sessions of their owner, and waits until those that run took it in.
    async fn owner_changed(&self, accounts: &[Account], limit: Duration) {
        let sessions = accounts.iter().filter_map(|account| self.deps().links.sessions.get(&account.id));
        // One that does not take it reads how its owner stands when it starts.
        let told =
            sessions.map(|session| async move { session.ask_within(limit, OwnerChanged).await.is_ok() });
        futures_util::future::join_all(told).await;
    }

    fn pairs_changed(&self, pairs: &[Pair]) {
        for pair in pairs {
            if let Some(actor) = self.deps().links.pairs.get(&pair.id) {
                // An actor that does not take it reads the pair when it starts.
                let _ = actor.tell(pair::Changed);
            }
            self.deps().links.wake_queue(pair.target_account, pair.id);
        }
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
