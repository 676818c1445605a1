//! `messages.getHistory` and messages by id (core.telegram.org/api/offsets).

use grammers_tl_types::{enums, functions as f, types};

use super::super::view::{self, Mentioned, View, count};
use super::super::world::{Channel, Chat};
use super::{Answer, Context, RpcError};
use crate::config::Limits;
use crate::violations::Rule;

/// Messages in one answer, at most.
const MAX_PAGE: usize = 100;

/// The ids of a page of a conversation, newest first, and how many messages the conversation has.
fn page(view: &View<'_>, chat: Chat, request: &f::messages::GetHistory) -> (Vec<i32>, usize) {
    let date = i64::from(request.offset_date);
    match chat {
        Chat::Channel(id) => {
            let Some(channel) = view.world.channels.get(&id) else { return (Vec::new(), 0) };
            let messages = &channel.messages;
            let dated =
                || messages.values().rev().find(|message| message.at < date).map(|message| message.id);
            let split = split(request, dated);
            let newer = messages.range(split..).map(|(id, _)| *id);
            let older = messages.range(..split).rev().map(|(id, _)| *id);
            (window(newer, older, request), messages.len())
        }
        Chat::User(peer) => {
            let Some(mailbox) = view.world.mailbox(view.me) else { return (Vec::new(), 0) };
            let Some(conversation) = mailbox.conversations.get(&peer) else { return (Vec::new(), 0) };
            let ids = &conversation.ids;
            let before = |id: &&i32| mailbox.letters.get(id).is_some_and(|letter| letter.message.at < date);
            let split = split(request, || ids.iter().rev().find(before).copied());
            let (newer, older) = (ids.range(split..).copied(), ids.range(..split).rev().copied());
            (window(newer, older, request), ids.len())
        }
    }
}

/// The id from which on messages are as new as the offset or newer. `offset_id` and `offset_date` are none at 0;
/// `dated` finds the newest message from before the date.
fn split(request: &f::messages::GetHistory, dated: impl FnOnce() -> Option<i32>) -> i32 {
    if request.offset_id > 0 {
        request.offset_id
    } else if request.offset_date > 0 {
        dated().map_or(0, |id| id.saturating_add(1))
    } else {
        i32::MAX
    }
}

/// The page between messages that are newer than the offset (the nearest first) and older ones (the nearest first):
/// it begins with the first older one, moved on by `add_offset`, and back if that is negative.
fn window(
    newer: impl Iterator<Item = i32>,
    older: impl Iterator<Item = i32>,
    request: &f::messages::GetHistory,
) -> Vec<i32> {
    let limit = usize::try_from(request.limit).unwrap_or(0).min(MAX_PAGE);
    let mut page: Vec<i32> = match usize::try_from(request.add_offset) {
        Ok(on) => older.skip(on).take(limit).collect(),
        Err(_negative) => {
            let back = usize::try_from(request.add_offset.unsigned_abs()).unwrap_or(usize::MAX);
            let mut page: Vec<i32> = newer.take(back).collect();
            // Places before the newest message are part of the page, and empty.
            let empty = back.saturating_sub(page.len());
            page.reverse();
            page.extend(older.take(limit));
            page.truncate(limit.saturating_sub(empty));
            page
        }
    };
    page.retain(|id| {
        (request.max_id <= 0 || *id < request.max_id) && (request.min_id <= 0 || *id > request.min_id)
    });
    page
}

pub(super) fn get_history(
    context: &mut Context<'_>,
    request: f::messages::GetHistory,
) -> Answer<enums::messages::Messages> {
    let me = context.me()?;
    let chat = context.peer(me, &request.peer)?;
    if context.dc.shared.limits == Limits::Published
        && let Some(wait) = context.state.floods.count_history(me, context.dc.shared.clock.now())
    {
        context.dc.violation(Rule::TelegramRateLimit);
        return Err(RpcError::flood_wait(wait));
    }
    let view = context.view(me);
    let (page, total) = page(&view, chat, &request);
    Ok(match chat {
        Chat::Channel(id) => {
            let channel = context.state.world.channels.get(&id).ok_or(RpcError::internal())?;
            channel_messages(&view, channel, &page, total)
        }
        Chat::User(_) => letters(&view, chat, &page, total),
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

    /// Ten messages, one of them every hundred seconds.
    fn ten(request: &f::messages::GetHistory) -> Vec<i32> {
        let dated = || (1..=10).rev().find(|id| id * 100 < request.offset_date);
        let split = split(request, dated);
        window((1..=10).filter(|id| *id >= split), (1..=10).rev().filter(|id| *id < split), request)
    }

    #[test]
    fn offsets_name_the_page_that_the_documentation_says() {
        assert_eq!(ten(&request(0, 0, 3)), [10, 9, 8]);
        assert_eq!(ten(&request(8, 0, 3)), [7, 6, 5]);
        assert_eq!(ten(&request(8, 2, 3)), [5, 4, 3]);
        assert_eq!(ten(&request(8, -1, 3)), [8, 7, 6]);
        assert_eq!(ten(&request(5, -3, 3)), [7, 6, 5], "the next newer ones");
        assert_eq!(ten(&request(2, -5, 3)), [6, 5, 4]);
        assert_eq!(ten(&request(9, -5, 5)), [10, 9], "newer than the newest is nothing");
        assert_eq!(ten(&request(1, -2, 3)), [2, 1]);
        let by_date = f::messages::GetHistory { offset_date: 500, ..request(0, 0, 2) };
        assert_eq!(ten(&by_date), [4, 3]);
        let bounded = f::messages::GetHistory { min_id: 7, max_id: 10, ..request(0, 0, 100) };
        assert_eq!(ten(&bounded), [9, 8]);
        assert!(ten(&request(0, 0, 0)).is_empty());
        assert!(ten(&request(1, 0, 5)).is_empty());
        assert!(ten(&request(0, i32::MIN, 5)).is_empty());
    }
}
