//! Marking conversations as read.

use grammers_tl_types::{enums, functions as f, types};

use super::super::world::{Chat, Op};
use super::{Answer, Context};

/// 0 means everything.
const fn last(max_id: i32) -> i32 {
    if max_id <= 0 { i32::MAX } else { max_id }
}

pub(super) fn read_history(
    context: &mut Context<'_>,
    request: f::messages::ReadHistory,
) -> Answer<enums::messages::AffectedMessages> {
    let me = context.me()?;
    let chat = context.peer(me, &request.peer)?;
    context.commit(Op::Read { user: me, chat, max_id: bounded(context, me, chat, request.max_id) })?;
    let affected = types::messages::AffectedMessages { pts: context.common_pts(me), pts_count: 0 };
    Ok(enums::messages::AffectedMessages::Messages(affected))
}

pub(super) fn read_channel_history(
    context: &mut Context<'_>,
    request: f::channels::ReadHistory,
) -> Answer<bool> {
    let me = context.me()?;
    let chat = Chat::Channel(context.channel(me, &request.channel)?.id);
    context.commit(Op::Read { user: me, chat, max_id: bounded(context, me, chat, request.max_id) })?;
    Ok(true)
}

/// The id up to which there is something to be read.
fn bounded(context: &Context<'_>, me: i64, chat: Chat, max_id: i32) -> i32 {
    let newest = match chat {
        Chat::Channel(id) => {
            context.state.world.channels.get(&id).and_then(|channel| channel.messages.keys().next_back())
        }
        Chat::User(peer) => {
            context.state.world.mailbox(me).and_then(|mailbox| mailbox.conversations.get(&peer)?.ids.last())
        }
    };
    last(max_id).min(newest.copied().unwrap_or(0))
}
