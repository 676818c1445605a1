//! The data centre behind the connections: the world and everything in memory beside it, under one lock, so that
//! answers and updates leave in the order in which things happened.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use uuid::Uuid;

use super::config::TelegramConfig;
use super::crypto::{AuthKey, KEY_LENGTH};
use super::floods::{Caller, Floods};
use super::hub::{ConnectionId, Hub, Outgoing, Seat};
use super::login_tokens::LoginTokens;
use super::logins::{Logins, Secrets};
use super::passwords::Passwords;
use super::push;
use super::rpc::{self, Request, RpcError};
use super::salts::Salts;
use super::view::{AccessHashes, Blanks, View};
use super::wire::{self, Malformed};
use super::world::{self, Change, Memory, Op, Standing, World};
use crate::faults::{FaultKind, FaultSite, later};
use crate::journal::{Journal, JournalError};
use crate::platform::Platform;
use crate::seed::Seed;
use crate::shared::Shared;
use crate::violations::Rule;

/// Faults that end a session for good.
const ENDING: [FaultKind; 2] = [FaultKind::SessionRevoked, FaultKind::AuthKeyDuplicated];

/// Everything that changes.
#[derive(Debug)]
pub(super) struct State {
    pub(super) world: World,
    pub(super) hub: Hub,
    pub(super) logins: Logins,
    pub(super) passwords: Passwords,
    pub(super) login_tokens: LoginTokens,
    pub(super) floods: Floods,
}

/// A data centre.
#[derive(Debug)]
pub(super) struct Dc {
    pub(super) shared: Shared,
    pub(super) config: TelegramConfig,
    pub(super) salts: Salts,
    pub(super) hashes: AccessHashes,
    pub(super) blanks: Blanks,
    pub(super) address: SocketAddr,
    pub(super) dc_id: i32,
    pub(super) api: (i32, String),
    /// Seeded accounts by Telegram's id of the user.
    pub(super) accounts: HashMap<i64, Uuid>,
    /// Who writes when nobody is named.
    pub(super) first_person: Option<i64>,
    journal: Journal,
    state: Mutex<State>,
}

/// A call as it comes from a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    pub(super) connection: ConnectionId,
    /// Id of the authorization key.
    pub(super) key: i64,
    pub(super) msg_id: i64,
}

/// Why a connection must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// The client sent what the schema does not allow.
    Malformed(Malformed),
    /// A fault was asked for.
    Fault,
    /// The key is not known any more.
    UnknownKey,
}

impl From<Malformed> for Cut {
    fn from(error: Malformed) -> Self {
        Self::Malformed(error)
    }
}

impl Dc {
    /// Grows the seeded world and replays the journal over it.
    pub(super) fn new(
        shared: Shared,
        seed: &Seed,
        config: TelegramConfig,
        journal: Journal,
        address: SocketAddr,
        blanks: Blanks,
    ) -> Result<Self, JournalError> {
        let memory =
            Memory { log: config.update_log, history: config.history, random_ids: config.random_ids };
        let mut world = World::new(memory);
        for op in world::operations(seed) {
            world.apply(op);
        }
        journal.replay(|op: Op| drop(world.apply(op)))?;
        let users = &seed.telegram.users;
        let bots = seed.telegram.bots.iter().map(|bot| (bot.user_id, bot.account));
        let secret = seed.bytes("telegram login hashes");
        let state = State {
            world,
            hub: Hub::default(),
            logins: Logins::new(Secrets::of(&seed.telegram), &secret, config.max_logins),
            passwords: Passwords::new(&seed.telegram, &seed.bytes("telegram passwords"), config.max_logins),
            login_tokens: LoginTokens::new(&seed.bytes("telegram login tokens"), config.max_logins),
            floods: Floods::default(),
        };
        Ok(Self {
            shared,
            config,
            salts: Salts::new(&seed.bytes("telegram salts")),
            hashes: AccessHashes::new(&seed.bytes("telegram access hashes")),
            blanks,
            address,
            dc_id: seed.telegram.dc_id,
            api: (seed.telegram.api_id, seed.telegram.api_hash.clone()),
            accounts: users.iter().map(|user| (user.user_id, user.account)).chain(bots).collect(),
            first_person: seed.telegram.persons.first().and_then(|person| i64::try_from(person.id).ok()),
            journal,
            state: Mutex::new(state),
        })
    }

    /// The state. A panic elsewhere cannot have left it half changed: operations are applied in one go.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Unix time of the world in seconds, which the control API can advance.
    pub(super) fn now(&self) -> i64 {
        self.shared.clock.now().timestamp()
    }

    /// Unix time of the protocol in milliseconds. It stays real when the world's clock is advanced or stands still:
    /// a client whose own clock is right must not be told that it is wrong.
    pub(super) fn wall_ms(&self) -> u64 {
        u64::try_from(self.shared.clock.real().timestamp_millis()).unwrap_or(0)
    }

    /// As [`Dc::wall_ms`], in seconds.
    pub(super) fn wall_seconds(&self) -> i64 {
        i64::try_from(self.wall_ms() / 1000).unwrap_or(0)
    }

    /// The world as a user sees it.
    pub(super) const fn view<'a>(&'a self, world: &'a World, me: i64) -> View<'a> {
        View { world, blanks: &self.blanks, hashes: &self.hashes, me }
    }

    /// Counts a violation.
    pub(super) fn violation(&self, rule: Rule) {
        self.shared.violations.count(rule);
    }

    /// The key with an id.
    pub(super) fn key(&self, id: i64) -> Option<AuthKey> {
        self.lock().world.keys.get(id).cloned()
    }

    /// All keys that are known.
    pub(super) fn auth_keys(&self) -> Vec<[u8; KEY_LENGTH]> {
        self.lock().world.keys.iter().map(|key| *key.bytes()).collect()
    }

    /// How many keys are signed in as a user.
    pub(super) fn signed_in_keys(&self, user: i64) -> usize {
        self.lock().world.keys.of_user(user).count()
    }

    /// Seats a connection.
    pub(super) fn join(&self, key: i64) -> Seat {
        self.lock().hub.join(key, self.config.max_outgoing)
    }

    /// Forgets a connection.
    pub(super) fn leave(&self, id: ConnectionId) {
        self.lock().hub.leave(id);
    }

    /// Queues a message for one connection; tells whether the connection can go on.
    pub(super) fn send(&self, id: ConnectionId, message: Outgoing) -> bool {
        let queued = self.lock().hub.send(id, message);
        if !queued {
            self.violation(Rule::TelegramSlowReader);
        }
        queued
    }

    /// Whether a fault cuts an idle connection of this key now.
    pub(super) fn is_struck(&self, key: i64) -> bool {
        let user = match self.lock().world.keys.standing(key) {
            Some(Standing::SignedIn(user)) => Some(user),
            _ => None,
        };
        self.shared.faults.take(self.site(user), &[FaultKind::DropConnection]).is_some()
    }

    /// Where a user's calls are struck by faults.
    pub(super) fn site(&self, user: Option<i64>) -> FaultSite {
        let account = user.and_then(|user| self.accounts.get(&user).copied());
        FaultSite { platform: Platform::Telegram, account }
    }

    /// Journals an operation, lets it happen, and pushes it to every session that follows, except to `origin`,
    /// which learns of it from its answer.
    pub(super) fn commit(
        &self,
        state: &mut State,
        op: Op,
        origin: Option<ConnectionId>,
    ) -> Result<Vec<Change>, JournalError> {
        self.journal.append(&op)?;
        let changes = state.world.apply(op);
        push::push(self, state, &changes, origin);
        Ok(changes)
    }

    /// Handles a call and queues its answer.
    pub(super) fn call(self: &Arc<Self>, call: Call, body: &[u8]) -> Result<(), Cut> {
        let request = Request::unwrap(body)?;
        let mut state = self.lock();
        let user = match state.world.keys.standing(call.key) {
            None => return Err(Cut::UnknownKey),
            Some(Standing::SignedIn(user)) => Some(user),
            Some(Standing::Unregistered | Standing::Revoked) => None,
        };
        let site = self.site(user);
        let spared = request.is_spared();
        if !spared && self.shared.faults.take(site, &[FaultKind::DropConnection]).is_some() {
            return Err(Cut::Fault);
        }
        let who = user.map_or(Caller::Key(call.key), Caller::User);
        let refusal = self
            .unauthorized(&mut state, &request, call.key, site)?
            .or_else(|| if spared { None } else { self.refusal(&mut state, who, site, request.method) });
        let result = match refusal {
            Some(error) => Err(error),
            None => rpc::handle(self, &mut state, call, user, &request)?,
        };
        let effect = result.is_ok() && request.has_effect();
        if effect && self.shared.faults.take(site, &[FaultKind::LostAnswer]).is_some() {
            return Err(Cut::Fault);
        }
        let result = result.unwrap_or_else(|error| error.to_bytes());
        let answer = Outgoing { body: wire::rpc_result(call.msg_id, &result), content: true, answers: true };
        let slow = if spared { None } else { self.shared.faults.take(site, &[FaultKind::Slow]) };
        match slow {
            Some(fault) => self.send_later(&state, call.connection, answer, fault.wait),
            None => {
                if !state.hub.send(call.connection, answer) {
                    self.violation(Rule::TelegramSlowReader);
                }
            }
        }
        Ok(())
    }

    /// Refuses a call of somebody who is signed in as if they were not, or no longer, if a fault says so.
    fn unauthorized(
        &self,
        state: &mut State,
        request: &Request,
        key: i64,
        site: FaultSite,
    ) -> Result<Option<RpcError>, Cut> {
        let signed_in = matches!(state.world.keys.standing(key), Some(Standing::SignedIn(_)));
        if !signed_in || !request.needs_sign_in() {
            return Ok(None);
        }
        let kinds = [FaultKind::Unauthorized, FaultKind::UserDeactivatedBan];
        let Some(fault) = self.shared.faults.take(site, &[&kinds[..], &ENDING].concat()) else {
            return Ok(None);
        };
        let (error, op) = match fault.kind {
            FaultKind::SessionRevoked => (RpcError::new(401, "SESSION_REVOKED"), Some(Op::Revoke { key })),
            FaultKind::AuthKeyDuplicated => {
                (RpcError::new(406, "AUTH_KEY_DUPLICATED"), Some(Op::Forget { key }))
            }
            FaultKind::UserDeactivatedBan => (RpcError::new(401, "USER_DEACTIVATED_BAN"), None),
            _ => (RpcError::unregistered(), None),
        };
        if let Some(op) = op {
            self.commit(state, op, None).map_err(|error| {
                tracing::error!(%error, "the journal refused the end of a Telegram session");
                Cut::Fault
            })?;
        }
        Ok(Some(error))
    }

    /// Whether a fault that was just asked for ends the session of this key at its next call. Its connections are cut
    /// at once, so that an idle client comes back and learns of it.
    pub(super) fn is_ending(&self, key: i64) -> bool {
        let user = match self.lock().world.keys.standing(key) {
            Some(Standing::SignedIn(user)) => Some(user),
            _ => None,
        };
        user.is_some() && self.shared.faults.strikes(self.site(user), &ENDING)
    }

    /// Whether the call is refused before it is looked at: by a wait that still holds, or by a fault.
    fn refusal(&self, state: &mut State, who: Caller, site: FaultSite, method: u32) -> Option<RpcError> {
        let now = self.shared.clock.now();
        if let Some(left) = state.floods.holds(who, method, now) {
            self.violation(Rule::TelegramCallDuringWait);
            return Some(RpcError::flood_wait(left));
        }
        let fault = self.shared.faults.take(site, &[FaultKind::FloodWait, FaultKind::ServerError])?;
        if fault.kind == FaultKind::ServerError {
            return Some(RpcError::internal());
        }
        state.floods.tell(who, method, later(now, fault.wait), now);
        Some(RpcError::flood_wait(fault.wait))
    }

    fn send_later(&self, state: &State, to: ConnectionId, answer: Outgoing, wait: Duration) {
        let Some(sender) = state.hub.sender(to) else { return };
        tokio::spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(wait) => drop(sender.send(answer).await),
                // The connection ended, and its queue with it.
                () = sender.closed() => {}
            }
        });
    }

    /// Closes the journal.
    pub(super) fn close(&self) {
        self.journal.close();
    }
}

/// The digits of a telephone number.
pub(super) fn digits(phone: &str) -> String {
    phone.chars().filter(char::is_ascii_digit).collect()
}
