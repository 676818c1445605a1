//! Pairs with what only their owners see: name and version.

use std::collections::{BTreeSet, HashMap};

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use switchyard_actors::model::{Pair, PairId, PauseCause, Topic, UserId};
use switchyard_actors::ports::StoreError;
use uuid::Uuid;

use super::domain_events::publish_one;
use super::entity::{pair, pair_pause};
use super::error::run_time;
use super::{Store, pairs, rows};

/// A pair as its owner keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairRecord {
    /// The pair.
    pub pair: Pair,
    /// Its owner's name for it.
    pub name: Option<String>,
    /// Grows with every change of the pair.
    pub version: i64,
    /// When it was made, Unix milliseconds.
    pub created_at: i64,
}

/// What is to be changed of a pair.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PairChange {
    /// Only if the pair is still of this version.
    pub version: Option<i64>,
    /// Another name; the inner `None` takes it away.
    pub name: Option<Option<String>>,
    /// Causes of a pause that come or go.
    pub pauses: Vec<(PauseCause, bool)>,
}

/// What came of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangedPair {
    /// It was made.
    Done,
    /// Somebody else changed the pair before: nothing was done.
    Stale {
        /// The version that it has now.
        version: i64,
    },
}

impl Store {
    /// The pairs of one user, or all, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn pair_records(&self, user: Option<UserId>) -> Result<Vec<PairRecord>, StoreError> {
        let mut found = pair::Entity::find().order_by_asc(pair::Column::Id);
        let mut pauses = pair_pause::Entity::find();
        if let Some(user) = user {
            found = found.filter(pair::Column::UserId.eq(user.as_uuid()));
            let own = sea_orm::sea_query::Query::select()
                .column(pair::Column::Id)
                .from(pair::Entity)
                .and_where(Expr::col(pair::Column::UserId).eq(user.as_uuid()))
                .take();
            pauses = pauses.filter(pair_pause::Column::PairId.in_subquery(own));
        }
        let found = self.read(found.all(&self.readers)).await?;
        let mut causes = HashMap::<Uuid, BTreeSet<PauseCause>>::new();
        for pause in self.read(pauses.all(&self.readers)).await? {
            causes.entry(pause.pair_id).or_default().insert(rows::word(&pause.cause)?);
        }
        found.into_iter().map(|row| record(row, &mut causes)).collect()
    }

    /// One pair.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn pair_record(&self, id: PairId) -> Result<PairRecord, StoreError> {
        let row = self.read(pair::Entity::find_by_id(id.as_uuid()).one(&self.readers)).await?;
        let row = row.ok_or_else(|| StoreError::NotFound(format!("pair {id}")))?;
        let own = pair_pause::Entity::find().filter(pair_pause::Column::PairId.eq(row.id));
        let mut causes = HashMap::<Uuid, BTreeSet<PauseCause>>::new();
        for pause in self.read(own.all(&self.readers)).await? {
            causes.entry(pause.pair_id).or_default().insert(rows::word(&pause.cause)?);
        }
        record(row, &mut causes)
    }

    /// Changes a pair, all or nothing.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn change_pair(&self, id: PairId, change: PairChange) -> Result<ChangedPair, StoreError> {
        let (id, now) = (id.as_uuid(), self.now());
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                let failed = |failure| run_time(&failure);
                let row = pair::Entity::find_by_id(id).lock_exclusive().one(transaction).await;
                let row = row.map_err(failed)?.ok_or_else(|| StoreError::NotFound(format!("pair {id}")))?;
                if change.version.is_some_and(|version| version != row.version) {
                    return Ok(ChangedPair::Stale { version: row.version });
                }
                for (cause, on) in change.pauses {
                    if on {
                        pairs::pause(transaction, id, cause, now).await.map_err(failed)?;
                    } else {
                        let lifted = pair_pause::Entity::delete_by_id((id, cause.as_str().to_owned()));
                        lifted.exec(transaction).await.map_err(failed)?;
                    }
                }
                let mut touched = pair::Entity::update_many()
                    .col_expr(pair::Column::Version, Expr::col(pair::Column::Version).add(1))
                    .filter(pair::Column::Id.eq(id));
                if let Some(name) = change.name {
                    touched = touched.col_expr(pair::Column::Name, Expr::value(name));
                }
                touched.exec(transaction).await.map_err(failed)?;
                let causes = pair_pause::Entity::find().filter(pair_pause::Column::PairId.eq(id));
                let causes = causes.all(transaction).await.map_err(failed)?;
                let causes = causes.iter().map(|pause| rows::word(&pause.cause)).collect::<Result<_, _>>()?;
                let changed = pairs::event(Topic::PairChanged, &rows::pair(&row, causes)?);
                publish_one(transaction, changed, now).await?;
                Ok(ChangedPair::Done)
            })
        });
        write.await
    }
}

fn record(
    row: pair::Model,
    causes: &mut HashMap<Uuid, BTreeSet<PauseCause>>,
) -> Result<PairRecord, StoreError> {
    let pair = rows::pair(&row, causes.remove(&row.id).unwrap_or_default())?;
    Ok(PairRecord { pair, name: row.name, version: row.version, created_at: row.created_at })
}
