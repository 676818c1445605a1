//! The bot's outbox at work: claims durably, sends within the limits, records what became of it; and takes the updates.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use tokio::time::Instant;

use super::Notifier;
use super::pace::{Blocked, Pace, PaceLimits};
use crate::model::{AlertSeverity, ChatId};
use crate::ports::{
    BotChannel, BotFault, BotInbox, BotOutcome, BotUpdate, DueNotice, NoticeBox, NoticeId, NoticeVerdict,
    Promise, StoreError,
};
use crate::supervision::Cx;
use crate::tree::deps::Deps;

/// How often the outbox is looked at without being woken, and the right to send renewed at least.
const TICK: Duration = Duration::from_secs(1);
/// How often settled messages are purged.
const PURGE: Duration = Duration::from_secs(3_600);

/// Bounds of the bot's outbox.
#[derive(Clone, Copy, Debug)]
pub struct PostConfig {
    /// How fast it may write.
    pub limits: PaceLimits,
    /// Messages on their way at once.
    pub sends_max: usize,
    /// Heads of chats that are read ahead.
    pub lookahead: u32,
    /// Recipients of announcements that are written down in one transaction.
    pub recipients_chunk: u32,
    /// How long a node keeps the right to send without renewing it.
    pub lease_ttl: Duration,
    /// How long a question for updates waits for one.
    pub poll_wait: Duration,
    /// Tries of one message that count; then it is given up.
    pub tries_max: u32,
}

/// The bot, its outbox and its inbox.
#[derive(Clone)]
pub struct Post {
    /// The bot's platform.
    pub channel: Arc<dyn BotChannel>,
    /// The outbox.
    pub notices: Arc<dyn NoticeBox>,
    /// What to do with updates.
    pub inbox: Arc<dyn BotInbox>,
    /// Bounds.
    pub config: PostConfig,
}

/// Where the work stands.
pub(super) struct Desk {
    post: Post,
    pace: Pace,
    ready: VecDeque<DueNotice>,
    /// Until when this node may send.
    held_until: Option<Instant>,
    renewed: Option<Instant>,
    looking: bool,
    look_again: bool,
    waking: bool,
    polling: bool,
    next_update: i64,
    poll_failures: u32,
    purged: Option<Instant>,
    pub(super) sent: u64,
    pub(super) failed: u64,
}

/// What a look into the store found.
struct Look {
    held: Option<i64>,
    asked: Instant,
    fresh: Option<Vec<(ChatId, Duration)>>,
    due: Vec<DueNotice>,
    more: bool,
}

impl Desk {
    pub(super) fn new(post: Post) -> Self {
        Self {
            pace: Pace::new(post.config.limits),
            post,
            ready: VecDeque::new(),
            held_until: None,
            renewed: None,
            looking: false,
            look_again: false,
            waking: false,
            polling: false,
            next_update: 0,
            poll_failures: 0,
            purged: None,
            sent: 0,
            failed: 0,
        }
    }

    pub(super) fn is_held(&self) -> bool {
        self.held_until.is_some_and(|until| until > Instant::now())
    }

    pub(super) fn under_way(&self) -> usize {
        self.pace.under_way()
    }
}

impl Notifier {
    pub(super) fn begin_post(&mut self, cx: &mut Cx<'_, Self>) {
        if self.desk.is_some() {
            cx.every(TICK, |notifier: &mut Self, cx| notifier.look(cx));
            self.look(cx);
        }
    }

    /// Renews the right to send, moves announcements on and reads what is due.
    pub(super) fn look(&mut self, cx: &mut Cx<'_, Self>) {
        if cx.ending().is_some() {
            return;
        }
        let Some(desk) = &mut self.desk else { return };
        if desk.looking {
            desk.look_again = true;
            return;
        }
        desk.looking = true;
        let now = Instant::now();
        let (post, memory) = (desk.post.clone(), desk.pace.memory());
        let ttl = post.config.lease_ttl;
        let fresh = !desk.is_held();
        let renew = fresh || desk.renewed.is_none_or(|at| at + ttl / 3 <= now);
        let purge = desk.purged.is_none_or(|at| at + PURGE <= now);
        if purge {
            desk.purged = Some(now);
        }
        let (next, keep) = (desk.next_update, self.deps.config.retention);
        let before = self.deps.clock.now() - TimeDelta::from_std(keep).unwrap_or(TimeDelta::MAX);
        let batch = self.deps.config.purge_batch;
        let look = async move {
            let asked = Instant::now();
            let held = if renew { post.notices.hold_bot(ttl).await? } else { Some(next) };
            let none = Look { held, asked, fresh: None, due: Vec::new(), more: false };
            if held.is_none() {
                return Ok(none);
            }
            let mut lately = None;
            if fresh {
                let recovered = post.notices.recover_notices().await?;
                if recovered > 0 {
                    tracing::warn!(recovered, "messages of the bot were cut short by an end of the process");
                }
                lately = Some(post.notices.sent_lately(memory).await?);
            }
            if purge {
                post.notices.purge_notices(before, batch).await?;
            }
            let more = post.notices.advance_announcements(post.config.recipients_chunk).await?;
            let due = post.notices.due_notices(post.config.lookahead).await?;
            Ok(Look { fresh: lately, due, more, ..none })
        };
        cx.spawn(look, move |notifier: &mut Self, found: Result<Look, StoreError>, cx| {
            notifier.looked(found, renew, cx);
        });
    }

    fn looked(&mut self, found: Result<Look, StoreError>, renewed: bool, cx: &mut Cx<'_, Self>) {
        let Some(desk) = &mut self.desk else { return };
        desk.looking = false;
        let again = std::mem::take(&mut desk.look_again);
        let Look { held, asked, fresh, due, more } = match found {
            Ok(look) => look,
            Err(error) => {
                tracing::warn!(%error, "the bot's outbox waits for the store");
                return;
            }
        };
        let Some(next) = held else {
            desk.held_until = None;
            return;
        };
        let now = Instant::now();
        if renewed {
            desk.held_until = Some(asked + desk.post.config.lease_ttl);
            desk.renewed = Some(asked);
        }
        if let Some(lately) = fresh {
            desk.next_update = Ord::max(desk.next_update, next);
            for (chat, ago) in lately {
                desk.pace.remember(chat, now.checked_sub(ago).unwrap_or(now));
            }
        }
        desk.pace.forget(now);
        let full = due.len() >= usize::try_from(desk.post.config.lookahead).unwrap_or(usize::MAX);
        desk.ready = due.into();
        desk.look_again = full;
        self.send_ready(cx);
        self.poll(cx);
        if more || again {
            self.look(cx);
        }
    }

    /// Starts what may start now.
    fn send_ready(&mut self, cx: &mut Cx<'_, Self>) {
        if cx.ending().is_some() {
            return;
        }
        let Some(desk) = &mut self.desk else { return };
        let (now, mut earliest, mut started) = (Instant::now(), None::<Instant>, Vec::new());
        if !desk.is_held() {
            return;
        }
        let mut left = VecDeque::with_capacity(desk.ready.len());
        while let Some(due) = desk.ready.pop_front() {
            if desk.pace.under_way() >= desk.post.config.sends_max {
                left.push_back(due);
                break;
            }
            match desk.pace.start(due.chat, now) {
                Ok(()) => started.push(due),
                Err(blocked) => {
                    if let Blocked::Until(at) = blocked {
                        earliest = Some(earliest.map_or(at, |known| known.min(at)));
                    }
                    left.push_back(due);
                }
            }
        }
        left.append(&mut desk.ready);
        desk.ready = left;
        for due in started {
            self.send(due, cx);
        }
        if let Some(at) = earliest {
            self.wake_at(at, cx);
        }
    }

    fn wake_at(&mut self, at: Instant, cx: &mut Cx<'_, Self>) {
        let Some(desk) = &mut self.desk else { return };
        if !desk.waking {
            desk.waking = true;
            cx.after(at.saturating_duration_since(Instant::now()), |notifier: &mut Self, cx| {
                if let Some(desk) = &mut notifier.desk {
                    desk.waking = false;
                }
                notifier.send_ready(cx);
            });
        }
    }

    fn send(&mut self, due: DueNotice, cx: &mut Cx<'_, Self>) {
        let Some(desk) = &self.desk else { return };
        let (post, deps) = (desk.post.clone(), self.deps.clone());
        let beat = cx.heartbeat();
        cx.spawn(
            async move {
                let done = carry(&post, &deps, due, &|| beat.beat()).await;
                (due.chat, done)
            },
            |notifier: &mut Self, (chat, done), cx| notifier.carried(chat, done, cx),
        );
    }

    fn carried(&mut self, chat: ChatId, done: Result<Carried, StoreError>, cx: &mut Cx<'_, Self>) {
        let Some(desk) = &mut self.desk else { return };
        let now = Instant::now();
        desk.pace.answered(chat, !matches!(done, Ok(Carried::Nothing) | Err(_)), now);
        match done {
            Ok(Carried::Sent) => desk.sent += 1,
            Ok(Carried::Wait(wait)) => desk.pace.hold(now + wait),
            Ok(Carried::Failed) => desk.failed += 1,
            Ok(Carried::TokenRefused(error)) => {
                desk.pace.hold(now + self.deps.config.retry.cap);
                let severity = AlertSeverity::Critical;
                self.deps.alert(severity, "bot.token_refused", "notifier", None, error);
            }
            Ok(Carried::Nothing) => {}
            Err(error) => tracing::warn!(%error, "a message of the bot waits for the store"),
        }
        let Some(desk) = &mut self.desk else { return };
        if desk.ready.is_empty() && std::mem::take(&mut desk.look_again) {
            self.look(cx);
        } else {
            self.send_ready(cx);
        }
    }

    /// Asks for updates, one question at a time.
    fn poll(&mut self, cx: &mut Cx<'_, Self>) {
        let Some(desk) = &mut self.desk else { return };
        if desk.polling || !desk.is_held() || cx.ending().is_some() {
            return;
        }
        desk.polling = true;
        let (post, from) = (desk.post.clone(), desk.next_update);
        let ask = async move { post.channel.updates(from, post.config.poll_wait).await };
        cx.serve(ask, |notifier: &mut Self, answer, cx| match answer {
            Ok(updates) => notifier.take_in(updates, cx),
            Err(fault) => notifier.poll_failed(&fault, cx),
        });
    }

    fn take_in(&mut self, updates: Vec<BotUpdate>, cx: &mut Cx<'_, Self>) {
        let Some(desk) = &self.desk else { return };
        let inbox = Arc::clone(&desk.post.inbox);
        let take = async move {
            let mut next = None;
            for update in updates {
                match inbox.receive(&update).await {
                    Ok(()) => next = Some(update.id + 1),
                    Err(error) => return (next, Err(error)),
                }
            }
            (next, Ok(()))
        };
        cx.spawn(take, |notifier: &mut Self, (next, taken), cx| {
            let Some(desk) = &mut notifier.desk else { return };
            desk.polling = false;
            desk.next_update = Ord::max(desk.next_update, next.unwrap_or(0));
            match taken {
                Ok(()) => {
                    desk.poll_failures = 0;
                    if next.is_some() {
                        notifier.look(cx);
                    }
                    notifier.poll(cx);
                }
                // They are told again: the offset did not move.
                Err(error) => tracing::warn!(%error, "updates of the bot wait for the store"),
            }
        });
    }

    fn poll_failed(&mut self, fault: &BotFault, cx: &mut Cx<'_, Self>) {
        let Some(desk) = &mut self.desk else { return };
        desk.poll_failures = desk.poll_failures.saturating_add(1);
        let wait = match fault {
            BotFault::Wait(wait) => *wait,
            BotFault::TokenRefused(_) => self.deps.config.retry.cap,
            _ => self.deps.config.retry.delay(desk.poll_failures, self.deps.rng.next_u64()),
        };
        tracing::warn!(error = %fault, failures = desk.poll_failures, "updates of the bot cannot be had");
        cx.after(wait, |notifier: &mut Self, cx| {
            if let Some(desk) = &mut notifier.desk {
                desk.polling = false;
            }
            notifier.poll(cx);
        });
    }
}

/// How a claimed message went, as far as the pace is concerned.
enum Carried {
    /// It was not to be sent.
    Nothing,
    Sent,
    Failed,
    Wait(Duration),
    TokenRefused(String),
}

/// Claims, sends and settles one message. The claim is durable before the send starts.
async fn carry(post: &Post, deps: &Deps, due: DueNotice, beat: &impl Fn()) -> Result<Carried, StoreError> {
    if let Err(text) = deps.failpoints.hit("notifier.claim", "") {
        return Err(StoreError::Unavailable(text));
    }
    let Some(claimed) = post.notices.claim_notice(due.id).await? else { return Ok(Carried::Nothing) };
    beat();
    let outcome = post.channel.send(claimed.chat, &claimed.html).await;
    beat();
    let (tries, promise) = (claimed.tries.saturating_add(1), claimed.promise);
    let backoff = deps.config.retry.delay(tries, deps.rng.next_u64());
    let at = |wait: Duration| {
        let now = deps.clock.now();
        now.checked_add_signed(TimeDelta::from_std(wait).unwrap_or(TimeDelta::MAX))
            .unwrap_or(chrono::DateTime::<Utc>::MAX_UTC)
    };
    let again = |error: String| match tries >= post.config.tries_max {
        true => NoticeVerdict::Failed { error },
        false => NoticeVerdict::Again { at: at(backoff), counts: true, error },
    };
    let (verdict, carried) = match outcome {
        BotOutcome::Sent { message } => (NoticeVerdict::Sent { message }, Carried::Sent),
        BotOutcome::RetryAfter { wait } => {
            let error = format!("platform asks to wait {} s", wait.as_secs());
            (NoticeVerdict::Again { at: at(wait), counts: false, error }, Carried::Wait(wait))
        }
        BotOutcome::TokenRefused { error } => {
            let refused = Carried::TokenRefused(error.clone());
            (NoticeVerdict::Again { at: at(deps.config.retry.cap), counts: false, error }, refused)
        }
        BotOutcome::NotSent { error } => (again(error), Carried::Failed),
        BotOutcome::Unclear { error } => match promise {
            Promise::AtMostOnce => (NoticeVerdict::Uncertain { error }, Carried::Failed),
            Promise::AtLeastOnce => (again(error), Carried::Failed),
        },
        BotOutcome::Unreachable { error } => (NoticeVerdict::Unreachable { error }, Carried::Failed),
        BotOutcome::Moved { to } => (NoticeVerdict::Moved { to }, Carried::Nothing),
        BotOutcome::Refused { error } => (NoticeVerdict::Failed { error }, Carried::Failed),
    };
    settle(post, deps, due.id, &verdict, beat).await?;
    Ok(carried)
}

/// What happened at the platform must not be forgotten: it is recorded however long the store takes.
async fn settle(
    post: &Post,
    deps: &Deps,
    id: NoticeId,
    verdict: &NoticeVerdict,
    beat: &impl Fn(),
) -> Result<(), StoreError> {
    let mut tries = 0_u32;
    loop {
        match post.notices.settle_notice(id, verdict).await {
            Err(error @ (StoreError::Unavailable(_) | StoreError::DiskFull(_))) => {
                tries = tries.saturating_add(1);
                tracing::warn!(%error, tries, "what became of a message of the bot waits for the store");
                beat();
                tokio::time::sleep(deps.config.retry.delay(tries, deps.rng.next_u64())).await;
            }
            done => return done,
        }
    }
}
