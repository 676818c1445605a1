//! The audit log over the store.

use async_trait::async_trait;
use serde_json::Value;
use switchyard_actors::model::{AdminId, IdSource, UserId};
use switchyard_actors::ports::StoreError;
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::scrub::{PURPOSE, Scrubber};
use super::{Actor, ActorFilter, Asked, Audit, AuditEntry, AuditQuery, Change, OpenOrder, Outcome, Phase};
use crate::services::caller::Caller;
use crate::services::fault::{Fault, store_said};
use crate::services::page::{Listed, PAGE_MAX, Page};
use crate::store::{AuditActor, AuditFilter, AuditPhase, AuditRecord, AuditRow, Store};

/// Longest text of a single field, in bytes: paths and ids of requests are shorter.
const FIELD_MAX: usize = 512;

/// The audit log.
pub struct AuditLog {
    store: Store,
    ids: IdSource,
    value_max: usize,
    scrubber: OnceCell<Scrubber>,
}

impl AuditLog {
    /// Over a store. Of values longer than `value_max` bytes of JSON the hash is kept.
    #[must_use]
    pub fn new(store: Store, ids: IdSource, value_max: usize) -> Self {
        Self { store, ids, value_max, scrubber: OnceCell::new() }
    }

    /// The key of its hashes is the store's, the same on every node.
    async fn scrubber(&self) -> Result<&Scrubber, StoreError> {
        let make = || async { Ok(Scrubber::new(&*self.store.derive(PURPOSE).await?, self.value_max)) };
        self.scrubber.get_or_try_init(make).await
    }

    async fn actor(&self, caller: Caller) -> Result<Actor, StoreError> {
        Ok(match caller {
            Caller::Operator => Actor::Operator,
            Caller::User(id) => Actor::User { id: id.as_uuid() },
            Caller::Admin(id, _) => {
                let email = self.store.admin_email(id).await?.unwrap_or_default();
                Actor::Admin { id: id.as_uuid(), email }
            }
        })
    }

    async fn record(&self, order: &OpenOrder, phase: AuditPhase) -> Result<AuditRecord, StoreError> {
        let scrubber = self.scrubber().await?;
        let field = |text: &str| scrubber.clean_text(&cut(text));
        Ok(AuditRecord {
            order: order.order,
            phase,
            actor: stored_actor(&order.actor),
            address: order.asked.address.to_string(),
            request_id: field(&order.asked.request_id),
            action: order.asked.action.clone(),
            target: order.asked.target.as_deref().map(field),
            before: None,
            after: None,
            outcome: None,
        })
    }

    async fn end(&self, order: &OpenOrder, outcome: Outcome, change: Change) -> Result<(), StoreError> {
        let (phase, outcome) = match outcome {
            Outcome::Done(status) => (AuditPhase::Done, status.to_string()),
            Outcome::Failed(code) => (AuditPhase::Failed, code),
        };
        let mut record = self.record(order, phase).await?;
        let scrubber = self.scrubber().await?;
        if let Some(target) = &change.target {
            record.target = Some(scrubber.clean_text(&cut(target)));
        }
        let clean = |value: Value| scrubber.clean(value);
        record.before = change.before.map(clean);
        record.after = change.after.map(clean);
        record.outcome = Some(cut(&outcome));
        self.store.append_audit(record).await.map(|_seq| ())
    }
}

#[async_trait]
impl Audit for AuditLog {
    async fn asked(&self, asked: Asked) -> Result<OpenOrder, Fault> {
        let refused = |error: StoreError| {
            let said = store_said(&error);
            Fault::Unavailable(format!(
                "the order was not carried out, for it cannot be put on record: {said}"
            ))
        };
        let actor = self.actor(asked.caller).await.map_err(refused)?;
        let order = OpenOrder::new(self.ids.uuid(), actor, asked);
        let record = self.record(&order, AuditPhase::Asked).await.map_err(refused)?;
        self.store.append_audit(record).await.map_err(refused)?;
        Ok(order)
    }

    async fn ended(&self, order: OpenOrder, outcome: Outcome, change: Change) -> Result<(), Fault> {
        self.end(&order, outcome, change).await.map_err(|error| {
            let said = store_said(&error);
            Fault::Unavailable(format!("the order has ended, but how cannot be put on record: {said}"))
        })
    }

    async fn entries(&self, query: &AuditQuery, page: Page<i64>) -> Result<Listed<AuditEntry, i64>, Fault> {
        let filter = stored_filter(query);
        let limit = page.limit.clamp(1, PAGE_MAX);
        let mut rows =
            self.store.audit_entries(&filter, page.cursor, u64::try_from(limit).unwrap_or(1) + 1).await?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = rows.last().filter(|_| more).map(|row| row.seq);
        Ok(Listed { items: rows.into_iter().map(entry).collect(), next_cursor })
    }

    async fn verify(&self) -> Result<i64, Fault> {
        let step = u64::try_from(PAGE_MAX).unwrap_or(1);
        let (mut seq, mut hash) = (0, String::new());
        loop {
            let next = self.store.verify_audit(seq, &hash, step).await.map_err(|error| match error {
                StoreError::Corrupt(text) => Fault::Conflict(text),
                other => other.into(),
            })?;
            if next.0 == seq {
                return Ok(seq);
            }
            (seq, hash) = next;
        }
    }
}

/// At most [`FIELD_MAX`] bytes.
fn cut(text: &str) -> String {
    let end = (0..=FIELD_MAX.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.get(..end).unwrap_or_default().to_owned()
}

fn stored_filter(query: &AuditQuery) -> AuditFilter {
    let (actor, actor_kind) = match query.actor {
        None => (None, None),
        Some(ActorFilter::Operator) => (None, Some(AuditActor::Operator.kind().to_owned())),
        Some(ActorFilter::Id(id)) => (Some(id), None),
    };
    AuditFilter {
        actor,
        actor_kind,
        action: query.action.clone(),
        target: query.target.clone(),
        order: None,
        from: query.from,
        to: query.to,
    }
}

fn stored_actor(actor: &Actor) -> AuditActor {
    match actor {
        Actor::Operator => AuditActor::Operator,
        Actor::Admin { id, email } => AuditActor::Admin { id: AdminId::from_uuid(*id), email: email.clone() },
        Actor::User { id } => AuditActor::User(UserId::from_uuid(*id)),
    }
}

fn shown_actor(actor: AuditActor) -> Actor {
    match actor {
        AuditActor::Operator => Actor::Operator,
        AuditActor::Admin { id, email } => Actor::Admin { id: id.as_uuid(), email },
        AuditActor::User(id) => Actor::User { id: id.as_uuid() },
    }
}

/// An entry as it is shown.
pub(in crate::services) fn entry(row: AuditRow) -> AuditEntry {
    let AuditRow { seq, at, record, hash } = row;
    let json =
        |text: Option<String>| text.map(|text| serde_json::from_str(&text).unwrap_or(Value::String(text)));
    AuditEntry {
        seq,
        order: record.order,
        at,
        phase: match record.phase {
            AuditPhase::Asked => Phase::Asked,
            AuditPhase::Done => Phase::Done,
            AuditPhase::Failed => Phase::Failed,
        },
        actor: shown_actor(record.actor),
        address: record.address,
        request_id: record.request_id,
        action: record.action,
        target: record.target,
        before: json(record.before),
        after: json(record.after),
        outcome: record.outcome,
        hash,
    }
}

impl OpenOrder {
    /// An order that was put on record.
    #[must_use]
    pub const fn new(order: Uuid, actor: Actor, asked: Asked) -> Self {
        Self { order, actor, asked }
    }

    /// What was asked for: the operation's id.
    #[must_use]
    pub fn action(&self) -> &str {
        &self.asked.action
    }

    /// The id that both entries of this order bear.
    #[must_use]
    pub const fn id(&self) -> Uuid {
        self.order
    }
}
