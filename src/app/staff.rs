//! What stands around everything that staff do: their door, from where they may call, and the record of it.

use std::sync::Arc;

use super::identity::Kit;
use crate::config::Config;
use crate::crypto::{AccessTokens, Audience, Vault};
use crate::services::audit::{Audit, AuditLog};
use crate::services::entry::Entry;
use crate::services::networks::{AdminAllowList, Networks, NetworksConfig};
use crate::services::staff::{Staff, StaffConfig, StaffEntry, StaffParts, StaffService};

/// The staff's services.
pub(super) struct StaffServices {
    pub(super) networks: Arc<dyn Networks>,
    pub(super) audit: Arc<dyn Audit>,
    pub(super) staff: Arc<dyn Staff>,
    pub(super) entry: Arc<dyn Entry>,
}

/// The staff's services, beside those of users.
pub(super) fn wire(config: &Config, kit: &Kit, vault: Arc<Vault>) -> StaffServices {
    let Kit { store, clock, rng, ids, passwords, .. } = kit;
    let networks = NetworksConfig {
        configured: config.admin.networks.clone(),
        stored_max: config.admin.networks_max.get(),
        refresh: config.admin.networks_refresh,
    };
    let value_max = config.admin.audit_value_max.len();
    let audit: Arc<dyn Audit> = Arc::new(AuditLog::new(store.clone(), ids.clone(), value_max));
    let (issuer, lifetime) = (&config.auth.issuer, config.auth.access_lifetime);
    let service = StaffService::new(StaffParts {
        store: store.clone(),
        passwords: Arc::clone(passwords),
        tokens: AccessTokens::new(vault, Audience::Admin, issuer, lifetime),
        audit: Arc::clone(&audit),
        clock: Arc::clone(clock),
        rng: Arc::clone(rng),
        ids: ids.clone(),
        config: bounds(config),
    });
    let service = Arc::new(service);
    StaffServices {
        networks: Arc::new(AdminAllowList::new(store.clone(), networks)),
        audit,
        entry: Arc::new(StaffEntry::new(Arc::clone(&service))),
        staff: service,
    }
}

fn bounds(config: &Config) -> StaffConfig {
    StaffConfig {
        issuer: config.auth.issuer.clone(),
        session_idle: config.admin.session_idle,
        session_lifetime: config.admin.session_lifetime,
        admins_max: u64::from(config.admin.admins_max.get()),
        failures_free: config.auth.failures_free,
        delay_first: config.auth.delay_first,
        lockout: config.auth.lockout,
        failures_kept: config.auth.failures_kept,
        failures_max: config.auth.failures_max.get(),
    }
}
