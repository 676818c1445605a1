//! The audit log: entries in one order, each with a hash over itself and the one before. Nothing here changes or deletes
//! one, and triggers in the database refuse that to everybody.

use chrono::{DateTime, Utc};
use ring::digest::{SHA256, digest};
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use switchyard_actors::model::{AdminId, UserId};
use switchyard_actors::ports::StoreError;
use uuid::Uuid;

use super::entity::{audit_head, audit_log};
use super::error::{run_time, unreadable};
use super::{Store, time_of};

/// The one row of `audit_head`.
const HEAD: i32 = 1;

/// Who acted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditActor {
    /// The operator on the daemon's own machine.
    Operator,
    /// One of the staff, with the e-mail address at the time.
    Admin {
        /// Who.
        id: AdminId,
        /// By which name.
        email: String,
    },
    /// A user, about the security of their own account.
    User(UserId),
}

impl AuditActor {
    /// The word for the kind.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Admin { .. } => "admin",
            Self::User(_) => "user",
        }
    }

    /// The id; the operator has none.
    #[must_use]
    pub const fn id(&self) -> Option<Uuid> {
        match self {
            Self::Operator => None,
            Self::Admin { id, .. } => Some(id.as_uuid()),
            Self::User(id) => Some(id.as_uuid()),
        }
    }

    fn name(&self) -> Option<&str> {
        match self {
            Self::Admin { email, .. } => Some(email),
            Self::Operator | Self::User(_) => None,
        }
    }
}

/// At which end of an order an entry stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditPhase {
    /// Before it was carried out.
    Asked,
    /// After it was.
    Done,
    /// It was refused, or it failed.
    Failed,
}

impl AuditPhase {
    const ALL: [Self; 3] = [Self::Asked, Self::Done, Self::Failed];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

/// An entry that is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    /// The order that it belongs to.
    pub order: Uuid,
    /// At which end.
    pub phase: AuditPhase,
    /// Who acted.
    pub actor: AuditActor,
    /// From where.
    pub address: String,
    /// The request's id.
    pub request_id: String,
    /// What was asked for: an operation's id.
    pub action: String,
    /// What it was about.
    pub target: Option<String>,
    /// How that was before, as JSON without secrets.
    pub before: Option<String>,
    /// How it is from then on, as JSON without secrets.
    pub after: Option<String>,
    /// How it ended: a status, or a problem's code.
    pub outcome: Option<String>,
}

/// An entry that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// Its number: 1, 2, 3… without a gap.
    pub seq: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// What it says.
    pub record: AuditRecord,
    /// SHA-256 over this entry and the hash of the one before, in hex.
    pub hash: String,
}

/// Which entries are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Of an admin or a user with this id.
    pub actor: Option<Uuid>,
    /// Of actors of this kind.
    pub actor_kind: Option<String>,
    /// Of this action.
    pub action: Option<String>,
    /// About this target.
    pub target: Option<String>,
    /// Of this order.
    pub order: Option<Uuid>,
    /// Not before this time.
    pub from: Option<DateTime<Utc>>,
    /// Before this time.
    pub to: Option<DateTime<Utc>>,
}

impl Store {
    /// Appends an entry; answers its number when it is durable.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn append_audit(&self, record: AuditRecord) -> Result<i64, StoreError> {
        let now = self.now();
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                let previous = next_place(transaction).await?;
                let seq = previous.seq;
                let mut row = row_of(record, seq, now);
                row.hash = chained(&previous.hash, &row)?;
                audit_head::Entity::update_many()
                    .col_expr(audit_head::Column::Hash, Expr::value(row.hash.clone()))
                    .filter(audit_head::Column::Id.eq(HEAD))
                    .exec(transaction)
                    .await
                    .map_err(|failure| run_time(&failure))?;
                audit_log::Entity::insert(active(row))
                    .exec_without_returning(transaction)
                    .await
                    .map_err(|failure| run_time(&failure))?;
                Ok(seq)
            })
        });
        write.await
    }

    /// Entries before `before` (from the newest on where it is none), newest first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn audit_entries(
        &self,
        filter: &AuditFilter,
        before: Option<i64>,
        limit: u64,
    ) -> Result<Vec<AuditRow>, StoreError> {
        let mut found = audit_log::Entity::find();
        if let Some(actor) = filter.actor {
            found = found.filter(audit_log::Column::ActorId.eq(actor));
        }
        if let Some(kind) = &filter.actor_kind {
            found = found.filter(audit_log::Column::ActorKind.eq(kind));
        }
        if let Some(action) = &filter.action {
            found = found.filter(audit_log::Column::Action.eq(action));
        }
        if let Some(target) = &filter.target {
            found = found.filter(audit_log::Column::Target.eq(target));
        }
        if let Some(order) = filter.order {
            found = found.filter(audit_log::Column::OrderId.eq(order));
        }
        if let Some(from) = filter.from {
            found = found.filter(audit_log::Column::At.gte(from.timestamp_millis()));
        }
        if let Some(to) = filter.to {
            found = found.filter(audit_log::Column::At.lt(to.timestamp_millis()));
        }
        if let Some(before) = before {
            found = found.filter(audit_log::Column::Seq.lt(before));
        }
        let found = found.order_by_desc(audit_log::Column::Seq).limit(limit).all(&self.readers);
        self.read(found).await?.into_iter().map(read_row).collect()
    }

    /// Follows the chain through at most `limit` entries after number `after`, whose hash was `hash`; answers the last
    /// number and hash that were looked at, which are those given when there is nothing more.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], naming the first entry that is missing or was changed.
    pub async fn verify_audit(
        &self,
        after: i64,
        hash: &str,
        limit: u64,
    ) -> Result<(i64, String), StoreError> {
        let rows = audit_log::Entity::find()
            .filter(audit_log::Column::Seq.gt(after))
            .order_by_asc(audit_log::Column::Seq)
            .limit(limit)
            .all(&self.readers);
        // Before the entries: what is appended meanwhile is behind it.
        let head = self.read(audit_head::Entity::find_by_id(HEAD).one(&self.readers)).await?;
        let head = head.ok_or_else(|| unreadable("audit log", "it has no head"))?;
        let rows = self.read(rows).await?;
        if rows.is_empty() && (head.seq > after || (head.seq == after && head.hash != hash)) {
            return Err(unreadable("audit log", format!("entry {} is missing", after + 1)));
        }
        let (mut seq, mut hash) = (after, hash.to_owned());
        for row in rows {
            if row.seq != seq + 1 {
                return Err(unreadable("audit log", format!("entry {} is missing", seq + 1)));
            }
            if chained(&hash, &row)? != row.hash {
                return Err(unreadable("audit log", format!("entry {} was changed", row.seq)));
            }
            (seq, hash) = (row.seq, row.hash);
        }
        Ok((seq, hash))
    }
}

/// Takes the next number. The lock on the head's row is held until the commit, so entries of all nodes are in one order.
async fn next_place(transaction: &DatabaseTransaction) -> Result<audit_head::Model, StoreError> {
    audit_head::Entity::update_many()
        .col_expr(audit_head::Column::Seq, Expr::col(audit_head::Column::Seq).add(1))
        .filter(audit_head::Column::Id.eq(HEAD))
        .exec(transaction)
        .await
        .map_err(|failure| run_time(&failure))?;
    let head = audit_head::Entity::find_by_id(HEAD).one(transaction).await;
    head.map_err(|failure| run_time(&failure))?.ok_or_else(|| unreadable("audit log", "it has no head"))
}

fn row_of(record: AuditRecord, seq: i64, at: i64) -> audit_log::Model {
    audit_log::Model {
        seq,
        order_id: record.order,
        at,
        phase: record.phase.as_str().to_owned(),
        actor_kind: record.actor.kind().to_owned(),
        actor_id: record.actor.id(),
        actor_name: record.actor.name().map(str::to_owned),
        address: record.address,
        request_id: record.request_id,
        action: record.action,
        target: record.target,
        before: record.before,
        after: record.after,
        outcome: record.outcome,
        hash: String::new(),
    }
}

/// SHA-256 over a JSON array of the hash before and every column but the hash, in the order of the columns.
fn chained(previous: &str, row: &audit_log::Model) -> Result<String, StoreError> {
    let who = (&row.actor_kind, row.actor_id, &row.actor_name, &row.address, &row.request_id);
    let what = (&row.action, &row.target, &row.before, &row.after, &row.outcome);
    let text = serde_json::to_vec(&(previous, row.seq, row.order_id, row.at, &row.phase, who, what));
    let text = text.map_err(|failure| unreadable("audit log", failure))?;
    Ok(hex::encode(digest(&SHA256, &text)))
}

fn active(row: audit_log::Model) -> audit_log::ActiveModel {
    audit_log::ActiveModel {
        seq: Set(row.seq),
        order_id: Set(row.order_id),
        at: Set(row.at),
        phase: Set(row.phase),
        actor_kind: Set(row.actor_kind),
        actor_id: Set(row.actor_id),
        actor_name: Set(row.actor_name),
        address: Set(row.address),
        request_id: Set(row.request_id),
        action: Set(row.action),
        target: Set(row.target),
        before: Set(row.before),
        after: Set(row.after),
        outcome: Set(row.outcome),
        hash: Set(row.hash),
    }
}

pub(super) fn read_row(row: audit_log::Model) -> Result<AuditRow, StoreError> {
    let actor = match (row.actor_kind.as_str(), row.actor_id) {
        ("operator", None) => AuditActor::Operator,
        ("admin", Some(id)) => {
            AuditActor::Admin { id: AdminId::from_uuid(id), email: row.actor_name.unwrap_or_default() }
        }
        ("user", Some(id)) => AuditActor::User(UserId::from_uuid(id)),
        (kind, _) => return Err(unreadable("audit log", format!("unknown actor {kind:?}"))),
    };
    let phase = AuditPhase::ALL.into_iter().find(|phase| phase.as_str() == row.phase);
    let phase = phase.ok_or_else(|| unreadable("audit log", format!("unknown phase {:?}", row.phase)))?;
    let record = AuditRecord {
        order: row.order_id,
        phase,
        actor,
        address: row.address,
        request_id: row.request_id,
        action: row.action,
        target: row.target,
        before: row.before,
        after: row.after,
        outcome: row.outcome,
    };
    Ok(AuditRow { seq: row.seq, at: time_of(row.at), record, hash: row.hash })
}
