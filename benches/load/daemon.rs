//! The daemon as a process of its own, its API, and the sandbox's control API.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::Value;
use switchyard_sandbox::{Sandbox, SandboxConfig, SeedShape};

/// One plan that limits nothing here, so that what is measured is not a refusal.
const PLANS: &str = r#"
[plans]
default = "bench"
operator = "bench"
list = [{ name = "bench", title = "Bench", monthly = { amount = "0.00", currency = "USD" }, yearly = { amount = "0.00", currency = "USD" }, requests_per_minute = 100000000, features = [] }]

[limits]
key_requests = 100000000
admin_requests = 100000000
"#;

/// Looks at readiness at most so often, a tenth of a second apart.
const LOOKS_MAX: u32 = 6_000;

/// A running daemon and the world in which it works.
pub(crate) struct Scene {
    pub(crate) http: Client,
    pub(crate) base: String,
    pub(crate) operator: String,
    pub(crate) seed: Value,
    pub(crate) control: String,
    _sandbox: Sandbox,
    child: Child,
    folder: tempfile::TempDir,
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Scene {
    /// Starts both and waits until the daemon is ready.
    pub(crate) async fn start(shape: SeedShape, env: &[(&str, &str)]) -> Self {
        let sandbox = Sandbox::start(SandboxConfig { shape, ..SandboxConfig::default() }).await.unwrap();
        let control = sandbox.control_url();
        let http = Client::builder().no_proxy().build().unwrap();
        let seed = http.get(format!("{control}/sandbox")).send().await.unwrap().json().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("bench.toml");
        std::fs::write(&config, PLANS).unwrap();
        let data = folder.path().join("data");
        let log = File::create(folder.path().join("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_switchyard"))
            .args(["serve", "--listen", "127.0.0.1:0", &format!("--sandbox={control}"), "--data-dir"])
            .arg(&data)
            .arg("--config")
            .arg(&config)
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut scene = Self {
            http,
            base: String::new(),
            operator: String::new(),
            seed,
            control,
            _sandbox: sandbox,
            child,
            folder,
        };
        scene.ready(&data).await;
        scene
    }

    async fn ready(&mut self, data: &Path) {
        let read = |name: &str| std::fs::read_to_string(data.join(name)).map(|text| text.trim().to_owned());
        for _ in 0..LOOKS_MAX {
            if let (Ok(address), Ok(token)) = (read("http-address"), read("operator-token")) {
                self.base = format!("http://{address}");
                self.operator = token;
                let answer = self.http.get(format!("{}/readyz", self.base)).send().await;
                if answer.is_ok_and(|answer| answer.status().is_success()) {
                    return;
                }
            }
            assert!(self.child.try_wait().unwrap().is_none(), "the daemon ended: {}", self.log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the daemon is not ready: {}", self.log());
    }

    /// The end of what the daemon wrote.
    pub(crate) fn log(&self) -> String {
        let file: PathBuf = self.folder.path().join("log");
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(30).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// Asks the API as somebody with a token; the answer must be a good one.
    pub(crate) async fn call(&self, token: &str, method: Method, path: &str, body: Option<Value>) -> Value {
        let request = self.http.request(method, format!("{}{path}", self.base));
        let request = if token.is_empty() { request } else { request.bearer_auth(token) };
        let request = match &body {
            Some(body) => request.json(body),
            None => request,
        };
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => panic!("{path}: {error:?}\n{}", self.log()),
        };
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {text}\n{}", self.log());
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// Asks as the operator.
    pub(crate) async fn order(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        self.call(&self.operator, method, path, body).await
    }

    fn messages(&self, end: &Value) -> String {
        let text = |field: &str| end[field].as_str().unwrap();
        format!("{}/sandbox/{}/chats/{}/messages", self.control, text("platform"), text("chat"))
    }

    /// Writes into a chat as a person would.
    pub(crate) async fn write(&self, end: &Value, text: &str) {
        let request = self.http.post(self.messages(end)).json(&serde_json::json!({ "text": text }));
        assert!(request.send().await.unwrap().status().is_success(), "it cannot be written");
    }

    /// What stands in a chat after a message, with the last id; at most a page of it.
    pub(crate) async fn read(&self, end: &Value, after: &str) -> (Vec<String>, String) {
        let url = format!("{}?after={after}&limit=1000", self.messages(end));
        let page: Value = self.http.get(url).send().await.unwrap().json().await.unwrap();
        let items = page["items"].as_array().unwrap();
        let texts = items.iter().map(|item| item["text"].as_str().unwrap().to_owned()).collect();
        let last = items.last().map_or(after, |item| item["id"].as_str().unwrap());
        (texts, last.to_owned())
    }
}
