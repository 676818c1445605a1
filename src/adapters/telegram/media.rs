//! Telegram's media as attachments, and what about them forbids forwarding.

use grammers_tl_types as tl;
use switchyard_actors::model::{Attachment, AttachmentKind, Restriction};

/// The value of `ttl_seconds` that means "may be seen once" (core.telegram.org/constructor/messageMediaPhoto).
const VIEW_ONCE: i32 = i32::MAX;

/// What came with a message. A link preview is not an attachment: its address is in the text.
pub(crate) fn attachments(media: &tl::enums::MessageMedia) -> Vec<Attachment> {
    use tl::enums::MessageMedia as Media;
    let plain = |kind| vec![Attachment { kind, name: None, size: None, mime: None }];
    match media {
        Media::Empty | Media::WebPage(_) => Vec::new(),
        Media::Photo(_) => plain(AttachmentKind::Photo),
        Media::Document(document) => vec![document_attachment(document)],
        Media::Geo(_) | Media::GeoLive(_) | Media::Venue(_) => plain(AttachmentKind::Location),
        Media::Contact(_) => plain(AttachmentKind::Contact),
        Media::Poll(_) => plain(AttachmentKind::Poll),
        Media::Unsupported
        | Media::Game(_)
        | Media::Invoice(_)
        | Media::Dice(_)
        | Media::Story(_)
        | Media::Giveaway(_)
        | Media::GiveawayResults(_)
        | Media::PaidMedia(_)
        | Media::ToDo(_)
        | Media::VideoStream(_) => plain(AttachmentKind::Other),
    }
}

/// Why the media must never be forwarded, if it must not.
pub(crate) fn restriction(media: &tl::enums::MessageMedia) -> Option<Restriction> {
    use tl::enums::MessageMedia as Media;
    match media {
        Media::Photo(photo) => photo.ttl_seconds.map(timed),
        Media::Document(document) => document.ttl_seconds.map(timed),
        Media::PaidMedia(_) => Some(Restriction::Paid),
        Media::Invoice(invoice) => invoice.extended_media.as_ref().map(|_| Restriction::Paid),
        _ => None,
    }
}

const fn timed(ttl_seconds: i32) -> Restriction {
    if ttl_seconds == VIEW_ONCE { Restriction::ViewOnce } else { Restriction::SelfDestructing }
}

fn document_attachment(media: &tl::types::MessageMediaDocument) -> Attachment {
    let Some(tl::enums::Document::Document(document)) = &media.document else {
        return Attachment { kind: AttachmentKind::Document, name: None, size: None, mime: None };
    };
    let name = document.attributes.iter().find_map(|attribute| match attribute {
        tl::enums::DocumentAttribute::Filename(file) => Some(file.file_name.clone()),
        _ => None,
    });
    Attachment {
        kind: document_kind(&document.attributes),
        name,
        size: u64::try_from(document.size).ok(),
        mime: Some(document.mime_type.clone()).filter(|mime| !mime.is_empty()),
    }
}

/// A document may have several attributes: an animation is also a video, a sticker may be one.
fn document_kind(attributes: &[tl::enums::DocumentAttribute]) -> AttachmentKind {
    use tl::enums::DocumentAttribute as Attribute;
    let mut kind = AttachmentKind::Document;
    for attribute in attributes {
        kind = match attribute {
            Attribute::Sticker(_) | Attribute::CustomEmoji(_) => return AttachmentKind::Sticker,
            Attribute::Animated => AttachmentKind::Animation,
            Attribute::Video(video) if video.round_message => AttachmentKind::VideoNote,
            Attribute::Video(_) if kind == AttachmentKind::Document => AttachmentKind::Video,
            Attribute::Audio(audio) if audio.voice => AttachmentKind::Voice,
            Attribute::Audio(_) => AttachmentKind::Audio,
            _ => kind,
        };
    }
    kind
}

#[cfg(test)]
mod tests {
    use super::*;

    fn photo(ttl_seconds: Option<i32>) -> tl::enums::MessageMedia {
        let photo = tl::types::MessageMediaPhoto {
            spoiler: false,
            live_photo: false,
            photo: None,
            ttl_seconds,
            video: None,
        };
        photo.into()
    }

    #[test]
    fn media_that_goes_away_is_restricted() {
        assert_eq!(restriction(&photo(None)), None);
        assert_eq!(restriction(&photo(Some(10))), Some(Restriction::SelfDestructing));
        assert_eq!(restriction(&photo(Some(i32::MAX))), Some(Restriction::ViewOnce));
        let paid = tl::types::MessageMediaPaidMedia { stars_amount: 5, extended_media: Vec::new() };
        assert_eq!(restriction(&paid.into()), Some(Restriction::Paid));
    }

    #[test]
    fn a_document_is_what_its_attributes_say() {
        let video = |round_message| {
            tl::enums::DocumentAttribute::Video(tl::types::DocumentAttributeVideo {
                round_message,
                supports_streaming: false,
                nosound: false,
                duration: 1.0,
                w: 1,
                h: 1,
                preload_prefix_size: None,
                video_start_ts: None,
                video_codec: None,
            })
        };
        let animated = tl::enums::DocumentAttribute::Animated;
        assert_eq!(document_kind(&[]), AttachmentKind::Document);
        assert_eq!(document_kind(&[video(false)]), AttachmentKind::Video);
        assert_eq!(document_kind(&[video(true)]), AttachmentKind::VideoNote);
        assert_eq!(document_kind(&[video(false), animated.clone()]), AttachmentKind::Animation);
        assert_eq!(document_kind(&[animated, video(false)]), AttachmentKind::Animation);
    }
}
