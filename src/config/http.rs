//! Section `http`: where the API listens and what it bounds.

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::check::Check;
use super::networks;
use super::origins::Origins;
use super::units::{self, ByteSize};
use crate::network::Network;

/// The HTTP server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpConfig {
    /// Address and port of the API; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Where metrics are served, on this machine only; none serves none. Port 0 picks a free one.
    #[serde(deserialize_with = "units::address")]
    pub metrics_listen: Option<SocketAddr>,
    /// Whether an address outside loopback is meant.
    pub allow_public: bool,
    /// Proxies whose word about the caller's address counts.
    #[serde(deserialize_with = "networks::list")]
    pub trusted_proxies: Vec<Network>,
    /// Longest chain of trusted proxies.
    pub proxy_hops_max: NonZeroUsize,
    /// Threads that serve requests.
    pub workers: NonZeroUsize,
    /// Open connections, all workers together.
    pub connections_max: NonZeroUsize,
    /// Connections that wait to be accepted.
    pub backlog: NonZeroU32,
    /// Longest request body.
    pub body_max: ByteSize,
    /// Longest time for a request's head to arrive.
    #[serde(deserialize_with = "units::positive")]
    pub head_timeout: Duration,
    /// Longest time for a request's body to arrive.
    #[serde(deserialize_with = "units::positive")]
    pub body_timeout: Duration,
    /// Longest time for an answer to be made.
    #[serde(deserialize_with = "units::positive")]
    pub answer_timeout: Duration,
    /// How long an idle connection is kept.
    #[serde(deserialize_with = "units::positive")]
    pub keep_alive: Duration,
    /// How long running requests may take after the server was told to stop.
    #[serde(deserialize_with = "units::positive")]
    pub stop_deadline: Duration,
    /// Origins whose pages may read answers.
    pub cors_origins: Origins,
    /// Whether a proxy that speaks TLS stands before an address outside loopback.
    pub behind_proxy: bool,
    /// TLS by the daemon itself.
    pub tls: TlsConfig,
}

/// TLS by the daemon itself.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// Certificate chain, PEM.
    #[serde(deserialize_with = "units::path")]
    pub cert_file: Option<PathBuf>,
    /// The private key that belongs to it, PEM.
    #[serde(deserialize_with = "units::path")]
    pub key_file: Option<PathBuf>,
    /// Between two looks at the files.
    #[serde(deserialize_with = "units::positive")]
    pub reload_interval: Duration,
    /// Longest time for a handshake.
    #[serde(deserialize_with = "units::positive")]
    pub handshake_timeout: Duration,
    /// Handshakes under way at once, of one worker.
    pub handshakes_max: NonZeroUsize,
}

impl HttpConfig {
    pub(super) fn check(&self, check: &mut Check<'_>) {
        check.refuse_if(
            !self.listen.ip().is_loopback() && !self.allow_public,
            "http.listen",
            "it is not a loopback address: set http.allow_public to true when the network may reach the API",
        );
        check.refuse_if(
            self.metrics_listen.is_some_and(|address| !address.ip().is_loopback()),
            "http.metrics_listen",
            "metrics are served without sign-in, so it must be a loopback address: a scraper elsewhere comes through a \
             proxy of yours",
        );
        check.refuse_if(
            self.metrics_listen.is_some_and(|address| address == self.listen && address.port() != 0),
            "http.metrics_listen",
            "it must be another port than that of http.listen",
        );
        check.refuse_if(
            self.tls.cert_file.is_some() != self.tls.key_file.is_some(),
            "http.tls.cert_file",
            "certificate and key go together: give http.tls.cert_file and http.tls.key_file, or neither",
        );
        let open = !self.listen.ip().is_loopback() && self.allow_public;
        check.refuse_if(
            open && !self.behind_proxy && self.tls.cert_file.is_none(),
            "http.listen",
            "tokens would cross the network in the open: give http.tls.cert_file and http.tls.key_file, or set \
             http.behind_proxy to true when a proxy that speaks TLS stands before it",
        );
        check.refuse_if(
            self.connections_max < self.workers,
            "http.connections_max",
            "it must be at least http.workers",
        );
    }
}
