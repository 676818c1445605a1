//! The store's own misfortunes under load: a locked database, a server that restarts, a full disk. Intake and sending stop,
//! the cursor stays, and everything arrives afterwards, in order and once (design: promises, configuration and exit codes).

use std::io::Write;
use std::process::Command;

use sea_orm::sqlx::{Connection, Executor, SqliteConnection};
use switchyard_sandbox::SandboxConfig;

use crate::harness::daemon::{Daemon, DataDir, SeededPair, World, eventually};
use crate::harness::postgres;

/// With this variable set, a machine that gives no mount namespace fails the test instead of skipping it.
const REQUIRE_NAMESPACES: &str = "SWITCHYARD_REQUIRE_NAMESPACES";

fn numbered(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|n| format!("message {n}")).collect()
}

async fn write(world: &World, pair: &SeededPair, numbers: std::ops::Range<usize>) {
    for text in numbered(numbers) {
        world.write_text(&pair.source, &text).await;
    }
}

/// What is written before, during and after arrives in order and once.
async fn all_arrive(world: &World, pair: &SeededPair, count: usize) {
    world.write_text(&pair.source, "end").await;
    let arrived = world.wait_for(&pair.target, count + 1).await;
    let expected: Vec<String> = numbered(0..count).into_iter().chain(["end".to_owned()]).collect();
    assert_eq!(arrived, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_database_delays_and_loses_nothing() {
    let data = DataDir::default();
    let world = World::start(SandboxConfig::default()).await;
    let pair = world.pairs().remove(0);
    let daemon = Daemon::start(&world, &data).await;
    write(&world, &pair, 0..50).await;
    world.wait_for(&pair.target, 10).await;
    let database = format!("sqlite://{}", data.path().join("switchyard.sqlite").display());
    let mut other = SqliteConnection::connect(&database).await.expect("the store's file");
    // Longer than the store waits for a lock, so that it has to say so.
    other.execute("PRAGMA busy_timeout = 30000").await.expect("a setting");
    other.execute("BEGIN IMMEDIATE").await.expect("the lock");
    write(&world, &pair, 50..150).await;
    eventually("the daemon to wait for the store", || async {
        data.read_log().contains("waits for the store").then_some(())
    })
    .await;
    other.execute("ROLLBACK").await.expect("the lock given back");
    all_arrive(&world, &pair, 150).await;
    assert!(daemon.terminate().await.success(), "{}", data.read_log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgres_that_restarts_under_load_delays_and_loses_nothing() {
    let Some(cluster) = postgres::own_cluster().await else { return };
    let data = DataDir::with_store(Some(cluster.database().await));
    let world = World::start(SandboxConfig::default()).await;
    let pair = world.pairs().remove(0);
    let daemon = Daemon::start(&world, &data).await;
    let writing = write(&world, &pair, 0..600);
    let restarting = async {
        let mut cluster = cluster;
        for share in [50, 200, 350] {
            world.wait_for(&pair.target, share).await;
            cluster = cluster.order("stop").await;
            cluster = cluster.order("start").await;
        }
        cluster
    };
    let ((), _cluster) = tokio::join!(writing, restarting);
    all_arrive(&world, &pair, 600).await;
    assert!(daemon.terminate().await.success(), "{}", data.read_log());
}

/// Whether this process may make mount namespaces; says loudly when not.
fn may_mount() -> bool {
    let tried = Command::new("unshare").args(["--mount", "true"]).output();
    let may = tried.is_ok_and(|output| output.status.success());
    if !may {
        assert!(
            std::env::var_os(REQUIRE_NAMESPACES).is_none(),
            "{REQUIRE_NAMESPACES} is set and there are no mount namespaces"
        );
        // Past the test harness, which swallows what a passing test prints.
        let said = format!(
            "SKIPPED: the full disk: no mount namespace; {REQUIRE_NAMESPACES}=1 makes that a failure\n"
        );
        std::io::stderr().write_all(said.as_bytes()).expect("standard error");
    }
    may
}

/// Runs a shell line in the mount namespace of a process.
fn inside(pid: u32, line: &str) -> bool {
    let pid = pid.to_string();
    let status = Command::new("nsenter").args(["--target", &pid, "--mount", "sh", "-c", line]).status();
    status.expect("nsenter runs").success()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_stops_intake_and_goes_on_when_there_is_room() {
    if !may_mount() {
        return;
    }
    let data = DataDir::default();
    let world = World::start(SandboxConfig::default()).await;
    let pair = world.pairs().remove(0);
    std::fs::create_dir(data.path()).expect("a folder");
    let folder = data.path().display().to_string();
    let mount = format!("mount -t tmpfs -o size=24m,mode=700 tmpfs {folder} && exec \"$@\"");
    let daemon = Daemon::start_within(&world, &data, &["unshare", "--mount", "sh", "-c", &mount, "sh"]).await;
    write(&world, &pair, 0..50).await;
    world.wait_for(&pair.target, 50).await;
    assert!(
        !inside(daemon.pid(), &format!("head -c 64M /dev/zero > {folder}/ballast 2>/dev/null")),
        "the disk is full"
    );
    write(&world, &pair, 50..450).await;
    eventually("the daemon to say that the disk is full", || async {
        data.read_log().contains("disk is full").then_some(())
    })
    .await;
    assert!(world.texts(&pair.target).await.len() < 450, "the disk was not full");
    assert!(inside(daemon.pid(), &format!("rm {folder}/ballast")));
    all_arrive(&world, &pair, 450).await;
    assert!(daemon.terminate().await.success(), "{}", data.read_log());
}
