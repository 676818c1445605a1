//! The outbox of domain events: written in the transaction of the change, read in the order of commits, bounded by age.
//!
//! A reader goes by the last number that it saw, so no event may appear below one that was seen. SQLite has one writer. On
//! PostgreSQL numbers are drawn under a lock that is held until the commit: whoever publishes does so **last** in its
//! transaction, so that nobody who holds the lock waits for anything else. The foreign key to its user is the one lock that
//! an event itself needs, so the user's row is held first.

use std::collections::{BTreeSet, HashSet};

use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::sea_query::{LockType, OnConflict};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect,
};
use serde_json::{Value, json};
use switchyard_actors::model::{Audience, DomainEvent, NewDomainEvent, Topic, UserId};
use switchyard_actors::ports::StoreError;
use uuid::Uuid;

use super::entity::{domain_event, store_meta, user};
use super::error::{run_time, unreadable};
use super::{Store, rows, time_of};

/// Held while numbers are drawn, until the commit ("swevents" in ASCII).
const TURN: &str = "SELECT pg_advisory_xact_lock(8319119974213874803)";

/// Name under which the highest number that was purged is kept.
const PURGED: &str = "events_purged";

/// Rows that one statement may write.
const ROWS_MAX: usize = 500;

/// Which events are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventQuery {
    /// Only of this user; and where the asker is that user, only what is for users.
    pub user: Option<UserId>,
    /// Only what users may hear of.
    pub for_users: bool,
    /// Only these topics; all when empty.
    pub topics: Vec<Topic>,
}

/// How far the outbox reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventBounds {
    /// Everything up to this number may be gone.
    pub purged: i64,
    /// The newest number.
    pub newest: i64,
}

/// Writes events, in a transaction whose last act this is. Those of users who are gone are dropped.
pub(super) async fn publish(
    transaction: &DatabaseTransaction,
    events: &[NewDomainEvent],
    now: i64,
) -> Result<(), StoreError> {
    if events.is_empty() {
        return Ok(());
    }
    let failed = |failure| run_time(&failure);
    let known = hold_owners(transaction, events).await?;
    let kept: Vec<_> =
        events.iter().filter(|event| event.user.is_none_or(|user| known.contains(&user.as_uuid()))).collect();
    if kept.is_empty() {
        return Ok(());
    }
    if transaction.get_database_backend() == DbBackend::Postgres {
        transaction.execute_unprepared(TURN).await.map_err(failed)?;
    }
    for rows in kept.chunks(ROWS_MAX) {
        let rows = rows.iter().map(|event| domain_event::ActiveModel {
            id: NotSet,
            at: Set(now),
            topic: Set(event.topic.as_str().to_owned()),
            audience: Set(event.audience.as_str().to_owned()),
            user_id: Set(event.user.map(|user| user.as_uuid())),
            subject: Set(event.subject.clone()),
            body: Set(event.body.to_string()),
        });
        domain_event::Entity::insert_many(rows).exec_without_returning(transaction).await.map_err(failed)?;
    }
    Ok(())
}

/// As [`publish`], for one event.
pub(super) async fn publish_one(
    transaction: &DatabaseTransaction,
    event: NewDomainEvent,
    now: i64,
) -> Result<(), StoreError> {
    publish(transaction, &[event], now).await
}

/// What streams are told of a user; of whoever is gone already, the staff alone are told.
pub(super) fn of_user(topic: Topic, user: UserId, mut more: Value) -> NewDomainEvent {
    let gone = topic == Topic::UserDeleted;
    if let Some(body) = more.as_object_mut() {
        body.insert("user".to_owned(), json!(user));
    }
    NewDomainEvent {
        topic,
        user: (!gone).then_some(user),
        audience: if gone { Audience::Staff } else { Audience::User },
        subject: format!("users/{user}"),
        body: more,
    }
}

/// Holds the users whom events are about, until the commit, in the order of their ids; answers who is still there.
///
/// To be called before the first event of a transaction that publishes more than once.
pub(super) async fn hold_owners(
    transaction: &DatabaseTransaction,
    events: &[NewDomainEvent],
) -> Result<HashSet<Uuid>, StoreError> {
    let named: BTreeSet<Uuid> = events.iter().filter_map(|event| Some(event.user?.as_uuid())).collect();
    let mut known = HashSet::new();
    let named: Vec<Uuid> = named.into_iter().collect();
    for some in named.chunks(ROWS_MAX) {
        let found = user::Entity::find()
            .filter(user::Column::Id.is_in(some.iter().copied()))
            .select_only()
            .column(user::Column::Id)
            .order_by_asc(user::Column::Id)
            // What the foreign key of an event takes: it does not wait for changes that leave the id alone.
            .lock(LockType::KeyShare)
            .into_tuple::<Uuid>()
            .all(transaction)
            .await
            .map_err(|failure| run_time(&failure))?;
        known.extend(found);
    }
    Ok(known)
}

impl Store {
    /// Writes events that belong to no other change.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn publish_events(&self, events: Vec<NewDomainEvent>) -> Result<(), StoreError> {
        let now = self.now();
        let write = self
            .writer
            .run(move |transaction| Box::pin(async move { publish(transaction, &events, now).await }));
        write.await
    }

    /// Events with numbers above `after`, oldest first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn events_after(
        &self,
        query: &EventQuery,
        after: i64,
        limit: u64,
    ) -> Result<Vec<DomainEvent>, StoreError> {
        let mut found = domain_event::Entity::find()
            .filter(domain_event::Column::Id.gt(after))
            .order_by_asc(domain_event::Column::Id)
            .limit(limit);
        if let Some(user) = query.user {
            found = found.filter(domain_event::Column::UserId.eq(user.as_uuid()));
        }
        if query.for_users {
            found = found.filter(domain_event::Column::Audience.eq(Audience::User.as_str()));
        }
        if !query.topics.is_empty() {
            let topics = query.topics.iter().map(|topic| topic.as_str());
            found = found.filter(domain_event::Column::Topic.is_in(topics));
        }
        self.read(found.all(&self.readers)).await?.into_iter().map(read).collect()
    }

    /// How far the outbox reaches. Asked *after* events were read, it tells whether some were gone already.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn event_bounds(&self) -> Result<EventBounds, StoreError> {
        let newest = domain_event::Entity::find()
            .order_by_desc(domain_event::Column::Id)
            .select_only()
            .column(domain_event::Column::Id)
            .into_tuple::<i64>();
        let newest = self.read(newest.one(&self.readers)).await?;
        let purged = self.read(store_meta::Entity::find_by_id(PURGED).one(&self.readers)).await?;
        let purged = purged.map_or(Ok(0), |row| row.value.parse::<i64>());
        let purged = purged.map_err(|failure| unreadable("number of the last purged event", failure))?;
        Ok(EventBounds { purged, newest: newest.unwrap_or(0).max(purged) })
    }

    /// Deletes events from before a time, at most `limit`; answers how many went.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn purge_events(&self, before: i64, limit: u64) -> Result<u64, StoreError> {
        let oldest = domain_event::Entity::find()
            .filter(domain_event::Column::At.lt(before))
            .order_by_asc(domain_event::Column::Id)
            .limit(limit)
            .select_only()
            .column(domain_event::Column::Id)
            .into_tuple::<i64>();
        let oldest = self.read(oldest.all(&self.readers)).await?;
        let Some(last) = oldest.last().copied() else { return Ok(0) };
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                let failed = |failure| run_time(&failure);
                let row =
                    store_meta::ActiveModel { name: Set(PURGED.to_owned()), value: Set(last.to_string()) };
                store_meta::Entity::insert(row)
                    .on_conflict(
                        OnConflict::column(store_meta::Column::Name)
                            .update_column(store_meta::Column::Value)
                            .to_owned(),
                    )
                    .exec_without_returning(transaction)
                    .await
                    .map_err(failed)?;
                let gone = domain_event::Entity::delete_many()
                    .filter(domain_event::Column::Id.lte(last))
                    .filter(domain_event::Column::At.lt(before))
                    .exec(transaction)
                    .await
                    .map_err(failed)?;
                Ok(gone.rows_affected)
            })
        });
        write.await
    }
}

pub(super) fn read(row: domain_event::Model) -> Result<DomainEvent, StoreError> {
    Ok(DomainEvent {
        id: row.id,
        at: time_of(row.at),
        topic: rows::word(&row.topic)?,
        user: row.user_id.map(UserId::from_uuid),
        staff_only: rows::word::<Audience>(&row.audience)? == Audience::Staff,
        subject: row.subject,
        data: serde_json::from_str(&row.body).map_err(|failure| unreadable("event", failure))?,
    })
}
