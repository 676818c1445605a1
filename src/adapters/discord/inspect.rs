//! What Discord says of a bot before it connects: who it is, what it may read, how often it may still connect today.

use serde::Deserialize;
use serenity::http::{LightMethod, Request, Route};
use switchyard_actors::ports::ConnectionError;

use crate::config::DiscordConfig;

use super::rest::Rest;

/// Application flags that stand for the message content intent: granted to a verified application, or switched on for
/// one in fewer than 100 guilds (discord.com/developers/docs/resources/application#application-object-application-flags).
const MESSAGE_CONTENT: u64 = (1 << 18) | (1 << 19);

/// `GET /users/@me`.
#[derive(Deserialize)]
pub(super) struct Me {
    pub(super) id: String,
    #[serde(default)]
    pub(super) bot: bool,
}

/// `GET /gateway/bot`.
#[derive(Deserialize)]
pub(super) struct GatewayBot {
    pub(super) url: String,
    pub(super) session_start_limit: SessionStartLimit,
}

#[derive(Deserialize)]
pub(super) struct SessionStartLimit {
    pub(super) remaining: u64,
    /// Milliseconds.
    pub(super) reset_after: u64,
}

/// The application, as it sees itself.
#[derive(Deserialize)]
struct Application {
    #[serde(default)]
    flags: u64,
}

/// Whether the application may read what others write.
///
/// # Errors
/// [`ConnectionError`].
pub(super) async fn may_read(rest: &Rest, config: &DiscordConfig) -> Result<bool, ConnectionError> {
    let request = Request::new(Route::Oauth2ApplicationCurrent, LightMethod::Get);
    let application: Application = rest.get(request, config).await?;
    Ok(application.flags & MESSAGE_CONTENT != 0)
}
