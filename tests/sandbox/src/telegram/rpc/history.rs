//! `messages.getHistory` and messages by id (core.telegram.org/api/offsets).

use grammers_tl_types::{enums, functions as f, types};

use super::super::view::{self, Mentioned, View, count};
use super::super::world::{Channel, Chat};
use super::{Answer, Context, RpcError};

/// Messages in one answer, at most.
const MAX_PAGE: usize = 100;

/// A conversation's messages by id, newest first, with their dates.
fn ids(view: &View<'_>, chat: Chat) -> Vec<(i32, i64)> {
    match chat {
        Chat::Channel(id) => {
            let channel = view.world.channels.get(&id);
            let messages = channel.into_iter().flat_map(|channel| channel.messages.values().rev());
            messages.map(|message| (message.id, message.at)).collect()
        }
        Chat::User(peer) => {
            let Some(mailbox) = view.world.mailbox(view.me) else { return Vec::new() };
            let Some(conversation) = mailbox.conversations.get(&peer) else { return Vec::new() };
            let ids = conversation.ids.iter().rev();
            ids.filter_map(|id| Some((*id, mailbox.letters.get(id)?.message.at))).collect()
        }
    }
}

/// The page that offset and limit name. `offset_id` and `offset_date` (0: none) begin after what is as new or newer;
/// `add_offset` moves on from there, and back if negative.
fn window(all: &[(i32, i64)], request: &f::messages::GetHistory) -> Vec<i32> {
    let begin = if request.offset_id > 0 {
        all.partition_point(|(id, _)| *id >= request.offset_id)
    } else if request.offset_date > 0 {
        all.partition_point(|(_, at)| *at >= i64::from(request.offset_date))
    } else {
        0
    };
    let limit = usize::try_from(request.limit).unwrap_or(0).min(MAX_PAGE);
    let shift = isize::try_from(request.add_offset).unwrap_or(0);
    let end = begin.saturating_add(limit).saturating_add_signed(shift);
    let begin = begin.saturating_add_signed(shift);
    let page = all.get(begin.min(all.len())..end.min(all.len())).unwrap_or_default();
    let inside = |id: i32| {
        (request.max_id <= 0 || id < request.max_id) && (request.min_id <= 0 || id > request.min_id)
    };
    page.iter().map(|(id, _)| *id).filter(|id| inside(*id)).collect()
}

pub(super) fn get_history(
    context: &mut Context<'_>,
    request: f::messages::GetHistory,
) -> Answer<enums::messages::Messages> {
    let me = context.me()?;
    let chat = context.peer(me, &request.peer)?;
    let view = context.view(me);
    let all = ids(&view, chat);
    let page = window(&all, &request);
    Ok(match chat {
        Chat::Channel(id) => {
            let channel = context.state.world.channels.get(&id).ok_or(RpcError::internal())?;
            channel_messages(&view, channel, &page, all.len())
        }
        Chat::User(_) => letters(&view, chat, &page, all.len()),
    })
}

/// Messages of a channel by id; those that are not there are empty.
fn channel_messages(
    view: &View<'_>,
    channel: &Channel,
    ids: &[i32],
    total: usize,
) -> enums::messages::Messages {
    let mut mentioned = Mentioned::default();
    mentioned.chat(Chat::Channel(channel.id));
    let messages = ids.iter().map(|id| match channel.messages.get(id) {
        Some(message) => {
            mentioned.channel_message(channel, message);
            view.channel_message(channel, message)
        }
        None => empty(*id, Some(Chat::Channel(channel.id))),
    });
    let messages = messages.collect();
    let (users, chats) = view.describe(&mentioned);
    enums::messages::Messages::ChannelMessages(types::messages::ChannelMessages {
        inexact: false,
        pts: channel.log.pts(),
        count: count(total),
        offset_id_offset: None,
        messages,
        topics: Vec::new(),
        chats,
        users,
    })
}

/// Private messages by id; those that are not there are empty.
fn letters(view: &View<'_>, chat: Chat, ids: &[i32], total: usize) -> enums::messages::Messages {
    let mut mentioned = Mentioned::default();
    mentioned.chat(chat);
    let messages: Vec<_> = ids
        .iter()
        .map(|id| match view.world.mailbox(view.me).and_then(|mailbox| mailbox.letters.get(id)) {
            Some(letter) => {
                mentioned.letter(view.me, letter);
                view.letter(letter)
            }
            None => empty(*id, None),
        })
        .collect();
    let (users, chats) = view.describe(&mentioned);
    let topics = Vec::new();
    if messages.len() == total {
        let all = types::messages::Messages { messages, topics, chats, users };
        return enums::messages::Messages::Messages(all);
    }
    enums::messages::Messages::Slice(types::messages::MessagesSlice {
        inexact: false,
        count: count(total),
        next_rate: None,
        offset_id_offset: None,
        search_flood: None,
        messages,
        topics,
        chats,
        users,
    })
}

fn empty(id: i32, chat: Option<Chat>) -> enums::Message {
    enums::Message::Empty(types::MessageEmpty { id, peer_id: chat.map(view::peer) })
}

/// The ids asked for; `reply` finds what a message answers.
fn asked(input: &[enums::InputMessage], reply: impl Fn(i32) -> Option<i32>) -> Answer<Vec<i32>> {
    if input.len() > MAX_PAGE {
        return Err(RpcError::bad("LIMIT_INVALID"));
    }
    let ids = input.iter().filter_map(|input| match input {
        enums::InputMessage::Id(input) => Some(Ok(input.id)),
        enums::InputMessage::ReplyTo(input) => reply(input.id).map(Ok),
        // Nothing is ever pinned here.
        enums::InputMessage::Pinned => None,
        enums::InputMessage::CallbackQuery(_) => Some(Err(RpcError::bad("MESSAGE_IDS_EMPTY"))),
    });
    ids.collect()
}

pub(super) fn get_messages(
    context: &mut Context<'_>,
    request: f::messages::GetMessages,
) -> Answer<enums::messages::Messages> {
    let me = context.me()?;
    let mailbox = context.state.world.mailbox(me);
    let ids = asked(&request.id, |id| mailbox?.letters.get(&id)?.message.reply_to)?;
    Ok(letters(&context.view(me), Chat::User(me), &ids, ids.len()))
}

pub(super) fn get_channel_messages(
    context: &mut Context<'_>,
    request: f::channels::GetMessages,
) -> Answer<enums::messages::Messages> {
    let me = context.me()?;
    let channel = context.channel(me, &request.channel)?;
    let ids = asked(&request.id, |id| channel.messages.get(&id)?.reply_to)?;
    Ok(channel_messages(&context.view(me), channel, &ids, ids.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(offset_id: i32, add_offset: i32, limit: i32) -> f::messages::GetHistory {
        f::messages::GetHistory {
            peer: enums::InputPeer::PeerSelf,
            offset_id,
            offset_date: 0,
            add_offset,
            limit,
            max_id: 0,
            min_id: 0,
            hash: 0,
        }
    }

    #[test]
    fn offsets_name_the_page_that_the_documentation_says() {
        let all: Vec<(i32, i64)> = (1..=10).rev().map(|id| (id, i64::from(id) * 100)).collect();
        assert_eq!(window(&all, &request(0, 0, 3)), [10, 9, 8]);
        assert_eq!(window(&all, &request(8, 0, 3)), [7, 6, 5]);
        assert_eq!(window(&all, &request(8, -1, 3)), [8, 7, 6]);
        assert_eq!(window(&all, &request(5, -3, 3)), [7, 6, 5], "the next newer ones");
        assert_eq!(window(&all, &request(9, -5, 5)), [10, 9], "newer than the newest is nothing");
        assert_eq!(window(&all, &request(1, -2, 3)), [2, 1]);
        let by_date = f::messages::GetHistory { offset_date: 500, ..request(0, 0, 2) };
        assert_eq!(window(&all, &by_date), [4, 3]);
        let bounded = f::messages::GetHistory { min_id: 7, max_id: 10, ..request(0, 0, 100) };
        assert_eq!(window(&all, &bounded), [9, 8]);
        assert!(window(&all, &request(0, 0, 0)).is_empty());
        assert!(window(&all, &request(1, 0, 5)).is_empty());
    }
}
