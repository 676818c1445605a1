//! `channels.*`: what a channel is. Its messages are with the others.

use grammers_tl_types::{enums, functions as f, types};

use super::super::view::Mentioned;
use super::super::world::Chat;
use super::{Answer, Context, MAX_IDS, RpcError};

pub(super) fn get_channels(
    context: &mut Context<'_>,
    request: f::channels::GetChannels,
) -> Answer<enums::messages::Chats> {
    let me = context.me()?;
    if request.id.len() > MAX_IDS {
        return Err(RpcError::bad("LIMIT_INVALID"));
    }
    let mut chats = Vec::new();
    for input in &request.id {
        let id = context.joined_channel(me, input)?.id;
        chats.extend(context.view(me).channel(id));
    }
    Ok(enums::messages::Chats::Chats(types::messages::Chats { chats }))
}

pub(super) fn get_full_channel(
    context: &mut Context<'_>,
    request: f::channels::GetFullChannel,
) -> Answer<enums::messages::ChatFull> {
    let me = context.me()?;
    let channel = context.channel(me, &request.channel)?;
    let view = context.view(me);
    let full_chat = view.channel_full(channel);
    let mut mentioned = Mentioned::default();
    mentioned.chat(Chat::Channel(channel.id));
    let (users, chats) = view.describe(&mentioned);
    Ok(enums::messages::ChatFull::Full(types::messages::ChatFull { full_chat, chats, users }))
}
