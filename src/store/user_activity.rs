//! What happened around one user, newest first: entries of the audit log and domain events.

use sea_orm::sea_query::Condition;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use switchyard_actors::model::{DomainEvent, UserId};
use switchyard_actors::ports::StoreError;

use super::entity::{audit_log, domain_event};
use super::{AuditRow, Store, audit, domain_events};

impl Store {
    /// Entries about a user or by them, with numbers below `before`, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn audit_around(
        &self,
        user: UserId,
        before: Option<i64>,
        limit: u64,
    ) -> Result<Vec<AuditRow>, StoreError> {
        let around = Condition::any()
            .add(audit_log::Column::Target.eq(user.to_string()))
            .add(audit_log::Column::ActorId.eq(user.as_uuid()));
        let mut found = audit_log::Entity::find().filter(around);
        if let Some(before) = before {
            found = found.filter(audit_log::Column::Seq.lt(before));
        }
        let found = found.order_by_desc(audit_log::Column::Seq).limit(limit).all(&self.readers);
        self.read(found).await?.into_iter().map(audit::read_row).collect()
    }

    /// Events that concern a user, with numbers below `before`, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn events_around(
        &self,
        user: UserId,
        before: Option<i64>,
        limit: u64,
    ) -> Result<Vec<DomainEvent>, StoreError> {
        let mut found = domain_event::Entity::find().filter(domain_event::Column::UserId.eq(user.as_uuid()));
        if let Some(before) = before {
            found = found.filter(domain_event::Column::Id.lt(before));
        }
        let found = found.order_by_desc(domain_event::Column::Id).limit(limit).all(&self.readers);
        self.read(found).await?.into_iter().map(domain_events::read).collect()
    }
}
