//! Updates: pushed as they happen, and fetched later as differences (core.telegram.org/api/updates).

use grammers_tl_types::{Serializable, enums, types};

use super::dc::{Dc, State};
use super::hub::{ConnectionId, Outgoing};
use super::salts::unix_i32;
use super::view::{Mentioned, View};
use super::world::{Change, Channel, Chat, Entry, Happening, Mailbox};
use crate::violations::Rule;

/// Pushes changes to every session that follows them and wants updates, except to `origin`.
pub(super) fn push(dc: &Dc, state: &State, changes: &[Change], origin: Option<ConnectionId>) {
    for change in changes {
        let followers: Vec<i64> = match change {
            Change::Channel(channel, _) => {
                let channel = state.world.channels.get(channel);
                channel.into_iter().flat_map(|channel| channel.members.keys().copied()).collect()
            }
            Change::Mailbox(user, _) => vec![*user],
        };
        for me in followers {
            let keys = state.world.keys.of_user(me);
            let to: Vec<ConnectionId> = keys
                .flat_map(|key| state.hub.subscribers(key))
                .filter(|connection| Some(*connection) != origin)
                .collect();
            if to.is_empty() {
                continue;
            }
            let view = dc.view(&state.world, me);
            let Some((update, mentioned)) = live(&view, change) else { continue };
            let body = wrap(&view, vec![update], &mentioned, dc.now()).to_bytes();
            for connection in to {
                let message = Outgoing { body: body.clone(), content: true, answers: false };
                if !state.hub.send(connection, message) {
                    dc.violation(Rule::TelegramSlowReader);
                }
            }
        }
    }
}

/// Tells a user's sessions that their place in a channel is another one (core.telegram.org/constructor/updateChannel).
pub(super) fn channel_changed(dc: &Dc, state: &State, me: i64, channel_id: i64) {
    let view = dc.view(&state.world, me);
    let mut mentioned = Mentioned::default();
    mentioned.chat(Chat::Channel(channel_id));
    let update = types::UpdateChannel { channel_id }.into();
    let body = wrap(&view, vec![update], &mentioned, dc.now()).to_bytes();
    for connection in state.world.keys.of_user(me).flat_map(|key| state.hub.subscribers(key)) {
        let message = Outgoing { body: body.clone(), content: true, answers: false };
        if !state.hub.send(connection, message) {
            dc.violation(Rule::TelegramSlowReader);
        }
    }
}

/// Updates with descriptions of everybody in them. Their `seq` is 0, "order does not matter": what has an order
/// carries its own pts.
pub(super) fn wrap(
    view: &View<'_>,
    updates: Vec<enums::Update>,
    mentioned: &Mentioned,
    now: i64,
) -> enums::Updates {
    let (users, chats) = view.describe(mentioned);
    enums::Updates::Updates(types::Updates { updates, users, chats, date: unix_i32(now), seq: 0 })
}

/// A change as a live update for the viewer.
pub(super) fn live(view: &View<'_>, change: &Change) -> Option<(enums::Update, Mentioned)> {
    let mut mentioned = Mentioned::default();
    let update = match change {
        Change::Channel(id, entry) => {
            let channel = view.world.channels.get(id)?;
            mentioned.chat(Chat::Channel(*id));
            channel_update(view, channel, entry, &mut mentioned)?
        }
        Change::Mailbox(_, entry) => {
            mailbox_update(view, view.world.mailbox(view.me)?, entry, &mut mentioned)?
        }
    };
    Some((update, mentioned))
}

fn channel_update(
    view: &View<'_>,
    channel: &Channel,
    entry: &Entry,
    mentioned: &mut Mentioned,
) -> Option<enums::Update> {
    let (pts, pts_count) = (entry.pts, entry.count);
    let mut message = |id: &i32| {
        let message = channel.messages.get(id)?;
        mentioned.channel_message(channel, message);
        Some(view.channel_message(channel, message))
    };
    Some(match &entry.what {
        Happening::New(id) => types::UpdateNewChannelMessage { message: message(id)?, pts, pts_count }.into(),
        Happening::Edit(id) => {
            types::UpdateEditChannelMessage { message: message(id)?, pts, pts_count }.into()
        }
        Happening::Delete(ids) => {
            let messages = ids.clone();
            types::UpdateDeleteChannelMessages { channel_id: channel.id, messages, pts, pts_count }.into()
        }
    })
}

fn mailbox_update(
    view: &View<'_>,
    mailbox: &Mailbox,
    entry: &Entry,
    mentioned: &mut Mentioned,
) -> Option<enums::Update> {
    let (pts, pts_count) = (entry.pts, entry.count);
    let mut message = |id: &i32| {
        let letter = mailbox.letters.get(id)?;
        mentioned.letter(view.me, letter);
        Some(view.letter(letter))
    };
    Some(match &entry.what {
        Happening::New(id) => types::UpdateNewMessage { message: message(id)?, pts, pts_count }.into(),
        Happening::Edit(id) => types::UpdateEditMessage { message: message(id)?, pts, pts_count }.into(),
        Happening::Delete(ids) => {
            types::UpdateDeleteMessages { messages: ids.clone(), pts, pts_count }.into()
        }
    })
}

/// Bytes of text in one stretch, about: the whole answer must fit into a packet.
const MAX_STRETCH: usize = 256 * 1024;

/// A stretch of an event sequence, as differences tell it.
#[derive(Debug, Default)]
pub(super) struct Stretch {
    pub(super) new_messages: Vec<enums::Message>,
    pub(super) other_updates: Vec<enums::Update>,
    pub(super) mentioned: Mentioned,
    /// The pts after it.
    pub(super) pts: i32,
    /// Whether nothing follows.
    pub(super) complete: bool,
}

/// At least one and at most `limit` entries, fewer if their texts are long, and whether these are all.
fn cut<'a>(
    entries: impl Iterator<Item = &'a Entry>,
    limit: usize,
    text: impl Fn(&i32) -> usize,
) -> (Vec<&'a Entry>, bool) {
    let mut entries = entries.peekable();
    let (mut taken, mut bytes) = (Vec::new(), 0_usize);
    while taken.len() < limit.max(1) && bytes < MAX_STRETCH {
        let Some(entry) = entries.next() else { break };
        bytes = bytes.saturating_add(match &entry.what {
            Happening::New(id) | Happening::Edit(id) => text(id),
            Happening::Delete(ids) => ids.len().saturating_mul(4),
        });
        taken.push(entry);
    }
    (taken, entries.peek().is_none())
}

/// Up to `limit` events of a channel after `pts`; `None` if they are no longer known.
pub(super) fn channel_stretch(view: &View<'_>, channel: &Channel, pts: i32, limit: usize) -> Option<Stretch> {
    let text = |id: &i32| channel.messages.get(id).map_or(0, |message| message.text.len());
    let (entries, complete) = cut(channel.log.since(pts)?, limit, text);
    let mut stretch = Stretch { pts, complete, ..Stretch::default() };
    stretch.mentioned.chat(Chat::Channel(channel.id));
    for entry in entries {
        stretch.pts = entry.pts;
        if let Happening::New(id) = entry.what {
            let Some(message) = channel.messages.get(&id) else { continue };
            stretch.mentioned.channel_message(channel, message);
            stretch.new_messages.push(view.channel_message(channel, message));
            if let Some(random_id) = message.random_id.filter(|_| message.by == view.me) {
                stretch.other_updates.push(types::UpdateMessageId { id, random_id }.into());
            }
        } else if let Some(update) = channel_update(view, channel, entry, &mut stretch.mentioned) {
            stretch.other_updates.push(update);
        }
    }
    Some(stretch)
}

/// Up to `limit` events of the viewer's private messages after `pts`; `None` if they are no longer known.
pub(super) fn mailbox_stretch(view: &View<'_>, mailbox: &Mailbox, pts: i32, limit: usize) -> Option<Stretch> {
    let text = |id: &i32| mailbox.letters.get(id).map_or(0, |letter| letter.message.text.len());
    let (entries, complete) = cut(mailbox.log.since(pts)?, limit, text);
    let mut stretch = Stretch { pts, complete, ..Stretch::default() };
    for entry in entries {
        stretch.pts = entry.pts;
        if let Happening::New(id) = entry.what {
            let Some(letter) = mailbox.letters.get(&id) else { continue };
            stretch.mentioned.letter(view.me, letter);
            stretch.new_messages.push(view.letter(letter));
            if let Some(random_id) = letter.message.random_id {
                stretch.other_updates.push(types::UpdateMessageId { id, random_id }.into());
            }
        } else if let Some(update) = mailbox_update(view, mailbox, entry, &mut stretch.mentioned) {
            stretch.other_updates.push(update);
        }
    }
    Some(stretch)
}
