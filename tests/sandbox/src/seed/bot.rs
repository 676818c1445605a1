//! The bot through which the daemon writes to people: what an operator would get from @BotFather.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use super::derive::Derive;
use super::secret::Secret;

const ID: i64 = 3_900_001;

/// A bot of the Bot API.
#[derive(Clone, Debug)]
pub struct NoticeBot {
    /// What stands for it as the target of faults.
    pub account: Uuid,
    /// Telegram's id of the bot.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Its public name, without `@`.
    pub username: String,
    /// Token as @BotFather gives it: `id:secret`.
    pub token: Secret,
}

impl NoticeBot {
    pub(super) fn new(derive: &Derive) -> Self {
        let mut secret = URL_SAFE_NO_PAD.encode(derive.bytes("notice bot token"));
        secret.truncate(33);
        Self {
            account: derive.uuid("notice bot"),
            id: ID,
            name: "Switchyard Sandbox".to_owned(),
            username: "switchyard_sandbox_bot".to_owned(),
            token: Secret::new(format!("{ID}:AA{secret}")),
        }
    }
}
