//! The vault: makes, wraps and unwraps data keys.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};
use thiserror::Error;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::blob::Binding;
use super::data_key::{self, DataKey, KeyOwner, WrappedKey};
use super::keyring::MasterKey;
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

/// How long an unwrapped data key is used before the store is asked again, unless the configuration says otherwise.
const DATA_KEY_TTL: Duration = Duration::from_secs(60);

/// Master keys, and a bounded cache of the data keys in use.
pub struct Vault {
    masters: RwLock<Masters>,
    cache: Mutex<Cache>,
}

struct Masters {
    keyring: Arc<Keyring>,
    /// The key that wraps; always one of the keyring.
    sealing: KeyId,
}

impl Vault {
    /// A vault over a keyring that keeps at most `data_keys_max` unwrapped data keys in memory (at least one). Until
    /// [`Self::seal_with`] says otherwise, the keyring's first key wraps what is made.
    #[must_use]
    pub fn new(keyring: Keyring, data_keys_max: usize) -> Self {
        let sealing = keyring.active_id();
        let masters = RwLock::new(Masters { keyring: Arc::new(keyring), sealing });
        Self { masters, cache: Mutex::new(Cache::new(data_keys_max.max(1), DATA_KEY_TTL)) }
    }

    /// As [`Self::new`], with the time after which the store is asked again for a cached data key: so long may another
    /// node go on with a key that was replaced.
    #[must_use]
    pub fn with_data_key_ttl(self, ttl: Duration) -> Self {
        self.cache().ttl = ttl;
        self
    }

    /// The master keys, which show their ids only.
    #[must_use]
    pub fn keyring(&self) -> Arc<Keyring> {
        Arc::clone(&self.masters.read().unwrap_or_else(PoisonError::into_inner).keyring)
    }

    /// The master key that wraps what is made now.
    #[must_use]
    pub fn sealing(&self) -> KeyId {
        self.masters.read().unwrap_or_else(PoisonError::into_inner).sealing
    }

    /// Wraps with this master key from now on.
    ///
    /// # Errors
    /// [`VaultError::UnknownKey`] if it is not on the keyring; then nothing changes.
    pub fn seal_with(&self, id: KeyId) -> Result<(), VaultError> {
        let mut masters = self.masters.write().unwrap_or_else(PoisonError::into_inner);
        masters.keyring.find(id).ok_or(VaultError::UnknownKey(id))?;
        masters.sealing = id;
        Ok(())
    }

    /// Takes another keyring into use. The key that wraps must be on it.
    ///
    /// # Errors
    /// [`VaultError::UnknownKey`], naming the key that it lacks; then nothing changes.
    pub fn replace_keyring(&self, keyring: Keyring) -> Result<(), VaultError> {
        let mut masters = self.masters.write().unwrap_or_else(PoisonError::into_inner);
        keyring.find(masters.sealing).ok_or(VaultError::UnknownKey(masters.sealing))?;
        masters.keyring = Arc::new(keyring);
        Ok(())
    }

    /// Makes a data key, wrapped by the master key that seals.
    ///
    /// # Errors
    /// [`VaultError::NoRandomness`].
    pub fn create_data_key(&self, owner: impl Into<KeyOwner>) -> Result<WrappedKey, VaultError> {
        let mut id = [0_u8; KeyId::LEN];
        let mut bytes = Zeroizing::new([0_u8; DataKey::LEN]);
        let random = SystemRandom::new();
        random.fill(&mut id).map_err(|_| VaultError::NoRandomness)?;
        random.fill(bytes.as_mut_slice()).map_err(|_| VaultError::NoRandomness)?;
        let id = KeyId::from_bytes(id);
        let (keyring, sealing) = (self.keyring(), self.sealing());
        wrap(keyring.find(sealing).unwrap_or(keyring.active()), owner.into(), id, bytes.as_slice())
    }

    /// Wraps a stored data key by another master key; `None` when it is that one already.
    ///
    /// # Errors
    /// [`VaultError`]: one of the master keys is not on the keyring, or the stored key is changed or another owner's.
    pub fn rewrap(
        &self,
        owner: KeyOwner,
        stored: &WrappedKey,
        master: KeyId,
    ) -> Result<Option<WrappedKey>, VaultError> {
        if stored.master()? == master {
            return Ok(None);
        }
        let keyring = self.keyring();
        let bytes = unwrap(&keyring, owner, stored)?;
        let master = keyring.find(master).ok_or(VaultError::UnknownKey(master))?;
        wrap(master, owner, stored.id, &bytes).map(Some)
    }

    /// A data key from the cache, if it was asked for lately.
    #[must_use]
    pub fn cached(&self, owner: impl Into<KeyOwner>) -> Option<Arc<DataKey>> {
        self.cache().get(owner.into(), Instant::now())
    }

    /// Unwraps a stored data key and keeps it in the cache.
    ///
    /// # Errors
    /// [`VaultError`]: wrapped by a master key that is not on the keyring, changed, or another owner's.
    pub fn unwrap_data_key(
        &self,
        owner: impl Into<KeyOwner>,
        stored: &WrappedKey,
    ) -> Result<Arc<DataKey>, VaultError> {
        self.unwrap_data_keys(owner, stored, &[])
    }

    /// As [`Self::unwrap_data_key`], with the keys beside it that open and never seal.
    ///
    /// # Errors
    /// [`VaultError`], of any of them.
    pub fn unwrap_data_keys(
        &self,
        owner: impl Into<KeyOwner>,
        stored: &WrappedKey,
        spares: &[WrappedKey],
    ) -> Result<Arc<DataKey>, VaultError> {
        let (owner, keyring) = (owner.into(), self.keyring());
        let mut key = DataKey::new(stored.id, &unwrap(&keyring, owner, stored)?)?;
        for spare in spares {
            key.add_spare(spare.id, &unwrap(&keyring, owner, spare)?)?;
        }
        let key = Arc::new(key);
        self.cache().insert(owner, Arc::clone(&key), Instant::now());
        Ok(key)
    }

    /// Drops a data key from the cache: its owner is erased, or it was replaced.
    pub fn forget(&self, owner: impl Into<KeyOwner>) {
        self.cache().remove(owner.into());
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("keyring", &self.keyring()).finish_non_exhaustive()
    }
}

fn wrap(master: &MasterKey, owner: KeyOwner, id: KeyId, bytes: &[u8]) -> Result<WrappedKey, VaultError> {
    let (table, row) = wrapping(owner, id);
    let binding = Binding { table, column: "wrapped", row: &row };
    let wrapped = data_key::seal(master.id, &master.key, binding, bytes)?;
    Ok(WrappedKey { id, wrapped })
}

fn unwrap(keyring: &Keyring, owner: KeyOwner, stored: &WrappedKey) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let parsed = data_key::parse(&stored.wrapped)?;
    let master = keyring.find(parsed.key).ok_or(VaultError::UnknownKey(parsed.key))?;
    let (table, row) = wrapping(owner, stored.id);
    data_key::open(&master.key, Binding { table, column: "wrapped", row: &row }, parsed)
}

/// A wrapped key is bound to its owner and to its own id.
fn wrapping(owner: KeyOwner, id: KeyId) -> (&'static str, Vec<u8>) {
    let (table, owner): (_, &[u8]) = match &owner {
        KeyOwner::User(user) => ("data_keys", &user.as_uuid().into_bytes()),
        KeyOwner::System(purpose) => ("system_keys", purpose.as_str().as_bytes()),
    };
    (table, [owner, id.as_bytes().as_slice()].concat())
}

/// First in, first out, and none longer than its time: unwrapping again costs microseconds.
struct Cache {
    keys: HashMap<KeyOwner, (Arc<DataKey>, Instant)>,
    order: VecDeque<KeyOwner>,
    capacity: usize,
    ttl: Duration,
}

impl Cache {
    fn new(capacity: usize, ttl: Duration) -> Self {
        Self { keys: HashMap::new(), order: VecDeque::new(), capacity, ttl }
    }

    fn get(&self, owner: KeyOwner, now: Instant) -> Option<Arc<DataKey>> {
        let (key, since) = self.keys.get(&owner)?;
        (now.saturating_duration_since(*since) < self.ttl).then(|| Arc::clone(key))
    }

    fn insert(&mut self, owner: KeyOwner, key: Arc<DataKey>, now: Instant) {
        if self.keys.insert(owner, (key, now)).is_some() {
            return;
        }
        self.order.push_back(owner);
        while self.order.len() > self.capacity {
            if let Some(oldest) = self.order.pop_front() {
                self.keys.remove(&oldest);
            }
        }
    }

    fn remove(&mut self, owner: KeyOwner) {
        // Only then is its place in the order looked for, which takes a walk.
        if self.keys.remove(&owner).is_some() {
            self.order.retain(|kept| *kept != owner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use switchyard_actors::model::UserId;
    use uuid::Uuid;

    use crate::crypto::SystemKey;

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

    #[tokio::test(start_paused = true)]
    async fn a_cached_key_is_asked_for_again_after_its_time() {
        let vault = vault(OLD).with_data_key_ttl(Duration::from_secs(5));
        let stored = vault.create_data_key(user(1)).unwrap();
        vault.unwrap_data_key(user(1), &stored).unwrap();
        tokio::time::advance(Duration::from_millis(4_999)).await;
        assert!(vault.cached(user(1)).is_some());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(vault.cached(user(1)).is_none());
    }

    #[test]
    fn a_key_wrapped_anew_is_the_same_key_and_needs_the_old_master_no_more() {
        let (both, new) = (vault(&format!("{OLD} {NEW}")), vault(NEW));
        let owner = KeyOwner::User(user(1));
        let stored = both.create_data_key(owner).unwrap();
        let place = binding("events", "payload", b"row");
        let blob = both.unwrap_data_key(owner, &stored).unwrap().seal(place, TEXT).unwrap();
        let rewrapped = both.rewrap(owner, &stored, new.sealing()).unwrap().unwrap();
        assert_eq!(rewrapped.id, stored.id);
        assert_eq!(
            new.unwrap_data_key(owner, &rewrapped).unwrap().open(place, &blob).unwrap().as_slice(),
            TEXT
        );
        assert_eq!(both.rewrap(owner, &rewrapped, new.sealing()), Ok(None), "it is that one already");
        let theirs = KeyOwner::User(user(2));
        assert_eq!(
            both.rewrap(theirs, &stored, new.sealing()),
            Err(VaultError::Refused),
            "bound to its owner"
        );
        assert!(matches!(new.rewrap(owner, &stored, new.sealing()), Err(VaultError::UnknownKey(_))));
    }

    #[test]
    fn which_master_key_wraps_can_be_changed_and_the_keyring_replaced() {
        let vault = vault(&format!("{OLD} {NEW}"));
        let (old, new) = (vault.sealing(), Keyring::parse(NEW, "a test").unwrap().active_id());
        vault.seal_with(new).unwrap();
        assert_eq!(vault.create_data_key(user(1)).unwrap().master(), Ok(new));
        assert_eq!(
            vault.seal_with(KeyId::from_bytes([1; 8])),
            Err(VaultError::UnknownKey(KeyId::from_bytes([1; 8])))
        );
        let without = Keyring::parse(OLD, "a test").unwrap();
        assert_eq!(vault.replace_keyring(without), Err(VaultError::UnknownKey(new)));
        vault.replace_keyring(Keyring::parse(NEW, "a test").unwrap()).unwrap();
        assert!(!vault.keyring().ids().any(|id| id == old));
    }

    #[test]
    fn a_spare_opens_and_never_seals() {
        let vault = vault(OLD);
        let owner = KeyOwner::System(SystemKey::Sealing);
        let (first, second) = (vault.create_data_key(owner).unwrap(), vault.create_data_key(owner).unwrap());
        let place = binding("provider_secrets", "value", b"row");
        let blob = vault.unwrap_data_key(owner, &first).unwrap().seal(place, TEXT).unwrap();
        let both = vault.unwrap_data_keys(owner, &second, &[first]).unwrap();
        assert_eq!(both.open(place, &blob).unwrap().as_slice(), TEXT);
        let fresh = both.seal(place, TEXT).unwrap();
        assert!(both.sealed(&fresh) && !both.sealed(&blob));
        assert!(vault.unwrap_data_key(owner, &second).unwrap().open(place, &fresh).is_ok());
        assert_ne!(both.derive("one"), both.derive("two"));
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
