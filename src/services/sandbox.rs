//! Attaching to a sandbox: reads what it seeded and makes the same user, accounts and pairs here. Idempotent.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::SecretSlice;
use serde::Deserialize;
use switchyard_actors::model::{
    Account, AccountId, AccountKind, AccountState, ChatId, Pair, PairId, Place, PlanName, Platform, UserId,
};
use switchyard_actors::ports::{Credentials, Directory, Jobs, StoreError};
use thiserror::Error;

use super::accounts::CHAT;
use crate::store::Store;

/// The throttle profile of seeded accounts: the same code with the limits that the sandbox announces.
pub const PROFILE_NONE: &str = "sandbox";
/// The profile where the sandbox enforces the published limits.
pub const PROFILE_PUBLISHED: &str = "sandbox-published";

/// What `GET /sandbox` answers, as far as the daemon needs it.
#[derive(Clone, Debug, Deserialize)]
pub struct SandboxSeed {
    /// `none` or `published`.
    pub limits: String,
    /// The control API's own address.
    pub control: String,
    /// Where Telegram is.
    pub telegram: TelegramAddress,
    /// Where Discord is.
    pub discord: DiscordAddress,
    /// The bot that writes to people; a sandbox of an older version has none.
    #[serde(default)]
    pub bot: Option<BotAddress>,
    /// The owner of everything seeded.
    pub user: SeededUser,
    /// The accounts.
    pub accounts: Vec<SeededAccount>,
    /// The pairs.
    pub pairs: Vec<SeededPair>,
}

/// The sandbox's Telegram data centre.
#[derive(Clone, Debug, Deserialize)]
pub struct TelegramAddress {
    /// The data centre's id.
    pub dc_id: i32,
    /// `host:port`.
    pub address: String,
    /// The application id to present.
    pub api_id: i32,
    /// The application hash to present.
    pub api_hash: String,
}

/// The sandbox's Discord.
#[derive(Clone, Debug, Deserialize)]
pub struct DiscordAddress {
    /// Base of the REST API, without `/api`.
    pub api_base: String,
}

/// The sandbox's Bot API.
#[derive(Clone, Deserialize)]
pub struct BotAddress {
    /// Base of the Bot API.
    pub api_base: String,
    /// The bot's token.
    pub token: String,
}

impl std::fmt::Debug for BotAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BotAddress").field("api_base", &self.api_base).finish_non_exhaustive()
    }
}

/// The seeded user.
#[derive(Clone, Debug, Deserialize)]
pub struct SeededUser {
    /// Its id here and there.
    pub id: UserId,
    /// A name.
    pub name: String,
}

/// A seeded account.
#[derive(Clone, Deserialize)]
pub struct SeededAccount {
    /// Its id here and there.
    pub id: AccountId,
    /// Its kind.
    pub kind: AccountKind,
    /// A name.
    pub name: String,
    /// The platform's id of it.
    pub platform_id: String,
    /// The one chat that a webhook writes in.
    #[serde(default)]
    pub chat: Option<ChatId>,
    /// A bot's or webhook's token.
    #[serde(default)]
    token: Option<String>,
}

impl std::fmt::Debug for SeededAccount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SeededAccount")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// One end of a seeded pair.
#[derive(Clone, Debug, Deserialize)]
pub struct SeededEnd {
    /// The platform.
    pub platform: Platform,
    /// The chat.
    pub chat: ChatId,
    /// The account that reads or writes it.
    pub account: AccountId,
}

/// A seeded pair.
#[derive(Clone, Debug, Deserialize)]
pub struct SeededPair {
    /// Its id here and there.
    pub id: PairId,
    /// Where it reads.
    pub source: SeededEnd,
    /// Where it writes.
    pub target: SeededEnd,
}

/// Why a sandbox could not be attached.
#[derive(Debug, Error)]
pub enum AttachError {
    /// Nobody answers there, or not with a sandbox's description.
    #[error("no sandbox answers at {url}: {error}")]
    Unreachable {
        /// Where it was looked for.
        url: String,
        /// What went wrong.
        error: String,
    },
    /// A seeded account cannot be used.
    #[error("sandbox names account {account} with platform id {platform_id:?}, which is no number")]
    BadAccount {
        /// Which account.
        account: AccountId,
        /// What it said.
        platform_id: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Asks a sandbox what it seeded.
///
/// # Errors
/// [`AttachError::Unreachable`].
pub async fn fetch_seed(url: &str, timeout: Duration) -> Result<SandboxSeed, AttachError> {
    let wrong = |error: reqwest::Error| AttachError::Unreachable {
        url: url.to_owned(),
        error: error.without_url().to_string(),
    };
    let client = reqwest::Client::builder().timeout(timeout).no_proxy().build().map_err(wrong)?;
    let answer = client.get(format!("{}/sandbox", url.trim_end_matches('/'))).send().await.map_err(wrong)?;
    answer.error_for_status().map_err(wrong)?.json().await.map_err(wrong)
}

/// The throttle profile of accounts that live in a sandbox.
#[must_use]
pub fn profile(seed: &SandboxSeed) -> &'static str {
    if seed.limits == "published" { PROFILE_PUBLISHED } else { PROFILE_NONE }
}

/// Under this name the store remembers that it was seeded so.
fn seeded_name(seed: &SandboxSeed) -> String {
    format!("sandbox.seeded.{}.{}.{}", seed.user.id, seed.accounts.len(), seed.pairs.len())
}

/// Makes the seeded user, accounts and pairs in the store, once: what was removed afterwards stays removed. Accounts that
/// are there get their credentials anew at every start.
///
/// # Errors
/// [`AttachError`].
pub async fn seed(
    store: &Store,
    seed: &SandboxSeed,
    plan: &PlanName,
    now: DateTime<Utc>,
) -> Result<(), AttachError> {
    let before = store.last_run(&seeded_name(seed)).await?.is_some();
    store.create_user(seed.user.id, &seed.user.name).await?;
    if store.user_plan(seed.user.id).await?.is_none() {
        store.set_user_plan(seed.user.id, plan, None).await?;
    }
    let profile = profile(seed);
    for seeded in &seed.accounts {
        let account = account(seeded, seed.user.id, profile)?;
        if before {
            match store.account(account.id).await {
                Err(StoreError::NotFound(_)) => continue,
                found => found?,
            };
        } else {
            store.create_account(&account).await?;
        }
        if let Some(token) = &seeded.token {
            let token = SecretSlice::from(token.clone().into_bytes());
            store.set_secret(account.id, "token", token).await?;
        }
        if let Some(chat) = seeded.chat {
            let chat = SecretSlice::from(chat.to_string().into_bytes());
            store.set_secret(account.id, CHAT, chat).await?;
        }
        if store.account(account.id).await?.state == AccountState::NeedsLogin {
            // The sandbox gives its credentials anew: that is the login.
            store.set_account_state(account.id, AccountState::Active).await?;
        }
    }
    let pairs = if before { &[] } else { seed.pairs.as_slice() };
    for pair in pairs {
        let place = |end: &SeededEnd| Place { platform: end.platform, chat: end.chat, thread: None };
        let pair = Pair {
            id: pair.id,
            user: seed.user.id,
            source_account: pair.source.account,
            source: place(&pair.source),
            target_account: pair.target.account,
            target: place(&pair.target),
            paused: BTreeSet::new(),
        };
        store.create_pair(&pair).await?;
    }
    store.ran(&seeded_name(seed), now).await?;
    Ok(())
}

fn account(seeded: &SeededAccount, user: UserId, profile: &str) -> Result<Account, AttachError> {
    let platform_id = seeded.platform_id.parse().map_err(|_| AttachError::BadAccount {
        account: seeded.id,
        platform_id: seeded.platform_id.clone(),
    })?;
    Ok(Account {
        id: seeded.id,
        user,
        kind: seeded.kind,
        platform_id,
        name: seeded.name.clone(),
        profile: profile.to_owned(),
        state: AccountState::Active,
    })
}
