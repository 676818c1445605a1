//! The rows of a deep rotation: each sealed anew under its owner's key of now, if it still is as it was read.

use sea_orm::{ConnectionTrait, DatabaseTransaction, QueryResult, Statement, Value};
use serde::{Deserialize, Serialize};
use switchyard_actors::model::UserId;
use switchyard_actors::ports::StoreError;
use uuid::Uuid;

use super::Store;
use super::error::{self, run_time, unreadable};
use super::key_rotations::{KeyRotation, RotationPhase, Stand, advance};
use super::rewrap::Stepped;
use super::sealed_columns::{Owner, Part, SEALED, SealedColumn};
use crate::crypto::{Binding, DataKey, SystemKey};

/// Where a pass over all sealed rows is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Place {
    /// Which pass. The last one is the first that finds nothing to do.
    pass: u32,
    /// Whether this pass sealed anything anew.
    changed: bool,
    /// Index of the column.
    column: usize,
    /// The last row's key.
    after: Vec<Word>,
}

/// A part of a row's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Word {
    Uuid(Uuid),
    Text(String),
    Number(i64),
    Short(i32),
}

impl Word {
    fn read(row: &QueryResult, name: &str, part: Part) -> Result<Self, StoreError> {
        let word = match part {
            Part::Uuid => row.try_get("", name).map(Self::Uuid),
            Part::Text => row.try_get("", name).map(Self::Text),
            Part::Number => row.try_get("", name).map(Self::Number),
            Part::Short => row.try_get("", name).map(Self::Short),
        };
        word.map_err(|failure| run_time(&failure))
    }

    fn value(&self) -> Value {
        match self {
            Self::Uuid(id) => (*id).into(),
            Self::Text(text) => text.clone().into(),
            Self::Number(number) => (*number).into(),
            Self::Short(number) => (*number).into(),
        }
    }

    /// As it stands in the binding of a ciphertext.
    fn bytes(&self) -> Result<Vec<u8>, StoreError> {
        let too_large = |failure| unreadable("row", failure);
        Ok(match self {
            Self::Uuid(id) => id.as_bytes().to_vec(),
            Self::Text(text) => text.as_bytes().to_vec(),
            Self::Number(number) => number.to_be_bytes().to_vec(),
            Self::Short(number) => u16::try_from(*number).map_err(too_large)?.to_be_bytes().to_vec(),
        })
    }
}

/// A sealed row.
struct Row {
    key: Vec<Word>,
    bound: Vec<u8>,
    owner: Option<Uuid>,
    blob: Vec<u8>,
}

/// A row to be written: its key, what it holds, what it shall hold.
struct Change {
    key: Vec<Word>,
    before: Vec<u8>,
    after: Vec<u8>,
}

impl Store {
    /// Seals the next `batch` rows anew.
    pub(super) async fn reseal_some(
        &self,
        rotation: &KeyRotation,
        batch: u64,
    ) -> Result<Stepped, StoreError> {
        let place = place(rotation)?;
        let Some(column) = SEALED.get(place.column) else {
            return self.end_pass(rotation, &place).await;
        };
        let rows = self.sealed_rows(column, &place.after, batch).await?;
        let next = match rows.last() {
            Some(last) => Place { after: last.key.clone(), ..place.clone() },
            None => Place { column: place.column.saturating_add(1), after: Vec::new(), ..place.clone() },
        };
        let seen = u64::try_from(rows.len()).unwrap_or(u64::MAX);
        let mut changes = Vec::new();
        for row in rows {
            changes.extend(self.reseal(column, row).await?);
        }
        let next = Place { changed: next.changed || !changes.is_empty(), ..next };
        // Each row counts once, in the first pass.
        let counted = if place.pass == 0 { seen } else { 0 };
        let stand =
            Stand { cursor: Some(bytes(&next)?), done: counted, ..Stand::at(RotationPhase::Resealing) };
        let (from, now, column) = (rotation.clone(), self.now(), *column);
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                if advance(transaction, &from, stand, now).await? {
                    for change in changes {
                        apply(transaction, &column, change).await?;
                    }
                }
                Ok(())
            })
        });
        write.await.map(|()| Stepped::Onward)
    }

    /// How many sealed rows there are.
    pub(super) async fn count_sealed(&self) -> Result<u64, StoreError> {
        let mut all = 0_u64;
        for SealedColumn { table, column, .. } in SEALED {
            let sql = format!("SELECT count(*) FROM {table} WHERE {column} IS NOT NULL");
            let statement = Statement::from_string(self.readers.get_database_backend(), sql);
            let row = self.read(self.readers.query_one_raw(statement)).await?;
            let count: i64 = match row {
                Some(row) => row.try_get_by_index(0).map_err(|failure| run_time(&failure))?,
                None => 0,
            };
            all = all.saturating_add(u64::try_from(count).unwrap_or(0));
        }
        Ok(all)
    }

    /// After a pass that sealed something comes another one, after one that did not, the old keys go.
    async fn end_pass(&self, rotation: &KeyRotation, place: &Place) -> Result<Stepped, StoreError> {
        let stand = if place.changed {
            let next = Place { pass: place.pass.saturating_add(1), ..Place::default() };
            Stand { cursor: Some(bytes(&next)?), ..Stand::at(RotationPhase::Resealing) }
        } else {
            Stand::at(RotationPhase::Removing)
        };
        let (from, now) = (rotation.clone(), self.now());
        let write = self
            .writer
            .run(move |transaction| Box::pin(async move { advance(transaction, &from, stand, now).await }));
        write.await.map(|_moved| Stepped::Onward)
    }

    async fn sealed_rows(
        &self,
        column: &SealedColumn,
        after: &[Word],
        batch: u64,
    ) -> Result<Vec<Row>, StoreError> {
        let SealedColumn { table, column: blob, key, bound, owner } = column;
        let names: Vec<_> = key.iter().map(|(name, _)| *name).collect();
        let bound_names: Vec<_> =
            bound.iter().enumerate().map(|(n, (name, _))| format!("{name} AS b{n}")).collect();
        let owner = match owner {
            Owner::User(expression) => format!(", {expression} AS the_owner"),
            Owner::System => String::new(),
        };
        let names = names.join(", ");
        let beyond = if after.is_empty() {
            String::new()
        } else {
            let places: Vec<_> = (1..=after.len()).map(|number| format!("${number}")).collect();
            format!(" AND ({names}) > ({})", places.join(", "))
        };
        let sql = format!(
            "SELECT {names}, {bound}, {blob} AS the_blob{owner} FROM {table} WHERE {blob} IS NOT NULL{beyond} \
             ORDER BY {names} LIMIT {batch}",
            bound = bound_names.join(", "),
        );
        let values: Vec<Value> = after.iter().map(Word::value).collect();
        let backend = self.readers.get_database_backend();
        let statement = Statement::from_sql_and_values(backend, sql, values);
        let rows = self.read(self.readers.query_all_raw(statement)).await?;
        rows.iter().map(|row| read_row(row, column)).collect()
    }

    /// The row as it shall be; none when it is that already, or its owner went away meanwhile.
    async fn reseal(&self, column: &SealedColumn, row: Row) -> Result<Option<Change>, StoreError> {
        let key = match (column.owner, row.owner) {
            (Owner::System, _) => self.system_key(SystemKey::Sealing).await?,
            (Owner::User(_), None) => return Ok(None),
            (Owner::User(_), Some(user)) => match self.data_key(UserId::from_uuid(user)).await {
                Err(StoreError::NotFound(_)) => return Ok(None),
                key => key?,
            },
        };
        if key.sealed(&row.blob) {
            return Ok(None);
        }
        match again(&key, column, &row) {
            Ok(after) => Ok(Some(Change { key: row.key, before: row.blob, after })),
            Err(error) => {
                // What cannot be opened now could not be opened before: it must not hold up all the others.
                tracing::error!(table = column.table, column = column.column, %error, "a sealed row cannot be opened");
                Ok(None)
            }
        }
    }
}

fn again(key: &DataKey, column: &SealedColumn, row: &Row) -> Result<Vec<u8>, StoreError> {
    let binding = Binding { table: column.table, column: column.column, row: &row.bound };
    let failed = |failure| error::vault(column.table, failure);
    let text = key.open(binding, &row.blob).map_err(failed)?;
    key.seal(binding, &text).map_err(failed)
}

fn read_row(row: &QueryResult, column: &SealedColumn) -> Result<Row, StoreError> {
    let failed = |failure| run_time(&failure);
    let key: Result<Vec<_>, _> = column.key.iter().map(|(name, part)| Word::read(row, name, *part)).collect();
    let mut bound = Vec::new();
    for (number, (_, part)) in column.bound.iter().enumerate() {
        bound.extend(Word::read(row, &format!("b{number}"), *part)?.bytes()?);
    }
    let owner = match column.owner {
        Owner::System => None,
        Owner::User(_) => row.try_get("", "the_owner").map_err(failed)?,
    };
    Ok(Row { key: key?, bound, owner, blob: row.try_get("", "the_blob").map_err(failed)? })
}

async fn apply(
    transaction: &DatabaseTransaction,
    column: &SealedColumn,
    change: Change,
) -> Result<(), StoreError> {
    let SealedColumn { table, column: blob, key, .. } = column;
    let same: Vec<_> = key.iter().zip(3..).map(|((name, _), number)| format!("{name} = ${number}")).collect();
    let sql = format!("UPDATE {table} SET {blob} = $1 WHERE {blob} = $2 AND {}", same.join(" AND "));
    let mut values: Vec<Value> = vec![change.after.into(), change.before.into()];
    values.extend(change.key.iter().map(Word::value));
    let statement = Statement::from_sql_and_values(transaction.get_database_backend(), sql, values);
    transaction.execute_raw(statement).await.map(|_row| ()).map_err(|failure| run_time(&failure))
}

fn place(rotation: &KeyRotation) -> Result<Place, StoreError> {
    let Some(cursor) = &rotation.cursor else { return Ok(Place::default()) };
    serde_json::from_slice(cursor).map_err(|failure| unreadable("rotation", failure))
}

fn bytes(place: &Place) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(place).map_err(|failure| unreadable("rotation", failure))
}
