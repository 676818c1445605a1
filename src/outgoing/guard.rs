//! The guard: a name is resolved once, every address it has is judged, and the connection goes to what was judged.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{ClientBuilder, Url};
use thiserror::Error;

use super::address::{NotPublic, public};
use crate::config::LimitsConfig;

/// What a guard lets pass beside the public internet, and how long it asks for a name.
#[derive(Clone, Debug)]
pub struct GuardConfig {
    /// Whether addresses of private networks, this machine's own among them, may be reached
    /// (`limits.private_targets`). Metadata services and groups are refused all the same.
    pub private_targets: bool,
    /// Exact addresses that may be reached whatever they are: those of the sandbox.
    pub allowed: BTreeSet<SocketAddr>,
    /// Longest time to resolve a name (`limits.lookup_timeout`).
    pub lookup_timeout: Duration,
}

impl GuardConfig {
    /// What the configuration says; in the sandbox, with its own addresses as `allowed`.
    #[must_use]
    pub fn new(limits: &LimitsConfig, allowed: BTreeSet<SocketAddr>) -> Self {
        Self { private_targets: limits.private_targets, allowed, lookup_timeout: limits.lookup_timeout }
    }
}

/// Why a target is not connected to. The text is for whoever gave the address and names nothing that they do not know.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TargetError {
    /// It leads where nobody may be sent.
    #[error("{host} cannot be used: {reason}")]
    NotPublic {
        /// The host as it was given.
        host: String,
        /// What its address is.
        reason: NotPublic,
    },
    /// The name has no address.
    #[error("{0} has no address")]
    Unknown(String),
    /// The name servers do not answer, or not in time.
    #[error("{0} cannot be looked up now: try again later")]
    Unavailable(String),
    /// The address has no host, or a scheme that is not spoken.
    #[error("the address must begin with https:// and name a host")]
    NoHost,
}

/// Looks names up. The system's own way is [`SystemNames`].
pub trait Names: Send + Sync {
    /// The addresses of a host, as the name servers say now.
    ///
    /// # Errors
    /// What the resolver says.
    fn look_up<'a>(&'a self, host: &'a str) -> BoxFuture<'a, std::io::Result<Vec<IpAddr>>>;
}

/// The operating system's resolver.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemNames;

impl Names for SystemNames {
    fn look_up<'a>(&'a self, host: &'a str) -> BoxFuture<'a, std::io::Result<Vec<IpAddr>>> {
        async move {
            let found = tokio::net::lookup_host((host, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        }
        .boxed()
    }
}

/// Decides where users may send us. Cloning shares it.
#[derive(Clone)]
pub struct OutgoingGuard {
    config: Arc<GuardConfig>,
    names: Arc<dyn Names>,
}

impl std::fmt::Debug for OutgoingGuard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutgoingGuard").field("config", &self.config).finish_non_exhaustive()
    }
}

impl OutgoingGuard {
    /// A guard over the system's resolver.
    #[must_use]
    pub fn new(config: GuardConfig) -> Self {
        Self::with_names(config, Arc::new(SystemNames))
    }

    /// A guard over another resolver.
    #[must_use]
    pub fn with_names(config: GuardConfig, names: Arc<dyn Names>) -> Self {
        Self { config: Arc::new(config), names }
    }

    /// The addresses of a host that a user gave, to be connected to as they are: a second look-up might answer otherwise.
    /// One address that must not be reached condemns the name.
    ///
    /// # Errors
    /// [`TargetError`]
    pub async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, TargetError> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let found = match bare.parse::<IpAddr>() {
            Ok(address) => vec![address],
            Err(_) => self.look_up(bare).await?,
        };
        let found: Vec<_> = found.into_iter().map(|address| SocketAddr::new(address, port)).collect();
        for address in &found {
            self.judge(host, *address)?;
        }
        Ok(found)
    }

    /// Whether a web address may be called, by [`Self::resolve`].
    ///
    /// # Errors
    /// [`TargetError`]
    pub async fn resolve_url(&self, url: &Url) -> Result<Vec<SocketAddr>, TargetError> {
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Err(TargetError::NoHost);
        };
        self.resolve(host, port).await
    }

    /// A builder of clients that connect to one web address and to what was judged of it, follow no redirect and use no
    /// proxy of the environment. Build one for each target.
    ///
    /// # Errors
    /// [`TargetError`]
    pub async fn pinned(&self, url: &Url) -> Result<ClientBuilder, TargetError> {
        let addresses = self.resolve_url(url).await?;
        let host = url.host_str().ok_or(TargetError::NoHost)?;
        Ok(ClientBuilder::new()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .resolve_to_addrs(host, &addresses)
            .dns_resolver(Arc::new(self.clone())))
    }

    async fn look_up(&self, host: &str) -> Result<Vec<IpAddr>, TargetError> {
        if host.is_empty() {
            return Err(TargetError::NoHost);
        }
        let found = tokio::time::timeout(self.config.lookup_timeout, self.names.look_up(host)).await;
        match found {
            Ok(Ok(found)) if found.is_empty() => Err(TargetError::Unknown(host.to_owned())),
            Ok(Ok(found)) => Ok(found),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a name was not resolved");
                Err(TargetError::Unknown(host.to_owned()))
            }
            Err(_) => Err(TargetError::Unavailable(host.to_owned())),
        }
    }

    fn judge(&self, host: &str, address: SocketAddr) -> Result<(), TargetError> {
        let canonical = SocketAddr::new(address.ip().to_canonical(), address.port());
        if self.config.allowed.contains(&canonical) {
            return Ok(());
        }
        let refused = |reason| TargetError::NotPublic { host: host.to_owned(), reason };
        match public(address.ip()) {
            Err(NotPublic::Loopback | NotPublic::Private) if self.config.private_targets => Ok(()),
            Err(reason) => Err(refused(reason)),
            Ok(()) => Ok(()),
        }
    }
}

/// For clients that look names up by themselves. The port is not known here, so the sandbox's addresses pass by
/// [`OutgoingGuard::pinned`] alone. A client does not ask for a host that is written as an address: judge its URL first.
impl Resolve for OutgoingGuard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let found = OutgoingGuard::resolve(&guard, name.as_str(), 0).await?;
            let addresses: Addrs = Box::new(found.into_iter());
            Ok(addresses)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn config() -> GuardConfig {
        let lookup_timeout = Duration::from_secs(5);
        GuardConfig { private_targets: false, allowed: BTreeSet::new(), lookup_timeout }
    }

    /// Answers each look-up with the next line; the last one stays.
    struct Script(Vec<&'static [&'static str]>, AtomicUsize);

    impl Names for Script {
        fn look_up<'a>(&'a self, _: &'a str) -> BoxFuture<'a, std::io::Result<Vec<IpAddr>>> {
            let turn = self.1.fetch_add(1, Ordering::Relaxed).min(self.0.len() - 1);
            let answer = self.0[turn].iter().map(|text| text.parse().unwrap()).collect();
            async move { Ok(answer) }.boxed()
        }
    }

    fn guard(config: GuardConfig, answers: Vec<&'static [&'static str]>) -> OutgoingGuard {
        OutgoingGuard::with_names(config, Arc::new(Script(answers, AtomicUsize::new(0))))
    }

    fn refused(host: &str, reason: NotPublic) -> Result<Vec<SocketAddr>, TargetError> {
        Err(TargetError::NotPublic { host: host.to_owned(), reason })
    }

    #[tokio::test]
    async fn a_name_is_judged_by_every_address_it_has() {
        let mixed = guard(config(), vec![&["8.8.8.8", "10.0.0.1"]]);
        assert_eq!(mixed.resolve("hooks.example", 443).await, refused("hooks.example", NotPublic::Private));
        let public = guard(config(), vec![&["8.8.8.8", "2606:4700::1"]]);
        let found = public.resolve("hooks.example", 443).await.unwrap();
        assert_eq!(found, ["8.8.8.8:443".parse().unwrap(), "[2606:4700::1]:443".parse().unwrap()]);
        let nothing = guard(config(), vec![&[]]);
        let unknown = Err(TargetError::Unknown("hooks.example".to_owned()));
        assert_eq!(nothing.resolve("hooks.example", 443).await, unknown);
    }

    #[tokio::test]
    async fn what_was_judged_is_what_is_connected_to() {
        crate::crypto::install_ring_provider();
        // The name servers say something public first and this machine afterwards.
        let guard = guard(config(), vec![&["192.0.2.1"], &["8.8.8.8"], &["127.0.0.1"]]);
        let url: Url = "https://rebind.example/".parse().unwrap();
        assert!(guard.pinned(&url).await.is_err(), "reserved");
        let client = guard.pinned(&url).await.unwrap();
        assert!(client.build().is_ok());
        let name: Name = "rebind.example".parse().unwrap();
        let again = Resolve::resolve(&guard, name).await;
        assert!(again.is_err(), "and a client that asks again is refused");
    }

    #[tokio::test]
    async fn numbers_in_every_spelling_are_numbers() {
        let guard = OutgoingGuard::new(config());
        for host in
            ["127.0.0.1", "[::1]", "::ffff:127.0.0.1", "127.1", "0x7f000001", "2130706433", "0177.0.0.1"]
        {
            assert_eq!(guard.resolve(host, 80).await, refused(host, NotPublic::Loopback), "{host}");
        }
        for url in ["http://127.1/", "http://0x7f.0.0.1/", "http://2130706433/", "http://[::ffff:7f00:1]/"] {
            assert!(guard.resolve_url(&url.parse().unwrap()).await.is_err(), "{url}");
        }
        assert_eq!(guard.resolve_url(&"data:x".parse().unwrap()).await, Err(TargetError::NoHost));
    }

    #[tokio::test]
    async fn the_sandbox_reaches_its_own_addresses_and_no_others() {
        let own: SocketAddr = "127.0.0.1:4000".parse().unwrap();
        let config = GuardConfig { allowed: BTreeSet::from([own]), ..config() };
        let guard = OutgoingGuard::new(config);
        assert_eq!(guard.resolve("127.0.0.1", 4000).await, Ok(vec![own]));
        assert!(guard.resolve("::ffff:127.0.0.1", 4000).await.is_ok());
        assert!(guard.resolve("127.0.0.1", 4001).await.is_err());
    }

    #[tokio::test]
    async fn private_targets_never_mean_metadata() {
        let config = GuardConfig { private_targets: true, ..config() };
        let guard = OutgoingGuard::new(config);
        assert!(guard.resolve("10.1.2.3", 1080).await.is_ok());
        assert!(guard.resolve("127.0.0.1", 1080).await.is_ok());
        let metadata = guard.resolve("169.254.169.254", 80).await;
        assert_eq!(metadata, refused("169.254.169.254", NotPublic::Metadata));
    }

    /// Never answers.
    struct Silent;

    impl Names for Silent {
        fn look_up<'a>(&'a self, _: &'a str) -> BoxFuture<'a, std::io::Result<Vec<IpAddr>>> {
            std::future::pending().boxed()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_name_server_is_not_waited_for() {
        let guard = OutgoingGuard::with_names(config(), Arc::new(Silent));
        let answer = guard.resolve("slow.example", 443).await;
        assert_eq!(answer, Err(TargetError::Unavailable("slow.example".to_owned())));
    }
}
