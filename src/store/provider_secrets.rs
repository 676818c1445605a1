//! Secrets of the installation: what payment providers, mail servers and the notice bot know it by. Sealed, and read anew
//! at every use, so that a change is felt at once and on every node.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::OnConflict;
use sea_orm::{EntityTrait, QueryOrder};
use secrecy::{ExposeSecret, SecretString};
use switchyard_actors::ports::StoreError;

use super::entity::provider_secret;
use super::error::{run_time, unreadable};
use super::{Store, rows, time_of};
use crate::crypto::{KeyId, sealing_key};

const PLACE: (&str, &str) = ("provider_secrets", "value");

/// The secrets that can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProviderSecret {
    /// Token of the Telegram bot that writes notices.
    BotToken,
    /// NowPayments' API key.
    NowpaymentsApiKey,
    /// NowPayments' secret for signing what it tells us.
    NowpaymentsIpnSecret,
    /// The secret of PayPal's client.
    PaypalClientSecret,
    /// The key of the service account for Google's Search Console, JSON.
    SearchConsoleKey,
    /// Password of the mail server.
    SmtpPassword,
}

impl ProviderSecret {
    /// Every secret.
    pub const ALL: [Self; 6] = [
        Self::BotToken,
        Self::NowpaymentsApiKey,
        Self::NowpaymentsIpnSecret,
        Self::PaypalClientSecret,
        Self::SearchConsoleKey,
        Self::SmtpPassword,
    ];

    /// The name on the command line, in API and store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BotToken => "bot-token",
            Self::NowpaymentsApiKey => "nowpayments-api-key",
            Self::NowpaymentsIpnSecret => "nowpayments-ipn-secret",
            Self::PaypalClientSecret => "paypal-client-secret",
            Self::SearchConsoleKey => "search-console-key",
            Self::SmtpPassword => "smtp-password",
        }
    }
}

impl fmt::Display for ProviderSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ProviderSecret {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|name| name.as_str() == text).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.into_iter().map(Self::as_str).collect();
            format!("there is no secret {text:?}: the names are {}", names.join(", "))
        })
    }
}

/// A secret as lists show it: never its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProviderSecretView {
    /// Which.
    pub name: ProviderSecret,
    /// When it was set.
    pub set_at: DateTime<Utc>,
    /// The data key that seals it.
    pub key: KeyId,
}

impl Store {
    /// A secret, if it is set.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn provider_secret(&self, name: ProviderSecret) -> Result<Option<SecretString>, StoreError> {
        let found = provider_secret::Entity::find_by_id(name.as_str()).one(&self.readers);
        let Some(row) = self.read(found).await? else { return Ok(None) };
        let value = self.open_system(PLACE, name.as_str().as_bytes(), &row.value).await?;
        let text = std::str::from_utf8(value.expose_secret());
        let text = text.map_err(|_| unreadable("provider secret", "it is no text"))?;
        Ok(Some(SecretString::from(text)))
    }

    /// Sets a secret, in place of the one that was set.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn set_provider_secret(
        &self,
        name: ProviderSecret,
        value: &SecretString,
    ) -> Result<(), StoreError> {
        let blob = self.seal_system(PLACE, name.as_str().as_bytes(), value.expose_secret().as_bytes());
        let row = provider_secret::ActiveModel {
            name: Set(name.as_str().to_owned()),
            value: Set(blob.await?),
            updated_at: Set(self.now()),
        };
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                provider_secret::Entity::insert(row)
                    .on_conflict(
                        OnConflict::column(provider_secret::Column::Name)
                            .update_columns([
                                provider_secret::Column::Value,
                                provider_secret::Column::UpdatedAt,
                            ])
                            .to_owned(),
                    )
                    .exec_without_returning(transaction)
                    .await
                    .map_err(|failure| run_time(&failure))
            })
        });
        write.await.map(|_row| ())
    }

    /// Removes a secret; whether it was set.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn remove_provider_secret(&self, name: ProviderSecret) -> Result<bool, StoreError> {
        let write = self.writer.run(move |transaction| {
            Box::pin(async move {
                provider_secret::Entity::delete_by_id(name.as_str())
                    .exec(transaction)
                    .await
                    .map_err(|failure| run_time(&failure))
            })
        });
        Ok(write.await?.rows_affected > 0)
    }

    /// The secrets that are set, by name.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn provider_secrets(&self) -> Result<Vec<ProviderSecretView>, StoreError> {
        let rows = provider_secret::Entity::find().order_by_asc(provider_secret::Column::Name);
        let rows = self.read(rows.all(&self.readers)).await?;
        rows.into_iter()
            .map(|row| {
                let key =
                    sealing_key(&row.value).map_err(|failure| unreadable("provider secret", failure))?;
                Ok(ProviderSecretView { name: rows::word(&row.name)?, set_at: time_of(row.updated_at), key })
            })
            .collect()
    }
}
