//! Pairs: list, add, change, pause, resume, remove. Each change reaches the running tree at once.

mod check;
mod cycle;
mod view;

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use switchyard_actors::model::{
    Account, AccountId, ChatId, Pair, PairId, PauseCause, Platform, ThreadId, UserId,
};
use switchyard_actors::ports::Directory;

use super::caller::Caller;
use super::desk::Desk;
use super::fault::Fault;
use super::gates;
use super::page::{Listed, Page};
use crate::store::{Added, ChangedPair, PairChange, PairRecord};

/// Most characters of a pair's name.
const NAME_MAX: usize = 100;

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

/// How a pair is, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PairState {
    /// It forwards.
    Forwarding,
    /// It would, but something is not there: the text says what.
    Waiting,
    /// Somebody or something paused it.
    Paused,
}

/// A pair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PairView {
    /// Its id.
    pub id: PairId,
    /// Its owner.
    pub user: UserId,
    /// Its owner's name for it.
    #[serde(default)]
    pub name: Option<String>,
    /// Where it reads.
    pub source: EndView,
    /// Where it writes.
    pub target: EndView,
    /// Why it is paused; empty while it runs.
    pub paused: BTreeSet<PauseCause>,
    /// How it is, in a word.
    pub state: PairState,
    /// How it is, in a sentence.
    pub text: String,
    /// Grows with every change; `ETag` and `If-Match` carry it.
    pub version: i64,
    /// When it was added.
    pub created_at: DateTime<Utc>,
}

/// A pair to be added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({
    "source": { "account": "0193a0b0-0000-7000-8000-000000000001", "chat": "-1001000000001" },
    "target": { "account": "0193a0b0-0000-7000-8000-000000000002", "chat": "1323799230497615736" },
    "name": "News"
}))]
pub struct PairOrder {
    /// Where it reads.
    pub source: EndOrder,
    /// Where it writes.
    pub target: EndOrder,
    /// A name for it, at most 100 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Add it also where three or more pairs would form a circle. Copies are never forwarded, so that a circle floods
    /// nobody: what is written in one of its chats reaches the next one only.
    #[serde(default)]
    pub allow_cycle: bool,
}

/// What is to be changed of a pair; what is left out stays. Its two ends are what it is: for other ones add another pair.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "enabled": false }))]
pub struct PairPatch {
    /// Another name, at most 100 characters; `null` takes it away.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub name: Option<Option<String>>,
    /// `false` pauses it for the caller's own cause, `true` lifts that cause and no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// A field that is given, also where it is null.
fn given<'de, D: serde::Deserializer<'de>>(field: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(field).map(Some)
}

/// In which order pairs are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PairSort {
    /// Oldest first.
    #[default]
    #[serde(rename = "created")]
    Created,
    /// Newest first.
    #[serde(rename = "-created")]
    CreatedLast,
}

/// Which pairs are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PairFilter {
    /// Only pairs of this user.
    pub user: Option<UserId>,
    /// Only pairs that read or write through this account.
    pub account: Option<AccountId>,
    /// Only pairs that are so.
    pub state: Option<PairState>,
    /// Only pairs whose name, id or chats contain this text, in either case.
    pub query: Option<String>,
    /// In which order.
    pub sort: PairSort,
}

impl PairFilter {
    fn takes(&self, record: &PairRecord) -> bool {
        let pair = &record.pair;
        let account = |id: AccountId| pair.source_account == id || pair.target_account == id;
        self.user.is_none_or(|user| pair.user == user)
            && self.account.is_none_or(account)
            && self.query.as_deref().is_none_or(|query| {
                let query = query.to_lowercase();
                let name = record.name.as_deref().unwrap_or_default().to_lowercase();
                let ids = [pair.id.to_string(), pair.source.chat.to_string(), pair.target.chat.to_string()];
                name.contains(&query) || ids.iter().any(|id| id.contains(&query))
            })
    }
}

/// What can be asked about pairs.
#[async_trait]
pub trait Pairs: Send + Sync {
    /// A page of the caller's pairs.
    ///
    /// # Errors
    /// [`Fault`].
    async fn list(
        &self,
        caller: Caller,
        filter: PairFilter,
        page: Page<PairId>,
    ) -> Result<Listed<PairView, PairId>, Fault>;

    /// One pair.
    ///
    /// # Errors
    /// [`Fault`].
    async fn get(&self, caller: Caller, id: PairId) -> Result<PairView, Fault>;

    /// Adds a pair and begins to forward. What is written at the source after the answer is seen, unless the view says
    /// that its source is not connected.
    ///
    /// # Errors
    /// [`Fault::Invalid`] names the end at fault, [`Fault::Conflict`] a pair that does the same, [`Fault::PairCycle`] a
    /// circle, [`Fault::PlanLimit`] the limit of the owner's plan.
    async fn add(&self, caller: Caller, order: PairOrder) -> Result<PairView, Fault>;

    /// Changes a pair, if it is still of the version that the caller saw.
    ///
    /// # Errors
    /// [`Fault::Stale`] when somebody else changed it before.
    async fn change(
        &self,
        caller: Caller,
        id: PairId,
        version: Option<i64>,
        patch: PairPatch,
    ) -> Result<PairView, Fault>;

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

/// Unix milliseconds as a time.
fn time(millis: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(millis).unwrap_or_default()
}

#[async_trait]
impl Pairs for PairService {
    async fn list(
        &self,
        caller: Caller,
        filter: PairFilter,
        page: Page<PairId>,
    ) -> Result<Listed<PairView, PairId>, Fault> {
        let owner = match caller {
            Caller::User(id) => Some(id),
            Caller::Operator | Caller::Admin(..) => filter.user,
        };
        let mut records = self.desk.store.pair_records(owner).await?;
        records.retain(|record| caller.reaches(record.pair.user) && filter.takes(record));
        let backwards = filter.sort == PairSort::CreatedLast;
        if backwards {
            records.reverse();
        }
        let after = |id: PairId| match page.cursor {
            None => true,
            Some(cursor) if backwards => id < cursor,
            Some(cursor) => id > cursor,
        };
        records.retain(|record| after(record.pair.id));
        if filter.state.is_none() {
            records.truncate(page.limit.saturating_add(1));
        }
        let scene = self.desk.scene(&records).await?;
        let mut items: Vec<PairView> = records.iter().map(|record| self.desk.view(record, &scene)).collect();
        items.retain(|item| filter.state.is_none_or(|state| item.state == state));
        let more = items.len() > page.limit;
        items.truncate(page.limit);
        let next_cursor = items.last().filter(|_| more).map(|item| item.id);
        Ok(Listed { items, next_cursor })
    }

    async fn get(&self, caller: Caller, id: PairId) -> Result<PairView, Fault> {
        let record = self.desk.pair(caller, id).await?;
        self.desk.show(&record).await
    }

    async fn add(&self, caller: Caller, order: PairOrder) -> Result<PairView, Fault> {
        let desk = Arc::clone(&self.desk);
        self.desk.to_the_end(async move { desk.add_pair(caller, order).await }).await
    }

    async fn change(
        &self,
        caller: Caller,
        id: PairId,
        version: Option<i64>,
        patch: PairPatch,
    ) -> Result<PairView, Fault> {
        let name = patch.name.map(|name| name.map(named).transpose()).transpose()?;
        let pauses = match patch.enabled {
            None => Vec::new(),
            Some(false) => vec![(own_cause(caller), true)],
            Some(true) => vec![(own_cause(caller), false)],
        };
        let (desk, change) = (Arc::clone(&self.desk), PairChange { version, name, pauses });
        self.desk.to_the_end(async move { desk.change_pair(caller, id, change).await }).await
    }

    async fn remove(&self, caller: Caller, id: PairId) -> Result<(), Fault> {
        let desk = Arc::clone(&self.desk);
        self.desk.to_the_end(async move { desk.remove_pair(caller, id).await }).await
    }

    async fn pause(&self, caller: Caller, id: PairId) -> Result<PairView, Fault> {
        let change = PairChange { pauses: vec![(own_cause(caller), true)], ..PairChange::default() };
        let desk = Arc::clone(&self.desk);
        self.desk.to_the_end(async move { desk.change_pair(caller, id, change).await }).await
    }

    async fn resume(&self, caller: Caller, id: PairId) -> Result<PairView, Fault> {
        let change = PairChange { pauses: vec![(own_cause(caller), false)], ..PairChange::default() };
        let desk = Arc::clone(&self.desk);
        self.desk.to_the_end(async move { desk.change_pair(caller, id, change).await }).await
    }
}

/// A pair's name as it is kept.
fn named(name: String) -> Result<String, Fault> {
    let name = name.trim().to_owned();
    if name.is_empty() || name.chars().count() > NAME_MAX || name.chars().any(char::is_control) {
        return Err(Fault::invalid("/name", format!("it must be 1 to {NAME_MAX} characters in one line")));
    }
    Ok(name)
}

impl Desk {
    async fn pair(&self, caller: Caller, id: PairId) -> Result<PairRecord, Fault> {
        let record = self.store.pair_record(id).await?;
        if caller.reaches(record.pair.user) { Ok(record) } else { Err(Fault::NotFound(format!("pair {id}"))) }
    }

    async fn add_pair(&self, caller: Caller, order: PairOrder) -> Result<PairView, Fault> {
        let PairOrder { source, target, name, allow_cycle } = order;
        let name = name.map(named).transpose()?;
        let reader = self.end_account(caller, source.account, "/source/account").await?;
        let writer = self.end_account(caller, target.account, "/target/account").await?;
        let pair = Pair {
            id: PairId::from_uuid(self.ids.uuid()),
            user: reader.user,
            source_account: reader.id,
            source: check::place(&reader, source),
            target_account: writer.id,
            target: check::place(&writer, target),
            paused: BTreeSet::new(),
        };
        check::check(&reader, &writer, &pair, self.only_chat(&writer).await?)?;
        if !allow_cycle {
            self.refuse_cycle(&pair).await?;
        }
        self.look_at_ends(&pair).await?;
        let _alone = self.gates.pass([gates::key(&reader), gates::key(&writer)]).await;
        // Either may have been removed while the platforms were asked.
        self.end_account(caller, reader.id, "/source/account").await?;
        self.end_account(caller, writer.id, "/target/account").await?;
        let plan = self.plan_of(pair.user).await?;
        let added = {
            // Two pairs that close a circle together are added one after the other.
            let _weaving = self.weaving.lock().await;
            if !allow_cycle {
                self.refuse_cycle(&pair).await?;
            }
            self.store.add_pair_within(&pair, plan.pairs).await?
        };
        if added == Added::Full {
            let most = plan.pairs.unwrap_or(u64::MAX);
            return Err(Fault::PlanLimit { what: "pairs", plan: plan.name, most });
        }
        if name.is_some() {
            let change = PairChange { name: Some(name), ..PairChange::default() };
            self.store.change_pair(pair.id, change).await?;
        }
        let reads = self.operator.pair_added(pair.id, self.config.source_wait).await?;
        tracing::info!(pair = %pair.id, source = %pair.source_account, target = %pair.target_account, reads, "pair was added");
        let record = self.store.pair_record(pair.id).await?;
        // Asked of the session itself: what the tree shows may be a moment old.
        let waits = || {
            let text = format!("waits until {} is connected and reads its source", reader.name);
            (PairState::Waiting, text)
        };
        Ok(view::view(&record, (!reads).then(waits)))
    }

    /// Looks for a circle over the pairs of all users; others' pairs are not named.
    async fn refuse_cycle(&self, new: &Pair) -> Result<(), Fault> {
        let pairs = self.store.pairs().await?;
        let Some(way) = cycle::way_back(new, &pairs) else { return Ok(()) };
        let name = |pair: &&Pair| {
            if pair.user == new.user { pair.id.to_string() } else { "a pair of another user".to_owned() }
        };
        let names: Vec<String> = way.iter().map(name).collect();
        Err(Fault::PairCycle(format!(
            "what is written at the source would come back to it through {}; say allow_cycle to add the pair all the same",
            names.join(", then ")
        )))
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
        let PairRecord { pair, .. } = self.pair(caller, id).await?;
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

    async fn change_pair(
        &self,
        caller: Caller,
        id: PairId,
        mut change: PairChange,
    ) -> Result<PairView, Fault> {
        let before = self.pair(caller, id).await?;
        let _alone = self.pass_for(&before.pair).await?;
        let before = self.pair(caller, id).await?;
        if let Some(version) = change.version.filter(|version| *version != before.version) {
            tracing::debug!(pair = %id, version, now = before.version, "pair was changed meanwhile");
            return Err(Fault::Stale);
        }
        let resumes = change.pauses.iter().any(|(_, on)| !on);
        if resumes && before.pair.paused.contains(&PauseCause::Permission) {
            // That cause is lifted by nobody's word, only by what the platforms say now.
            if self.look_at_ends(&before.pair).await.is_ok() {
                change.pauses.push((PauseCause::Permission, false));
            }
        }
        change.pauses.retain(|(cause, on)| before.pair.paused.contains(cause) != *on);
        change.name = change.name.filter(|name| *name != before.name);
        if change.pauses.is_empty() && change.name.is_none() {
            return self.show(&before).await;
        }
        if matches!(self.store.change_pair(id, change).await?, ChangedPair::Stale { .. }) {
            return Err(Fault::Stale);
        }
        self.operator.pair_changed(id).await?;
        let now = self.pair(caller, id).await?;
        tracing::info!(pair = %id, paused = ?now.pair.paused, version = now.version, "pair was changed");
        self.show(&now).await
    }
}
