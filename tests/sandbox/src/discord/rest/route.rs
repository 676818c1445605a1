//! The routes of REST v10 that the sandbox serves.

use actix_web::http::Method;

use super::bucket::Bucket;
use super::error::{ApiError, FormErrors};
use crate::discord::snowflake;

/// A call, by method and path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    Gateway,
    GatewayBot,
    Me,
    MyGuilds,
    MyApplication,
    Guild(u64),
    GuildChannels(u64),
    GuildRoles(u64),
    GuildMember(u64, u64),
    GuildWebhooks(u64),
    ActiveThreads(u64),
    Channel(u64),
    EditChannel(u64),
    CreateThread(u64),
    ListMessages(u64),
    GetMessage(u64, u64),
    CreateMessage(u64),
    EditMessage(u64, u64),
    DeleteMessage(u64, u64),
    BulkDelete(u64),
    ListWebhooks(u64),
    CreateWebhook(u64),
    GetWebhook(u64),
    DeleteWebhook(u64),
    /// A call with a webhook's own token in its path: the only ones besides `Gateway` that need no bot.
    Hook(Hook<'a>),
}

/// A call under a webhook's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hook<'a> {
    pub(super) webhook: u64,
    pub(super) token: &'a str,
    pub(super) call: HookCall,
}

/// What is asked of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HookCall {
    Get,
    Delete,
    Execute,
    GetMessage(u64),
    EditMessage(u64),
    DeleteMessage(u64),
}

impl HookCall {
    /// Whether the call changes a channel.
    pub(super) const fn writes(self) -> bool {
        matches!(self, Self::Execute | Self::EditMessage(_) | Self::DeleteMessage(_))
    }

    /// What the call is counted under, with its webhook.
    pub(super) const fn bucket(self) -> Bucket {
        match self {
            Self::Execute => Bucket::ExecuteWebhook,
            Self::EditMessage(_) => Bucket::EditWebhookMessage,
            Self::DeleteMessage(_) => Bucket::DeleteWebhookMessage,
            Self::Get | Self::GetMessage(_) => Bucket::ReadWebhook,
            Self::Delete => Bucket::Other,
        }
    }
}

impl<'a> Route<'a> {
    pub(super) fn parse(method: &Method, path: &'a str) -> Result<Self, ApiError> {
        let rest = path.strip_prefix("/api/").ok_or(ApiError::UnknownRoute)?;
        let rest = match rest.split_once('/') {
            Some(("v10", rest)) => rest,
            Some((version, _)) if version.starts_with('v') => return Err(ApiError::InvalidApiVersion),
            _ => return Err(ApiError::UnknownRoute),
        };
        let segments: Vec<&str> = rest.split('/').collect();
        match segments.split_first() {
            Some((&"channels", segments)) => Self::of_channels(method, segments),
            Some((&"guilds", segments)) => Self::of_guilds(method, segments),
            Some((&"webhooks", segments)) => Self::of_webhooks(method, segments),
            _ => Self::of_others(method, &segments),
        }
    }

    fn of_others(method: &Method, segments: &[&str]) -> Result<Self, ApiError> {
        let route = match segments {
            ["gateway"] => Self::Gateway,
            ["gateway", "bot"] => Self::GatewayBot,
            ["users", "@me"] => Self::Me,
            ["users", "@me", "guilds"] => Self::MyGuilds,
            ["applications", "@me"] | ["oauth2", "applications", "@me"] => Self::MyApplication,
            _ => return Err(ApiError::UnknownRoute),
        };
        if method == Method::GET { Ok(route) } else { Err(ApiError::MethodNotAllowed) }
    }

    fn of_guilds(method: &Method, segments: &[&str]) -> Result<Self, ApiError> {
        let guild = id("guild_id", segments.first().copied().unwrap_or_default())?;
        let route = match segments {
            [_] => Self::Guild(guild),
            [_, "channels"] => Self::GuildChannels(guild),
            [_, "roles"] => Self::GuildRoles(guild),
            [_, "webhooks"] => Self::GuildWebhooks(guild),
            [_, "threads", "active"] => Self::ActiveThreads(guild),
            [_, "members", user] => Self::GuildMember(guild, id("user_id", user)?),
            _ => return Err(ApiError::UnknownRoute),
        };
        if method == Method::GET { Ok(route) } else { Err(ApiError::MethodNotAllowed) }
    }

    fn of_channels(method: &Method, segments: &[&str]) -> Result<Self, ApiError> {
        let channel = id("channel_id", segments.first().copied().unwrap_or_default())?;
        match (segments, method.as_str()) {
            ([_], "GET") => Ok(Self::Channel(channel)),
            ([_], "PATCH") => Ok(Self::EditChannel(channel)),
            ([_, "threads"], "POST") => Ok(Self::CreateThread(channel)),
            ([_, "webhooks"], "GET") => Ok(Self::ListWebhooks(channel)),
            ([_, "webhooks"], "POST") => Ok(Self::CreateWebhook(channel)),
            ([_, "messages"], "GET") => Ok(Self::ListMessages(channel)),
            ([_, "messages"], "POST") => Ok(Self::CreateMessage(channel)),
            ([_, "messages", "bulk-delete"], "POST") => Ok(Self::BulkDelete(channel)),
            ([_, "messages", message], "GET") => Ok(Self::GetMessage(channel, id("message_id", message)?)),
            ([_, "messages", message], "PATCH") => Ok(Self::EditMessage(channel, id("message_id", message)?)),
            ([_, "messages", message], "DELETE") => {
                Ok(Self::DeleteMessage(channel, id("message_id", message)?))
            }
            ([_] | [_, "threads" | "webhooks" | "messages"] | [_, "messages", _], _) => {
                Err(ApiError::MethodNotAllowed)
            }
            _ => Err(ApiError::UnknownRoute),
        }
    }

    fn of_webhooks(method: &Method, segments: &[&'a str]) -> Result<Self, ApiError> {
        let webhook = id("webhook_id", segments.first().copied().unwrap_or_default())?;
        let hook = |token: &'a str, call| Ok(Self::Hook(Hook { webhook, token, call }));
        match (segments, method.as_str()) {
            ([_], "GET") => Ok(Self::GetWebhook(webhook)),
            ([_], "DELETE") => Ok(Self::DeleteWebhook(webhook)),
            ([_, token], "GET") => hook(token, HookCall::Get),
            ([_, token], "DELETE") => hook(token, HookCall::Delete),
            ([_, token], "POST") => hook(token, HookCall::Execute),
            ([_, token, "messages", message], "GET") => {
                hook(token, HookCall::GetMessage(id("message_id", message)?))
            }
            ([_, token, "messages", message], "PATCH") => {
                hook(token, HookCall::EditMessage(id("message_id", message)?))
            }
            ([_, token, "messages", message], "DELETE") => {
                hook(token, HookCall::DeleteMessage(id("message_id", message)?))
            }
            ([_] | [_, _] | [_, _, "messages", _], _) => Err(ApiError::MethodNotAllowed),
            _ => Err(ApiError::UnknownRoute),
        }
    }

    /// The channel that a bot's call changes.
    pub(super) const fn written(self) -> Option<u64> {
        match self {
            Self::CreateMessage(channel)
            | Self::EditMessage(channel, _)
            | Self::DeleteMessage(channel, _)
            | Self::BulkDelete(channel) => Some(channel),
            _ => None,
        }
    }

    /// What the call is counted under, with its channel, guild or webhook.
    pub(super) const fn bucket(self) -> (Bucket, u64) {
        match self {
            Self::CreateMessage(channel) => (Bucket::CreateMessage, channel),
            Self::EditMessage(channel, _) => (Bucket::EditMessage, channel),
            Self::DeleteMessage(channel, _) => (Bucket::DeleteMessage, channel),
            Self::BulkDelete(channel) => (Bucket::BulkDelete, channel),
            Self::ListMessages(channel) | Self::GetMessage(channel, _) => (Bucket::ReadMessages, channel),
            Self::Gateway | Self::GatewayBot => (Bucket::Gateway, 0),
            Self::Guild(major)
            | Self::GuildChannels(major)
            | Self::GuildRoles(major)
            | Self::GuildMember(major, _)
            | Self::GuildWebhooks(major)
            | Self::ActiveThreads(major)
            | Self::Channel(major)
            | Self::EditChannel(major)
            | Self::CreateThread(major)
            | Self::ListWebhooks(major)
            | Self::CreateWebhook(major)
            | Self::GetWebhook(major)
            | Self::DeleteWebhook(major) => (Bucket::Other, major),
            Self::Hook(hook) => (hook.call.bucket(), hook.webhook),
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
        assert_eq!(parse(Method::POST, "/api/v10/channels/5/messages/bulk-delete"), Ok(Route::BulkDelete(5)));
        assert_eq!(parse(Method::PUT, "/api/v10/channels/5/messages"), Err(ApiError::MethodNotAllowed));
        assert_eq!(parse(Method::GET, "/api/v10/webhooks/5"), Ok(Route::GetWebhook(5)));
        let hook = |call| Ok(Route::Hook(Hook { webhook: 5, token: "t", call }));
        assert_eq!(parse(Method::POST, "/api/v10/webhooks/5/t"), hook(HookCall::Execute));
        assert_eq!(parse(Method::PATCH, "/api/v10/webhooks/5/t/messages/6"), hook(HookCall::EditMessage(6)));
        assert_eq!(parse(Method::PUT, "/api/v10/webhooks/5/t"), Err(ApiError::MethodNotAllowed));
        assert_eq!(parse(Method::GET, "/api/v9/gateway"), Err(ApiError::InvalidApiVersion));
        assert_eq!(parse(Method::GET, "/api/v10/nothing"), Err(ApiError::UnknownRoute));
        assert_eq!(parse(Method::GET, "/nothing"), Err(ApiError::UnknownRoute));
        assert!(matches!(parse(Method::GET, "/api/v10/channels/x"), Err(ApiError::InvalidForm(_))));
    }
}
