//! What the doctor asks of a store: opened for reading only where a daemon holds it.

use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, Statement,
};
use switchyard_actors::model::UserId;
use switchyard_actors::ports::StoreError;

use super::entity::{data_key, node, store_meta};
use super::error::{self, run_time};
use super::meta::OWNER;
use super::writer::Writer;
use super::{OpenError, Store, StoreConfig, StoreOwner, StoreParts, StoreTarget, pools};

/// What a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// `SQLite` or `PostgreSQL`, with its version.
    pub version: String,
    /// The server's own clock, Unix milliseconds; none where the database is a file.
    pub clock: Option<i64>,
}

/// Whether the keyring opens what lies sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyCheck {
    /// Data keys that could be unwrapped.
    pub opened: usize,
    /// Those that could not, and why the first of them.
    pub refused: Option<(usize, String)>,
}

impl Store {
    /// Opens a database that is there for looking only: nothing is made, written or waited for in turn.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open_read_only(config: StoreConfig, parts: StoreParts) -> Result<Self, OpenError> {
        let target = config.target()?;
        let place = target.to_string();
        let failed = |failure: DbErr| error::opening(&failure, &place);
        let (readers, read_limit) = match &target {
            StoreTarget::Sqlite(file) => {
                (pools::sqlite_onlookers(&config, file).await.map_err(failed)?, None)
            }
            StoreTarget::Postgres => {
                (pools::postgres(&config).await.map_err(failed)?, Some(config.statement_timeout))
            }
        };
        let intake_chunk = config.intake_chunk.max(1);
        let announcing = std::sync::Arc::default();
        Ok(Self { readers, writer: Writer::Refused, parts, target, intake_chunk, announcing, read_limit })
    }

    /// Asks the database what it is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn inspect(&self) -> Result<Inspection, StoreError> {
        let postgres = self.readers.get_database_backend() == DbBackend::Postgres;
        let (kind, query) = if postgres {
            ("PostgreSQL", "SELECT current_setting('server_version')")
        } else {
            ("SQLite", "SELECT sqlite_version()")
        };
        let version: String = self.one(query).await?;
        let clock = if postgres {
            Some(self.one("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint").await?)
        } else {
            None
        };
        Ok(Inspection { version: format!("{kind} {version}"), clock })
    }

    /// Begins a write like the daemon's and takes it back: whether the store takes writes at all.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn try_write(&self) -> Result<(), StoreError> {
        let write = self.writer.run(|transaction| {
            Box::pin(async move {
                store_meta::Entity::update_many()
                    .col_expr(store_meta::Column::Value, Expr::col(store_meta::Column::Value))
                    .filter(store_meta::Column::Name.eq(""))
                    .exec(transaction)
                    .await
                    .map_err(|failure| run_time(&failure))
            })
        });
        write.await.map(|_none| ())
    }

    /// Who made the store; none if nobody claimed it yet.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn owner(&self) -> Result<Option<StoreOwner>, StoreError> {
        let row = self.read(store_meta::Entity::find_by_id(OWNER).one(&self.readers)).await?;
        row.map(|row| row.value.parse().map_err(|failure| error::unreadable("owner of the store", failure)))
            .transpose()
    }

    /// Tries the first `limit` users' data keys.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be read at all.
    pub async fn check_data_keys(&self, limit: u64) -> Result<KeyCheck, StoreError> {
        let users = data_key::Entity::find()
            .order_by_asc(data_key::Column::UserId)
            .limit(limit)
            .select_only()
            .column(data_key::Column::UserId)
            .into_tuple::<uuid::Uuid>();
        let mut check = KeyCheck { opened: 0, refused: None };
        for user in self.read(users.all(&self.readers)).await? {
            match self.data_key(UserId::from_uuid(user)).await {
                Ok(_) => check.opened += 1,
                Err(StoreError::Corrupt(why)) => check.refused.get_or_insert((0, why)).0 += 1,
                Err(error) => return Err(error),
            }
        }
        Ok(check)
    }

    /// Nodes other than this one whose lease lasts: their daemons use their accounts now.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn others_alive(&self) -> Result<u64, StoreError> {
        let others = node::Entity::find()
            .filter(node::Column::LeaseUntil.gt(self.now()))
            .filter(node::Column::Id.ne(self.parts.node.as_uuid()));
        self.read(others.count(&self.readers)).await
    }

    async fn one<T: sea_orm::TryGetable>(&self, query: &str) -> Result<T, StoreError> {
        let statement = Statement::from_string(self.readers.get_database_backend(), query);
        let row = self.read(self.readers.query_one_raw(statement)).await?;
        let row = row.ok_or_else(|| StoreError::Failed("the database answers nothing".to_owned()))?;
        row.try_get_by_index(0).map_err(|failure| run_time(&failure))
    }
}
