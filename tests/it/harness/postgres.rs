//! A PostgreSQL server for this test process: made on first use, gone with the process, however that ends.
//!
//! A shell script holds the server and waits for the end of its input; its input is a pipe from this process.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::StreamExt;
use sea_orm::sqlx::{Connection, Executor, PgConnection};

/// With this variable set, a missing PostgreSQL fails the tests instead of skipping them.
const REQUIRE: &str = "SWITCHYARD_REQUIRE_POSTGRES";

/// initdb refuses root, so root becomes postgres. No TCP: the socket lies in the folder, so no port can be taken.
const SCRIPT: &str = r#"
trap '' INT TERM HUP
bin=$1 folder=$2
if [ "$(id -u)" = 0 ]; then
  chown postgres "$folder"
  as() { runuser -u postgres -- "$@"; }
else
  as() { "$@"; }
fi
cd "$folder" || exit 1
if as "$bin/initdb" -D "$folder/data" -U postgres -A trust -N >"$folder/log" 2>&1 </dev/null &&
  as "$bin/pg_ctl" -D "$folder/data" -l "$folder/server.log" -w -t 60 \
    -o "-F -k $folder -c listen_addresses='' -c max_connections=200" start >>"$folder/log" 2>&1 </dev/null
then
  echo ready
  while read -r order; do
    case $order in
      stop) as "$bin/pg_ctl" -D "$folder/data" -m fast -w -t 60 stop >>"$folder/log" 2>&1 </dev/null ;;
      start) as "$bin/pg_ctl" -D "$folder/data" -l "$folder/server.log" -w -t 60 \
        -o "-F -k $folder -c listen_addresses='' -c max_connections=200" start >>"$folder/log" 2>&1 </dev/null ;;
    esac && echo ready || echo "failed: $(tail -n 3 "$folder/log" | tr '\n' ' ')"
  done
  as "$bin/pg_ctl" -D "$folder/data" -m immediate stop >/dev/null 2>&1 </dev/null
else
  echo "failed: $(tail -n 3 "$folder/log" | tr '\n' ' ')"
fi
cd /
rm -rf "$folder"
"#;

/// A server; it stops when this goes.
pub(crate) struct Cluster {
    folder: PathBuf,
    databases: AtomicU32,
    answers: BufReader<ChildStdout>,
    /// Its standard input is the pipe whose end stops the server.
    holder: Child,
}

/// One server per test process; tests have nobody who could pass it around.
static CLUSTER: OnceLock<Option<Cluster>> = OnceLock::new();

/// The address of a new, empty database; `None`, said loudly and once, where PostgreSQL is not installed.
pub(crate) async fn database() -> Option<String> {
    let started = tokio::task::spawn_blocking(|| CLUSTER.get_or_init(start).as_ref()).await.unwrap();
    Some(started?.database().await)
}

/// A server for one test alone, which may stop it.
pub(crate) async fn own_cluster() -> Option<Cluster> {
    tokio::task::spawn_blocking(start).await.unwrap()
}

/// Every table of a database with its rows as the server sends them in binary: what lies in a column lies there as it is.
pub(crate) async fn tables(address: &str) -> Vec<(String, Vec<u8>)> {
    let mut connection = PgConnection::connect(address).await.unwrap();
    let names = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY 1";
    let names: Vec<String> = sea_orm::sqlx::query_scalar(names).fetch_all(&mut connection).await.unwrap();
    assert!(!names.is_empty(), "a daemon has worked in the database");
    let mut tables = Vec::with_capacity(names.len());
    for name in names {
        let copy = format!("COPY \"{name}\" TO STDOUT (FORMAT binary)");
        let mut rows = connection.copy_out_raw(&copy).await.unwrap();
        let mut bytes = Vec::new();
        while let Some(chunk) = rows.next().await {
            bytes.extend_from_slice(&chunk.unwrap());
        }
        drop(rows);
        tables.push((format!("table {name}"), bytes));
    }
    connection.close().await.unwrap();
    tables
}

impl Cluster {
    /// The address of a new, empty database.
    pub(crate) async fn database(&self) -> String {
        let name = format!("t{}", self.databases.fetch_add(1, Ordering::SeqCst));
        let mut admin = PgConnection::connect(&self.address("postgres")).await.unwrap();
        admin.execute(sea_orm::sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
        admin.close().await.unwrap();
        self.address(&name)
    }

    /// Stops the server (open connections are cut) or starts it again, and waits until that is done.
    pub(crate) async fn order(mut self, order: &'static str) -> Self {
        let ordered = move || {
            writeln!(self.holder.stdin.as_mut().unwrap(), "{order}").unwrap();
            self.hear(order);
            self
        };
        tokio::task::spawn_blocking(ordered).await.unwrap()
    }

    fn hear(&mut self, order: &str) {
        let mut said = String::new();
        self.answers.read_line(&mut said).unwrap();
        assert_eq!(said.trim(), "ready", "PostgreSQL did not {order}");
    }

    fn address(&self, database: &str) -> String {
        format!("postgres://postgres@localhost/{database}?host={}", self.folder.display())
    }
}

fn binaries() -> Option<PathBuf> {
    let in_path = std::env::var_os("PATH")
        .and_then(|path| std::env::split_paths(&path).find(|folder| folder.join("initdb").is_file()))
        // Debian links single programs: the others lie beside the link's target.
        .and_then(|folder| folder.join("initdb").canonicalize().ok())
        .and_then(|program| program.parent().map(Path::to_owned));
    in_path.or_else(|| {
        let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
        let mut found: Vec<_> = versions.filter_map(|entry| Some(entry.ok()?.path().join("bin"))).collect();
        found.sort();
        found.into_iter().rev().find(|folder| folder.join("initdb").is_file())
    })
}

fn start() -> Option<Cluster> {
    let Some(binaries) = binaries() else {
        assert!(std::env::var_os(REQUIRE).is_none(), "{REQUIRE} is set and PostgreSQL is not installed");
        // Past the test harness, which swallows what a passing test prints.
        let said =
            format!("SKIPPED: tests on PostgreSQL: initdb not found; {REQUIRE}=1 makes that a failure\n");
        std::io::stderr().write_all(said.as_bytes()).unwrap();
        return None;
    };
    let folder = tempfile::Builder::new().prefix("switchyard-pg-").tempdir().unwrap().keep();
    let mut holder = Command::new("sh")
        .args(["-c", SCRIPT, "sh"])
        .args([&binaries, &folder])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    let answers = BufReader::new(holder.stdout.take().unwrap());
    let mut cluster = Cluster { folder, databases: AtomicU32::new(0), answers, holder };
    cluster.hear("start");
    Some(cluster)
}
