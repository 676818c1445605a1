//! A bot's session at Discord's gateway: identify, heartbeat, resume, by serenity's shard runner under our own policy.
//!
//! The runner resumes by itself, which is free. Where it would identify anew, the session ends instead and whoever
//! connects again looks at the day's budget first.

use std::sync::Arc;
use std::time::Duration;

use serenity::cache::Cache;
use serenity::client::{Context, RawEventHandler};
use serenity::gateway::{
    ConnectionStage, GatewayError, Shard, ShardManager, ShardManagerOptions, ShardMessenger, ShardRunner,
    ShardRunnerInfo, ShardRunnerOptions,
};
use serenity::http::HttpBuilder;
use serenity::model::event::Event;
use serenity::model::gateway::{GatewayIntents, ShardInfo};
use serenity::model::id::ShardId;
use serenity::prelude::{Mutex, RwLock, TypeMap};
use switchyard_actors::ports::ConnectionError;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::debug;

use super::source::Interest;

/// What to do about a bot that may not read: the words of Discord's own page.
pub(super) const CONTENT_INTENT_OFF: &str = "the bot may not read messages: in the Discord Developer Portal, open the \
     application, page \"Bot\", section \"Privileged Gateway Intents\", and turn on \"Message Content Intent\"";

/// The only shard: bots in more guilds than one shard takes are not served.
const SHARD: ShardId = ShardId(0);
/// No address: serenity's own restarts, which would identify without asking, fail at once.
const NOWHERE: &str = "";

/// What a session is opened with.
pub(super) struct Opening {
    /// Address as the configured API names it.
    pub(super) url: String,
    /// The bot's token.
    pub(super) token: String,
    /// What the bot wants to be told.
    pub(super) intents: GatewayIntents,
    /// What of it is handed on.
    pub(super) interest: Interest,
    /// Base of the REST API.
    pub(super) api_base: String,
    /// Until a bot whose content intent is off is looked at again.
    pub(super) intent_retry: Duration,
    /// Events that may wait.
    pub(super) capacity: usize,
}

/// A session. Dropping it closes the connection.
pub(super) struct Gateway {
    events: mpsc::Receiver<Event>,
    end: oneshot::Receiver<ConnectionError>,
    _open: DropGuard,
}

/// Hands events over in the order in which they came.
struct Handover {
    events: mpsc::Sender<Event>,
    interest: Interest,
    overflow: CancellationToken,
}

#[serenity::async_trait]
impl RawEventHandler for Handover {
    async fn raw_event(&self, _context: Context, event: Event) {
        if !self.interest.admits(&event) {
            return;
        }
        // Before any await: serenity runs a task per event.
        if let Err(mpsc::error::TrySendError::Full(_)) = self.events.try_send(event) {
            self.overflow.cancel();
        }
    }
}

impl Gateway {
    /// Connects, identifies and waits for READY; answers the id of the bot's user.
    ///
    /// # Errors
    /// [`ConnectionError`], at the latest after `timeout`.
    pub(super) async fn open(
        opening: Opening,
        timeout: Duration,
        runtime: &Handle,
    ) -> Result<(Self, i64), ConnectionError> {
        let (sender, events) = mpsc::channel(opening.capacity);
        let (ended, end) = oneshot::channel();
        let stop = CancellationToken::new();
        let mut gateway = Self { events, end, _open: stop.clone().drop_guard() };
        runtime.spawn(async move {
            // Nobody may be left to be told.
            let _ = ended.send(run(opening, sender, stop).await);
        });
        let ready = async {
            loop {
                if let Event::Ready(ready) = gateway.event().await? {
                    return Ok::<u64, ConnectionError>(ready.ready.user.id.get());
                }
            }
        };
        let user = tokio::time::timeout(timeout, ready).await.map_err(|_| {
            let waited = timeout.as_millis();
            ConnectionError::Unreachable(format!("the gateway was not ready within {waited} ms"))
        })??;
        Ok((gateway, i64::try_from(user).unwrap_or(0)))
    }

    /// The next event if one waits already.
    pub(super) fn waiting(&mut self) -> Option<Event> {
        self.events.try_recv().ok()
    }

    /// The next event; waits for one. Cancelling it loses nothing.
    ///
    /// # Errors
    /// [`ConnectionError`]: the session is over.
    pub(super) async fn event(&mut self) -> Result<Event, ConnectionError> {
        let lost = || ConnectionError::Unreachable("the gateway session ended".to_owned());
        tokio::select! {
            biased;
            event = self.events.recv() => match event {
                Some(event) => Ok(event),
                None => Err((&mut self.end).await.unwrap_or_else(|_| lost())),
            },
            end = &mut self.end => Err(end.unwrap_or_else(|_| lost())),
        }
    }
}

/// Runs a session to its end and says why it ended.
async fn run(opening: Opening, events: mpsc::Sender<Event>, stop: CancellationToken) -> ConnectionError {
    let overflow = CancellationToken::new();
    let interest = opening.interest.clone();
    let handler: Arc<dyn RawEventHandler> =
        Arc::new(Handover { events, interest, overflow: overflow.clone() });
    let url = Arc::new(Mutex::new(opening.url.clone()));
    let connecting =
        Shard::new(url, &opening.token, ShardInfo { id: SHARD, total: 1 }, opening.intents, None);
    let shard = tokio::select! {
        shard = connecting => match shard {
            Ok(shard) => shard,
            Err(error) => return ended(&error, opening.intent_retry),
        },
        () = stop.cancelled() => return closed(),
    };
    let (manager, mut runner) = runner(&opening, shard, handler);
    // A runner that wants to start anew first waits for a shutdown of its predecessor: there is none.
    manager.shutdown_finished(SHARD);
    let end = tokio::select! {
        end = Box::pin(runner.run()) => match end {
            Ok(()) => ConnectionError::Unreachable("the gateway session is lost".to_owned()),
            Err(error) => ended(&error, opening.intent_retry),
        },
        () = stop.cancelled() => closed(),
        () = overflow.cancelled() => ConnectionError::Unreachable(
            "gateway events arrive faster than they are recorded".to_owned(),
        ),
    };
    debug!(%end, "a gateway session ended");
    dismiss(&manager, &runner).await;
    end
}

fn runner(
    opening: &Opening,
    shard: Shard,
    handler: Arc<dyn RawEventHandler>,
) -> (Arc<ShardManager>, ShardRunner) {
    let http = HttpBuilder::new(&opening.token).proxy(&opening.api_base).ratelimiter_disabled(true).build();
    let http = Arc::new(http);
    let cache = Arc::new(Cache::new());
    let data = Arc::new(RwLock::new(TypeMap::new()));
    let (manager, _returned) = ShardManager::new(ShardManagerOptions {
        data: Arc::clone(&data),
        event_handlers: Vec::new(),
        raw_event_handlers: Vec::new(),
        shard_index: 0,
        shard_init: 0,
        shard_total: 0,
        ws_url: Arc::new(Mutex::new(NOWHERE.to_owned())),
        cache: Arc::clone(&cache),
        http: Arc::clone(&http),
        intents: opening.intents,
        presence: None,
    });
    let runner = ShardRunner::new(ShardRunnerOptions {
        data,
        event_handlers: Vec::new(),
        raw_event_handlers: vec![handler],
        manager: Arc::clone(&manager),
        shard,
        cache,
        http,
    });
    (manager, runner)
}

/// Ends the manager's own task. It only listens while it knows of a shard, and waits for that shard's last word.
async fn dismiss(manager: &Arc<ShardManager>, runner: &ShardRunner) {
    let info = ShardRunnerInfo {
        latency: None,
        runner_tx: ShardMessenger::new(runner),
        stage: ConnectionStage::Disconnected,
    };
    manager.runners.lock().await.insert(SHARD, info);
    manager.shutdown_finished(SHARD);
    manager.shutdown_all().await;
}

fn closed() -> ConnectionError {
    ConnectionError::Unreachable("the gateway session was closed".to_owned())
}

/// What serenity's error means. Close codes: discord.com/developers/docs/topics/opcodes-and-status-codes#gateway.
fn ended(error: &serenity::Error, intent_retry: Duration) -> ConnectionError {
    match error {
        serenity::Error::Gateway(GatewayError::InvalidAuthentication) => {
            ConnectionError::NeedsLogin("the gateway refuses the bot's token".to_owned())
        }
        serenity::Error::Gateway(GatewayError::DisallowedGatewayIntents) => {
            ConnectionError::ContentIntentOff { wait: intent_retry, reason: CONTENT_INTENT_OFF.to_owned() }
        }
        serenity::Error::Gateway(GatewayError::InvalidGatewayIntents) => {
            ConnectionError::Refused("the gateway does not know the intents that were asked for".to_owned())
        }
        other => ConnectionError::Unreachable(format!("gateway: {other}")),
    }
}
