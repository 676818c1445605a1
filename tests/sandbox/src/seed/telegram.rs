//! The Telegram side of a seed: accounts with phone and code, supergroups, and the people who write in them.

use std::fmt;

use uuid::Uuid;

use super::Person;
use super::derive::Derive;
use crate::config::SeedShape;

const FIRST_USER: i64 = 1001;
const FIRST_PERSON: u64 = 2001;
const FIRST_CHANNEL: i64 = 1_000_000_001;
/// Bot-API dialog ids of channels lie below this.
const CHANNEL_BASE: i64 = 1_000_000_000_000;
const NAMES: [&str; 6] =
    ["Ada Lindqvist", "Bruno Castell", "Chiara Voss", "Dmitri Falk", "Emi Tanaka", "Femi Adler"];

/// The code that signs a user in. Debug hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct SignInCode(String);

impl SignInCode {
    /// The digits.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SignInCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignInCode(..)")
    }
}

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
    pub code: SignInCode,
}

/// A supergroup that the customer's account is a member of, and in which all seeded persons write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TelegramChannel {
    /// Telegram's bare id of the channel.
    pub id: i64,
    /// Title.
    pub title: String,
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
    /// The customer's accounts.
    pub users: Vec<TelegramUser>,
    /// Other people; the first one writes when nobody is named.
    pub persons: Vec<Person>,
    /// The sources of pairs.
    pub channels: Vec<TelegramChannel>,
}

impl TelegramSeed {
    pub(super) fn new(derive: &Derive, shape: SeedShape) -> Self {
        let users: Vec<_> = (0..shape.telegram_users).map(|index| user(derive, index)).collect();
        let channels = users.iter().cycle().zip(0..shape.pairs).map(|(user, index)| TelegramChannel {
            id: FIRST_CHANNEL.saturating_add(i64::from(index)),
            title: format!("Source {}", index.saturating_add(1)),
            account: user.account,
            member: user.user_id,
        });
        let persons = NAMES.iter().zip(FIRST_PERSON..);
        Self {
            dc_id: 2,
            api_id: 1,
            api_hash: hex::encode(derive.bytes("telegram api_hash").get(..16).unwrap_or_default()),
            channels: channels.collect(),
            persons: persons.map(|(name, id)| Person { id, name: (*name).to_owned() }).collect(),
            users,
        }
    }
}

fn user(derive: &Derive, index: u16) -> TelegramUser {
    let code = derive.number(&format!("telegram code {index}")) % 90_000 + 10_000;
    TelegramUser {
        account: derive.uuid(&format!("telegram account {index}")),
        user_id: FIRST_USER.saturating_add(i64::from(index)),
        name: format!("Telegram User {}", index.saturating_add(1)),
        phone: format!("+99966{:06}", index.saturating_add(1)),
        code: SignInCode(code.to_string()),
    }
}
