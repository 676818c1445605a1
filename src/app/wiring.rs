//! Services over the running tree, for the HTTP surface to call.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use switchyard_actors::model::{AccountId, IdSource};
use switchyard_actors::ports::{Clock, Login};
use switchyard_actors::supervision::{ChildPath, NodeState, NodeView, OrderError};
use switchyard_actors::tree::{Operator, ReconnectError, Reconnected, RestartError};
use tokio::runtime::Handle;

use super::bot::BotServices;
use super::identity::Kit;
use crate::config::Config;
use crate::http::Services;
use crate::services::accounts::AccountService;
use crate::services::admin::{Admin, AdminError, Health};
use crate::services::audit::{Audit, AuditLog};
use crate::services::desk::{Desk, DeskConfig, DeskParts};
use crate::services::entry::Entries;
use crate::services::idempotency::{KeyBounds, StoredOrders};
use crate::services::limiter::{Allowance, ApiLimit, CallLimits, FixedLimits};
use crate::services::networks::{AdminAllowList, Networks, NetworksConfig};
use crate::services::pairs::PairService;
use crate::services::sandbox::{self, SandboxSeed};
use crate::store::{RateLimits, RateLimitsConfig, Store};

/// Throttle profile of accounts that are connected outside the sandbox, until their owner chooses another.
const PROFILE: &str = "cautious";

/// What the services are put together from.
pub(super) struct Parts {
    pub(super) operator: Operator,
    pub(super) store: Store,
    pub(super) login: Arc<dyn Login>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ids: IdSource,
    pub(super) kit: Kit,
    pub(super) bot: BotServices,
}

pub(super) fn services(
    config: &Config,
    seed: Option<&SandboxSeed>,
    parts: Parts,
    settled: Arc<AtomicBool>,
) -> Services {
    let Parts { operator, store, login, clock, ids, kit, bot } = parts;
    let profile = seed.map_or(PROFILE, sandbox::profile).to_owned();
    let bounds = DeskConfig {
        sign_ins_max: config.limits.sign_ins_max.get(),
        sign_in_deadline: config.limits.sign_in_deadline,
        source_wait: config.limits.source_wait,
    };
    let runtime = Handle::current();
    let (networks, audit) = staff(config, &store, &ids);
    let limits = call_limits(config, &store);
    let orders = Arc::new(StoredOrders::new(
        store.clone(),
        KeyBounds {
            lease: config.limits.idempotency_lease,
            keep: config.retention.idempotency_keys_after,
            keys_max: config.limits.idempotency_keys_max.get().into(),
        },
    ));
    let admin = Arc::new(TreeAdmin { operator: operator.clone(), settled });
    let desk = DeskParts { store, operator, login, clock, ids, profile, runtime, config: bounds };
    let desk = Desk::new(desk);
    let accounts = Arc::new(AccountService::new(Arc::clone(&desk)));
    let (identity, users) = kit.open(config, accounts.clone());
    Services {
        admin,
        accounts,
        pairs: Arc::new(PairService::new(desk)),
        networks,
        audit,
        identity,
        entry: Arc::new(Entries { users: Some(users), staff: None }),
        limits,
        orders,
        linking: bot.linking,
        announcements: bot.announcements,
    }
}

/// What stands around everything that staff do: from where they may call, and the record of it.
fn staff(config: &Config, store: &Store, ids: &IdSource) -> (Arc<dyn Networks>, Arc<dyn Audit>) {
    let networks = NetworksConfig {
        configured: config.admin.networks.clone(),
        stored_max: config.admin.networks_max.get(),
        refresh: config.admin.networks_refresh,
    };
    (
        Arc::new(AdminAllowList::new(store.clone(), networks)),
        Arc::new(AuditLog::new(store.clone(), ids.clone(), config.admin.audit_value_max.len())),
    )
}

/// Limits of the API, as the configuration has them; what a plan says stands before them.
fn call_limits(config: &Config, store: &Store) -> CallLimits {
    let limits = &config.limits;
    let limit = |requests, window| ApiLimit { requests, window };
    let allowance = Allowance {
        user: limit(limits.user_requests, limits.user_window),
        key: limit(limits.key_requests, limits.key_window),
    };
    let fixed = FixedLimits {
        open: limit(limits.open_requests, limits.open_window),
        admin: limit(limits.admin_requests, limits.admin_window),
    };
    let bounds = RateLimitsConfig { subjects_max: limits.rate_subjects_max };
    CallLimits::new(Arc::new(RateLimits::new(store.clone(), bounds)), Arc::new(allowance), fixed)
}

/// The admin verbs over the tree.
struct TreeAdmin {
    operator: Operator,
    settled: Arc<AtomicBool>,
}

#[async_trait]
impl Admin for TreeAdmin {
    async fn supervision(&self, prefix: &ChildPath) -> Result<Vec<NodeView>, AdminError> {
        let nodes = self.operator.tree().snapshot(prefix);
        if nodes.is_empty() { Err(AdminError::NotFound(format!("actor {prefix}"))) } else { Ok(nodes) }
    }

    async fn restart(&self, path: &ChildPath) -> Result<(), AdminError> {
        self.operator.restart(path).await.map_err(|error| match error {
            RestartError::Order(OrderError::NotFound) => AdminError::NotFound(format!("actor {path}")),
            RestartError::Order(other) => AdminError::Conflict(format!("{path}: {other}")),
            RestartError::Store(error) => AdminError::Unavailable(error.to_string()),
        })
    }

    async fn reconnect(&self, account: AccountId) -> Result<(), AdminError> {
        match self.operator.reconnect(account).await {
            Ok(Reconnected::Connecting) => Ok(()),
            Ok(Reconnected::WaitingUntil(until)) => Err(AdminError::PlatformWait(until)),
            Err(ReconnectError::NotFound(_)) => Err(AdminError::NotFound(format!("account {account}"))),
            Err(ReconnectError::NeedsLogin(_)) => Err(AdminError::NeedsLogin(account)),
            Err(error @ ReconnectError::Order(_)) => Err(AdminError::Conflict(error.to_string())),
            Err(error) => Err(AdminError::Unavailable(error.to_string())),
        }
    }

    fn health(&self) -> Health {
        let tree = self.operator.tree();
        let health = tree.health();
        let concerns = health.red.iter().map(|concern| match &concern.reason {
            Some(reason) => format!("{} is {:?}: {reason}", concern.path, concern.state).to_lowercase(),
            None => format!("{} is {:?}", concern.path, concern.state).to_lowercase(),
        });
        let mut reasons: Vec<String> = concerns.collect();
        let parked = health.counts.get(&NodeState::Parked).copied().unwrap_or(0);
        if parked > 0 {
            reasons.push(format!("{parked} actors are parked"));
        }
        let settled = self.settled.load(Ordering::Acquire);
        if !settled {
            reasons.push("sessions make their first connections".to_owned());
        }
        let leased = self.operator.lease_lasts();
        if !leased {
            reasons.push("the node's lease cannot be renewed in the store: nothing is sent".to_owned());
        }
        Health { live: true, ready: health.ready && settled && leased, reasons }
    }
}
