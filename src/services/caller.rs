//! On whose behalf something is asked for.

use switchyard_actors::model::UserId;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// The operator, who may act for every user.
    Operator,
    /// A user, who sees and changes what is theirs.
    User(UserId),
}

impl Caller {
    /// Whether something of this owner is the caller's affair.
    #[must_use]
    pub fn reaches(self, owner: UserId) -> bool {
        match self {
            Self::Operator => true,
            Self::User(id) => id == owner,
        }
    }
}
