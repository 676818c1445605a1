//! `login`: signs a Telegram user in on the customer's own machine and hands the session over, sealed to the server. The
//! code and the password go to Telegram alone, and nothing is kept here.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretSlice};
use switchyard_actors::model::{AccountId, AccountKind};
use switchyard_actors::ports::{Credentials, Identified, LoginError, LoginStep, Rng, SignIn, StoreError};
use tokio::runtime::Handle;

use crate::adapters::telegram::{AuthKeySource, ClientExchange, SandboxKeys, TelegramLogin, session_parts};
use crate::cli::{self, ClientError, Console, ExitCode, Upload, UploadArgs};
use crate::clock::SystemClock;
use crate::config::{Config, SandboxMode, Secret, Sources, TelegramConfig};
use crate::crypto::SystemRng;
use crate::services::fault::Fault;
use crate::services::sandbox::fetch_seed;
use crate::services::sealed::{SealingKey, seal_session};
use crate::telemetry;

/// Between two looks whether the code was scanned there is nothing to do but wait; a wait ends by itself.
const STEPS_MAX: u32 = 1_000;

/// Why a session was not handed over, in one sentence.
#[derive(Debug, thiserror::Error)]
enum UploadError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Login(#[from] LoginError),
    #[error(transparent)]
    Seal(#[from] Fault),
    #[error("{0}")]
    Here(String),
}

impl UploadError {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Client(error) => error.exit_code(),
            Self::Login(LoginError::Wait { .. }) => ExitCode::TryAgain,
            Self::Login(_) | Self::Seal(_) => ExitCode::Unavailable,
            Self::Here(_) => ExitCode::Config,
        }
    }
}

/// Runs the verb.
pub(super) async fn run(args: &UploadArgs, console: &mut Console) -> ExitCode {
    let sources = Sources::from_process(args.config.clone(), args.flags(), PathBuf::new());
    let config = match Config::load(&sources) {
        Ok(config) => config,
        Err(error) => {
            console.complain(error);
            return ExitCode::Config;
        }
    };
    telemetry::install(&config.log);
    match hand_over(args, &config, console).await {
        Ok(()) => ExitCode::Ok,
        Err(error) => {
            console.complain(&error);
            error.exit_code()
        }
    }
}

async fn hand_over(args: &UploadArgs, config: &Config, console: &mut Console) -> Result<(), UploadError> {
    let server = Upload::open(args, console)?;
    // Asked first: who cannot hand anything over signs in for nothing.
    let key = server.sealing_key(args.user).await?;
    let login = telegram(config, &key).await?;
    let found = sign_in(&login, args.qr, console).await?;
    let parts = session_parts(&found.secrets);
    let (dc, auth_key) = parts.ok_or_else(|| UploadError::Here("the sign-in gave no key".to_owned()))?;
    let sealed = seal_session(&key, dc, &auth_key, &SystemRng)?;
    match server.hand_over(sealed, args.user).await {
        Ok(connected) => {
            let what = if connected.renewed { "has a new login at" } else { "is connected at" };
            let (name, id) = (&connected.account.name, connected.account.id);
            console.say(format_args!("{name} {what} the server as account {id}; nothing is kept here"));
            Ok(())
        }
        Err(error) => {
            if let Err(alive) = give_up(&login, &error, found).await {
                console.complain(format_args!(
                    "the session stays signed in, end it in Telegram > Devices: {alive}"
                ));
            }
            Err(error.into())
        }
    }
}

/// A session that the server did not take is ended, unless the server may have taken it after all.
async fn give_up(login: &TelegramLogin, error: &ClientError, found: Identified) -> Result<(), LoginError> {
    match error {
        ClientError::Refused(problem) if problem.status < 500 => login.revoke(found.secrets).await,
        _ => Err(LoginError::Unreachable("nobody knows whether the server took it".to_owned())),
    }
}

/// What signs in: under the server's application, at Telegram or at the sandbox.
async fn telegram(config: &Config, key: &SealingKey) -> Result<TelegramLogin, UploadError> {
    let mut telegram: TelegramConfig = config.telegram.clone();
    if let Some(application) = &key.telegram {
        telegram.api_id = application.api_id;
        telegram.api_hash = Secret::new(application.api_hash.expose());
    }
    let rng: Arc<dyn Rng> = Arc::new(SystemRng);
    let mut keys: Arc<dyn AuthKeySource> = Arc::new(ClientExchange);
    if let SandboxMode::Attached(url) = &config.sandbox.mode {
        let seed = fetch_seed(url, Duration::from_secs(10)).await;
        let seed = seed.map_err(|error| UploadError::Here(error.to_string()))?;
        let address = seed.telegram.address.parse();
        let address =
            address.map_err(|_| UploadError::Here("the sandbox names no Telegram address".to_owned()))?;
        telegram.use_sandbox(address, seed.telegram.api_id, &seed.telegram.api_hash);
        let client = reqwest::Client::builder().no_proxy().build();
        let client = client.map_err(|error| UploadError::Here(error.to_string()))?;
        keys = Arc::new(SandboxKeys::new(client, &seed.control, Arc::clone(&rng), telegram.request_timeout));
    }
    let nothing: Arc<dyn Credentials> = Arc::new(Nothing);
    Ok(TelegramLogin::new(telegram, nothing, keys, Arc::new(SystemClock), rng, Handle::current()))
}

async fn sign_in(login: &TelegramLogin, qr: bool, console: &mut Console) -> Result<Identified, UploadError> {
    let (mut sign_in, mut step) = if qr {
        login.sign_in_by_qr(None).await?
    } else {
        let phone = cli::line("telephone number, such as +491701234567", console)?;
        login.sign_in_by_phone(&phone, None).await?
    };
    let mut shown = String::new();
    for _ in 0..STEPS_MAX {
        step = match step {
            LoginStep::Code { sent_to } => {
                console.say(format_args!("Telegram sent a code to {sent_to}"));
                code(sign_in.as_mut(), console).await?
            }
            LoginStep::Password { hint } => {
                if let Some(hint) = hint {
                    console.say(format_args!("The account has a second-factor password; its hint: {hint}"));
                }
                password(sign_in.as_mut(), console).await?
            }
            LoginStep::Scan { link, .. } => {
                if shown != link.expose_secret() {
                    link.expose_secret().clone_into(&mut shown);
                    cli::show_link(&shown, console);
                }
                sign_in.wait().await?
            }
            LoginStep::Done(found) if found.kind == AccountKind::TelegramUser => return Ok(*found),
            LoginStep::Done(_) => return Err(UploadError::Here("that is no user of Telegram".to_owned())),
        };
    }
    Err(UploadError::Here("nobody scanned the code".to_owned()))
}

/// A wrong code is asked for again.
async fn code(sign_in: &mut dyn SignIn, console: &mut Console) -> Result<LoginStep, UploadError> {
    loop {
        let code = cli::hidden("code", console)?;
        match sign_in.code(code.into_secret()).await {
            Err(error @ LoginError::WrongCode) => console.complain(&error),
            told => return Ok(told?),
        }
    }
}

/// A wrong password is asked for again.
async fn password(sign_in: &mut dyn SignIn, console: &mut Console) -> Result<LoginStep, UploadError> {
    loop {
        let password = cli::hidden("second-factor password", console)?;
        match sign_in.password(password.into_secret()).await {
            Err(error @ LoginError::WrongPassword) => console.complain(&error),
            told => return Ok(told?),
        }
    }
}

/// Nothing is kept on this machine.
struct Nothing;

#[async_trait]
impl Credentials for Nothing {
    async fn secret(&self, _: AccountId, _: &str) -> Result<Option<SecretSlice<u8>>, StoreError> {
        Ok(None)
    }

    async fn set_secret(&self, _: AccountId, _: &str, _: SecretSlice<u8>) -> Result<(), StoreError> {
        Ok(())
    }

    async fn peers(&self, _: AccountId) -> Result<Vec<(i64, SecretSlice<u8>)>, StoreError> {
        Ok(Vec::new())
    }

    async fn set_peers(&self, _: AccountId, _: &[(i64, SecretSlice<u8>)]) -> Result<(), StoreError> {
        Ok(())
    }
}
