//! TLS of the server: certificate and key from files, read anew when they change; a pair that does not fit is not taken.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use ring::digest::{SHA256, digest};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedProtocolVersion};
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use zeroize::Zeroizing;

use crate::config::TlsConfig;

/// What is spoken: nothing that is deprecated (RFC 8996).
const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];

/// Why certificate and key cannot be used. Texts name files and never hold anything of the key.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{file} cannot be read: {source}")]
    Io {
        /// The file.
        file: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The chain holds no certificate, or something else.
    #[error("{0} holds no certificate chain in PEM")]
    NoChain(String),
    /// The key is none.
    #[error("{0} holds no private key in PEM")]
    NoKey(String),
    /// They do not belong together, or the key is of a kind that is not taken.
    #[error("certificate and key do not fit: {0}")]
    Mismatch(String),
    /// The library refuses its own defaults.
    #[error("TLS cannot be set up: {0}")]
    Setup(String),
}

/// Certificate, key and what is spoken with them.
pub struct ServerTls {
    files: Files,
    interval: Duration,
    current: Arc<Current>,
    config: Arc<ServerConfig>,
    /// What the files held when they were last looked at, and why that was not taken.
    seen: RwLock<(Seen, Option<String>)>,
}

#[derive(Clone, Debug)]
struct Files {
    chain: PathBuf,
    key: PathBuf,
}

/// What two files held, without being it.
type Seen = Vec<u8>;

impl ServerTls {
    /// Reads certificate and key; none where the configuration names none.
    ///
    /// # Errors
    /// [`TlsError`]
    pub fn load(config: &TlsConfig) -> Result<Option<Arc<Self>>, TlsError> {
        let (Some(chain), Some(key)) = (config.cert_file.clone(), config.key_file.clone()) else {
            return Ok(None);
        };
        let files = Files { chain, key };
        let (pair, seen) = files.read()?;
        let current = Arc::new(Current(RwLock::new(Arc::new(pair?))));
        let setup = ServerConfig::builder_with_provider(Arc::new(default_provider()));
        let setup = setup.with_protocol_versions(&VERSIONS);
        let setup = setup.map_err(|error| TlsError::Setup(error.to_string()))?;
        let mut server = setup.with_no_client_auth().with_cert_resolver(current.clone());
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Some(Arc::new(Self {
            files,
            interval: config.reload_interval,
            current,
            config: Arc::new(server),
            seen: RwLock::new((seen, None)),
        })))
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// What is wrong with the files, if the certificate in use is not the one in them.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        let seen = self.seen.read().unwrap_or_else(PoisonError::into_inner);
        seen.1
            .as_ref()
            .map(|why| format!("the TLS certificate was changed and is not taken, the old one stays: {why}"))
    }

    /// Looks at the files, and takes them if they changed and fit. Handshakes that are under way keep what they have.
    pub fn reload(&self) {
        let (taken, seen) = match self.files.read() {
            Ok((pair, seen)) => (pair, seen),
            Err(error) => (Err(error), Seen::new()),
        };
        let mut last = self.seen.write().unwrap_or_else(PoisonError::into_inner);
        if last.0 == seen && !(seen.is_empty() && last.1.is_none()) {
            return;
        }
        last.1 = match taken {
            Ok(pair) => {
                *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(pair);
                tracing::info!("a new TLS certificate is in use");
                None
            }
            Err(error) => {
                tracing::error!(%error, "a new TLS certificate is not taken, the old one stays");
                Some(error.to_string())
            }
        };
        last.0 = seen;
    }

    /// Looks again and again, and at once at SIGHUP. Ends only when signals cannot be waited for.
    pub async fn watch(self: Arc<Self>) -> std::io::Error {
        let mut hangup = match signal(SignalKind::hangup()) {
            Ok(hangup) => hangup,
            Err(error) => return error,
        };
        loop {
            tokio::select! {
                () = tokio::time::sleep(self.interval) => {}
                _ = hangup.recv() => {}
            }
            let tls = Arc::clone(&self);
            // A panic there would be ours; the next look comes all the same.
            let _looked = tokio::task::spawn_blocking(move || tls.reload()).await;
        }
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Files {
    /// What the files hold, and a digest by which a change is noticed.
    fn read(&self) -> Result<(Result<CertifiedKey, TlsError>, Seen), TlsError> {
        let read = |file: &PathBuf| {
            std::fs::read(file)
                .map(Zeroizing::new)
                .map_err(|source| TlsError::Io { file: file.display().to_string(), source })
        };
        let (chain, key) = (read(&self.chain)?, read(&self.key)?);
        let seen = [digest(&SHA256, &chain).as_ref(), digest(&SHA256, &key).as_ref()].concat();
        Ok((self.pair(&chain, &key), seen))
    }

    fn pair(&self, chain: &[u8], key: &[u8]) -> Result<CertifiedKey, TlsError> {
        let no_chain = || TlsError::NoChain(self.chain.display().to_string());
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
        let chain = chain.ok().filter(|chain| !chain.is_empty()).ok_or_else(no_chain)?;
        let key = PrivateKeyDer::from_pem_slice(key);
        let key = key.map_err(|_| TlsError::NoKey(self.key.display().to_string()))?;
        CertifiedKey::from_der(chain, key, &default_provider())
            .map_err(|error| TlsError::Mismatch(error.to_string()))
    }
}

/// The certificate of now.
#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}
