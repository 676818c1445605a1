//! Calls of the Bot API. The token stands in their addresses, so no address is ever shown.

use std::time::Duration;

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use switchyard_actors::model::ChatId;
use switchyard_actors::ports::{BotChannel, BotFault, BotIdentity, BotOutcome, BotUpdate};
use tokio::sync::OnceCell;

use super::answer::{Envelope, Sent, Update, User, fault, refused};
use crate::config::{BotConfig, Secret};

/// The kinds of updates that we act on.
const UPDATES: [&str; 2] = ["message", "my_chat_member"];
/// Updates of one answer.
const UPDATES_MAX: u32 = 100;

/// Why a call has no answer.
enum Lost {
    /// It did not reach the server.
    NotSent(String),
    /// It may have had its effect.
    Unclear(String),
}

/// A bot, by its token.
pub struct BotApi {
    client: reqwest::Client,
    base: String,
    token: Secret,
    request_timeout: Duration,
    me: OnceCell<BotIdentity>,
}

impl std::fmt::Debug for BotApi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BotApi").field("base", &self.base).finish_non_exhaustive()
    }
}

impl BotApi {
    /// The bot of a configuration; `None` without a token.
    ///
    /// # Errors
    /// The HTTP client's own.
    pub fn new(config: &BotConfig) -> Result<Option<Self>, reqwest::Error> {
        let Some(token) = config.token.clone() else { return Ok(None) };
        let client = reqwest::Client::builder()
            .connect_timeout(config.connect_timeout)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let base = config.api_base.trim_end_matches('/').to_owned();
        Ok(Some(Self { client, base, token, request_timeout: config.request_timeout, me: OnceCell::new() }))
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: &str,
        body: &Value,
        timeout: Duration,
    ) -> Result<Envelope<T>, Lost> {
        let url = format!("{}/bot{}/{method}", self.base, self.token.expose());
        let sent = self.client.post(url).json(body).timeout(timeout).send().await;
        let answer = sent.map_err(lost)?;
        let status = answer.status();
        let bytes = answer.bytes().await.map_err(|error| Lost::Unclear(error.without_url().to_string()))?;
        serde_json::from_slice(&bytes)
            .map_err(|_| Lost::Unclear(format!("HTTP {status} without an answer of the Bot API")))
    }

    /// Calls something that changes nothing.
    async fn ask<T: DeserializeOwned>(
        &self,
        method: &str,
        body: &Value,
        timeout: Duration,
    ) -> Result<T, BotFault> {
        let answer = self.call::<T>(method, body, timeout).await.map_err(|lost| match lost {
            Lost::NotSent(error) | Lost::Unclear(error) => BotFault::Unreachable(error),
        })?;
        match answer {
            Envelope { ok: true, result: Some(result), .. } => Ok(result),
            refusal => Err(fault(refusal)),
        }
    }
}

fn lost(error: reqwest::Error) -> Lost {
    let not_sent = error.is_connect() || error.is_builder();
    let text = error.without_url().to_string();
    if not_sent { Lost::NotSent(text) } else { Lost::Unclear(text) }
}

#[async_trait]
impl BotChannel for BotApi {
    async fn me(&self) -> Result<BotIdentity, BotFault> {
        let ask = || async {
            let user: User = self.ask("getMe", &json!({}), self.request_timeout).await?;
            Ok(BotIdentity { id: user.id, username: user.username })
        };
        self.me.get_or_try_init(ask).await.cloned()
    }

    async fn send(&self, chat: ChatId, html: &str) -> BotOutcome {
        let body = json!({
            "chat_id": chat.get(), "text": html, "parse_mode": "HTML",
            "link_preview_options": {"is_disabled": true},
        });
        match self.call::<Sent>("sendMessage", &body, self.request_timeout).await {
            Ok(Envelope { ok: true, result: Some(sent), .. }) => {
                BotOutcome::Sent { message: sent.message_id }
            }
            Ok(Envelope { ok: true, result: None, .. }) => {
                BotOutcome::Unclear { error: "an answer without a message".to_owned() }
            }
            Ok(refusal) => refused(refusal),
            Err(Lost::NotSent(error)) => BotOutcome::NotSent { error },
            Err(Lost::Unclear(error)) => BotOutcome::Unclear { error },
        }
    }

    async fn updates(&self, from: i64, wait: Duration) -> Result<Vec<BotUpdate>, BotFault> {
        let body = json!({
            "offset": from, "timeout": wait.as_secs(), "limit": UPDATES_MAX, "allowed_updates": UPDATES,
        });
        let updates: Vec<Update> = self.ask("getUpdates", &body, wait + self.request_timeout).await?;
        Ok(updates.into_iter().map(BotUpdate::from).collect())
    }
}
