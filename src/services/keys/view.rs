//! Keys and rotations as callers see them. A key's id says nothing about the key.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::crypto::KeyId;
use crate::store::{KeyRotation, MasterKeyView};

/// The id of a master key: 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyName(pub KeyId);

impl FromStr for KeyName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0_u8; KeyId::LEN];
        hex::decode_to_slice(text, &mut bytes)
            .map_err(|_| "a key's id has 16 hexadecimal digits".to_owned())?;
        Ok(Self(KeyId::from_bytes(bytes)))
    }
}

impl TryFrom<String> for KeyName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<KeyName> for String {
    fn from(name: KeyName) -> Self {
        name.0.to_string()
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl JsonSchema for KeyName {
    fn schema_name() -> Cow<'static, str> {
        "KeyName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[0-9a-fA-F]{16}$",
            "description": "The id of a master key. It says nothing about the key.",
            "examples": ["9f86d081884c7d65"],
        })
    }
}

/// A master key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MasterKeyItem {
    /// Its id.
    pub id: KeyName,
    /// `sealing`: wraps what is made now. `readable`: opens what it wrapped. `retired`: given up.
    pub state: String,
    /// Data keys that it wraps.
    pub wraps: u64,
    /// Whether it is on this node's keyring.
    pub here: bool,
    /// Running nodes that have it.
    pub nodes: u64,
}

impl From<MasterKeyView> for MasterKeyItem {
    fn from(view: MasterKeyView) -> Self {
        Self {
            id: KeyName(view.id),
            state: view.state.as_str().to_owned(),
            wraps: view.wraps,
            here: view.here,
            nodes: view.nodes,
        }
    }
}

/// The master keys, and the rotation that began last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KeyListing {
    /// The key that wraps what is made now.
    pub sealing: KeyName,
    /// The file in which the keyring is kept; none where it comes from the environment or from systemd.
    pub file: Option<String>,
    /// In the order of the keyring.
    pub keys: Vec<MasterKeyItem>,
    /// The rotation that began last, if there ever was one.
    pub rotation: Option<RotationView>,
}

/// What rotation is ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(example = serde_json::json!({ "deep": false }))]
pub struct RotateOrder {
    /// The master key to rotate to; without it, the first of the keyring.
    pub to: Option<KeyName>,
    /// Give every user a new data key too and seal every row anew.
    pub deep: bool,
}

/// A rotation as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RotationView {
    /// Its id.
    pub id: Uuid,
    /// `wrap`: data keys are wrapped anew. `deep`: data keys are made anew and rows sealed anew.
    pub kind: String,
    /// The master key that wraps what it writes.
    pub to: KeyName,
    /// How far it is, in a word; `finished` is the last.
    pub phase: String,
    /// Keys and rows that are done.
    pub done: u64,
    /// Keys and rows to be done, as far as they are counted.
    pub total: u64,
    /// Keys and rows done per second, from its beginning to its last step.
    pub rate: f64,
    /// Until when it waits for other nodes.
    pub wait_until: Option<DateTime<Utc>>,
    /// What holds it up.
    pub error: Option<String>,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it last came on.
    pub updated_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
}

impl From<KeyRotation> for RotationView {
    fn from(rotation: KeyRotation) -> Self {
        let seconds = (rotation.updated_at - rotation.started_at).as_seconds_f64();
        // Exact up to four thousand million; beyond, a rate is a rate.
        let done = f64::from(u32::try_from(rotation.done).unwrap_or(u32::MAX));
        let rate = if seconds > 0.0 { (done / seconds * 10.0).round() / 10.0 } else { 0.0 };
        Self {
            id: rotation.id,
            kind: rotation.kind.as_str().to_owned(),
            to: KeyName(rotation.target),
            phase: rotation.phase.as_str().to_owned(),
            done: rotation.done,
            total: rotation.total,
            rate,
            wait_until: rotation.wait_until,
            error: rotation.error,
            started_at: rotation.started_at,
            updated_at: rotation.updated_at,
            finished_at: rotation.finished_at,
        }
    }
}

/// A master key that was given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RetiredKey {
    /// Its id.
    pub id: KeyName,
    /// The file that it was taken out of; none where it has to be taken out of the environment or the credential by hand.
    pub file: Option<String>,
}
