//! A webhook as an account: no gateway, no bot; whoever knows its token writes through it.

use std::sync::Arc;

use reqwest12::header::{CONTENT_TYPE, USER_AGENT};
use reqwest12::{Client, Method};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use switchyard_actors::model::{Account, ChatId, MessageId};
use switchyard_actors::ports::{Connection, ConnectionError, Credentials, MessageSender, Proxy};

use crate::adapters::egress;
use crate::config::DiscordConfig;

use super::connector::TOKEN;
use super::hook_address::HookAddress;
use super::rest::{self, Answer, CallError};
use super::webhook_sender::WebhookSender;

/// The type of a webhook through which its owner writes; others only follow channels or belong to interactions
/// (discord.com/developers/docs/resources/webhook#webhook-object-webhook-types).
const INCOMING: u8 = 1;

/// Calls under a webhook's token. The address is always that of the configured base, and no call is authorised otherwise.
pub(super) struct Hook {
    client: Client,
    /// `…/webhooks/<id>/<token>` at the configured base.
    address: SecretString,
    /// Its id.
    pub(super) id: i64,
    answer_max: usize,
}

/// What Discord says of a webhook.
#[derive(Deserialize)]
pub(super) struct Described {
    id: String,
    #[serde(rename = "type")]
    kind: u8,
    /// Its name, unless it has none.
    #[serde(default)]
    pub(super) name: Option<String>,
    /// The channel in which it writes.
    pub(super) channel_id: ChatId,
}

impl Hook {
    /// A webhook at the configured base.
    pub(super) fn new(client: Client, config: &DiscordConfig, address: &HookAddress) -> Self {
        let base = config.api_base.trim_end_matches('/');
        let (id, token) = (address.id, address.token.expose_secret());
        let address = SecretString::from(format!("{base}/api/v10/webhooks/{id}/{token}"));
        Self { client, address, id, answer_max: config.answer_max.len() }
    }

    /// Makes one call: of the webhook itself, or of a message of its own. Ends within the client's timeout.
    pub(super) async fn call(
        &self,
        method: Method,
        message: Option<MessageId>,
        query: &[(&str, String)],
        body: Option<Vec<u8>>,
    ) -> Result<Answer, CallError> {
        let mut address = self.address.expose_secret().to_owned();
        if let Some(message) = message {
            address = format!("{address}/messages/{message}");
        }
        let call = self.client.request(method, address).query(query);
        let call = call.header(USER_AGENT, serenity::constants::USER_AGENT);
        let call = match body {
            Some(body) => call.header(CONTENT_TYPE, "application/json").body(body),
            None => call,
        };
        rest::exchange(call, self.answer_max).await
    }

    /// Asks Discord what it is: one through which can be written.
    ///
    /// # Errors
    /// [`ConnectionError::NeedsLogin`] when it is gone or has another token, [`ConnectionError::Refused`] when it is of
    /// another type.
    pub(super) async fn describe(&self, config: &DiscordConfig) -> Result<Described, ConnectionError> {
        let answer = self.call(Method::GET, None, &[], None).await?;
        let described: Described = rest::read(&answer, config)?;
        if described.id != self.id.to_string() {
            return Err(ConnectionError::Unreachable("the answer is of another webhook".to_owned()));
        }
        if described.kind != INCOMING {
            return Err(ConnectionError::Refused(
                "this webhook only follows another channel: nothing can be written through it".to_owned(),
            ));
        }
        Ok(described)
    }
}

/// Connects a webhook: it is there, and writes in a channel that the sender then keeps to.
///
/// # Errors
/// [`ConnectionError`].
pub(super) async fn connect(
    client: Client,
    config: &DiscordConfig,
    credentials: &Arc<dyn Credentials>,
    account: &Account,
) -> Result<Connection, ConnectionError> {
    let missing = || ConnectionError::NeedsLogin("no webhook token is stored".to_owned());
    let secret = credentials.secret(account.id, TOKEN).await?.ok_or_else(missing)?;
    let token = std::str::from_utf8(secret.expose_secret()).map_err(|_| missing())?;
    let address = HookAddress::new(account.platform_id, token.trim())
        .ok_or_else(|| ConnectionError::Refused("this is not a webhook's token".to_owned()))?;
    let client = match credentials.secret(account.id, Proxy::SECRET).await? {
        None => client,
        Some(kept) => {
            // A proxy that cannot be read is none to go past.
            let unreadable = || ConnectionError::Refused("the account's proxy cannot be read".to_owned());
            let proxy = Proxy::decode(&kept).ok_or_else(unreadable)?;
            rest::client_through(config, &proxy).await.map_err(egress::keeps_login)?
        }
    };
    let hook = Hook::new(client, config, &address);
    let described = hook.describe(config).await?;
    let platform_id = hook.id;
    let sender: Arc<dyn MessageSender> =
        Arc::new(WebhookSender::new(hook, config.clone(), described.channel_id));
    Ok(Connection { source: None, sender: Some(sender), chats: None, platform_id })
}
