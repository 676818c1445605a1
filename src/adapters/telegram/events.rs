//! Updates as events of source chats.

use grammers_session::types::{PeerId, PeerKind};
use grammers_tl_types as tl;
use switchyard_actors::model::{MessageId, Place, Platform, SourceEvent};

use super::book::{Book, chat_id, peer_of};
use super::convert;

/// What an update tells of source chats; nothing for most updates.
pub(crate) fn events(book: &Book, update: &tl::enums::Update) -> Vec<SourceEvent> {
    use tl::enums::Update;
    match update {
        Update::NewMessage(new) => written(book, &new.message).into_iter().collect(),
        Update::NewChannelMessage(new) => written(book, &new.message).into_iter().collect(),
        Update::EditMessage(edit) => edited(book, &edit.message).into_iter().collect(),
        Update::EditChannelMessage(edit) => edited(book, &edit.message).into_iter().collect(),
        Update::DeleteChannelMessages(gone) => {
            let chat = PeerId::channel(gone.channel_id).and_then(chat_id);
            let place = chat.map(|chat| Place { platform: Platform::Telegram, chat, thread: None });
            place.map(|place| deleted(book, place, &gone.messages)).unwrap_or_default()
        }
        Update::DeleteMessages(gone) => {
            let places = private_places(book);
            places.into_iter().flat_map(|place| deleted(book, place, &gone.messages)).collect()
        }
        _ => Vec::new(),
    }
}

/// A message of a source chat as a new one.
pub(crate) fn written(book: &Book, message: &tl::enums::Message) -> Option<SourceEvent> {
    if !convert::chat_of(message).is_some_and(|chat| book.is_source(chat)) {
        return None;
    }
    let message = convert::message(book, message)?;
    book.reads(message.place).then_some(SourceEvent::New(message))
}

/// `edit_hide` marks changes that no reader sees: reactions, buttons, counters.
fn edited(book: &Book, message: &tl::enums::Message) -> Option<SourceEvent> {
    let hidden = matches!(message, tl::enums::Message::Message(message) if message.edit_hide);
    match written(book, message)? {
        SourceEvent::New(message) if !hidden => Some(SourceEvent::Edited(message)),
        _ => None,
    }
}

fn deleted(book: &Book, place: Place, ids: &[i32]) -> Vec<SourceEvent> {
    if !book.is_source(place.chat) {
        return Vec::new();
    }
    let ids = ids.iter().filter_map(|id| MessageId::new(i64::from(*id)).ok());
    ids.map(|id| SourceEvent::Deleted { place, id }).collect()
}

/// Private chats and basic groups share one numbering per account, and a deletion does not name the chat: only one of
/// these can have the message, and only that one has a copy to delete.
fn private_places(book: &Book) -> Vec<Place> {
    let private = book.sources().filter(|chat| {
        peer_of(*chat).is_some_and(|peer| matches!(peer.kind(), PeerKind::User | PeerKind::Chat))
    });
    private.map(|chat| Place { platform: Platform::Telegram, chat, thread: None }).collect()
}

/// Puts what was written before what was changed or removed, each in the order told: a difference tells removals
/// first.
pub(crate) fn in_order(mut events: Vec<SourceEvent>) -> Vec<SourceEvent> {
    events.sort_by_key(|event| !matches!(event, SourceEvent::New(_)));
    events
}
