//! Users of a running daemon, by HTTP, as a website's visitors.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use switchyard::services::operator::OperatorAccess;

use super::daemon::{DataDir, eventually};

/// A password that is taken.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// The API of a running daemon.
#[derive(Clone)]
pub(crate) struct Api {
    base: String,
    operator: String,
    client: Client,
}

/// A user who signed in.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    pub(crate) session: String,
    pub(crate) access: String,
    pub(crate) refresh: String,
}

impl Api {
    pub(crate) fn of(data: &DataDir) -> Self {
        Self::from_address(data, None)
    }

    /// As somebody at another address of this machine.
    pub(crate) fn from_address(data: &DataDir, address: Option<IpAddr>) -> Self {
        let access = OperatorAccess::read(&data.path()).expect("a running daemon");
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(60)).local_address(address);
        Self {
            base: format!("http://{}", access.address()),
            operator: access.token().to_owned(),
            client: client.build().expect("a client"),
        }
    }

    /// Where it is.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// The operator's token of this run.
    pub(crate) fn operator_token(&self) -> &str {
        &self.operator
    }

    /// A request at any path, without a credential.
    pub(crate) fn anywhere(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    /// The same below the API's root.
    pub(crate) fn anonymous(&self, method: Method, path: &str) -> RequestBuilder {
        self.anywhere(method, &format!("/api/v1{path}"))
    }

    pub(crate) fn operator(&self, method: Method, path: &str) -> RequestBuilder {
        self.anonymous(method, path).bearer_auth(&self.operator)
    }

    pub(crate) fn user(&self, tokens: &Tokens, method: Method, path: &str) -> RequestBuilder {
        self.anonymous(method, path).bearer_auth(&tokens.access)
    }

    pub(crate) fn key(&self, key: &str, method: Method, path: &str) -> RequestBuilder {
        self.anonymous(method, path).header("x-api-key", key)
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        answer(self.anonymous(Method::POST, path).json(body)).await
    }

    pub(crate) async fn register(&self, email: &str) {
        let (status, body) =
            self.post("/auth/register", &json!({ "email": email, "password": PASSWORD })).await;
        assert_eq!(status, 202, "{body}");
    }

    pub(crate) async fn try_login(&self, email: &str, password: &str) -> (u16, Value) {
        self.post("/auth/login", &json!({ "email": email, "password": password })).await
    }

    pub(crate) async fn login(&self, email: &str) -> Tokens {
        let (status, body) = self.try_login(email, PASSWORD).await;
        assert_eq!(status, 200, "{body}");
        tokens(&body)
    }

    /// A new user who signed in.
    pub(crate) async fn new_user(&self, email: &str) -> Tokens {
        self.register(email).await;
        self.login(email).await
    }

    pub(crate) async fn refresh(&self, token: &str) -> (u16, Value) {
        self.post("/auth/refresh", &json!({ "refresh_token": token })).await
    }

    /// Whether the access token lets its holder in.
    pub(crate) async fn lets_in(&self, tokens: &Tokens) -> u16 {
        answer(self.user(tokens, Method::GET, "/me")).await.0
    }
}

/// What came back: the status, and the body if it is JSON.
pub(crate) async fn answer(request: RequestBuilder) -> (u16, Value) {
    let response: Response = request.send().await.expect("an answer");
    let status = response.status().as_u16();
    (status, response.json().await.unwrap_or(Value::Null))
}

pub(crate) fn tokens(body: &Value) -> Tokens {
    let text = |field: &str| body[field].as_str().expect("a text").to_owned();
    Tokens { session: text("session"), access: text("access_token"), refresh: text("refresh_token") }
}

/// Waits for a letter to this address whose text holds the words; answers its text.
pub(crate) async fn letter(data: &DataDir, to: &str, words: &str) -> String {
    eventually(&format!("a letter to {to} about {words}"), || async {
        letters(data).into_iter().find(|text| text.contains(&format!("To: {to}")) && text.contains(words))
    })
    .await
}

/// Every letter that was written, soft line breaks undone.
pub(crate) fn letters(data: &DataDir) -> Vec<String> {
    let Ok(folder) = std::fs::read_dir(data.path().join("mail")) else { return Vec::new() };
    folder
        .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path()).ok())
        .map(|text| text.replace("=\r\n", "").replace("=3D", "="))
        .collect()
}
