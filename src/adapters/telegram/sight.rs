//! Whether an account may read or write a chat, asked through its one connection. Only what Telegram says for certain
//! counts as a refusal (core.telegram.org/constructor/channel, core.telegram.org/constructor/chatBannedRights).

use grammers_tl_types as tl;
use switchyard_actors::model::Place;
use switchyard_actors::ports::{ConnectionError, Look, Need};

use super::book::channel_of;
use super::link::Link;
use super::sources::input_channel;

/// Looks at a chat.
pub(super) async fn look(link: &Link, place: Place, need: Need) -> Look {
    let Some(channel) = channel_of(place.chat) else {
        return Look::Unknown("only channels and supergroups are looked at".to_owned());
    };
    let Some(input) = input_channel(link.session(), channel) else {
        return Look::Unknown("the account has not met the chat yet".to_owned());
    };
    let asked = link.call(&tl::functions::channels::GetChannels { id: vec![input] }).await;
    let chats = match asked {
        Ok(tl::enums::messages::Chats::Chats(found)) => found.chats,
        Ok(tl::enums::messages::Chats::Slice(found)) => found.chats,
        Err(error) => {
            let text = error.to_string();
            let private = text.contains("CHANNEL_PRIVATE");
            let why = ConnectionError::from(error).to_string();
            return if private { Look::Refused(why) } else { Look::Unknown(why) };
        }
    };
    match chats.into_iter().next() {
        Some(tl::enums::Chat::Channel(channel)) => judge(&channel, need),
        Some(tl::enums::Chat::ChannelForbidden(_)) => {
            Look::Refused("the account was removed from the chat".to_owned())
        }
        _ => Look::Refused("the account does not see the chat".to_owned()),
    }
}

fn judge(channel: &tl::types::Channel, need: Need) -> Look {
    let refused = |why: &str| Look::Refused(why.to_owned());
    if channel.left {
        return refused("the account is no member of the chat");
    }
    let banned = |rights: &Option<tl::enums::ChatBannedRights>,
                  of: fn(&tl::types::ChatBannedRights) -> bool| {
        rights.as_ref().is_some_and(|rights| {
            let tl::enums::ChatBannedRights::Rights(rights) = rights;
            of(rights)
        })
    };
    if banned(&channel.banned_rights, |rights| rights.view_messages) {
        return refused("the account may not see the chat");
    }
    if need == Need::Read || channel.creator {
        return Look::Allowed;
    }
    let may_post = channel.admin_rights.as_ref().map(|rights| {
        let tl::enums::ChatAdminRights::Rights(rights) = rights;
        rights.post_messages
    });
    match (channel.broadcast, may_post) {
        (true, Some(true)) | (false, Some(_)) => Look::Allowed,
        (true, _) => refused("only administrators who may post write in a channel"),
        (false, None) => {
            let mute = |rights: &tl::types::ChatBannedRights| rights.send_messages;
            if banned(&channel.banned_rights, mute) || banned(&channel.default_banned_rights, mute) {
                refused("the account may not write in the chat")
            } else {
                Look::Allowed
            }
        }
    }
}
