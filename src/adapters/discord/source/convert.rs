//! Discord's messages as messages of the model.

use chrono::{DateTime, Utc};
use switchyard_actors::model::{
    Attachment, AttachmentKind, Message, MessageId, Place, Platform, Restriction, Sender, SenderKind,
};
use switchyard_actors::pipeline::convert::from_discord;

use super::names::{NameBook, NamesOf, display_name};
use super::wire::{RawAttachment, RawMessage, RawSticker, RawUser};

/// 2015-01-01T00:00:00Z in Unix milliseconds, from which snowflakes count (discord.com/developers/docs/reference#snowflakes).
const EPOCH_MS: i64 = 1_420_070_400_000;

/// Kinds of messages that somebody wrote: ordinary ones, replies, answers to slash and context menu commands. All others
/// are Discord's own: pins, joins, boosts, thread starters
/// (discord.com/developers/docs/resources/message#message-object-message-types).
const WRITTEN: [u64; 4] = [0, REPLY, COMMAND, 23];
const REPLY: u64 = 19;
const COMMAND: u64 = 20;

/// Message flags (discord.com/developers/docs/resources/message#message-object-message-flags).
const EPHEMERAL: u64 = 1 << 6;
const LOADING: u64 = 1 << 7;
const VOICE: u64 = 1 << 13;

/// What a reference means that is no reply: a forwarded message.
const FORWARD: u64 = 1;

/// What converting needs beside the message.
pub(super) struct Converter<'a> {
    pub(super) names: &'a NameBook,
    /// The bot's own user id.
    pub(super) own_id: i64,
}

impl Converter<'_> {
    /// Converts a whole message. `None` for what only one person sees, for an answer that a bot has not written yet,
    /// and for one without its content.
    pub(super) fn message(&self, raw: &RawMessage, place: Place) -> Option<Message> {
        if has(raw, EPHEMERAL) || has(raw, LOADING) {
            return None;
        }
        let content = raw.content.as_deref()?;
        let author = raw.author.as_ref()?;
        let sender = sender(raw, author)?;
        // Forwarding shows a copy in the name of whoever forwards: its words are that person's message.
        let forwarded = raw.message_snapshots.first().map(super::wire::RawForward::snapshot);
        let (content, mentions) = match forwarded {
            Some(copy) if content.is_empty() => (copy.content.as_str(), copy.mentions.as_slice()),
            _ => (content, raw.mentions.as_slice()),
        };
        let written = raw.kind.is_none_or(|kind| WRITTEN.contains(&kind));
        Some(Message {
            place,
            id: raw.id,
            own: sender.id == self.own_id,
            sender: Some(sender),
            sent_at: raw.timestamp.or_else(|| written_at(raw.id)).unwrap_or_default(),
            edited_at: raw.edited_timestamp,
            text: from_discord(content, &NamesOf { book: self.names, mentions }),
            reply_to: reply(raw),
            album: None,
            attachments: attachments(raw, content.is_empty()),
            restrictions: if written { Vec::new() } else { vec![Restriction::Service] },
        })
    }
}

/// Whether the answer to a command, shown as "thinking" before, now has its content: Discord reports that as an update
/// without an edit.
pub(super) fn is_late_answer(raw: &RawMessage) -> bool {
    raw.kind == Some(COMMAND) && raw.edited_timestamp.is_none() && !has(raw, LOADING)
}

/// When a message was written, by its id.
pub(super) fn written_at(id: MessageId) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis((id.get() >> 22).checked_add(EPOCH_MS)?)
}

fn has(raw: &RawMessage, flag: u64) -> bool {
    raw.flags.is_some_and(|flags| flags & flag != 0)
}

fn sender(raw: &RawMessage, author: &RawUser) -> Option<Sender> {
    // An answer to a command names the application as its webhook too; its author is then the bot.
    let webhook = raw.webhook_id.as_deref() == Some(author.id.as_str());
    let kind = match author {
        _ if webhook => SenderKind::Webhook,
        RawUser { system: Some(true), .. } => SenderKind::Service,
        RawUser { bot: Some(true), .. } => SenderKind::Bot,
        _ => SenderKind::Person,
    };
    let name = display_name(author, raw.member.as_ref()).to_owned();
    Some(Sender { id: author.id.parse().ok()?, name, kind })
}

/// The message of the same channel that is answered.
fn reply(raw: &RawMessage) -> Option<MessageId> {
    let reference = raw.message_reference.as_ref()?;
    let elsewhere = reference.channel_id.is_some_and(|channel| channel != raw.channel_id);
    let forwarded = reference.kind == Some(FORWARD);
    if raw.kind != Some(REPLY) || elsewhere || forwarded { None } else { reference.message_id }
}

fn attachments(raw: &RawMessage, is_empty: bool) -> Vec<Attachment> {
    let copies = || raw.message_snapshots.iter().map(super::wire::RawForward::snapshot);
    let files = raw.attachments.iter().chain(copies().flat_map(|copy| &copy.attachments));
    let mut all: Vec<Attachment> = files.map(|file| attachment(file, has(raw, VOICE))).collect();
    let stickers = raw.sticker_items.iter().chain(copies().flat_map(|copy| &copy.sticker_items));
    all.extend(stickers.map(sticker));
    let bare = |kind| Attachment { kind, name: None, size: None, mime: None };
    if raw.poll.is_some() {
        all.push(bare(AttachmentKind::Poll));
    }
    // Embeds beside a text are mostly previews of its links; alone they are the message.
    let shown = raw.embeds.len() + raw.components.len();
    let copied: usize = copies().map(|copy| copy.embeds.len() + copy.components.len()).sum();
    if is_empty && all.is_empty() && shown + copied > 0 {
        all.push(bare(AttachmentKind::Other));
    }
    all
}

fn attachment(file: &RawAttachment, voice: bool) -> Attachment {
    let mime = file.content_type.as_deref().unwrap_or_default();
    let kind = match mime.split('/').next().unwrap_or_default() {
        "audio" if voice => AttachmentKind::Voice,
        "image" if mime.starts_with("image/gif") => AttachmentKind::Animation,
        "image" => AttachmentKind::Photo,
        "video" => AttachmentKind::Video,
        "audio" => AttachmentKind::Audio,
        _ => AttachmentKind::Document,
    };
    Attachment { kind, name: file.filename.clone(), size: file.size, mime: file.content_type.clone() }
}

fn sticker(sticker: &RawSticker) -> Attachment {
    Attachment { kind: AttachmentKind::Sticker, name: sticker.name.clone(), size: None, mime: None }
}

/// A place of Discord's is read from a channel of its own: that of its thread, where it has one.
pub(super) fn channel_of(place: Place) -> Option<switchyard_actors::model::ChatId> {
    match (place.platform, place.thread) {
        (Platform::Telegram, _) => None,
        (Platform::Discord, None) => Some(place.chat),
        (Platform::Discord, Some(thread)) => switchyard_actors::model::ChatId::new(thread.get()).ok(),
    }
}

#[cfg(test)]
#[path = "convert_tests.rs"]
mod tests;
