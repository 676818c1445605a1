//! What a seed draws before anything runs: nodes, accounts, pairs, and everything that people write.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::dice::Dice;
use crate::model::{
    Account, AccountId, AccountKind, AccountState, ChatId, EventKind, Message, MessageId, NodeId, Pair,
    PairId, Place, Platform, Quotas, RichText, SourceEvent, UserId,
};
use crate::pipeline::PipelineLimits;
use crate::supervision::{Backoff, BranchLimits, Intensity, OnExceed, Policy, Probe, Storm};
use crate::tree::{Supervision, TreeConfig};

/// The throttle's profile of every account: what the platforms publish.
const PROFILE: &str = "sandbox-published";

/// What kind of trouble a run sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Profile {
    /// None at all.
    Calm,
    /// All of it strikes one pair, chat, account or user: the others must not notice.
    OneVictim,
    /// Anything, anywhere.
    Storm,
}

/// Something that a person does in a source chat.
#[derive(Clone, Debug)]
pub(super) struct Writing {
    pub(super) at: Duration,
    pub(super) reader: AccountId,
    pub(super) place: Place,
    pub(super) id: MessageId,
    pub(super) kind: EventKind,
    /// 0 for what was written first; it grows with each edit.
    pub(super) version: u32,
    pub(super) text: String,
    /// Targets refuse it for good.
    pub(super) cursed: bool,
}

/// One drawn universe.
pub(super) struct Plan {
    pub(super) profile: Profile,
    pub(super) nodes: usize,
    /// How far each node's clock is off.
    pub(super) skews: Vec<TimeDelta>,
    pub(super) accounts: Vec<Account>,
    pub(super) pairs: Vec<Pair>,
    pub(super) writings: Vec<Writing>,
    /// From then on nothing goes wrong any more.
    pub(super) calm_at: Duration,
    pub(super) steerable: bool,
    pub(super) mailbox: std::num::NonZeroUsize,
    pub(super) config: TreeConfig,
}

/// The node of this place.
pub(super) fn node_id(index: usize) -> NodeId {
    NodeId::from_uuid(uuid(10, index))
}

fn uuid(kind: u128, index: usize) -> Uuid {
    Uuid::from_u128(kind.saturating_mul(1_000).saturating_add(u128::try_from(index).unwrap_or(0)))
}

fn number(index: usize) -> i64 {
    i64::try_from(index).unwrap_or(0).saturating_add(1)
}

fn place(platform: Platform, chat: i64) -> Option<Place> {
    Some(Place { platform, chat: ChatId::new(chat).ok()?, thread: None })
}

impl Plan {
    /// What a seed draws; `profile` and `nodes` are drawn too unless they are given.
    pub(super) fn draw(seed: u64, profile: Option<Profile>, nodes: Option<usize>) -> Self {
        let dice = Dice::new(seed, "plan");
        let drawn = dice.weighed(&[(5, Profile::Calm), (25, Profile::OneVictim), (70, Profile::Storm)]);
        let profile = profile.or(drawn).unwrap_or(Profile::Calm);
        let drawn = if dice.chance(40) { 2 } else { 1 };
        let nodes = nodes.unwrap_or(drawn);
        let skews = (0..nodes).map(|_| skew(&dice)).collect();
        let users: Vec<UserId> = (0..dice.count(1, 2)).map(|n| UserId::from_uuid(uuid(1, n))).collect();
        let accounts = accounts(&dice, &users);
        let pairs = pairs(&dice, &accounts);
        let calm_at = if dice.chance(25) { dice.seconds(120, 180) } else { dice.seconds(50, 120) };
        let writings = writings(&dice, &pairs, calm_at);
        let lookahead = dice.between(1, 6);
        let batch = dice.between(1, 12);
        Self {
            profile,
            nodes,
            skews,
            accounts,
            pairs,
            writings,
            calm_at,
            steerable: dice.chance(50),
            mailbox: std::num::NonZeroUsize::MIN.saturating_add(dice.count(7, 63)),
            config: config(u32::try_from(lookahead).unwrap_or(1), u32::try_from(batch).unwrap_or(1)),
        }
    }

    /// How children and branches are supervised: few restarts make a storm, for there are few children.
    pub(super) fn supervision(&self) -> Supervision {
        let storm = Storm { floor: Duration::from_secs(1), starts_per_second: NonZeroU32::MIN };
        let branch = BranchLimits {
            intensity: Some(Intensity::new(3, Duration::from_secs(10))),
            on_exceed: OnExceed::Storm(storm),
            ..BranchLimits::default()
        };
        Supervision { child: self.policy(), branch }
    }

    fn policy(&self) -> Policy {
        Policy {
            backoff: Backoff {
                base: Duration::from_millis(500),
                cap: Duration::from_secs(10),
                ..Backoff::default()
            },
            intensity: Intensity::new(5, Duration::from_secs(60)),
            mailbox: self.mailbox,
            load_limit: Duration::from_secs(30),
            stuck_after: Some(Duration::from_secs(60)),
            probe: Some(Probe { interval: Duration::from_secs(5), cap: Duration::from_secs(20) }),
            ..Policy::default()
        }
    }

    /// Ids as paths and texts show them, and what the log calls them.
    pub(super) fn names(&self) -> Vec<(String, String)> {
        let accounts = self
            .accounts
            .iter()
            .map(|account| account.id.to_string())
            .zip((0..).map(|n| format!("account {n}")));
        let pairs = self.pairs.iter().map(|pair| pair.id.to_string()).zip((0..).map(|n| format!("pair {n}")));
        accounts.chain(pairs).collect()
    }
}

/// Well below the margin by which sends stop before the lease ends, also between two nodes.
fn skew(dice: &Dice) -> TimeDelta {
    let off = i64::try_from(dice.between(0, 2_000)).unwrap_or(0).saturating_sub(1_000);
    TimeDelta::milliseconds(off)
}

fn config(lane_lookahead: u32, claim_batch: u32) -> TreeConfig {
    TreeConfig {
        claim_batch,
        poison_attempts: 8,
        lane_lookahead,
        tries_max: 8,
        retry: Backoff {
            base: Duration::from_millis(500),
            cap: Duration::from_secs(10),
            ..Backoff::default()
        },
        circuit_failures: 3,
        answer_wait: Duration::from_secs(600),
        poll_interval: Duration::from_secs(30),
        lease_ttl: Duration::from_secs(15),
        lease_renew: Duration::from_secs(5),
        lease_margin: Duration::from_secs(3),
        retention: Duration::from_secs(30 * 86_400),
        purge_interval: Duration::from_secs(3_600),
        purge_batch: 100,
        alert_backlog: 20,
        quotas: Quotas { default: None, by_plan: std::collections::BTreeMap::new() },
        pipeline: PipelineLimits {
            discord_code_points: PipelineLimits::SMALLEST,
            telegram_utf16_units: PipelineLimits::SMALLEST,
            ..PipelineLimits::default()
        },
    }
}

/// Each user has an account that reads and one or two that write.
fn accounts(dice: &Dice, users: &[UserId]) -> Vec<Account> {
    let mut accounts = Vec::new();
    for user in users {
        let writers = (0..dice.count(1, 2)).filter_map(|_| {
            dice.weighed(&[
                (45, AccountKind::DiscordBot),
                (25, AccountKind::TelegramBot),
                (15, AccountKind::DiscordWebhook),
                (15, AccountKind::TelegramUser),
            ])
        });
        let kinds: Vec<AccountKind> = std::iter::once(AccountKind::TelegramUser).chain(writers).collect();
        for kind in kinds {
            let index = accounts.len();
            accounts.push(Account {
                id: AccountId::from_uuid(uuid(2, index)),
                user: *user,
                kind,
                platform_id: number(index),
                name: format!("{} {index}", kind.as_str()),
                profile: PROFILE.to_owned(),
                state: AccountState::Active,
            });
        }
    }
    accounts
}

/// Three to five pairs: sources may feed several, targets may be fed by several sources.
fn pairs(dice: &Dice, accounts: &[Account]) -> Vec<Pair> {
    let mut pairs: Vec<Pair> = Vec::new();
    let readers: Vec<usize> = (0..accounts.len()).filter(|n| is_reader(accounts, *n)).collect();
    for index in 0..dice.count(3, 5) {
        // Every user gets one before any gets two.
        let reader = readers.get(index).or_else(|| dice.pick(&readers)).and_then(|n| accounts.get(*n));
        let Some(reader) = reader else { continue };
        let own: Vec<&Account> = accounts.iter().filter(|other| other.user == reader.user).collect();
        // An account may both read and write.
        let writers = if dice.chance(15) { own.get(..1) } else { own.get(1..) };
        let Some(writer) = writers.and_then(|writers| dice.pick(writers)) else { continue };
        let source = 100 * reader.platform_id + i64::try_from(dice.between(1, 3)).unwrap_or(1);
        let source = place(Platform::Telegram, source);
        let shared = pairs.iter().find(|other| {
            other.target_account == writer.id && Some(other.source) != source && dice.chance(25)
        });
        let target = match shared {
            Some(other) => Some(other.target),
            None => target(dice, writer.kind.platform(), 10_000 + number(index)),
        };
        let (Some(source), Some(target)) = (source, target) else { continue };
        let same = |other: &Pair| other.source == source && other.target == target;
        if pairs.iter().any(same) {
            continue;
        }
        pairs.push(Pair {
            id: PairId::from_uuid(uuid(3, index)),
            user: reader.user,
            source_account: reader.id,
            source,
            target_account: writer.id,
            target,
            paused: BTreeSet::new(),
        });
    }
    pairs
}

/// A chat that no other pair has; some of Telegram's are groups, which have a limit more.
fn target(dice: &Dice, platform: Platform, chat: i64) -> Option<Place> {
    let group = platform == Platform::Telegram && dice.chance(30);
    place(platform, if group { -chat } else { chat })
}

fn is_reader(accounts: &[Account], index: usize) -> bool {
    let user = |n: usize| accounts.get(n).map(|account| account.user);
    index == 0 || user(index) != user(index - 1)
}

fn writings(dice: &Dice, pairs: &[Pair], calm_at: Duration) -> Vec<Writing> {
    let mut chats: Vec<(AccountId, Place)> =
        pairs.iter().map(|pair| (pair.source_account, pair.source)).collect();
    chats.sort_unstable();
    chats.dedup();
    let mut all = Vec::new();
    for (reader, place) in chats {
        let mut at = dice.time(Duration::from_millis(500), Duration::from_secs(4));
        let last = calm_at.saturating_sub(Duration::from_secs(2));
        let pace = dice.seconds(10, 40);
        let mut id = 0_i64;
        while at < last {
            // People write in bursts, too.
            for _ in 0..if dice.chance(15) { dice.count(2, 6) } else { 1 } {
                id += 1;
                written(dice, &mut all, Chat { reader, place }, id, at, last);
            }
            at += dice.time(Duration::from_millis(200), pace);
        }
        // What comes when all is well again must go as if nothing had been.
        written(dice, &mut all, Chat { reader, place }, id + 1, calm_at + Duration::from_secs(5), calm_at);
    }
    all.sort_by_key(|writing| (writing.at, writing.place, writing.id, writing.version));
    all
}

#[derive(Clone, Copy)]
struct Chat {
    reader: AccountId,
    place: Place,
}

/// A message, and perhaps its edits and its deletion.
fn written(dice: &Dice, all: &mut Vec<Writing>, chat: Chat, id: i64, at: Duration, last: Duration) {
    let Chat { reader, place } = chat;
    let Ok(message) = MessageId::new(id) else { return };
    let words = if dice.chance(10) { dice.count(7, 12) } else { dice.count(1, 2) };
    let text = |version: u32, words: usize| {
        let word = |word| format!("{}m{id}v{version}w{word}", place.chat.get());
        (0..words).map(word).collect::<Vec<_>>().join(" ")
    };
    let cursed = dice.chance(3);
    let one = Writing {
        at,
        reader,
        place,
        id: message,
        kind: EventKind::New,
        version: 0,
        text: text(0, words),
        cursed,
    };
    all.push(one.clone());
    let mut at = at;
    for version in 1..=2 {
        at += dice.time(Duration::from_millis(100), Duration::from_secs(20));
        if at < last && words <= 2 && dice.chance(12) {
            let text = text(version, dice.count(1, 2));
            all.push(Writing { at, kind: EventKind::Edited, version, text, ..one.clone() });
        }
    }
    at += dice.time(Duration::from_millis(100), Duration::from_secs(20));
    if at < last && dice.chance(6) {
        all.push(Writing { at, kind: EventKind::Deleted, version: 3, text: String::new(), ..one });
    }
}

impl Writing {
    /// What the platform tells of it.
    pub(super) fn event(&self, now: DateTime<Utc>) -> SourceEvent {
        let (place, id) = (self.place, self.id);
        let message = Message {
            place,
            id,
            sender: None,
            sent_at: now,
            edited_at: (self.kind == EventKind::Edited).then_some(now),
            text: RichText::plain(self.text.as_str()),
            reply_to: None,
            album: None,
            attachments: Vec::new(),
            restrictions: Vec::new(),
            own: false,
        };
        match self.kind {
            EventKind::New => SourceEvent::New(message),
            EventKind::Edited => SourceEvent::Edited(message),
            EventKind::Deleted => SourceEvent::Deleted { place, id },
        }
    }
}
