//! The Telegram side of a seed: users with phone and code, bots with tokens, supergroups, and the people in them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use super::Person;
use super::derive::Derive;
use super::secret::Secret;
use super::slot::{Direction, End, Slot, slots};
use crate::config::SeedShape;
use crate::platform::Platform;

const FIRST_USER: i64 = 1001;
const FIRST_PERSON: u64 = 2001;
const FIRST_BOT: i64 = 3_000_001;
/// Bot-API dialog ids of channels lie below this.
const CHANNEL_BASE: i64 = 1_000_000_000_000;
const NAMES: [&str; 6] =
    ["Ada Lindqvist", "Bruno Castell", "Chiara Voss", "Dmitri Falk", "Emi Tanaka", "Femi Adler"];

/// A Telegram user that is an account of the customer.
#[derive(Clone, Debug)]
pub struct TelegramUser {
    /// Id under which the daemon stores the account.
    pub account: Uuid,
    /// Telegram's id of the user.
    pub user_id: i64,
    /// Name.
    pub name: String,
    /// Telephone number, from the range that Telegram keeps for tests.
    pub phone: String,
    /// The code that every sign-in of this user expects.
    pub code: Secret,
    /// The password that every sign-in of this user expects after the code, if there is one.
    pub password: Option<Secret>,
}

/// A Telegram bot that is an account of the customer. It reads every message of its groups (privacy mode is off).
#[derive(Clone, Debug)]
pub struct TelegramBot {
    /// Id under which the daemon stores the account.
    pub account: Uuid,
    /// Telegram's id of the bot.
    pub user_id: i64,
    /// Name.
    pub name: String,
    /// Token as @BotFather gives it: `id:secret`.
    pub token: Secret,
}

/// A supergroup that one of the customer's accounts is a member of, and in which all seeded persons write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TelegramChannel {
    /// Telegram's bare id of the channel.
    pub id: i64,
    /// Title.
    pub title: String,
    /// The end of a pair that it is.
    pub slot: Slot,
    /// The account that is a member.
    pub account: Uuid,
    /// Telegram's id of that account's user.
    pub member: i64,
}

impl TelegramChannel {
    /// The id in the form of the Bot API: -100… for channels.
    #[must_use]
    pub const fn dialog_id(&self) -> i64 {
        -(CHANNEL_BASE.saturating_add(self.id))
    }
}

/// Everything that the data centre starts with.
#[derive(Clone, Debug)]
pub struct TelegramSeed {
    /// Number of the data centre.
    pub dc_id: i32,
    /// Application id that clients must name.
    pub api_id: i32,
    /// Hash that belongs to the application id.
    pub api_hash: String,
    /// The customer's user accounts.
    pub users: Vec<TelegramUser>,
    /// The customer's bot accounts.
    pub bots: Vec<TelegramBot>,
    /// Other people; the first one writes when nobody is named.
    pub persons: Vec<Person>,
    /// The sources and targets of pairs.
    pub channels: Vec<TelegramChannel>,
}

impl TelegramSeed {
    pub(super) fn new(derive: &Derive, shape: SeedShape) -> Self {
        let users: Vec<_> = (0..shape.telegram_users).map(|index| user(derive, index)).collect();
        let bots: Vec<_> = (0..shape.telegram_bots).map(|index| bot(derive, index)).collect();
        let channels = slots(Platform::Telegram, shape.pairs).filter_map(|slot| channel(slot, &users, &bots));
        let persons = NAMES.iter().zip(FIRST_PERSON..);
        Self {
            dc_id: 2,
            api_id: 1,
            api_hash: hex::encode(derive.bytes("telegram api_hash").get(..16).unwrap_or_default()),
            channels: channels.collect(),
            persons: persons.map(|(name, id)| Person { id, name: (*name).to_owned() }).collect(),
            users,
            bots,
        }
    }
}

fn user(derive: &Derive, index: u16) -> TelegramUser {
    let code = derive.number(&format!("telegram code {index}")) % 90_000 + 10_000;
    let password = || {
        let secret = derive.bytes(&format!("telegram password {index}"));
        Secret::new(format!("pass-{}", hex::encode(secret.get(..6).unwrap_or_default())))
    };
    TelegramUser {
        account: derive.uuid(&format!("telegram account {index}")),
        user_id: FIRST_USER.saturating_add(i64::from(index)),
        name: format!("Telegram User {}", index.saturating_add(1)),
        phone: format!("+99966{:06}", index.saturating_add(1)),
        code: Secret::new(code.to_string()),
        password: (index % 2 == 1).then(password),
    }
}

fn bot(derive: &Derive, index: u16) -> TelegramBot {
    let user_id = FIRST_BOT.saturating_add(i64::from(index));
    let secret = derive.bytes(&format!("telegram bot token {index}"));
    // Tokens of the Bot API have 35 characters behind the colon, of which the first two are always AA.
    let mut text = URL_SAFE_NO_PAD.encode(secret);
    text.truncate(33);
    TelegramBot {
        account: derive.uuid(&format!("telegram bot account {index}")),
        user_id,
        name: format!("Telegram Bot {}", index.saturating_add(1)),
        token: Secret::new(format!("{user_id}:AA{text}")),
    }
}

/// The supergroup of a slot, with the account that reads or writes there.
fn channel(slot: Slot, users: &[TelegramUser], bots: &[TelegramBot]) -> Option<TelegramChannel> {
    let index = usize::from(slot.index);
    let nth_user = |nth: usize| users.get(nth % users.len().max(1)).map(|user| (user.account, user.user_id));
    let nth_bot = |nth: usize| bots.get(nth % bots.len().max(1)).map(|bot| (bot.account, bot.user_id));
    let (account, member) = match slot.end {
        End::Source => nth_user(index)?,
        End::Target if bots.is_empty() => nth_user(index)?,
        End::Target if index % 2 == 0 => nth_bot(index / 2)?,
        End::Target => nth_user(index / 2)?,
    };
    let (first, title) = match (slot.direction, slot.end) {
        (Direction::TelegramToDiscord, _) => (1_000_000_001_i64, "Source"),
        (Direction::TelegramToTelegram, End::Source) => (1_100_000_001, "Relay source"),
        (Direction::TelegramToTelegram, End::Target) => (1_200_000_001, "Relay target"),
        (Direction::DiscordToTelegram | Direction::DiscordToDiscord, _) => (1_300_000_001, "Target"),
    };
    Some(TelegramChannel {
        id: first.saturating_add(i64::from(slot.index)),
        title: format!("{title} {}", slot.index.saturating_add(1)),
        slot,
        account,
        member,
    })
}
