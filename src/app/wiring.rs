//! Services over the running tree, for the HTTP surface to call.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use switchyard_actors::model::{AccountId, IdSource, Plans};
use switchyard_actors::ports::{Clock, Login};
use switchyard_actors::supervision::{ChildPath, NodeView, OrderError, Page, PageQuery};
use switchyard_actors::tree::{Operator, ReconnectError, Reconnected, RestartError};
use tokio::runtime::Handle;

use super::bot::BotServices;
use super::identity::Kit;
use super::operations::Operations;
use super::staff::StaffServices;
use crate::config::{Config, ServerLogin};
use crate::http::Services;
use crate::services::accounts::AccountService;
use crate::services::admin::{Admin, AdminError, Health};
use crate::services::bulk::{BulkService, PairItem, PairVerb};
use crate::services::desk::{Desk, DeskConfig, DeskParts};
use crate::services::entry::Entries;
use crate::services::fault::store_said;
use crate::services::idempotency::{KeyBounds, StoredOrders};
use crate::services::keys::KeyKeeper;
use crate::services::limiter::{ApiLimit, CallLimits, FixedLimits};
use crate::services::membership::{MembershipService, PlanAllowances};
use crate::services::pairs::{PairService, Pairs};
use crate::services::sandbox::{self, SandboxSeed};
use crate::services::sealed::Uploads;
use crate::services::secrets::SecretService;
use crate::services::subscriptions::NoSubscriptions;
use crate::services::users::UserService;
use crate::store::{RateLimits, RateLimitsConfig, Store};

/// Throttle profile of accounts that are connected outside the sandbox, until their owner chooses another.
const PROFILE: &str = "cautious";

/// Sentences about the tree that health tells at most.
const SENTENCES_MAX: usize = 20;

/// What the services are put together from.
pub(super) struct Parts {
    pub(super) operator: Operator,
    pub(super) store: Store,
    pub(super) login: Arc<dyn Login>,
    pub(super) uploads: Uploads,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ids: IdSource,
    pub(super) kit: Kit,
    pub(super) staff: StaffServices,
    pub(super) plans: Arc<Plans>,
    pub(super) keys: Arc<KeyKeeper>,
    pub(super) bot: BotServices,
}

pub(super) fn services(
    config: &Config,
    seed: Option<&SandboxSeed>,
    parts: Parts,
    settled: Arc<AtomicBool>,
) -> (Services, Operations) {
    let Parts { operator, store, login, uploads, clock, ids, kit, staff, plans, keys, bot } = parts;
    let profile = seed.map_or(PROFILE, sandbox::profile).to_owned();
    let bounds = bounds(config, seed);
    let runtime = Handle::current();
    let counters = store.clone();
    let orders = Arc::new(StoredOrders::new(
        store.clone(),
        KeyBounds {
            lease: config.limits.idempotency_lease,
            keep: config.retention.idempotency_keys_after,
            keys_max: config.limits.idempotency_keys_max.get().into(),
        },
    ));
    let secrets = Arc::new(SecretService::new(store.clone()));
    let admin: Arc<dyn Admin> = Arc::new(TreeAdmin { operator: operator.clone(), settled });
    let mut operations = Operations::new(config, &store, &operator, &admin);
    let bulk = Arc::new(BulkService { store: store.clone(), jobs: operations.jobs.clone() });
    let desk =
        DeskParts { store, operator, login, clock, ids, profile, uploads, runtime, plans, config: bounds };
    let desk = Desk::new(desk);
    let limits = call_limits(config, &counters, &desk);
    let accounts = Arc::new(AccountService::new(Arc::clone(&desk)));
    let (subscriptions, lookup) = (Arc::new(NoSubscriptions), kit.lookup.clone());
    let (identity, door) = kit.open(config, (accounts.clone(), desk.clone()), subscriptions.clone());
    let users = UserService::new(Arc::clone(&desk), Arc::clone(&identity), subscriptions, lookup);
    let pairs: Arc<dyn Pairs> = Arc::new(PairService::new(Arc::clone(&desk)));
    for verb in PairVerb::ALL {
        operations.work_on(verb.kind(), Arc::new(PairItem { pairs: Arc::clone(&pairs), verb }));
    }
    let services = Services {
        admin,
        accounts,
        pairs,
        membership: Arc::new(MembershipService::new(desk)),
        users: Arc::new(users),
        identity,
        entry: Arc::new(Entries { users: Some(door), staff: Some(staff.entry) }),
        networks: staff.networks,
        audit: staff.audit,
        staff: staff.staff,
        limits,
        orders,
        events: Arc::new(Arc::clone(&operations.events)),
        jobs: Arc::new(operations.jobs.clone()),
        queues: operations.queues.clone(),
        deliveries: operations.deliveries.clone(),
        monitor: operations.monitor.clone(),
        bulk,
        keys,
        secrets,
        linking: bot.linking,
        announcements: bot.announcements,
    };
    (services, operations)
}

/// Bounds of the use cases; in a sandbox telephone numbers are taken unless that is off.
fn bounds(config: &Config, seed: Option<&SandboxSeed>) -> DeskConfig {
    DeskConfig {
        sign_ins_max: config.limits.sign_ins_max.get(),
        sign_ins_per_user_max: config.limits.sign_ins_per_user_max.get(),
        server_login: match config.telegram.server_login {
            ServerLogin::Auto => seed.is_some(),
            ServerLogin::On => true,
            ServerLogin::Off => false,
        },
        sign_in_deadline: config.limits.sign_in_deadline,
        source_wait: config.limits.source_wait,
        look_wait: config.limits.look_wait,
        suspension_wait: config.limits.suspension_wait,
    }
}

/// Limits of the API: of users by their plans, of all others by the configuration.
fn call_limits(config: &Config, store: &Store, desk: &Arc<Desk>) -> CallLimits {
    let limits = &config.limits;
    let limit = |requests, window| ApiLimit { requests, window };
    let allowances = PlanAllowances::new(Arc::clone(desk), limit(limits.key_requests, limits.key_window));
    let fixed = FixedLimits {
        open: limit(limits.open_requests, limits.open_window),
        admin: limit(limits.admin_requests, limits.admin_window),
    };
    let bounds = RateLimitsConfig { subjects_max: limits.rate_subjects_max };
    CallLimits::new(Arc::new(RateLimits::new(store.clone(), bounds)), Arc::new(allowances), fixed)
}

/// The admin verbs over the tree.
struct TreeAdmin {
    operator: Operator,
    settled: Arc<AtomicBool>,
}

#[async_trait]
impl Admin for TreeAdmin {
    async fn supervision(&self, query: &PageQuery) -> Result<Page, AdminError> {
        let page = self.operator.tree().page(query);
        if page.items.is_empty() {
            // Nothing on this page, or nothing at all?
            self.actor(&query.prefix).await?;
        }
        Ok(page)
    }

    async fn actor(&self, path: &ChildPath) -> Result<NodeView, AdminError> {
        self.operator.tree().view(path).ok_or_else(|| AdminError::NotFound(format!("actor {path}")))
    }

    async fn restart(&self, path: &ChildPath) -> Result<(), AdminError> {
        self.operator.restart(path).await.map_err(|error| match error {
            RestartError::Order(OrderError::NotFound) => AdminError::NotFound(format!("actor {path}")),
            RestartError::Order(other) => AdminError::Conflict(format!("{path}: {other}")),
            RestartError::Store(error) => AdminError::Unavailable(store_said(&error)),
        })
    }

    async fn reconnect(&self, account: AccountId) -> Result<(), AdminError> {
        match self.operator.reconnect(account).await {
            Ok(Reconnected::Connecting) => Ok(()),
            Ok(Reconnected::WaitingUntil(until)) => Err(AdminError::PlatformWait(until)),
            Err(ReconnectError::NotFound(_)) => Err(AdminError::NotFound(format!("account {account}"))),
            Err(ReconnectError::NeedsLogin(_)) => Err(AdminError::NeedsLogin(account)),
            Err(error @ (ReconnectError::Order(_) | ReconnectError::Suspended(_))) => {
                Err(AdminError::Conflict(error.to_string()))
            }
            Err(error) => Err(AdminError::Unavailable(error.to_string())),
        }
    }

    fn health(&self) -> Health {
        let tree = self.operator.tree();
        let health = tree.health();
        let mut reasons = health.sentences();
        let more = reasons.len().saturating_sub(SENTENCES_MAX);
        reasons.truncate(SENTENCES_MAX);
        if more > 0 {
            reasons.push(format!("and {more} more: switchyard status shows them"));
        }
        let settled = self.settled.load(Ordering::Acquire);
        if !settled {
            reasons.push("sessions make their first connections".to_owned());
        }
        let leased = self.operator.lease_lasts();
        if !leased {
            reasons.push("the node's lease cannot be renewed in the store: nothing is sent".to_owned());
        }
        let ready = health.ready && settled && leased;
        Health { live: health.live, ready, verdict: health.verdict, reasons }
    }
}
