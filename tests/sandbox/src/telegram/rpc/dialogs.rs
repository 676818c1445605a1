//! `messages.getDialogs` and `messages.getPeerDialogs`: the caller's conversations, latest first.

use std::cmp::Reverse;

use grammers_tl_types::{enums, functions as f, types};

use super::super::view::{Mentioned, View, count};
use super::super::world::{Chat, World};
use super::{Answer, Context, RpcError};

/// Dialogs in one answer, at most.
const MAX_PAGE: usize = 100;

/// A conversation's place in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    /// Unix seconds of the last message, later first.
    date: Reverse<i64>,
    chat: Chat,
}

/// All conversations of a user, latest first.
fn places(world: &World, me: i64) -> Vec<Place> {
    let joined = world.channels.values().filter(|channel| channel.members.contains_key(&me));
    let channels = joined.map(|channel| Place {
        date: Reverse(channel.messages.values().next_back().map_or(channel.at, |message| message.at)),
        chat: Chat::Channel(channel.id),
    });
    let mailbox = world.mailbox(me);
    let conversations = mailbox.into_iter().flat_map(|mailbox| {
        mailbox.conversations.iter().filter_map(|(peer, conversation)| {
            let last = mailbox.letters.get(conversation.ids.last()?)?;
            Some(Place { date: Reverse(last.message.at), chat: Chat::User(*peer) })
        })
    });
    let mut places: Vec<_> = channels.chain(conversations).collect();
    places.sort_unstable();
    places
}

/// Dialogs with everything that describes them.
#[derive(Default)]
struct Page {
    dialogs: Vec<enums::Dialog>,
    messages: Vec<enums::Message>,
    mentioned: Mentioned,
}

impl Page {
    fn add(&mut self, view: &View<'_>, chat: Chat) {
        self.mentioned.chat(chat);
        let (dialog, message) = match chat {
            Chat::Channel(id) => {
                let Some(channel) = view.world.channels.get(&id) else { return };
                if let Some(last) = channel.messages.values().next_back() {
                    self.mentioned.channel_message(channel, last);
                }
                view.channel_dialog(channel)
            }
            Chat::User(with) => view.private_dialog(with),
        };
        self.dialogs.push(dialog);
        self.messages.extend(message);
    }
}

pub(super) fn get_dialogs(
    context: &mut Context<'_>,
    request: f::messages::GetDialogs,
) -> Answer<enums::messages::Dialogs> {
    let me = context.me()?;
    let offset_peer = match &request.offset_peer {
        enums::InputPeer::Empty => None,
        peer => Some(context.peer(me, peer).map_err(|_unknown| RpcError::bad("OFFSET_PEER_ID_INVALID"))?),
    };
    // Nothing is in the archive, nor in any other folder.
    let all = if request.folder_id.unwrap_or(0) == 0 { places(&context.state.world, me) } else { Vec::new() };
    let skipped = match (offset_peer, i64::from(request.offset_date)) {
        (Some(chat), _) if all.iter().any(|place| place.chat == chat) => {
            all.iter().take_while(|place| place.chat != chat).count().saturating_add(1)
        }
        (_, date @ 1..) => all.iter().take_while(|place| place.date.0 >= date).count(),
        _ => 0,
    };
    let limit = usize::try_from(request.limit).unwrap_or(0).clamp(1, MAX_PAGE);
    let view = context.view(me);
    let mut page = Page::default();
    for place in all.iter().skip(skipped).take(limit) {
        page.add(&view, place.chat);
    }
    let (users, chats) = view.describe(&page.mentioned);
    let Page { dialogs, messages, .. } = page;
    Ok(if dialogs.len() == all.len() {
        enums::messages::Dialogs::Dialogs(types::messages::Dialogs { dialogs, messages, chats, users })
    } else {
        let count = count(all.len());
        let slice = types::messages::DialogsSlice { count, dialogs, messages, chats, users };
        enums::messages::Dialogs::Slice(slice)
    })
}

pub(super) fn get_peer_dialogs(
    context: &mut Context<'_>,
    request: f::messages::GetPeerDialogs,
) -> Answer<enums::messages::PeerDialogs> {
    let me = context.me()?;
    let view = context.view(me);
    let mut page = Page::default();
    for input in request.peers.iter().take(MAX_PAGE) {
        let enums::InputDialogPeer::Peer(input) = input else {
            return Err(RpcError::bad("PEER_ID_INVALID"));
        };
        page.add(&view, context.peer(me, &input.peer)?);
    }
    let (users, chats) = view.describe(&page.mentioned);
    let state = context.updates_state(context.common_pts(me));
    let Page { dialogs, messages, .. } = page;
    let dialogs = types::messages::PeerDialogs { dialogs, messages, chats, users, state };
    Ok(enums::messages::PeerDialogs::Dialogs(dialogs))
}
