//! Telegram's messages as messages of the model, with every reason why one must never be forwarded.

use chrono::{DateTime, Utc};
use grammers_session::types::{PeerId, PeerKind};
use grammers_tl_types as tl;
use switchyard_actors::model::{
    Attachment, AttachmentKind, ChatId, Message, MessageId, Place, Platform, Restriction, RichText, Sender,
    SenderKind, ThreadId,
};

use super::book::{Book, SERVICE_USER, chat_id, peer_id};
use super::entities::rich_text;
use super::media;

/// The chat in which a message stands.
pub(crate) fn chat_of(message: &tl::enums::Message) -> Option<ChatId> {
    let peer = match message {
        tl::enums::Message::Empty(empty) => empty.peer_id.as_ref()?,
        tl::enums::Message::Message(message) => &message.peer_id,
        tl::enums::Message::Service(service) => &service.peer_id,
    };
    chat_id(peer_id(peer)?)
}

/// Converts a message; `None` for an empty one or one whose ids name nothing.
pub(crate) fn message(book: &Book, raw: &tl::enums::Message) -> Option<Message> {
    match raw {
        tl::enums::Message::Empty(_) => None,
        tl::enums::Message::Message(raw) => user_message(book, raw),
        tl::enums::Message::Service(raw) => service_message(book, raw),
    }
}

fn user_message(book: &Book, raw: &tl::types::Message) -> Option<Message> {
    let peer = peer_id(&raw.peer_id)?;
    let chat = chat_id(peer)?;
    let (thread, reply_to) = reply(raw.reply_to.as_ref(), &raw.peer_id);
    let author = Author { peer, from: raw.from_id.as_ref(), out: raw.out };
    let mut attachments = raw.media.as_ref().map(media::attachments).unwrap_or_default();
    if raw.rich_message.is_some() && raw.message.is_empty() {
        attachments.push(Attachment { kind: AttachmentKind::Other, name: None, size: None, mime: None });
    }
    Some(Message {
        place: Place { platform: Platform::Telegram, chat, thread },
        id: MessageId::new(i64::from(raw.id)).ok()?,
        sender: author.sender(book),
        sent_at: time(raw.date)?,
        edited_at: raw.edit_date.and_then(time),
        text: rich_text(&raw.message, raw.entities.as_deref().unwrap_or_default()),
        reply_to,
        album: raw.grouped_id,
        attachments,
        restrictions: restrictions(book, chat, raw),
        own: book.is_bot() && raw.out,
    })
}

fn service_message(book: &Book, raw: &tl::types::MessageService) -> Option<Message> {
    let peer = peer_id(&raw.peer_id)?;
    let (thread, reply_to) = reply(raw.reply_to.as_ref(), &raw.peer_id);
    let author = Author { peer, from: raw.from_id.as_ref(), out: raw.out };
    Some(Message {
        place: Place { platform: Platform::Telegram, chat: chat_id(peer)?, thread },
        id: MessageId::new(i64::from(raw.id)).ok()?,
        sender: author.sender(book),
        sent_at: time(raw.date)?,
        edited_at: None,
        text: RichText::default(),
        reply_to,
        album: None,
        attachments: Vec::new(),
        restrictions: vec![Restriction::Service],
        own: false,
    })
}

/// Who wrote a message, as far as the message says.
struct Author<'a> {
    peer: PeerId,
    from: Option<&'a tl::enums::Peer>,
    out: bool,
}

impl Author<'_> {
    /// Without an explicit author it is the chat itself (a channel's post, the other side of a private chat). Of own
    /// messages in a private chat Telegram names no author either.
    fn sender(&self, book: &Book) -> Option<Sender> {
        let author = match self.from {
            Some(from) => peer_id(from)?,
            None if self.out && self.peer.kind() == PeerKind::User => return None,
            None => self.peer,
        };
        let id = author.bot_api_dialog_id()?;
        let known = book.name(author);
        let kind = match (known, author.kind()) {
            _ if id == SERVICE_USER => SenderKind::Service,
            (Some(name), _) => name.kind,
            (None, PeerKind::User) => SenderKind::Person,
            (None, PeerKind::Chat | PeerKind::Channel) => SenderKind::Channel,
        };
        let name = known.map_or_else(|| id.to_string(), |name| name.text.clone());
        Some(Sender { id, name, kind })
    }
}

/// Thread and answered message. A forum topic is told by the same header as an answer: a message that answers
/// nothing names the topic's first message there (core.telegram.org/api/forum#send-messages-to-topics).
fn reply(
    header: Option<&tl::enums::MessageReplyHeader>,
    peer: &tl::enums::Peer,
) -> (Option<ThreadId>, Option<MessageId>) {
    let Some(tl::enums::MessageReplyHeader::Header(header)) = header else { return (None, None) };
    let here = header.reply_to_peer_id.as_ref().is_none_or(|other| other == peer);
    let answered = header.reply_to_msg_id.filter(|_| here);
    let thread = |id: i32| ThreadId::new(i64::from(id)).ok();
    let message = |id: i32| MessageId::new(i64::from(id)).ok();
    match (header.forum_topic, header.reply_to_top_id) {
        (true, Some(top)) => (thread(top), answered.and_then(message)),
        (true, None) => (header.reply_to_msg_id.and_then(thread), None),
        (false, _) => (None, answered.and_then(message)),
    }
}

fn restrictions(book: &Book, chat: ChatId, raw: &tl::types::Message) -> Vec<Restriction> {
    let mut found = Vec::new();
    if raw.noforwards || book.is_protected(chat) {
        found.push(Restriction::Protected);
    }
    if raw.ttl_period.is_some() {
        found.push(Restriction::SelfDestructing);
    }
    found.extend(raw.media.as_ref().and_then(media::restriction));
    let from_service =
        |peer: &tl::enums::Peer| matches!(peer, tl::enums::Peer::User(user) if user.user_id == SERVICE_USER);
    let forwarded = match &raw.fwd_from {
        Some(tl::enums::MessageFwdHeader::Header(header)) => header.from_id.as_ref(),
        None => None,
    };
    if from_service(&raw.peer_id)
        || raw.from_id.as_ref().is_some_and(from_service)
        || forwarded.is_some_and(from_service)
    {
        found.push(Restriction::Service);
    }
    found.dedup();
    found
}

fn time(seconds: i32) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(i64::from(seconds), 0)
}

#[cfg(test)]
#[path = "convert_tests.rs"]
mod tests;
