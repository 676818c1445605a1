//! Everything of a user as plain values, table by table. What is secret or only serves the machine is left out by name.

use sea_orm::sea_query::{Alias, Expr, ExprTrait, Order, Query, SelectStatement};
use sea_orm::{ConnectionTrait, DbErr, QueryResult};
use serde_json::{Map, Value};
use switchyard_actors::model::UserId;
use switchyard_actors::ports::StoreError;
use uuid::Uuid;

use super::super::error::run_time;
use super::super::{Store, time_of};

/// One section of an export: a table, how its rows belong to a user, and the columns that are shown.
#[derive(Clone, Copy, Debug)]
pub struct ExportSection {
    /// Name in the document, and of the table.
    pub table: &'static str,
    /// The column that names the owner, and what it names.
    pub owner: (&'static str, Owned),
    /// Columns that are shown.
    pub columns: &'static [(&'static str, Kind)],
    /// The column in whose order, descending, the first are taken.
    pub order: &'static str,
}

/// By what a row belongs to a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owned {
    /// The column is the user's id.
    User,
    /// The column is the id of a pair of the user's.
    Pair,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An id.
    Id,
    /// A text.
    Text,
    /// A number; platforms' ids are longer than JSON's numbers, so it is shown as a text.
    Long,
    /// A small number.
    Small,
    /// A count.
    Count,
    /// Unix milliseconds.
    Time,
}

use Kind::{Count, Id, Long, Small, Text, Time};

/// The tables of an export.
pub const EXPORTED: [ExportSection; 7] = [
    ExportSection {
        table: "accounts",
        owner: ("user_id", Owned::User),
        columns: &[
            ("id", Id),
            ("kind", Text),
            ("platform_id", Long),
            ("name", Text),
            ("profile", Text),
            ("state", Text),
            ("created_at", Time),
        ],
        order: "created_at",
    },
    ExportSection {
        table: "pairs",
        owner: ("user_id", Owned::User),
        columns: &[
            ("id", Id),
            ("source_account", Id),
            ("source_platform", Text),
            ("source_chat", Long),
            ("source_thread", Long),
            ("target_account", Id),
            ("target_platform", Text),
            ("target_chat", Long),
            ("target_thread", Long),
            ("created_at", Time),
        ],
        order: "created_at",
    },
    ExportSection {
        table: "pair_pauses",
        owner: ("pair_id", Owned::Pair),
        columns: &[("pair_id", Id), ("cause", Text), ("since", Time)],
        order: "since",
    },
    ExportSection {
        table: "deliveries",
        owner: ("pair_id", Owned::Pair),
        columns: &[
            ("id", Id),
            ("pair_id", Id),
            ("platform", Text),
            ("chat", Long),
            ("source_chat", Long),
            ("source_message", Long),
            ("action", Text),
            ("state", Text),
            ("tries", Small),
            ("dead", Text),
            ("created_at", Time),
            ("finished_at", Time),
        ],
        order: "created_at",
    },
    ExportSection {
        table: "delivery_counts",
        owner: ("user_id", Owned::User),
        columns: &[
            ("pair_id", Id),
            ("hour", Count),
            ("source_platform", Text),
            ("target_platform", Text),
            ("messages", Count),
            ("parts", Count),
        ],
        order: "hour",
    },
    ExportSection {
        table: "message_map",
        owner: ("pair_id", Owned::Pair),
        columns: &[
            ("pair_id", Id),
            ("source_chat", Long),
            ("source_message", Long),
            ("part", Small),
            ("target_chat", Long),
            ("target_message", Long),
        ],
        order: "source_message",
    },
    ExportSection {
        table: "alerts",
        owner: ("user_id", Owned::User),
        columns: &[("at", Time), ("severity", Text), ("kind", Text), ("subject", Text), ("text", Text)],
        order: "at",
    },
];

impl Store {
    /// The newest rows of a section, at most `limit`, and whether there are more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn export_section(
        &self,
        section: &ExportSection,
        user: UserId,
        limit: u32,
    ) -> Result<(Vec<Value>, bool), StoreError> {
        let mut asked = Query::select();
        for (column, _) in section.columns {
            asked.column(Alias::new(*column));
        }
        asked.from(Alias::new(section.table)).and_where(owned(section, user));
        asked.order_by(Alias::new(section.order), Order::Desc).limit(u64::from(limit).saturating_add(1));
        let rows = self.read(self.readers.query_all(&asked)).await?;
        let shown = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = rows.len() > shown;
        let row = |row: &QueryResult| shown_row(section, row).map_err(|failure| run_time(&failure));
        Ok((rows.iter().take(shown).map(row).collect::<Result<_, _>>()?, more))
    }
}

fn owned(section: &ExportSection, user: UserId) -> Expr {
    let (column, owned) = section.owner;
    let column = Expr::col(Alias::new(column));
    let of = |table: &'static str| -> SelectStatement {
        Query::select()
            .column(Alias::new("id"))
            .from(Alias::new(table))
            .and_where(Expr::col(Alias::new("user_id")).eq(user.as_uuid()))
            .take()
    };
    match owned {
        Owned::User => column.eq(user.as_uuid()),
        Owned::Pair => column.in_subquery(of("pairs")),
    }
}

fn shown_row(section: &ExportSection, row: &QueryResult) -> Result<Value, DbErr> {
    let mut shown = Map::new();
    for (name, kind) in section.columns {
        let value = match kind {
            Id => row.try_get::<Option<Uuid>>("", name)?.map(|id| Value::from(id.to_string())),
            Text => row.try_get::<Option<String>>("", name)?.map(Value::from),
            Long => row.try_get::<Option<i64>>("", name)?.map(|number| Value::from(number.to_string())),
            Small => row.try_get::<Option<i32>>("", name)?.map(Value::from),
            Count => row.try_get::<Option<i64>>("", name)?.map(Value::from),
            Time => row.try_get::<Option<i64>>("", name)?.map(|at| Value::from(time_of(at).to_rfc3339())),
        };
        shown.insert((*name).to_owned(), value.unwrap_or(Value::Null));
    }
    Ok(Value::Object(shown))
}
