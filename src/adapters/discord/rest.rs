//! Calls of Discord's REST API: built by serenity, sent by our own client, so that every header of the answer is seen.
//!
//! The address is always the configured base. Redirects are not followed and no proxy of the environment is used: a
//! token goes where the configuration says, or nowhere.

use reqwest12::StatusCode;
use reqwest12::header::HeaderMap;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serenity::http::Request;
use switchyard_actors::ports::{ConnectionError, Proxy};

use crate::adapters::egress::{self, Names};
use crate::config::DiscordConfig;

use super::errors;

/// The client that all bots of a daemon share; connections are kept per address.
///
/// # Errors
/// [`ConnectionError::Unreachable`] if TLS cannot be set up.
pub(super) fn client(config: &DiscordConfig) -> Result<reqwest12::Client, ConnectionError> {
    build(config, reqwest12::Client::builder().no_proxy())
}

/// A client of one account, all of whose calls go through its proxy, the questions for names included.
///
/// # Errors
/// [`ConnectionError`] when the proxy cannot be used: then there is no client at all.
pub(super) async fn client_through(
    config: &DiscordConfig,
    proxy: &Proxy,
) -> Result<reqwest12::Client, ConnectionError> {
    let pinned = egress::pin(proxy, config.private_proxies, config.connect_timeout).await?;
    let through = reqwest12::Proxy::all(pinned.url(Names::AtProxy).expose_secret());
    // The error names the address with its password.
    let through = through.map_err(|_| ConnectionError::Refused("the account's proxy is none".to_owned()))?;
    build(config, reqwest12::Client::builder().no_proxy().proxy(through))
}

fn build(
    config: &DiscordConfig,
    builder: reqwest12::ClientBuilder,
) -> Result<reqwest12::Client, ConnectionError> {
    builder
        .redirect(reqwest12::redirect::Policy::none())
        .connect_timeout(config.connect_timeout)
        .timeout(config.request_timeout)
        .build()
        .map_err(|error| ConnectionError::Unreachable(format!("no HTTP client: {error}")))
}

/// The API as one bot sees it.
pub(super) struct Rest {
    client: reqwest12::Client,
    base: String,
    authorization: SecretString,
    answer_max: usize,
}

/// An answer, whatever its status.
pub(super) struct Answer {
    /// HTTP status.
    pub(super) status: StatusCode,
    /// Headers, rate limits among them.
    pub(super) headers: HeaderMap,
    /// The body as it came.
    pub(super) body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CallError {
    /// The request never left: it had no effect.
    NotSent(String),
    /// It left and nothing came back: it may have had its effect.
    Lost(String),
}

impl Rest {
    pub(super) fn new(client: reqwest12::Client, config: &DiscordConfig, token: &str) -> Self {
        Self {
            client,
            base: config.api_base.clone(),
            authorization: SecretString::from(format!("Bot {token}")),
            answer_max: config.answer_max.len(),
        }
    }

    /// Makes one call. Ends within the client's timeout.
    pub(super) async fn call(&self, request: Request<'_>) -> Result<Answer, CallError> {
        let builder = request
            .build(&self.client, self.authorization.expose_secret(), Some(&self.base))
            .map_err(|error| CallError::NotSent(error.to_string()))?;
        exchange(builder, self.answer_max).await
    }

    /// Makes a call that connecting needs, and reads its answer.
    ///
    /// # Errors
    /// [`ConnectionError`].
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        request: Request<'_>,
        config: &DiscordConfig,
    ) -> Result<T, ConnectionError> {
        let answer = self.call(request).await?;
        read(&answer, config)
    }
}

/// Makes one call and reads its answer, at most so many bytes. No error names the address, which may hold a token.
pub(super) async fn exchange(
    builder: reqwest12::RequestBuilder,
    answer_max: usize,
) -> Result<Answer, CallError> {
    let mut response = builder.send().await.map_err(|error| {
        let before = error.is_connect() || error.is_builder();
        let text = reason(&error.without_url());
        if before { CallError::NotSent(text) } else { CallError::Lost(text) }
    })?;
    let (status, headers) = (response.status(), response.headers().clone());
    let mut body = Vec::new();
    loop {
        let chunk = response.chunk().await;
        let chunk = chunk.map_err(|error| CallError::Lost(reason(&error.without_url())))?;
        let Some(chunk) = chunk else { return Ok(Answer { status, headers, body }) };
        if body.len().saturating_add(chunk.len()) > answer_max {
            return Err(CallError::Lost(format!("the answer is longer than {answer_max} B")));
        }
        body.extend_from_slice(&chunk);
    }
}

/// Reads the answer to a call that connecting needs.
///
/// # Errors
/// [`ConnectionError`].
pub(super) fn read<T: DeserializeOwned>(
    answer: &Answer,
    config: &DiscordConfig,
) -> Result<T, ConnectionError> {
    if !answer.status.is_success() {
        return Err(errors::connection_error(answer, config));
    }
    serde_json::from_slice(&answer.body)
        .map_err(|_| ConnectionError::Unreachable("the answer is not that of Discord's API".to_owned()))
}

impl From<CallError> for ConnectionError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::NotSent(text) | CallError::Lost(text) => Self::Unreachable(text),
        }
    }
}

/// The innermost cause: the client's own words say only that sending failed.
pub(super) fn reason(error: &reqwest12::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if error.is_timeout() { "no answer in time".to_owned() } else { cause.to_string() }
}
