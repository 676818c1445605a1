//! Very many users, written past the store's rules in a few statements.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend};
use switchyard::crypto::{Keyring, Vault};
use switchyard_actors::model::UserId;
use uuid::Uuid;

use super::daemon::DataDir;

/// How many users' keys a rotation is tried with: the mission's bound on SQLite, a tenth of it on PostgreSQL, unless
/// `SWITCHYARD_KEYS` says otherwise.
pub(crate) fn keys(data: &DataDir) -> usize {
    let said = std::env::var("SWITCHYARD_KEYS").ok().and_then(|text| text.parse().ok());
    said.unwrap_or(if data.store_url().is_some() { 10_000 } else { 100_000 })
}

/// So many users with a data key each, wrapped by the first key of a keyring.
pub(crate) async fn users(store: &DatabaseConnection, keyring: &str, many: u128) {
    let vault = Vault::new(Keyring::parse(keyring, "a test").expect("a keyring"), 1);
    let postgres = store.get_database_backend() == DbBackend::Postgres;
    let uuid = |id: Uuid| if postgres { format!("'{id}'") } else { format!("x'{}'", id.simple()) };
    let bytes = |bytes: &[u8]| {
        let hex = hex::encode(bytes);
        if postgres { format!("'\\x{hex}'::bytea") } else { format!("x'{hex}'") }
    };
    let numbers: Vec<u128> = (1_000_000..1_000_000 + many).collect();
    for some in numbers.chunks(500) {
        let (mut users, mut keys) = (Vec::new(), Vec::new());
        for number in some {
            let id = Uuid::from_u128(*number);
            let key = vault.create_data_key(UserId::from_uuid(id)).expect("a key");
            users.push(format!("({}, 'Somebody', 0)", uuid(id)));
            keys.push(format!("({}, {}, {}, 0)", uuid(id), bytes(key.id.as_bytes()), bytes(&key.wrapped)));
        }
        let insert = format!(
            "BEGIN; INSERT INTO users (id, name, created_at) VALUES {}; \
             INSERT INTO data_keys (user_id, key_id, wrapped, created_at) VALUES {}; COMMIT",
            users.join(","),
            keys.join(","),
        );
        store.execute_unprepared(&insert).await.expect("rows");
    }
}
