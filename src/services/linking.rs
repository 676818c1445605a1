//! The bot's conversation with people: linking a chat by a code, leaving, what is stored; and what users want to hear.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use switchyard_actors::model::UserId;
use switchyard_actors::ports::{
    BotChannel, BotChatKind, BotEvent, BotFault, BotInbox, BotUpdate, Clock, Rng, StoreError,
};

use super::fault::Fault;
use crate::store::{BotActed, BotAction, LinkedChat, NotificationSettings, Store, escape_html};

/// Bytes of a code: nobody guesses 128 bits within its life.
const CODE_BYTES: usize = 16;

/// A kind of notice that a user can do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// Announcements about the service itself.
    System,
    /// Sessions that end or are about to.
    Sessions,
    /// Payments that are due.
    Payments,
    /// Queues and sessions that fail.
    Health,
    /// Reports.
    Reports,
}

impl NoticeKind {
    const ALL: [(Self, &'static str); 5] = [
        (Self::System, "system"),
        (Self::Sessions, "sessions"),
        (Self::Payments, "payments"),
        (Self::Health, "health"),
        (Self::Reports, "reports"),
    ];

    fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, name)| *name == text).map(|(kind, _)| *kind)
    }
}

/// A code that links a Telegram chat, once.
#[derive(Clone, Serialize, JsonSchema)]
pub struct TelegramLink {
    /// The code. Sent to the bot as `/start CODE`, it links the chat that it comes from.
    pub code: String,
    /// A link that opens the bot with the code.
    pub url: String,
    /// A link that adds the bot to a channel as an admin. The channel of somebody whose private chat is linked is
    /// registered by that.
    pub channel_url: String,
    /// Until when the code is good.
    pub expires_at: DateTime<Utc>,
}

impl std::fmt::Debug for TelegramLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TelegramLink").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// A chat that is linked with a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LinkedChatView {
    /// Telegram's id of it.
    pub chat: String,
    /// Whether it is a channel; otherwise the private chat with the user.
    pub channel: bool,
    /// Its title, where it has one.
    pub title: String,
    /// When it was linked.
    pub linked_at: DateTime<Utc>,
    /// Why nothing can be sent there now, if so.
    pub unreachable: Option<String>,
}

/// What a user hears, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Notifications {
    /// The chats that are linked.
    pub telegram: Vec<LinkedChatView>,
    /// Whether the user agreed to promotions.
    pub promotions: bool,
    /// When that was said.
    pub promotions_at: Option<DateTime<Utc>>,
    /// Where that was said: `api` or `telegram`.
    pub promotions_source: Option<String>,
    /// Kinds of notices that are not wanted.
    pub opted_out: BTreeSet<NoticeKind>,
}

/// What a user wants to hear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "promotions": false, "opted_out": [] }))]
pub struct NotificationsOrder {
    /// Whether the user agrees to promotions. Noted with time and source.
    pub promotions: bool,
    /// Kinds of notices that are not wanted.
    #[serde(default)]
    pub opted_out: BTreeSet<NoticeKind>,
}

/// Linking and wishes, for the API.
#[async_trait]
pub trait Linking: Send + Sync {
    /// Makes a code that links a chat with a user, in place of an older one.
    ///
    /// # Errors
    /// [`Fault::Unreachable`] while Telegram does not say what the bot is called, [`Fault::Conflict`] without a bot.
    async fn link(&self, user: UserId) -> Result<TelegramLink, Fault>;

    /// What a user hears, and where.
    ///
    /// # Errors
    /// [`Fault`].
    async fn notifications(&self, user: UserId) -> Result<Notifications, Fault>;

    /// Notes what a user wants to hear.
    ///
    /// # Errors
    /// [`Fault`].
    async fn want(&self, user: UserId, order: NotificationsOrder) -> Result<Notifications, Fault>;
}

/// The bot's conversation.
pub struct LinkingService {
    /// Where everything is kept.
    pub store: Store,
    /// The bot, if there is one.
    pub channel: Option<Arc<dyn BotChannel>>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Where codes come from.
    pub rng: Arc<dyn Rng>,
    /// How long a code is good.
    pub code_life: Duration,
    /// The page on which users manage what they hear.
    pub account_page: Option<String>,
}

#[async_trait]
impl Linking for LinkingService {
    async fn link(&self, user: UserId) -> Result<TelegramLink, Fault> {
        let channel =
            self.channel.as_ref().ok_or_else(|| Fault::Conflict("there is no bot here".to_owned()))?;
        let me = channel.me().await.map_err(|fault| match fault {
            BotFault::Wait(wait) => {
                Fault::PlatformWait { wait, reason: "too many calls of the bot".to_owned() }
            }
            other => Fault::Unreachable(other.to_string()),
        })?;
        let mut bytes = [0_u8; CODE_BYTES];
        self.rng.fill(&mut bytes);
        let code = URL_SAFE_NO_PAD.encode(bytes);
        let life = TimeDelta::from_std(self.code_life).unwrap_or(TimeDelta::MAX);
        let expires_at = self.clock.now().checked_add_signed(life).unwrap_or(DateTime::<Utc>::MAX_UTC);
        self.store.set_link_code(user, &code, expires_at).await?;
        let bot = format!("https://t.me/{}", me.username);
        Ok(TelegramLink {
            url: format!("{bot}?start={code}"),
            channel_url: format!("{bot}?startchannel&admin=post_messages"),
            code,
            expires_at,
        })
    }

    async fn notifications(&self, user: UserId) -> Result<Notifications, Fault> {
        let chats = self.store.linked_chats(user).await?;
        Ok(view(chats, self.store.notification_settings(user).await?))
    }

    async fn want(&self, user: UserId, order: NotificationsOrder) -> Result<Notifications, Fault> {
        let opted_out = order.opted_out.iter().map(|kind| kind.as_str().to_owned()).collect();
        self.store.set_notification_settings(user, order.promotions, opted_out, "api").await?;
        self.notifications(user).await
    }
}

fn view(chats: Vec<LinkedChat>, settings: NotificationSettings) -> Notifications {
    let (promotions_at, promotions_source) = settings.promotions_said.unzip();
    let chat = |linked: LinkedChat| LinkedChatView {
        chat: linked.chat.to_string(),
        channel: linked.channel,
        title: linked.title,
        linked_at: linked.linked_at,
        unreachable: linked.unreachable,
    };
    Notifications {
        telegram: chats.into_iter().map(chat).collect(),
        promotions: settings.promotions,
        promotions_at,
        promotions_source,
        opted_out: settings.opted_out.iter().filter_map(|kind| NoticeKind::parse(kind)).collect(),
    }
}

/// What somebody asks of the bot in a private chat.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Asked {
    Act(BotAction),
    Privacy,
    Help,
}

fn asked(text: &str) -> Asked {
    let mut words = text.split_whitespace();
    let command = words.next().unwrap_or_default();
    // In menus a command may carry the bot's name: /stop@name.
    let command = command.split('@').next().unwrap_or_default();
    match (command, words.next()) {
        ("/start", Some(code)) => Asked::Act(BotAction::Link { code: code.to_owned() }),
        ("/stop", _) => Asked::Act(BotAction::Unlink),
        ("/offers_on", _) => Asked::Act(BotAction::Promotions(true)),
        ("/offers_off", _) => Asked::Act(BotAction::Promotions(false)),
        ("/privacy", _) => Asked::Privacy,
        _ => Asked::Help,
    }
}

const HELP: &str = "This bot sends you notices about your account. To link this chat, open the link that your account \
                    page shows.\n\n/stop – unlink this chat and hear nothing more\n/offers_on, /offers_off – agree to \
                    offers, or no longer\n/privacy – what is stored about this chat\n\nNever send codes or passwords \
                    here: nobody will ask you for them.";
const PRIVACY: &str = "Stored about this chat: its Telegram id, with which account it is linked and since when, what you \
                       agreed to hear with time and place, and the notices sent here until they are purged. What you \
                       write here is not stored. /stop deletes the link.";

fn words(acted: &BotActed) -> &'static str {
    match acted {
        BotActed::Linked { replaced: false } => {
            "This chat is linked with your account. /stop unlinks it, /privacy says what is stored."
        }
        BotActed::Linked { replaced: true } => {
            "This chat is linked with your account, in place of the one before. /stop unlinks it, /privacy says what is \
             stored."
        }
        BotActed::BadCode => {
            "This code is unknown, was used already or is too old. Ask for a new one on your account page."
        }
        BotActed::Unlinked => "This chat is not linked any more, and you get no more notices here. Goodbye.",
        BotActed::NotLinked => "This chat is not linked with an account.",
        BotActed::Promotions(true) => "Noted: you agree to offers. /offers_off takes it back at any time.",
        BotActed::Promotions(false) => "Noted: no more offers.",
        BotActed::Registered | BotActed::Nothing => HELP,
    }
}

#[async_trait]
impl BotInbox for LinkingService {
    async fn receive(&self, update: &BotUpdate) -> Result<(), StoreError> {
        let page = self.account_page.clone();
        let help = move |text: &str| match page {
            Some(page) => format!("{text}\n\n{}", escape_html(&page)),
            None => text.to_owned(),
        };
        match update.event.clone() {
            BotEvent::Message { chat, kind: BotChatKind::Private, text } => {
                let (action, fixed) = match asked(&text) {
                    Asked::Act(action) => (action, None),
                    Asked::Privacy => (BotAction::None, Some(help(PRIVACY))),
                    Asked::Help => (BotAction::None, Some(help(HELP))),
                };
                let reply =
                    move |acted: BotActed| vec![(chat, fixed.unwrap_or_else(|| words(&acted).to_owned()))];
                self.store.act_on_update(update.id, Some(chat), action, reply).await
            }
            BotEvent::Role { chat, kind: BotChatKind::Channel, title, by, writes: true } => {
                let named = escape_html(&title);
                let action = BotAction::Channel { by, title };
                let owner = switchyard_actors::model::ChatId::new(by).ok();
                let reply = move |acted: BotActed| match (acted, owner) {
                    (BotActed::Registered, Some(owner)) => vec![(
                        owner,
                        format!(
                            "The channel \u{201c}{named}\u{201d} is registered: announcements that are for you are \
                             posted there too. Remove the bot from its admins to end that."
                        ),
                    )],
                    _ => Vec::new(),
                };
                self.store.act_on_update(update.id, Some(chat), action, reply).await
            }
            BotEvent::Role { chat, writes: false, .. } => {
                let reason = "the bot was blocked or removed".to_owned();
                let action = BotAction::Gone { reason };
                self.store.act_on_update(update.id, Some(chat), action, |_| Vec::new()).await
            }
            _ => self.store.act_on_update(update.id, None, BotAction::None, |_| Vec::new()).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_as_people_write_them() {
        let link = |code: &str| Asked::Act(BotAction::Link { code: code.to_owned() });
        assert_eq!(asked("/start abc"), link("abc"));
        assert_eq!(asked("  /start@some_bot   abc x"), link("abc"));
        assert_eq!(asked("/start"), Asked::Help);
        assert_eq!(asked("/stop@some_bot"), Asked::Act(BotAction::Unlink));
        assert_eq!(asked("/privacy"), Asked::Privacy);
        assert_eq!(asked("my code is 12345"), Asked::Help);
        assert_eq!(asked(""), Asked::Help);
    }

    #[test]
    fn every_kind_of_notice_has_a_name_by_which_it_is_found() {
        for (kind, name) in NoticeKind::ALL {
            assert_eq!(NoticeKind::parse(name), Some(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), name);
        }
    }
}
