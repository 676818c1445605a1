//! The floor of feature F12: what is never forwarded, whatever the settings.
//!
//! [`floor`] takes a message and nothing else: no pair, no user, no operator can configure it away. It is the first thing the
//! pipeline asks, before any filter that a pair may choose.

use crate::model::{Message, Platform, Restriction, SenderKind, SkipReason};

/// Telegram's service accounts. 777000 sends sign-in codes and security notices and carries channel posts into linked
/// groups under the platform's name; 333000 and 42777 are its predecessors, which official clients still treat the same
/// (`isServiceUserId` and `UserObject.isService` in the published sources of Telegram Desktop and Telegram for Android).
pub const TELEGRAM_SERVICE_ACCOUNTS: [i64; 3] = [777_000, 333_000, 42_777];

/// Characters that take no space and show nothing: a text of nothing else is empty.
const INVISIBLE: [char; 9] = [
    '\u{00ad}', '\u{200b}', '\u{200c}', '\u{200d}', '\u{2060}', '\u{2800}', '\u{3164}', '\u{fe0f}',
    '\u{feff}',
];

/// Answers why a message must not be forwarded, or `None` when it may go on.
///
/// In this order, so that the ledger names the gravest reason:
/// 1. Telegram service messages and sign-in codes: the author or the chat is one of [`TELEGRAM_SERVICE_ACCOUNTS`], or the author is
///    of kind [`SenderKind::Service`]. The author decides, not the words: a code that a person retypes is that person's message.
///    A message of 777000 that the platform shows in another chat names 777000 as its author and stops here too.
/// 2. Any [`Restriction`] of the message (protected, view-once, self-destructing, secret, paid, service): the first in their order.
/// 3. Messages that this system wrote itself: [`SkipReason::Loop`].
/// 4. Media: [`SkipReason::Unsupported`] until media are forwarded, also with a caption. A caption without its picture says
///    something else than its author did, so it waits for its media instead of going out half.
/// 5. Nothing visible: [`SkipReason::Empty`].
#[must_use]
pub fn floor(message: &Message) -> Option<SkipReason> {
    if is_service(message) {
        return Some(SkipReason::Restricted(Restriction::Service));
    }
    if let Some(restriction) = message.restrictions.iter().min() {
        return Some(SkipReason::Restricted(*restriction));
    }
    if message.own {
        return Some(SkipReason::Loop);
    }
    if !message.attachments.is_empty() {
        return Some(SkipReason::Unsupported);
    }
    if !is_visible(message.text.text()) {
        return Some(SkipReason::Empty);
    }
    None
}

fn is_service(message: &Message) -> bool {
    let telegram = message.place.platform == Platform::Telegram;
    let is_account = |id: i64| telegram && TELEGRAM_SERVICE_ACCOUNTS.contains(&id);
    let author = message.sender.as_ref();
    is_account(message.place.chat.get())
        || author.is_some_and(|sender| sender.kind == SenderKind::Service || is_account(sender.id))
}

/// Whether a reader would see anything.
pub(super) fn is_visible(text: &str) -> bool {
    text.chars().any(|ch| !ch.is_whitespace() && !ch.is_control() && !INVISIBLE.contains(&ch))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Attachment, AttachmentKind, ChatId, MessageId, Place, RichText, Sender};
    use chrono::DateTime;

    fn message(text: &str) -> Message {
        Message {
            place: Place { platform: Platform::Telegram, chat: ChatId::new(-1_001).unwrap(), thread: None },
            id: MessageId::new(1).unwrap(),
            sender: Some(Sender { id: 5, name: "Ann".to_owned(), kind: SenderKind::Person }),
            sent_at: DateTime::UNIX_EPOCH,
            edited_at: None,
            text: RichText::plain(text),
            reply_to: None,
            album: None,
            attachments: Vec::new(),
            restrictions: Vec::new(),
            own: false,
        }
    }

    const SERVICE: Option<SkipReason> = Some(SkipReason::Restricted(Restriction::Service));

    #[test]
    fn an_ordinary_message_passes() {
        assert_eq!(floor(&message("Login code: 12345")), None, "the words of a person are no restriction");
        assert_eq!(floor(&Message { sender: None, ..message("a channel post") }), None);
    }

    #[test]
    fn messages_of_the_service_accounts_never_pass() {
        for id in TELEGRAM_SERVICE_ACCOUNTS {
            let by = Sender { id, name: "Telegram".to_owned(), kind: SenderKind::Person };
            assert_eq!(floor(&Message { sender: Some(by), ..message("Login code: 12345") }), SERVICE);
            let place = Place { platform: Platform::Telegram, chat: ChatId::new(id).unwrap(), thread: None };
            assert_eq!(floor(&Message { place, sender: None, ..message("Login code: 12345") }), SERVICE);
        }
        let by = Sender { id: 9, name: "Discord".to_owned(), kind: SenderKind::Service };
        assert_eq!(floor(&Message { sender: Some(by), ..message("x joined") }), SERVICE);
    }

    #[test]
    fn the_same_number_on_discord_is_somebody_else() {
        let place = Place { platform: Platform::Discord, chat: ChatId::new(777_000).unwrap(), thread: None };
        assert_eq!(floor(&Message { place, ..message("hello") }), None);
    }

    #[test]
    fn every_restriction_stops_and_the_gravest_is_named() {
        use Restriction::{Paid, Protected, SecretChat, SelfDestructing, Service, ViewOnce};
        for restriction in [Protected, ViewOnce, SelfDestructing, SecretChat, Paid, Service] {
            let restricted = Message { restrictions: vec![restriction], ..message("x") };
            assert_eq!(floor(&restricted), Some(SkipReason::Restricted(restriction)));
        }
        let both = Message { restrictions: vec![Paid, Protected], own: true, ..message("x") };
        assert_eq!(floor(&both), Some(SkipReason::Restricted(Protected)));
    }

    #[test]
    fn own_messages_media_and_nothing_are_skipped_for_their_reasons() {
        assert_eq!(floor(&Message { own: true, ..message("x") }), Some(SkipReason::Loop));
        let photo = Attachment { kind: AttachmentKind::Photo, name: None, size: None, mime: None };
        let with_caption = Message { attachments: vec![photo.clone()], ..message("look") };
        assert_eq!(floor(&with_caption), Some(SkipReason::Unsupported));
        let without = Message { attachments: vec![photo], ..message("") };
        assert_eq!(floor(&without), Some(SkipReason::Unsupported));
        for nothing in ["", " \n\t", "\u{200b}", "\u{2060} \u{feff}"] {
            assert_eq!(floor(&message(nothing)), Some(SkipReason::Empty), "{nothing:?}");
        }
    }
}
