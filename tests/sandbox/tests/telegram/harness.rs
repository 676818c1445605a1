//! A sandbox and clients of it: grammers-client with a session that already holds an authorization key.

use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::sync::Arc;
use std::time::Duration;

use grammers_client::Client;
use grammers_client::client::ClientConfiguration;
use grammers_mtsender::{ConnectionParams, InvocationError, NoRetries, RpcError, SenderPool};
use grammers_session::storages::MemorySession;
use grammers_session::types::{DcOption, PeerId, PeerRef};
use grammers_session::updates::UpdatesLike;
use grammers_session::{Session as _, SessionData};
use grammers_tl_types::{RemoteCall, enums, functions, types};
use switchyard_sandbox::messages::{EntityKind, NewMessage, TextEntity};
use switchyard_sandbox::{Sandbox, SandboxConfig, SeedShape};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// The one generous deadline under which tests wait.
pub(super) const DEADLINE: Duration = Duration::from_secs(30);
/// The seeded account of the first Telegram user.
pub(super) const USER: i64 = 1001;

/// Waits for something that must come.
pub(super) async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, what).await.expect("it did not happen within the deadline")
}

/// A sandbox with one account and one pair.
pub(super) async fn sandbox() -> Sandbox {
    sandbox_with(|_| {}).await
}

/// A sandbox with something changed.
pub(super) async fn sandbox_with(change: impl FnOnce(&mut SandboxConfig)) -> Sandbox {
    let mut config = SandboxConfig {
        shape: SeedShape { telegram_users: 2, ..SeedShape::default() },
        ..SandboxConfig::default()
    };
    change(&mut config);
    Sandbox::start(config).await.unwrap()
}

/// An authorization key that looks random and is not zero anywhere near its start.
pub(super) fn key(seed: u8) -> [u8; 256] {
    std::array::from_fn(|i| {
        u8::try_from(i % 251).unwrap().wrapping_mul(31).wrapping_add(seed).wrapping_add(1)
    })
}

/// The first seeded channel as the control API names it.
pub(super) fn source_chat(sandbox: &Sandbox) -> String {
    sandbox.seed().pairs[0].source.chat.clone()
}

/// A connected client and everything that belongs to it.
pub(super) struct Peer {
    pub(super) client: Client,
    pub(super) updates: mpsc::Receiver<UpdatesLike>,
    pub(super) session: Arc<MemorySession>,
    runner: JoinHandle<()>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.runner.abort();
    }
}

/// A client with a key, signed in or not.
pub(super) fn connect(address: SocketAddr, key: [u8; 256]) -> Peer {
    let SocketAddr::V4(v4) = address else { panic!("the sandbox listens on IPv4") };
    let ipv6 = SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0);
    let option =
        |id| DcOption { id, ipv4: SocketAddrV4::new(*v4.ip(), v4.port()), ipv6, auth_key: Some(key) };
    let data =
        SessionData { dc_options: (1..=5).map(|id| (id, option(id))).collect(), ..SessionData::default() };
    let session = Arc::new(MemorySession::from(data));
    let params = ConnectionParams {
        retry_policy: Box::new(NoRetries),
        updates_channel_capacity: std::num::NonZeroUsize::new(100_000).unwrap(),
        ..ConnectionParams::default()
    };
    let pool = SenderPool::with_configuration(Arc::clone(&session), 1, params);
    let client = Client::with_configuration(pool.handle.clone(), ClientConfiguration::default());
    let runner = tokio::spawn(pool.runner.run());
    Peer { client, updates: pool.updates, session, runner }
}

/// A client that is signed in as a seeded user through the control API's door.
pub(super) async fn signed_in(sandbox: &Sandbox, seed: u8, user: i64) -> Peer {
    sandbox.telegram().register_auth_key(&key(seed), Some(user)).unwrap();
    let peer = connect(sandbox.telegram_address(), key(seed));
    assert!(within(peer.client.is_authorized()).await.unwrap());
    peer
}

impl Peer {
    /// Calls a method.
    pub(super) async fn call<R: RemoteCall>(&self, request: &R) -> Result<R::Return, InvocationError> {
        within(self.client.invoke(request)).await
    }

    /// Calls a method that must be refused.
    pub(super) async fn refused<R: RemoteCall>(&self, request: &R) -> RpcError
    where
        R::Return: std::fmt::Debug,
    {
        match self.call(request).await {
            Err(InvocationError::Rpc(error)) => error,
            other => panic!("expected a refusal, got {other:?}"),
        }
    }

    /// Learns all dialogs, and with them the access hashes of all peers.
    pub(super) async fn dialogs(&self) -> Vec<grammers_client::peer::Dialog> {
        let mut iterator = self.client.iter_dialogs();
        let mut dialogs = Vec::new();
        while let Some(dialog) = within(iterator.next()).await.unwrap() {
            dialogs.push(dialog);
        }
        dialogs
    }

    /// A peer by its Bot-API dialog id, once the dialogs are known.
    pub(super) async fn peer(&self, dialog_id: &str) -> PeerRef {
        let id = PeerId::from_bot_api_dialog_id(dialog_id.parse().unwrap()).unwrap();
        self.session.peer_ref(id).await.unwrap().expect("the peer is not known, list the dialogs first")
    }

    /// The next pushed updates.
    pub(super) async fn pushed(&mut self) -> types::Updates {
        match within(self.updates.recv()).await {
            Some(UpdatesLike::Updates(enums::Updates::Updates(updates))) => updates,
            other => panic!("expected updates, got {other:?}"),
        }
    }

    /// The one update of the next push.
    pub(super) async fn pushed_one(&mut self) -> enums::Update {
        let mut updates = self.pushed().await.updates;
        assert_eq!(updates.len(), 1);
        updates.remove(0)
    }

    /// The state of the private messages.
    pub(super) async fn state(&self) -> types::updates::State {
        let enums::updates::State::State(state) = self.call(&functions::updates::GetState {}).await.unwrap();
        state
    }

    /// A channel with its access hash.
    pub(super) async fn input_channel(&self, dialog_id: &str) -> enums::InputChannel {
        self.peer(dialog_id).await.into()
    }
}

/// A message as a person would write it.
pub(super) fn text(text: &str) -> NewMessage {
    NewMessage { from: None, text: text.to_owned(), entities: Vec::new(), reply_to: None }
}

/// An entity without a value.
pub(super) fn entity(kind: EntityKind, offset: u32, length: u32) -> TextEntity {
    TextEntity { kind, offset, length, url: None, language: None, user: None, custom_emoji_id: None }
}

/// A send with its own random id.
pub(super) fn send(peer: PeerRef, text: &str, random_id: i64) -> functions::messages::SendMessage {
    functions::messages::SendMessage {
        no_webpage: true,
        silent: false,
        background: false,
        clear_draft: false,
        noforwards: false,
        update_stickersets_order: false,
        invert_media: false,
        allow_paid_floodskip: false,
        peer: peer.into(),
        reply_to: None,
        message: text.to_owned(),
        random_id,
        reply_markup: None,
        entities: None,
        schedule_date: None,
        schedule_repeat_period: None,
        send_as: None,
        quick_reply_shortcut: None,
        effect: None,
        allow_paid_stars: None,
        suggested_post: None,
        rich_message: None,
    }
}

/// The message in an update of a channel.
pub(super) fn channel_message(update: &enums::Update) -> (&types::Message, i32, i32) {
    match update {
        enums::Update::NewChannelMessage(types::UpdateNewChannelMessage {
            message: enums::Message::Message(message),
            pts,
            pts_count,
        })
        | enums::Update::EditChannelMessage(types::UpdateEditChannelMessage {
            message: enums::Message::Message(message),
            pts,
            pts_count,
        }) => (message, *pts, *pts_count),
        other => panic!("expected a channel message, got {other:?}"),
    }
}
