//! Credentials of a sign-in under way: in memory, gone with it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use secrecy::SecretSlice;
use switchyard_actors::model::AccountId;
use switchyard_actors::ports::{Credentials, Proxy, StoreError};

/// Secrets of one account that has no id yet. Peers are not kept: the account meets them when it is connected.
#[derive(Default)]
pub(super) struct ScratchCredentials(Mutex<BTreeMap<String, SecretSlice<u8>>>);

impl ScratchCredentials {
    /// Nothing but a proxy.
    pub(super) fn through(proxy: Option<&Proxy>) -> Self {
        let scratch = Self::default();
        if let Some(proxy) = proxy {
            scratch.put(Proxy::SECRET, proxy.encode());
        }
        scratch
    }

    /// These secrets.
    pub(super) fn of(secrets: Vec<(String, SecretSlice<u8>)>) -> Self {
        Self(Mutex::new(secrets.into_iter().collect()))
    }

    /// Keeps a secret.
    pub(super) fn put(&self, name: &str, value: SecretSlice<u8>) {
        self.secrets().insert(name.to_owned(), value);
    }

    /// The secret of this name.
    pub(super) fn get(&self, name: &str) -> Option<SecretSlice<u8>> {
        self.secrets().get(name).cloned()
    }

    fn secrets(&self) -> MutexGuard<'_, BTreeMap<String, SecretSlice<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Credentials for ScratchCredentials {
    async fn secret(&self, _account: AccountId, name: &str) -> Result<Option<SecretSlice<u8>>, StoreError> {
        Ok(self.get(name))
    }

    async fn set_secret(
        &self,
        _account: AccountId,
        name: &str,
        value: SecretSlice<u8>,
    ) -> Result<(), StoreError> {
        self.put(name, value);
        Ok(())
    }

    async fn peers(&self, _account: AccountId) -> Result<Vec<(i64, SecretSlice<u8>)>, StoreError> {
        Ok(Vec::new())
    }

    async fn set_peers(
        &self,
        _account: AccountId,
        _peers: &[(i64, SecretSlice<u8>)],
    ) -> Result<(), StoreError> {
        Ok(())
    }
}
