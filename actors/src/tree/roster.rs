//! Who stands in the tree: adds and removes the actors of accounts and pairs, before and after it is started.

use super::deps::Deps;
use super::pair::{PairActor, PairArgs};
use super::queue::{QueueActor, QueueArgs};
use super::session::{SessionActor, SessionArgs};
use super::sign_in::SignIns;
use super::throttle::{Identity, ThrottleActor, ThrottleArgs};
use crate::model::{AccountId, PairId};
use crate::supervision::{AddError, Branch, Child, ChildSpec, Policy};

/// The dynamic branches of one tree. Cheap to clone; may be used from any thread.
#[derive(Clone)]
pub(super) struct Roster {
    pub(super) deps: Deps,
    pub(super) policy: Policy,
    pub(super) throttles: Branch,
    pub(super) queues: Branch,
    pub(super) pairs: Branch,
    pub(super) sessions: Branch,
    pub(super) sign_ins: SignIns,
}

impl Roster {
    /// Adds the throttle, the queue and the session of an account.
    pub(super) fn add_account(&self, id: AccountId) -> Result<(), AddError> {
        let (deps, links) = (&self.deps, &self.deps.links);
        let throttle = ThrottleArgs::new(Identity::Account(id), deps.clone());
        links.throttles.set(id, self.throttles.add::<ThrottleActor>(self.spec(id, throttle))?);
        let queue = QueueArgs { id, deps: deps.clone() };
        links.queues.set(id, self.queues.add::<QueueActor>(self.spec(id, queue))?);
        self.add_session(id)
    }

    /// Adds the session of an account whose other actors are there.
    pub(super) fn add_session(&self, id: AccountId) -> Result<(), AddError> {
        let session = SessionArgs { id, deps: self.deps.clone() };
        let session = self.sessions.add::<SessionActor>(self.spec(id, session))?;
        self.deps.links.sessions.set(id, session);
        Ok(())
    }

    /// Stops an account's session: from then on nothing uses its credentials but sends that are under way. False when
    /// it has none.
    pub(super) async fn remove_session(&self, id: AccountId) -> bool {
        let removed = self.sessions.remove(&id.to_string()).await;
        self.deps.links.sessions.remove(&id);
        removed
    }

    /// Stops an account's session, queue and throttle, in this order: each finishes what it has in hand.
    pub(super) async fn remove_account(&self, id: AccountId) {
        self.remove_session(id).await;
        self.queues.remove(&id.to_string()).await;
        self.deps.links.queues.remove(&id);
        self.throttles.remove(&id.to_string()).await;
        self.deps.links.throttles.remove(&id);
        self.deps.links.forget(id);
    }

    /// Adds a pair.
    pub(super) fn add_pair(&self, id: PairId) -> Result<(), AddError> {
        let args = PairArgs { id, deps: self.deps.clone() };
        self.deps.links.pairs.set(id, self.pairs.add::<PairActor>(self.spec(id, args))?);
        Ok(())
    }

    /// Stops a pair. False when it is not there.
    pub(super) async fn remove_pair(&self, id: PairId) -> bool {
        let removed = self.pairs.remove(&id.to_string()).await;
        self.deps.links.pairs.remove(&id);
        removed
    }

    fn spec<C: Child>(&self, id: impl ToString, args: C::Args) -> ChildSpec<C> {
        ChildSpec::new(id.to_string(), args).policy(self.policy.clone())
    }
}
