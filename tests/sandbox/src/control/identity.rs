//! `GET /sandbox`: what this sandbox is, where it listens and what it seeded.

use std::net::SocketAddr;

use serde::Serialize;
use uuid::Uuid;

use super::ControlState;
use crate::config::Limits;
use crate::platform::Platform;
use crate::seed::PairEnd;

#[derive(Serialize)]
pub(super) struct Identity {
    seed: u64,
    limits: Limits,
    control: String,
    telegram: TelegramIdentity,
    discord: DiscordIdentity,
    bot: BotIdentity,
    user: User,
    accounts: Vec<Account>,
    chats: Vec<Chat>,
    pairs: Vec<Pair>,
}

#[derive(Serialize)]
struct TelegramIdentity {
    dc_id: i32,
    address: String,
    api_id: i32,
    api_hash: String,
}

#[derive(Serialize)]
struct DiscordIdentity {
    api_base: String,
    gateway: String,
}

/// The bot through which the daemon writes to people.
#[derive(Serialize)]
struct BotIdentity {
    /// What stands in the place of `https://api.telegram.org`.
    api_base: String,
    id: String,
    username: String,
    token: String,
}

#[derive(Serialize)]
struct User {
    id: Uuid,
    name: String,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Account {
    TelegramUser {
        id: Uuid,
        name: String,
        platform_id: String,
        phone: String,
        code: String,
        /// What two-step verification asks for after the code.
        #[serde(skip_serializing_if = "Option::is_none")]
        password: Option<String>,
    },
    TelegramBot {
        id: Uuid,
        name: String,
        platform_id: String,
        token: String,
    },
    DiscordBot {
        id: Uuid,
        name: String,
        platform_id: String,
        token: String,
    },
    DiscordWebhook {
        id: Uuid,
        name: String,
        platform_id: String,
        token: String,
        /// The one channel in which it writes.
        chat: String,
        /// What a person copies out of Discord, on the sandbox's own address.
        url: String,
    },
}

#[derive(Serialize)]
struct Chat {
    platform: Platform,
    chat: String,
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    guild: Option<String>,
    /// Whether one of the seeded accounts may read there.
    readable: bool,
    /// Whether the seeded accounts may write there.
    writable: bool,
}

#[derive(Serialize)]
struct Pair {
    id: Uuid,
    source: End,
    target: End,
}

#[derive(Serialize)]
struct End {
    platform: Platform,
    chat: String,
    account: Uuid,
}

impl From<&PairEnd> for End {
    fn from(end: &PairEnd) -> Self {
        Self { platform: end.platform, chat: end.chat.clone(), account: end.account }
    }
}

impl Identity {
    /// `control` is the address on which the request came.
    pub(super) fn of(state: &ControlState, control: SocketAddr) -> Self {
        let seed = &state.seed;
        Self {
            seed: seed.value(),
            limits: state.shared.limits,
            control: format!("http://{control}"),
            telegram: TelegramIdentity {
                dc_id: seed.telegram.dc_id,
                address: state.telegram.address().to_string(),
                api_id: seed.telegram.api_id,
                api_hash: seed.telegram.api_hash.clone(),
            },
            discord: DiscordIdentity {
                api_base: state.discord.api_base(),
                gateway: state.discord.gateway_url(),
            },
            bot: BotIdentity {
                api_base: state.bot.api_base(),
                id: seed.bot.id.to_string(),
                username: seed.bot.username.clone(),
                token: seed.bot.token.reveal().to_owned(),
            },
            user: User { id: seed.user.id, name: seed.user.name.clone() },
            accounts: accounts(state),
            chats: chats(state),
            pairs: seed
                .pairs
                .iter()
                .map(|pair| Pair {
                    id: pair.id,
                    source: End::from(&pair.source),
                    target: End::from(&pair.target),
                })
                .collect(),
        }
    }
}

fn accounts(state: &ControlState) -> Vec<Account> {
    let users = state.seed.telegram.users.iter().map(|user| Account::TelegramUser {
        id: user.account,
        name: user.name.clone(),
        platform_id: user.user_id.to_string(),
        phone: user.phone.clone(),
        code: user.code.reveal().to_owned(),
        password: user.password.as_ref().map(|password| password.reveal().to_owned()),
    });
    let telegram_bots = state.seed.telegram.bots.iter().map(|bot| Account::TelegramBot {
        id: bot.account,
        name: bot.name.clone(),
        platform_id: bot.user_id.to_string(),
        token: bot.token.reveal().to_owned(),
    });
    let bots = state.seed.discord.bots.iter().map(|bot| Account::DiscordBot {
        id: bot.account,
        name: bot.name.clone(),
        platform_id: bot.id.to_string(),
        token: bot.token.reveal().to_owned(),
    });
    let base = state.discord.api_base();
    let webhooks = state.seed.discord.webhooks.iter().map(|webhook| Account::DiscordWebhook {
        id: webhook.account,
        name: webhook.name.clone(),
        platform_id: webhook.id.to_string(),
        token: webhook.token.reveal().to_owned(),
        chat: webhook.channel.to_string(),
        url: format!("{base}/api/webhooks/{}/{}", webhook.id, webhook.token.reveal()),
    });
    users.chain(telegram_bots).chain(bots).chain(webhooks).collect()
}

/// Every chat that was seeded, the sources and targets of pairs first on either platform.
fn chats(state: &ControlState) -> Vec<Chat> {
    let channels = state.telegram.channels().into_iter().map(|(id, title, writable)| Chat {
        platform: Platform::Telegram,
        chat: id.to_string(),
        title,
        guild: None,
        // Every seeded channel has one of the accounts among its members.
        readable: true,
        writable,
    });
    let targets = state.seed.discord.guilds.iter().flat_map(|guild| {
        guild.channels.iter().map(|channel| Chat {
            platform: Platform::Discord,
            chat: channel.id.to_string(),
            title: channel.name.clone(),
            guild: Some(guild.id.to_string()),
            // Every guild has one of the bots among its members.
            readable: true,
            writable: channel.writable,
        })
    });
    channels.chain(targets).collect()
}
