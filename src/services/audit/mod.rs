//! The audit log: every change that staff or the operator ask for stands in it twice, before it is carried out and after.
//!
//! How a change gets there:
//!
//! 1. Before the handler runs, admission calls [`Audit::asked`] with who asks for what. If that cannot be written the order
//!    is refused: what is not on record does not happen.
//! 2. The handler says what changed: `before` and `after` of a [`Change`], as any serialisable view; in HTTP handlers by
//!    the extractor `Changes`. Both are cleaned of secrets ([`scrub`]) on their way in, so a view may be handed over as it is.
//! 3. Before the answer is sent, admission calls [`Audit::ended`] with the outcome. An entry `asked` without its second
//!    one is an order during which the daemon died: whether it was carried out is then to be looked up.

mod export;
pub mod scrub;
mod service;

use std::net::IpAddr;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::caller::Caller;
use super::fault::Fault;
use super::page::{Listed, Page};

pub use export::{csv_head, csv_line, ndjson_line};
pub use service::AuditLog;
pub(super) use service::entry;

/// An order that somebody asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Who.
    pub caller: Caller,
    /// From where.
    pub address: IpAddr,
    /// The request's id.
    pub request_id: String,
    /// The operation's id.
    pub action: String,
    /// What it is about: the path's parameters.
    pub target: Option<String>,
}

/// An order that is on record and not yet ended.
#[derive(Clone, Debug)]
pub struct OpenOrder {
    pub(super) order: Uuid,
    pub(super) actor: Actor,
    pub(super) asked: Asked,
}

/// What an order changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Change {
    /// What it was about, where the path does not say.
    pub target: Option<String>,
    /// How that was before.
    pub before: Option<Value>,
    /// How it is from then on.
    pub after: Option<Value>,
}

/// How an order ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was carried out, or taken on: the status.
    Done(u16),
    /// It was refused, or it failed: the problem's code.
    Failed(String),
}

/// Who acted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Actor {
    /// The operator on the daemon's own machine, by command line or token.
    Operator,
    /// One of the staff.
    Admin {
        /// Who.
        id: Uuid,
        /// The e-mail address at the time.
        email: String,
    },
    /// A user, about the security of their own account.
    User {
        /// Who.
        id: Uuid,
    },
}

/// At which end of an order an entry stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "AuditPhase")]
pub enum Phase {
    /// Written before the order was carried out.
    Asked,
    /// Written after it was.
    Done,
    /// Written after it was refused or failed.
    Failed,
}

/// One entry of the audit log. Secrets in it are `hmac-sha256:DIGEST`: equal secrets look equal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AuditEntry {
    /// Its number: 1, 2, 3… without a gap.
    pub seq: i64,
    /// The order that it belongs to: the same for both of its entries.
    pub order: Uuid,
    /// When it was written.
    pub at: DateTime<Utc>,
    /// At which end of the order.
    pub phase: Phase,
    /// Who acted.
    pub actor: Actor,
    /// From which address.
    pub address: String,
    /// The request's id.
    pub request_id: String,
    /// What was asked for: an operation's id.
    pub action: String,
    /// What it was about.
    pub target: Option<String>,
    /// How that was before.
    pub before: Option<Value>,
    /// How it is from then on.
    pub after: Option<Value>,
    /// How it ended: the status, or the problem's code.
    pub outcome: Option<String>,
    /// SHA-256 over this entry and the hash of the one before, in hex: an entry that is changed or gone breaks the chain.
    pub hash: String,
}

/// Which entries are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// `operator`, or the id of an admin or a user.
    pub actor: Option<ActorFilter>,
    /// Of this action.
    pub action: Option<String>,
    /// About this target.
    pub target: Option<String>,
    /// Not before this time.
    pub from: Option<DateTime<Utc>>,
    /// Before this time.
    pub to: Option<DateTime<Utc>>,
}

/// Whose entries are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActorFilter {
    /// The operator's.
    Operator,
    /// Those of the admin or user with this id.
    Id(Uuid),
}

impl std::str::FromStr for ActorFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "operator" {
            return Ok(Self::Operator);
        }
        text.parse().map(Self::Id).map_err(|_| "expected operator or the id of an admin or a user".to_owned())
    }
}

/// Keeps the record of what staff do.
#[async_trait]
pub trait Audit: Send + Sync {
    /// Puts on record that somebody asks for something. Without it the order must not be carried out.
    ///
    /// # Errors
    /// [`Fault::Unavailable`]: it is not on record.
    async fn asked(&self, asked: Asked) -> Result<OpenOrder, Fault>;

    /// Puts on record how it ended.
    ///
    /// # Errors
    /// [`Fault::Unavailable`]: only the first entry is there.
    async fn ended(&self, order: OpenOrder, outcome: Outcome, change: Change) -> Result<(), Fault>;

    /// Entries, newest first.
    ///
    /// # Errors
    /// [`Fault::Unavailable`].
    async fn entries(&self, query: &AuditQuery, page: Page<i64>) -> Result<Listed<AuditEntry, i64>, Fault>;

    /// Follows the whole chain of hashes; answers how many entries it has.
    ///
    /// # Errors
    /// [`Fault::Conflict`], naming the first entry that is missing or was changed; [`Fault::Unavailable`].
    async fn verify(&self) -> Result<i64, Fault>;
}
