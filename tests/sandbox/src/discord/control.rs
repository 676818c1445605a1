//! What an administrator of the guilds and the owner of the bots decide, asked for through the control API.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::core::Core;
use super::gateway::{GUILD_MEMBERS, GUILD_PRESENCES, MESSAGE_CONTENT};
use super::json::{MANAGE_MESSAGES, MANAGE_THREADS, MANAGE_WEBHOOKS};
use super::people;
use super::world::{Op, Rights};
use crate::messages::ControlError;

/// What a bot is to be given (`true`) or refused (`false`); what is `None` stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RightsChange {
    /// Privileged intent: the content of what others write.
    pub message_content: Option<bool>,
    /// Privileged intent: who joins and leaves.
    pub guild_members: Option<bool>,
    /// Privileged intent: who is online.
    pub guild_presences: Option<bool>,
    /// Permission to delete what others write.
    pub manage_messages: Option<bool>,
    /// Permission to make, list and delete webhooks.
    pub manage_webhooks: Option<bool>,
    /// Permission to archive and lock others' threads.
    pub manage_threads: Option<bool>,
}

/// What a bot has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RightsView {
    /// See [`RightsChange::message_content`].
    pub message_content: bool,
    /// See [`RightsChange::guild_members`].
    pub guild_members: bool,
    /// See [`RightsChange::guild_presences`].
    pub guild_presences: bool,
    /// See [`RightsChange::manage_messages`].
    pub manage_messages: bool,
    /// See [`RightsChange::manage_webhooks`].
    pub manage_webhooks: bool,
    /// See [`RightsChange::manage_threads`].
    pub manage_threads: bool,
}

impl From<Rights> for RightsView {
    fn from(rights: Rights) -> Self {
        Self {
            message_content: rights.intents & MESSAGE_CONTENT != 0,
            guild_members: rights.intents & GUILD_MEMBERS != 0,
            guild_presences: rights.intents & GUILD_PRESENCES != 0,
            manage_messages: rights.permissions & MANAGE_MESSAGES != 0,
            manage_webhooks: rights.permissions & MANAGE_WEBHOOKS != 0,
            manage_threads: rights.permissions & MANAGE_THREADS != 0,
        }
    }
}

impl RightsChange {
    fn applied(self, rights: Rights) -> Rights {
        let with = |bits, changes: [(Option<bool>, u64); 3]| {
            changes.into_iter().fold(bits, |bits, (wanted, bit)| match wanted {
                None => bits,
                Some(true) => bits | bit,
                Some(false) => bits & !bit,
            })
        };
        Rights {
            intents: with(
                rights.intents,
                [
                    (self.message_content, MESSAGE_CONTENT),
                    (self.guild_members, GUILD_MEMBERS),
                    (self.guild_presences, GUILD_PRESENCES),
                ],
            ),
            permissions: with(
                rights.permissions,
                [
                    (self.manage_messages, MANAGE_MESSAGES),
                    (self.manage_webhooks, MANAGE_WEBHOOKS),
                    (self.manage_threads, MANAGE_THREADS),
                ],
            ),
        }
    }
}

pub(super) fn set_rights(
    core: &Core,
    account: Uuid,
    change: RightsChange,
) -> Result<RightsView, ControlError> {
    let mut state = core.lock();
    let bot = state.world.bot_by_account(account);
    let unknown = || ControlError::Invalid { field: "account", detail: format!("{account} is no bot") };
    let (bot, rights) = bot.map(|bot| (bot.id, bot.rights)).ok_or_else(unknown)?;
    let rights = change.applied(rights);
    state.commit(Op::RightsSet { bot, rights })?;
    Ok(rights.into())
}

pub(super) fn set_writable(core: &Core, chat: &str, writable: bool) -> Result<(), ControlError> {
    let mut state = core.lock();
    let channel = people::channel(&state.world, chat)?.id;
    Ok(state.commit(Op::WritableSet { channel, writable })?)
}
