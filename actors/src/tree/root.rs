//! Builds the tree, fills it from the store, and carries out an operator's orders.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use thiserror::Error;
use tokio::time::Instant;

use super::alerts::AlertSink;
use super::deps::Deps;
use super::notifier::Notifier;
use super::queue::{PausesChanged, Release};
use super::roster::Roster;
use super::scheduler::Scheduler;
use super::session::{GetChats, Reconnect, ReconnectAnswer};
use super::sign_in::SignIns;
use super::supervision::{InForce, SuperviseError, Supervision};
use super::throttle::{Identity, ThrottleActor, ThrottleArgs};
use crate::model::{AccountId, AccountState, PairId, PauseCause};
use crate::ports::{ChatDirectory, StoreError};
use crate::supervision::{
    AddError, AskError, BranchSpec, Child, ChildPath, ChildRef, ChildSpec, DrainReport, NodeState,
    OrderError, Runtime, RuntimeConfig, RuntimeError, Tree,
};

/// Why the tree could not be built or filled.
#[derive(Debug, Error)]
pub enum RootError {
    /// The runtime refused.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// A child was refused.
    #[error(transparent)]
    Add(#[from] AddError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a restart was not carried out.
#[derive(Debug, Error)]
pub enum RestartError {
    /// It cannot be ordered now.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a reconnect was not carried out.
#[derive(Debug, Error)]
pub enum ReconnectError {
    /// No such account.
    #[error("no session of account {0}")]
    NotFound(AccountId),
    /// The platform ended the session: a reconnect cannot help.
    #[error("account {0} needs login: the platform ended its session")]
    NeedsLogin(AccountId),
    /// Its owner is suspended.
    #[error("account {0} stands still: its owner is suspended")]
    Suspended(AccountId),
    /// The session cannot be ordered now.
    #[error("session cannot be restarted: {0}")]
    Order(#[from] OrderError),
    /// The session gave no answer.
    #[error("session gave no answer: {0}")]
    NoAnswer(#[from] AskError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The whole tree of one daemon.
pub struct Root {
    runtime: Runtime,
    roster: Roster,
}

impl Root {
    /// Builds the branches and the permanent actors, in the order in which they start. Nothing runs yet.
    ///
    /// # Errors
    /// [`RootError`].
    pub fn build(deps: Deps, supervision: Supervision, config: RuntimeConfig) -> Result<Self, RootError> {
        let clock = Arc::clone(&deps.clock);
        let sink = Arc::new(AlertSink::new(&deps));
        let runtime = Runtime::new(config, Arc::new(move || clock.now()), sink)?;
        let root = runtime.root();
        let dynamic = |id: &str| root.add_branch(BranchSpec::dynamic(id));
        let users = |id: &str| root.add_branch(BranchSpec::dynamic(id).limits(supervision.branch));
        let in_force = InForce::new(supervision.clone());
        let throttles = users("throttles")?;
        let egress = throttles.add_branch(BranchSpec::dynamic("egress"))?;
        let identity = Identity::Egress(Identity::DIRECT.to_owned());
        let direct = ChildSpec::new(Identity::DIRECT, ThrottleArgs::new(identity, deps.clone()));
        let direct = in_force.add::<ThrottleActor>(&egress, direct)?;
        deps.links.egress.set(Identity::DIRECT.to_owned(), direct);
        let notifier = ChildSpec::new("notifier", deps.clone());
        deps.links.set_notifier(in_force.add::<Notifier>(&root, notifier)?);
        in_force.add::<Scheduler>(&root, ChildSpec::new("scheduler", deps.clone()))?;
        let queues = users("queues")?;
        let pairs = users("pairs")?;
        let sessions = users("sessions")?;
        let sign_ins = SignIns::new(dynamic("sign-ins")?, in_force.clone(), deps.clone());
        Ok(Self { runtime, roster: Roster { deps, in_force, throttles, queues, pairs, sessions, sign_ins } })
    }

    /// Adds a permanent child below the root, after those that are there: the HTTP server.
    ///
    /// # Errors
    /// [`RootError::Add`].
    pub fn add<C: Child>(&self, id: &str, args: C::Args) -> Result<ChildRef<C>, RootError> {
        Ok(self.roster.in_force.add(&self.runtime.root(), ChildSpec::new(id, args))?)
    }

    /// Takes the node's lease and adds an actor for every account and pair of the store.
    ///
    /// # Errors
    /// [`RootError`].
    pub async fn fill(&self) -> Result<(), RootError> {
        let (deps, asked) = (&self.roster.deps, Instant::now());
        deps.store.renew(deps.config.lease_ttl).await?;
        deps.links.set_lease(asked + deps.config.lease_ttl);
        for account in deps.store.accounts().await? {
            self.roster.add_account(account.id, account.user)?;
        }
        for pair in deps.store.pairs().await? {
            self.roster.add_pair(pair.id, pair.user)?;
        }
        Ok(())
    }

    /// Starts the tree in order; ends when every child of the root had its first attempt.
    pub fn start(&self) -> impl Future<Output = ()> + Send + use<> {
        self.runtime.start()
    }

    /// Waits until every session had its first attempt to connect, for at most `limit`: what is written at a source
    /// from then on is seen. Answers whether all had.
    ///
    /// # Errors
    /// [`RootError::Store`].
    pub async fn connected(&self, limit: Duration) -> Result<bool, RootError> {
        let accounts: Vec<_> =
            self.roster.deps.store.accounts().await?.into_iter().map(|account| account.id).collect();
        Ok(tokio::time::timeout(limit, self.roster.deps.links.all_attempted(&accounts)).await.is_ok())
    }

    /// The view.
    #[must_use]
    pub fn tree(&self) -> Tree {
        self.runtime.tree()
    }

    /// An operator's way in, for any thread.
    #[must_use]
    pub fn operator(&self) -> Operator {
        Operator { tree: self.runtime.tree(), roster: self.roster.clone() }
    }

    /// Ends, with the error, when the store cannot be used any more.
    pub fn store_lost(&self) -> impl Future<Output = String> + Send + use<> {
        self.roster.deps.links.store_lost()
    }

    /// Stops the tree in reverse order within `limit`.
    pub fn drain(&self, limit: Duration) -> impl Future<Output = DrainReport> + Send + use<> {
        self.runtime.drain(limit)
    }

    /// Ends everything at once.
    pub fn kill(&self) {
        self.runtime.kill();
    }
}

/// Carries out an operator's orders; may be used from any thread.
#[derive(Clone)]
pub struct Operator {
    tree: Tree,
    roster: Roster,
}

impl Operator {
    /// The view.
    #[must_use]
    pub const fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Children and branches go by other limits from now on; what runs is not disturbed.
    ///
    /// # Errors
    /// [`SuperviseError`]; then nothing is changed.
    pub fn supervise(&self, next: Supervision) -> Result<(), SuperviseError> {
        let Roster { throttles, queues, pairs, sessions, .. } = &self.roster;
        self.roster.in_force.replace(next, &self.tree, &[throttles, queues, pairs, sessions])
    }

    pub(super) const fn roster(&self) -> &Roster {
        &self.roster
    }

    pub(super) const fn deps(&self) -> &Deps {
        &self.roster.deps
    }

    /// Alerts that were given up before they were written to the store; each is in the log.
    #[must_use]
    pub fn alerts_lost(&self) -> u64 {
        self.roster.deps.links.alerts_lost()
    }

    /// The sign-ins under way.
    #[must_use]
    pub const fn sign_ins(&self) -> &SignIns {
        &self.roster.sign_ins
    }

    /// What names the chats of a connected account; `None` where the account has no choice.
    ///
    /// # Errors
    /// Why it cannot be asked now, in words.
    pub async fn chats(&self, id: AccountId) -> Result<Option<Arc<dyn ChatDirectory>>, String> {
        let session = self.deps().links.sessions.get(&id).ok_or("it has no session")?;
        session.ask(GetChats).await.map_err(|error| error.to_string())?
    }

    /// Whether the node's lease lasts: without it nothing is sent, and nothing new is connected.
    #[must_use]
    pub fn lease_lasts(&self) -> bool {
        self.deps().links.lease_lasts(Duration::ZERO)
    }

    /// Restarts an actor. A pair that is paused because its target refused it is tried again: that is what an operator asks
    /// for by it.
    ///
    /// # Errors
    /// [`RestartError`].
    pub async fn restart(&self, path: &ChildPath) -> Result<(), RestartError> {
        if let Some(id) = path.as_str().strip_prefix("pairs/").and_then(|id| id.parse::<PairId>().ok())
            && self.tree.view(path).is_some()
        {
            let pair = self.deps().store.pair(id).await?;
            if pair.paused.contains(&PauseCause::Permission) {
                self.deps().store.set_pause(id, PauseCause::Permission, false).await?;
                self.deps().links.wake_queue(pair.target_account, id);
            }
        }
        Ok(self.tree.restart(path)?)
    }

    /// A queue was paused or resumed in the store: it keeps to that at once. After the answer to a pause it begins no send.
    ///
    /// # Errors
    /// [`ReconnectError::NotFound`] without such a queue; [`ReconnectError::NoAnswer`] when it does not run now: it reads its
    /// pauses when it starts.
    pub async fn queue_pauses_changed(&self, id: AccountId) -> Result<(), ReconnectError> {
        let queue = self.deps().links.queues.get(&id).ok_or(ReconnectError::NotFound(id))?;
        Ok(queue.ask(PausesChanged).await??)
    }

    /// A lane of a queue may have new work.
    pub fn wake_lane(&self, account: AccountId, pair: PairId) {
        self.deps().links.wake_queue(account, pair);
    }

    /// Connects an account's session anew. Never shortens a platform's wait; lifts a quarantine, for that is what an
    /// operator asks for by it.
    ///
    /// # Errors
    /// [`ReconnectError`].
    pub async fn reconnect(&self, id: AccountId) -> Result<Reconnected, ReconnectError> {
        self.deps().links.sessions.get(&id).ok_or(ReconnectError::NotFound(id))?;
        let account = self.deps().store.account(id).await?;
        match account.state {
            AccountState::NeedsLogin => return Err(ReconnectError::NeedsLogin(id)),
            AccountState::Quarantined => {
                self.deps().store.set_account_state(id, AccountState::Active).await?;
                if let Some(queue) = self.deps().links.queues.get(&id) {
                    // A queue that does not take it reads the account's state when it starts.
                    let _ = queue.tell(Release);
                }
            }
            AccountState::Active => {}
        }
        self.reconnect_session(id).await
    }

    /// Connects an account's session anew, whatever its state in the store: by another way, or for another role. Never
    /// shortens a platform's wait, and lifts no quarantine and no suspension.
    ///
    /// # Errors
    /// [`ReconnectError`].
    pub async fn reconnect_session(&self, id: AccountId) -> Result<Reconnected, ReconnectError> {
        let session = self.deps().links.sessions.get(&id).ok_or(ReconnectError::NotFound(id))?;
        let account = self.deps().store.account(id).await?;
        if self.deps().store.standing(account.user).await?.suspended {
            return Err(ReconnectError::Suspended(id));
        }
        if session.status() == NodeState::Parked {
            self.tree.restart(session.path())?;
            return Ok(Reconnected::Connecting);
        }
        Ok(match session.ask(Reconnect).await? {
            ReconnectAnswer::Connecting => Reconnected::Connecting,
            ReconnectAnswer::Waiting(until) => Reconnected::WaitingUntil(until),
            ReconnectAnswer::Suspended => return Err(ReconnectError::Suspended(id)),
        })
    }
}

/// What a reconnect came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reconnected {
    /// It connects now.
    Connecting,
    /// The platform asked to wait until then.
    WaitingUntil(DateTime<Utc>),
}
