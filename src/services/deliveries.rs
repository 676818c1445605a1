//! The ledger of deliveries for users and staff: what became of each message, dead letters, and their replay.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use switchyard_actors::model::{
    AccountId, DeadReason, DeliveryId, DeliveryState, EventKind, PairId, Place, UserId,
};
use switchyard_actors::ports::Routes;
use switchyard_actors::tree::Operator;

use super::caller::Caller;
use super::fault::Fault;
use super::page::{Listed, Page};
use super::work::{JobDesk, JobKind, JobView, Portion, Work};
use crate::store::{LedgerCursor, LedgerEntry, LedgerFilter, Store, WorkJob};

/// Dead letters that one request names at most.
const IDS_MAX: usize = 200;

/// Why a delivery was given up, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeadWord {
    /// The platform refuses the message for good.
    Refused,
    /// Its tries are used up.
    Exhausted,
    /// It was older than the pair allows.
    Expired,
    /// The platform never told the id of the copy that was to be changed.
    CopyUnknown,
}

impl DeadWord {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Exhausted => "exhausted",
            Self::Expired => "expired",
            Self::CopyUnknown => "copy_unknown",
        }
    }
}

impl std::str::FromStr for DeadWord {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Refused, Self::Exhausted, Self::Expired, Self::CopyUnknown]
            .into_iter()
            .find(|word| word.as_str() == text)
            .ok_or_else(|| format!("unknown reason {text:?}"))
    }
}

/// Which deliveries are asked for; a field that is left out leaves nothing out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DeliveryFilter {
    /// Of this user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// Sent by this account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// Of this pair.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pair: Option<PairId>,
    /// In this state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<DeliveryState>,
    /// Given up for this reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<DeadWord>,
    /// Made at this time or later.
    #[serde(deserialize_with = "super::moment::given", skip_serializing_if = "Option::is_none")]
    pub from: Option<DateTime<Utc>>,
    /// Made before this time.
    #[serde(deserialize_with = "super::moment::given", skip_serializing_if = "Option::is_none")]
    pub to: Option<DateTime<Utc>>,
}

impl DeliveryFilter {
    fn ledger(&self) -> LedgerFilter {
        LedgerFilter {
            user: self.user,
            account: self.account,
            pair: self.pair,
            state: self.state,
            reason: self.reason.map(|reason| reason.as_str().to_owned()),
            from: self.from.map(|at| at.timestamp_millis()),
            to: self.to.map(|at| at.timestamp_millis()),
            dead_by: None,
            ids: None,
        }
    }
}

/// What became of one message on its way to one target. Its text is nobody's affair here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeliveryView {
    /// Its id.
    pub id: DeliveryId,
    /// Its pair.
    pub pair: PairId,
    /// The account that sends it.
    pub account: AccountId,
    /// Where it goes.
    pub target: Place,
    /// The chat of the source message.
    pub source_chat: String,
    /// The source message.
    pub source_message: String,
    /// What happens at the target.
    pub action: EventKind,
    /// Where it stands.
    pub state: DeliveryState,
    /// Tries that counted.
    pub tries: u32,
    /// Before this time it is not tried again.
    pub not_before: Option<DateTime<Utc>>,
    /// What was wrong last.
    pub last_error: Option<String>,
    /// Why it was given up.
    pub dead: Option<DeadReason>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was over.
    pub finished_at: Option<DateTime<Utc>>,
}

impl From<LedgerEntry> for DeliveryView {
    fn from(entry: LedgerEntry) -> Self {
        let time = |millis: i64| DateTime::from_timestamp_millis(millis).unwrap_or_default();
        Self {
            id: entry.id,
            pair: entry.pair,
            account: entry.account,
            target: entry.target,
            source_chat: entry.source_chat.to_string(),
            source_message: entry.source_message.to_string(),
            action: entry.action,
            state: entry.state,
            tries: entry.tries,
            not_before: entry.not_before.map(time),
            last_error: entry.last_error,
            dead: entry.dead,
            created_at: time(entry.created_at),
            finished_at: entry.finished_at.map(time),
        }
    }
}

/// Which dead letters go back: those named, or those that a filter finds. One of the two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "filter": { "reason": "exhausted" } }))]
pub struct ReplayOrder {
    /// These, 1 to 200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<Vec<DeliveryId>>,
    /// All that this finds; an empty one finds all there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<DeliveryFilter>,
}

/// What can be asked about deliveries.
#[async_trait]
pub trait Deliveries: Send + Sync {
    /// A page of the caller's deliveries, the newest first.
    ///
    /// # Errors
    /// [`Fault`].
    async fn list(
        &self,
        caller: Caller,
        filter: DeliveryFilter,
        page: Page<String>,
    ) -> Result<Listed<DeliveryView, String>, Fault>;

    /// Puts a dead letter back into its lane.
    ///
    /// # Errors
    /// [`Fault::Conflict`] when it is not dead.
    async fn replay(&self, caller: Caller, id: DeliveryId) -> Result<DeliveryView, Fault>;

    /// Puts many dead letters back, as a job.
    ///
    /// # Errors
    /// [`Fault`].
    async fn replay_many(&self, caller: Caller, order: ReplayOrder) -> Result<JobView, Fault>;
}

/// Deliveries of a running daemon.
pub struct DeliveryService {
    store: Store,
    operator: Operator,
    jobs: JobDesk,
}

impl DeliveryService {
    /// Over store, tree and jobs.
    #[must_use]
    pub const fn new(store: Store, operator: Operator, jobs: JobDesk) -> Self {
        Self { store, operator, jobs }
    }
}

#[async_trait]
impl Deliveries for DeliveryService {
    async fn list(
        &self,
        caller: Caller,
        filter: DeliveryFilter,
        page: Page<String>,
    ) -> Result<Listed<DeliveryView, String>, Fault> {
        let mut filter = filter.ledger();
        if let Caller::User(own) = caller {
            if filter.user.is_some_and(|user| user != own) {
                return Ok(Listed { items: Vec::new(), next_cursor: None });
            }
            filter.user = Some(own);
            // What is somebody else's does not exist.
            if let Some(pair) = filter.pair {
                let found = self.store.pair(pair).await?;
                if found.user != own {
                    return Err(Fault::NotFound(format!("pair {pair}")));
                }
            }
        }
        let after = page.cursor.as_deref().map(str::parse::<LedgerCursor>).transpose();
        let after = after.map_err(|detail| Fault::invalid("/cursor", detail))?;
        let more = u64::try_from(page.limit).unwrap_or(u64::MAX).saturating_add(1);
        let found = self.store.ledger(&filter, after, more).await?;
        let Listed { items, next_cursor } = page.fetched(found, |entry| entry.cursor().to_string());
        Ok(Listed { items: items.into_iter().map(DeliveryView::from).collect(), next_cursor })
    }

    async fn replay(&self, caller: Caller, id: DeliveryId) -> Result<DeliveryView, Fault> {
        let (user, entry) = self.store.ledger_entry(id).await?;
        if !caller.reaches(user) {
            return Err(Fault::NotFound(format!("delivery {id}")));
        }
        let filter = LedgerFilter { ids: Some(vec![id]), ..LedgerFilter::default() };
        let (replayed, _) = self.store.replay(&filter, 1, None).await?;
        if replayed.count == 0 {
            return Err(Fault::Conflict(format!(
                "delivery {id} is {}: only dead ones are replayed",
                entry.state.as_str()
            )));
        }
        tracing::info!(delivery = %id, "dead letter was replayed");
        wake(&self.operator, &replayed.lanes);
        Ok(self.store.ledger_entry(id).await?.1.into())
    }

    async fn replay_many(&self, caller: Caller, order: ReplayOrder) -> Result<JobView, Fault> {
        let filter = match (order.ids, order.filter) {
            (Some(ids), None) if (1..=IDS_MAX).contains(&ids.len()) => {
                LedgerFilter { ids: Some(ids), ..LedgerFilter::default() }
            }
            (Some(_), None) => return Err(Fault::invalid("/ids", format!("it must name 1 to {IDS_MAX}"))),
            (None, Some(filter)) if filter.state.is_some_and(|state| state != DeliveryState::Dead) => {
                return Err(Fault::invalid("/filter/state", "only dead letters are replayed"));
            }
            (None, Some(filter)) => filter.ledger(),
            _ => return Err(Fault::invalid("", "either ids or a filter says which")),
        };
        // What dies again while the job runs is not taken up again by it.
        let now = self.store.current_time();
        let filter = LedgerFilter { state: Some(DeliveryState::Dead), dead_by: Some(now), ..filter };
        let total = self.store.count_ledger(&filter).await?;
        let task = serde_json::to_value(&filter).map_err(|error| Fault::Unavailable(error.to_string()))?;
        self.jobs.order(caller, JobKind::ReplayDeadLetters, &task, Some(total)).await
    }
}

fn wake(operator: &Operator, lanes: &[(AccountId, PairId)]) {
    for (account, pair) in lanes {
        operator.wake_lane(*account, *pair);
    }
}

/// Puts dead letters back portion by portion; each portion is counted in its own transaction.
pub struct ReplayWork {
    store: Store,
    operator: Operator,
    portion: u64,
    lease: Duration,
}

impl ReplayWork {
    /// Over store and tree.
    #[must_use]
    pub const fn new(store: Store, operator: Operator, portion: u64, lease: Duration) -> Self {
        Self { store, operator, portion, lease }
    }
}

#[async_trait]
impl Work for ReplayWork {
    async fn portion(&self, job: &WorkJob) -> Result<Portion, Fault> {
        let filter: LedgerFilter = serde_json::from_value(job.task.clone())
            .map_err(|error| Fault::Conflict(format!("job cannot be read: {error}")))?;
        let (replayed, _) = self.store.replay(&filter, self.portion, Some((job.id, self.lease))).await?;
        wake(&self.operator, &replayed.lanes);
        Ok(Portion::Kept { over: replayed.over })
    }
}
