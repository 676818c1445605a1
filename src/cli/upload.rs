//! `login`: its flags, and the server to which a sealed session is handed over with an API key.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use reqwest::{Method, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use switchyard_actors::model::{AccountKind, UserId};

use super::client::ClientError;
use super::console::Console;
use super::secret_input;
use crate::config::Flag;
use crate::http::AccountOrder;
use crate::http::problem::ProblemDocument;
use crate::services::accounts::ConnectedAccount;
use crate::services::operator::OperatorAccess;
use crate::services::sealed::{SealedSession, SealingKey};
use crate::services::sensitive::Sensitive;

/// Longest time for an answer of the server.
const ANSWER_MAX: Duration = Duration::from_secs(60);
/// Variable from which the API key is read.
const KEY_VARIABLE: &str = "SWITCHYARD_API_KEY";

/// `login`
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub struct UploadArgs {
    /// Address of the server, https:// unless it is on this machine. The API key comes from --api-key-file, from
    /// SWITCHYARD_API_KEY or from standard input; it is never an argument.
    #[arg(long, value_name = "URL", required_unless_present = "data_dir", conflicts_with = "data_dir")]
    pub server: Option<String>,
    /// Data folder of a daemon on this machine, for its operator: no API key is needed.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// File that holds the API key.
    #[arg(long, value_name = "FILE", conflicts_with = "data_dir")]
    pub api_key_file: Option<PathBuf>,
    /// The user's id; needed only by an operator of several users.
    #[arg(long, value_name = "USER")]
    pub user: Option<UserId>,
    /// Show a QR code for a signed-in phone to scan, in place of number and code.
    #[arg(long)]
    pub qr: bool,
    /// Configuration file, for the section telegram.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Sign in at the sandbox whose control API is at URL.
    #[arg(long, value_name = "URL", require_equals = true)]
    pub sandbox: Option<String>,
}

impl UploadArgs {
    /// The flags as the topmost layer of the configuration.
    #[must_use]
    pub fn flags(&self) -> Vec<Flag> {
        let flag = |mode: &String| Flag { name: "--sandbox", key: "sandbox.mode", value: mode.clone() };
        self.sandbox.iter().map(flag).collect()
    }
}

/// How the server knows who asks.
enum Credential {
    ApiKey(Sensitive),
    Operator(OperatorAccess),
}

/// The server to which a session is handed over.
pub struct Upload {
    base: Url,
    credential: Credential,
    http: reqwest::Client,
}

impl Upload {
    /// The server that the flags name.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn open(args: &UploadArgs, console: &mut Console) -> Result<Self, ClientError> {
        let (base, credential) = match (&args.server, &args.data_dir) {
            (Some(server), _) => {
                (address(server)?, Credential::ApiKey(api_key(args.api_key_file.as_deref(), console)?))
            }
            (None, folder) => {
                let access = OperatorAccess::read(folder.as_deref().unwrap_or_else(|| Path::new(".")))?;
                (address(&format!("http://{}", access.address()))?, Credential::Operator(access))
            }
        };
        // No redirect may lead the key elsewhere; a proxy of the environment is the customer's own affair.
        let builder =
            reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(ANSWER_MAX);
        let builder = if is_local(&base) { builder.no_proxy() } else { builder };
        let http = builder.build().map_err(|error| ClientError::Input(format!("no HTTP client: {error}")))?;
        Ok(Self { base, credential, http })
    }

    /// What a session is sealed to.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn sealing_key(&self, user: Option<UserId>) -> Result<SealingKey, ClientError> {
        let query: Vec<(&str, String)> = user.map(|user| ("user", user.to_string())).into_iter().collect();
        self.call(Method::GET, "api/v1/accounts/telegram/sealing-key", &query, None::<&()>).await
    }

    /// Hands a sealed session over.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn hand_over(
        &self,
        sealed: SealedSession,
        user: Option<UserId>,
    ) -> Result<ConnectedAccount, ClientError> {
        let order = AccountOrder {
            sealed_session: Some(sealed),
            ..AccountOrder::new(AccountKind::TelegramUser, user)
        };
        self.call(Method::POST, "api/v1/accounts", &[], Some(&order)).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, String)],
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<T, ClientError> {
        let address = self.base.to_string();
        let url = self.base.join(path).map_err(|error| ClientError::Input(error.to_string()))?;
        let request = self.http.request(method, url).query(query);
        let request = match &self.credential {
            Credential::ApiKey(key) => request.header("x-api-key", key.expose()),
            Credential::Operator(access) => request.bearer_auth(access.token()),
        };
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let silent = |error: reqwest::Error| {
            let error = error.without_url();
            let mut cause: &dyn std::error::Error = &error;
            while let Some(deeper) = cause.source() {
                cause = deeper;
            }
            ClientError::NoAnswer { address: address.clone(), reason: cause.to_string() }
        };
        let response = request.send().await.map_err(silent)?;
        let status = response.status();
        let foreign = || ClientError::Foreign {
            address: address.clone(),
            reason: format!("it answered {status} in words of its own"),
        };
        if status.is_success() {
            return response.json().await.map_err(|_| foreign());
        }
        let problem: ProblemDocument = response.json().await.map_err(|_| foreign())?;
        Err(ClientError::Refused(Box::new(problem)))
    }
}

/// An address to which a key may be sent: by TLS, or to this machine.
fn address(text: &str) -> Result<Url, ClientError> {
    let wrong = |why: &str| ClientError::Input(format!("--server: {why}"));
    let mut url = Url::parse(text).map_err(|_| wrong("it is not a web address"))?;
    let allowed = url.scheme() == "https" || (url.scheme() == "http" && is_local(&url));
    if !allowed {
        return Err(wrong(
            "it must begin with https:// unless it is on this machine: the key would go in plain text",
        ));
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}

fn is_local(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        let host = host.trim_matches(['[', ']']);
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    })
}

fn api_key(file: Option<&Path>, console: &mut Console) -> Result<Sensitive, ClientError> {
    const WHAT: &str = "API key";
    match (file, std::env::var(KEY_VARIABLE)) {
        (Some(file), _) => secret_input::secret(WHAT, Some(file), console),
        (None, Ok(key)) if !key.trim().is_empty() => secret_input::given(WHAT, &key),
        (None, _) => secret_input::hidden(WHAT, console),
    }
}

/// A sign-in link as a QR code, and as it is for those who cannot scan a terminal.
pub fn show_link(link: &str, console: &mut Console) {
    console.say("On a signed-in phone open Telegram > Settings > Devices > Link Desktop Device, and scan:");
    if let Ok(code) = QrCode::new(link.as_bytes()) {
        // Light modules are drawn, since terminals are dark more often than not.
        let image = code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build();
        console.say(image);
    }
    console.say(link);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_goes_by_tls_or_stays_on_this_machine() {
        for good in ["https://a.example", "https://a.example/base", "http://127.0.0.1:80", "http://[::1]:1/"]
        {
            assert!(address(good).unwrap().path().ends_with('/'), "{good}");
        }
        for bad in ["http://a.example", "http://10.0.0.1", "ftp://localhost", "a.example", ""] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }
}
