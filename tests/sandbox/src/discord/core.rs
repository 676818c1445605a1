//! What REST and gateway share: the world, its journal and the sessions that are told of every change.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::DiscordConfig;
use super::gateway::{Hub, IdentifyBudget, Session};
use super::json;
use super::rest::RateLimiter;
use super::world::{Bot, Op, World};
use crate::faults::FaultSite;
use crate::journal::{Journal, JournalError};
use crate::platform::Platform;
use crate::seed::Seed;
use crate::shared::Shared;

/// The server's shared state.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) shared: Shared,
    pub(super) config: DiscordConfig,
    pub(super) limiter: RateLimiter,
    pub(super) stop: CancellationToken,
    state: Mutex<State>,
}

/// World, journal and sessions under one lock: sessions are told of changes in the order of the journal.
#[derive(Debug)]
pub(super) struct State {
    pub(super) world: World,
    pub(super) hub: Hub,
    pub(super) identifies: IdentifyBudget,
    pub(super) journal: Journal,
}

impl Core {
    pub(super) fn new(
        shared: Shared,
        config: DiscordConfig,
        seed: &Seed,
        journal: Journal,
    ) -> Result<Self, JournalError> {
        let mut world = World::new(seed, config.nonce_window, config.history);
        journal.replay(|op| world.apply(op))?;
        let limiter = RateLimiter::new(shared.limits, config.max_invalid_requests, shared.violations.clone());
        let identifies = IdentifyBudget::new(shared.limits);
        let state = State { world, hub: Hub::new(config.sessions), identifies, journal };
        Ok(Self { shared, config, limiter, stop: CancellationToken::new(), state: Mutex::new(state) })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bot of an `Authorization` header or an IDENTIFY payload.
    pub(super) fn bot(&self, token: &str) -> Option<Bot> {
        self.lock().world.bot_by_token(token).cloned()
    }
}

/// Where a fault for a bot, or for nobody in particular, would strike.
pub(super) fn fault_site(bot: Option<&Bot>) -> FaultSite {
    FaultSite { platform: Platform::Discord, account: bot.map(|bot| bot.account) }
}

impl State {
    /// Makes an operation happen: written, applied, told to every session that may see it.
    pub(super) fn commit(&mut self, op: Op) -> Result<(), JournalError> {
        self.journal.append(&op)?;
        let (name, channel, id) = match &op {
            Op::Created(message) => ("MESSAGE_CREATE", message.channel, message.id),
            Op::Edited { channel, id, .. } => ("MESSAGE_UPDATE", *channel, *id),
            Op::Deleted { channel, id } => ("MESSAGE_DELETE", *channel, *id),
        };
        self.world.apply(op);
        self.tell(name, channel, id);
        Ok(())
    }

    fn tell(&mut self, name: &'static str, channel: u64, id: u64) {
        let Some(guild) = self.world.channels.get(&channel).map(|channel| channel.guild) else { return };
        let may_see = |session: &Session| {
            session.bot.guild == guild && session.intents.guild_messages() && session.shard.has(guild)
        };
        let Some(message) = self.world.message(channel, id) else {
            let ids = json!({
                "id": id.to_string(),
                "channel_id": channel.to_string(),
                "guild_id": guild.to_string(),
            });
            let data = text(&ids);
            self.hub.broadcast(name, |session| may_see(session).then(|| Arc::clone(&data)));
            return;
        };
        let whole = json::gateway_message(&self.world, message);
        let (whole, emptied) = (text(&whole), text(&json::without_content(whole)));
        self.hub.broadcast(name, |session| {
            let own = message.author == session.bot.id || message.mentions.contains(&session.bot.id);
            let content = own || session.intents.message_content();
            may_see(session).then(|| Arc::clone(if content { &whole } else { &emptied }))
        });
    }
}

/// JSON as a session keeps it.
pub(super) fn text(value: &Value) -> Arc<str> {
    Arc::from(value.to_string())
}
