//! What of the server's updates reaches the client's message boxes: the streams that we read, in a form they keep.

use std::collections::BTreeSet;

use grammers_session::updates::UpdatesLike;
use grammers_tl_types as tl;

use super::book::{Book, chat_id, peer_id};
use super::ledger::CursorLedger;

/// Stands where an update of no concern stood: a container of which nothing is left would not count, and the next one
/// would look like a gap.
const NOTHING: tl::enums::Update = tl::enums::Update::SavedGifs;

/// Prepares updates that the server pushed.
pub(crate) fn admit(mut updates: UpdatesLike, book: &Book, ledger: &CursorLedger) -> UpdatesLike {
    let inner = match &mut updates {
        UpdatesLike::Updates(inner) => inner,
        UpdatesLike::InvitedUsers(invited) => &mut invited.updates,
        UpdatesLike::ChatInviteJoinResult(joined) => &mut joined.updates,
        UpdatesLike::AffectedChannelMessages { channel_id, .. } if !ledger.follows(*channel_id) => {
            return UpdatesLike::Updates(short(NOTHING));
        }
        UpdatesLike::ShortSentMessage { .. }
        | UpdatesLike::AffectedMessages(_)
        | UpdatesLike::AffectedChannelMessages { .. }
        | UpdatesLike::ConnectionClosed
        | UpdatesLike::MalformedUpdates => return updates,
    };
    match inner {
        tl::enums::Updates::Updates(container) => admit_list(&mut container.updates, ledger),
        tl::enums::Updates::Combined(container) => admit_list(&mut container.updates, ledger),
        tl::enums::Updates::UpdateShort(one) => admit_list(std::slice::from_mut(&mut one.update), ledger),
        tl::enums::Updates::UpdateShortMessage(_) | tl::enums::Updates::UpdateShortChatMessage(_)
            if is_incomplete(inner, book) =>
        {
            return UpdatesLike::MalformedUpdates;
        }
        tl::enums::Updates::UpdateShortMessage(_)
        | tl::enums::Updates::UpdateShortChatMessage(_)
        | tl::enums::Updates::UpdateShortSentMessage(_)
        | tl::enums::Updates::TooLong => {}
    }
    updates
}

/// One update in the container for one.
pub(crate) fn short(update: tl::enums::Update) -> tl::enums::Updates {
    tl::types::UpdateShort { update, date: 0 }.into()
}

/// Makes the message boxes ask for a channel's difference from where they stand.
pub(crate) fn nudge(channel_id: i64) -> UpdatesLike {
    UpdatesLike::Updates(short(tl::types::UpdateChannelTooLong { channel_id, pts: None }.into()))
}

/// Prepares a list of updates.
///
/// - Channels that nobody forwards are left out: following them would cost a difference per channel and connection.
/// - "Too long" loses its pts: the message boxes would take it for their own and skip what lies between. Other updates
///   of that channel in the same list come with the difference, in order.
/// - A channel's message in an update for private chats would end the client in an assertion.
pub(crate) fn admit_list(updates: &mut [tl::enums::Update], ledger: &CursorLedger) {
    let mut behind = BTreeSet::new();
    for update in updates.iter_mut() {
        if let tl::enums::Update::ChannelTooLong(long) = update {
            behind.insert(long.channel_id);
            long.pts = None;
        }
    }
    for update in updates {
        let keep = match stream(update) {
            Stream::Channel(id) => {
                let told = matches!(update, tl::enums::Update::ChannelTooLong(_));
                ledger.follows(id) && (told || !behind.contains(&id))
            }
            Stream::Misplaced => false,
            Stream::Other => true,
        };
        if !keep {
            *update = NOTHING;
        }
    }
}

enum Stream {
    Channel(i64),
    Misplaced,
    Other,
}

fn stream(update: &tl::enums::Update) -> Stream {
    use tl::enums::Update;
    let channel_of = |message: &tl::enums::Message| match message {
        tl::enums::Message::Message(message) => channel(&message.peer_id),
        tl::enums::Message::Service(message) => channel(&message.peer_id),
        tl::enums::Message::Empty(message) => message.peer_id.as_ref().and_then(channel),
    };
    let misplaced = |channel: Option<i64>| if channel.is_some() { Stream::Misplaced } else { Stream::Other };
    match update {
        Update::NewChannelMessage(new) => channel_of(&new.message).map_or(Stream::Misplaced, Stream::Channel),
        Update::EditChannelMessage(edit) => {
            channel_of(&edit.message).map_or(Stream::Misplaced, Stream::Channel)
        }
        Update::DeleteChannelMessages(gone) => Stream::Channel(gone.channel_id),
        Update::ReadChannelInbox(read) => Stream::Channel(read.channel_id),
        Update::ChannelWebPage(page) => Stream::Channel(page.channel_id),
        Update::PinnedChannelMessages(pinned) => Stream::Channel(pinned.channel_id),
        Update::ChannelTooLong(long) => Stream::Channel(long.channel_id),
        Update::NewMessage(new) => misplaced(channel_of(&new.message)),
        Update::EditMessage(edit) => misplaced(channel_of(&edit.message)),
        Update::ReadHistoryInbox(read) => misplaced(channel(&read.peer)),
        Update::ReadHistoryOutbox(read) => misplaced(channel(&read.peer)),
        Update::PinnedMessages(pinned) => misplaced(channel(&pinned.peer)),
        _ => Stream::Other,
    }
}

const fn channel(peer: &tl::enums::Peer) -> Option<i64> {
    match peer {
        tl::enums::Peer::Channel(channel) => Some(channel.channel_id),
        tl::enums::Peer::User(_) | tl::enums::Peer::Chat(_) => None,
    }
}

/// A short message names people by number only. If nobody told us who that is, the difference does
/// (core.telegram.org/api/updates#recovering-gaps).
fn is_incomplete(updates: &tl::enums::Updates, book: &Book) -> bool {
    let user = |user_id| tl::enums::Peer::from(tl::types::PeerUser { user_id });
    let group = |chat_id| tl::enums::Peer::from(tl::types::PeerChat { chat_id });
    let (place, author) = match updates {
        tl::enums::Updates::UpdateShortMessage(short) => (user(short.user_id), user(short.user_id)),
        tl::enums::Updates::UpdateShortChatMessage(short) => (group(short.chat_id), user(short.from_id)),
        _ => return false,
    };
    let is_source = peer_id(&place).and_then(chat_id).is_some_and(|chat| book.is_source(chat));
    is_source && peer_id(&author).is_none_or(|author| book.name(author).is_none())
}

#[cfg(test)]
#[path = "feed_tests.rs"]
mod tests;
