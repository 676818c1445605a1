//! The authorization keys that the data centre knows, and who is signed in with them.

use std::collections::{BTreeMap, BTreeSet};

use super::super::crypto::{AuthKey, KEY_LENGTH};

/// What a key stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Known, but nobody is signed in.
    Unregistered,
    /// Signed in as a user.
    SignedIn(i64),
    /// Was signed in until another session ended it.
    Revoked,
}

#[derive(Debug)]
struct Record {
    key: AuthKey,
    standing: Standing,
    layer: Option<i32>,
}

/// All known keys by id.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    records: BTreeMap<i64, Record>,
    by_user: BTreeMap<i64, BTreeSet<i64>>,
}

impl Keys {
    /// The key with an id.
    pub(crate) fn get(&self, id: i64) -> Option<&AuthKey> {
        self.records.get(&id).map(|record| &record.key)
    }

    /// All known keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &AuthKey> {
        self.records.values().map(|record| &record.key)
    }

    /// How many keys are known.
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// What a key stands for; `None` if it is not known.
    pub(crate) fn standing(&self, id: i64) -> Option<Standing> {
        self.records.get(&id).map(|record| record.standing)
    }

    /// The layer that a client on this key said it speaks.
    pub(crate) fn layer(&self, id: i64) -> Option<i32> {
        self.records.get(&id).and_then(|record| record.layer)
    }

    /// The keys that are signed in as a user.
    pub(crate) fn of_user(&self, user: i64) -> impl Iterator<Item = i64> + '_ {
        self.by_user.get(&user).into_iter().flatten().copied()
    }

    pub(super) fn register(&mut self, key: &str) {
        let mut bytes = [0; KEY_LENGTH];
        if hex::decode_to_slice(key, &mut bytes).is_err() {
            tracing::error!("an authorization key in the journal is no hex of 256 bytes");
            return;
        }
        let key = AuthKey::new(bytes);
        self.records.entry(key.id()).or_insert(Record { key, standing: Standing::Unregistered, layer: None });
    }

    pub(super) fn set_layer(&mut self, id: i64, layer: i32) {
        if let Some(record) = self.records.get_mut(&id) {
            record.layer = Some(layer);
        }
    }

    pub(super) fn sign_in(&mut self, id: i64, user: i64) {
        if self.records.contains_key(&id) {
            self.stand(id, Standing::SignedIn(user));
            self.by_user.entry(user).or_default().insert(id);
        }
    }

    pub(super) fn sign_out(&mut self, id: i64) {
        self.stand(id, Standing::Unregistered);
    }

    pub(super) fn revoke(&mut self, id: i64) {
        self.stand(id, Standing::Revoked);
    }

    pub(super) fn forget(&mut self, id: i64) {
        self.stand(id, Standing::Unregistered);
        self.records.remove(&id);
    }

    fn stand(&mut self, id: i64, standing: Standing) {
        let Some(record) = self.records.get_mut(&id) else { return };
        if let Standing::SignedIn(user) = std::mem::replace(&mut record.standing, standing)
            && let Some(keys) = self.by_user.get_mut(&user)
        {
            keys.remove(&id);
        }
    }
}
