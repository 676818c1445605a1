//! TLS of the server: a chain of its own making, both versions, reload, a broken pair, slow and plain callers.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use switchyard::config::{Config, ConfigError, Flag, HttpConfig, Sources};
use switchyard::crypto::{SystemRng, install_ring_provider};
use switchyard::http::{HttpHandle, HttpState, ServerTls, TlsError, serve};
use switchyard::services::operator::OperatorAccess;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::http_support::{DEADLINE, FakeAdmin, Noon, services};

const REQUEST: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

/// A root that signs an intermediate that signs servers.
struct Authority {
    root: CertificateDer<'static>,
    between_pem: String,
    between: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let authority = || {
            let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            (params, KeyPair::generate().unwrap())
        };
        let (root_params, root_key) = authority();
        let root = root_params.self_signed(&root_key).unwrap();
        let root_issuer = Issuer::new(root_params, root_key);
        let (params, key) = authority();
        let between = params.signed_by(&key, &root_issuer).unwrap();
        Self { root: root.der().clone(), between_pem: between.pem(), between: Issuer::new(params, key) }
    }

    /// Writes a new chain and its key; answers the server's own certificate.
    fn issue(&self, folder: &Path) -> CertificateDer<'static> {
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let own = params.signed_by(&key, &self.between).unwrap();
        std::fs::write(folder.join("cert.pem"), own.pem() + &self.between_pem).unwrap();
        std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
        own.der().clone()
    }

    fn client(&self, versions: &[&'static SupportedProtocolVersion]) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).unwrap();
        let config = ClientConfig::builder_with_protocol_versions(versions);
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        TlsConnector::from(Arc::new(config))
    }
}

struct World {
    authority: Authority,
    folder: TempDir,
    first: CertificateDer<'static>,
    tls: Arc<ServerTls>,
    state: Arc<HttpState>,
    address: SocketAddr,
    handle: HttpHandle,
}

fn config(folder: &Path, more: &[(&'static str, &str)]) -> Result<HttpConfig, ConfigError> {
    let file = |name: &str| folder.join(name).display().to_string();
    let flag = |(key, value): (&'static str, String)| Flag { name: "--test", key, value };
    let files = [("http.tls.cert_file", file("cert.pem")), ("http.tls.key_file", file("key.pem"))];
    let more = more.iter().map(|(key, value)| (*key, (*value).to_owned()));
    let flags = files.into_iter().chain(more).map(flag).collect();
    Config::load(&Sources { flags, ..Sources::default() }).map(|config| config.http)
}

impl World {
    fn start(more: &[(&'static str, &str)]) -> Self {
        install_ring_provider();
        let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
        let first = authority.issue(folder.path());
        let config = config(folder.path(), more).unwrap();
        let tls = ServerTls::load(&config.tls).unwrap().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let access = OperatorAccess::generate(address, &SystemRng);
        let state = HttpState::migrating(&access, Arc::new(Noon), Arc::new(SystemRng));
        state.speak_tls(Arc::clone(&tls));
        state.serve_with(services(Arc::new(FakeAdmin::with_paths(&["root"]))));
        let server = serve(listener, Arc::clone(&state), &config).unwrap();
        let handle = server.handle();
        tokio::spawn(server.run());
        Self { authority, folder, first, tls, state, address, handle }
    }

    /// A request by TLS: the server's own certificate, what was agreed on, the answer.
    async fn ask(
        &self,
        versions: &[&'static SupportedProtocolVersion],
    ) -> (CertificateDer<'static>, Option<Vec<u8>>, String) {
        let exchange = async {
            let stream = TcpStream::connect(self.address).await.unwrap();
            let name = ServerName::try_from("localhost").unwrap();
            let mut stream = self.authority.client(versions).connect(name, stream).await.unwrap();
            stream.write_all(REQUEST).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            let connection = stream.get_ref().1;
            let own = connection.peer_certificates().unwrap()[0].clone().into_owned();
            (own, connection.alpn_protocol().map(<[u8]>::to_vec), answer)
        };
        tokio::time::timeout(DEADLINE, exchange).await.unwrap()
    }
}

#[actix_web::test]
async fn both_versions_and_nothing_but_http_1() {
    let world = World::start(&[]);
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let (own, protocol, answer) = world.ask(&[version]).await;
        assert_eq!((own, protocol.as_deref()), (world.first.clone(), Some(b"http/1.1".as_slice())));
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    world.handle.stop().await;
}

#[actix_web::test]
async fn plain_http_is_answered_on_this_machine() {
    let world = World::start(&[]);
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(REQUEST).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    world.handle.stop().await;
}

#[actix_web::test]
async fn a_changed_pair_is_taken_and_a_broken_one_is_not() {
    let world = World::start(&[]);
    let all = [&rustls::version::TLS13, &rustls::version::TLS12];
    world.tls.reload();
    assert_eq!(world.ask(&all).await.0, world.first, "nothing has changed");
    let second = world.authority.issue(world.folder.path());
    world.tls.reload();
    assert_eq!(world.ask(&all).await.0, second);
    let key = world.folder.path().join("key.pem");
    let breaks: [&dyn Fn(); 3] = [
        &|| std::fs::write(&key, KeyPair::generate().unwrap().serialize_pem()).unwrap(),
        &|| std::fs::write(&key, "no key at all").unwrap(),
        &|| std::fs::remove_file(&key).unwrap(),
    ];
    for broken in breaks {
        broken();
        world.tls.reload();
        assert_eq!(world.ask(&all).await.0, second, "the old one stays");
        let reasons = world.state.health().reasons;
        assert!(reasons.iter().any(|reason| reason.contains("TLS certificate")), "{reasons:?}");
        assert!(!reasons.iter().any(|reason| reason.contains("no key at all")), "{reasons:?}");
    }
    let third = world.authority.issue(world.folder.path());
    world.tls.reload();
    assert_eq!(world.ask(&all).await.0, third);
    assert_eq!(world.tls.trouble(), None);
    world.handle.stop().await;
}

#[actix_web::test]
async fn who_does_not_shake_hands_in_time_is_let_go_and_keeps_nobody_out() {
    let world = World::start(&[("http.tls.handshake_timeout", "300ms"), ("http.tls.handshakes_max", "1")]);
    // One says nothing, one begins a handshake and stops.
    let mut silent = TcpStream::connect(world.address).await.unwrap();
    let mut stuck = TcpStream::connect(world.address).await.unwrap();
    stuck.write_all(&[22, 3, 1]).await.unwrap();
    for stream in [&mut silent, &mut stuck] {
        let mut byte = [0_u8; 1];
        // An end or a reset: either way the connection is over.
        let over = tokio::time::timeout(DEADLINE, stream.read(&mut byte)).await.unwrap();
        assert!(matches!(over, Ok(0) | Err(_)), "{over:?}");
    }
    assert!(world.ask(&[&rustls::version::TLS13]).await.2.starts_with("HTTP/1.1 200 "));
    world.handle.stop().await;
}

#[actix_web::test]
async fn what_does_not_fit_is_no_start() {
    install_ring_provider();
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    authority.issue(folder.path());
    let load = || ServerTls::load(&config(folder.path(), &[]).unwrap().tls).map(|_| ());
    assert!(load().is_ok());
    std::fs::write(folder.path().join("key.pem"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    assert!(matches!(load(), Err(TlsError::Mismatch(_))));
    std::fs::write(folder.path().join("cert.pem"), "").unwrap();
    assert!(matches!(load(), Err(TlsError::NoChain(_))));
    std::fs::remove_file(folder.path().join("cert.pem")).unwrap();
    assert!(matches!(load(), Err(TlsError::Io { .. })));
}

#[test]
fn an_open_address_needs_tls_or_a_proxy() {
    let refused = |more: &[(&'static str, &str)]| {
        let flag =
            |(key, value): &(&'static str, &str)| Flag { name: "--test", key, value: (*value).to_owned() };
        let flags = more.iter().map(flag).collect();
        Config::load(&Sources { flags, ..Sources::default() }).map(|_| ()).map_err(|error| error.to_string())
    };
    let open = [("http.listen", "0.0.0.0:8080"), ("http.allow_public", "true")];
    let said = refused(&open).unwrap_err();
    assert!(said.contains("http.behind_proxy") && said.contains("http.tls.cert_file"), "{said}");
    assert_eq!(refused(&[open[0], open[1], ("http.behind_proxy", "true")]), Ok(()));
    let with_tls = [("http.tls.cert_file", "/etc/cert.pem"), ("http.tls.key_file", "/etc/key.pem")];
    assert_eq!(refused(&[open[0], open[1], with_tls[0], with_tls[1]]), Ok(()));
    assert!(refused(&[with_tls[0]]).unwrap_err().contains("go together"));
    assert_eq!(
        Duration::from_secs(10),
        Config::load(&Sources::default()).unwrap().http.tls.handshake_timeout
    );
}
