//! Pairs: list, add, pause, resume, remove. Each change reaches the running tree at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use switchyard_actors::model::{
    Account, AccountId, AccountKind, ChatId, Pair, PairId, PauseCause, Place, Platform, ThreadId, UserId,
};
use switchyard_actors::ports::{Directory, Routes};
use switchyard_actors::supervision::{ChildPath, NodeView};

use super::accounts::{self, AccountStatus};
use super::caller::Caller;
use super::desk::Desk;
use super::fault::Fault;
use super::gates;
use super::page::{Listed, Page};

/// One end of a pair, as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EndOrder {
    /// The account that reads or writes there.
    pub account: AccountId,
    /// The chat, as the platform numbers it.
    pub chat: ChatId,
    /// The thread, where only that is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<ThreadId>,
}

/// One end of a pair, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EndView {
    /// The account that reads or writes there.
    pub account: AccountId,
    /// Its platform.
    pub platform: Platform,
    /// The chat.
    pub chat: ChatId,
    /// The thread, where only that is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<ThreadId>,
}

/// A pair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PairView {
    /// Its id.
    pub id: PairId,
    /// Its owner.
    pub user: UserId,
    /// Where it reads.
    pub source: EndView,
    /// Where it writes.
    pub target: EndView,
    /// Why it is paused; empty while it runs.
    pub paused: BTreeSet<PauseCause>,
    /// How it is, in a sentence.
    pub text: String,
}

/// What can be asked about pairs.
#[async_trait]
pub trait Pairs: Send + Sync {
    /// A page of the caller's pairs, oldest first.
    ///
    /// # Errors
    /// [`Fault`].
    async fn list(&self, caller: Caller, page: Page<PairId>) -> Result<Listed<PairView, PairId>, Fault>;

    /// One pair.
    ///
    /// # Errors
    /// [`Fault`].
    async fn get(&self, caller: Caller, id: PairId) -> Result<PairView, Fault>;

    /// Adds a pair and begins to forward. What is written at the source after the answer is seen, unless the view says
    /// that its source is not connected.
    ///
    /// # Errors
    /// [`Fault::Invalid`] names the end at fault, [`Fault::Conflict`] a pair that does the same.
    async fn add(&self, caller: Caller, source: EndOrder, target: EndOrder) -> Result<PairView, Fault>;

    /// Stops a pair and deletes it with what waits for it.
    ///
    /// # Errors
    /// [`Fault`].
    async fn remove(&self, caller: Caller, id: PairId) -> Result<(), Fault>;

    /// Pauses a pair for its caller's own cause; what is written meanwhile waits.
    ///
    /// # Errors
    /// [`Fault`].
    async fn pause(&self, caller: Caller, id: PairId) -> Result<PairView, Fault>;

    /// Lifts the caller's own pause, and that of a target which refused, so that it is tried again. Others stay.
    ///
    /// # Errors
    /// [`Fault`].
    async fn resume(&self, caller: Caller, id: PairId) -> Result<PairView, Fault>;
}

/// Pairs of a running daemon.
pub struct PairService {
    desk: Arc<Desk>,
}

impl PairService {
    /// Over what the services share.
    #[must_use]
    pub const fn new(desk: Arc<Desk>) -> Self {
        Self { desk }
    }
}

/// The cause for which a caller pauses.
const fn own_cause(caller: Caller) -> PauseCause {
    match caller {
        Caller::Operator | Caller::Admin(..) => PauseCause::Admin,
        Caller::User(_) => PauseCause::User,
    }
}

#[async_trait]
impl Pairs for PairService {
    async fn list(&self, caller: Caller, page: Page<PairId>) -> Result<Listed<PairView, PairId>, Fault> {
        let mut pairs = self.desk.store.pairs().await?;
        pairs.retain(|pair| caller.reaches(pair.user));
        let Listed { items, next_cursor } = page.cut(pairs, |pair| pair.id);
        let accounts = self.desk.store.accounts().await?;
        let shown = items.iter().map(|pair| view(pair, self.desk.obstacle(pair, &accounts)));
        Ok(Listed { items: shown.collect(), next_cursor })
    }

    async fn get(&self, caller: Caller, id: PairId) -> Result<PairView, Fault> {
        let pair = self.desk.pair(caller, id).await?;
        self.desk.show(&pair).await
    }

    async fn add(&self, caller: Caller, source: EndOrder, target: EndOrder) -> Result<PairView, Fault> {
        let desk = Arc::clone(&self.desk);
        self.desk.to_the_end(async move { desk.add_pair(caller, source, target).await }).await
    }

    async fn remove(&self, caller: Caller, id: PairId) -> Result<(), Fault> {
        let desk = Arc::clone(&self.desk);
        self.desk.to_the_end(async move { desk.remove_pair(caller, id).await }).await
    }

    async fn pause(&self, caller: Caller, id: PairId) -> Result<PairView, Fault> {
        let desk = Arc::clone(&self.desk);
        let changes = vec![(own_cause(caller), true)];
        self.desk.to_the_end(async move { desk.change_pauses(caller, id, changes).await }).await
    }

    async fn resume(&self, caller: Caller, id: PairId) -> Result<PairView, Fault> {
        let desk = Arc::clone(&self.desk);
        let changes = vec![(own_cause(caller), false), (PauseCause::Permission, false)];
        self.desk.to_the_end(async move { desk.change_pauses(caller, id, changes).await }).await
    }
}

impl Desk {
    async fn pair(&self, caller: Caller, id: PairId) -> Result<Pair, Fault> {
        let pair = self.store.pair(id).await?;
        if caller.reaches(pair.user) { Ok(pair) } else { Err(Fault::NotFound(format!("pair {id}"))) }
    }

    async fn add_pair(&self, caller: Caller, source: EndOrder, target: EndOrder) -> Result<PairView, Fault> {
        let reader = self.end_account(caller, source.account, "/source/account").await?;
        let writer = self.end_account(caller, target.account, "/target/account").await?;
        let pair = Pair {
            id: PairId::from_uuid(self.ids.uuid()),
            user: reader.user,
            source_account: reader.id,
            source: place(&reader, source),
            target_account: writer.id,
            target: place(&writer, target),
            paused: BTreeSet::new(),
        };
        check(&reader, &writer, &pair, self.only_chat(&writer).await?)?;
        let _alone = self.gates.pass([gates::key(&reader), gates::key(&writer)]).await;
        self.store.add_pair(&pair).await?;
        let reads = self.operator.pair_added(pair.id, self.config.source_wait).await?;
        tracing::info!(pair = %pair.id, source = %pair.source_account, target = %pair.target_account, reads, "pair was added");
        // Asked of the session itself: what the tree shows may be a moment old.
        let waits = || format!("waits until {} is connected and reads its source", reader.name);
        Ok(view(&pair, (!reads).then(waits)))
    }

    async fn show(&self, pair: &Pair) -> Result<PairView, Fault> {
        Ok(view(pair, self.obstacle(pair, &self.store.accounts().await?)))
    }

    /// Why a pair that is not paused does not forward at the moment, as far as its accounts' sessions tell.
    fn obstacle(&self, pair: &Pair, accounts: &[Account]) -> Option<String> {
        let session = |id: AccountId| {
            let path = ChildPath::parse(&format!("sessions/{id}")).ok()?;
            self.operator.tree().view(&path)
        };
        let account = |id: AccountId| accounts.iter().find(|account| account.id == id);
        let down = |id: AccountId| {
            let account = account(id)?;
            let health = accounts::health(account.state, session(id).as_ref());
            (health.status != AccountStatus::Connected)
                .then(|| format!("{} is {}", account.name, health.text))
        };
        if let Some(why) = down(pair.source_account) {
            return Some(format!("waits for its source: {why}"));
        }
        if let Some(why) = session(pair.source_account).and_then(|node| unreadable(&node, pair.source)) {
            return Some(format!("cannot read its source: {why}"));
        }
        let why = down(pair.target_account)?;
        Some(format!("waits for its target: {why}"))
    }

    async fn end_account(
        &self,
        caller: Caller,
        id: AccountId,
        pointer: &'static str,
    ) -> Result<Account, Fault> {
        self.account(caller, id).await.map_err(|fault| match fault {
            Fault::NotFound(_) => Fault::invalid(pointer, format!("there is no account {id}")),
            other => other,
        })
    }

    /// The accounts of a pair, so that they stay while it is changed.
    async fn pass_for(&self, pair: &Pair) -> Result<gates::Passage, Fault> {
        let reader = self.store.account(pair.source_account).await?;
        let writer = self.store.account(pair.target_account).await?;
        Ok(self.gates.pass([gates::key(&reader), gates::key(&writer)]).await)
    }

    async fn remove_pair(&self, caller: Caller, id: PairId) -> Result<(), Fault> {
        let pair = self.pair(caller, id).await?;
        let _alone = self.pass_for(&pair).await?;
        self.operator.pair_removing(id).await;
        if let Err(error) = self.store.remove_pair(id).await {
            let fault = Fault::from(error);
            if !matches!(fault, Fault::NotFound(_))
                && let Err(error) = self.operator.pair_added(id, std::time::Duration::ZERO).await
            {
                tracing::error!(pair = %id, %error, "pair could not be started again");
            }
            return Err(fault);
        }
        self.operator.pair_removed(&pair);
        tracing::info!(pair = %id, "pair was removed");
        Ok(())
    }

    async fn change_pauses(
        &self,
        caller: Caller,
        id: PairId,
        changes: Vec<(PauseCause, bool)>,
    ) -> Result<PairView, Fault> {
        let pair = self.pair(caller, id).await?;
        let _alone = self.pass_for(&pair).await?;
        let before = self.pair(caller, id).await?;
        for (cause, on) in changes.into_iter().filter(|(cause, on)| before.paused.contains(cause) != *on) {
            self.store.set_pause(id, cause, on).await?;
        }
        self.operator.pair_changed(id).await?;
        let now = self.pair(caller, id).await?;
        tracing::info!(pair = %id, paused = ?now.paused, "pair's pauses were changed");
        self.show(&now).await
    }
}

fn place(account: &Account, end: EndOrder) -> Place {
    Place { platform: account.kind.platform(), chat: end.chat, thread: end.thread }
}

/// What can be known without asking a platform; what it refuses later pauses the pair.
fn check(reader: &Account, writer: &Account, pair: &Pair, only: Option<ChatId>) -> Result<(), Fault> {
    if reader.user != writer.user {
        return Err(Fault::invalid(
            "/target/account",
            "it belongs to another user than the source's account",
        ));
    }
    if reader.kind == AccountKind::DiscordWebhook {
        return Err(Fault::invalid(
            "/source/account",
            "a webhook cannot read: name a bot that is in the channel",
        ));
    }
    for (pointer, place) in [("/source/chat", pair.source), ("/target/chat", pair.target)] {
        if place.platform == Platform::Discord && place.chat.get() < 0 {
            return Err(Fault::invalid(pointer, "it is not the id of a Discord channel: those are positive"));
        }
    }
    if let Some(only) = only.filter(|only| *only != pair.target.chat) {
        let detail = format!("this webhook writes to channel {only} only");
        return Err(Fault::invalid("/target/chat", detail));
    }
    if pair.source == pair.target {
        return Err(Fault::invalid("/target/chat", "source and target are the same place"));
    }
    Ok(())
}

/// `waits_for`: the account that has to be connected before the pair reads.
/// What a session says of a source that it cannot read.
fn unreadable(session: &NodeView, source: Place) -> Option<String> {
    let troubles = session.observable.get("unreadable_sources")?.as_array()?;
    let place = serde_json::to_value(source).ok()?;
    let whole = serde_json::to_value(Place { thread: None, ..source }).ok()?;
    let own = |trouble: &&Value| trouble.get("source").is_some_and(|at| *at == place || *at == whole);
    Some(troubles.iter().find(own)?.get("error")?.as_str()?.to_owned())
}

fn view(pair: &Pair, obstacle: Option<String>) -> PairView {
    let end = |account, place: Place| EndView {
        account,
        platform: place.platform,
        chat: place.chat,
        thread: place.thread,
    };
    let text = if !pair.paused.is_empty() {
        let causes: Vec<&str> = pair.paused.iter().map(|cause| cause.as_str()).collect();
        format!("paused by: {}; what is written meanwhile waits", causes.join(", "))
    } else {
        obstacle.unwrap_or_else(|| "forwards".to_owned())
    };
    PairView {
        id: pair.id,
        user: pair.user,
        source: end(pair.source_account, pair.source),
        target: end(pair.target_account, pair.target),
        paused: pair.paused.clone(),
        text,
    }
}

#[cfg(test)]
mod tests {
    use switchyard_actors::model::AccountState;
    use uuid::Uuid;

    use super::*;

    fn account(n: u128, kind: AccountKind, user: u128) -> Account {
        Account {
            id: AccountId::from_uuid(Uuid::from_u128(n)),
            user: UserId::from_uuid(Uuid::from_u128(user)),
            kind,
            platform_id: 1,
            name: "x".to_owned(),
            profile: "sandbox".to_owned(),
            state: AccountState::Active,
        }
    }

    fn verdict(
        reader: &Account,
        writer: &Account,
        chats: (i64, i64),
        only: Option<i64>,
    ) -> Option<&'static str> {
        let end = |account: &Account, chat| EndOrder {
            account: account.id,
            chat: ChatId::new(chat).unwrap(),
            thread: None,
        };
        let pair = Pair {
            id: PairId::from_uuid(Uuid::nil()),
            user: reader.user,
            source_account: reader.id,
            source: place(reader, end(reader, chats.0)),
            target_account: writer.id,
            target: place(writer, end(writer, chats.1)),
            paused: BTreeSet::new(),
        };
        match check(reader, writer, &pair, only.map(|only| ChatId::new(only).unwrap())) {
            Ok(()) => None,
            Err(Fault::Invalid { pointer, .. }) => Some(pointer),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn the_end_at_fault_is_named() {
        let telegram = account(1, AccountKind::TelegramUser, 1);
        let bot = account(2, AccountKind::DiscordBot, 1);
        let webhook = account(3, AccountKind::DiscordWebhook, 1);
        let stranger = account(4, AccountKind::DiscordBot, 2);
        assert_eq!(verdict(&telegram, &bot, (-100, 7), None), None);
        assert_eq!(verdict(&bot, &telegram, (7, -100), None), None, "a loop of two pairs is allowed");
        assert_eq!(verdict(&telegram, &telegram, (-100, -200), None), None);
        assert_eq!(verdict(&telegram, &telegram, (-100, -100), None), Some("/target/chat"));
        assert_eq!(verdict(&telegram, &stranger, (-100, 7), None), Some("/target/account"));
        assert_eq!(verdict(&webhook, &bot, (7, 8), None), Some("/source/account"));
        assert_eq!(verdict(&telegram, &bot, (-100, -7), None), Some("/target/chat"));
        assert_eq!(verdict(&bot, &telegram, (-7, -100), None), Some("/source/chat"));
        assert_eq!(verdict(&telegram, &webhook, (-100, 7), Some(8)), Some("/target/chat"));
        assert_eq!(verdict(&telegram, &webhook, (-100, 8), Some(8)), None);
    }
}
