//! What REST and gateway share: the world, its journal and the sessions that are told of every change.

use std::sync::{Mutex, MutexGuard, PoisonError};

use ring::hmac;
use tokio_util::sync::CancellationToken;

use super::DiscordConfig;
use super::gateway::{Hub, IdentifyBudget};
use super::rest::RateLimiter;
use super::world::{Bot, World};
use crate::faults::{FaultSite, Faults};
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
    /// What secrets are derived from that the server makes later.
    pub(super) secrets: hmac::Key,
    state: Mutex<State>,
}

/// World, journal and sessions under one lock: sessions are told of changes in the order of the journal.
#[derive(Debug)]
pub(super) struct State {
    pub(super) world: World,
    pub(super) hub: Hub,
    pub(super) identifies: IdentifyBudget,
    pub(super) journal: Journal,
    pub(super) faults: Faults,
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
        let identifies = IdentifyBudget::new(shared.limits, config.session_starts);
        let hub = Hub::new(config.sessions);
        let state = State { world, hub, identifies, journal, faults: shared.faults.clone() };
        let secrets = hmac::Key::new(hmac::HMAC_SHA512, &seed.bytes("discord secrets"));
        let stop = CancellationToken::new();
        Ok(Self { shared, config, limiter, stop, secrets, state: Mutex::new(state) })
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
