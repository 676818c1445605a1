//! What every call works on: the world under one lock, its journal, and who is told of new updates.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::BotConfig;
use super::limits::SendLimits;
use super::view::{self, Me};
use super::world::{BotRole, Chat, Letter, Op, World};
use crate::faults::FaultSite;
use crate::journal::{Journal, JournalError};
use crate::platform::Platform;
use crate::seed::{NoticeBot, Seed};
use crate::shared::Shared;

/// The server's shared state.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) shared: Shared,
    pub(super) config: BotConfig,
    pub(super) seeded: NoticeBot,
    pub(super) me: Me,
    pub(super) limits: SendLimits,
    pub(super) stop: CancellationToken,
    /// Grows with every update that comes in.
    pub(super) updated: watch::Sender<u64>,
    /// Grows with every getUpdates: an older one that still waits is ended.
    pub(super) polls: watch::Sender<u64>,
    state: Mutex<State>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) world: World,
    pub(super) journal: Journal,
}

impl State {
    /// Writes an operation down, then carries it out.
    pub(super) fn commit(&mut self, op: Op) -> Result<(), JournalError> {
        self.journal.append(&op)?;
        self.world.apply(op);
        Ok(())
    }
}

impl Core {
    pub(super) fn new(
        shared: Shared,
        config: BotConfig,
        seed: &Seed,
        journal: Journal,
    ) -> Result<Self, JournalError> {
        let mut world = World::new(config.history, config.updates_max);
        journal.replay(|op| world.apply(op))?;
        let seeded = seed.bot.clone();
        let me = Me { id: seeded.id, name: seeded.name.clone(), username: seeded.username.clone() };
        Ok(Self {
            limits: SendLimits::new(shared.limits, shared.violations.clone()),
            shared,
            config,
            seeded,
            me,
            stop: CancellationToken::new(),
            updated: watch::Sender::new(0),
            polls: watch::Sender::new(0),
            state: Mutex::new(State { world, journal }),
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where a fault for the bot would strike.
    pub(super) fn site(&self) -> FaultSite {
        let account: Uuid = self.seeded.account;
        FaultSite { platform: Platform::Bot, account: Some(account) }
    }

    /// An update for the bot, if it wants it.
    pub(super) fn tell(&self, state: &mut State, kind: &str, body: Value) -> Result<(), JournalError> {
        if state.world.wants(kind) {
            state.commit(Op::Updated { kind: kind.to_owned(), body })?;
            self.updated.send_modify(|count| *count = count.wrapping_add(1));
        }
        Ok(())
    }

    /// A message that somebody else than the bot wrote or edited.
    pub(super) fn tell_letter(
        &self,
        state: &mut State,
        chat: &Chat,
        letter: &Letter,
    ) -> Result<(), JournalError> {
        let kind = match (chat.kind, letter.edited_at) {
            (super::ChatKind::Channel, None) => "channel_post",
            (super::ChatKind::Channel, Some(_)) => "edited_channel_post",
            (_, None) => "message",
            (_, Some(_)) => "edited_message",
        };
        self.tell(state, kind, view::letter(chat, letter, &self.me))
    }

    /// The bot's place in a chat changes by somebody's hand.
    pub(super) fn change_role(
        &self,
        state: &mut State,
        chat_id: i64,
        by: i64,
        role: BotRole,
    ) -> Result<(), JournalError> {
        let Some(old) = state.world.chats.get(&chat_id).cloned() else { return Ok(()) };
        state.commit(Op::RoleSet { chat: chat_id, role })?;
        let body = json!({
            "chat": view::chat(&old),
            "from": view::person(by),
            "date": self.shared.clock.now().timestamp(),
            "old_chat_member": view::member(self.me.user(), old.role),
            "new_chat_member": view::member(self.me.user(), role),
        });
        self.tell(state, "my_chat_member", body)
    }
}
