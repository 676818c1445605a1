//! What the tests of Telegram as a target share: a sandbox with a user and a bot, and their connections.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretSlice;
use switchyard::adapters::telegram::{SandboxKeys, TelegramConnector};
use switchyard::config::{Secret, TelegramConfig};
use switchyard::crypto::SystemRng;
use switchyard_actors::model::{
    Account, AccountKind, Cursor, DeliveryId, IdempotencyKey, MessageId, PartBody, Place, Platform, RichText,
    SendOutcome,
};
use switchyard_actors::ports::{
    Connection, ConnectionError, Credentials, MessageSender, Operation, PlatformConnector, SendRequest,
};
use switchyard_sandbox::messages::MessageItem;
use switchyard_sandbox::{Sandbox, SandboxConfig};
use tokio::runtime::Handle;
use uuid::Uuid;

use super::adapter_harness::{MemoryCredentials, account, request, sandbox, telegram_config, within};

/// A sandbox, one of its accounts, and the chat that the account writes to.
pub(crate) struct Bench {
    pub(crate) sandbox: Sandbox,
    pub(crate) credentials: Arc<MemoryCredentials>,
    pub(crate) config: TelegramConfig,
    pub(crate) account: Account,
    pub(crate) chat: String,
}

impl Bench {
    /// The seeded user and a chat that it writes to.
    pub(crate) async fn user() -> Self {
        Self::new(AccountKind::TelegramUser, |_| {}).await
    }

    /// The seeded bot and a chat that it writes to.
    pub(crate) async fn bot() -> Self {
        Self::new(AccountKind::TelegramBot, |_| {}).await
    }

    pub(crate) async fn new(kind: AccountKind, change: impl FnOnce(&mut SandboxConfig)) -> Self {
        let sandbox = sandbox(|config| {
            config.shape.telegram_bots = 1;
            config.shape.pairs.telegram_to_telegram = 2;
            change(config);
        })
        .await;
        let telegram = &sandbox.seed().telegram;
        let (bot, user) = (&telegram.bots[0], &telegram.users[0]);
        let account = match kind {
            AccountKind::TelegramBot => account(bot.account, kind, bot.user_id),
            _ => account(user.account, kind, user.user_id),
        };
        let credentials: Arc<MemoryCredentials> = Arc::default();
        if kind == AccountKind::TelegramBot {
            let token = SecretSlice::from(bot.token.reveal().as_bytes().to_vec());
            credentials.set_secret(account.id, "token", token).await.unwrap();
        }
        let mut pairs = sandbox.seed().pairs.iter();
        let pair = pairs.find(|pair| pair.target.account == account.id.as_uuid()).unwrap();
        let chat = pair.target.chat.clone();
        let mut config = telegram_config(&sandbox);
        config.api_hash = Secret::new(&telegram.api_hash);
        Self { sandbox, credentials, config, account, chat }
    }

    pub(crate) async fn try_connect(
        &self,
        sources: &[Place],
        targets: &[Place],
        cursors: Vec<Cursor>,
    ) -> Result<Connection, ConnectionError> {
        let control = format!("http://{}", self.sandbox.control_address());
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let keys = Arc::new(SandboxKeys::new(http, &control, Arc::new(SystemRng), Duration::from_secs(10)));
        let credentials = self.credentials.clone();
        let connector = TelegramConnector::new(self.config.clone(), credentials, keys, Handle::current());
        let mut wish = request(&self.account, sources, cursors);
        wish.targets = targets.to_vec();
        within(connector.connect(wish)).await
    }

    /// A connection that only sends.
    pub(crate) async fn connect(&self) -> (Connection, Arc<dyn MessageSender>) {
        let connection = self.try_connect(&[], &[place(&self.chat)], Vec::new()).await.unwrap();
        let sender = connection.sender.clone().unwrap();
        (connection, sender)
    }

    /// What stands in a chat, oldest first.
    pub(crate) fn messages(&self, chat: &str) -> Vec<MessageItem> {
        self.sandbox.telegram().list_messages(chat, None, 1_000).unwrap()
    }

    pub(crate) fn texts(&self) -> Vec<String> {
        self.messages(&self.chat).into_iter().map(|message| message.text).collect()
    }

    /// Nothing that was called is refused by the platform as a matter of course.
    pub(crate) fn no_violations(&self) {
        assert!(self.sandbox.shared().violations.snapshot().is_empty());
    }
}

pub(crate) fn place(chat: &str) -> Place {
    Place { platform: Platform::Telegram, chat: chat.parse().unwrap(), thread: None }
}

pub(crate) fn id(id: &str) -> MessageId {
    id.parse().unwrap()
}

pub(crate) fn rich(text: &str) -> PartBody {
    PartBody::Rich { text: RichText::plain(text) }
}

/// The send of a text, told apart from others by a number.
pub(crate) fn send(chat: &str, number: u128, text: &str) -> SendRequest {
    operation(chat, number, Operation::Send { body: rich(text), reply_to: None })
}

pub(crate) fn operation(chat: &str, number: u128, operation: Operation) -> SendRequest {
    SendRequest {
        target: place(chat),
        operation,
        key: IdempotencyKey::derive(DeliveryId::from_uuid(Uuid::from_u128(number)), 0),
        unclear_since: None,
        known: Vec::new(),
    }
}

pub(crate) async fn carry_out(sender: &Arc<dyn MessageSender>, request: SendRequest) -> SendOutcome {
    within(sender.send(request)).await.outcome
}

/// The id of what was delivered.
pub(crate) fn delivered(outcome: &SendOutcome) -> MessageId {
    match outcome {
        SendOutcome::Delivered { message: Some(id) } => *id,
        other => panic!("not delivered under an id: {other:?}"),
    }
}
