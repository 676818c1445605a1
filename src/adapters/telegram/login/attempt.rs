//! One connection on which somebody signs in, at the data centre that Telegram names for them.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::sync::Arc;

use grammers_mtsender::InvocationError;
use grammers_session::types::DcOption;
use grammers_session::{Session, SessionData};
use grammers_tl_types as tl;
use secrecy::{SecretSlice, SecretString};
use switchyard_actors::model::{AccountId, AccountKind};
use switchyard_actors::ports::{Clock, Credentials, Identified, LoginError, Proxy, Rng, StoreError};
use tokio::runtime::Handle;
use uuid::Uuid;

use crate::config::TelegramConfig;

use super::super::auth_key::AuthKeySource;
use super::super::book::user_name;
use super::super::link::{CallError, Inbox, Link};
use super::super::record;
use super::super::session::{DATA_CENTRES, HOME_DC, OWN_ADDRESS, StoredSession, secret_name};
use super::fault::{from_connection, login_error};
use super::proof;
use super::scratch::ScratchCredentials;
use super::telethon::GivenSession;

/// How often one request may be sent on to another data centre, or be asked for again. Telegram does it once.
const TRIES_MAX: u32 = 4;

/// What every sign-in needs.
pub(super) struct Needs {
    pub(super) config: TelegramConfig,
    pub(super) keys: Arc<dyn AuthKeySource>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) rng: Arc<dyn Rng>,
    pub(super) runtime: Handle,
}

/// Under which application people sign in.
pub(super) struct Application {
    pub(super) api_id: i32,
    pub(super) api_hash: String,
}

impl Needs {
    /// The configured application.
    ///
    /// # Errors
    /// [`LoginError::Unreachable`] when there is none: nothing is known of the credential.
    pub(super) fn application(&self) -> Result<Application, LoginError> {
        match (self.config.api_id, &self.config.api_hash) {
            (api_id, Some(hash)) if api_id > 0 => {
                Ok(Application { api_id, api_hash: hash.expose().to_owned() })
            }
            _ => Err(LoginError::Unreachable(
                "telegram.api_id and telegram.api_hash are not configured".to_owned(),
            )),
        }
    }
}

/// A connection with a key of its own. Dropping it closes the connection and forgets the key.
pub(super) struct Attempt {
    needs: Arc<Needs>,
    scratch: Arc<ScratchCredentials>,
    link: Link,
    inbox: Inbox,
}

impl Attempt {
    /// Connects with a fresh key that nobody is signed in with; without a number, to the client's first data centre.
    pub(super) async fn open(
        needs: &Arc<Needs>,
        dc: Option<i32>,
        proxy: Option<&Proxy>,
    ) -> Result<Self, LoginError> {
        let scratch = ScratchCredentials::through(proxy);
        if let Some(dc) = dc {
            scratch.put(HOME_DC, text(&dc.to_string()));
        }
        let key = needs.keys.fresh_key().await.map_err(from_connection)?;
        let attempt = Self::connect(needs, scratch).await?;
        if let Some(key) = key {
            attempt.link.session().set_home_key(*key).await?;
        }
        Ok(attempt)
    }

    /// Connects with a session that was made elsewhere, at its own address.
    pub(super) async fn with_session(
        needs: &Arc<Needs>,
        session: &GivenSession,
        proxy: Option<&Proxy>,
    ) -> Result<Self, LoginError> {
        let scratch = ScratchCredentials::through(proxy);
        scratch.put(HOME_DC, text(&session.dc.to_string()));
        scratch.put(&secret_name(session.dc), record::encode_dc(&option(session)?));
        // Where one address is configured for all, this account keeps to its own: a key is shown to nobody but the
        // server that gave it. The same address is not kept, so that the account follows the configuration.
        if let Some(own) = session.address
            && needs.config.address.is_some_and(|address| address != own)
        {
            scratch.put(OWN_ADDRESS, text(&own.to_string()));
        }
        Self::connect(needs, scratch).await
    }

    async fn connect(needs: &Arc<Needs>, scratch: ScratchCredentials) -> Result<Self, LoginError> {
        let scratch = Arc::new(scratch);
        // The account has no id yet, and the credentials in memory ask for none.
        let nobody = AccountId::from_uuid(Uuid::nil());
        let credentials: Arc<dyn Credentials> = Arc::<ScratchCredentials>::clone(&scratch);
        let session = Arc::new(StoredSession::load(credentials, nobody, needs.config.address).await?);
        let opened = Link::open(&session, &needs.config, &needs.runtime).await;
        let (link, inbox) = opened.map_err(from_connection)?;
        Ok(Self { needs: Arc::clone(needs), scratch, link, inbox })
    }

    /// Connects and makes the first request of a sign-in, where Telegram wants it to be made.
    pub(super) async fn begin<R>(
        needs: &Arc<Needs>,
        request: &R,
        proxy: Option<&Proxy>,
    ) -> Result<(Self, R::Return), LoginError>
    where
        R: tl::RemoteCall + tl::Identifiable + Sync,
    {
        let mut dc = None;
        for _ in 0..TRIES_MAX {
            let attempt = Self::open(needs, dc, proxy).await?;
            match attempt.link.call(request).await {
                Ok(answer) => return Ok((attempt, answer)),
                Err(error) => match (migration(&error), error.is("AUTH_RESTART")) {
                    (Some(other), _) => dc = Some(other),
                    (None, true) => {}
                    (None, false) => return Err(login_error(&error)),
                },
            }
        }
        Err(LoginError::Unreachable("Telegram sends the sign-in from one data centre to the next".to_owned()))
    }

    /// The proxy that it goes through.
    pub(super) fn proxy(&self) -> Option<Proxy> {
        self.link.session().proxy().cloned()
    }

    /// The connection.
    pub(super) fn link(&self) -> &Link {
        &self.link
    }

    /// What the server says unasked.
    pub(super) fn inbox(&mut self) -> &mut Inbox {
        &mut self.inbox
    }

    /// Whose session it is; `None` if the server names nobody.
    pub(super) async fn who(&self) -> Result<Option<tl::types::User>, CallError> {
        // The session was in use elsewhere: a frozen connection of ours must not keep its key.
        self.link.ping().await?;
        let request = tl::functions::users::GetUsers { id: vec![tl::enums::InputUser::UserSelf] };
        let users = self.link.call(&request).await?;
        Ok(users.into_iter().next().and_then(|user| match user {
            tl::enums::User::User(user) => Some(user),
            tl::enums::User::Empty(_) => None,
        }))
    }

    /// What the server asks of whoever knows the second-factor password.
    pub(super) async fn question(&self) -> Result<tl::types::account::Password, LoginError> {
        let answer = self.link.call(&tl::functions::account::GetPassword {}).await;
        let tl::enums::account::Password::Password(asked) = answer.map_err(|error| login_error(&error))?;
        Ok(asked)
    }

    /// Proves that somebody knows the second-factor password.
    pub(super) async fn prove(
        &self,
        password: &SecretString,
    ) -> Result<tl::enums::auth::Authorization, LoginError> {
        for _ in 0..TRIES_MAX {
            // A question is good for one answer.
            let asked = self.question().await?;
            let (password, rng) = (password.clone(), Arc::clone(&self.needs.rng));
            let proving = self.needs.runtime.spawn_blocking(move || proof::prove(asked, &password, &*rng));
            let proof = proving.await;
            let proof =
                proof.map_err(|_| LoginError::Unreachable("the proof was interrupted".to_owned()))??;
            let request = tl::functions::auth::CheckPassword { password: proof };
            match self.link.call(&request).await {
                Ok(authorization) => return Ok(authorization),
                Err(error) if error.is("SRP_ID_INVALID") || error.is("SRP_PASSWORD_CHANGED") => {}
                Err(error) => return Err(login_error(&error)),
            }
        }
        Err(LoginError::Unreachable("Telegram takes no proof of the password".to_owned()))
    }

    /// Who is signed in now and what to keep of it. The connection is closed: the account opens its own.
    pub(super) fn done(
        self,
        authorization: tl::enums::auth::Authorization,
    ) -> Result<Identified, LoginError> {
        match authorization {
            tl::enums::auth::Authorization::Authorization(signed_in) => match signed_in.user {
                tl::enums::User::User(user) => self.identified(&user),
                tl::enums::User::Empty(_) => {
                    Err(LoginError::Refused("the server does not say who is signed in".to_owned()))
                }
            },
            tl::enums::auth::Authorization::SignUpRequired(_) => Err(LoginError::Phone(
                "it has no Telegram account: sign up with Telegram's own app first".to_owned(),
            )),
        }
    }

    /// As [`Self::done`], of a user that is known.
    pub(super) fn identified(self, user: &tl::types::User) -> Result<Identified, LoginError> {
        let lost = || LoginError::Store(StoreError::Failed("the key of the sign-in is lost".to_owned()));
        let home = self.link.session().home_dc_id().map_err(|_| lost())?;
        let key_name = secret_name(home);
        let key = self.scratch.get(&key_name).ok_or_else(lost)?;
        let mut secrets = vec![(HOME_DC.to_owned(), text(&home.to_string())), (key_name, key)];
        if let Some(address) = self.scratch.get(OWN_ADDRESS) {
            secrets.push((OWN_ADDRESS.to_owned(), address));
        }
        if let Some(proxy) = self.scratch.get(Proxy::SECRET) {
            secrets.push((Proxy::SECRET.to_owned(), proxy));
        }
        let kind = if user.bot { AccountKind::TelegramBot } else { AccountKind::TelegramUser };
        let name = user_name(user).text;
        Ok(Identified { kind, platform_id: user.id, name, chat: None, fresh: true, secrets })
    }
}

fn text(text: &str) -> SecretSlice<u8> {
    SecretSlice::from(text.as_bytes().to_vec())
}

/// The data centre to which the server sends a request (code 303: `PHONE_MIGRATE_4`, `USER_MIGRATE_4`).
fn migration(error: &CallError) -> Option<i32> {
    match error {
        CallError::Answer(InvocationError::Rpc(rpc)) if rpc.code == 303 => {
            i32::try_from(rpc.value?).ok().filter(|dc| DATA_CENTRES.contains(dc))
        }
        _ => None,
    }
}

/// The session's data centre, at its address.
fn option(session: &GivenSession) -> Result<DcOption, LoginError> {
    let unknown = || LoginError::Refused("the session names no data centre of Telegram".to_owned());
    let known = SessionData::default().dc_options.remove(&session.dc).ok_or_else(unknown)?;
    let key = Some(*session.key);
    Ok(match session.address {
        None => DcOption { auth_key: key, ..known },
        Some(SocketAddr::V4(ipv4)) => DcOption { ipv4, auth_key: key, ..known },
        // No IPv4 address says that the other one is to be used.
        Some(SocketAddr::V6(ipv6)) => {
            let ipv4 = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, ipv6.port());
            DcOption { ipv4, ipv6: SocketAddrV6::new(*ipv6.ip(), ipv6.port(), 0, 0), auth_key: key, ..known }
        }
    })
}
