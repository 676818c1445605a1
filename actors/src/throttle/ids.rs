//! Names of the limiter's things: lanes, tickets, grants.

use crate::model::Place;

/// A destination whose sends keep their order: a chat, or a thread of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane(Place);

impl From<Place> for Lane {
    fn from(place: Place) -> Self {
        Self(place)
    }
}

impl Lane {
    /// The destination.
    #[must_use]
    pub const fn place(self) -> Place {
        self.0
    }
}

/// A reservation that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TicketId(pub(super) u64);

/// The right to send once, until it is told how that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GrantId(pub(super) u64);
