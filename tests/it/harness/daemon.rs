//! The daemon as a process of its own, on either database, driven as an operator and a person would: command line, HTTP,
//! control API.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use sea_orm::{ConnectionTrait, Database, DatabaseConnection, Statement};
use serde_json::{Value, json};
use switchyard_sandbox::{Sandbox, SandboxConfig};

use super::postgres;

/// Runs each test body with a data folder whose daemons keep their store in SQLite, and with one whose daemons keep it in
/// PostgreSQL.
macro_rules! daemon_on_both_databases {
    ($($(#[doc = $doc:literal])* async fn $name:ident($data:ident) $body:block)+) => {$(
        $(#[doc = $doc])*
        mod $name {
            #[expect(clippy::allow_attributes, reason = "not every body needs every import")]
            #[allow(unused_imports, reason = "not every body needs every import")]
            use super::*;

            async fn body($data: crate::harness::daemon::DataDir) $body

            #[tokio::test(flavor = "multi_thread")]
            async fn sqlite() {
                body(crate::harness::daemon::DataDir::default()).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn postgres() {
                if let Some(data) = crate::harness::daemon::DataDir::postgres().await {
                    body(data).await;
                }
            }
        }
    )+};
}

/// One generous deadline for every condition that a test waits for.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

/// Waits until `probe` answers something.
pub(crate) async fn eventually<T, F>(what: &str, mut probe: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let started = tokio::time::Instant::now();
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(started.elapsed() < DEADLINE, "waited {DEADLINE:?} for {what}");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

/// The sandbox of a test and a client for its control API.
pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    pub(crate) control: String,
    pub(crate) seed: Value,
    http: reqwest::Client,
}

/// One end of a pair.
#[derive(Clone)]
pub(crate) struct End {
    pub(crate) platform: String,
    pub(crate) chat: String,
    pub(crate) account: String,
}

/// A pair: seeded, or added by the operator.
pub(crate) struct SeededPair {
    pub(crate) id: String,
    pub(crate) source: End,
    pub(crate) target: End,
}

impl World {
    pub(crate) async fn start(config: SandboxConfig) -> Self {
        switchyard::crypto::install_ring_provider();
        let sandbox = Sandbox::start(config).await.expect("sandbox starts");
        let http = reqwest::Client::new();
        let control = sandbox.control_url();
        let seed = http.get(format!("{control}/sandbox")).send().await.unwrap().json().await.unwrap();
        Self { sandbox, control, seed, http }
    }

    pub(crate) fn pairs(&self) -> Vec<SeededPair> {
        let text = |value: &Value| value.as_str().expect("a string").to_owned();
        let end = |value: &Value| End {
            platform: text(&value["platform"]),
            chat: text(&value["chat"]),
            account: text(&value["account"]),
        };
        let pair = |value: &Value| SeededPair {
            id: text(&value["id"]),
            source: end(&value["source"]),
            target: end(&value["target"]),
        };
        self.seed["pairs"].as_array().expect("pairs").iter().map(pair).collect()
    }

    fn messages_url(&self, end: &End) -> String {
        format!("{}/sandbox/{}/chats/{}/messages", self.control, end.platform, end.chat)
    }

    /// Writes as a person would; answers the id.
    pub(crate) async fn write(&self, end: &End, body: &Value) -> String {
        let answer = self.http.post(self.messages_url(end)).json(body).send().await.unwrap();
        let status = answer.status();
        let body: Value = answer.json().await.unwrap();
        assert!(status.is_success(), "control API answered {status}: {body}");
        body["id"].as_str().expect("an id").to_owned()
    }

    pub(crate) async fn write_text(&self, end: &End, text: &str) -> String {
        self.write(end, &json!({ "text": text })).await
    }

    /// Changes a message as its author would.
    pub(crate) async fn edit(&self, end: &End, id: &str, text: &str) {
        let url = format!("{}/{id}", self.messages_url(end));
        let answer = self.http.patch(url).json(&json!({ "text": text })).send().await.unwrap();
        assert!(answer.status().is_success(), "edit refused: {}", answer.text().await.unwrap());
    }

    /// Deletes a message as its author would.
    pub(crate) async fn delete(&self, end: &End, id: &str) {
        let url = format!("{}/{id}", self.messages_url(end));
        let answer = self.http.delete(url).send().await.unwrap();
        assert!(answer.status().is_success(), "deletion refused: {}", answer.text().await.unwrap());
    }

    /// Everything that stands in a chat, oldest first.
    pub(crate) async fn read(&self, end: &End) -> Vec<Value> {
        let (mut all, mut after) = (Vec::new(), String::new());
        loop {
            let url = format!("{}?after={after}&limit=1000", self.messages_url(end));
            let page: Value = self.http.get(url).send().await.unwrap().json().await.unwrap();
            let items = page["items"].as_array().expect("items").clone();
            let Some(last) = items.last() else { return all };
            after = last["id"].as_str().expect("an id").to_owned();
            all.extend(items);
        }
    }

    pub(crate) async fn texts(&self, end: &End) -> Vec<String> {
        let text = |item: &Value| item["text"].as_str().expect("text").to_owned();
        self.read(end).await.iter().map(text).collect()
    }

    /// Waits until a chat holds at least `count` messages; answers their texts.
    pub(crate) async fn wait_for(&self, end: &End, count: usize) -> Vec<String> {
        let what = format!("{count} messages in {} {}", end.platform, end.chat);
        eventually(&what, || async {
            let texts = self.texts(end).await;
            (texts.len() >= count).then_some(texts)
        })
        .await
    }

    /// A person scans the QR code that was shown last; false while none is shown.
    pub(crate) async fn scan(&self, user: i64) -> bool {
        let url = format!("{}/sandbox/telegram/login-tokens/accept", self.control);
        let answer = self.http.post(url).json(&json!({ "user_id": user })).send().await.unwrap();
        answer.status().is_success()
    }

    /// Every fault ends.
    pub(crate) async fn no_faults(&self) {
        let answer = self.http.delete(format!("{}/sandbox/faults", self.control)).send().await.unwrap();
        assert!(answer.status().is_success(), "faults stay: {}", answer.text().await.unwrap());
    }

    /// What the control API answers to a question.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = self.http.get(format!("{}{path}", self.control)).send().await.unwrap();
        assert!(answer.status().is_success(), "{path} answers {}", answer.status());
        answer.json().await.unwrap()
    }

    pub(crate) async fn fault(&self, body: &Value) {
        let answer =
            self.http.post(format!("{}/sandbox/faults", self.control)).json(body).send().await.unwrap();
        assert!(answer.status().is_success(), "fault refused: {}", answer.text().await.unwrap());
    }
}

/// A data folder, and the store that belongs to it, that outlive the daemons that use them.
pub(crate) struct DataDir {
    folder: tempfile::TempDir,
    /// The address of a database of its own; none for SQLite's file in the folder.
    store: Option<String>,
}

impl Default for DataDir {
    /// With the store in SQLite.
    fn default() -> Self {
        Self::with_store(None)
    }
}

impl DataDir {
    /// With the store in a new database of PostgreSQL; `None`, said loudly, where that is not installed.
    pub(crate) async fn postgres() -> Option<Self> {
        Some(Self::with_store(Some(postgres::database().await?)))
    }

    pub(crate) fn with_store(store: Option<String>) -> Self {
        let folder = tempfile::Builder::new().prefix("switchyard-it-").tempdir().expect("a folder");
        Self { folder, store }
    }

    /// `store.url`, where it is not the default.
    pub(crate) fn store_url(&self) -> Option<&str> {
        self.store.as_deref()
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.folder.path().join("daemon.log")
    }

    /// A command of the product that takes a configuration, with this folder and this store.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = switchyard(args);
        command.arg("--data-dir").arg(self.path());
        if let Some(url) = &self.store {
            command.env("SWITCHYARD_STORE__URL", url);
        }
        command
    }

    /// Everything that is kept: every file with its content, and every table of PostgreSQL in its binary form.
    pub(crate) async fn contents(&self) -> Vec<(String, Vec<u8>)> {
        let file = |path: PathBuf| (path.display().to_string(), std::fs::read(&path).expect("a file"));
        let mut contents: Vec<_> = self.files().into_iter().map(file).collect();
        if let Some(url) = &self.store {
            contents.extend(postgres::tables(url).await);
        }
        contents
    }

    /// Every table of the store with the content of all of its columns.
    pub(crate) async fn tables(&self) -> Vec<(String, Vec<u8>)> {
        if let Some(url) = &self.store {
            return postgres::tables(url).await;
        }
        let store = self.database().await;
        let asked = |sql: String| Statement::from_string(store.get_database_backend(), sql);
        let names = "SELECT m.name, p.name FROM sqlite_master m JOIN pragma_table_info(m.name) p WHERE m.type = 'table'";
        let mut tables: Vec<(String, Vec<u8>)> = Vec::new();
        for row in store.query_all_raw(asked(names.to_owned())).await.expect("the schema") {
            let name = |place| row.try_get_by_index::<String>(place).expect("a name");
            let (table, column) = (name(0), name(1));
            let values =
                format!("SELECT CAST(\"{column}\" AS BLOB) FROM \"{table}\" WHERE \"{column}\" IS NOT NULL");
            let mut content = Vec::new();
            for value in store.query_all_raw(asked(values)).await.expect("values") {
                content.extend(value.try_get_by_index::<Vec<u8>>(0).expect("bytes"));
                content.push(0);
            }
            tables.push((format!("table {table}, column {column}"), content));
        }
        store.close().await.expect("the store closes");
        tables
    }

    /// The store without its rules.
    pub(crate) async fn database(&self) -> DatabaseConnection {
        let file = || format!("sqlite://{}", self.path().join("switchyard.sqlite").display());
        Database::connect(self.store.clone().unwrap_or_else(file)).await.expect("the store")
    }

    /// Changes the store by a statement of SQL while no daemon runs; answers how many rows.
    pub(crate) async fn alter(&self, sql: &str) -> u64 {
        let store = self.database().await;
        let changed = store.execute_unprepared(sql).await.expect("a statement").rows_affected();
        store.close().await.expect("the store closes");
        changed
    }

    /// How many deliveries the ledger keeps some words about; asked while no daemon runs.
    pub(crate) async fn deliveries_noted(&self, words: &str) -> usize {
        self.rows(&format!("SELECT id FROM deliveries WHERE last_error LIKE '%{words}%'")).await
    }

    /// How many rows a query of the store finds.
    pub(crate) async fn rows(&self, sql: &str) -> usize {
        let store = self.database().await;
        let asked = Statement::from_string(store.get_database_backend(), sql);
        let found = store.query_all_raw(asked).await.expect("rows").len();
        store.close().await.expect("the store closes");
        found
    }

    /// Every file below the folder, logs included.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
            for entry in
                std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path())
            {
                if entry.is_dir() { walk(&entry, found) } else { found.push(entry) }
            }
        }
        let mut found = Vec::new();
        walk(self.folder.path(), &mut found);
        found
    }

    pub(crate) fn read_log(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }
}

/// Lines of its daemons' log that a failed test shows.
const LOG_TAIL: usize = 60;

impl Drop for DataDir {
    #[expect(clippy::print_stderr, reason = "it belongs to what a failed test prints")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.read_log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = &lines[lines.len().saturating_sub(LOG_TAIL)..];
            eprintln!("the end of the daemon's log:\n{}", tail.join("\n"));
        }
    }
}

/// A command of the product, with a clean environment.
pub(crate) fn switchyard(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchyard"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SWITCHYARD_")) {
        command.env_remove(name);
    }
    command.args(args).stdin(Stdio::null());
    command
}

/// Runs a verb against a running daemon.
pub(crate) async fn verb(data: &DataDir, args: &[&str]) -> Output {
    let mut command = switchyard(args);
    command.arg("--data-dir").arg(data.path());
    tokio::task::spawn_blocking(move || command.output().expect("the command runs")).await.unwrap()
}

/// A daemon that runs as a process of its own; killed when dropped.
pub(crate) struct Daemon {
    child: Child,
}

impl Daemon {
    /// Starts `serve --sandbox=URL` and waits until it is ready.
    pub(crate) async fn start(world: &World, data: &DataDir) -> Self {
        Self::start_with(world, data, &[]).await
    }

    pub(crate) async fn start_with(world: &World, data: &DataDir, env: &[(&str, &str)]) -> Self {
        Self::ready(Self::spawn(&format!("--sandbox={}", world.control), data, env), data).await
    }

    /// As [`Self::start_with`], under a configuration file.
    pub(crate) async fn start_under(
        world: &World,
        data: &DataDir,
        file: &Path,
        env: &[(&str, &str)],
    ) -> Self {
        let mut command = Self::command(&format!("--sandbox={}", world.control), data, env);
        command.arg("--config").arg(file);
        Self::ready(Self::run(command, data), data).await
    }

    /// SIGHUP: it reads its configuration again.
    pub(crate) fn hang_up(&self) {
        let sent = Command::new("kill").args(["-HUP", &self.pid().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Starts `serve --sandbox=URL` by way of another command that ends in becoming it, in a mount namespace of its own.
    pub(crate) async fn start_within(world: &World, data: &DataDir, by: &[&str]) -> Self {
        let serve = Self::command(&format!("--sandbox={}", world.control), data, &[]);
        let (first, rest) = by.split_first().expect("a command");
        let mut command = Command::new(first);
        command.args(rest).arg(serve.get_program()).args(serve.get_args()).stdin(Stdio::null());
        for (name, value) in serve.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let daemon = Self::run(command, data);
        let target = daemon.pid().to_string();
        let check = data.command(&["healthcheck", "--ready"]);
        eventually("the daemon to be ready", || {
            let mut enter = Command::new("nsenter");
            enter.args(["--target", &target, "--mount"]).arg(check.get_program()).args(check.get_args());
            async move {
                let output = tokio::task::spawn_blocking(move || enter.output().expect("nsenter runs"));
                output.await.unwrap().status.success().then_some(())
            }
        })
        .await;
        daemon
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Starts `serve --sandbox`, with a sandbox of its own, and waits until it is ready.
    pub(crate) async fn start_embedded(data: &DataDir) -> Self {
        Self::ready(Self::spawn("--sandbox", data, &[]), data).await
    }

    async fn ready(mut daemon: Self, data: &DataDir) -> Self {
        eventually("the daemon to be ready", || {
            if let Some(status) = daemon.exited() {
                panic!("daemon ended with {status}:\n{}", data.read_log());
            }
            async { verb(data, &["healthcheck", "--ready"]).await.status.success().then_some(()) }
        })
        .await;
        daemon
    }

    /// Starts without waiting.
    fn spawn(sandbox: &str, data: &DataDir, env: &[(&str, &str)]) -> Self {
        Self::run(Self::command(sandbox, data, env), data)
    }

    fn command(sandbox: &str, data: &DataDir, env: &[(&str, &str)]) -> Command {
        let mut command = data.command(&["serve", "--listen", "127.0.0.1:0"]);
        command.arg(sandbox).envs(env.iter().copied());
        command
    }

    fn run(mut command: Command, data: &DataDir) -> Self {
        let log = File::options().create(true).append(true).open(data.log()).expect("a log file");
        command.stdout(log.try_clone().expect("a handle")).stderr(log);
        Self { child: command.spawn().expect("the daemon starts") }
    }

    fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child")
    }

    /// kill -9: no drain, no destructor.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("a running daemon");
        self.child.wait().expect("a child");
    }

    /// SIGTERM, then waits for the end.
    pub(crate) async fn terminate(mut self) -> ExitStatus {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs").success());
        eventually("the daemon to end", || {
            let status = self.exited();
            async move { status }
        })
        .await
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
