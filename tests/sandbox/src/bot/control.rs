//! What the control API does to the bot's world: people write, block the bot, make it an admin; and what it shows.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use serde::{Deserialize, Serialize};

use super::Bot;
use super::core::State;
use super::markup::found;
use super::world::{BotRole, Chat, ChatKind, Letter, Op, private};
use crate::messages::{ControlError, EditedMessage, MessageItem, NewMessage};

/// Private chats that one call makes.
const STARTED_MAX: i64 = 100_000;

/// A chat that is to be there.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewBotChat {
    /// Its id: negative for groups and channels (channels and supergroups begin with -100).
    pub id: i64,
    /// What it is.
    pub kind: ChatKind,
    /// Its title.
    pub title: String,
    /// Its public name.
    #[serde(default)]
    pub username: Option<String>,
    /// People who administer it.
    #[serde(default)]
    pub admins: BTreeSet<i64>,
    /// What the bot is there from the start, of which it is not told; without it not in it.
    #[serde(default)]
    pub role: Option<BotRole>,
}

/// A chat as the control API shows it.
#[derive(Clone, Debug, Serialize)]
pub struct BotChatView {
    /// Its id.
    pub chat: String,
    /// What it is.
    pub kind: ChatKind,
    /// Its title.
    pub title: String,
    /// What the bot is there.
    pub role: BotRole,
}

/// A message that the bot wrote, as the control API shows it.
#[derive(Clone, Debug, Serialize)]
pub struct BotMessageView {
    /// Where.
    pub chat: String,
    /// What.
    #[serde(flatten)]
    pub message: MessageItem,
}

fn invalid(field: &'static str, detail: impl Into<String>) -> ControlError {
    ControlError::Invalid { field, detail: detail.into() }
}

fn id_of(chat: &str) -> Result<i64, ControlError> {
    chat.parse().map_err(|_| ControlError::UnknownChat(chat.to_owned()))
}

fn known<'a>(state: &'a State, chat: &str) -> Result<&'a Chat, ControlError> {
    let found = state.world.chats.get(&id_of(chat)?);
    found.ok_or_else(|| ControlError::UnknownChat(chat.to_owned()))
}

fn letter<'a>(chat: &'a Chat, id: &str) -> Result<&'a Letter, ControlError> {
    let unknown = || ControlError::UnknownMessage(id.to_owned());
    chat.letters.get(&id.parse().map_err(|_| unknown())?).ok_or_else(unknown)
}

fn item(letter: &Letter) -> MessageItem {
    MessageItem {
        id: letter.id.to_string(),
        from: letter.from.map(|id| id.to_string()).unwrap_or_default(),
        text: letter.text.clone(),
        entities: letter.entities.clone(),
        media: None,
        album: Vec::new(),
        reply_to: letter.reply_to.map(|id| id.to_string()),
        edited_at: letter.edited_at,
        at: letter.at,
    }
}

impl Bot {
    /// Writes a message as a person would: in the private chat with them (made at the first message), in a group, or as a
    /// channel's post.
    ///
    /// # Errors
    /// [`ControlError`]
    pub fn post_message(&self, chat: &str, new: &NewMessage) -> Result<String, ControlError> {
        let core = self.core();
        let mut state = core.lock();
        let id = id_of(chat)?;
        if id > 0 && !state.world.chats.contains_key(&id) {
            state.commit(Op::ChatSet(Box::new(private(id))))?;
        }
        let chat = known(&state, chat)?.clone();
        if chat.kind == ChatKind::Private && chat.role != BotRole::Member {
            // Who writes to the bot lets it answer.
            core.change_role(&mut state, id, id, BotRole::Member)?;
        }
        let from = match (&new.from, chat.kind) {
            (Some(from), _) => Some(from.parse().map_err(|_| invalid("from", "is not a user's id"))?),
            (None, ChatKind::Private) => Some(id),
            (None, ChatKind::Channel) => None,
            (None, _) => chat.admins.first().copied().or(Some(1)),
        };
        if new.text.is_empty() {
            return Err(invalid("text", "must not be empty"));
        }
        let reply_to =
            new.reply_to.as_deref().map(|id| letter(&chat, id).map(|letter| letter.id)).transpose()?;
        let written = Letter {
            id: chat.last + 1,
            from,
            at: core.shared.clock.now(),
            edited_at: None,
            text: new.text.clone(),
            entities: if new.entities.is_empty() { found(&new.text) } else { new.entities.clone() },
            reply_to,
            markup: None,
            document: None,
        };
        state.commit(Op::Written { chat: id, letter: written.clone() })?;
        core.tell_letter(&mut state, &chat, &written)?;
        Ok(written.id.to_string())
    }

    /// Messages of a chat after an id, oldest first.
    ///
    /// # Errors
    /// [`ControlError`]
    pub fn list_messages(
        &self,
        chat: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<MessageItem>, ControlError> {
        let state = self.core().lock();
        let after =
            after.map(str::parse::<i64>).transpose().map_err(|_| invalid("after", "is not a message id"))?;
        let range = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        Ok(known(&state, chat)?.letters.range(range).take(limit).map(|(_, letter)| item(letter)).collect())
    }

    /// One message.
    ///
    /// # Errors
    /// [`ControlError`]
    pub fn get_message(&self, chat: &str, id: &str) -> Result<MessageItem, ControlError> {
        let state = self.core().lock();
        letter(known(&state, chat)?, id).map(item)
    }

    /// Edits a message as its author would. The bot's own cannot be edited so.
    ///
    /// # Errors
    /// [`ControlError`]
    pub fn edit_message(
        &self,
        chat: &str,
        id: &str,
        edit: &EditedMessage,
    ) -> Result<MessageItem, ControlError> {
        let core = self.core();
        let mut state = core.lock();
        let chat = known(&state, chat)?.clone();
        let old = letter(&chat, id)?;
        if old.from == Some(core.me.id) {
            return Err(invalid("id", "the bot wrote that: nobody else can edit it"));
        }
        let entities = if edit.entities.is_empty() { found(&edit.text) } else { edit.entities.clone() };
        let edited_at = Some(core.shared.clock.now());
        let edited = Letter { text: edit.text.clone(), entities, edited_at, ..old.clone() };
        state.commit(Op::Edited { chat: chat.id, letter: edited.clone() })?;
        core.tell_letter(&mut state, &chat, &edited)?;
        Ok(item(&edited))
    }

    /// Deletes a message. A bot is never told of that.
    ///
    /// # Errors
    /// [`ControlError`]
    pub fn delete_message(&self, chat: &str, id: &str) -> Result<(), ControlError> {
        let mut state = self.core().lock();
        let chat = known(&state, chat)?;
        let op = Op::Deleted { chat: chat.id, ids: vec![letter(chat, id)?.id] };
        Ok(state.commit(op)?)
    }

    /// Everything that the bot wrote, chat by chat, oldest first.
    #[must_use]
    pub fn sent(&self) -> Vec<BotMessageView> {
        let (core, mut sent) = (self.core(), Vec::new());
        let state = core.lock();
        for chat in state.world.chats.values() {
            let own = chat.letters.values().filter(|letter| letter.from == Some(core.me.id));
            sent.extend(
                own.map(|letter| BotMessageView { chat: chat.id.to_string(), message: item(letter) }),
            );
        }
        sent
    }

    /// How many messages of the bot stand in each chat that has any.
    #[must_use]
    pub fn sent_counts(&self) -> BTreeMap<String, usize> {
        let core = self.core();
        let state = core.lock();
        let counts = state.world.chats.values().map(|chat| {
            let own = chat.letters.values().filter(|letter| letter.from == Some(core.me.id)).count();
            (chat.id.to_string(), own)
        });
        counts.filter(|(_, count)| *count > 0).collect()
    }

    /// Every chat.
    #[must_use]
    pub fn chats(&self) -> Vec<BotChatView> {
        let state = self.core().lock();
        let view = |chat: &Chat| BotChatView {
            chat: chat.id.to_string(),
            kind: chat.kind,
            title: chat.title.clone(),
            role: chat.role,
        };
        state.world.chats.values().map(view).collect()
    }

    /// Makes a chat.
    ///
    /// # Errors
    /// [`ControlError`]
    pub fn set_chat(&self, new: NewBotChat) -> Result<(), ControlError> {
        let NewBotChat { id, kind, title, username, admins, role } = new;
        if (id > 0) != (kind == ChatKind::Private) || id == 0 {
            return Err(invalid("id", "is positive for private chats, negative for all others"));
        }
        let usual = if kind == ChatKind::Private { BotRole::Member } else { BotRole::Left };
        let role = role.unwrap_or(usual);
        let chat = Chat { title, username, admins, kind, role, ..private(id) };
        Ok(self.core().lock().commit(Op::ChatSet(Box::new(chat)))?)
    }

    /// So many people start the bot, with consecutive ids; it is told of none of them.
    ///
    /// # Errors
    /// [`ControlError`]
    pub fn start_people(&self, first: i64, count: i64) -> Result<(), ControlError> {
        if first <= 0 || !(1..=STARTED_MAX).contains(&count) {
            return Err(invalid("count", format!("must be from 1 to {STARTED_MAX}, from a positive id on")));
        }
        Ok(self.core().lock().commit(Op::Started { first, count })?)
    }

    /// Somebody changes what the bot is in a chat; in a private chat `kicked` blocks it.
    ///
    /// # Errors
    /// [`ControlError`]
    pub fn set_role(&self, chat: &str, by: Option<i64>, role: BotRole) -> Result<(), ControlError> {
        let core = self.core();
        let mut state = core.lock();
        let known = known(&state, chat)?;
        let (id, private) = (known.id, known.kind == ChatKind::Private);
        let by = by.or_else(|| known.admins.first().copied()).unwrap_or(if private { id } else { 1 });
        Ok(core.change_role(&mut state, id, by, role)?)
    }

    /// A group becomes a supergroup.
    ///
    /// # Errors
    /// [`ControlError`]
    pub fn migrate(&self, chat: &str, to: i64) -> Result<(), ControlError> {
        let core = self.core();
        let mut state = core.lock();
        let old = known(&state, chat)?;
        if old.kind != ChatKind::Group || state.world.chats.contains_key(&to) || to >= 0 {
            return Err(invalid("to", "only a group moves, to an id that is free and negative"));
        }
        let chat = old.id;
        Ok(state.commit(Op::Migrated { chat, to })?)
    }
}
