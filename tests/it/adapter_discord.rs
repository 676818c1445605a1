//! Discord bots against the sandbox's REST API and gateway, over real sockets.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use secrecy::SecretSlice;
use switchyard::adapters::discord::{DiscordConnector, TOKEN};
use switchyard_actors::model::{
    Account, AccountKind, DeliveryId, HoldScope, IdempotencyKey, MessageId, PartBody, Place, Platform,
    SendOutcome,
};
use switchyard_actors::ports::{
    Clock, Connection, ConnectionError, Credentials, MessageSender, Operation, PlatformConnector, SendReport,
    SendRequest,
};
use switchyard_sandbox::faults::{FaultKind, FaultTarget};
use switchyard_sandbox::{Sandbox, SandboxConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use uuid::Uuid;

use super::adapter_harness::{
    MemoryCredentials, Reader, ShiftedClock, account, discord_config, fault, request, sandbox, within,
};

/// A sandbox with one bot, and what connects it.
pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    pub(crate) credentials: Arc<MemoryCredentials>,
    pub(crate) clock: Arc<ShiftedClock>,
    pub(crate) account: Account,
    pub(crate) chat: String,
    pub(crate) target: Place,
}

impl World {
    pub(crate) async fn new(change: impl FnOnce(&mut SandboxConfig)) -> Self {
        let sandbox = sandbox(change).await;
        let bot = sandbox.seed().discord.bots[0].clone();
        let account = account(bot.account, AccountKind::DiscordBot, i64::try_from(bot.id).unwrap());
        let credentials = Arc::new(MemoryCredentials::default());
        set_token(&credentials, &account, bot.token.reveal()).await;
        let chat = sandbox.seed().pairs[0].target.chat.clone();
        let target = place(&chat);
        Self { sandbox, credentials, clock: Arc::default(), account, chat, target }
    }

    pub(crate) fn connector(&self, base: &str) -> DiscordConnector {
        DiscordConnector::new(discord_config(base), self.credentials.clone(), self.clock.clone()).unwrap()
    }

    pub(crate) async fn connect(&self) -> Connected {
        let connector = self.connector(&self.sandbox.discord().api_base());
        let connection = within(connector.connect(request(&self.account, &[], Vec::new()))).await.unwrap();
        assert_eq!(connection.platform_id, self.account.platform_id);
        Connected { connection, _connector: connector }
    }

    pub(crate) async fn refused_by(&self, base: &str) -> ConnectionError {
        let connector = self.connector(base);
        within(connector.connect(request(&self.account, &[], Vec::new()))).await.unwrap_err()
    }

    pub(crate) fn part(&self, delivery: u128, content: &str) -> SendRequest {
        SendRequest {
            target: self.target,
            operation: Operation::Send {
                body: PartBody::Markdown { content: content.to_owned(), author: None },
                reply_to: None,
            },
            key: IdempotencyKey::derive(DeliveryId::from_uuid(Uuid::from_u128(delivery)), 0),
            unclear_since: None,
            known: Vec::new(),
        }
    }

    pub(crate) fn arrived(&self) -> Vec<(String, String)> {
        let items = self.sandbox.discord().list_messages(&self.chat, None, 100).unwrap();
        items.into_iter().map(|item| (item.id, item.text)).collect()
    }

    pub(crate) fn strike(&self, kind: FaultKind, wait: Duration) {
        fault(&self.sandbox, FaultTarget::Account(self.account.id.as_uuid()), kind, 1, wait);
    }

    /// The answer of `GET /users/@me` for the world's bot.
    pub(crate) fn me(&self) -> String {
        format!("{{\"id\": \"{}\", \"bot\": true}}", self.account.platform_id)
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.clock.now().timestamp_millis()
    }
}

/// A connection with the connector whose thread it lives on.
pub(crate) struct Connected {
    connection: Connection,
    _connector: DiscordConnector,
}

impl Connected {
    pub(crate) async fn send(&self, request: SendRequest) -> SendReport {
        let sender: &Arc<dyn MessageSender> = self.connection.sender.as_ref().unwrap();
        within(sender.send(request)).await
    }
}

pub(crate) async fn set_token(credentials: &MemoryCredentials, account: &Account, token: &str) {
    let token = SecretSlice::from(token.as_bytes().to_vec());
    credentials.set_secret(account.id, TOKEN, token).await.unwrap();
}

pub(crate) fn place(chat: &str) -> Place {
    Place { platform: Platform::Discord, chat: chat.parse().unwrap(), thread: None }
}

pub(crate) fn delivered(report: &SendReport) -> MessageId {
    match &report.outcome {
        SendOutcome::Delivered { message: Some(id) } => *id,
        other => panic!("not delivered: {other:?}"),
    }
}

pub(crate) const ME: &str = "/api/v10/users/@me";
pub(crate) const GATEWAY: &str = "/api/v10/gateway/bot";

/// The answer of `GET /gateway/bot`.
pub(crate) fn gateway(url: &str, remaining: u32) -> String {
    format!(
        "{{\"url\": \"{url}\", \"shards\": 1, \"session_start_limit\": {{\"total\": 1000, \
         \"remaining\": {remaining}, \"reset_after\": 7000, \"max_concurrency\": 1}}}}"
    )
}

/// A server that answers every request for a path with the same status and body, and counts them.
pub(crate) async fn server(answers: Vec<(&str, u16, String)>) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = calls.clone();
    let answers: Vec<_> =
        answers.into_iter().map(|(path, status, body)| (path.to_owned(), status, body)).collect();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.windows(4).any(|window| window == b"\r\n\r\n") {
                if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
                    break;
                }
            }
            counter.fetch_add(1, Ordering::Relaxed);
            let head = String::from_utf8_lossy(&head);
            let path = head.split(' ').nth(1).unwrap_or_default();
            let found = answers.iter().find(|(wanted, ..)| path == wanted);
            let (status, body) = found.map_or((404, ""), |(_, status, body)| (*status, body.as_str()));
            let length = body.len();
            let answer =
                format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (base, calls)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_arrives_once_however_often_it_is_sent() {
    let world = World::new(|_| {}).await;
    let bot = world.connect().await;
    let report = bot.send(world.part(1, "**hello** @everyone")).await;
    let id = delivered(&report);
    assert!(report.hint.is_some(), "the bucket's state is seen");
    assert_eq!(delivered(&bot.send(world.part(1, "**hello** @everyone")).await), id, "the same key");
    let other = delivered(&bot.send(world.part(2, "**hello** @everyone")).await);
    assert_ne!(other, id, "another key, the same words");
    let expected = [(id, "**hello** @everyone"), (other, "**hello** @everyone")];
    assert_eq!(world.arrived(), expected.map(|(id, text)| (id.to_string(), text.to_owned())));
    assert!(world.sandbox.shared().violations.snapshot().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_429_is_a_wait_and_no_try_goes_out_before_it_ends() {
    let world = World::new(|_| {}).await;
    let bot = world.connect().await;
    world.strike(FaultKind::FloodWait, Duration::from_secs(5));
    let report = bot.send(world.part(1, "x")).await;
    let SendOutcome::RetryAfter { wait, scope } = report.outcome else { panic!("{report:?}") };
    assert!(wait > Duration::from_secs(4) && wait <= Duration::from_secs(5), "{wait:?}");
    assert_eq!(scope, HoldScope::Account);
    assert_eq!(world.arrived(), vec![]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_unclear_and_the_repeat_finds_the_message() {
    let world = World::new(|_| {}).await;
    let bot = world.connect().await;
    let sent_at = world.now_ms();
    world.strike(FaultKind::LostAnswer, Duration::ZERO);
    let report = bot.send(world.part(1, "once")).await;
    assert!(matches!(report.outcome, SendOutcome::Unclear { .. }), "{report:?}");
    // Soon after, the nonce still stands.
    let again = SendRequest { unclear_since: Some(sent_at), ..world.part(1, "once") };
    let id = delivered(&bot.send(again.clone()).await);
    // Long after, Discord has forgotten it, and the channel is looked at.
    world.sandbox.shared().clock.advance(Duration::from_secs(600)).unwrap();
    world.clock.advance(Duration::from_secs(600));
    assert_eq!(delivered(&bot.send(again).await), id);
    assert_eq!(world.arrived().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_never_arrived_is_sent_after_the_look() {
    let world = World::new(|_| {}).await;
    let bot = world.connect().await;
    let known = vec![delivered(&bot.send(world.part(1, "same words")).await)];
    let sent_at = world.now_ms();
    world.strike(FaultKind::ServerError, Duration::ZERO);
    let report = bot.send(world.part(2, "same words")).await;
    assert!(matches!(report.outcome, SendOutcome::Unclear { .. }), "{report:?}");
    world.sandbox.shared().clock.advance(Duration::from_secs(600)).unwrap();
    world.clock.advance(Duration::from_secs(600));
    let again = SendRequest { unclear_since: Some(sent_at), known, ..world.part(2, "same words") };
    // A look that fails decides nothing.
    world.strike(FaultKind::ServerError, Duration::ZERO);
    let report = bot.send(again.clone()).await;
    assert!(matches!(report.outcome, SendOutcome::Backoff { .. }), "{report:?}");
    assert_eq!(world.arrived().len(), 1);
    delivered(&bot.send(again).await);
    assert_eq!(world.arrived().len(), 2, "the first message has the words, but is known as another's copy");
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_told_apart() {
    let world = World::new(|_| {}).await;
    let bot = world.connect().await;
    let guild = &world.sandbox.seed().discord.guilds[0];
    let read_only = guild.channels.iter().find(|channel| !channel.writable).unwrap();
    let to = |target| SendRequest { target, ..world.part(1, "x") };
    let report = bot.send(to(place(&read_only.id.to_string()))).await;
    assert!(matches!(report.outcome, SendOutcome::PausePair { .. }), "{report:?}");
    let report = bot.send(to(place("4711"))).await;
    assert!(matches!(report.outcome, SendOutcome::PausePair { .. }), "{report:?}");
    let report = bot.send(world.part(2, &"x".repeat(2_001))).await;
    assert!(matches!(report.outcome, SendOutcome::Refused { .. }), "{report:?}");
    let report = bot.send(world.part(3, "")).await;
    assert!(matches!(report.outcome, SendOutcome::Refused { .. }), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_needs_a_login_and_a_users_token_is_refused() {
    let world = World::new(|_| {}).await;
    let base = world.sandbox.discord().api_base();
    set_token(&world.credentials, &world.account, "bm90LWEtYm90.x.y").await;
    let refused = world.refused_by(&base).await;
    assert!(matches!(refused, ConnectionError::NeedsLogin(_)), "{refused}");
    set_token(&world.credentials, &world.account, "mfa.secret").await;
    let refused = world.refused_by(&base).await;
    assert!(matches!(refused, ConnectionError::Refused(_)), "{refused}");
    assert!(!refused.to_string().contains("secret"));
    let (person, calls) = server(vec![(ME, 200, "{\"id\": \"5\", \"username\": \"p\"}".to_owned())]).await;
    set_token(&world.credentials, &world.account, "bm90LWEtYm90.x.y").await;
    let refused = world.refused_by(&person).await;
    assert!(matches!(&refused, ConnectionError::Refused(text) if text.contains("user tokens")), "{refused}");
    assert_eq!(calls.load(Ordering::Relaxed), 1, "nothing else is asked with a person's token");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_base_is_an_error_and_nobody_else_is_asked() {
    let world = World::new(|_| {}).await;
    let (base, calls) = server(vec![(ME, 200, world.me()), (GATEWAY, 500, String::new())]).await;
    let refused = world.refused_by(&base).await;
    assert!(matches!(&refused, ConnectionError::Unreachable(text) if text.contains("500")), "{refused}");
    assert_eq!(calls.load(Ordering::Relaxed), 2);
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let refused = world.refused_by(&base).await;
    assert!(matches!(refused, ConnectionError::Unreachable(_)), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_used_up_day_of_identifications_is_a_wait() {
    let world = World::new(|_| {}).await;
    let (base, _) =
        server(vec![(ME, 200, world.me()), (GATEWAY, 200, gateway("ws://127.0.0.1:1", 50))]).await;
    let refused = world.refused_by(&base).await;
    let ConnectionError::Wait { wait, .. } = refused else { panic!("not told to wait: {refused}") };
    assert_eq!(wait, Duration::from_secs(7));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_gateway_ends_the_source() {
    let world = World::new(|config| config.discord.heartbeat = Duration::from_secs(1)).await;
    let connected = world.connect().await;
    let sender = connected.connection.sender.clone().unwrap();
    let mut reader = Reader::new(connected.connection, &[]);
    let part = world.part(1, "x");
    world.sandbox.stop().await;
    let end = reader.end().await;
    assert!(matches!(end, ConnectionError::Unreachable(_)), "{end}");
    // A connection that was kept may break under the first send, and then nobody knows whether it arrived.
    loop {
        match within(sender.send(part.clone())).await.outcome {
            SendOutcome::Unclear { .. } => {}
            SendOutcome::Backoff { .. } => break,
            other => panic!("there is nobody to answer: {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_401_no_further_call_goes_out() {
    let world = World::new(|_| {}).await;
    let messages = format!("/api/v10/channels/{}/messages", world.chat);
    let reset = "{\"message\": \"401: Unauthorized\", \"code\": 0}".to_owned();
    let real = gateway(&world.sandbox.discord().gateway_url(), 1_000);
    let (base, calls) =
        server(vec![(ME, 200, world.me()), (GATEWAY, 200, real), (&messages, 401, reset)]).await;
    let connector = world.connector(&base);
    let connection = within(connector.connect(request(&world.account, &[], Vec::new()))).await.unwrap();
    let sender = connection.sender.clone().unwrap();
    for _ in 0..3 {
        let report = within(sender.send(world.part(1, "x"))).await;
        assert!(matches!(report.outcome, SendOutcome::SessionDead { .. }), "{report:?}");
    }
    assert_eq!(calls.load(Ordering::Relaxed), 3, "who it is, where the gateway is, and one send");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_the_gateway_refuses_needs_a_login() {
    let world = World::new(|_| {}).await;
    set_token(&world.credentials, &world.account, "bm90LWEtYm90.x.y").await;
    let real = gateway(&world.sandbox.discord().gateway_url(), 1_000);
    let (base, _) = server(vec![(ME, 200, world.me()), (GATEWAY, 200, real)]).await;
    let refused = world.refused_by(&base).await;
    assert!(matches!(refused, ConnectionError::NeedsLogin(_)), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_gateway_connection_is_resumed_without_a_word() {
    let world = World::new(|_| {}).await;
    let connected = world.connect().await;
    let mut reader = Reader::new(connected.connection, &[]);
    // A fault is used up by the gateway's connection, the only one: so it was there again each time.
    let faults = &world.sandbox.shared().faults;
    for _ in 0..3 {
        within(async {
            loop {
                faults.clear();
                world.strike(FaultKind::DropConnection, Duration::ZERO);
                tokio::time::sleep(Duration::from_millis(5)).await;
                if faults.list().is_empty() {
                    break;
                }
            }
        })
        .await;
    }
    assert!(reader.unit().now_or_never().is_none(), "the source goes on");
}
