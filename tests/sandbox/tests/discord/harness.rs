//! A sandbox to test against, and the two ways to talk to it: JSON by hand, and serenity.

use std::time::Duration;

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use serenity::http::{Http, HttpBuilder};
use switchyard_sandbox::seed::DiscordBot;
use switchyard_sandbox::{ClockMode, Limits, PairCounts, Sandbox, SandboxConfig, SeedShape};

/// The one deadline of everything that waits.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// A running sandbox with a client for its control API.
pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    client: reqwest::Client,
}

/// Two bots with a guild each; three pairs, so that the first bot has two channels.
pub(crate) fn config(limits: Limits) -> SandboxConfig {
    let pairs = PairCounts { telegram_to_discord: 3, ..PairCounts::default() };
    let shape = SeedShape { telegram_users: 1, telegram_bots: 0, discord_bots: 2, webhooks: 0, pairs };
    SandboxConfig { seed: 7, limits, shape, ..SandboxConfig::default() }
}

/// Published limits under a clock that only moves when told, so that no slow machine opens a window.
pub(crate) fn limited() -> SandboxConfig {
    SandboxConfig { clock: ClockMode::Frozen, ..config(Limits::Published) }
}

pub(crate) async fn start() -> World {
    World::start(config(Limits::None)).await
}

impl World {
    pub(crate) async fn start(config: SandboxConfig) -> Self {
        // Another test of this process may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let sandbox = Sandbox::start(config).await.unwrap();
        Self { sandbox, client: reqwest::Client::new() }
    }

    pub(crate) fn bot(&self, index: usize) -> &DiscordBot {
        &self.sandbox.seed().discord.bots[index]
    }

    /// Id of a channel of a bot's guild; the last one is read-only.
    pub(crate) fn channel(&self, bot: usize, index: usize) -> String {
        self.sandbox.seed().discord.guilds[bot].channels[index].id.to_string()
    }

    /// serenity's client for a bot, pointed at the sandbox.
    pub(crate) fn http(&self, bot: usize) -> Http {
        self.http_with(self.bot(bot).token.reveal())
    }

    pub(crate) fn http_with(&self, token: &str) -> Http {
        let base = self.sandbox.discord().api_base();
        HttpBuilder::new(token).proxy(base).ratelimiter_disabled(true).build()
    }

    /// A REST call with an `Authorization` header of one's own.
    pub(crate) async fn call_as(
        &self,
        authorization: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Response, reqwest::Error> {
        let url = format!("{}/api/v10{path}", self.sandbox.discord().api_base());
        let request = self.client.request(method, url).header("authorization", authorization);
        match body {
            Some(body) => request.json(body).send().await,
            None => request.send().await,
        }
    }

    /// A REST call without an `Authorization` header.
    pub(crate) async fn call_bare(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Response, reqwest::Error> {
        let url = format!("{}/api/v10{path}", self.sandbox.discord().api_base());
        let request = self.client.request(method, url);
        match body {
            Some(body) => request.json(body).send().await,
            None => request.send().await,
        }
    }

    /// A REST call of a bot.
    pub(crate) async fn call(
        &self,
        bot: usize,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Response, reqwest::Error> {
        let authorization = format!("Bot {}", self.bot(bot).token.reveal());
        self.call_as(&authorization, method, path, body).await
    }

    /// A bot's message, with the whole answer.
    pub(crate) async fn send(
        &self,
        bot: usize,
        channel: &str,
        body: Value,
    ) -> Result<Response, reqwest::Error> {
        self.call(bot, Method::POST, &format!("/channels/{channel}/messages"), Some(&body)).await
    }

    /// A call of the control API.
    pub(crate) async fn control(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let url = format!("http://{}/sandbox{path}", self.sandbox.control_address());
        let request = self.client.request(method, url);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        let response = request.send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        (status, if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() })
    }

    /// Writes as a person and answers the id.
    pub(crate) async fn write(&self, channel: &str, text: &str) -> String {
        let path = format!("/discord/chats/{channel}/messages");
        let (status, answer) = self.control(Method::POST, &path, Some(json!({"text": text}))).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer["id"].as_str().unwrap().to_owned()
    }

    /// Everything in a channel, oldest first, as the control API lists it.
    pub(crate) async fn texts(&self, channel: &str) -> Vec<String> {
        let (_, listed) =
            self.control(Method::GET, &format!("/discord/chats/{channel}/messages"), None).await;
        let items = listed["items"].as_array().unwrap();
        items.iter().map(|item| item["text"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) async fn fault(&self, body: Value) {
        let (status, answer) = self.control(Method::POST, "/faults", Some(body)).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }

    pub(crate) async fn advance(&self, seconds: f64) {
        let body = json!({"advance_seconds": seconds});
        let (status, answer) = self.control(Method::POST, "/clock", Some(body)).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }

    pub(crate) async fn violations(&self) -> Value {
        self.control(Method::GET, "/violations", None).await.1
    }
}

/// Status and JSON of an answer.
pub(crate) async fn parts(response: Result<Response, reqwest::Error>) -> (StatusCode, Value) {
    let response = response.unwrap();
    let status = response.status();
    let text = response.text().await.unwrap();
    (status, if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() })
}

/// A header as a number.
pub(crate) fn number(response: &Response, header: &str) -> f64 {
    let value = response.headers().get(header).unwrap_or_else(|| panic!("no header {header}"));
    value.to_str().unwrap().parse().unwrap()
}
