//! One tree with its fake store and platform, on a paused clock.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use switchyard_actors::model::{
    Account, AccountId, AccountKind, AccountState, ChatId, IdSource, Message, MessageId, Pair, PairId, Place,
    Platform, Quotas, RichText, SourceEvent, UserId,
};
use switchyard_actors::pipeline::PipelineLimits;
use switchyard_actors::ports::Clock as _;
use switchyard_actors::supervision::{
    Backoff, ChildPath, Intensity, NodeState, NodeView, Policy, RuntimeConfig,
};
use switchyard_actors::testkit::{FakePlatform, MemoryStore, SeededRng, VirtualClock};
use switchyard_actors::tree::{Assignments, Deps, Failpoints, Links, Root, TreeConfig};
use uuid::Uuid;

/// Runs a test on its own actix system with a paused clock.
pub(crate) fn run<F: Future<Output = ()>>(test: impl FnOnce() -> F) {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .expect("a runtime")
    };
    actix::System::with_tokio_rt(runtime).block_on(test());
}

pub(crate) struct World {
    pub(crate) platform: FakePlatform,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) clock: Arc<VirtualClock>,
    pub(crate) root: Root,
}

pub(crate) fn account(n: u128) -> AccountId {
    AccountId::from_uuid(Uuid::from_u128(1_000 + n))
}

pub(crate) fn pair(n: u128) -> PairId {
    PairId::from_uuid(Uuid::from_u128(2_000 + n))
}

/// The owner of everything here.
pub(crate) fn user() -> UserId {
    UserId::from_uuid(Uuid::from_u128(1))
}

pub(crate) fn message_id(id: i64) -> MessageId {
    MessageId::new(id).expect("an id")
}

fn place(platform: Platform, n: u128) -> Place {
    let chat = ChatId::new(i64::try_from(n).expect("small") + 1).expect("a chat");
    Place { platform, chat, thread: None }
}

pub(crate) fn source(n: u128) -> Place {
    place(Platform::Telegram, n)
}

pub(crate) fn target(n: u128) -> Place {
    place(Platform::Discord, n)
}

/// Without a plan as many as come; plan `small` ten messages a day, plan `large` twenty.
fn quotas() -> Quotas {
    let plan = |name: &str| name.parse().expect("a plan's name");
    Quotas { default: None, by_plan: [(plan("small"), Some(10)), (plan("large"), Some(20))].into() }
}

pub(crate) fn config() -> TreeConfig {
    TreeConfig {
        claim_batch: 16,
        poison_attempts: 8,
        lane_lookahead: 8,
        tries_max: 8,
        retry: Backoff { base: Duration::from_millis(500), ..Backoff::default() },
        circuit_failures: 3,
        answer_wait: Duration::from_secs(600),
        poll_interval: Duration::from_secs(30),
        lease_ttl: Duration::from_secs(15),
        lease_renew: Duration::from_secs(5),
        lease_margin: Duration::from_secs(3),
        retention: Duration::from_secs(30 * 86_400),
        purge_interval: Duration::from_secs(3_600),
        purge_batch: 100,
        alert_backlog: 100,
        quotas: quotas(),
        pipeline: PipelineLimits::default(),
    }
}

impl World {
    /// Account `n` as the store keeps it: 0 reads Telegram, the others write Discord.
    pub(crate) fn account_of(n: u128) -> Account {
        let kind = if n == 0 { AccountKind::TelegramUser } else { AccountKind::DiscordBot };
        let platform_id = i64::try_from(n).expect("small") + 1;
        Account {
            id: account(n),
            user: UserId::from_uuid(Uuid::from_u128(1)),
            kind,
            platform_id,
            name: format!("{} {platform_id}", kind.as_str()),
            profile: "sandbox".to_owned(),
            state: AccountState::Active,
        }
    }

    /// Pair `n`, which account `writer` writes.
    pub(crate) fn pair_of(n: u128, writer: u128) -> Pair {
        Pair {
            id: pair(n),
            user: UserId::from_uuid(Uuid::from_u128(1)),
            source_account: account(0),
            source: source(n),
            target_account: account(writer),
            target: target(n),
            paused: BTreeSet::new(),
        }
    }

    /// One Telegram account that reads, `targets` Discord accounts that write, `pairs` pairs spread over them.
    pub(crate) async fn start(targets: u128, pairs: u128, failpoints: &str) -> Self {
        let store = Arc::new(MemoryStore::default());
        for n in 0..=targets {
            store.add_account(Self::account_of(n));
        }
        for n in 0..pairs {
            store.add_pair(Self::pair_of(n, 1 + n % targets));
        }
        Self::over(store, FakePlatform::default(), failpoints).await
    }

    /// A tree over a store and a platform that exist already: what a restart of the process is.
    pub(crate) async fn over(store: Arc<MemoryStore>, platform: FakePlatform, failpoints: &str) -> Self {
        Self::at(Arc::new(VirtualClock::default()), store, platform, failpoints).await
    }

    /// As [`Self::over`], by a clock that went on while nothing ran.
    pub(crate) async fn at(
        clock: Arc<VirtualClock>,
        store: Arc<MemoryStore>,
        platform: FakePlatform,
        failpoints: &str,
    ) -> Self {
        let policy = Policy { intensity: Intensity::new(3, Duration::from_secs(600)), ..Policy::default() };
        Self::supervised(clock, store, platform, failpoints, policy).await
    }

    /// As [`Self::at`], with other limits of restarts.
    pub(crate) async fn supervised(
        clock: Arc<VirtualClock>,
        store: Arc<MemoryStore>,
        platform: FakePlatform,
        failpoints: &str,
        policy: Policy,
    ) -> Self {
        let rng = Arc::new(SeededRng::new(7));
        let deps = Deps {
            store: store.clone(),
            connector: Arc::new(platform.clone()),
            clock: clock.clone(),
            rng: rng.clone(),
            ids: IdSource::new(clock.clone(), rng),
            config: Arc::new(config()),
            failpoints: Arc::new(Failpoints::parse(failpoints).expect("failpoints")),
            links: Arc::new(Links::default()),
            assignments: Arc::new(Assignments::default()),
            post: None,
        };
        let root = Root::build(deps, policy.into(), RuntimeConfig::default()).expect("a tree");
        root.fill().await.expect("accounts and pairs");
        root.start().await;
        Self { platform, store, clock, root }
    }

    /// A person writes message `id` in the source chat of pair `n`.
    pub(crate) fn write(&self, n: u128, id: i64, text: &str) {
        self.platform.write(account(0), Self::new_message(&self.clock, n, id, text));
    }

    /// What the reader is told of a message in the source chat of pair `n`.
    pub(crate) fn new_message(clock: &VirtualClock, n: u128, id: i64, text: &str) -> SourceEvent {
        SourceEvent::New(message_at(clock, source(n), id, text))
    }

    /// A message of nobody in particular.
    pub(crate) fn message(&self, place: Place, id: i64, text: &str) -> Message {
        message_at(&self.clock, place, id, text)
    }

    /// Virtual time passes.
    pub(crate) async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    /// Waits, in virtual time, until so many messages stand at the target of pair `n`.
    pub(crate) async fn arrived(&self, n: u128, count: usize) -> Vec<String> {
        for _ in 0..100_000 {
            let texts = self.platform.texts(target(n));
            if texts.len() >= count {
                return texts;
            }
            self.pass(Duration::from_millis(100)).await;
        }
        panic!("only {:?} arrived at target {n}", self.platform.texts(target(n)));
    }

    pub(crate) fn node(&self, path: &str) -> NodeView {
        let path = ChildPath::parse(path).expect("a path");
        self.root.tree().view(&path).unwrap_or_else(|| panic!("{path} is not in the tree"))
    }

    /// Waits, in virtual time, until a child is in a state.
    pub(crate) async fn state(&self, path: &str, state: NodeState) {
        for _ in 0..100_000 {
            if self.node(path).state == state {
                return;
            }
            self.pass(Duration::from_millis(100)).await;
        }
        panic!("{path} stays {:?}", self.node(path));
    }
}

fn message_at(clock: &VirtualClock, place: Place, id: i64, text: &str) -> Message {
    Message {
        place,
        id: message_id(id),
        sender: None,
        sent_at: clock.now(),
        edited_at: None,
        text: RichText::plain(text),
        reply_to: None,
        album: None,
        attachments: Vec::new(),
        restrictions: Vec::new(),
        own: false,
    }
}
