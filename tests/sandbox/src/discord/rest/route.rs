//! The routes of REST v10 that the sandbox serves.

use actix_web::http::Method;

use super::error::{ApiError, FormErrors};
use super::limits::Bucket;
use crate::discord::snowflake;

/// A call, by method and path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Gateway,
    GatewayBot,
    Me,
    MyGuilds,
    MyApplication,
    Guild(u64),
    GuildChannels(u64),
    Channel(u64),
    ListMessages(u64),
    GetMessage(u64, u64),
    CreateMessage(u64),
    EditMessage(u64, u64),
    DeleteMessage(u64, u64),
}

impl Route {
    pub(super) fn parse(method: &Method, path: &str) -> Result<Self, ApiError> {
        let rest = path.strip_prefix("/api/").ok_or(ApiError::UnknownRoute)?;
        let rest = match rest.split_once('/') {
            Some(("v10", rest)) => rest,
            Some((version, _)) if version.starts_with('v') => return Err(ApiError::InvalidApiVersion),
            _ => return Err(ApiError::UnknownRoute),
        };
        let segments: Vec<&str> = rest.split('/').collect();
        Self::of(method, &segments)
    }

    fn of(method: &Method, segments: &[&str]) -> Result<Self, ApiError> {
        let get = |route| if method == Method::GET { Ok(route) } else { Err(ApiError::MethodNotAllowed) };
        match segments {
            ["gateway"] => get(Self::Gateway),
            ["gateway", "bot"] => get(Self::GatewayBot),
            ["users", "@me"] => get(Self::Me),
            ["users", "@me", "guilds"] => get(Self::MyGuilds),
            ["applications", "@me"] | ["oauth2", "applications", "@me"] => get(Self::MyApplication),
            ["guilds", guild] => get(Self::Guild(id("guild_id", guild)?)),
            ["guilds", guild, "channels"] => get(Self::GuildChannels(id("guild_id", guild)?)),
            ["channels", channel] => get(Self::Channel(id("channel_id", channel)?)),
            ["channels", channel, "messages"] => {
                let channel = id("channel_id", channel)?;
                match *method {
                    Method::GET => Ok(Self::ListMessages(channel)),
                    Method::POST => Ok(Self::CreateMessage(channel)),
                    _ => Err(ApiError::MethodNotAllowed),
                }
            }
            ["channels", channel, "messages", message] => {
                let (channel, message) = (id("channel_id", channel)?, id("message_id", message)?);
                match *method {
                    Method::GET => Ok(Self::GetMessage(channel, message)),
                    Method::PATCH => Ok(Self::EditMessage(channel, message)),
                    Method::DELETE => Ok(Self::DeleteMessage(channel, message)),
                    _ => Err(ApiError::MethodNotAllowed),
                }
            }
            _ => Err(ApiError::UnknownRoute),
        }
    }

    /// Whether the call changes a channel: what flood waits and lost answers strike at.
    pub(super) const fn writes(self) -> bool {
        matches!(self, Self::CreateMessage(_) | Self::EditMessage(..) | Self::DeleteMessage(..))
    }

    /// What the call is counted under, with its channel or guild.
    pub(super) const fn bucket(self) -> (Bucket, u64) {
        match self {
            Self::CreateMessage(channel) => (Bucket::CreateMessage, channel),
            Self::EditMessage(channel, _) => (Bucket::EditMessage, channel),
            Self::DeleteMessage(channel, _) => (Bucket::DeleteMessage, channel),
            Self::ListMessages(channel) | Self::GetMessage(channel, _) => (Bucket::ReadMessages, channel),
            Self::Gateway | Self::GatewayBot => (Bucket::Gateway, 0),
            Self::Guild(major) | Self::GuildChannels(major) | Self::Channel(major) => (Bucket::Other, major),
            Self::Me | Self::MyGuilds | Self::MyApplication => (Bucket::Other, 0),
        }
    }
}

fn id(field: &str, text: &str) -> Result<u64, ApiError> {
    snowflake::parse(text).ok_or_else(|| {
        FormErrors::one(&[field], "NUMBER_TYPE_COERCE", format!("Value \"{text}\" is not snowflake."))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_told_apart() {
        let parse = |method, path| Route::parse(&method, path);
        assert_eq!(parse(Method::GET, "/api/v10/gateway/bot"), Ok(Route::GatewayBot));
        assert_eq!(parse(Method::POST, "/api/v10/channels/5/messages"), Ok(Route::CreateMessage(5)));
        assert_eq!(parse(Method::PATCH, "/api/v10/channels/5/messages/6"), Ok(Route::EditMessage(5, 6)));
        assert_eq!(parse(Method::PUT, "/api/v10/channels/5/messages"), Err(ApiError::MethodNotAllowed));
        assert_eq!(parse(Method::GET, "/api/v9/gateway"), Err(ApiError::InvalidApiVersion));
        assert_eq!(parse(Method::GET, "/api/v10/nothing"), Err(ApiError::UnknownRoute));
        assert_eq!(parse(Method::GET, "/nothing"), Err(ApiError::UnknownRoute));
        assert!(matches!(parse(Method::GET, "/api/v10/channels/x"), Err(ApiError::InvalidForm(_))));
    }
}
