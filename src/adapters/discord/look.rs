//! Looks at a channel for a message that may have been sent: after its nonce's life nothing else tells.

use serde::Deserialize;
use serenity::http::{LightMethod, Request, Route};
use serenity::model::id::ChannelId;
use switchyard_actors::model::{MessageId, SendOutcome};

use crate::config::DiscordConfig;

use super::errors;
use super::rest::{CallError, Rest};

/// 2015-01-01T00:00:00Z in Unix milliseconds, from which snowflakes count (discord.com/developers/docs/reference#snowflakes).
const EPOCH_MS: i64 = 1_420_070_400_000;
/// Messages in a page, the most that Discord gives.
const PAGE: usize = 100;

/// A message as history shows it.
#[derive(Deserialize)]
struct Seen {
    id: MessageId,
    author: Author,
    content: String,
    #[serde(default)]
    nonce: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Author {
    id: String,
}

/// A message that is looked for.
pub(super) struct Sought<'a> {
    /// The channel in which it would stand.
    pub(super) channel: ChannelId,
    /// Who would have written it.
    pub(super) author: i64,
    /// What it would say.
    pub(super) content: &'a str,
    /// Under which nonce it would have been sent.
    pub(super) nonce: &'a str,
    /// When it was sent at the earliest, Unix milliseconds.
    pub(super) since_ms: i64,
    /// Messages that are known as copies of others: the same words may have been sent before.
    pub(super) known: &'a [MessageId],
}

impl Sought<'_> {
    /// Our own nonce decides where one is shown; else author and text do. Discord trims texts.
    fn is(&self, seen: &Seen) -> bool {
        if seen.author.id != self.author.to_string() || self.known.contains(&seen.id) {
            return false;
        }
        match &seen.nonce {
            Some(serde_json::Value::String(nonce)) => nonce == self.nonce,
            Some(serde_json::Value::Number(_)) => false,
            _ => seen.content.trim() == self.content.trim(),
        }
    }
}

/// Reads the channel from a little before the send on. `Ok(None)` means that it is not there.
///
/// # Errors
/// How the send ends for now when the channel cannot be looked at: neither repeated nor given up.
pub(super) async fn find(
    rest: &Rest,
    config: &DiscordConfig,
    sought: &Sought<'_>,
) -> Result<Option<MessageId>, SendOutcome> {
    // A repeat that Discord recognised by its nonce stands where the first try put it.
    let margin = config.look_margin.saturating_add(config.nonce_life);
    let margin = i64::try_from(margin.as_millis()).unwrap_or(i64::MAX);
    let mut after = snowflake(sought.since_ms.saturating_sub(margin));
    for _ in 0..config.look_pages_max {
        let page = page(rest, config, sought.channel, after).await?;
        if let Some(found) = page.iter().find(|seen| sought.is(seen)) {
            return Ok(Some(found.id));
        }
        match page.iter().map(|seen| seen.id.get()).max() {
            Some(newest) if page.len() >= PAGE => after = newest,
            _ => return Ok(None),
        }
    }
    // Not read to its end: neither "there" nor "not there" is known.
    Err(SendOutcome::Backoff { error: "channel has too many messages since the send to find it".to_owned() })
}

async fn page(
    rest: &Rest,
    config: &DiscordConfig,
    channel_id: ChannelId,
    after: i64,
) -> Result<Vec<Seen>, SendOutcome> {
    let parameters = vec![("limit", PAGE.to_string()), ("after", after.to_string())];
    let request = Request::new(Route::ChannelMessages { channel_id }, LightMethod::Get);
    let answer = match rest.call(request.params(Some(parameters))).await {
        Ok(answer) => answer,
        Err(CallError::NotSent(error) | CallError::Lost(error)) => {
            return Err(SendOutcome::Backoff { error });
        }
    };
    if answer.status.is_success() {
        return serde_json::from_slice(&answer.body)
            .map_err(|_| SendOutcome::Backoff { error: "history of the channel cannot be read".to_owned() });
    }
    Err(match errors::outcome(&answer, config) {
        // Looking has no effect, so an unanswered look is no unclear send.
        SendOutcome::Unclear { error } | SendOutcome::Refused { error } => SendOutcome::Backoff { error },
        other => other,
    })
}

/// The smallest id that a message of this time can have.
fn snowflake(unix_ms: i64) -> i64 {
    let since = unix_ms.saturating_sub(EPOCH_MS).max(0);
    since.checked_mul(1 << 22).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(author: &str, content: &str, nonce: Option<serde_json::Value>) -> Seen {
        let author = Author { id: author.to_owned() };
        Seen { id: MessageId::new(1).unwrap(), author, content: content.to_owned(), nonce }
    }

    #[test]
    fn the_nonce_decides_where_it_is_shown_and_the_text_where_not() {
        let sought = Sought {
            channel: ChannelId::new(1),
            author: 7,
            content: "hello ",
            nonce: "sy01",
            since_ms: EPOCH_MS,
            known: &[MessageId::new(2).unwrap()],
        };
        let copy = Seen { id: MessageId::new(2).unwrap(), ..seen("7", "hello", None) };
        assert!(!sought.is(&copy), "the same words, known as the copy of another message");
        assert!(sought.is(&seen("7", "hello", None)), "Discord trims what it is sent");
        assert!(sought.is(&seen("7", "edited since", Some("sy01".into()))));
        assert!(!sought.is(&seen("7", "hello", Some("sy02".into()))), "the same words, sent before");
        assert!(!sought.is(&seen("8", "hello", None)));
        assert!(!sought.is(&seen("7", "other", None)));
    }

    #[test]
    fn snowflakes_count_from_discords_epoch() {
        // The example of discord.com/developers/docs/reference#snowflakes.
        assert_eq!(snowflake(1_462_015_105_796) >> 22, 175_928_847_299_117_063 >> 22);
        assert_eq!(snowflake(0), 0);
    }
}
