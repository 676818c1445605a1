//! Identifiers: UUIDv7 newtypes, one type per thing, and the source that makes them.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ports::{Clock, Rng};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        #[schemars(inline)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps an identifier that was made elsewhere (a stored row, a request).
            #[must_use]
            pub const fn from_uuid(id: Uuid) -> Self {
                Self(id)
            }

            /// The bare UUID, for columns and wire formats.
            #[must_use]
            pub const fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

id!(
    /// A paying or free user, the owner of accounts and pairs.
    UserId
);
id!(
    /// A connected platform account; also the id of its session and, as a target, of its queue.
    AccountId
);
id!(
    /// A forwarding pair: one source chat to one target chat.
    PairId
);
id!(
    /// A platform event accepted by intake.
    EventId
);
id!(
    /// What one pair does with one event.
    RouteId
);
id!(
    /// A message on its way to a target, in one or more parts.
    DeliveryId
);
id!(
    /// An entry of the alert stream.
    AlertId
);
id!(
    /// A daemon's data folder; it survives restarts.
    NodeId
);

id!(
    /// Somebody of the staff, with a role.
    AdminId
);
id!(
    /// One sign-in of a user or of an admin: a chain of refresh tokens.
    LoginSessionId
);
id!(
    /// A key that a user's program calls the API with.
    ApiKeyId
);
id!(
    /// Long work that goes on by itself and shows its progress.
    JobId
);
id!(
    /// A text to many recipients.
    AnnouncementId
);

/// Fencing token: grows with every assignment of an account to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(i64);

impl Epoch {
    /// Wraps a stored epoch.
    #[must_use]
    pub const fn new(value: i64) -> Self {
        Self(value)
    }

    /// The stored number.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }
}

/// The right to write for an account: every intake and outbox write names it, and the store refuses an old one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fence {
    /// The account that is written for.
    pub account: AccountId,
    /// The node that owns the account.
    pub node: NodeId,
    /// The assignment under which it owns it.
    pub epoch: Epoch,
}

/// Makes UUIDv7 identifiers from the injected clock and randomness (RFC 9562, section 5.7).
#[derive(Clone)]
pub struct IdSource {
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
}

impl IdSource {
    /// An id source over the system's one clock and one source of randomness.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, rng: Arc<dyn Rng>) -> Self {
        Self { clock, rng }
    }

    /// A new UUIDv7.
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        let millis = u64::try_from(self.clock.now().timestamp_millis()).unwrap_or(0);
        let mut random = [0_u8; 10];
        self.rng.fill(&mut random);
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }
}
