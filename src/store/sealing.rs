//! What lies sealed in which column: the users' data keys, and texts to and from ciphertext.

use std::sync::Arc;

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use secrecy::{ExposeSecret, SecretSlice};
use switchyard_actors::model::{DeliveryId, EventId, PartBody, SourceEvent, UserId};
use switchyard_actors::ports::StoreError;
use uuid::Uuid;

use super::Store;
use super::entity::{data_key, spare_data_key};
use super::error::{self, unreadable};
use crate::crypto::{Binding, DataKey, KeyId, WrappedKey};

/// Where the secrets of accounts lie.
pub(super) const SECRET: (&str, &str) = ("account_secrets", "value");

/// How often a key's rows are read until they agree. One replacement lies minutes from the next.
pub(super) const READS_MAX: usize = 3;

impl Store {
    /// The data key of a user, from the vault's cache or unwrapped anew.
    pub(super) async fn data_key(&self, user: UserId) -> Result<Arc<DataKey>, StoreError> {
        if let Some(key) = self.parts.vault.cached(user) {
            return Ok(key);
        }
        for _ in 0..READS_MAX {
            let spares =
                spare_data_key::Entity::find().filter(spare_data_key::Column::UserId.eq(user.as_uuid()));
            let spares = self.read(spares.all(&self.readers)).await?;
            let row = self.read(data_key::Entity::find_by_id(user.as_uuid()).one(&self.readers)).await?;
            let row = row.ok_or_else(|| StoreError::NotFound(format!("data key of user {user}")))?;
            if spares.iter().any(|spare| spare.key_id == row.key_id) {
                continue;
            }
            let spares: Result<Vec<_>, _> =
                spares.into_iter().map(|spare| wrapped(&spare.key_id, spare.wrapped)).collect();
            let stored = wrapped(&row.key_id, row.wrapped)?;
            let opened = self.parts.vault.unwrap_data_keys(user, &stored, &spares?);
            return opened.map_err(|failure| error::vault("data key", failure));
        }
        Err(changing())
    }
}

/// A key that took its place between the two reads shows in both: then the one whose place it took is not among them yet.
pub(super) fn changing() -> StoreError {
    StoreError::Unavailable("the data key is being replaced: try again".to_owned())
}

/// A wrapped key as its row has it.
pub(super) fn wrapped(id: &[u8], wrapped: Vec<u8>) -> Result<WrappedKey, StoreError> {
    let id = id.try_into().map_err(|_| unreadable("data key", "its id has another length"))?;
    Ok(WrappedKey { id: KeyId::from_bytes(id), wrapped })
}

pub(super) fn seal_event(key: &DataKey, id: EventId, event: &SourceEvent) -> Result<Vec<u8>, StoreError> {
    let text = serde_json::to_vec(event).map_err(|failure| unreadable("event", failure))?;
    key.seal(event_binding(id.as_uuid().as_bytes()), &text).map_err(|failure| error::vault("event", failure))
}

pub(super) fn open_event(key: &DataKey, id: EventId, blob: &[u8]) -> Result<SourceEvent, StoreError> {
    let text = key
        .open(event_binding(id.as_uuid().as_bytes()), blob)
        .map_err(|failure| error::vault("event", failure))?;
    serde_json::from_slice(&text).map_err(|failure| unreadable("event", failure))
}

fn event_binding(row: &[u8]) -> Binding<'_> {
    Binding { table: "events", column: "payload", row }
}

pub(super) fn seal_part(
    key: &DataKey,
    delivery: DeliveryId,
    part: u16,
    body: &PartBody,
) -> Result<Vec<u8>, StoreError> {
    let text = serde_json::to_vec(body).map_err(|failure| unreadable("part", failure))?;
    key.seal(part_binding(&part_row(delivery, part)), &text).map_err(|failure| error::vault("part", failure))
}

pub(super) fn open_part(
    key: &DataKey,
    delivery: DeliveryId,
    part: u16,
    blob: &[u8],
) -> Result<PartBody, StoreError> {
    let text = key
        .open(part_binding(&part_row(delivery, part)), blob)
        .map_err(|failure| error::vault("part", failure))?;
    serde_json::from_slice(&text).map_err(|failure| unreadable("part", failure))
}

fn part_row(delivery: DeliveryId, part: u16) -> Vec<u8> {
    [delivery.as_uuid().as_bytes().as_slice(), &part.to_be_bytes()].concat()
}

fn part_binding(row: &[u8]) -> Binding<'_> {
    Binding { table: "delivery_parts", column: "body", row }
}

/// A named secret or a peer's record: which column, and the account with the name or number.
pub(super) fn seal_secret(
    key: &DataKey,
    place: (&'static str, &'static str),
    row: &[u8],
    value: &SecretSlice<u8>,
) -> Result<Vec<u8>, StoreError> {
    let binding = Binding { table: place.0, column: place.1, row };
    key.seal(binding, value.expose_secret()).map_err(|failure| error::vault(place.0, failure))
}

pub(super) fn open_secret(
    key: &DataKey,
    place: (&'static str, &'static str),
    row: &[u8],
    blob: &[u8],
) -> Result<SecretSlice<u8>, StoreError> {
    let binding = Binding { table: place.0, column: place.1, row };
    let text = key.open(binding, blob).map_err(|failure| error::vault(place.0, failure))?;
    Ok(SecretSlice::from(text.to_vec()))
}

pub(super) fn secret_row(account: Uuid, name: &[u8]) -> Vec<u8> {
    [account.as_bytes().as_slice(), name].concat()
}
