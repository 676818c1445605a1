//! What the domain asks about users: may anything of theirs run, and how much of their plan is used.

use async_trait::async_trait;

use super::StoreError;
use crate::model::{Day, Standing, Usage, UserId};

/// Users as the tree sees them.
#[async_trait]
pub trait Standings: Send + Sync {
    /// How a user stands, read anew.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn standing(&self, user: UserId) -> Result<Standing, StoreError>;

    /// What a user used of a day's messages, with what is under way.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn usage(&self, user: UserId, day: Day) -> Result<Usage, StoreError>;

    /// Notes that a user is told of a day's limit; true for the first who asks, also across restarts.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn tell_limit(&self, user: UserId, day: Day) -> Result<bool, StoreError>;
}
