//! Calls that read: pages of history, single messages, channels; and what a refusal means to a reader
//! (discord.com/developers/docs/topics/opcodes-and-status-codes).

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serenity::http::{LightMethod, Request, Route};
use switchyard_actors::model::{ChatId, HoldScope, MessageId};
use switchyard_actors::ports::{ConnectionError, RateLimitHint};
use tracing::warn;

use super::super::limits;
use super::super::rest::{Answer, CallError, Rest};
use super::wire::{RawChannel, RawMessage};
use crate::config::DiscordConfig;

/// "Unknown Message".
const UNKNOWN_MESSAGE: u32 = 10_008;
/// "Cloudflare is blocking your request".
const BLOCKED: u32 = 40_333;

/// Why something could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ReadError {
    /// The connection as a whole is over.
    Session(ConnectionError),
    /// To be asked again after a wait that holds this channel, or everything.
    Wait {
        /// How long.
        wait: Duration,
        /// Whether it holds more than this channel.
        all: bool,
    },
    /// The message does not exist (any more).
    Gone,
    /// This channel is refused: it is gone, or the bot has no right to it.
    Refused(String),
    /// Network, timeout, 5xx.
    Passing(String),
}

/// A page of history.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// What could be read, oldest first.
    pub(super) messages: Vec<RawMessage>,
    /// The id of every message of the page, in ascending order.
    pub(super) ids: Vec<MessageId>,
}

/// Which part of a history is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Range {
    /// The oldest messages after this id.
    After(i64),
    /// The newest messages before this id.
    Before(i64),
}

/// Messages in a page at most: what Discord gives at most.
pub(super) const PAGE: usize = 100;

/// Reads for one bot.
#[derive(Clone)]
pub(in super::super) struct Fetcher {
    pub(in super::super) rest: Arc<Rest>,
    pub(in super::super) config: DiscordConfig,
}

/// An answer with what it says of the channel's bucket.
pub(super) type Fetched<T> = (T, Option<RateLimitHint>);

impl Fetcher {
    /// A page of a channel's history.
    pub(super) async fn page(
        &self,
        channel: ChatId,
        range: Range,
        limit: usize,
    ) -> Result<Fetched<Page>, ReadError> {
        let channel_id = snowflake(channel)?;
        let anchor = match range {
            Range::After(id) => ("after", id.to_string()),
            Range::Before(id) => ("before", id.to_string()),
        };
        let parameters = Some(vec![("limit", limit.clamp(1, PAGE).to_string()), anchor]);
        let request = Request::new(Route::ChannelMessages { channel_id }, LightMethod::Get);
        let (values, hint): Fetched<Vec<serde_json::Value>> = self.get(request.params(parameters)).await?;
        Ok((read_page(values), hint))
    }

    /// One message.
    pub(super) async fn message(
        &self,
        channel: ChatId,
        message: MessageId,
    ) -> Result<Fetched<RawMessage>, ReadError> {
        let channel_id = snowflake(channel)?;
        let message = u64::try_from(message.get()).map_err(|_| ReadError::Gone)?;
        let route = Route::ChannelMessage { channel_id, message_id: message.into() };
        self.get(Request::new(route, LightMethod::Get)).await
    }

    /// A channel or thread.
    pub(super) async fn channel(&self, channel: ChatId) -> Result<RawChannel, ReadError> {
        let channel_id = snowflake(channel)?;
        let request = Request::new(Route::Channel { channel_id }, LightMethod::Get);
        Ok(self.get(request).await?.0)
    }

    async fn get<T: DeserializeOwned>(&self, request: Request<'_>) -> Result<Fetched<T>, ReadError> {
        let answer = match self.rest.call(request).await {
            Ok(answer) => answer,
            Err(CallError::NotSent(error) | CallError::Lost(error)) => {
                return Err(ReadError::Passing(error));
            }
        };
        if !answer.status.is_success() {
            return Err(refusal(&answer, &self.config));
        }
        let value = serde_json::from_slice(&answer.body);
        let value = value.map_err(|error| {
            ReadError::Passing(format!("the answer is not that of Discord's API: {error}"))
        })?;
        Ok((value, limits::hint(&answer.headers)))
    }
}

fn snowflake(channel: ChatId) -> Result<serenity::model::id::ChannelId, ReadError> {
    let id = u64::try_from(channel.get()).ok().filter(|id| *id != 0);
    id.map(Into::into).ok_or_else(|| ReadError::Refused(format!("{channel} is no channel of Discord")))
}

/// A message that cannot be read does not take its page along.
fn read_page(values: Vec<serde_json::Value>) -> Page {
    let mut page = Page::default();
    for value in values {
        let id = value.get("id").and_then(|id| id.as_str()?.parse::<MessageId>().ok());
        page.ids.extend(id);
        match serde_json::from_value::<RawMessage>(value) {
            Ok(message) => page.messages.push(message),
            Err(error) => warn!(?id, %error, "a message of a source channel cannot be read"),
        }
    }
    page.ids.sort_unstable();
    page.messages.sort_by_key(|message| message.id);
    page
}

/// The body of a refusal.
#[derive(Default, Deserialize)]
struct Problem {
    #[serde(default)]
    code: u32,
    #[serde(default)]
    message: String,
}

fn refusal(answer: &Answer, config: &DiscordConfig) -> ReadError {
    let told = serde_json::from_slice::<Problem>(&answer.body);
    let is_discords = told.as_ref().is_ok_and(|problem| problem.code != 0);
    let problem: Problem = told.unwrap_or_default();
    let text = format!("{} {}: {}", answer.status, problem.code, problem.message);
    match (answer.status.as_u16(), problem.code) {
        (401, _) => ReadError::Session(ConnectionError::NeedsLogin(text)),
        (429, _) => {
            let (wait, scope) = limits::wait(answer, config);
            ReadError::Wait { wait, all: !matches!(scope, HoldScope::Chat) }
        }
        (404, UNKNOWN_MESSAGE) => ReadError::Gone,
        (_, BLOCKED) => ReadError::Wait { wait: config.block_wait, all: true },
        (400..=499, _) if is_discords => ReadError::Refused(text),
        _ => ReadError::Passing(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::discord::samples::config;
    use reqwest12::StatusCode;
    use reqwest12::header::HeaderMap;

    fn refused(status: u16, body: &str) -> ReadError {
        let status = StatusCode::from_u16(status).unwrap();
        let answer = Answer { status, headers: HeaderMap::new(), body: body.as_bytes().to_vec() };
        refusal(&answer, &config())
    }

    #[test]
    fn refusals_say_whom_they_concern() {
        let unknown = refused(404, r#"{"message": "Unknown Message", "code": 10008}"#);
        assert_eq!(unknown, ReadError::Gone);
        for body in [r#"{"message": "Missing Access", "code": 50001}"#, r#"{"message": "x", "code": 50013}"#]
        {
            assert!(matches!(refused(403, body), ReadError::Refused(_)));
        }
        let channel = refused(404, r#"{"message": "Unknown Channel", "code": 10003}"#);
        assert!(matches!(&channel, ReadError::Refused(text) if text.contains("Unknown Channel")));
        let reset = refused(401, r#"{"message": "401: Unauthorized", "code": 0}"#);
        assert!(matches!(reset, ReadError::Session(ConnectionError::NeedsLogin(_))));
        assert!(matches!(refused(404, "<html>"), ReadError::Passing(_)), "not Discord's word on the channel");
        assert!(matches!(refused(500, "{}"), ReadError::Passing(_)));
    }

    #[test]
    fn waits_hold_the_channel_or_everything() {
        let one = refused(429, r#"{"message": "x", "retry_after": 1.5, "global": false}"#);
        assert_eq!(one, ReadError::Wait { wait: Duration::from_millis(1_500), all: false });
        let all = refused(429, r#"{"message": "x", "retry_after": 2.0, "global": true}"#);
        assert_eq!(all, ReadError::Wait { wait: Duration::from_secs(2), all: true });
        assert!(matches!(refused(429, "<html>"), ReadError::Wait { all: true, .. }));
    }

    #[test]
    fn one_unreadable_message_does_not_hide_the_others() {
        let values = serde_json::json!([
            {"id": "30", "channel_id": "5", "content": "c"},
            {"id": "20", "channel_id": "5", "content": 7},
            {"id": "10", "channel_id": "5", "content": "a"},
        ]);
        let page = read_page(serde_json::from_value(values).unwrap());
        assert_eq!(page.ids.iter().map(|id| id.get()).collect::<Vec<_>>(), [10, 20, 30]);
        let texts: Vec<_> = page.messages.iter().map(|message| message.content.as_deref().unwrap()).collect();
        assert_eq!(texts, ["a", "c"]);
    }
}
