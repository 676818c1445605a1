//! Rate limits of nodes that share PostgreSQL: one statement locks the subjects' rows, decides, and notes.
//!
//! The rows are locked in the order of their names, so that two requests never wait for each other. A refusal is remembered
//! until the subject is below its limit again: until then other nodes can only take more, and the store is not asked.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ConnectionTrait, DbBackend, EntityTrait, Statement};
use serde_json::json;
use switchyard_actors::ports::StoreError;

use super::{Asked, Standing, Taken, decode, standing};
use crate::store::Store;
use crate::store::entity::rate_limit;
use crate::store::error::run_time;

/// The rule of [`super::window`] in SQL. A row that another request has just changed is read as it is after that: `held` waits for
/// its lock and reads again, and `taken` changes what `held` has locked.
const TAKE: &str = r"
WITH asked AS (
  SELECT * FROM jsonb_to_recordset($1::text::jsonb) AS a(subject text, quota bigint, slot bigint, slot_ms bigint)
), held AS MATERIALIZED (
  SELECT r.subject, r.counts FROM rate_limits r
  WHERE r.subject IN (SELECT subject FROM asked) ORDER BY r.subject FOR UPDATE
), kept AS (
  SELECT h.subject, CASE WHEN s.slot > a.slot + 60 THEN a.slot ELSE s.slot END AS slot, s.count
  FROM held h JOIN asked a USING (subject) CROSS JOIN LATERAL (
    SELECT split_part(entry, ':', 1)::bigint AS slot, split_part(entry, ':', 2)::bigint AS count
    FROM unnest(string_to_array(h.counts, ',')) AS entry WHERE entry <> ''
  ) s WHERE s.slot >= a.slot - 60
), used AS (
  SELECT a.subject, a.quota, a.slot_ms, COALESCE(sum(k.count), 0) AS used,
    GREATEST(a.slot, COALESCE(max(k.slot), a.slot)) AS slot
  FROM asked a JOIN held USING (subject) LEFT JOIN kept k USING (subject)
  GROUP BY a.subject, a.quota, a.slot, a.slot_ms
), verdict AS (
  SELECT COALESCE(bool_and(used < quota), false) AND count(*) = $2 AS granted FROM used
), noted AS (
  SELECT subject, slot, sum(count) AS count FROM (
    SELECT subject, slot, count FROM kept UNION ALL SELECT subject, slot, 1 FROM used
  ) x GROUP BY subject, slot
), next AS (
  SELECT n.subject, string_agg(n.slot || ':' || n.count, ',' ORDER BY n.slot) AS counts,
    (max(n.slot) + 61) * max(u.slot_ms) AS expires_at
  FROM noted n JOIN used u USING (subject) GROUP BY n.subject
), taken AS (
  UPDATE rate_limits r SET counts = next.counts, expires_at = next.expires_at FROM next, verdict
  WHERE verdict.granted AND r.subject = next.subject RETURNING r.subject, r.counts
)
SELECT h.subject, COALESCE(t.counts, h.counts) AS counts, v.granted
FROM held h CROSS JOIN verdict v LEFT JOIN taken t USING (subject)
";

/// Times that rows are made again because a purge was faster.
const TRIES: usize = 10;

pub(super) struct Shared {
    store: Store,
    subjects_max: usize,
    refused: Mutex<HashMap<String, Refusal>>,
}

/// A subject that is at its limit.
#[derive(Clone, Copy)]
struct Refusal {
    requests: u32,
    /// Unix milliseconds.
    until: i64,
}

impl Shared {
    pub(super) fn new(store: Store, subjects_max: usize) -> Self {
        Self { store, subjects_max, refused: Mutex::default() }
    }

    pub(super) fn subjects(&self) -> usize {
        self.refused().len()
    }

    fn refused(&self) -> MutexGuard<'_, HashMap<String, Refusal>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn take(&self, asked: &[Asked]) -> Result<Taken, StoreError> {
        if asked.is_empty() {
            return Ok(Taken { granted: true, standings: Vec::new() });
        }
        let rows: Vec<String> = asked.iter().map(Asked::row).collect();
        if let Some(taken) = self.remembered(asked, &rows) {
            return Ok(taken);
        }
        for _ in 0..TRIES {
            if let Some(taken) = self.ask(asked, &rows).await? {
                self.remember(asked, &rows, &taken);
                return Ok(taken);
            }
            self.make(&rows).await?;
        }
        Err(StoreError::Unavailable("rate limits change faster than they can be read".to_owned()))
    }

    /// The refusal that is known already.
    fn remembered(&self, asked: &[Asked], rows: &[String]) -> Option<Taken> {
        let now = self.store.now();
        let refused = self.refused();
        if refused.is_empty() {
            return None;
        }
        let standings = asked.iter().zip(rows).map(|(asked, row)| {
            let refusal = refused.get(row)?;
            let holds = refusal.until > now && asked.limit.requests.get() <= refusal.requests;
            let left = u64::try_from(refusal.until.saturating_sub(now)).ok()?;
            holds.then(|| Standing { remaining: 0, reset: Duration::from_millis(left) })
        });
        let standings: Vec<_> = standings.collect();
        standings.iter().any(Option::is_some).then_some(Taken { granted: false, standings })
    }

    fn remember(&self, asked: &[Asked], rows: &[String], taken: &Taken) {
        if taken.granted {
            return;
        }
        let now = self.store.now();
        let mut refused = self.refused();
        if refused.len() >= self.subjects_max {
            refused.retain(|_, refusal| refusal.until > now);
        }
        for ((asked, row), standing) in asked.iter().zip(rows).zip(&taken.standings) {
            let Some(Standing { remaining: 0, reset }) = standing else { continue };
            // Without room the store is asked: that costs more and decides the same.
            if refused.len() < self.subjects_max {
                let until = now.saturating_add(i64::try_from(reset.as_millis()).unwrap_or(i64::MAX));
                refused.insert(row.clone(), Refusal { requests: asked.limit.requests.get(), until });
            }
        }
    }

    /// Decides in the store; none if a row is not there yet.
    async fn ask(&self, asked: &[Asked], rows: &[String]) -> Result<Option<Taken>, StoreError> {
        let now = self.store.now();
        let question = asked.iter().zip(rows).map(|(asked, row)| {
            let (limit, slot_ms) = (asked.limit, asked.limit.slot_ms());
            json!({"subject": row, "quota": limit.requests, "slot": limit.slot(now), "slot_ms": slot_ms})
        });
        let question = question.collect::<Vec<_>>();
        let count = i64::try_from(asked.len()).unwrap_or(i64::MAX);
        let values = [json!(question).to_string().into(), count.into()];
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, TAKE, values);
        let answer = self.store.read(self.store.readers.query_all_raw(statement)).await?;
        if answer.len() != asked.len() {
            return Ok(None);
        }
        let failed = |failure| run_time(&failure);
        let (mut granted, mut windows) = (true, HashMap::with_capacity(answer.len()));
        for row in &answer {
            granted &= row.try_get::<bool>("", "granted").map_err(failed)?;
            let subject = row.try_get::<String>("", "subject").map_err(failed)?;
            windows.insert(subject, decode(&row.try_get::<String>("", "counts").map_err(failed)?)?);
        }
        let standings = asked.iter().zip(rows).map(|(asked, row)| {
            let mut window = windows.remove(row)?;
            window.advance(asked.limit.slot(now));
            Some(standing(&window, asked.limit, now))
        });
        Ok(Some(Taken { granted, standings: standings.collect() }))
    }

    /// Makes the rows that are not there.
    async fn make(&self, rows: &[String]) -> Result<(), StoreError> {
        let models = rows.iter().map(|row| rate_limit::ActiveModel {
            subject: Set(row.clone()),
            counts: Set(String::new()),
            // Not before a request could have been counted.
            expires_at: Set(self.store.now().saturating_add(MADE_MS)),
        });
        let models: Vec<_> = models.collect();
        let write = self.store.writer.run(move |transaction| {
            Box::pin(async move {
                rate_limit::Entity::insert_many(models)
                    .on_conflict(OnConflict::column(rate_limit::Column::Subject).do_nothing().to_owned())
                    .exec_without_returning(transaction)
                    .await
                    .map_err(|failure| run_time(&failure))
            })
        });
        write.await.map(|_written| ())
    }
}

/// How long an empty row is kept, in milliseconds.
const MADE_MS: i64 = 60_000;
