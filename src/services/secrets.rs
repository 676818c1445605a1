//! Secrets of the installation: set, listed without their values, removed.

use std::borrow::Cow;
use std::str::FromStr;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::fault::Fault;
use super::sensitive::Sensitive;
use crate::store::{ProviderSecret, ProviderSecretView, Store};

/// The name of a secret that can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SecretName(pub ProviderSecret);

impl FromStr for SecretName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl TryFrom<String> for SecretName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<SecretName> for String {
    fn from(name: SecretName) -> Self {
        name.0.as_str().to_owned()
    }
}

impl JsonSchema for SecretName {
    fn schema_name() -> Cow<'static, str> {
        "SecretName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<_> = ProviderSecret::ALL.into_iter().map(ProviderSecret::as_str).collect();
        json_schema!({ "type": "string", "enum": names, "description": "A secret of the installation." })
    }
}

/// A secret as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretItem {
    /// Which.
    pub name: SecretName,
    /// When it was set.
    pub set_at: DateTime<Utc>,
    /// The data key that seals it.
    pub key: String,
}

/// The secrets that are set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretListing {
    /// By name.
    pub items: Vec<SecretItem>,
}

/// A secret's new value.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "value": "what the provider gave" }))]
pub struct SecretOrder {
    /// The value.
    pub value: Sensitive,
}

/// What can be done with secrets.
#[async_trait]
pub trait Secrets: Send + Sync {
    /// The secrets that are set.
    ///
    /// # Errors
    /// [`Fault::Unavailable`]
    async fn list(&self) -> Result<SecretListing, Fault>;

    /// Sets a secret, in place of the one before. It counts from the next use on; the bot reads its token at the start.
    ///
    /// # Errors
    /// [`Fault::Unavailable`]
    async fn set(&self, name: SecretName, order: SecretOrder) -> Result<SecretItem, Fault>;

    /// Removes a secret.
    ///
    /// # Errors
    /// [`Fault::NotFound`] when it is not set.
    async fn remove(&self, name: SecretName) -> Result<SecretItem, Fault>;
}

/// Secrets in the store.
pub struct SecretService {
    store: Store,
}

impl SecretService {
    /// Secrets of this store.
    #[must_use]
    pub const fn new(store: Store) -> Self {
        Self { store }
    }
}

#[async_trait]
impl Secrets for SecretService {
    async fn list(&self) -> Result<SecretListing, Fault> {
        let found = self.store.provider_secrets().await?;
        Ok(SecretListing { items: found.into_iter().map(SecretItem::from).collect() })
    }

    async fn set(&self, name: SecretName, order: SecretOrder) -> Result<SecretItem, Fault> {
        self.store.set_provider_secret(name.0, &order.value.into_secret()).await?;
        tracing::info!(name = %name.0, "a secret of the installation was set");
        self.find(name).await
    }

    async fn remove(&self, name: SecretName) -> Result<SecretItem, Fault> {
        let item = self.find(name).await?;
        self.store.remove_provider_secret(name.0).await?;
        tracing::info!(name = %name.0, "a secret of the installation was removed");
        Ok(item)
    }
}

impl SecretService {
    async fn find(&self, name: SecretName) -> Result<SecretItem, Fault> {
        let found = self.store.provider_secrets().await?;
        let item = found.into_iter().find(|view| view.name == name.0).map(SecretItem::from);
        item.ok_or_else(|| Fault::NotFound(format!("secret {}", name.0)))
    }
}

impl From<ProviderSecretView> for SecretItem {
    fn from(view: ProviderSecretView) -> Self {
        Self { name: SecretName(view.name), set_at: view.set_at, key: view.key.to_string() }
    }
}
