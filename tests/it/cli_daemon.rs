//! The verbs that ask a running daemon, over real sockets: what they print, and how they end.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::fs;

use serde_json::{Value, json};
use switchyard::cli::ExitCode;
use switchyard::services::admin::{AdminError, Health};
use switchyard::services::operator::{ADDRESS_FILE, TOKEN_FILE};
use switchyard_actors::supervision::{NodeView, Verdict};
use tempfile::TempDir;

use crate::cli_support::{Done, switchyard};
use crate::http_support::{FakeAdmin, Harness, node, noon};

const ACCOUNT: &str = "0193a0b0-0000-7000-8000-000000000001";

fn parked(path: &str) -> NodeView {
    let mut node = serde_json::to_value(node(path)).unwrap();
    let change = json!({
        "state": "parked", "reason": "6 restarts in 60 s", "next_attempt": "2026-11-22T12:30:00Z", "epoch": 7,
        "shard": 1, "restarts_total": 6, "restarts_in_window": 6,
        "last_failure": {
            "at": "2026-11-22T11:00:00Z", "phase": "handler", "message": "Wake", "text": "no such chat",
            "location": "actors/src/tree/pair.rs:120", "count": 6,
        },
    });
    node.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    serde_json::from_value(node).unwrap()
}

/// A server and the data folder of its daemon.
fn daemon(admin: FakeAdmin) -> (Harness, TempDir) {
    let harness = Harness::start(admin);
    let folder = TempDir::new().unwrap();
    harness.access.publish(folder.path()).unwrap();
    (harness, folder)
}

async fn run(folder: &TempDir, arguments: &[&str]) -> Done {
    let folder = folder.path().to_str().unwrap();
    switchyard(&[arguments, &["--data-dir", folder]].concat()).await
}

#[actix_web::test]
async fn status_shows_the_tree_as_a_table() {
    let mut admin = FakeAdmin::with_paths(&["root", "pairs", "throttles"]);
    admin.nodes.push(parked("pairs/broken"));
    *admin.health.lock().unwrap() = Health {
        live: true,
        ready: true,
        verdict: Verdict::Yellow,
        reasons: vec!["pairs: 1 of 1 children parked".into()],
    };
    let (harness, folder) = daemon(admin);
    let done = run(&folder, &["status"]).await;
    assert_eq!((done.code, done.err.as_str()), (ExitCode::Ok, ""));
    let lines: Vec<&str> = done.out.lines().collect();
    assert_eq!(
        lines[..2],
        ["ready, yellow; 4 actors shown: 3 running, 1 parked", "  pairs: 1 of 1 children parked"]
    );
    let table = [
        "PATH          KIND  STATE    SINCE            EPOCH  RESTARTS  RECENT  QUEUED  NEXT             FAILED AT                           WHY",
        "root          pair  running  11-22 11:00:00Z  1      2         0       3",
        "pairs         pair  running  11-22 11:00:00Z  1      2         0       3",
        "pairs/broken  pair  parked   11-22 11:00:00Z  7      6         6       3       11-22 12:30:00Z  actors/src/tree/pair.rs:120 (6x)    6 restarts in 60 s",
        "throttles     pair  running  11-22 11:00:00Z  1      2         0       3",
    ];
    assert_eq!(
        lines[3..],
        table.map(|line| line
            .replace("(6x)    ", "(6x)  ")
            .replace("FAILED AT                           ", "FAILED AT                         "))
    );
    harness.stop().await;
}

#[actix_web::test]
async fn status_shows_a_part_of_the_tree() {
    let mut admin = FakeAdmin::with_paths(&["root", "pairs", "pairs/well", "throttles"]);
    admin.nodes.extend([parked("pairs/broken"), parked("throttles/full")]);
    let (harness, folder) = daemon(admin);
    let paths = async |arguments: &[&str]| {
        let done = run(&folder, &[&["status", "--json"], arguments].concat()).await;
        assert_eq!((done.code, done.err.as_str()), (ExitCode::Ok, ""));
        let status: Value = serde_json::from_str(&done.out).unwrap();
        let items = status["items"].as_array().unwrap();
        items.iter().map(|node| node["path"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(paths(&["pairs"]).await, ["pairs", "pairs/broken", "pairs/well"]);
    assert_eq!(paths(&["--prefix", "pairs"]).await, ["pairs", "pairs/broken", "pairs/well"]);
    assert_eq!(paths(&["--state", "parked"]).await, ["pairs/broken", "throttles/full"]);
    assert_eq!(paths(&["--prefix", "pairs", "--state", "parked"]).await, ["pairs/broken"]);
    assert!(paths(&["--prefix", "pairs", "--state", "draining"]).await.is_empty());
    for (arguments, complaint) in [
        (
            ["--state", "sleeping"].as_slice(),
            "starting, running, backoff, parked, suspended, draining, stopped",
        ),
        (&["--prefix", "a//b"], "--prefix"),
        (&["pairs", "--prefix", "pairs"], "cannot be used with"),
        (&["--interval", "2s"], "--watch"),
        (&["--watch", "--interval", "99ms"], "it must be 100ms to 1h"),
        (&["--watch", "--interval", "61m"], "it must be 100ms to 1h"),
        (&["--watch", "--interval", "soon"], "a whole number with its unit"),
    ] {
        let done = run(&folder, &[&["status"], arguments].concat()).await;
        assert_eq!((done.code, done.out.as_str()), (ExitCode::Usage, ""), "{arguments:?}");
        assert!(done.err.contains(complaint), "{arguments:?}: {}", done.err);
    }
    harness.stop().await;
}

#[actix_web::test]
async fn what_failed_is_shown_on_one_line_whatever_it_says() {
    let mut admin = FakeAdmin::with_paths(&["root"]);
    let mut failed = serde_json::to_value(parked("pairs/1")).unwrap();
    failed["last_failure"]["text"] = json!(format!("first line\nsecond \u{1b}[31m{}", "x".repeat(300)));
    failed["last_failure"]["location"] = Value::Null;
    failed["last_failure"]["count"] = json!(1);
    failed["reason"] = Value::Null;
    admin.nodes.push(serde_json::from_value(failed).unwrap());
    *admin.health.lock().unwrap() = Health { reasons: vec!["a\nb \u{7}".into()], ..Health::default() };
    let (harness, folder) = daemon(admin);
    let done = run(&folder, &["status"]).await;
    assert!(!done.out.contains(['\u{1b}', '\u{7}']), "{}", done.out);
    let lines: Vec<&str> = done.out.lines().collect();
    assert_eq!((lines[1], lines.len()), ("  a b", 6));
    assert!(
        lines[5].contains("  handler    first line second  [31mxxx") && lines[5].ends_with('…'),
        "{}",
        lines[5]
    );
    harness.stop().await;
}

#[actix_web::test]
async fn status_shows_the_jobs_with_their_last_and_next_run() {
    let mut admin = FakeAdmin::with_paths(&["root"]);
    let mut scheduler = serde_json::to_value(node("scheduler")).unwrap();
    scheduler["observable"] = json!({ "jobs": [
        { "job": "lease.renew", "last_run": "2026-11-22T11:00:00Z", "next_run": "2026-11-22T11:00:05Z",
          "running": true, "failures": 0, "error": null },
        { "job": "retention.purge", "last_run": null, "next_run": "2026-11-22T11:01:00Z",
          "running": false, "failures": 2, "error": "the disk is full" },
    ] });
    admin.nodes.push(serde_json::from_value(scheduler).unwrap());
    let (harness, folder) = daemon(admin);
    let done = run(&folder, &["status"]).await;
    let jobs: Vec<&str> = done.out.lines().skip_while(|line| !line.starts_with("JOB")).collect();
    assert_eq!(
        jobs,
        [
            "JOB              LAST RUN         NEXT RUN         STATE    FAILURES  WHY",
            "lease.renew      11-22 11:00:00Z  11-22 11:00:05Z  running  0",
            "retention.purge  never            11-22 11:01:00Z  failed   2         the disk is full",
        ]
    );
    let json: Value = serde_json::from_str(&run(&folder, &["status", "--json"]).await.out).unwrap();
    assert_eq!(json["jobs"][1]["next_run"], "2026-11-22T11:01:00Z");
    harness.stop().await;
}

#[actix_web::test]
async fn status_reads_every_page_and_prints_json() {
    let paths: Vec<String> = ["root", "pairs"]
        .into_iter()
        .map(str::to_owned)
        .chain((0..450).map(|n| format!("pairs/{n:03}")))
        .collect();
    let admin = FakeAdmin::with_paths(&paths.iter().map(String::as_str).collect::<Vec<_>>());
    *admin.health.lock().unwrap() =
        Health { live: true, ready: false, reasons: vec!["notifier is parked".into()], ..Health::default() };
    let (harness, folder) = daemon(admin);
    let done = run(&folder, &["status", "--json"]).await;
    let status: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(status["items"].as_array().unwrap().len(), 452);
    assert_eq!((&status["ready"], &status["reasons"]), (&json!(false), &json!(["notifier is parked"])));
    harness.stop().await;
}

#[actix_web::test]
async fn orders_are_given_and_refusals_are_said() {
    let (harness, folder) = daemon(FakeAdmin::with_paths(&["root"]));
    let restart = run(&folder, &["restart", "pairs/1"]).await;
    assert_eq!((restart.code, restart.out.as_str()), (ExitCode::Ok, "pairs/1 restarts\n"));
    let reconnect = run(&folder, &["reconnect", ACCOUNT]).await;
    assert_eq!(reconnect.out, format!("sessions/{ACCOUNT} reconnects\n"));
    assert_eq!(harness.admin.orders.lock().unwrap().len(), 2);
    for (refusal, code) in [
        (AdminError::NotFound("actor pairs/1".into()), ExitCode::Usage),
        (AdminError::Conflict("pairs/1: the child is stopping".into()), ExitCode::Unavailable),
        (AdminError::NeedsLogin(ACCOUNT.parse().unwrap()), ExitCode::Unavailable),
        (AdminError::PlatformWait(noon()), ExitCode::TryAgain),
        (AdminError::Unavailable("the store does not answer".into()), ExitCode::Unavailable),
    ] {
        let sentence = format!("switchyard: {refusal}\n");
        *harness.admin.refusal.lock().unwrap() = Some(refusal);
        let done = run(&folder, &["restart", "pairs/1"]).await;
        assert_eq!((done.code, done.err, done.out.as_str()), (code, sentence, ""));
    }
    harness.stop().await;
}

#[actix_web::test]
async fn a_healthcheck_tells_alive_from_ready() {
    let admin = FakeAdmin::with_paths(&["root"]);
    *admin.health.lock().unwrap() =
        Health { live: true, ready: false, reasons: vec!["pairs is parked".into()], ..Health::default() };
    let (harness, folder) = daemon(admin);
    let alive = run(&folder, &["healthcheck"]).await;
    assert_eq!((alive.code, alive.out.as_str()), (ExitCode::Ok, "live\n"));
    let ready = run(&folder, &["healthcheck", "--ready"]).await;
    assert_eq!((ready.code, ready.err.as_str()), (ExitCode::TryAgain, "switchyard: pairs is parked\n"));
    harness.state.drain();
    let status = run(&folder, &["status"]).await;
    assert_eq!(
        (status.code, status.err.as_str()),
        (ExitCode::TryAgain, "switchyard: the daemon is draining\n")
    );
    harness.stop().await;
}

#[actix_web::test]
async fn a_daemon_that_is_not_there_is_told_in_one_sentence() {
    let nothing = TempDir::new().unwrap();
    let done = run(&nothing, &["status"]).await;
    assert_eq!(done.code, ExitCode::Unavailable);
    assert!(done.err.starts_with("switchyard: no daemon runs on the data folder "), "{}", done.err);
    assert_eq!(done.err.lines().count(), 1);

    let (harness, folder) = daemon(FakeAdmin::with_paths(&["root"]));
    let address = harness.address.to_string();
    harness.stop().await;
    let killed = run(&folder, &["restart", "pairs"]).await;
    assert_eq!(killed.code, ExitCode::Unavailable);
    assert!(killed.err.contains(&format!("no daemon answers at {address}")), "{}", killed.err);

    let (other, folder) = daemon(FakeAdmin::with_paths(&["root"]));
    fs::write(folder.path().join(TOKEN_FILE), "of another run\n").unwrap();
    let stranger = run(&folder, &["status"]).await;
    assert_eq!(stranger.code, ExitCode::Unavailable);
    assert!(stranger.err.contains("does not know the token of this data folder"), "{}", stranger.err);
    fs::write(folder.path().join(ADDRESS_FILE), "nonsense\n").unwrap();
    let damaged = run(&folder, &["status"]).await;
    assert!(damaged.err.contains("holds no address"), "{}", damaged.err);
    other.stop().await;
}
