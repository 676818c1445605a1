//! Finds the source channels when connecting: where each begins, and what the session must be told of.
//!
//! What Discord says of a channel is kept with the account, so that a later connection asks for new channels only.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretSlice};
use serde::{Deserialize, Serialize};
use serenity::model::gateway::GatewayIntents;
use switchyard_actors::model::{AccountId, ChatId, Cursor, CursorKey, CursorValue, Place};
use switchyard_actors::ports::{ConnectRequest, ConnectionError, Credentials};
use tokio::time::{Instant, sleep};
use tracing::warn;

use super::channel::SourceChannel;
use super::convert::channel_of;
use super::fetch::{Fetcher, ReadError};
use super::names::NameBook;
use super::told::Interest;
use super::wire::RawChannel;

/// Kinds of channels (discord.com/developers/docs/resources/channel#channel-object-channel-types).
const DIRECT: [u8; 2] = [1, 3];
/// Categories, directories, forums and media channels: they hold channels or threads, not messages.
const WITHOUT_MESSAGES: [u8; 4] = [4, 14, 15, 16];

/// What is kept of a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    kind: u8,
    guild: Option<u64>,
    name: Option<String>,
}

/// The source channels as a session begins.
#[derive(Debug)]
pub(in super::super) struct Sources {
    pub(in super::super) intents: GatewayIntents,
    pub(in super::super) interest: Interest,
    pub(super) channels: Vec<SourceChannel>,
    pub(super) names: NameBook,
}

/// Why a channel can never be read, whatever the rights.
pub(super) fn unreadable(channel: &RawChannel) -> Option<&'static str> {
    WITHOUT_MESSAGES
        .contains(&channel.kind)
        .then_some("a category or forum holds no messages of its own: name one of its channels or threads")
}

/// Where a channel that was never read begins: after its present last message.
pub(super) fn beginning(id: ChatId, channel: &RawChannel) -> i64 {
    // A channel without messages begins with itself: ids grow with time.
    channel.last_message_id.map_or(id.get(), switchyard_actors::model::MessageId::get)
}

/// Looks up what is not known yet. Channels that cannot be read, and those for which the time to connect would not last,
/// are left to the reader.
///
/// # Errors
/// [`ConnectionError`] when the account as a whole cannot go on.
pub(in super::super) async fn look_up(
    fetcher: &Fetcher,
    credentials: &Arc<dyn Credentials>,
    request: &ConnectRequest,
) -> Result<Sources, ConnectionError> {
    let mut wanted = BTreeMap::<ChatId, Vec<Place>>::new();
    for place in &request.sources {
        if let Some(channel) = channel_of(*place) {
            wanted.entry(channel).or_default().push(*place);
        }
    }
    let account = request.account.id;
    let mut records = kept(credentials, account).await?;
    let until = Instant::now() + fetcher.config.connect_timeout / 2;
    let (mut channels, mut fresh) = (Vec::new(), Vec::new());
    for (id, places) in wanted {
        let last = cursor(&request.cursors, id);
        if let (Some(last), true) = (last, records.contains_key(&id.get())) {
            channels.push(SourceChannel::known(id, places, last));
            continue;
        }
        if Instant::now() >= until {
            channels.push(match last {
                Some(last) => SourceChannel::known(id, places, last),
                None => SourceChannel::unplaced(id, places, None),
            });
            continue;
        }
        let found = fetcher.channel(id).await;
        if let Ok(channel) = &found {
            let record = record(channel);
            fresh.extend(serde_json::to_vec(&record).ok().map(|text| (id.get(), SecretSlice::from(text))));
            records.insert(id.get(), record);
        }
        channels.push(begin(id, places, last, found)?);
        sleep(fetcher.config.history_interval).await;
    }
    if !fresh.is_empty() {
        credentials.set_peers(account, &fresh).await?;
    }
    Ok(sources(channels, &records, fetcher.config.names_max))
}

fn begin(
    id: ChatId,
    places: Vec<Place>,
    last: Option<i64>,
    found: Result<RawChannel, ReadError>,
) -> Result<SourceChannel, ConnectionError> {
    let refused = match found {
        Ok(channel) => match (unreadable(&channel), last) {
            (Some(why), _) => why.to_owned(),
            (None, Some(last)) => return Ok(SourceChannel::known(id, places, last)),
            (None, None) => return Ok(SourceChannel::placed(id, places, beginning(id, &channel))),
        },
        Err(ReadError::Gone) => "the channel does not exist".to_owned(),
        Err(ReadError::Refused(why)) => why,
        Err(ReadError::Session(error)) => return Err(error),
        Err(ReadError::Wait { wait, .. }) => {
            return Err(ConnectionError::Wait { wait, reason: "looking up source channels".to_owned() });
        }
        Err(ReadError::Passing(error)) => return Err(ConnectionError::Unreachable(error)),
    };
    warn!(channel = %id, error = refused, "source channel cannot be read");
    Ok(match last {
        // Its history is tried nevertheless, and again after a while.
        Some(last) => SourceChannel::known(id, places, last),
        None => SourceChannel::unplaced(id, places, Some(refused)),
    })
}

async fn kept(
    credentials: &Arc<dyn Credentials>,
    account: AccountId,
) -> Result<HashMap<i64, Record>, ConnectionError> {
    let peers = credentials.peers(account).await?;
    let read = |(id, record): (i64, SecretSlice<u8>)| {
        Some((id, serde_json::from_slice(record.expose_secret()).ok()?))
    };
    Ok(peers.into_iter().filter_map(read).collect())
}

fn record(channel: &RawChannel) -> Record {
    let guild = channel.guild_id.as_ref().and_then(|id| id.parse().ok());
    Record { kind: channel.kind, guild, name: channel.name.clone() }
}

fn cursor(cursors: &[Cursor], id: ChatId) -> Option<i64> {
    cursors.iter().find_map(|cursor| match (cursor.key, cursor.value) {
        (CursorKey::DiscordChannel { chat }, CursorValue::LastMessage { id: last }) if chat == id => {
            Some(last)
        }
        _ => None,
    })
}

/// What the session asks to be told: direct messages only where one is a source.
fn sources(channels: Vec<SourceChannel>, records: &HashMap<i64, Record>, names_max: usize) -> Sources {
    let mut interest = Interest::default();
    let mut names = NameBook::new(names_max);
    let mut intents =
        GatewayIntents::GUILDS | GatewayIntents::GUILD_MESSAGES | GatewayIntents::MESSAGE_CONTENT;
    for channel in &channels {
        let Ok(id) = u64::try_from(channel.id.get()) else { continue };
        interest.channels.insert(id);
        let Some(record) = records.get(&channel.id.get()) else { continue };
        interest.guilds.extend(record.guild);
        if let Some(name) = &record.name {
            names.channel(id, name.clone());
        }
        if DIRECT.contains(&record.kind) {
            intents |= GatewayIntents::DIRECT_MESSAGES;
        }
    }
    Sources { intents, interest, channels, names }
}

#[cfg(test)]
mod tests {
    use super::*;
    use switchyard_actors::model::Platform;

    fn channel(id: i64) -> SourceChannel {
        let chat = ChatId::new(id).unwrap();
        let place = Place { platform: Platform::Discord, chat, thread: None };
        SourceChannel::known(chat, vec![place], 1)
    }

    #[test]
    fn direct_messages_are_asked_for_only_where_one_is_a_source() {
        let text = Record { kind: 0, guild: Some(7), name: Some("general".to_owned()) };
        let direct = Record { kind: 1, guild: None, name: None };
        let records = HashMap::from([(5, text), (6, direct)]);
        let guilds = sources(vec![channel(5)], &records, 10);
        assert!(!guilds.intents.contains(GatewayIntents::DIRECT_MESSAGES));
        assert!(guilds.intents.contains(GatewayIntents::MESSAGE_CONTENT));
        assert_eq!((guilds.interest.channels.len(), guilds.interest.guilds.len()), (1, 1));
        let both = sources(vec![channel(5), channel(6)], &records, 10);
        assert!(both.intents.contains(GatewayIntents::DIRECT_MESSAGES));
    }

    #[test]
    fn an_empty_channel_begins_with_itself_and_a_forum_never() {
        let raw = |text: &str| serde_json::from_str::<RawChannel>(text).unwrap();
        let id = ChatId::new(50).unwrap();
        assert_eq!(beginning(id, &raw(r#"{"type": 0, "last_message_id": null}"#)), 50);
        assert_eq!(beginning(id, &raw(r#"{"type": 0, "last_message_id": "77"}"#)), 77);
        assert!(unreadable(&raw(r#"{"type": 15}"#)).is_some());
        assert!(unreadable(&raw(r#"{"type": 11}"#)).is_none());
        let forum = begin(id, Vec::new(), None, Ok(raw(r#"{"type": 15}"#))).unwrap();
        assert!(forum.trouble.is_some());
    }
}
