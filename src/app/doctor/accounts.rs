//! Accounts and pairs: can each account sign in, and may it do what its pairs need.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use secrecy::ExposeSecret;
use switchyard_actors::model::{Account, AccountId, AccountKind, AccountState, ChatId, Pair, Place as Chat};
use switchyard_actors::ports::{Credentials, Directory, Proxy, StoreError};
use switchyard_actors::supervision::{ChildPath, NodeState, NodeView};
use tokio::runtime::Handle;
use zeroize::Zeroizing;

use super::place::Place;
use super::platforms::Platforms;
use super::{Daemon, Round, failed};
use crate::adapters::discord::TOKEN;
use crate::adapters::discord::probe::{DiscordProbe, Need, ProbeError};
use crate::adapters::telegram::probe::{self, Standing};
use crate::services::doctor::{Check, Class};
use crate::store::Store;

const ACCOUNT: &str = "account";
const PAIR: &str = "pair";

/// What was learnt of an account that its pairs depend on.
enum Known {
    Bot { id: i64, token: Zeroizing<String> },
    Webhook(ChatId),
    Telegram(BTreeMap<ChatId, Result<(), String>>),
    Nothing,
}

/// What all accounts are looked at with.
struct Ward<'a> {
    store: &'a Store,
    pairs: &'a [Pair],
    sessions: Option<HashMap<AccountId, NodeView>>,
    /// Whether accounts may be signed in here: nobody else uses them.
    alone: bool,
}

/// Looks at every account, then at every pair.
pub(super) async fn look(
    round: &mut Round,
    store: &Store,
    place: &Place,
    daemon: Option<&Daemon>,
    platforms: Option<Platforms>,
) {
    let Some(mut platforms) = platforms else { return };
    match visit(round, store, place, daemon, &mut platforms).await {
        Ok(()) => {}
        Err(error) => round.report.push(failed(ACCOUNT, &error)),
    }
}

async fn visit(
    round: &mut Round,
    store: &Store,
    place: &Place,
    daemon: Option<&Daemon>,
    platforms: &mut Platforms,
) -> Result<(), StoreError> {
    let (mut accounts, mut pairs) = (store.accounts().await?, Directory::pairs(store).await?);
    let most = usize::try_from(round.config.doctor.looked_at_max.get()).unwrap_or(usize::MAX);
    if accounts.len() > most || pairs.len() > most {
        let found = format!("of {} accounts and {} pairs the first {most}", accounts.len(), pairs.len());
        round.report.push(Check::warn(ACCOUNT, found, "raise doctor.looked_at_max to look at more"));
        accounts.truncate(most);
        pairs.truncate(most);
    }
    let alone = place.is_ours() && store.others_alive().await? == 0;
    let sessions = match daemon {
        Some(daemon) => Some(sessions(daemon).await),
        None => None,
    };
    let ward = Ward { store, pairs: &pairs, sessions, alone };
    let mut known = HashMap::new();
    for account in &accounts {
        let (check, learnt) = ward.examine(account, platforms).await?;
        round.report.push(check);
        known.insert(account.id, learnt);
    }
    for pair in &pairs {
        let check = pair_check(pair, &known, platforms.discord.as_mut()).await;
        round.report.push(check);
    }
    Ok(())
}

/// The daemon's sessions by their accounts; what cannot be asked for is left out.
async fn sessions(daemon: &Daemon) -> HashMap<AccountId, NodeView> {
    let (mut found, mut cursor) = (HashMap::new(), None);
    let prefix = ChildPath::parse("sessions").ok();
    while let Ok(page) = daemon.client.supervision(prefix.as_ref(), None, cursor.as_ref()).await {
        for node in page.items {
            let id = node.path.as_str().strip_prefix("sessions/").and_then(|id| id.parse().ok());
            if let Some(id) = id {
                found.insert(id, node);
            }
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    found
}

fn name(account: &Account) -> String {
    format!("{} {:?} ({})", account.kind.as_str(), account.name, account.id)
}

fn bad(account: &Account, found: impl std::fmt::Display, advice: &str) -> (Check, Known) {
    let found = format!("{}: {found}", name(account));
    (Check::fail(ACCOUNT, Class::Platform, found, advice), Known::Nothing)
}

fn good(account: &Account, found: &str, known: Known) -> (Check, Known) {
    (Check::ok(ACCOUNT, format!("{}: {found}", name(account))), known)
}

fn unsure(account: &Account, found: impl std::fmt::Display, advice: &str) -> (Check, Known) {
    (Check::warn(ACCOUNT, format!("{}: {found}", name(account)), advice), Known::Nothing)
}

const SIGN_IN: &str = "sign it in anew; what waits for it is kept";

impl Ward<'_> {
    async fn examine(
        &self,
        account: &Account,
        platforms: &mut Platforms,
    ) -> Result<(Check, Known), StoreError> {
        match account.state {
            AccountState::NeedsLogin => return Ok(bad(account, "the platform ended its session", SIGN_IN)),
            AccountState::Quarantined => {
                return Ok(bad(
                    account,
                    "it is quarantined after too many refusals",
                    "look why, then resume it",
                ));
            }
            AccountState::Active => {}
        }
        let session = self.sessions.as_ref().and_then(|sessions| sessions.get(&account.id));
        if let Some(node) = session.filter(|node| node.state == NodeState::Parked) {
            let reason = node.reason.clone().unwrap_or_else(|| "its session is parked".to_owned());
            return Ok(bad(account, reason, SIGN_IN));
        }
        match account.kind {
            AccountKind::TelegramUser | AccountKind::TelegramBot => match session {
                Some(node) => Ok(of_session(account, node)),
                None => Ok(self.telegram(account, platforms).await),
            },
            AccountKind::DiscordBot | AccountKind::DiscordWebhook => {
                let Some(probe) = &platforms.discord else {
                    return Ok(unsure(account, "not asked, Discord does not answer", "see discord"));
                };
                self.discord(account, probe).await
            }
        }
    }

    async fn discord(&self, account: &Account, probe: &DiscordProbe) -> Result<(Check, Known), StoreError> {
        let secret = self.store.secret(account.id, TOKEN).await?;
        let text = secret.as_ref().and_then(|secret| std::str::from_utf8(secret.expose_secret()).ok());
        let Some(token) = text.map(|token| Zeroizing::new(token.trim().to_owned())) else {
            return Ok(bad(account, "no token is stored", SIGN_IN));
        };
        if self.store.secret(account.id, Proxy::SECRET).await?.is_some() {
            let found = format!("{}: not asked, it has a proxy of its own", name(account));
            let advice = "a running daemon says how it stands: switchyard accounts list";
            return Ok((Check::not_asked(ACCOUNT, found, advice), Known::Nothing));
        }
        if account.kind == AccountKind::DiscordWebhook {
            return Ok(match probe.webhook(account.platform_id, &token).await {
                Ok(channel) => {
                    good(account, &format!("it writes in channel {channel}"), Known::Webhook(channel))
                }
                Err(error) => refused(account, &error),
            });
        }
        let bot = match probe.bot(&token).await {
            Ok(bot) => bot,
            Err(error) => return Ok(refused(account, &error)),
        };
        if bot.id != account.platform_id {
            return Ok(bad(account, format!("its token belongs to bot {}", bot.id), SIGN_IN));
        }
        let reads = self.pairs.iter().any(|pair| pair.source_account == account.id);
        let known = Known::Bot { id: bot.id, token };
        if bot.message_content {
            return Ok(good(account, "its token is good, and it may read message content", known));
        }
        let advice = "switch the message content intent on, in the bot's settings at discord.com/developers";
        let found = format!("{}: the message content intent is off", name(account));
        Ok(if reads {
            (Check::fail(ACCOUNT, Class::Platform, format!("{found}, and pairs read by it"), advice), known)
        } else {
            (Check::warn(ACCOUNT, format!("{found}: it may send, not read"), advice), known)
        })
    }

    /// Signs a Telegram account in, where nobody else can be using its key.
    async fn telegram(&self, account: &Account, platforms: &Platforms) -> (Check, Known) {
        if !platforms.telegram_answers {
            return unsure(account, "not asked, Telegram does not answer", "see telegram");
        }
        if !self.alone {
            let advice = "ask again when the daemon that uses it is ready, or has ended";
            return unsure(account, "not asked, another daemon may use its key now", advice);
        }
        let chats = self.pairs.iter().flat_map(|pair| {
            let source = (pair.source_account == account.id).then_some(pair.source.chat);
            let target = (pair.target_account == account.id).then_some(pair.target.chat);
            source.into_iter().chain(target)
        });
        let chats: Vec<ChatId> = chats.collect();
        let credentials: Arc<dyn Credentials> = Arc::new(self.store.clone());
        let asked = probe::look(&platforms.telegram, credentials, account, &chats, &Handle::current()).await;
        match asked {
            Ok(Standing::NeverSignedIn) => {
                unsure(account, "it never signed in", "the daemon does it at its first connection")
            }
            Ok(Standing::SignedIn { chats }) => good(account, "it is signed in", Known::Telegram(chats)),
            Err(error) => bad(account, error, SIGN_IN),
        }
    }
}

fn refused(account: &Account, error: &ProbeError) -> (Check, Known) {
    let advice = match error {
        ProbeError::Unreachable(_) => "try again; see discord",
        ProbeError::Refused { .. } => SIGN_IN,
    };
    bad(account, error, advice)
}

/// What the running daemon says of a session that only it may use.
fn of_session(account: &Account, node: &NodeView) -> (Check, Known) {
    let connection = node.observable.get("connection").and_then(|state| state.as_str()).unwrap_or("unknown");
    match connection {
        "connected" => good(account, "the daemon is connected", Known::Nothing),
        "connecting" => unsure(account, "the daemon is connecting", "ask again in a moment"),
        "content_intent_off" => {
            let advice =
                "switch the message content intent on, in the bot's settings at discord.com/developers";
            bad(account, "the message content intent is off, and pairs read by it", advice)
        }
        other => {
            let error = node.observable.get("error").and_then(|error| error.as_str()).unwrap_or_default();
            let found = format!("{} {error}", other.replace('_', " "));
            bad(account, found.trim_end(), "the daemon tries again by itself; see telegram")
        }
    }
}

/// Whether a pair's accounts may read and write where it needs them to.
async fn pair_check(
    pair: &Pair,
    known: &HashMap<AccountId, Known>,
    mut discord: Option<&mut DiscordProbe>,
) -> Check {
    let ends =
        [(pair.source_account, pair.source, Need::Read), (pair.target_account, pair.target, Need::Write)];
    let (mut wrong, mut unseen) = (Vec::new(), Vec::new());
    for (account, chat, need) in ends {
        let side = if need == Need::Read { "source" } else { "target" };
        let seen = match (known.get(&account), discord.as_deref_mut()) {
            (Some(known), discord) => end_check(known, chat, need, discord).await,
            (None, _) => None,
        };
        match seen {
            Some(Ok(())) => {}
            Some(Err(why)) => wrong.push(format!("{side} {} {}: {why}", chat.platform, chat.chat)),
            None => unseen.push(side),
        }
    }
    let paused = if pair.paused.is_empty() { "" } else { ", paused" };
    if wrong.is_empty() && unseen.is_empty() {
        return Check::ok(PAIR, format!("{}{paused}: nothing is missing", pair.id));
    }
    if wrong.is_empty() {
        // Only its daemon may use an account's key, and an account may not be signed in here.
        let found = format!("{}{paused}: not asked: {}", pair.id, unseen.join(", "));
        return Check::not_asked(
            PAIR,
            found,
            "see its accounts; a running daemon says how it stands: switchyard pairs list",
        );
    }
    let found = format!("{}{paused}: {}", pair.id, wrong.join("; "));
    Check::fail(PAIR, Class::Platform, found, "give the account what it lacks there, or change the pair")
}

/// None: it could not be asked.
async fn end_check(
    known: &Known,
    chat: Chat,
    need: Need,
    discord: Option<&mut DiscordProbe>,
) -> Option<Result<(), String>> {
    match known {
        Known::Nothing => None,
        Known::Telegram(chats) => chats.get(&chat.chat).cloned(),
        Known::Webhook(channel) if *channel == chat.chat => Some(Ok(())),
        Known::Webhook(channel) => Some(Err(format!("the webhook writes in channel {channel}"))),
        Known::Bot { id, token } => Some(match discord?.missing(*id, token, chat, need).await {
            Ok(missing) if missing.is_empty() => Ok(()),
            Ok(missing) => Err(format!("the bot lacks {}", missing.join(", "))),
            Err(error) => Err(error.to_string()),
        }),
    }
}
