//! What owners change of their accounts, and reconnecting.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer, Serialize};
use switchyard_actors::model::{Account, AccountId, AccountKind, AccountState};
use switchyard_actors::ports::{Directory, Proxy, ProxyError};
use switchyard_actors::tree::{ReconnectError, Reconnected};

use super::AccountView;
use crate::outgoing::{NotPublic, public};
use crate::services::caller::Caller;
use crate::services::desk::Desk;
use crate::services::fault::Fault;
use crate::services::sensitive::Sensitive;
use crate::store::SettingsChange;

/// Longest name of an owner's own, characters.
const NAME_MAX: usize = 100;

/// A SOCKS5 proxy (RFC 1928). While an account has one, nothing of it goes past it: when the proxy is down, the account is
/// not connected.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewProxy {
    /// Its host name or address. Neither of this server nor of a private network.
    #[schemars(example = "proxy.example.net")]
    pub host: String,
    /// Its port.
    #[schemars(example = 1080)]
    pub port: u16,
    /// The user name, where it asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The password, where it asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Sensitive>,
}

impl NewProxy {
    /// Checks it.
    ///
    /// # Errors
    /// [`Fault::Invalid`].
    pub fn read(self) -> Result<Proxy, Fault> {
        if let Ok(address) = self.host.parse::<IpAddr>()
            && let Err(NotPublic::Metadata | NotPublic::Multicast | NotPublic::Unspecified) = public(address)
        {
            return Err(Fault::invalid("/proxy/host", "no proxy stands at this address"));
        }
        let password = self.password.map(Sensitive::into_secret);
        let password: Option<&SecretString> = password.as_ref();
        Proxy::new(&self.host, self.port, self.user.as_deref(), password).map_err(|error| {
            let pointer = match error {
                ProxyError::Host => "/proxy/host",
                ProxyError::Port => "/proxy/port",
                ProxyError::User => "/proxy/user",
                ProxyError::Password => "/proxy/password",
            };
            Fault::invalid(pointer, error.to_string())
        })
    }
}

/// What is to be different; what is left out stays as it is.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "name": "News desk" }))]
pub struct AccountChange {
    /// The owner's name for it, 1 to 100 characters; null: the one that the platform shows.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub name: Option<Option<String>>,
    /// Its proxy; null: none. The session connects anew at once.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Option<NewProxy>>,
}

/// A field that is null is another thing than one that is left out.
#[expect(clippy::option_option, reason = "left out, null and a value are three things")]
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(from).map(Some)
}

/// What a reconnect came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReconnectView {
    /// The account.
    pub id: AccountId,
    /// Since when it connects.
    pub at: DateTime<Utc>,
}

fn label(name: Option<String>) -> Result<Option<String>, Fault> {
    let Some(name) = name else { return Ok(None) };
    let name = name.trim();
    let sound = (1..=NAME_MAX).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    let wrong =
        || Fault::invalid("/name", format!("it must be 1 to {NAME_MAX} characters, without line ends"));
    if sound { Ok(Some(name.to_owned())) } else { Err(wrong()) }
}

impl Desk {
    pub(super) async fn change_account(
        &self,
        account: Account,
        expected: Option<i64>,
        change: AccountChange,
    ) -> Result<AccountView, Fault> {
        let AccountChange { name, proxy } = change;
        if matches!(proxy, Some(Some(_))) && account.kind == AccountKind::DiscordBot {
            let detail =
                "a Discord bot cannot have a proxy: its gateway connection cannot be led through one";
            return Err(Fault::invalid("/proxy", detail));
        }
        let moves = proxy.is_some();
        let change = SettingsChange {
            label: name.map(label).transpose()?,
            proxy: proxy
                .map(|proxy| proxy.map(|proxy| Ok::<_, Fault>(proxy.read()?.encode())).transpose())
                .transpose()?,
        };
        let changed = self.store.change_account_settings(account.id, expected, change).await?;
        changed.ok_or(Fault::Stale)?;
        if moves && account.state != AccountState::NeedsLogin {
            // A wait that its platform asked for goes on; the connection after it takes the new way.
            if let Err(error) = self.operator.reconnect_session(account.id).await {
                tracing::warn!(account = %account.id, %error, "session does not connect by its new way yet");
            }
        }
        tracing::info!(account = %account.id, proxy = moves, "account was changed");
        let account = self.store.account(account.id).await?;
        self.account_view(account).await
    }

    pub(super) async fn reconnect_account(
        &self,
        caller: Caller,
        account: &Account,
    ) -> Result<ReconnectView, Fault> {
        if account.state == AccountState::Quarantined && !caller.is_staff() {
            let text =
                "the platform refused too much of this account: only the operator may lift its quarantine";
            return Err(Fault::Conflict(text.to_owned()));
        }
        match self.operator.reconnect(account.id).await {
            Ok(Reconnected::Connecting) => Ok(ReconnectView { id: account.id, at: self.clock.now() }),
            Ok(Reconnected::WaitingUntil(until)) => {
                let wait = (until - self.clock.now()).to_std().unwrap_or_default();
                let reason = format!("until {}", until.format("%Y-%m-%d %H:%M:%SZ"));
                Err(Fault::PlatformWait { wait, reason })
            }
            Err(ReconnectError::NotFound(_)) => Err(Fault::NotFound(format!("account {}", account.id))),
            Err(error @ ReconnectError::NeedsLogin(_)) => Err(Fault::NeedsLogin(error.to_string())),
            Err(error @ ReconnectError::Order(_)) => Err(Fault::Conflict(error.to_string())),
            Err(error) => Err(Fault::Unavailable(error.to_string())),
        }
    }
}
