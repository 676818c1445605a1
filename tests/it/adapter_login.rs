//! Sign-ins of Telegram accounts against the sandbox's data centre, over real sockets.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests")]

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};
use switchyard::adapters::Logins;
use switchyard::adapters::discord::DiscordLogin;
use switchyard::adapters::telegram::{ClientExchange, SandboxKeys, TelegramConnector, TelegramLogin};
use switchyard::config::TelegramConfig;
use switchyard::crypto::SystemRng;
use switchyard_actors::model::{Account, AccountKind};
use switchyard_actors::ports::{
    ConnectionError, Credentials, Identified, Login, LoginError, LoginStep, NewCredential, PlatformConnector,
};
use switchyard_sandbox::faults::{FaultKind, FaultTarget};
use switchyard_sandbox::platform::Platform as Side;
use switchyard_sandbox::{Sandbox, SandboxConfig};
use tokio::runtime::Handle;
use uuid::Uuid;

use super::adapter_harness::{
    MemoryCredentials, ShiftedClock, account, discord_config, fault, request, sandbox, telegram_config,
    within,
};

/// A sandbox, the credentials of connected accounts, and what signs people in.
pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    credentials: Arc<MemoryCredentials>,
    clock: Arc<ShiftedClock>,
    pub(crate) config: TelegramConfig,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut SandboxConfig)) -> Self {
        let sandbox = sandbox(change).await;
        let mut config = telegram_config(&sandbox);
        let seed = &sandbox.seed().telegram;
        config.use_sandbox(sandbox.telegram_address(), seed.api_id, &seed.api_hash);
        Self { sandbox, credentials: Arc::default(), clock: Arc::default(), config }
    }

    fn keys(&self) -> Arc<SandboxKeys> {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let control = self.sandbox.control_url();
        Arc::new(SandboxKeys::new(http, &control, Arc::new(SystemRng), Duration::from_secs(10)))
    }

    pub(crate) fn login_with(&self, config: TelegramConfig) -> TelegramLogin {
        TelegramLogin::new(
            config,
            self.credentials.clone(),
            self.keys(),
            self.clock.clone(),
            Arc::new(SystemRng),
            Handle::current(),
        )
    }

    pub(crate) fn login(&self) -> TelegramLogin {
        self.login_with(self.config.clone())
    }

    /// Both clocks.
    fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.sandbox.shared().clock.advance(by).unwrap();
    }

    /// Keeps what a sign-in gave, as connecting the account would.
    pub(crate) async fn keep(&self, identified: Identified) -> Account {
        let account = account(Uuid::from_u128(77), identified.kind, identified.platform_id);
        for (name, value) in identified.secrets {
            self.credentials.set_secret(account.id, &name, value).await.unwrap();
        }
        account
    }

    /// Connects with the stored key and nothing else.
    pub(crate) async fn connect(
        &self,
        account: &Account,
        config: &TelegramConfig,
    ) -> Result<(), ConnectionError> {
        let keys = Arc::new(ClientExchange);
        let connector =
            TelegramConnector::new(config.clone(), self.credentials.clone(), keys, Handle::current());
        let connection = within(connector.connect(request(account, &[], Vec::new()))).await?;
        assert_eq!(connection.platform_id, account.platform_id);
        Ok(())
    }

    /// Telephone number, code and id of a seeded user.
    pub(crate) fn user(&self, index: usize) -> (String, SecretString, i64) {
        let user = &self.sandbox.seed().telegram.users[index];
        (user.phone.clone(), SecretString::from(user.code.reveal()), user.user_id)
    }

    /// Signs the first user in by code.
    pub(crate) async fn signed_in(&self) -> Identified {
        let (phone, code, _) = self.user(0);
        let (mut sign_in, step) = within(self.login().sign_in_by_phone(&phone, None)).await.unwrap();
        assert!(matches!(step, LoginStep::Code { .. }), "{step:?}");
        done(within(sign_in.code(code)).await.unwrap())
    }

    /// A session as Telethon writes it, of a key that is signed in as this user.
    pub(crate) fn telethon(&self, user: Option<i64>, address: SocketAddr, key: [u8; 256]) -> SecretString {
        if user.is_some() {
            self.sandbox.telegram().register_auth_key(&key, user).unwrap();
        }
        let ip = match address.ip() {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        let bytes = [&[2], ip.as_slice(), &address.port().to_be_bytes(), &key].concat();
        SecretString::from(format!("1{}", URL_SAFE.encode(bytes)))
    }
}

/// The seeded second-factor password of a user.
fn password(world: &World, index: usize) -> SecretString {
    SecretString::from(world.sandbox.seed().telegram.users[index].password.as_ref().unwrap().reveal())
}

/// What the shown link holds.
fn link(step: &LoginStep) -> Vec<u8> {
    let LoginStep::Scan { link, .. } = step else { panic!("no link: {step:?}") };
    let token = link.expose_secret().strip_prefix("tg://login?token=").unwrap();
    URL_SAFE_NO_PAD.decode(token).unwrap()
}

pub(crate) fn done(step: LoginStep) -> Identified {
    match step {
        LoginStep::Done(identified) => *identified,
        other => panic!("not done: {other:?}"),
    }
}

pub(crate) fn names(identified: &Identified) -> Vec<&str> {
    identified.secrets.iter().map(|(name, _)| name.as_str()).collect()
}

pub(crate) fn digits(text: &str) -> SecretString {
    SecretString::from(text)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_signs_a_user_in_and_the_key_works_from_then_on() {
    let world = World::new().await;
    let identified = world.signed_in().await;
    assert_eq!((identified.kind, identified.platform_id), (AccountKind::TelegramUser, world.user(0).2));
    assert_eq!(identified.name, "Telegram User 1");
    assert_eq!(names(&identified), ["home_dc", "dc.2"]);
    assert_eq!(world.credentials.writes(), 0, "nothing is stored by signing in");
    let account = world.keep(identified).await;
    world.connect(&account, &world.config).await.unwrap();
    assert!(world.sandbox.shared().violations.snapshot().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_code_may_be_corrected_and_an_old_one_not() {
    let world = World::new().await;
    let (phone, code, _) = world.user(0);
    let login = world.login();
    let (mut sign_in, _) = within(login.sign_in_by_phone(&phone, None)).await.unwrap();
    assert_eq!(within(sign_in.code(digits("00000"))).await.unwrap_err(), LoginError::WrongCode);
    assert_eq!(sign_in.password(digits("x")).await.unwrap_err(), LoginError::OutOfStep("the code"));
    assert_eq!(sign_in.wait().await.unwrap_err(), LoginError::OutOfStep("the code"));
    let spaced: Vec<_> = code.expose_secret().chars().map(String::from).collect();
    done(within(sign_in.code(digits(&spaced.join(" ")))).await.unwrap());
    let over = sign_in.code(code.clone()).await.unwrap_err();
    assert!(matches!(over, LoginError::OutOfStep(_)), "{over}");

    let (mut late, _) = within(login.sign_in_by_phone(&phone, None)).await.unwrap();
    world.advance(Duration::from_secs(3600));
    assert_eq!(within(late.code(code)).await.unwrap_err(), LoginError::CodeExpired);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_factor_is_proved_and_may_be_corrected() {
    let world = World::with(|config| config.shape.telegram_users = 2).await;
    let (phone, code, user) = world.user(1);
    let (mut sign_in, _) = within(world.login().sign_in_by_phone(&phone, None)).await.unwrap();
    let step = within(sign_in.code(code.clone())).await.unwrap();
    let LoginStep::Password { hint } = step else { panic!("no password is asked for: {step:?}") };
    assert_eq!(hint.as_deref(), Some("seeded"));
    assert_eq!(sign_in.code(code).await.unwrap_err(), LoginError::OutOfStep("the password"));
    assert_eq!(within(sign_in.password(digits("wrong"))).await.unwrap_err(), LoginError::WrongPassword);
    let identified = done(within(sign_in.password(password(&world, 1))).await.unwrap());
    assert_eq!((identified.kind, identified.platform_id), (AccountKind::TelegramUser, user));
    let account = world.keep(identified).await;
    world.connect(&account, &world.config).await.unwrap();
    assert!(world.sandbox.shared().violations.snapshot().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_is_scanned_signs_in() {
    let world = World::with(|config| config.shape.telegram_users = 2).await;
    for index in [0, 1] {
        let (_, _, user) = world.user(index);
        let (mut sign_in, step) = within(world.login().sign_in_by_qr(None)).await.unwrap();
        assert_eq!(
            sign_in.code(digits("1")).await.unwrap_err(),
            LoginError::OutOfStep("somebody to scan the link")
        );
        let telegram = world.sandbox.telegram();
        // While it is waited for, and before.
        let (step, _) = if index == 0 {
            let scan = async { telegram.accept_login_token(Some(&link(&step)), user).unwrap() };
            within(async { tokio::join!(sign_in.wait(), scan) }).await
        } else {
            let token = telegram.accept_login_token(Some(&link(&step)), user).unwrap();
            (within(sign_in.wait()).await, token)
        };
        let step = match step.unwrap() {
            LoginStep::Password { .. } if index == 1 => {
                within(sign_in.password(password(&world, 1))).await.unwrap()
            }
            step => step,
        };
        let identified = done(step);
        assert_eq!((identified.kind, identified.platform_id), (AccountKind::TelegramUser, user));
        let account = world.keep(identified).await;
        world.connect(&account, &world.config).await.unwrap();
        assert!(matches!(sign_in.wait().await, Err(LoginError::OutOfStep(_))));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_nobody_scanned_is_replaced() {
    let world = World::new().await;
    let (mut sign_in, first) = within(world.login().sign_in_by_qr(None)).await.unwrap();
    world.advance(Duration::from_secs(60));
    let second = within(sign_in.wait()).await.unwrap();
    assert_ne!(link(&first), link(&second));
    assert!(!format!("{second:?}").contains("token="), "a link is a secret");
    let (_, _, user) = world.user(0);
    world.sandbox.telegram().accept_login_token(Some(&link(&first)), user).unwrap_err();
    world.sandbox.telegram().accept_login_token(Some(&link(&second)), user).unwrap();
    assert_eq!(done(within(sign_in.wait()).await.unwrap()).platform_id, user);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lives_in_another_data_centre_is_signed_in_there() {
    let world = World::with(|config| {
        config.shape.telegram_users = 2;
        config.shape.telegram_bots = 1;
    })
    .await;
    let away = |count| {
        let target = FaultTarget::Platform(Side::Telegram);
        fault(&world.sandbox, target, FaultKind::Migrate, count, Duration::ZERO);
    };
    let home = |identified: &Identified| {
        assert_eq!(names(identified).get(..2), Some(["home_dc", "dc.4"].as_slice()));
        assert_eq!(identified.secrets[0].1.expose_secret(), b"4");
    };
    away(1);
    let by_code = world.signed_in().await;
    home(&by_code);
    away(1);
    let token = digits(world.sandbox.seed().telegram.bots[0].token.reveal());
    home(&within(world.login().identify_bot(&token, None)).await.unwrap());
    for index in [0, 1] {
        let (_, _, user) = world.user(index);
        let (mut sign_in, step) = within(world.login().sign_in_by_qr(None)).await.unwrap();
        world.sandbox.telegram().accept_login_token(Some(&link(&step)), user).unwrap();
        away(1);
        let mut step = within(sign_in.wait()).await.unwrap();
        if index == 1 {
            assert!(matches!(step, LoginStep::Password { .. }), "{step:?}");
            step = within(sign_in.password(password(&world, 1))).await.unwrap();
        }
        let identified = done(step);
        home(&identified);
        assert_eq!(identified.platform_id, user);
    }
    let account = world.keep(by_code).await;
    world.connect(&account, &world.config).await.unwrap();
    away(9);
    let error = within(world.login().sign_in_by_phone(&world.user(0).0, None)).await.err().unwrap();
    assert!(matches!(error, LoginError::Unreachable(_)), "sent around for ever: {error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_without_an_account_and_what_is_no_number_are_refused() {
    let world = World::new().await;
    let login = world.login();
    let (mut sign_in, step) = within(login.sign_in_by_phone("+999 66 123456", None)).await.unwrap();
    let LoginStep::Code { sent_to } = step else { panic!("no code is asked for") };
    assert_eq!(sent_to, "SMS");
    let mut refusals = 0;
    for code in 0..4 {
        refusals += u32::from(within(sign_in.code(digits(&format!("0000{code}")))).await.is_err());
    }
    assert_eq!(refusals, 4, "nobody signs in with a number of nobody");
    for phone in ["", "12", "user:token"] {
        let error = login.sign_in_by_phone(phone, None).await.err().unwrap();
        assert!(matches!(error, LoginError::Phone(_)), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_that_telegram_asks_for_is_told() {
    let world = World::new().await;
    let (target, wait) = (FaultTarget::Platform(Side::Telegram), Duration::from_secs(333));
    fault(&world.sandbox, target, FaultKind::FloodWait, 1, wait);
    let error = within(world.login().sign_in_by_phone(&world.user(0).0, None)).await.err().unwrap();
    let LoginError::Wait { wait: told, reason } = error else { panic!("{error}") };
    assert_eq!(told, wait);
    assert!(reason.contains("FLOOD_WAIT"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_application_nobody_is_asked() {
    let world = World::new().await;
    let config = TelegramConfig { api_id: 0, ..world.config.clone() };
    let error = world.login_with(config).sign_in_by_phone("+99966000001", None).await.err().unwrap();
    assert!(matches!(error, LoginError::Unreachable(_)), "{error}");
    let wrong = TelegramConfig { api_id: 99, ..world.config.clone() };
    let error = within(world.login_with(wrong).sign_in_by_phone("+99966000001", None)).await.err().unwrap();
    assert!(error.to_string().contains("telegram.api_id"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_is_signed_in_by_its_token_with_a_key_of_its_own() {
    let world = World::with(|config| config.shape.telegram_bots = 1).await;
    let (bot, login) = (&world.sandbox.seed().telegram.bots[0], world.login());
    let token = digits(bot.token.reveal());
    let first = within(login.identify_bot(&token, None)).await.unwrap();
    assert_eq!((first.kind, first.platform_id), (AccountKind::TelegramBot, bot.user_id));
    assert_eq!(names(&first), ["home_dc", "dc.2", "token"]);
    let second = within(login.identify_bot(&token, None)).await.unwrap();
    let key = |identified: &Identified| identified.secrets[1].1.expose_secret().to_vec();
    assert_ne!(key(&first), key(&second));
    let account = world.keep(first).await;
    world.connect(&account, &world.config).await.unwrap();
    within(login.log_out(&account)).await.unwrap();
    within(login.identify_bot(&token, None)).await.unwrap();
    let (id, _) = token.expose_secret().split_once(':').unwrap();
    for wrong in [format!("{id}:AAnot-the-secret"), "no token".to_owned()] {
        let error = within(login.identify_bot(&digits(&wrong), None)).await.unwrap_err();
        assert!(matches!(error, LoginError::Refused(_)), "{error}");
        assert!(!error.to_string().contains(&wrong), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_credential_goes_to_its_platform() {
    let world = World::with(|config| {
        config.shape.telegram_bots = 1;
        config.shape.webhooks = 1;
    })
    .await;
    let seed = world.sandbox.seed();
    let base = format!("http://{}", world.sandbox.discord_address());
    let discord = DiscordLogin::new(discord_config(&base)).unwrap();
    let logins: Arc<dyn Login> = Arc::new(Logins::new(world.login(), discord));
    let hook = &seed.discord.webhooks[0];
    let url = format!("{base}/api/webhooks/{}/{}", hook.id, hook.token.reveal());
    let session = world.telethon(Some(world.user(0).2), world.sandbox.telegram_address(), [3; 256]);
    let token = |secret: &str| SecretString::from(secret);
    for (credential, kind) in [
        (
            NewCredential::TelegramBot { token: token(seed.telegram.bots[0].token.reveal()) },
            AccountKind::TelegramBot,
        ),
        (NewCredential::TelethonSession { session, own_address: true }, AccountKind::TelegramUser),
        (
            NewCredential::DiscordBot { token: token(seed.discord.bots[0].token.reveal()) },
            AccountKind::DiscordBot,
        ),
        (NewCredential::DiscordWebhook { url: token(&url) }, AccountKind::DiscordWebhook),
    ] {
        let identified = within(logins.identify(credential, None)).await.unwrap();
        assert_eq!(identified.kind, kind);
        assert_eq!(identified.chat.is_some(), kind == AccountKind::DiscordWebhook);
        let account = world.keep(identified).await;
        within(logins.log_out(&account)).await.unwrap();
    }
    assert!(matches!(within(logins.sign_in_by_qr(None)).await.unwrap().1, LoginStep::Scan { .. }));
    let (_, step) = within(logins.sign_in_by_phone(&world.user(0).0, None)).await.unwrap();
    assert!(matches!(step, LoginStep::Code { .. }));
}
