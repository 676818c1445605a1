//! Discord webhooks as targets, against the sandbox and against servers with one answer, over real sockets.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretSlice, SecretString};
use switchyard::adapters::discord::{DiscordConnector, DiscordLogin, TOKEN};
use switchyard_actors::model::{
    Account, AccountKind, Author, DeliveryId, IdempotencyKey, MessageId, PartBody, Place, Platform,
    SendOutcome,
};
use switchyard_actors::ports::{
    Connection, ConnectionError, Credentials as _, LoginError, Operation, PlatformConnector as _, SendReport,
    SendRequest,
};
use switchyard_sandbox::Sandbox;
use switchyard_sandbox::faults::{FaultKind, FaultTarget};
use switchyard_sandbox::messages::MessageItem;
use uuid::Uuid;

use super::adapter_discord::{delivered, place, server};
use super::adapter_harness::{
    MemoryCredentials, ShiftedClock, account, discord_config, fault, request, sandbox, within,
};

/// A sandbox with one webhook, and what connects it.
struct World {
    sandbox: Sandbox,
    credentials: Arc<MemoryCredentials>,
    account: Account,
    token: String,
    chat: String,
    target: Place,
}

impl World {
    async fn new() -> Self {
        let sandbox = sandbox(|config| config.shape.webhooks = 1).await;
        let hook = sandbox.seed().discord.webhooks[0].clone();
        let account = account(hook.account, AccountKind::DiscordWebhook, i64::try_from(hook.id).unwrap());
        let credentials = Arc::new(MemoryCredentials::default());
        let (token, chat) = (hook.token.reveal().to_owned(), hook.channel.to_string());
        let target = place(&chat);
        let world = Self { sandbox, credentials, account, token, chat, target };
        world.set_token(&world.token).await;
        world
    }

    async fn set_token(&self, token: &str) {
        let token = SecretSlice::from(token.as_bytes().to_vec());
        self.credentials.set_secret(self.account.id, TOKEN, token).await.unwrap();
    }

    fn base(&self) -> String {
        self.sandbox.discord().api_base()
    }

    fn path(&self) -> String {
        format!("/api/v10/webhooks/{}/{}", self.account.platform_id, self.token)
    }

    async fn try_connect(&self, base: &str) -> Result<Connection, ConnectionError> {
        let (credentials, clock) = (self.credentials.clone(), Arc::<ShiftedClock>::default());
        let connector = DiscordConnector::new(discord_config(base), credentials, clock).unwrap();
        within(connector.connect(request(&self.account, &[], Vec::new()))).await
    }

    async fn connect(&self) -> Connection {
        let connection = self.try_connect(&self.base()).await.unwrap();
        assert_eq!(connection.platform_id, self.account.platform_id);
        assert!(connection.source.is_none(), "a webhook reads nothing");
        connection
    }

    fn operation(&self, operation: Operation) -> SendRequest {
        SendRequest {
            target: self.target,
            operation,
            key: IdempotencyKey::derive(DeliveryId::from_uuid(Uuid::from_u128(1)), 0),
            unclear_since: None,
            known: Vec::new(),
        }
    }

    fn part(&self, name: &str, content: &str) -> SendRequest {
        let author = Author { name: Some(name.to_owned()), via: Platform::Telegram };
        let body = PartBody::Markdown { content: content.to_owned(), author: Some(author) };
        self.operation(Operation::Send { body, reply_to: MessageId::new(5).ok() })
    }

    fn edit(&self, message: MessageId, content: &str) -> SendRequest {
        let body = PartBody::Markdown { content: content.to_owned(), author: None };
        self.operation(Operation::Edit { message, body })
    }

    fn delete(&self, message: MessageId) -> SendRequest {
        self.operation(Operation::Delete { message })
    }

    fn strike(&self, kind: FaultKind, wait: Duration) {
        fault(&self.sandbox, FaultTarget::Account(self.account.id.as_uuid()), kind, 1, wait);
    }

    fn arrived(&self) -> Vec<MessageItem> {
        self.sandbox.discord().list_messages(&self.chat, None, 100).unwrap()
    }

    fn texts(&self) -> Vec<String> {
        self.arrived().into_iter().map(|item| item.text).collect()
    }

    fn login(&self) -> DiscordLogin {
        DiscordLogin::new(discord_config(&self.base())).unwrap()
    }

    /// The names under which the messages of the channel stand, as the sandbox's API shows them to a bot.
    async fn names(&self) -> Vec<String> {
        let bot = &self.sandbox.seed().discord.bots[0];
        let url = format!("{}/api/v10/channels/{}/messages", self.base(), self.chat);
        let call = reqwest12::Client::new().get(url);
        let call = call.header("authorization", format!("Bot {}", bot.token.reveal()));
        let answer = within(call.send()).await.unwrap().bytes().await.unwrap();
        let messages: Vec<serde_json::Value> = serde_json::from_slice(&answer).unwrap();
        let name = |message: &serde_json::Value| message["author"]["username"].as_str().unwrap().to_owned();
        messages.iter().rev().map(name).collect()
    }
}

async fn send(connection: &Connection, request: SendRequest) -> SendReport {
    within(connection.sender.as_ref().unwrap().send(request)).await
}

async fn done(connection: &Connection, request: SendRequest) {
    let report = send(connection, request).await;
    assert!(matches!(report.outcome, SendOutcome::Delivered { .. }), "{report:?}");
}

fn described(world: &World, kind: u8) -> String {
    let (id, chat) = (world.account.platform_id, &world.chat);
    format!("{{\"id\": \"{id}\", \"type\": {kind}, \"name\": \"hook\", \"channel_id\": \"{chat}\"}}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_written_changed_and_deleted_under_its_authors_name() {
    let world = World::new().await;
    let hook = world.connect().await;
    let report = send(&hook, world.part("Ada", "**hello** @everyone")).await;
    let id = delivered(&report);
    assert!(report.hint.is_some(), "the bucket's state is seen");
    let other = delivered(&send(&hook, world.part("Discord Staff", "pretending")).await);
    assert_eq!(world.names().await, ["Ada via Telegram", "Unnamed via Telegram"]);
    for _ in 0..2 {
        let report = send(&hook, world.edit(id, "bye")).await;
        assert_eq!((delivered(&report), report.hint.is_none()), (id, true));
    }
    assert_eq!(world.texts(), ["bye", "pretending"]);
    done(&hook, world.delete(id)).await;
    done(&hook, world.delete(id)).await;
    let report = send(&hook, world.edit(id, "gone")).await;
    assert!(matches!(report.outcome, SendOutcome::Refused { .. }), "{report:?}");
    done(&hook, world.delete(other)).await;
    assert_eq!(world.texts(), Vec::<String>::new());
    assert!(world.sandbox.shared().violations.snapshot().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn it_writes_in_its_own_channel_only() {
    let world = World::new().await;
    let hook = world.connect().await;
    let elsewhere = place(&world.sandbox.seed().pairs[0].target.chat);
    let report = send(&hook, SendRequest { target: elsewhere, ..world.part("Ada", "x") }).await;
    assert!(matches!(report.outcome, SendOutcome::PausePair { .. }), "{report:?}");
    let thread = Place { thread: "4711".parse().ok(), ..world.target };
    let report = send(&hook, SendRequest { target: thread, ..world.part("Ada", "x") }).await;
    assert!(matches!(report.outcome, SendOutcome::PausePair { .. }), "no such thread: {report:?}");
    assert_eq!(world.texts(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_unclear_and_a_repeat_is_another_message() {
    let world = World::new().await;
    let hook = world.connect().await;
    assert!(!hook.sender.as_ref().unwrap().knows_repeats(), "the queue counts what may stand twice");
    world.strike(FaultKind::LostAnswer, Duration::ZERO);
    let report = send(&hook, world.part("Ada", "once or twice")).await;
    assert!(matches!(report.outcome, SendOutcome::Unclear { .. }), "{report:?}");
    done(&hook, SendRequest { unclear_since: Some(0), ..world.part("Ada", "once or twice") }).await;
    assert_eq!(world.texts(), ["once or twice", "once or twice"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_is_obeyed_and_a_webhook_that_is_taken_back_is_not_called_again() {
    let world = World::new().await;
    let hook = world.connect().await;
    world.strike(FaultKind::FloodWait, Duration::from_millis(1));
    let report = send(&hook, world.part("Ada", "x")).await;
    assert!(matches!(report.outcome, SendOutcome::RetryAfter { .. }), "{report:?}");
    world.strike(FaultKind::Unauthorized, Duration::ZERO);
    for _ in 0..3 {
        let report = send(&hook, world.part("Ada", "x")).await;
        assert!(matches!(report.outcome, SendOutcome::SessionDead { .. }), "{report:?}");
    }
    let again = world.connect().await;
    done(&again, world.part("Ada", "x")).await;
    assert_eq!(world.texts(), ["x"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_needs_a_login_and_is_not_told() {
    let world = World::new().await;
    world.set_token("wrong-token").await;
    let error = world.try_connect(&world.base()).await.unwrap_err();
    assert!(matches!(error, ConnectionError::NeedsLogin(_)), "{error}");
    assert!(!error.to_string().contains("wrong-token"));
    world.set_token("../../users/@me").await;
    let error = world.try_connect(&world.base()).await.unwrap_err();
    assert!(matches!(error, ConnectionError::Refused(_)), "{error}");
    let nobody = "http://127.0.0.1:1";
    world.set_token(&world.token).await;
    let error = world.try_connect(nobody).await.unwrap_err();
    assert!(matches!(error, ConnectionError::Unreachable(_)), "{error}");
    assert!(!error.to_string().contains(&world.token), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_is_gone_or_only_follows_is_told_apart_from_a_failing_server() {
    let world = World::new().await;
    let gone = "{\"message\": \"Unknown Webhook\", \"code\": 10015}".to_owned();
    let of = async |status, body: String| {
        let (base, calls) = server(vec![(world.path().as_str(), status, body)]).await;
        let error = world.try_connect(&base).await.unwrap_err();
        assert_eq!(calls.load(Ordering::Relaxed), 1, "{error}");
        error
    };
    assert!(matches!(of(404, gone).await, ConnectionError::NeedsLogin(_)));
    assert!(matches!(of(200, described(&world, 2)).await, ConnectionError::Refused(_)));
    assert!(matches!(of(500, String::new()).await, ConnectionError::Unreachable(_)));
    assert!(matches!(of(404, "<html>".to_owned()).await, ConnectionError::Unreachable(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_a_credential_is() {
    let world = World::new().await;
    let login = world.login();
    let (id, token) = (world.account.platform_id, &world.token);
    for address in [
        format!("https://discord.com/api/webhooks/{id}/{token}"),
        format!("{}/api/webhooks/{id}/{token}?wait=true", world.base()),
    ] {
        let found = within(login.identify_webhook(&SecretString::from(address), None)).await.unwrap();
        assert_eq!((found.kind, found.platform_id), (AccountKind::DiscordWebhook, id));
        assert_eq!(found.chat.map(|chat| chat.to_string()), Some(world.chat.clone()));
        let secrets: Vec<_> =
            found.secrets.iter().map(|(name, value)| (name.as_str(), value.expose_secret())).collect();
        assert_eq!(secrets, [(TOKEN, token.as_bytes())]);
    }
    let bot = world.sandbox.seed().discord.bots[0].clone();
    let found = format!("Bot {}", bot.token.reveal());
    let found = within(login.identify_bot(&SecretString::from(found), None)).await.unwrap();
    assert_eq!(found.platform_id, i64::try_from(bot.id).unwrap());
    assert_eq!((found.kind, found.name, found.chat), (AccountKind::DiscordBot, bot.name, None));
    assert_eq!(found.secrets[0].1.expose_secret(), bot.token.reveal().as_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_credential_is_refused_and_not_repeated() {
    let world = World::new().await;
    let login = world.login();
    let hidden = "hidden-word";
    for address in [
        format!("https://discord.com/api/webhooks/{}/{hidden}", world.account.platform_id),
        format!("https://evil.example/api/webhooks/1/{hidden}"),
        hidden.to_owned(),
    ] {
        let refused = within(login.identify_webhook(&SecretString::from(address), None)).await.unwrap_err();
        assert!(matches!(refused, LoginError::Refused(_)), "{refused}");
        assert!(!refused.to_string().contains(hidden), "{refused}");
    }
    for token in [hidden, "mfa.hidden-word"] {
        let refused = within(login.identify_bot(&SecretString::from(token), None)).await.unwrap_err();
        assert!(matches!(refused, LoginError::Refused(_)), "{refused}");
        assert!(!refused.to_string().contains(hidden), "{refused}");
    }
    let person = "{\"id\": \"5\", \"username\": \"p\"}".to_owned();
    let (base, _) = server(vec![("/api/v10/users/@me", 200, person)]).await;
    let login = DiscordLogin::new(discord_config(&base)).unwrap();
    let refused = within(login.identify_bot(&SecretString::from("a.b.c"), None)).await.unwrap_err();
    assert!(matches!(&refused, LoginError::Refused(text) if text.contains("user tokens")), "{refused}");
    let (base, _) = server(Vec::new()).await;
    let login = DiscordLogin::new(discord_config(&base)).unwrap();
    let unknown = within(login.identify_bot(&SecretString::from("a.b.c"), None)).await.unwrap_err();
    assert!(matches!(unknown, LoginError::Unreachable(_)), "{unknown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_discord_refuses_all_the_same_is_replaced_once() {
    let world = World::new().await;
    let (path, write) = (world.path(), format!("{}?wait=true", world.path()));
    let refusal =
        "{\"code\": 50035, \"message\": \"Invalid Form Body\", \"errors\": {\"username\": {}}}".to_owned();
    let (base, calls) =
        server(vec![(path.as_str(), 200, described(&world, 1)), (write.as_str(), 400, refusal)]).await;
    let hook = world.try_connect(&base).await.unwrap();
    let report = send(&hook, world.part("Ada", "x")).await;
    assert!(matches!(report.outcome, SendOutcome::Refused { .. }), "{report:?}");
    assert_eq!(calls.load(Ordering::Relaxed), 3, "what it is, its author's name, no name");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_was_moved_writes_no_second_message_elsewhere() {
    let world = World::new().await;
    let (path, write) = (world.path(), format!("{}?wait=true", world.path()));
    let elsewhere = "{\"id\": \"9\", \"channel_id\": \"77\"}".to_owned();
    let (base, calls) =
        server(vec![(path.as_str(), 200, described(&world, 1)), (write.as_str(), 200, elsewhere)]).await;
    let hook = world.try_connect(&base).await.unwrap();
    assert_eq!(delivered(&send(&hook, world.part("Ada", "x")).await).get(), 9);
    let report = send(&hook, world.part("Ada", "y")).await;
    assert!(matches!(report.outcome, SendOutcome::PausePair { .. }), "{report:?}");
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}
