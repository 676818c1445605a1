//! What the store in memory keeps besides messages: accounts and pairs, secrets, alerts, throttle states.

use async_trait::async_trait;
use secrecy::SecretSlice;

use super::MemoryStore;
use crate::model::{Account, AccountId, AccountState, Alert, Fence, Pair};
use crate::ports::{Credentials, Directory, Notice, StoreError, ThrottleMemory};

impl MemoryStore {
    /// Adds an account.
    pub fn add_account(&self, account: Account) {
        self.peek().accounts.insert(account.id, account);
    }

    /// Adds a pair.
    pub fn add_pair(&self, pair: Pair) {
        self.peek().pairs.insert(pair.id, pair);
    }
}

#[async_trait]
impl Credentials for MemoryStore {
    async fn secret(&self, _: AccountId, _: &str) -> Result<Option<SecretSlice<u8>>, StoreError> {
        Ok(None)
    }

    async fn set_secret(&self, _: AccountId, _: &str, _: SecretSlice<u8>) -> Result<(), StoreError> {
        Ok(())
    }

    async fn peers(&self, _: AccountId) -> Result<Vec<(i64, SecretSlice<u8>)>, StoreError> {
        Ok(Vec::new())
    }

    async fn set_peers(&self, _: AccountId, _: &[(i64, SecretSlice<u8>)]) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait]
impl Notice for MemoryStore {
    async fn raise(&self, alert: &Alert) -> Result<(), StoreError> {
        let alerts = &mut self.lock()?.alerts;
        if alerts.iter().all(|known| known.id != alert.id) {
            alerts.push(alert.clone());
        }
        Ok(())
    }
}

#[async_trait]
impl ThrottleMemory for MemoryStore {
    async fn throttle_state(&self, identity: &str) -> Result<Option<String>, StoreError> {
        Ok(self.lock()?.throttles.get(identity).cloned())
    }

    async fn set_throttle_state(
        &self,
        identity: &str,
        fence: Option<Fence>,
        text: &str,
    ) -> Result<(), StoreError> {
        let mut state = self.lock()?;
        fence.map_or(Ok(()), |fence| state.check(fence))?;
        state.throttles.insert(identity.to_owned(), text.to_owned());
        Ok(())
    }
}

#[async_trait]
impl Directory for MemoryStore {
    async fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        Ok(self.lock()?.accounts.values().cloned().collect())
    }

    async fn account(&self, id: AccountId) -> Result<Account, StoreError> {
        self.lock()?.accounts.get(&id).cloned().ok_or_else(|| StoreError::NotFound(format!("account {id}")))
    }

    async fn pairs(&self) -> Result<Vec<Pair>, StoreError> {
        Ok(self.lock()?.pairs.values().cloned().collect())
    }

    async fn set_account_state(&self, id: AccountId, to: AccountState) -> Result<(), StoreError> {
        if let Some(account) = self.lock()?.accounts.get_mut(&id) {
            account.state = to;
        }
        Ok(())
    }
}
