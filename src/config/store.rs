//! Section `store`: the database, and the lease under which this node works in it.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::check::Check;
use super::secret::{self, Secret};
use super::units;

/// The database.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreConfig {
    /// `postgres://…`; none means SQLite in the data folder. It may hold a password.
    #[serde(deserialize_with = "secret::maybe")]
    pub url: Option<Secret>,
    /// File that holds the URL.
    #[serde(deserialize_with = "units::path")]
    pub url_file: Option<PathBuf>,
    /// Connections: readers beside the one writer on SQLite, all of them on PostgreSQL.
    pub connections: NonZeroU32,
    /// Longest wait for a free connection.
    #[serde(deserialize_with = "units::positive")]
    pub acquire_timeout: Duration,
    /// Longest wait for another process's lock on the database.
    #[serde(deserialize_with = "units::positive")]
    pub busy_timeout: Duration,
    /// Events written in one transaction at intake.
    pub intake_chunk: NonZeroU32,
    /// How long this node's lease lasts.
    #[serde(deserialize_with = "units::positive")]
    pub lease_ttl: Duration,
    /// How often it is renewed.
    #[serde(deserialize_with = "units::positive")]
    pub lease_renew: Duration,
    /// How long before its end sends stop.
    #[serde(deserialize_with = "units::positive")]
    pub lease_margin: Duration,
}

/// SQLite counts it in milliseconds of a C int; long before that a daemon that waits looks like one that hangs.
const BUSY_TIMEOUT_MAX: Duration = Duration::from_secs(60);

impl StoreConfig {
    pub(super) fn check(&mut self, check: &mut Check<'_>) {
        check.secret("store.url", &mut self.url, self.url_file.as_ref());
        let known = |url: &str| url.starts_with("postgres://") || url.starts_with("postgresql://");
        check.refuse_if(
            self.url.as_ref().is_some_and(|url| !known(url.expose())),
            "store.url",
            "it must begin with postgres:// (leave it empty for SQLite in the data folder)",
        );
        check.refuse_if(
            self.busy_timeout > BUSY_TIMEOUT_MAX,
            "store.busy_timeout",
            "it must be at most \"60s\": whoever waits for the store waits as long",
        );
        check.refuse_if(
            self.lease_renew * 2 + self.lease_margin > self.lease_ttl,
            "store.lease_ttl",
            "it must leave room for two renewals and the margin, else one slow renewal stops all sends",
        );
    }
}
