//! Every sealed column: how its rows are found in order, what they are bound to and whose key seals them.
//!
//! A column that is not named here would keep its old data keys alive for ever; a test looks for such columns.

/// What a part of a row's key is, and how it stands in the binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// 16 bytes.
    Uuid,
    /// Its UTF-8.
    Text,
    /// 8 bytes, big-endian.
    Number,
    /// 2 bytes, big-endian.
    Short,
}

/// Whose data key seals a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// The system's.
    System,
    /// That of the user whom this expression names.
    User(&'static str),
}

/// A sealed column.
#[derive(Clone, Copy, Debug)]
pub(super) struct SealedColumn {
    pub(super) table: &'static str,
    pub(super) column: &'static str,
    /// Columns by which rows are found, in the order of an index.
    pub(super) key: &'static [(&'static str, Part)],
    /// Columns that the ciphertext is bound to, in order.
    pub(super) bound: &'static [(&'static str, Part)],
    pub(super) owner: Owner,
}

const OF_ACCOUNT: &str = "(SELECT user_id FROM accounts WHERE accounts.id = account_id)";

pub(super) const SEALED: &[SealedColumn] = &[
    SealedColumn {
        table: "account_secrets",
        column: "value",
        key: &[("account_id", Part::Uuid), ("name", Part::Text)],
        bound: &[("account_id", Part::Uuid), ("name", Part::Text)],
        owner: Owner::User(OF_ACCOUNT),
    },
    SealedColumn {
        table: "peers",
        column: "record",
        key: &[("account_id", Part::Uuid), ("peer_id", Part::Number)],
        bound: &[("account_id", Part::Uuid), ("peer_id", Part::Number)],
        owner: Owner::User(OF_ACCOUNT),
    },
    SealedColumn {
        table: "events",
        column: "payload",
        key: &[("seq", Part::Number)],
        bound: &[("id", Part::Uuid)],
        owner: Owner::User(OF_ACCOUNT),
    },
    SealedColumn {
        table: "delivery_parts",
        column: "body",
        key: &[("delivery_id", Part::Uuid), ("part", Part::Short)],
        bound: &[("delivery_id", Part::Uuid), ("part", Part::Short)],
        owner: Owner::User(
            "(SELECT pairs.user_id FROM deliveries JOIN pairs ON pairs.id = deliveries.pair_id \
             WHERE deliveries.id = delivery_id)",
        ),
    },
    SealedColumn {
        table: "users",
        column: "profile",
        key: &[("id", Part::Uuid)],
        bound: &[("id", Part::Uuid)],
        owner: Owner::User("id"),
    },
    SealedColumn {
        table: "users",
        column: "password",
        key: &[("id", Part::Uuid)],
        bound: &[("id", Part::Uuid)],
        owner: Owner::User("id"),
    },
    SealedColumn {
        table: "user_sessions",
        column: "device",
        key: &[("id", Part::Uuid)],
        bound: &[("id", Part::Uuid)],
        owner: Owner::User("user_id"),
    },
    SealedColumn {
        table: "api_keys",
        column: "details",
        key: &[("id", Part::Uuid)],
        bound: &[("id", Part::Uuid)],
        owner: Owner::User("user_id"),
    },
    SealedColumn {
        table: "user_totp",
        column: "secret",
        key: &[("user_id", Part::Uuid)],
        bound: &[("user_id", Part::Uuid)],
        owner: Owner::User("user_id"),
    },
    SealedColumn {
        table: "idempotency_keys",
        column: "user_answer",
        key: &[("id", Part::Text)],
        bound: &[("id", Part::Text)],
        owner: Owner::User("user_id"),
    },
    SealedColumn {
        table: "idempotency_keys",
        column: "system_answer",
        key: &[("id", Part::Text)],
        bound: &[("id", Part::Text)],
        owner: Owner::System,
    },
    SealedColumn {
        table: "provider_secrets",
        column: "value",
        key: &[("name", Part::Text)],
        bound: &[("name", Part::Text)],
        owner: Owner::System,
    },
    SealedColumn {
        table: "admins",
        column: "totp",
        key: &[("id", Part::Uuid)],
        bound: &[("id", Part::Uuid)],
        owner: Owner::System,
    },
];

#[cfg(test)]
mod tests {
    use sea_orm::{ConnectionTrait, Database, Statement};
    use switchyard_migrations::{Migrator, MigratorTrait};

    use super::*;

    /// Bytes that no data key seals: keyed hashes, ids of keys, keys under a master key, cursors.
    const NOT_SEALED: &[&str] = &[
        "users.email_tag",
        "user_sessions.token_tag",
        "api_keys.tag",
        "password_resets.tag",
        "user_recovery_codes.tag",
        "login_failures.subject",
        "admin_sessions.token",
        "idempotency_keys.id",
        "idempotency_keys.fingerprint",
        "bot_link_codes.code",
        "data_keys.key_id",
        "data_keys.wrapped",
        "spare_data_keys.key_id",
        "spare_data_keys.wrapped",
        "system_keys.key_id",
        "system_keys.wrapped",
        "spare_system_keys.key_id",
        "spare_system_keys.wrapped",
        "master_keys.key_id",
        "node_keys.key_id",
        "key_rotations.target",
        "key_rotations.cursor",
    ];

    #[tokio::test]
    async fn every_column_of_bytes_is_sealed_or_known_to_be_none() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("schema.sqlite").display());
        let database = Database::connect(url).await.unwrap();
        Migrator::up(&database, None).await.unwrap();
        let sql = "SELECT m.name || '.' || p.name FROM sqlite_master m JOIN pragma_table_info(m.name) p \
                   WHERE m.type = 'table' AND upper(p.type) LIKE '%BLOB%'";
        let statement = Statement::from_string(database.get_database_backend(), sql);
        let rows = database.query_all_raw(statement).await.unwrap();
        let found: Vec<String> = rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect();
        let sealed: Vec<String> =
            SEALED.iter().map(|known| format!("{}.{}", known.table, known.column)).collect();
        for column in &found {
            assert!(
                sealed.contains(column) || NOT_SEALED.contains(&column.as_str()),
                "{column} holds bytes: name it in SEALED, or here if no data key seals it"
            );
        }
        for column in &sealed {
            assert!(found.contains(column), "{column} is not there");
        }
    }
}
