//! Finds the id of a message that Telegram says it already has.
//!
//! A repeated `random_id` is answered by `RANDOM_ID_DUPLICATE` without an id. The account's own difference names it
//! (`updateMessageID`, core.telegram.org/constructor/updateMessageID); users may also read history, where it is known
//! by author, time and text. Every look is one or two requests, whatever they find.

use grammers_tl_types as tl;
use switchyard_actors::model::{ChatId, MessageId};
use tracing::{debug, warn};

use crate::config::TelegramConfig;

use super::answer::{assigned, looks_like};
use super::book::channel_of;
use super::errors::Fault;
use super::link::{CallError, Link};
use super::sources::input_channel;

/// How far the server's clock may be behind ours, seconds.
const CLOCK_SLACK: i64 = 60;

/// A message that is at the target under an unknown id.
#[derive(Debug)]
pub(crate) struct Sought<'a> {
    /// Where it stands.
    pub(crate) chat: ChatId,
    /// The same as requests name it.
    pub(crate) peer: &'a tl::enums::InputPeer,
    /// What it was sent under.
    pub(crate) random_id: i64,
    /// What it says.
    pub(crate) text: &'a str,
    /// When it was first handed over, Unix milliseconds; without that only the `random_id` can tell.
    pub(crate) since: Option<i64>,
    /// Messages there that are known as something else.
    pub(crate) known: &'a [MessageId],
}

impl Sought<'_> {
    fn among(&self, updates: &[tl::enums::Update], messages: &[tl::enums::Message]) -> Option<MessageId> {
        assigned(updates, self.random_id).or_else(|| self.by_look(messages))
    }

    fn by_look(&self, messages: &[tl::enums::Message]) -> Option<MessageId> {
        looks_like(messages, self.text, self.since_seconds()?, self.known)
    }

    /// Unix seconds, with room for clocks that differ.
    fn since_seconds(&self) -> Option<i64> {
        self.since.map(|since| since.div_euclid(1_000).saturating_sub(CLOCK_SLACK))
    }
}

/// Looks for the message; `None` if it is not to be found.
///
/// # Errors
/// [`CallError`] when the account as a whole cannot ask now: the repeat may be repeated.
pub(crate) async fn find_sent(
    link: &Link,
    config: &TelegramConfig,
    bot: bool,
    sought: &Sought<'_>,
) -> Result<Option<MessageId>, CallError> {
    let told = match channel_of(sought.chat) {
        Some(channel) => in_channel_difference(link, config, channel, sought).await,
        None => in_difference(link, config, sought).await,
    };
    let found = heard(told)?;
    if found.is_some() || bot {
        return Ok(found);
    }
    heard(in_history(link, config, sought).await)
}

/// A look that the server refuses finds nothing; what concerns the whole account is an error.
fn heard(told: Result<Option<MessageId>, CallError>) -> Result<Option<MessageId>, CallError> {
    match told {
        Err(error) if matches!(error.fault(), Fault::Chat | Fault::Repair | Fault::Refused) => {
            warn!(%error, "telegram does not tell the id of a message that it has");
            Ok(None)
        }
        other => other,
    }
}

async fn in_channel_difference(
    link: &Link,
    config: &TelegramConfig,
    channel: i64,
    sought: &Sought<'_>,
) -> Result<Option<MessageId>, CallError> {
    use tl::enums::updates::ChannelDifference;
    let Some(input) = input_channel(link.session(), channel) else { return Ok(None) };
    let request = tl::functions::channels::GetFullChannel { channel: input.clone() };
    let tl::enums::messages::ChatFull::Full(answer) = link.call(&request).await?;
    let tl::enums::ChatFull::ChannelFull(full) = answer.full_chat else { return Ok(None) };
    let request = tl::functions::updates::GetChannelDifference {
        force: false,
        channel: input,
        filter: tl::enums::ChannelMessagesFilter::Empty,
        pts: full.pts.saturating_sub(config.sent_lookback).max(1),
        limit: config.sent_lookback,
    };
    Ok(match link.call(&request).await? {
        ChannelDifference::Difference(told) => sought.among(&told.other_updates, &told.new_messages),
        ChannelDifference::TooLong(told) => sought.among(&[], &told.messages),
        ChannelDifference::Empty(_) => None,
    })
}

async fn in_difference(
    link: &Link,
    config: &TelegramConfig,
    sought: &Sought<'_>,
) -> Result<Option<MessageId>, CallError> {
    use tl::enums::updates::Difference;
    let tl::enums::updates::State::State(now) = link.call(&tl::functions::updates::GetState {}).await?;
    let request = tl::functions::updates::GetDifference {
        pts: now.pts.saturating_sub(config.sent_lookback).max(1),
        pts_limit: None,
        pts_total_limit: None,
        date: now.date.max(1),
        qts: now.qts,
        qts_limit: None,
    };
    // Messages of all private chats come together: only the number under which it was sent tells.
    let updates = match link.call(&request).await? {
        Difference::Difference(told) => told.other_updates,
        Difference::Slice(told) => told.other_updates,
        Difference::Empty(_) | Difference::TooLong(_) => Vec::new(),
    };
    Ok(assigned(&updates, sought.random_id))
}

/// The page of history from when it was handed over.
async fn in_history(
    link: &Link,
    config: &TelegramConfig,
    sought: &Sought<'_>,
) -> Result<Option<MessageId>, CallError> {
    use tl::enums::messages::Messages;
    let Some(since) = sought.since_seconds().and_then(|since| i32::try_from(since).ok()) else {
        return Ok(None);
    };
    debug!(chat = %sought.chat, "looking through history for a message that telegram has");
    let limit = config.history_page;
    let request = tl::functions::messages::GetHistory {
        peer: sought.peer.clone(),
        offset_id: 0,
        offset_date: since,
        add_offset: limit.saturating_neg(),
        limit,
        max_id: 0,
        min_id: 0,
        hash: 0,
    };
    let messages = match link.call(&request).await? {
        Messages::Messages(all) => all.messages,
        Messages::Slice(page) => page.messages,
        Messages::ChannelMessages(page) => page.messages,
        Messages::NotModified(_) => Vec::new(),
    };
    Ok(sought.by_look(&messages))
}
