//! Who stands in the tree: adds and removes the actors of accounts and pairs, before and after it is started.

use super::deps::Deps;
use super::pair::{PairActor, PairArgs};
use super::queue::{QueueActor, QueueArgs};
use super::session::{SessionActor, SessionArgs};
use super::sign_in::SignIns;
use super::supervision::InForce;
use super::throttle::{Identity, ThrottleActor, ThrottleArgs};
use crate::model::{AccountId, PairId, UserId};
use crate::supervision::{AddError, Branch, Child, ChildSpec};

/// The dynamic branches of one tree. Cheap to clone; may be used from any thread.
#[derive(Clone)]
pub(super) struct Roster {
    pub(super) deps: Deps,
    pub(super) in_force: InForce,
    pub(super) throttles: Branch,
    pub(super) queues: Branch,
    pub(super) pairs: Branch,
    pub(super) sessions: Branch,
    pub(super) sign_ins: SignIns,
}

impl Roster {
    /// Adds the throttle, the queue and the session of an account of this user.
    pub(super) fn add_account(&self, id: AccountId, user: UserId) -> Result<(), AddError> {
        let (deps, links) = (&self.deps, &self.deps.links);
        let throttle = ThrottleArgs::new(Identity::Account(id), deps.clone());
        let throttle = self.in_force.add::<ThrottleActor>(&self.throttles, spec((id, user), throttle))?;
        links.throttles.set(id, throttle);
        let queue = QueueArgs { id, deps: deps.clone() };
        links.queues.set(id, self.in_force.add::<QueueActor>(&self.queues, spec((id, user), queue))?);
        self.add_session(id, user)
    }

    /// Adds the session of an account whose other actors are there.
    pub(super) fn add_session(&self, id: AccountId, user: UserId) -> Result<(), AddError> {
        let session = SessionArgs { id, deps: self.deps.clone() };
        let session = self.in_force.add::<SessionActor>(&self.sessions, spec((id, user), session))?;
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

    /// Adds a pair of this user.
    pub(super) fn add_pair(&self, id: PairId, user: UserId) -> Result<(), AddError> {
        let args = PairArgs { id, deps: self.deps.clone() };
        self.deps.links.pairs.set(id, self.in_force.add::<PairActor>(&self.pairs, spec((id, user), args))?);
        Ok(())
    }

    /// Stops a pair. False when it is not there.
    pub(super) async fn remove_pair(&self, id: PairId) -> bool {
        let removed = self.pairs.remove(&id.to_string()).await;
        self.deps.links.pairs.remove(&id);
        removed
    }
}

/// All that belongs to one user lives on one thread.
fn spec<C: Child>((id, user): (impl ToString, UserId), args: C::Args) -> ChildSpec<C> {
    ChildSpec::new(id.to_string(), args).shard_key(shard_key(user))
}

/// Ids are UUIDs of version 7, whose last eight bytes are random but for two bits (RFC 9562, 5.7).
fn shard_key(user: UserId) -> u64 {
    user.as_uuid().as_u64_pair().1
}
