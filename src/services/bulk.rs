//! The same to all pairs of a user, pair by pair, as one job.

use std::sync::Arc;

use async_trait::async_trait;
use switchyard_actors::model::{PairId, UserId};
use switchyard_actors::ports::Directory;

use super::caller::Caller;
use super::fault::Fault;
use super::pairs::Pairs;
use super::work::{Item, JobDesk, JobKind, JobView};
use crate::store::Store;

/// What is done to every pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PairVerb {
    /// Pauses it for the staff's cause.
    Pause,
    /// Lifts that.
    Resume,
    /// Deletes it.
    Delete,
}

impl PairVerb {
    /// Every verb.
    pub const ALL: [Self; 3] = [Self::Pause, Self::Resume, Self::Delete];

    /// The word in API and command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Delete => "delete",
        }
    }

    /// The kind of its job.
    #[must_use]
    pub const fn kind(self) -> JobKind {
        match self {
            Self::Pause => JobKind::PausePairs,
            Self::Resume => JobKind::ResumePairs,
            Self::Delete => JobKind::DeletePairs,
        }
    }
}

/// Does it to one pair, on behalf of the staff. A pair that is gone needs nothing more.
pub struct PairItem {
    /// The pairs.
    pub pairs: Arc<dyn Pairs>,
    /// What is done.
    pub verb: PairVerb,
}

#[async_trait]
impl Item for PairItem {
    async fn carry_out(&self, item: &str) -> Result<(), Fault> {
        let id: PairId = item.parse().map_err(|_| Fault::NotFound(format!("pair {item}")))?;
        let done = match self.verb {
            PairVerb::Pause => self.pairs.pause(Caller::Operator, id).await.map(drop),
            PairVerb::Resume => self.pairs.resume(Caller::Operator, id).await.map(drop),
            PairVerb::Delete => self.pairs.remove(Caller::Operator, id).await,
        };
        match done {
            Err(Fault::NotFound(_)) => Ok(()),
            other => other,
        }
    }
}

/// Orders such jobs.
#[async_trait]
pub trait Bulk: Send + Sync {
    /// Does it to all pairs that the user has now.
    ///
    /// # Errors
    /// [`Fault::NotFound`] without the user.
    async fn all_pairs(&self, caller: Caller, user: UserId, verb: PairVerb) -> Result<JobView, Fault>;
}

/// Over store and jobs.
pub struct BulkService {
    /// The store.
    pub store: Store,
    /// The jobs.
    pub jobs: JobDesk,
}

#[async_trait]
impl Bulk for BulkService {
    async fn all_pairs(&self, caller: Caller, user: UserId, verb: PairVerb) -> Result<JobView, Fault> {
        if !self.store.has_user(user).await? {
            return Err(Fault::NotFound(format!("user {user}")));
        }
        let pairs = self.store.pairs_of(user).await?;
        let items: Vec<String> = pairs.into_iter().map(|pair| pair.id.to_string()).collect();
        self.jobs.order_each(caller, verb.kind(), &items).await
    }
}
