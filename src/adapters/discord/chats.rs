//! Which channels a Discord bot can see: those of its servers, with what it may do there.

use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;
use serenity::http::{LightMethod, Request, Route};
use serenity::model::id::{GuildId, UserId};
use switchyard_actors::model::ChatId;
use switchyard_actors::ports::{ChatDirectory, ChatKind, ConnectionError, KnownChat};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::config::DiscordConfig;

use super::permissions::{Overwrite, READ_MESSAGE_HISTORY, SEND_MESSAGES, VIEW_CHANNEL, in_channel};
use super::rest::Rest;

/// Kinds of channel in which people write: text and announcements
/// (discord.com/developers/docs/resources/channel#channel-object-channel-types).
const TEXT: u8 = 0;
const ANNOUNCEMENT: u8 = 5;

#[derive(Deserialize)]
struct Guild {
    id: String,
    name: String,
    permissions: String,
}

#[derive(Default, Deserialize)]
struct Member {
    roles: Vec<String>,
}

#[derive(Deserialize)]
struct Channel {
    id: ChatId,
    #[serde(rename = "type")]
    kind: u8,
    name: Option<String>,
    #[serde(default)]
    permission_overwrites: Vec<Overwrite>,
}

/// The list of one bot's channels, asked for at most once in a while.
pub(super) struct DiscordChats {
    rest: Arc<Rest>,
    config: DiscordConfig,
    own_id: i64,
    kept: Mutex<Option<(Instant, Arc<Vec<KnownChat>>)>>,
}

impl DiscordChats {
    pub(super) fn new(rest: Arc<Rest>, config: DiscordConfig, own_id: i64) -> Self {
        Self { rest, config, own_id, kept: Mutex::default() }
    }

    async fn ask(&self) -> Result<Vec<KnownChat>, ConnectionError> {
        let guilds: Vec<Guild> =
            self.rest.get(Request::new(Route::UserMeGuilds, LightMethod::Get), &self.config).await?;
        let mut found = Vec::new();
        for guild in guilds.iter().take(self.config.chats_guilds_max) {
            match self.of_guild(guild).await {
                Ok(channels) => found.extend(channels),
                // One server that refuses hides no other.
                Err(ConnectionError::Refused(why)) => {
                    tracing::debug!(guild = %guild.id, why, "a server does not name its channels");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    async fn of_guild(&self, guild: &Guild) -> Result<Vec<KnownChat>, ConnectionError> {
        let foreign = || ConnectionError::Unreachable("the answer is not that of Discord's API".to_owned());
        let base: u64 = guild.permissions.parse().map_err(|_| foreign())?;
        let id = guild.id.parse::<u64>().ok().filter(|id| *id > 0).map(GuildId::new).ok_or_else(foreign)?;
        let own =
            u64::try_from(self.own_id).ok().filter(|id| *id > 0).map(UserId::new).ok_or_else(foreign)?;
        let channels = Request::new(Route::GuildChannels { guild_id: id }, LightMethod::Get);
        let channels: Vec<Channel> = self.rest.get(channels, &self.config).await?;
        let member = Request::new(Route::GuildMember { guild_id: id, user_id: own }, LightMethod::Get);
        // Not told: then what channels say of its roles is not known, and everyone's counts.
        let Member { roles } = match self.rest.get(member, &self.config).await {
            Ok(member) => member,
            Err(ConnectionError::Refused(_)) => Member::default(),
            Err(error) => return Err(error),
        };
        let own = self.own_id.to_string();
        let known = channels.into_iter().filter_map(|channel| {
            let kind = match channel.kind {
                TEXT => ChatKind::Group,
                ANNOUNCEMENT => ChatKind::Channel,
                _ => return None,
            };
            let may = in_channel(base, &guild.id, &roles, &own, &channel.permission_overwrites);
            let sees = may & VIEW_CHANNEL != 0;
            sees.then(|| KnownChat {
                chat: channel.id,
                title: channel.name.unwrap_or_else(|| channel.id.to_string()),
                group: Some(guild.name.clone()),
                kind,
                can_read: may & READ_MESSAGE_HISTORY != 0,
                can_write: may & SEND_MESSAGES != 0,
            })
        });
        Ok(known.collect())
    }
}

#[async_trait]
impl ChatDirectory for DiscordChats {
    async fn chats(&self) -> Result<Arc<Vec<KnownChat>>, ConnectionError> {
        // One question at a time: whoever comes second gets the first one's answer.
        let mut kept = self.kept.lock().await;
        if let Some((at, chats)) = kept.as_ref()
            && at.elapsed() < self.config.chats_age_max
        {
            return Ok(Arc::clone(chats));
        }
        let chats = Arc::new(self.ask().await?);
        *kept = Some((Instant::now(), Arc::clone(&chats)));
        Ok(chats)
    }
}
