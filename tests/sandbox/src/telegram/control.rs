//! What the control API does in the world: it writes as people would.

use chrono::{DateTime, Utc};
use grammers_tl_types::{Serializable, enums, types};

use super::MemberRole;
use super::dc::{Dc, State};
use super::hub::Outgoing;
use super::login_tokens::TokenRefused;
use super::push;
use super::salts::unix_i32;
use super::view::entities::{self, TextError};
use super::world::{
    Change, Channel, Chat, Delete, Edit, Happening, Kind, Message, Op, Post, Role, SERVICE, Standing,
};
use crate::messages::{ControlError, EditedMessage, MessageItem, NewMessage};
use crate::violations::Rule;

/// Bot-API dialog ids of channels are this much below zero, and the bare id more
/// (core.telegram.org/api/bots/ids).
const CHANNEL_BASE: i64 = -1_000_000_000_000;

/// A chat as the control API names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A channel, by its dialog id.
    Channel(i64),
    /// The private messages of a user, by the user's id: what others wrote to them and they to others.
    Inbox(i64),
}

/// The id by which the control API names a chat.
pub(super) const fn dialog_id(chat: Chat) -> i64 {
    match chat {
        Chat::Channel(id) => CHANNEL_BASE.saturating_sub(id),
        Chat::User(id) => id,
    }
}

fn invalid(field: &'static str, detail: impl Into<String>) -> ControlError {
    ControlError::Invalid { field, detail: detail.into() }
}

fn text_error(error: TextError) -> ControlError {
    let field = match error {
        TextError::Empty | TextError::TooLong => "text",
        TextError::Bounds | TextError::Value => "entities",
    };
    invalid(field, error.to_string())
}

fn place(state: &State, chat: &str) -> Result<Place, ControlError> {
    let unknown = || ControlError::UnknownChat(chat.to_owned());
    let id: i64 = chat.parse().map_err(|_not_a_number| unknown())?;
    if id > 0 {
        return state.world.users.contains_key(&id).then_some(Place::Inbox(id)).ok_or_else(unknown);
    }
    let bare = CHANNEL_BASE.checked_sub(id).filter(|bare| state.world.channels.contains_key(bare));
    bare.map(Place::Channel).ok_or_else(unknown)
}

fn message_id(id: &str) -> Result<i32, ControlError> {
    id.parse().map_err(|_not_a_number| ControlError::UnknownMessage(id.to_owned()))
}

/// The person whom a name or an id means.
fn person(state: &State, name: &str) -> Option<i64> {
    if let Ok(id) = name.parse::<i64>() {
        return state.world.users.contains_key(&id).then_some(id);
    }
    let named = state.world.users.values().find(|user| {
        let full = match &user.last_name {
            Some(last) => format!("{} {last}", user.first_name),
            None => user.first_name.clone(),
        };
        full == name || user.first_name == name || user.username.as_deref() == Some(name)
    });
    named.map(|user| user.id)
}

impl Dc {
    /// Every channel: its dialog id, its title, and whether all its members may write in it.
    pub(super) fn channels(&self) -> Vec<(i64, String, bool)> {
        let state = self.lock();
        let channels = state.world.channels.values();
        channels
            .map(|channel| {
                let dialog = dialog_id(Chat::Channel(channel.id));
                (dialog, channel.title.clone(), channel.kind == Kind::Megagroup)
            })
            .collect()
    }

    pub(super) fn post_message(&self, chat: &str, new: &NewMessage) -> Result<String, ControlError> {
        let mut state = self.lock();
        let place = place(&state, chat)?;
        let entities = entities::check(&new.text, new.entities.clone()).map_err(text_error)?;
        let by = match &new.from {
            Some(name) => {
                person(&state, name).ok_or_else(|| invalid("from", format!("nobody is called {name:?}")))?
            }
            None => self.usual_writer(&state, place)?,
        };
        let to = match place {
            Place::Channel(id) => {
                let writes = state.world.channels.get(&id).is_some_and(|channel| channel.is_writable_by(by));
                // Telegram itself is a member of nothing and may write anywhere.
                if !writes && by != SERVICE {
                    return Err(invalid("from", format!("{by} may not write in this chat")));
                }
                Chat::Channel(id)
            }
            Place::Inbox(owner) => Chat::User(owner),
        };
        let reply_to = match &new.reply_to {
            Some(id) => Some(reply(&state, place, by, id)?),
            None => None,
        };
        let post = Post {
            chat: to,
            by,
            at: self.now(),
            text: new.text.clone(),
            entities,
            reply_to,
            random_id: None,
            silent: false,
            noforwards: false,
        };
        let changes = self.commit(&mut state, Op::Post(post), None)?;
        // In private conversations the inbox's own copy is the one that this chat shows.
        let id = changes.iter().find_map(|change| match (change, place) {
            (Change::Channel(_, entry), Place::Channel(_)) => Some(&entry.what),
            (Change::Mailbox(user, entry), Place::Inbox(owner)) if *user == owner => Some(&entry.what),
            _ => None,
        });
        match id {
            Some(Happening::New(id)) => Ok(id.to_string()),
            _ => Err(ControlError::UnknownChat(chat.to_owned())),
        }
    }

    /// Who writes when nobody is named: in broadcast channels the creator.
    fn usual_writer(&self, state: &State, place: Place) -> Result<i64, ControlError> {
        let writer = match place {
            Place::Channel(id) => {
                let channel = state.world.channels.get(&id);
                let creator = channel.filter(|channel| channel.kind == Kind::Broadcast).and_then(|channel| {
                    channel.members.iter().find(|(_, member)| member.role == Role::Creator).map(|(id, _)| *id)
                });
                creator.or(self.first_person)
            }
            Place::Inbox(_) => self.first_person,
        };
        writer.ok_or_else(|| invalid("from", "there is nobody to write"))
    }

    pub(super) fn list_messages(
        &self,
        chat: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<MessageItem>, ControlError> {
        let state = self.lock();
        let after = match after.filter(|after| !after.is_empty()) {
            Some(id) => id.parse().map_err(|_not_a_number| invalid("after", "is not a message id"))?,
            None => 0,
        };
        let range = (std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded);
        Ok(match place(&state, chat)? {
            Place::Channel(id) => {
                let channel = state.world.channels.get(&id);
                let messages = channel.into_iter().flat_map(|channel| channel.messages.range(range));
                messages.map(|(_, message)| message).filter(|m| !m.service).take(limit).map(item).collect()
            }
            Place::Inbox(owner) => {
                let mailbox = state.world.mailbox(owner);
                let letters = mailbox.into_iter().flat_map(|mailbox| mailbox.letters.range(range));
                letters.take(limit).map(|(_, letter)| item(&letter.message)).collect()
            }
        })
    }

    pub(super) fn get_message(&self, chat: &str, id: &str) -> Result<MessageItem, ControlError> {
        let state = self.lock();
        let place = place(&state, chat)?;
        find(&state, place, id).map(item)
    }

    pub(super) fn edit_message(
        &self,
        chat: &str,
        id: &str,
        edited: &EditedMessage,
    ) -> Result<MessageItem, ControlError> {
        let mut state = self.lock();
        let place = place(&state, chat)?;
        let entities = entities::check(&edited.text, edited.entities.clone()).map_err(text_error)?;
        let message = find(&state, place, id)?;
        let (in_chat, by) = match place {
            Place::Channel(channel) => (Chat::Channel(channel), message.by),
            Place::Inbox(owner) => (Chat::User(owner), owner),
        };
        let edit =
            Edit { chat: in_chat, by, id: message.id, at: self.now(), text: edited.text.clone(), entities };
        self.commit(&mut state, Op::Edit(edit), None)?;
        find(&state, place, id).map(item)
    }

    pub(super) fn delete_message(&self, chat: &str, id: &str) -> Result<(), ControlError> {
        let mut state = self.lock();
        let place = place(&state, chat)?;
        let message = find(&state, place, id)?;
        let (channel, by) = match place {
            Place::Channel(channel) => (Some(channel), message.by),
            Place::Inbox(owner) => (None, owner),
        };
        let delete = Delete { channel, by, ids: vec![message.id], revoke: true };
        self.commit(&mut state, Op::Delete(delete), None)?;
        Ok(())
    }

    pub(super) fn set_member(
        &self,
        chat: &str,
        user: i64,
        role: Option<MemberRole>,
    ) -> Result<(), ControlError> {
        let mut state = self.lock();
        let Place::Channel(channel) = place(&state, chat)? else {
            return Err(ControlError::UnknownChat(chat.to_owned()));
        };
        if !state.world.users.contains_key(&user) {
            return Err(invalid("user_id", format!("there is no user {user}")));
        }
        let role = role.map(|role| match role {
            MemberRole::Admin => Role::Admin,
            MemberRole::Member => Role::Member,
            MemberRole::Restricted => Role::Restricted,
        });
        self.commit(&mut state, Op::Member { channel, user, role, at: self.now() }, None)?;
        push::channel_changed(self, &state, user, channel);
        Ok(())
    }

    pub(super) fn accept_login_token(
        &self,
        token: Option<&[u8]>,
        user: i64,
    ) -> Result<Vec<u8>, ControlError> {
        let mut state = self.lock();
        if state.world.users.get(&user).is_none_or(|user| user.bot) {
            return Err(invalid("user_id", format!("there is no person {user}")));
        }
        let token = token.or_else(|| state.login_tokens.latest()).map(<[u8]>::to_vec);
        let token = token.ok_or_else(|| invalid("token", "no QR code was shown"))?;
        let key = state.login_tokens.accept(&token, user, self.now()).map_err(|refused| {
            invalid(
                "token",
                match refused {
                    TokenRefused::Unknown => "nobody shows this QR code",
                    TokenRefused::Expired => "the QR code has expired",
                    TokenRefused::AlreadyAccepted => "the QR code was accepted already",
                },
            )
        })?;
        self.tell_accepted(&state, key);
        Ok(token)
    }

    /// Tells the session that shows a QR code that it was accepted (core.telegram.org/constructor/updateLoginToken).
    pub(super) fn tell_accepted(&self, state: &State, key: i64) {
        let date = unix_i32(self.now());
        let update = types::UpdateShort { update: enums::Update::LoginToken, date };
        let body = enums::Updates::UpdateShort(update).to_bytes();
        for connection in state.hub.subscribers(key) {
            let message = Outgoing { body: body.clone(), content: true, answers: false };
            if !state.hub.send(connection, message) {
                self.violation(Rule::TelegramSlowReader);
            }
        }
    }

    pub(super) fn register_auth_key(&self, bytes: &[u8; 256], user: Option<i64>) -> Result<(), ControlError> {
        let mut state = self.lock();
        if let Some(user) = user
            && !state.world.users.contains_key(&user)
        {
            return Err(invalid("user_id", format!("there is no user {user}")));
        }
        let id = super::crypto::AuthKey::new(*bytes).id();
        match state.world.keys.get(id) {
            Some(known) if known.bytes() == bytes => {}
            Some(_) => return Err(invalid("auth_key", "another key has the same id")),
            None if state.world.keys.len() >= self.config.max_keys => {
                return Err(invalid("auth_key", "there are too many keys"));
            }
            None => {
                self.commit(&mut state, Op::Key { key: hex::encode(bytes) }, None)?;
            }
        }
        if let Some(user) = user
            && state.world.keys.standing(id) != Some(Standing::SignedIn(user))
        {
            self.commit(&mut state, Op::SignIn { key: id, user }, None)?;
        }
        Ok(())
    }
}

/// The message answered, under the id by which its answerer knows it.
fn reply(state: &State, place: Place, by: i64, id: &str) -> Result<i32, ControlError> {
    let missing = || invalid("reply_to", format!("there is no message {id} in this chat"));
    let number = id.parse().map_err(|_not_a_number| missing())?;
    let known = match place {
        Place::Channel(channel) => {
            state.world.channels.get(&channel).and_then(|channel| channel.messages.get(&number)).map(|m| m.id)
        }
        Place::Inbox(owner) => {
            let letter = state.world.mailbox(owner).and_then(|mailbox| mailbox.letters.get(&number));
            let letter = letter.filter(|letter| letter.peer == by);
            letter.and_then(|letter| if by == owner { Some(number) } else { letter.twin })
        }
    };
    known.ok_or_else(missing)
}

fn find<'a>(state: &'a State, place: Place, id: &str) -> Result<&'a Message, ControlError> {
    let number = message_id(id)?;
    let message = match place {
        Place::Channel(channel) => channel_message(state.world.channels.get(&channel), number),
        Place::Inbox(owner) => state
            .world
            .mailbox(owner)
            .and_then(|mailbox| mailbox.letters.get(&number))
            .map(|letter| &letter.message),
    };
    message.ok_or_else(|| ControlError::UnknownMessage(id.to_owned()))
}

fn channel_message(channel: Option<&Channel>, id: i32) -> Option<&Message> {
    channel.and_then(|channel| channel.messages.get(&id)).filter(|message| !message.service)
}

fn item(message: &Message) -> MessageItem {
    MessageItem {
        id: message.id.to_string(),
        from: message.by.to_string(),
        text: message.text.clone(),
        entities: message.entities.clone(),
        media: None,
        album: Vec::new(),
        reply_to: message.reply_to.map(|id| id.to_string()),
        edited_at: message.edited.and_then(moment),
        at: moment(message.at).unwrap_or_default(),
    }
}

fn moment(seconds: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(seconds, 0)
}
