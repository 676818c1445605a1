//! The HTTP actor in a real tree: it serves, restarts in place on the same port, and drains.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use reqwest::Method;
use switchyard::clock::SystemClock;
use switchyard::crypto::{SystemRng, install_ring_provider};
use switchyard::http::problem::ProblemCode;
use switchyard::http::{HttpActor, HttpArgs, HttpState};
use switchyard::services::metrics::{Metrics, OPEN_METRICS};
use switchyard::services::operator::OperatorAccess;
use switchyard_actors::ports::Clock;
use switchyard_actors::supervision::{ChildPath, ChildSpec, NoSink, NodeState, Runtime, RuntimeConfig};

use crate::http_support::{DEADLINE, FakeAdmin, http_config, problem, services};

struct System {
    runtime: Runtime,
    address: SocketAddr,
    state: Arc<HttpState>,
}

fn system() -> System {
    system_with(None)
}

fn system_with(metrics: Option<Arc<TcpListener>>) -> System {
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
        metrics,
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
async fn metrics_have_a_socket_of_their_own() {
    let socket = || Arc::new(TcpListener::bind("127.0.0.1:0").unwrap());
    let system = system_with(Some(socket()));
    system.runtime.start().await;
    let path = ChildPath::parse("http").unwrap();
    let tree = system.runtime.tree();
    let address = tree.view(&path).unwrap().observable["metrics"].as_str().unwrap().to_owned();
    let client = reqwest::Client::builder().timeout(DEADLINE).no_proxy().build().unwrap();
    let ask =
        async |method: Method, at: &str| client.request(method, format!("http://{at}")).send().await.unwrap();
    let metrics = format!("{address}/metrics");
    assert_eq!(
        problem(ask(Method::GET, &metrics).await).await.code,
        ProblemCode::NotReady,
        "there is no tree yet"
    );
    let measured = Arc::new(Metrics::new());
    measured.watch(tree.clone(), || 7, Arc::new(FakeAdmin::with_paths(&["root"])));
    system.state.measure(measured);
    let answer = ask(Method::GET, &metrics).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], OPEN_METRICS);
    assert_eq!(answer.headers()["cache-control"], "no-store");
    assert!(answer.headers().contains_key("x-request-id"));
    let text = answer.text().await.unwrap();
    assert!(text.ends_with("\n# EOF\n"), "{text}");
    for line in [
        "# TYPE switchyard_supervision_children gauge",
        "switchyard_supervision_children{kind=\"http\",state=\"running\"} 1",
        "switchyard_supervision_mailbox_messages{kind=\"http\"} 0",
        "switchyard_supervision_starts_total{kind=\"http\"} 1",
        "switchyard_supervision_failures_total{kind=\"http\",phase=\"handler\"} 0",
        "switchyard_daemon_alerts_lost_total 7",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    let head = ask(Method::HEAD, &metrics).await;
    assert_eq!((head.status().as_u16(), head.text().await.unwrap().as_str()), (200, ""));
    // Nothing else is there, and metrics are nowhere else.
    let refused = ask(Method::POST, &metrics).await;
    assert_eq!(refused.headers()["allow"], "GET, HEAD");
    assert_eq!(problem(refused).await.code, ProblemCode::MethodNotAllowed);
    for (at, code) in [
        (format!("{metrics}?name=up"), ProblemCode::InvalidRequest),
        (format!("{address}/healthz"), ProblemCode::NotFound),
        (format!("{address}/api/v1/admin/supervision"), ProblemCode::NotFound),
        (format!("{}/metrics", system.address), ProblemCode::NotFound),
    ] {
        assert_eq!(problem(ask(Method::GET, &at).await).await.code, code, "{at}");
    }
    tree.restart(&path).unwrap();
    let again = async {
        while !tree.view(&path).is_some_and(|view| view.epoch == 2 && view.state == NodeState::Running) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, again).await.unwrap();
    assert_eq!(ask(Method::GET, &metrics).await.status(), 200, "on the same port");
    let report = tokio::time::timeout(DEADLINE, system.runtime.drain(DEADLINE)).await.unwrap();
    assert!(report.is_clean(), "{report:?}");
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
