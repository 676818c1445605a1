//! Metrics of the daemon, as a scraper reads them: a registry that each part of the daemon adds a section to.
//!
//! Labels are words that the program knows (kinds, states, causes), never ids: the number of series does not grow with users.

mod tree;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use switchyard_actors::supervision::Tree;

use super::admin::Admin;

/// What every name begins with.
const PREFIX: &str = "switchyard";

/// The media type of what [`Metrics::text`] answers.
pub const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics of one daemon.
#[derive(Debug)]
pub struct Metrics {
    registry: RwLock<Registry>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Metrics that tell the version and nothing else yet.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The program", build);
        Self { registry: RwLock::new(registry) }
    }

    /// Adds metrics whose names begin with that of a section, such as `switchyard_supervision_…`.
    pub fn add(&self, section: &str, collector: impl Collector) {
        let mut registry = self.registry.write().unwrap_or_else(PoisonError::into_inner);
        registry.sub_registry_with_prefix(section).register_collector(Box::new(collector));
    }

    /// Adds what is known of the supervision tree and of the daemon's health.
    pub fn watch(
        &self,
        tree: Tree,
        alerts_lost: impl Fn() -> u64 + Send + Sync + 'static,
        admin: Arc<dyn Admin>,
    ) {
        self.add("supervision", tree::TreeMetrics::new(tree));
        self.add("daemon", tree::DaemonMetrics::new(admin, Box::new(alerts_lost)));
    }

    /// Everything as it is now, as [`OPEN_METRICS`].
    ///
    /// # Errors
    /// A collector could not write itself.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let registry = self.registry.read().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        encode(&mut text, &registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_without_sections_tells_its_version() {
        let text = Metrics::new().text().unwrap();
        let line = format!("switchyard_build_info{{version=\"{}\"}} 1\n", env!("CARGO_PKG_VERSION"));
        assert!(text.contains(&line) && text.ends_with("# EOF\n"), "{text}");
    }
}
