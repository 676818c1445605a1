//! The vault: makes and unwraps the users' data keys.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use ring::rand::{SecureRandom, SystemRandom};
use switchyard_actors::model::UserId;
use thiserror::Error;
use zeroize::Zeroizing;

use super::blob::Binding;
use super::data_key::{self, DataKey, WrappedKey};
use super::{KeyId, Keyring};

/// Why a blob could not be sealed or opened. Says nothing about the text or the key.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum VaultError {
    /// Too short, or holding something that is no key.
    #[error("ciphertext is malformed")]
    Malformed,
    /// Written by a version that this one does not know.
    #[error("ciphertext has unknown version {0}")]
    UnknownVersion(u8),
    /// Sealed under a key that is not here.
    #[error("ciphertext needs key {0}, which is not on the keyring")]
    UnknownKey(KeyId),
    /// The tag does not fit: changed, moved to another row, or sealed under another key of the same id.
    #[error("ciphertext fails authentication: it was changed or belongs elsewhere")]
    Refused,
    /// The operating system has no randomness to give.
    #[error("the operating system gives no randomness")]
    NoRandomness,
    /// More than the cipher can seal at once.
    #[error("text is too long to be sealed")]
    TooLong,
}

/// Master keys, and a bounded cache of the data keys in use.
pub struct Vault {
    keyring: Keyring,
    cache: Mutex<Cache>,
}

impl Vault {
    /// A vault over a keyring that keeps at most `data_keys_max` unwrapped data keys in memory (at least one).
    #[must_use]
    pub fn new(keyring: Keyring, data_keys_max: usize) -> Self {
        let cache = Cache { keys: HashMap::new(), order: VecDeque::new(), capacity: data_keys_max.max(1) };
        Self { keyring, cache: Mutex::new(cache) }
    }

    /// The master keys, which show their ids only.
    #[must_use]
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// Makes a data key for a user, wrapped by the active master key.
    ///
    /// # Errors
    /// [`VaultError::NoRandomness`].
    pub fn create_data_key(&self, user: UserId) -> Result<WrappedKey, VaultError> {
        let mut id = [0_u8; KeyId::LEN];
        let mut bytes = Zeroizing::new([0_u8; DataKey::LEN]);
        let random = SystemRandom::new();
        random.fill(&mut id).map_err(|_| VaultError::NoRandomness)?;
        random.fill(bytes.as_mut_slice()).map_err(|_| VaultError::NoRandomness)?;
        let id = KeyId::from_bytes(id);
        let master = self.keyring.active();
        let row = wrapping_row(user, id);
        let wrapped = data_key::seal(master.id, &master.key, wrapping(&row), bytes.as_slice())?;
        Ok(WrappedKey { id, wrapped })
    }

    /// A data key from the cache.
    #[must_use]
    pub fn cached(&self, user: UserId) -> Option<Arc<DataKey>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).keys.get(&user).map(Arc::clone)
    }

    /// Unwraps a stored data key and keeps it in the cache.
    ///
    /// # Errors
    /// [`VaultError`]: wrapped by a master key that is not on the keyring, changed, or another user's.
    pub fn unwrap_data_key(&self, user: UserId, stored: &WrappedKey) -> Result<Arc<DataKey>, VaultError> {
        let parsed = data_key::parse(&stored.wrapped)?;
        let master = self.keyring.find(parsed.key).ok_or(VaultError::UnknownKey(parsed.key))?;
        let row = wrapping_row(user, stored.id);
        let bytes = data_key::open(&master.key, wrapping(&row), parsed)?;
        let key = Arc::new(DataKey::new(stored.id, &bytes)?);
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).insert(user, Arc::clone(&key));
        Ok(key)
    }

    /// Drops a data key from the cache, when its user is erased.
    pub fn forget(&self, user: UserId) {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).remove(user);
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("keyring", &self.keyring).finish_non_exhaustive()
    }
}

/// A wrapped key is bound to its user and to its own id.
fn wrapping_row(user: UserId, id: KeyId) -> Vec<u8> {
    [user.as_uuid().as_bytes().as_slice(), id.as_bytes().as_slice()].concat()
}

fn wrapping(row: &[u8]) -> Binding<'_> {
    Binding { table: "data_keys", column: "wrapped", row }
}

/// First in, first out: unwrapping again costs microseconds.
struct Cache {
    keys: HashMap<UserId, Arc<DataKey>>,
    order: VecDeque<UserId>,
    capacity: usize,
}

impl Cache {
    fn insert(&mut self, user: UserId, key: Arc<DataKey>) {
        if self.keys.insert(user, key).is_some() {
            return;
        }
        self.order.push_back(user);
        while self.order.len() > self.capacity {
            if let Some(oldest) = self.order.pop_front() {
                self.keys.remove(&oldest);
            }
        }
    }

    fn remove(&mut self, user: UserId) {
        self.keys.remove(&user);
        self.order.retain(|kept| *kept != user);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const OLD: &str = "hKG6w0T3Jr7vJ1i0n8lS0c5m4yWm3Xq1kZl5r2t9uA0=";
    const NEW: &str = "3q2+7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    const TEXT: &[u8] = b"attack at dawn";

    fn vault(keys: &str) -> Vault {
        Vault::new(Keyring::parse(keys, "a test").unwrap(), 2)
    }

    fn user(number: u128) -> UserId {
        UserId::from_uuid(Uuid::from_u128(number))
    }

    fn key(vault: &Vault) -> Arc<DataKey> {
        vault.unwrap_data_key(user(1), &vault.create_data_key(user(1)).unwrap()).unwrap()
    }

    fn binding(table: &'static str, column: &'static str, row: &'static [u8]) -> Binding<'static> {
        Binding { table, column, row }
    }

    #[test]
    fn what_is_sealed_opens_in_its_place_only() {
        let key = key(&vault(OLD));
        let place = binding("events", "payload", b"row");
        let blob = key.seal(place, TEXT).unwrap();
        assert_eq!(key.open(place, &blob).unwrap().as_slice(), TEXT);
        assert_ne!(blob, key.seal(place, TEXT).unwrap(), "a nonce is never used twice");
        assert_eq!(key.open(binding("events", "payload", b"rox"), &blob), Err(VaultError::Refused));
        assert_eq!(key.open(binding("events", "payloadr", b"ow"), &blob), Err(VaultError::Refused));
        assert_eq!(key.open(binding("event", "spayload", b"row"), &blob), Err(VaultError::Refused));
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let key = key(&vault(OLD));
        let place = binding("events", "payload", b"row");
        let blob = key.seal(place, TEXT).unwrap();
        for at in 0..blob.len() {
            let mut changed = blob.clone();
            changed[at] ^= 1;
            assert!(key.open(place, &changed).is_err(), "byte {at}");
            assert!(key.open(place, &blob[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_data_key_belongs_to_its_user() {
        let vault = vault(OLD);
        let stored = vault.create_data_key(user(1)).unwrap();
        assert_eq!(vault.unwrap_data_key(user(2), &stored).unwrap_err(), VaultError::Refused);
        let renamed = WrappedKey { id: KeyId::from_bytes([7; 8]), ..stored };
        assert_eq!(vault.unwrap_data_key(user(1), &renamed).unwrap_err(), VaultError::Refused);
    }

    #[test]
    fn another_users_key_does_not_open_and_names_what_it_needs() {
        let vault = vault(OLD);
        let (mine, theirs) = (key(&vault), vault.create_data_key(user(2)).unwrap());
        let theirs = vault.unwrap_data_key(user(2), &theirs).unwrap();
        let place = binding("events", "payload", b"row");
        let blob = mine.seal(place, TEXT).unwrap();
        assert_eq!(theirs.open(place, &blob), Err(VaultError::UnknownKey(mine.id())));
    }

    #[test]
    fn an_older_master_key_still_opens_and_the_first_one_seals() {
        let before = vault(OLD);
        let stored = before.create_data_key(user(1)).unwrap();
        let after = vault(&format!("{NEW} # since today\n{OLD}"));
        assert!(after.unwrap_data_key(user(1), &stored).is_ok());
        let fresh = after.create_data_key(user(2)).unwrap();
        assert_eq!(data_key::parse(&fresh.wrapped).unwrap().key, after.keyring().active_id());
        assert_eq!(
            before.unwrap_data_key(user(2), &fresh).unwrap_err(),
            VaultError::UnknownKey(after.keyring().active_id())
        );
        assert_eq!(after.keyring().ids().nth(1), Some(before.keyring().active_id()), "ids are the keys' own");
    }

    #[test]
    fn the_cache_is_bounded_and_forgets() {
        let vault = vault(OLD);
        for number in 1..=3 {
            let stored = vault.create_data_key(user(number)).unwrap();
            vault.unwrap_data_key(user(number), &stored).unwrap();
        }
        let cached: Vec<bool> = (1..=3).map(|number| vault.cached(user(number)).is_some()).collect();
        assert_eq!(cached, [false, true, true]);
        vault.forget(user(3));
        assert!(vault.cached(user(3)).is_none());
    }

    #[test]
    fn nothing_secret_is_shown() {
        let vault = vault(OLD);
        let shown = format!("{vault:?} {:?} {:?}", vault.keyring(), key(&vault));
        let key: Vec<u8> = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, OLD).unwrap();
        assert!(
            !shown.contains(OLD)
                && !shown.contains(&hex::encode(&key))
                && !shown.contains(&format!("{key:?}"))
        );
        assert!(shown.contains(&vault.keyring().active_id().to_string()));
    }
}
