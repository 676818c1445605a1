//! What a bot's token opens: who it is, what it may read, how often it may still connect today.

use serde::Deserialize;
use serenity::http::{LightMethod, Request, Route};
use switchyard_actors::model::Account;
use switchyard_actors::ports::ConnectionError;

use crate::config::DiscordConfig;

use super::connector::DiscordConnector;
use super::rest::Rest;

/// Application flags that stand for the message content intent: granted to a verified application, or switched on for
/// one in fewer than 100 guilds (discord.com/developers/docs/resources/application#application-object-application-flags).
const MESSAGE_CONTENT: u64 = (1 << 18) | (1 << 19);

/// `GET /users/@me`.
#[derive(Deserialize)]
pub(super) struct Me {
    pub(super) id: String,
    #[serde(default)]
    pub(super) username: String,
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

/// A bot as Discord describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BotInspection {
    /// The bot's user id.
    pub id: i64,
    /// Its user name.
    pub name: String,
    /// Whether it may read what others write: needed for sources, not for targets.
    pub message_content: bool,
    /// How often it may still identify today.
    pub identifies_left: u64,
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

impl DiscordConnector {
    /// Asks Discord about an account's bot without connecting it: nothing of its day's budget is used.
    ///
    /// # Errors
    /// [`ConnectionError`]: no token, one that is refused or belongs to another bot, or no answer.
    pub async fn inspect(&self, account: &Account) -> Result<BotInspection, ConnectionError> {
        let rest = self.rest(account).await?;
        let me = self.me(&rest, account).await?;
        let message_content = may_read(&rest, self.config()).await?;
        let request = Request::new(Route::GatewayBot, LightMethod::Get);
        let gateway: GatewayBot = rest.get(request, self.config()).await?;
        let identifies_left = gateway.session_start_limit.remaining;
        Ok(BotInspection { id: account.platform_id, name: me.username, message_content, identifies_left })
    }
}
