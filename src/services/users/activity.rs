//! What happened around a user, newest first, out of two records: the audit log and the outbox of events.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use switchyard_actors::model::{DomainEvent, UserId};

use super::UserService;
use crate::services::audit::{self, Actor, AuditEntry, Phase};
use crate::services::fault::Fault;
use crate::services::page::{Listed, Page};

/// Which record something comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActivitySource {
    /// The audit log: somebody asked for something.
    Audit,
    /// The outbox of events: something happened.
    Event,
}

/// Something that happened around a user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ActivityView {
    /// When.
    pub at: DateTime<Utc>,
    /// Which record it comes from.
    pub source: ActivitySource,
    /// Its number in that record.
    pub number: i64,
    /// What: the id of an operation, or an event's topic.
    pub what: String,
    /// What it was about.
    pub subject: Option<String>,
    /// Who asked for it, as far as somebody did.
    pub by: Option<Actor>,
    /// At which end of an order it was written down.
    pub phase: Option<Phase>,
    /// How an order ended: the status, or the problem's code.
    pub outcome: Option<String>,
    /// What else is known: `before` and `after` of an order, what an event tells.
    pub details: Value,
}

impl From<AuditEntry> for ActivityView {
    fn from(entry: AuditEntry) -> Self {
        Self {
            at: entry.at,
            source: ActivitySource::Audit,
            number: entry.seq,
            what: entry.action,
            subject: entry.target,
            by: Some(entry.actor),
            phase: Some(entry.phase),
            outcome: entry.outcome,
            details: json!({ "before": entry.before, "after": entry.after }),
        }
    }
}

impl From<DomainEvent> for ActivityView {
    fn from(event: DomainEvent) -> Self {
        Self {
            at: event.at,
            source: ActivitySource::Event,
            number: event.id,
            what: event.topic.to_string(),
            subject: Some(event.subject),
            by: None,
            phase: None,
            outcome: None,
            details: event.data,
        }
    }
}

/// How far a reader is in each record: only what lies below these numbers comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Below {
    audit: Option<i64>,
    events: Option<i64>,
}

impl Below {
    fn parse(text: &str) -> Option<Self> {
        let (audit, events) = text.split_once('.')?;
        let number = |text: &str| match text {
            "" => Some(None),
            text => text.parse().ok().map(Some),
        };
        Some(Self { audit: number(audit)?, events: number(events)? })
    }

    fn pass(&mut self, item: &ActivityView) {
        match item.source {
            ActivitySource::Audit => self.audit = Some(item.number),
            ActivitySource::Event => self.events = Some(item.number),
        }
    }

    fn show(self) -> String {
        let number = |number: Option<i64>| number.map(|number| number.to_string()).unwrap_or_default();
        format!("{}.{}", number(self.audit), number(self.events))
    }
}

/// Merges two records, each newest first, into one page of at most `limit`.
fn merged(
    audit: Vec<ActivityView>,
    events: Vec<ActivityView>,
    limit: usize,
    mut below: Below,
) -> Listed<ActivityView, String> {
    let (mut audit, mut events) = (audit.into_iter().peekable(), events.into_iter().peekable());
    let mut items = Vec::with_capacity(limit);
    while items.len() < limit {
        // Each record keeps the order of its numbers, also where its times do not.
        let from_audit = match (audit.peek(), events.peek()) {
            (Some(entry), Some(event)) => entry.at >= event.at,
            (entry, _) => entry.is_some(),
        };
        let Some(item) = (if from_audit { audit.next() } else { events.next() }) else { break };
        below.pass(&item);
        items.push(item);
    }
    let more = audit.peek().is_some() || events.peek().is_some();
    Listed { items, next_cursor: more.then(|| below.show()) }
}

impl UserService {
    pub(super) async fn activity_of(
        &self,
        user: UserId,
        page: Page<String>,
    ) -> Result<Listed<ActivityView, String>, Fault> {
        let below = page.cursor.as_deref().map_or(Some(Below::default()), Below::parse);
        let below = below.ok_or_else(|| Fault::invalid("/cursor", "it is no cursor of this list"))?;
        let more = u64::try_from(page.limit).unwrap_or(u64::MAX).saturating_add(1);
        let store = &self.desk.store;
        let audit = store.audit_around(user, below.audit, more).await?;
        let audit = audit.into_iter().map(|row| audit::entry(row).into()).collect();
        let events = store.events_around(user, below.events, more).await?;
        let events = events.into_iter().map(ActivityView::from).collect();
        Ok(merged(audit, events, page.limit, below))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(source: ActivitySource, number: i64, second: i64) -> ActivityView {
        ActivityView {
            at: DateTime::from_timestamp(second, 0).unwrap(),
            source,
            number,
            what: String::new(),
            subject: None,
            by: None,
            phase: None,
            outcome: None,
            details: Value::Null,
        }
    }

    /// Everything of two records, newest first, in pages of `limit`.
    fn pages(audit: &[(i64, i64)], events: &[(i64, i64)], limit: usize) -> Vec<(ActivitySource, i64)> {
        let below = |all: &[(i64, i64)], source, below: Option<i64>| -> Vec<ActivityView> {
            let rest = all.iter().rev().filter(|(number, _)| below.is_none_or(|below| *number < below));
            rest.take(limit + 1).map(|(number, second)| item(source, *number, *second)).collect()
        };
        let (mut seen, mut from) = (Vec::new(), Below::default());
        loop {
            let page = merged(
                below(audit, ActivitySource::Audit, from.audit),
                below(events, ActivitySource::Event, from.events),
                limit,
                from,
            );
            assert!(page.items.len() <= limit);
            seen.extend(page.items.iter().map(|item| (item.source, item.number)));
            match page.next_cursor {
                Some(cursor) => from = Below::parse(&cursor).unwrap(),
                None => return seen,
            }
        }
    }

    #[test]
    fn two_records_are_one_list_without_gap_or_repeat() {
        use ActivitySource::{Audit, Event};
        // A time that went backwards is no reason to leave one out.
        let audit = [(1, 10), (2, 20), (5, 19), (6, 60)];
        let events = [(3, 15), (4, 20), (9, 70), (10, 71), (11, 72)];
        let whole = pages(&audit, &events, 100);
        assert_eq!(whole.len(), 9);
        assert_eq!(whole[..4], [(Event, 11), (Event, 10), (Event, 9), (Audit, 6)]);
        for limit in 1..=9 {
            assert_eq!(pages(&audit, &events, limit), whole, "in pages of {limit}");
        }
        for wrong in ["", "x.", "1", "1.2.3"] {
            assert_eq!(Below::parse(wrong), None, "{wrong}");
        }
    }
}
