//! Accounts with a proxy of their own: everything goes through it, and nothing goes at all when it is down.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use reqwest::{Method, StatusCode};
use serde_json::json;
use switchyard_sandbox::SandboxConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::account_changes::{call, get};
use crate::harness::daemon::{Daemon, DataDir, World, eventually};
use crate::harness::operator::{add_pair, seeded, webhook};

/// A SOCKS5 server (RFC 1928, RFC 1929) that asks for a name and a password, and remembers where it was sent.
struct Socks {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    asked: Arc<Mutex<Vec<String>>>,
    serving: JoinHandle<()>,
    tunnels: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Socks {
    async fn start() -> Self {
        Self::on("127.0.0.1:0".parse().unwrap()).await
    }

    async fn on(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.expect("a port");
        let address = listener.local_addr().unwrap();
        let accepted: Arc<AtomicUsize> = Arc::default();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let tunnels: Arc<Mutex<Vec<JoinHandle<()>>>> = Arc::default();
        let served = (Arc::clone(&accepted), Arc::clone(&asked), Arc::clone(&tunnels));
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                served.0.fetch_add(1, Ordering::SeqCst);
                let asked = Arc::clone(&served.1);
                let tunnel = tokio::spawn(async move {
                    let _ = tunnel(stream, &asked).await;
                });
                served.2.lock().unwrap().push(tunnel);
            }
        });
        Self { address, accepted, asked, serving, tunnels }
    }

    fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// Takes no more connections, and ends those that stand.
    async fn stop(self) {
        self.serving.abort();
        let _ = self.serving.await;
        let tunnels: Vec<_> = std::mem::take(&mut *self.tunnels.lock().unwrap());
        for tunnel in tunnels {
            tunnel.abort();
            let _ = tunnel.await;
        }
    }
}

/// What a proxied account is told to use.
fn settings(address: SocketAddr) -> serde_json::Value {
    json!({ "proxy": {
        "host": address.ip().to_string(), "port": address.port(), "user": "ada", "password": "proxy-s3cret",
    } })
}

async fn tunnel(mut stream: TcpStream, asked: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let refused = || std::io::Error::other("refused");
    let mut head = [0; 2];
    stream.read_exact(&mut head).await?;
    let mut methods = vec![0; usize::from(head[1])];
    stream.read_exact(&mut methods).await?;
    if !methods.contains(&2) {
        stream.write_all(&[5, 0xff]).await?;
        return Err(refused());
    }
    stream.write_all(&[5, 2]).await?;
    let mut texts = Vec::new();
    stream.read_exact(&mut head[..1]).await?;
    for _ in 0..2 {
        let mut length = [0];
        stream.read_exact(&mut length).await?;
        let mut text = vec![0; usize::from(length[0])];
        stream.read_exact(&mut text).await?;
        texts.push(text);
    }
    let known = texts == [b"ada".to_vec(), b"proxy-s3cret".to_vec()];
    stream.write_all(&[1, u8::from(!known)]).await?;
    if !known {
        return Err(refused());
    }
    let mut request = [0; 4];
    stream.read_exact(&mut request).await?;
    let host = match request[3] {
        1 => {
            let mut ip = [0; 4];
            stream.read_exact(&mut ip).await?;
            std::net::Ipv4Addr::from(ip).to_string()
        }
        3 => {
            let mut length = [0];
            stream.read_exact(&mut length).await?;
            let mut name = vec![0; usize::from(length[0])];
            stream.read_exact(&mut name).await?;
            String::from_utf8_lossy(&name).into_owned()
        }
        _ => return Err(refused()),
    };
    let port = stream.read_u16().await?;
    asked.lock().unwrap().push(format!("{host}:{port}"));
    let mut target = TcpStream::connect((host.as_str(), port)).await?;
    stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    tokio::io::copy_bidirectional(&mut stream, &mut target).await?;
    Ok(())
}

async fn status(data: &DataDir, account: &str) -> String {
    let view = get(data, &format!("/api/v1/accounts/{account}")).await;
    view["health"]["status"].as_str().expect("a status").to_owned()
}

async fn becomes(data: &DataDir, account: &str, wanted: &str) {
    eventually(&format!("{account} to be {wanted}"), || async {
        (status(data, account).await == wanted).then_some(())
    })
    .await;
}

daemon_on_both_databases! {
    async fn a_telegram_user_goes_through_its_proxy_or_nowhere(data) {
        let world = World::start(SandboxConfig::default()).await;
        let _daemon = Daemon::start(&world, &data).await;
        let pair = world.pairs().into_iter().find(|pair| pair.source.platform == "telegram").expect("a pair");
        let user = pair.source.account.clone();
        let path = format!("/api/v1/accounts/{user}");
        let socks = Socks::start().await;
        let (changed, view) = call(&data, Method::PATCH, &path, Some(&settings(socks.address))).await;
        assert_eq!((changed, &view["proxied"]), (StatusCode::OK, &json!(true)), "{view}");
        becomes(&data, &user, "connected").await;
        world.write_text(&pair.source, "through the proxy").await;
        assert_eq!(world.wait_for(&pair.target, 1).await, ["through the proxy"]);
        let telegram = world.sandbox.telegram_address().to_string();
        let asked = socks.asked();
        assert!(!asked.is_empty() && asked.iter().all(|target| *target == telegram), "{asked:?}");
        // Down: the session is lost, and it does not come back by another way.
        let address = socks.address;
        socks.stop().await;
        becomes(&data, &user, "retrying").await;
        world.write_text(&pair.source, "while it is down").await;
        let direct = call(&data, Method::POST, &format!("{path}/reconnect"), None).await;
        assert_eq!(direct.0, StatusCode::ACCEPTED);
        becomes(&data, &user, "retrying").await;
        assert_eq!(world.texts(&pair.target).await, ["through the proxy"]);
        let socks = Socks::on(address).await;
        assert_eq!(world.wait_for(&pair.target, 2).await, ["through the proxy", "while it is down"]);
        assert!(socks.accepted() > 0);
        let log = data.read_log();
        assert!(!log.contains("proxy-s3cret"), "the proxy's password is in the log");
        let (_, without) = call(&data, Method::PATCH, &path, Some(&json!({ "proxy": null }))).await;
        assert_eq!(without["proxied"], false);
        becomes(&data, &user, "connected").await;
    }

    async fn a_webhook_goes_through_its_proxy_or_nowhere(data) {
        let world = World::start(SandboxConfig::default()).await;
        let _daemon = Daemon::start(&world, &data).await;
        let hook = webhook(&world, 0);
        let source = world.pairs().remove(0).source;
        let pair = add_pair(&data, source, hook.clone()).await;
        let socks = Socks::start().await;
        let path = format!("/api/v1/accounts/{}", hook.account);
        call(&data, Method::PATCH, &path, Some(&settings(socks.address))).await;
        becomes(&data, &hook.account, "connected").await;
        world.write_text(&pair.source, "one").await;
        assert_eq!(world.wait_for(&pair.target, 1).await, ["one"]);
        let before = socks.accepted();
        assert!(before > 0, "nothing went through the proxy");
        let address = socks.address;
        socks.stop().await;
        world.write_text(&pair.source, "two").await;
        call(&data, Method::POST, &format!("{path}/reconnect"), None).await;
        becomes(&data, &hook.account, "retrying").await;
        assert_eq!(world.texts(&pair.target).await, ["one"], "nothing goes past a proxy that is down");
        let _socks = Socks::on(address).await;
        assert_eq!(world.wait_for(&pair.target, 2).await, ["one", "two"]);
    }

    async fn an_account_is_connected_through_its_proxy_from_the_first_request_on(data) {
        let world = World::start(SandboxConfig::default()).await;
        let _daemon = Daemon::start(&world, &data).await;
        let hook = seeded(&world, "discord_webhook", 0);
        let socks = Socks::start().await;
        let proxy = settings(socks.address)["proxy"].clone();
        let order = |proxy: serde_json::Value| json!({ "kind": "discord_webhook", "url": hook["url"], "proxy": proxy });
        let (status, _) = call(&data, Method::POST, "/api/v1/accounts", Some(&order(proxy.clone()))).await;
        assert_eq!(status, StatusCode::OK);
        assert!(socks.accepted() > 0);
        let mut wrong = proxy;
        wrong["password"] = json!("another");
        let (status, problem) = call(&data, Method::POST, "/api/v1/accounts", Some(&order(wrong))).await;
        assert_eq!((status, &problem["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("platform_unreachable")));
        let login = json!({ "method": "qr", "proxy": settings(socks.address)["proxy"] });
        let before = socks.accepted();
        let (status, begun) =
            call(&data, Method::POST, "/api/v1/accounts/telegram/logins", Some(&login)).await;
        assert_eq!((status, &begun["state"]), (StatusCode::CREATED, &json!("scan")), "{begun}");
        assert!(socks.accepted() > before, "the sign-in went past the proxy");
    }
}
