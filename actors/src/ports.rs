//! Traits the domain needs from outside. `src/store` and `src/adapters` implement them; tests bring their own.

use std::collections::BTreeSet;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use secrecy::SecretSlice;
use thiserror::Error;

use crate::model::{
    Account, AccountId, AccountState, Alert, ChatId, Cursor, DeadReason, Delivery, DeliveryId, Fence,
    MessageCopy, MessageId, OpenRoute, Origin, Pair, PairId, PauseCause, Place, RouteId, RouteVerdict,
    SourceEvent, UserId,
};
pub use bot::{
    BotChannel, BotChatKind, BotEvent, BotFault, BotIdentity, BotInbox, BotOutcome, BotUpdate, ClaimedNotice,
    DueNotice, NoticeBox, NoticeId, NoticeVerdict, Promise,
};
pub use chats::{ChatDirectory, ChatKind, KnownChat};
pub use lease::Lease;
pub use login::{Identified, Login, LoginError, LoginStep, NewCredential, SignIn};
pub use mail::{Letter, MailError, Mailer};
pub use platform::{
    ConnectRequest, Connection, ConnectionError, EventSource, Look, MessageSender, Need, Operation,
    PlatformConnector, RateLimitHint, SendReport, SendRequest, Steering, StoreErrorText,
};
pub use proxy::{Proxy, ProxyError};
pub use standing::Standings;

mod bot;
mod chats;
mod lease;
mod login;
mod mail;
mod platform;
mod proxy;
mod standing;

/// The system's one clock. Durations are measured on tokio's clock, which tests may pause; this one tells the time of day.
pub trait Clock: Send + Sync {
    /// The time of day, UTC.
    fn now(&self) -> DateTime<Utc>;
}

/// The system's one source of randomness (ids, jitter; keys come from the vault).
pub trait Rng: Send + Sync {
    /// Fills the buffer.
    fn fill(&self, buffer: &mut [u8]);

    /// A uniform number.
    fn next_u64(&self) -> u64 {
        let mut bytes = [0_u8; 8];
        self.fill(&mut bytes);
        u64::from_ne_bytes(bytes)
    }
}

/// Why the store could not do what was asked.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum StoreError {
    /// The account now belongs to another assignment: this owner must stop writing.
    #[error("account {} is no longer ours: epoch {} is fenced off", .0.account, .0.epoch.get())]
    Fenced(Fence),
    /// The row does not exist (any more).
    #[error("{0} not found")]
    NotFound(String),
    /// Something else already stands where this should go: the same platform account, another owner of the store.
    #[error("conflict: {0}")]
    Conflict(String),
    /// Passing: busy, connection lost, serialization failure.
    #[error("store is busy or unreachable: {0}")]
    Unavailable(String),
    /// No room left on the disk: intake stops, the cursor stays.
    #[error("store's disk is full: {0}")]
    DiskFull(String),
    /// A row that this version cannot read, or that fails authentication.
    #[error("store holds a row that cannot be read: {0}")]
    Corrupt(String),
    /// Anything else: the store cannot be used.
    #[error("store failed: {0}")]
    Failed(String),
}

/// One unit of intake: the events of one difference or batch and the cursors behind them, written in one transaction.
#[derive(Clone, Debug)]
pub struct IntakeUnit {
    /// What happened, oldest first.
    pub events: Vec<SourceEvent>,
    /// Where the source stands after them.
    pub cursors: Vec<Cursor>,
}

/// What intake made of a unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IntakeReceipt {
    /// Events accepted, without repeats.
    pub accepted: usize,
    /// Pairs to wake: all that the unit's events are routed to, repeats too (a first try may have failed after its
    /// first chunk, and nobody was woken then).
    pub pairs: Vec<PairId>,
}

/// Durable intake: events, routes and cursors in one transaction.
#[async_trait]
pub trait Intake: Send + Sync {
    /// Writes the unit's events (each once, by account, chat, message, kind and revision), one route for every
    /// pair subscribed to the chat through this account (paused pairs too: their routes wait), and the cursors, which
    /// never go backwards. Large units are written in chunks, the cursors with the last. An event to which no pair is
    /// subscribed is not kept.
    ///
    /// # Errors
    /// [`StoreError`]; nothing of a failed chunk is kept, and the cursors stay.
    async fn record(&self, fence: Fence, unit: &IntakeUnit) -> Result<IntakeReceipt, StoreError>;

    /// How far the account's streams have been read.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn cursors(&self, account: AccountId) -> Result<Vec<Cursor>, StoreError>;
}

/// What intake knows of a source's past: for platforms that never report what happened while nobody listened.
#[async_trait]
pub trait SourceLog: Send + Sync {
    /// The newest messages of a source place up to `up_to` that were accepted through the account or have copies, at
    /// most about `limit`, in no order; without those whose deletion is known.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn accepted(
        &self,
        account: AccountId,
        place: Place,
        up_to: i64,
        limit: u32,
    ) -> Result<Vec<MessageId>, StoreError>;
}

/// A pair's work: routes in, deliveries or skips out.
#[async_trait]
pub trait Routes: Send + Sync {
    /// The pair itself, read anew.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn pair(&self, id: PairId) -> Result<Pair, StoreError>;

    /// The pair's oldest open routes in order of acceptance, at most `limit`; none while the pair is paused. Counts
    /// the claim as an attempt on the FIRST of them, durably, before it answers: an event that kills its pair is known
    /// by its attempts.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn claim(&self, pair: PairId, limit: u32) -> Result<Vec<OpenRoute>, StoreError>;

    /// As [`claim`](Self::claim), for a pair that the store failed after it last claimed: no attempt is counted, since the
    /// event was not what failed.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn reclaim(&self, pair: PairId, limit: u32) -> Result<Vec<OpenRoute>, StoreError>;

    /// How many parts the pair made of a source message, counting deliveries that are still under way; `None` when it
    /// never forwarded it, gave it up, or deleted it again.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn forwarded(
        &self,
        pair: PairId,
        chat: ChatId,
        message: MessageId,
    ) -> Result<Option<u16>, StoreError>;

    /// Whether this system wrote messages that `reader` read at `place`; each with its author, as the platform names
    /// it. One answer a message, in order. Sends that were handed over before `since` (Unix milliseconds) and have no
    /// answer still are not waited for.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn origins(
        &self,
        reader: AccountId,
        place: Place,
        messages: &[(MessageId, Option<i64>)],
        since: i64,
    ) -> Result<Vec<Origin>, StoreError>;

    /// Writes deliveries or typed skips and closes the routes, in one transaction. The fence is that of the pair's
    /// source or target account. A route that is closed already is left as it is: repeating the call changes nothing.
    ///
    /// # Errors
    /// [`StoreError`]; on an error no route of the list is closed.
    async fn close(
        &self,
        fence: Fence,
        pair: PairId,
        verdicts: &[(RouteId, RouteVerdict)],
    ) -> Result<(), StoreError>;

    /// Adds or lifts one cause of a pause; others stay.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn set_pause(&self, pair: PairId, cause: PauseCause, on: bool) -> Result<(), StoreError>;
}

/// What a queue writes after a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TryResult {
    /// The part is at the target; the last part completes the delivery (message map, ledger, counters).
    Sent {
        /// Which part.
        part: u16,
        /// Its id there, if known.
        message: Option<MessageId>,
    },
    /// The part's copy is deleted at the target; the last part completes the delivery.
    Gone {
        /// Which part.
        part: u16,
    },
    /// Try again not before this time (Unix milliseconds).
    Later {
        /// Not before, Unix milliseconds.
        not_before: i64,
        /// Whether the try counts against the retry bound.
        counts: bool,
        /// What was wrong, for the ledger.
        error: String,
        /// The part that certainly is not at the target: it was refused, and no earlier try of it is unanswered.
        unsent: Option<u16>,
    },
    /// Given up for good.
    Dead(DeadReason),
}

/// A queue's work: the outbox of one destination account.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// The delivery lanes (pairs) of the account that have pending deliveries and are not paused.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn lanes(&self, account: AccountId) -> Result<Vec<PairId>, StoreError>;

    /// Pending deliveries of one lane in order, with `seq` greater than `after`, at most `limit`; none while the pair is paused.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn lane(
        &self,
        account: AccountId,
        pair: PairId,
        after: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError>;

    /// Marks a part as handed to the platform, durably, before it is.
    ///
    /// # Errors
    /// [`StoreError`]; then the part must not be sent. [`StoreError::NotFound`] when the delivery is no longer pending,
    /// the part is at the target already, or the pair is paused.
    async fn begin(&self, fence: Fence, delivery: DeliveryId, part: u16) -> Result<(), StoreError>;

    /// The copies that a pair made of a source message, by part. A part whose id the platform never told has none.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn copies(
        &self,
        pair: PairId,
        chat: ChatId,
        message: MessageId,
    ) -> Result<Vec<MessageCopy>, StoreError>;

    /// The message in a pair's target chat that stands for a message in its source chat: the first part of its copy, or,
    /// where the message in the source chat is itself a copy, its original.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn counterpart(
        &self,
        pair: PairId,
        chat: ChatId,
        message: MessageId,
    ) -> Result<Option<MessageId>, StoreError>;

    /// The newest messages, at most `limit`, that are known as copies in a target chat: what a look for an unanswered
    /// send must not take for it.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn known_copies(&self, target: Place, limit: u32) -> Result<Vec<MessageId>, StoreError>;

    /// Writes how a try ended, in one transaction. Repeating it changes nothing: a delivery that is no longer pending
    /// stays as it is.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::NotFound`] when the delivery went with its pair.
    async fn finish(&self, fence: Fence, delivery: DeliveryId, result: &TryResult) -> Result<(), StoreError>;
}

/// Why queues are paused. A paused queue begins no send; what waits for it stays in the store.
#[async_trait]
pub trait QueuePauses: Send + Sync {
    /// The causes for which an account's queue is paused; empty while it runs.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn queue_pauses(&self, account: AccountId) -> Result<BTreeSet<PauseCause>, StoreError>;
}

/// Accounts and pairs as the tree starts them.
#[async_trait]
pub trait Directory: Send + Sync {
    /// Every account.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn accounts(&self) -> Result<Vec<Account>, StoreError>;

    /// One account, read anew.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn account(&self, id: AccountId) -> Result<Account, StoreError>;

    /// Every pair, paused ones too.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn pairs(&self) -> Result<Vec<Pair>, StoreError>;

    /// The accounts of one user.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn accounts_of(&self, user: UserId) -> Result<Vec<Account>, StoreError> {
        Ok(self.accounts().await?.into_iter().filter(|account| account.user == user).collect())
    }

    /// The pairs of one user.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn pairs_of(&self, user: UserId) -> Result<Vec<Pair>, StoreError> {
        Ok(self.pairs().await?.into_iter().filter(|pair| pair.user == user).collect())
    }

    /// The pairs that read or write through any of these accounts.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn pairs_through(&self, accounts: &[AccountId]) -> Result<Vec<Pair>, StoreError> {
        let uses =
            |pair: &Pair| accounts.contains(&pair.source_account) || accounts.contains(&pair.target_account);
        Ok(self.pairs().await?.into_iter().filter(uses).collect())
    }

    /// Notes what is known of an account.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn set_account_state(&self, id: AccountId, state: AccountState) -> Result<(), StoreError>;
}

/// Credentials of an account, encrypted at rest: bot token, auth key, address, peers with access hashes.
#[async_trait]
pub trait Credentials: Send + Sync {
    /// A secret by its name, such as `token` or `dc.2`.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn secret(&self, account: AccountId, name: &str) -> Result<Option<SecretSlice<u8>>, StoreError>;

    /// Keeps a secret under a name, replacing an older one.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn set_secret(
        &self,
        account: AccountId,
        name: &str,
        value: SecretSlice<u8>,
    ) -> Result<(), StoreError>;

    /// All peers the account has met: platform id and an opaque record (access hash inside).
    ///
    /// # Errors
    /// [`StoreError`].
    async fn peers(&self, account: AccountId) -> Result<Vec<(i64, SecretSlice<u8>)>, StoreError>;

    /// Keeps peers, replacing older records of the same id, in one transaction.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn set_peers(&self, account: AccountId, peers: &[(i64, SecretSlice<u8>)])
    -> Result<(), StoreError>;
}

/// Where alerts are kept.
#[async_trait]
pub trait Notice: Send + Sync {
    /// Appends to the alert stream.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn raise(&self, alert: &Alert) -> Result<(), StoreError>;
}

/// Persisted runs of scheduled jobs.
#[async_trait]
pub trait Jobs: Send + Sync {
    /// When the job last ran to its end.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn last_run(&self, job: &str) -> Result<Option<DateTime<Utc>>, StoreError>;

    /// Notes a run.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn ran(&self, job: &str, at: DateTime<Utc>) -> Result<(), StoreError>;

    /// Deletes what was closed before retention allows: events with their routes, deliveries and bodies, and alerts, at
    /// most `limit` of each; answers how many went. What is open or pending stays, and so do message map and counts.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn purge(&self, before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError>;
}

/// What a throttle remembers across restarts: holds, learned limits, the counts of long windows. Opaque text.
#[async_trait]
pub trait ThrottleMemory: Send + Sync {
    /// What was last kept for an identity: an account's id, or `egress/` and a network address.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn throttle_state(&self, identity: &str) -> Result<Option<String>, StoreError>;

    /// Keeps it, replacing what was kept. That of an account names the assignment under which it was sent through.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Fenced`] when the account has another assignment by now, whose memory stays.
    async fn set_throttle_state(
        &self,
        identity: &str,
        fence: Option<Fence>,
        state: &str,
    ) -> Result<(), StoreError>;
}

/// Everything of the store that the tree uses.
pub trait Store:
    Intake
    + Routes
    + Outbox
    + QueuePauses
    + Directory
    + Lease
    + Credentials
    + Notice
    + Jobs
    + ThrottleMemory
    + Standings
{
}

impl<T> Store for T where
    T: Intake
        + Routes
        + Outbox
        + QueuePauses
        + Directory
        + Lease
        + Credentials
        + Notice
        + Jobs
        + ThrottleMemory
        + Standings
{
}
