//! The HTTP actor in a real tree: it serves, restarts in place on the same port, and drains.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use switchyard::clock::SystemClock;
use switchyard::crypto::{SystemRng, install_ring_provider};
use switchyard::http::{HttpActor, HttpArgs, HttpState};
use switchyard::services::operator::OperatorAccess;
use switchyard_actors::ports::Clock;
use switchyard_actors::supervision::{ChildPath, ChildSpec, NoSink, NodeState, Runtime, RuntimeConfig};

use crate::http_support::{DEADLINE, FakeAdmin, http_config, services};

struct System {
    runtime: Runtime,
    address: SocketAddr,
    state: Arc<HttpState>,
}

fn system() -> System {
    install_ring_provider();
    let listener = Arc::new(TcpListener::bind("127.0.0.1:0").unwrap());
    let address = listener.local_addr().unwrap();
    let access = OperatorAccess::generate(address, &SystemRng);
    let state = HttpState::migrating(&access, Arc::new(SystemClock), Arc::new(SystemRng));
    state.serve_with(services(Arc::new(FakeAdmin::with_paths(&["root"]))));
    let clock = Arc::new(|| SystemClock.now());
    let runtime = Runtime::new(RuntimeConfig::default(), clock, Arc::new(NoSink)).unwrap();
    let args = HttpArgs {
        listener,
        state: Arc::clone(&state),
        config: http_config(&[("http.stop_deadline", "5s")]),
    };
    runtime.root().add::<HttpActor>(ChildSpec::new("http", args)).unwrap();
    System { runtime, address, state }
}

async fn status(address: SocketAddr) -> Option<u16> {
    let client = reqwest::Client::builder().timeout(DEADLINE).no_proxy().build().unwrap();
    client
        .get(format!("http://{address}/healthz"))
        .send()
        .await
        .ok()
        .map(|response| response.status().as_u16())
}

#[actix_web::test]
async fn it_serves_restarts_on_its_port_and_drains() {
    let system = system();
    system.runtime.start().await;
    assert_eq!(status(system.address).await, Some(200));

    let path = ChildPath::parse("http").unwrap();
    let tree = system.runtime.tree();
    assert_eq!(tree.view(&path).unwrap().observable["listen"], system.address.to_string());
    tree.restart(&path).unwrap();
    let again = async {
        while !tree.view(&path).is_some_and(|view| view.epoch == 2 && view.state == NodeState::Running) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, again).await.unwrap();
    assert_eq!(status(system.address).await, Some(200), "on the same port");

    let report = tokio::time::timeout(DEADLINE, system.runtime.drain(DEADLINE)).await.unwrap();
    assert!(report.is_clean(), "{report:?}");
    drop((system.runtime, tree));
    assert_eq!(status(system.address).await, None, "the port is free");
    let workers_gone = async {
        while Arc::strong_count(&system.state) > 1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, workers_gone).await.unwrap();
}
