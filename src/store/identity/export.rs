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
    /// The column is the id of an account of the user's.
    Account,
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
    /// Yes or no.
    Flag,
}

use Kind::{Count, Flag, Id, Long, Small, Text, Time};

/// The tables of an export. A table that hangs on a user is here, or among the exceptions of the test below.
pub const EXPORTED: [ExportSection; 15] = [
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
        table: "account_settings",
        owner: ("account_id", Owned::Account),
        columns: &[("account_id", Id), ("label", Text), ("updated_at", Time)],
        order: "updated_at",
    },
    ExportSection {
        table: "queue_pauses",
        owner: ("account_id", Owned::Account),
        columns: &[("account_id", Id), ("cause", Text), ("since", Time)],
        order: "since",
    },
    ExportSection {
        table: "pairs",
        owner: ("user_id", Owned::User),
        columns: &[
            ("id", Id),
            ("name", Text),
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
        table: "routes",
        owner: ("pair_id", Owned::Pair),
        columns: &[
            ("pair_id", Id),
            ("state", Text),
            ("skip", Text),
            ("delivery_id", Id),
            ("closed_at", Time),
        ],
        order: "event_seq",
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
            ("source_account", Id),
            ("source_platform", Text),
            ("target_account", Id),
            ("target_platform", Text),
            ("messages", Count),
            ("parts", Count),
        ],
        order: "hour",
    },
    ExportSection {
        table: "user_plans",
        owner: ("user_id", Owned::User),
        columns: &[("plan", Text), ("state", Text), ("until", Time), ("changed_at", Time)],
        order: "changed_at",
    },
    ExportSection {
        table: "user_usage",
        owner: ("user_id", Owned::User),
        columns: &[("day", Count), ("delivered", Count), ("told_at", Time)],
        order: "day",
    },
    ExportSection {
        table: "bot_chats",
        owner: ("user_id", Owned::User),
        columns: &[
            ("chat_id", Long),
            ("kind", Text),
            ("title", Text),
            ("linked_at", Time),
            ("unreachable", Text),
        ],
        order: "linked_at",
    },
    ExportSection {
        table: "notification_settings",
        owner: ("user_id", Owned::User),
        columns: &[
            ("promotions", Flag),
            ("promotions_at", Time),
            ("promotions_source", Text),
            ("opted_out", Text),
        ],
        order: "promotions_at",
    },
    ExportSection {
        table: "notices",
        owner: ("user_id", Owned::User),
        columns: &[
            ("chat_id", Long),
            ("announcement_id", Id),
            ("kind", Text),
            ("text", Text),
            ("state", Text),
            ("outcome", Text),
            ("message_id", Long),
            ("created_at", Time),
            ("finished_at", Time),
        ],
        order: "seq",
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
        Owned::Account => column.in_subquery(of("accounts")),
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
            Flag => row.try_get::<Option<bool>>("", name)?.map(Value::from),
        };
        shown.insert((*name).to_owned(), value.unwrap_or(Value::Null));
    }
    Ok(Value::Object(shown))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use sea_orm::{ConnectionTrait, Database, DatabaseConnection, Statement};
    use switchyard_migrations::{Migrator, MigratorTrait};

    use super::*;

    /// Tables that hang on a user and are no section of an export, each with the reason.
    const ELSEWHERE: &[(&str, &str)] = &[
        ("users", "the profile of the export"),
        ("user_sessions", "the sessions of the export: their devices are sealed"),
        ("api_keys", "the API keys of the export: their names are sealed"),
        ("account_secrets", "credentials of the platforms; whoever got an export could act as the user"),
        ("peers", "what the platform's protocol needs to name a chat; no more than its id is the user's"),
        ("data_keys", "keys"),
        ("spare_data_keys", "keys"),
        ("password_resets", "keyed hashes of tokens"),
        ("user_totp", "a secret; the profile says whether there is one"),
        ("user_recovery_codes", "keyed hashes of codes"),
        ("bot_link_codes", "keyed hashes of codes"),
        (
            "idempotency_keys",
            "answers that were given already, kept for a day so that an order is not repeated",
        ),
        ("events", "message bodies, of which a user has the originals; they go after delivery"),
        ("delivery_parts", "message bodies; what became of the parts is in the message map"),
        ("cursors", "how far a platform's stream was read"),
        ("assignments", "which node works for an account"),
        ("events_outbox", "tells of changes that the sections hold, and is kept for days"),
    ];

    /// Columns of exported tables that are not shown: they serve the machine.
    const NOT_SHOWN: &[&str] = &[
        "account_settings.version",
        "pairs.version",
        "routes.id",
        "routes.event_seq",
        "routes.attempts",
        // The pair names the accounts; the rest is order and repetition.
        "deliveries.account_id",
        "deliveries.thread",
        "deliveries.seq",
        "deliveries.not_before",
        "deliveries.reply_to",
        // Words of platforms, meant for operators.
        "deliveries.last_error",
        "alerts.id",
        "notices.seq",
        "notices.priority",
        "notices.once",
        "notices.tries",
        "notices.next_at",
        "notices.claimed_at",
    ];

    async fn texts(database: &DatabaseConnection, sql: &str) -> Vec<(String, String)> {
        let asked = Statement::from_string(database.get_database_backend(), sql);
        let rows = database.query_all_raw(asked).await.unwrap();
        rows.iter().map(|row| (row.try_get_by_index(0).unwrap(), row.try_get_by_index(1).unwrap())).collect()
    }

    /// Every table that holds something of a user: by a foreign key, also over others, or by a column's name.
    async fn of_users(database: &DatabaseConnection) -> BTreeSet<String> {
        let keys = "SELECT m.name, f.\"table\" FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) f \
                    WHERE m.type = 'table'";
        let named = "SELECT m.name, p.name FROM sqlite_master m JOIN pragma_table_info(m.name) p \
                     WHERE m.type = 'table' AND p.name IN ('user_id', 'account_id', 'pair_id', 'delivery_id')";
        let mut found = BTreeSet::from(["users".to_owned()]);
        found.extend(texts(database, named).await.into_iter().map(|(table, _)| table));
        let keys = texts(database, keys).await;
        loop {
            let more: Vec<String> = keys
                .iter()
                .filter(|(table, parent)| found.contains(parent) && !found.contains(table))
                .map(|(table, _)| table.clone())
                .collect();
            if more.is_empty() {
                return found;
            }
            found.extend(more);
        }
    }

    #[tokio::test]
    async fn every_table_and_column_of_a_user_is_exported_or_left_out_for_a_reason() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("schema.sqlite").display());
        let database = Database::connect(url).await.unwrap();
        Migrator::up(&database, None).await.unwrap();
        let found = of_users(&database).await;
        assert!(found.len() > 20, "the schema is read: {found:?}");
        let exported: BTreeMap<&str, &ExportSection> =
            EXPORTED.iter().map(|section| (section.table, section)).collect();
        let elsewhere: BTreeMap<&str, &str> = ELSEWHERE.iter().copied().collect();
        for table in &found {
            let (section, reason) = (exported.get(table.as_str()), elsewhere.get(table.as_str()));
            assert!(
                section.is_some() != reason.is_some(),
                "{table} holds data of users: name it in EXPORTED, or in ELSEWHERE with a reason"
            );
        }
        for table in exported.keys().chain(elsewhere.keys()) {
            assert!(found.contains(*table), "{table} is not there, or not a user's");
        }
        let columns = "SELECT m.name, p.name FROM sqlite_master m JOIN pragma_table_info(m.name) p \
                       WHERE m.type = 'table'";
        let columns = texts(&database, columns).await;
        for (table, column) in &columns {
            let Some(section) = exported.get(table.as_str()) else { continue };
            let shown = section.columns.iter().any(|(name, _)| name == column);
            let owner = section.owner.0 == column;
            let hidden = NOT_SHOWN.contains(&format!("{table}.{column}").as_str());
            assert!((shown || owner) != hidden, "{table}.{column}: show it, or name it in NOT_SHOWN");
        }
        for name in NOT_SHOWN {
            let there = |(table, column): &(String, String)| *name == format!("{table}.{column}");
            assert!(columns.iter().any(there), "{name} is not there");
        }
    }
}
