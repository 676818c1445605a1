//! What the doctor asks of Discord: does the API answer, whose is a token, what may a bot do in a channel.

use std::collections::HashMap;
use std::fmt;

use chrono::{DateTime, Utc};
use reqwest12::StatusCode;
use reqwest12::header::{AUTHORIZATION, DATE};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use switchyard_actors::model::{ChatId, Place};
use switchyard_actors::ports::ConnectionError;
use thiserror::Error;

use crate::config::DiscordConfig;

use super::permissions::{
    Overwrite, READ_MESSAGE_HISTORY, SEND_MESSAGES, SEND_MESSAGES_IN_THREADS, VIEW_CHANNEL, in_channel,
};
use super::rest;

/// Application flags: message content may be asked for, for verified bots and for those of few guilds.
const MESSAGE_CONTENT: u64 = 1 << 18 | 1 << 19;
/// Kinds of channel that are threads; what counts there is said at their parents.
const THREADS: std::ops::RangeInclusive<u8> = 10..=12;

/// Why a question had no good answer.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ProbeError {
    /// No answer, or none of Discord's.
    #[error("no answer: {0}")]
    Unreachable(String),
    /// Discord says no: a wrong token, or no access.
    #[error("{status} {text}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Discord's own words.
        text: String,
    },
}

/// What a pair needs of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// To read it, also what was written before.
    Read,
    /// To write in it.
    Write,
}

/// A bot as the API shows it to itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bot {
    /// Its user id.
    pub id: i64,
    /// Whether it may ask for message content.
    pub message_content: bool,
}

#[derive(Deserialize)]
struct Me {
    id: String,
}

#[derive(Deserialize)]
struct Application {
    #[serde(default)]
    flags: u64,
}

#[derive(Deserialize)]
struct Guild {
    id: String,
    permissions: String,
}

#[derive(Default, Deserialize)]
struct Member {
    roles: Vec<String>,
}

#[derive(Deserialize)]
struct Channel {
    #[serde(rename = "type")]
    kind: u8,
    guild_id: Option<String>,
    parent_id: Option<String>,
    #[serde(default)]
    permission_overwrites: Vec<Overwrite>,
}

#[derive(Deserialize)]
struct Webhook {
    channel_id: ChatId,
}

#[derive(Deserialize)]
struct Problem {
    message: String,
}

/// Asks by the configured base, and by no other.
pub struct DiscordProbe {
    client: reqwest12::Client,
    config: DiscordConfig,
    /// What one bot may do by its roles, by guild.
    guilds: HashMap<(i64, String), u64>,
}

impl fmt::Debug for DiscordProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiscordProbe").field("base", &self.config.api_base).finish_non_exhaustive()
    }
}

impl DiscordProbe {
    /// A probe with a client of its own.
    ///
    /// # Errors
    /// [`ConnectionError::Unreachable`] if TLS cannot be set up.
    pub fn new(config: DiscordConfig) -> Result<Self, ConnectionError> {
        Ok(Self { client: rest::client(&config)?, config, guilds: HashMap::new() })
    }

    /// `GET /gateway`, which needs no token: the answer's date, whole seconds.
    ///
    /// # Errors
    /// [`ProbeError`].
    pub async fn gateway(&self) -> Result<Option<DateTime<Utc>>, ProbeError> {
        let (_, date) = self.get::<serde_json::Value>("gateway", None).await?;
        Ok(date)
    }

    /// Whose a bot's token is.
    ///
    /// # Errors
    /// [`ProbeError`].
    pub async fn bot(&self, token: &str) -> Result<Bot, ProbeError> {
        let (me, _) = self.get::<Me>("users/@me", Some(token)).await?;
        let (application, _) = self.get::<Application>("applications/@me", Some(token)).await?;
        let id = me.id.parse().map_err(|_| foreign())?;
        Ok(Bot { id, message_content: application.flags & MESSAGE_CONTENT != 0 })
    }

    /// The one channel that a webhook writes in.
    ///
    /// # Errors
    /// [`ProbeError`].
    pub async fn webhook(&self, id: i64, token: &str) -> Result<ChatId, ProbeError> {
        Ok(self.get::<Webhook>(&format!("webhooks/{id}/{token}"), None).await?.0.channel_id)
    }

    /// Names of the permissions that a bot lacks at a place.
    ///
    /// # Errors
    /// [`ProbeError`]; of a channel that it does not even see too.
    pub async fn missing(
        &mut self,
        bot: i64,
        token: &str,
        place: Place,
        need: Need,
    ) -> Result<Vec<&'static str>, ProbeError> {
        let id = place.thread.map_or_else(|| place.chat.to_string(), |thread| thread.to_string());
        let (mut channel, _) = self.get::<Channel>(&format!("channels/{id}"), Some(token)).await?;
        let in_thread = THREADS.contains(&channel.kind);
        if let (true, Some(parent)) = (in_thread, &channel.parent_id) {
            channel = self.get::<Channel>(&format!("channels/{parent}"), Some(token)).await?.0;
        }
        let Some(guild) = channel.guild_id else { return Ok(Vec::new()) };
        let base = self.base(bot, token, &guild).await?;
        let member = self.get::<Member>(&format!("guilds/{guild}/members/{bot}"), Some(token)).await;
        let roles = match member {
            Ok((member, _)) => member.roles,
            // Not told: then what channels say of its roles is not known, and everyone's counts.
            Err(ProbeError::Refused { .. }) => Vec::new(),
            Err(error) => return Err(error),
        };
        let may = in_channel(base, &guild, &roles, &bot.to_string(), &channel.permission_overwrites);
        let write = if in_thread {
            (SEND_MESSAGES_IN_THREADS, "Send Messages in Threads")
        } else {
            (SEND_MESSAGES, "Send Messages")
        };
        let needed = match need {
            Need::Read => [(VIEW_CHANNEL, "View Channel"), (READ_MESSAGE_HISTORY, "Read Message History")],
            Need::Write => [(VIEW_CHANNEL, "View Channel"), write],
        };
        Ok(needed.into_iter().filter(|(bit, _)| may & bit == 0).map(|(_, name)| name).collect())
    }

    /// What a bot may do by its roles: one call tells of all its guilds.
    async fn base(&mut self, bot: i64, token: &str, guild: &str) -> Result<u64, ProbeError> {
        let key = (bot, guild.to_owned());
        if let Some(known) = self.guilds.get(&key) {
            return Ok(*known);
        }
        let (guilds, _) = self.get::<Vec<Guild>>("users/@me/guilds", Some(token)).await?;
        for guild in guilds {
            let permissions = guild.permissions.parse().map_err(|_| foreign())?;
            self.guilds.insert((bot, guild.id), permissions);
        }
        Ok(self.guilds.get(&key).copied().unwrap_or(0))
    }

    async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        token: Option<&str>,
    ) -> Result<(T, Option<DateTime<Utc>>), ProbeError> {
        // Errors of the client name the address, and a webhook's holds its token.
        let failed = |error: reqwest12::Error| ProbeError::Unreachable(rest::reason(&error.without_url()));
        let mut request = self.client.get(format!("{}/api/v10/{path}", self.config.api_base));
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bot {token}"));
        }
        let mut response = request.send().await.map_err(failed)?;
        let (status, date) = (response.status(), response.headers().get(DATE).cloned());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            body.extend_from_slice(&chunk);
            if body.len() > self.config.answer_max.len() {
                return Err(ProbeError::Unreachable("the answer is too long".to_owned()));
            }
        }
        if !status.is_success() {
            return Err(refusal(status, &body));
        }
        let date = date.as_ref().and_then(|date| DateTime::parse_from_rfc2822(date.to_str().ok()?).ok());
        let value = serde_json::from_slice(&body).map_err(|_| foreign())?;
        Ok((value, date.map(|date| date.to_utc())))
    }
}

fn foreign() -> ProbeError {
    ProbeError::Unreachable("what answers there is not Discord's API".to_owned())
}

fn refusal(status: StatusCode, body: &[u8]) -> ProbeError {
    let text = serde_json::from_slice::<Problem>(body).map(|problem| problem.message).unwrap_or_default();
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return ProbeError::Unreachable(format!("{status} {text}"));
    }
    ProbeError::Refused { status: status.as_u16(), text }
}
