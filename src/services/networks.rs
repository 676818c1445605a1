//! From where admins may call: the allow-list.
//!
//! Until a list is configured, or set at run time, it is this machine alone. The operator, a direct caller on this machine
//! that holds the token of the run, passes whatever the list says: the one way back in, and shown as such.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::fault::Fault;
use crate::network::Network;
use crate::store::{AdminNetworks, Store, StoredNetwork};

/// Longest note, in characters.
const NOTE_MAX: usize = 200;
/// What stands for the operator in the list.
const OPERATOR_NOTE: &str =
    "the operator: direct callers on the daemon's own machine that hold the token of this run";
const DEFAULT_NOTE: &str = "this machine, until a list is configured";
const CONFIGURED_NOTE: &str = "admin.networks of the configuration";

/// Why an entry of the allow-list is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NetworkSource {
    /// It always is: the operator.
    Permanent,
    /// Nothing else is configured.
    Default,
    /// The configuration names it.
    Configuration,
    /// It was set at run time.
    Stored,
}

/// One entry of the allow-list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AllowedNetwork {
    /// The network.
    pub network: Network,
    /// What somebody wrote about it, or what it is.
    pub note: String,
    /// Why it is there. Only entries that are `stored` can be changed.
    pub source: NetworkSource,
}

/// The allow-list as it is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AllowList {
    /// Grows with every change at run time; a change names the revision that it is made from.
    pub revision: u64,
    /// Every entry in force.
    pub items: Vec<AllowedNetwork>,
}

/// One entry of a new allow-list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkOrder {
    /// The network.
    pub network: Network,
    /// What it is, for people; at most 200 characters.
    #[serde(default)]
    #[schemars(length(max = 200))]
    pub note: String,
}

/// Who changes the list, as far as it concerns the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changer {
    /// The operator, who always gets in.
    Operator,
    /// An admin at this address, who must still get in afterwards.
    At(IpAddr),
}

/// From where admins may call.
#[async_trait]
pub trait Networks: Send + Sync {
    /// Whether the list admits this address now.
    async fn allows(&self, address: IpAddr) -> bool;

    /// The list as it is in force.
    ///
    /// # Errors
    /// [`Fault::Unavailable`].
    async fn list(&self) -> Result<AllowList, Fault>;

    /// Replaces what was set at run time, if the list still has the revision; in force at once on this node, on others
    /// within `admin.networks_refresh`.
    ///
    /// # Errors
    /// [`Fault::Conflict`] when it would lock the changer out, or when somebody else changed the list meanwhile;
    /// [`Fault::Invalid`], [`Fault::TooMany`], [`Fault::Unavailable`].
    async fn replace(
        &self,
        changer: Changer,
        revision: u64,
        order: Vec<NetworkOrder>,
    ) -> Result<AllowList, Fault>;
}

/// Bounds of the allow-list.
#[derive(Clone, Debug)]
pub struct NetworksConfig {
    /// Networks of the configuration.
    pub configured: Vec<Network>,
    /// Most entries that can be set at run time.
    pub stored_max: usize,
    /// How old what is known of the store's list may be.
    pub refresh: Duration,
}

/// The allow-list over the store.
pub struct AdminAllowList {
    store: Store,
    config: NetworksConfig,
    known: RwLock<Option<Known>>,
}

/// What the store said last, and when.
struct Known {
    list: Arc<AdminNetworks>,
    at: Instant,
}

impl AdminAllowList {
    /// Over a store.
    #[must_use]
    pub fn new(store: Store, config: NetworksConfig) -> Self {
        Self { store, config, known: RwLock::new(None) }
    }

    fn known(&self) -> Option<(Arc<AdminNetworks>, Duration)> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().map(|known| (Arc::clone(&known.list), known.at.elapsed()))
    }

    /// Of two looks at the store the one with the higher revision counts, whichever came back first.
    fn learn(&self, list: AdminNetworks, at: Instant) -> Arc<AdminNetworks> {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        match known.as_mut().filter(|known| known.list.revision > list.revision) {
            Some(newer) => Arc::clone(&newer.list),
            None => {
                let list = Arc::new(list);
                *known = Some(Known { list: Arc::clone(&list), at });
                list
            }
        }
    }

    async fn look(&self) -> Result<Arc<AdminNetworks>, Fault> {
        let at = Instant::now();
        Ok(self.learn(self.store.admin_networks().await?, at))
    }

    /// The networks that are in force beside the operator's.
    fn in_force(&self, stored: &[StoredNetwork]) -> Vec<AllowedNetwork> {
        let named =
            |network: Network, note: &str, source| AllowedNetwork { network, note: note.to_owned(), source };
        let configured = self.config.configured.iter();
        let mut items: Vec<AllowedNetwork> =
            configured.map(|net| named(*net, CONFIGURED_NOTE, NetworkSource::Configuration)).collect();
        items.extend(stored.iter().map(|entry| named(entry.network, &entry.note, NetworkSource::Stored)));
        if items.is_empty() {
            items.extend(Network::LOOPBACK.map(|net| named(net, DEFAULT_NOTE, NetworkSource::Default)));
        }
        items
    }

    fn shown(&self, list: &AdminNetworks) -> AllowList {
        let operator = Network::LOOPBACK.map(|network| AllowedNetwork {
            network,
            note: OPERATOR_NOTE.to_owned(),
            source: NetworkSource::Permanent,
        });
        let items = operator.into_iter().chain(self.in_force(&list.networks)).collect();
        AllowList { revision: list.revision, items }
    }

    fn checked(&self, order: Vec<NetworkOrder>) -> Result<Vec<StoredNetwork>, Fault> {
        if order.len() > self.config.stored_max {
            let detail = format!("an allow-list has at most {} networks", self.config.stored_max);
            return Err(Fault::invalid("/networks", detail));
        }
        let mut networks: Vec<StoredNetwork> = Vec::with_capacity(order.len());
        for entry in order {
            let note = entry.note.trim().to_owned();
            if note.chars().count() > NOTE_MAX || note.chars().any(char::is_control) {
                return Err(Fault::invalid(
                    "/networks",
                    format!("a note is one line of at most {NOTE_MAX} characters"),
                ));
            }
            if networks.iter().any(|known| known.network == entry.network) {
                return Err(Fault::invalid("/networks", format!("{} is there twice", entry.network)));
            }
            networks.push(StoredNetwork { network: entry.network, note });
        }
        Ok(networks)
    }
}

#[async_trait]
impl Networks for AdminAllowList {
    async fn allows(&self, address: IpAddr) -> bool {
        let list = match self.known() {
            Some((list, age)) if age < self.config.refresh => list,
            known => match (self.look().await, known) {
                (Ok(list), _) => list,
                (Err(error), Some((list, _))) => {
                    tracing::warn!(%error, "allow-list cannot be read, the one known last counts");
                    list
                }
                (Err(error), None) => {
                    tracing::warn!(%error, "allow-list cannot be read, nobody is admitted");
                    return false;
                }
            },
        };
        self.in_force(&list.networks).iter().any(|entry| entry.network.contains(address))
    }

    async fn list(&self) -> Result<AllowList, Fault> {
        Ok(self.shown(self.look().await?.as_ref()))
    }

    async fn replace(
        &self,
        changer: Changer,
        revision: u64,
        order: Vec<NetworkOrder>,
    ) -> Result<AllowList, Fault> {
        let networks = self.checked(order)?;
        if let Changer::At(address) = changer
            && !self.in_force(&networks).iter().any(|entry| entry.network.contains(address))
        {
            return Err(Fault::Conflict(format!(
                "this list would lock you out: your address {address} is in none of its networks"
            )));
        }
        let at = Instant::now();
        let revision = self.store.set_admin_networks(revision, networks.clone()).await?;
        let mut networks = networks;
        networks.sort_by_key(|entry| entry.network.to_string());
        let list = self.learn(AdminNetworks { revision, networks }, at);
        Ok(self.shown(&list))
    }
}
