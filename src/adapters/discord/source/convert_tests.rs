//! Messages in the shapes in which Discord tells them.

use serde_json::{Value, json};
use switchyard_actors::model::{
    AttachmentKind, ChatId, EntityKind, Message, MessageId, Place, Platform, Restriction, SenderKind,
    ThreadId,
};

use super::*;
use crate::adapters::discord::source::names::NameBook;

const BOT: i64 = 900_000_000_000_000_001;

fn place() -> Place {
    Place { platform: Platform::Discord, chat: ChatId::new(500).unwrap(), thread: None }
}

/// A message as MESSAGE_CREATE shows it, with some fields changed.
fn raw(changes: Value) -> Value {
    let mut value = json!({
        "id": "1310000000000000001",
        "type": 0,
        "channel_id": "500",
        "guild_id": "400",
        "author": {
            "id": "80351110224678912", "username": "nelly", "discriminator": "0", "global_name": "Nelly",
            "avatar": null, "bot": false, "public_flags": 0
        },
        "member": {"nick": null, "roles": [], "joined_at": "2025-01-01T00:00:00.000000+00:00"},
        "content": "hello",
        "timestamp": "2026-11-22T10:00:00.123000+00:00",
        "edited_timestamp": null,
        "tts": false,
        "mention_everyone": false,
        "mentions": [],
        "mention_roles": [],
        "attachments": [],
        "embeds": [],
        "components": [],
        "pinned": false,
        "flags": 0,
        "nonce": "1"
    });
    let (Value::Object(fields), Value::Object(changes)) = (&mut value, changes) else { unreachable!() };
    fields.extend(changes);
    value
}

fn convert(changes: Value) -> Option<Message> {
    let mut names = NameBook::new(10);
    names.channel(500, "general".to_owned());
    names.role(600, "staff".to_owned());
    let raw: RawMessage = serde_json::from_value(raw(changes)).unwrap();
    Converter { names: &names, own_id: BOT }.message(&raw, place())
}

fn converted(changes: Value) -> Message {
    convert(changes).unwrap()
}

#[test]
fn an_ordinary_message_keeps_author_time_and_words() {
    let message = converted(json!({}));
    let sender = message.sender.clone().unwrap();
    assert_eq!(
        (sender.id, sender.name.as_str(), sender.kind),
        (80_351_110_224_678_912, "Nelly", SenderKind::Person)
    );
    assert_eq!(message.text.text(), "hello");
    assert_eq!(message.sent_at.timestamp_millis() % 1_000, 123);
    assert_eq!((message.edited_at, message.reply_to, message.own), (None, None, false));
    assert!(message.attachments.is_empty() && message.restrictions.is_empty());
    let nick = converted(json!({"member": {"nick": "Nell"}}));
    assert_eq!(nick.sender.unwrap().name, "Nell");
}

#[test]
fn markdown_and_mentions_become_formatted_text_with_names() {
    let mentions = json!([{"id": "7", "username": "ann", "global_name": null, "member": {"nick": "Annie"}}]);
    let content = "**hi** <@7>, see <#500>, <@&600> and <@8>";
    let message = converted(json!({"content": content, "mentions": mentions}));
    let text = message.text.text();
    assert!(text.starts_with("hi @Annie, see #general, @staff and "), "{text}");
    assert!(
        message.text.entities().iter().any(|entity| entity.kind == EntityKind::Bold && entity.length == 2)
    );
}

#[test]
fn authors_are_told_apart_and_the_bot_knows_itself() {
    let author = |author: Value, webhook: Value| {
        let message = converted(json!({"author": author, "webhook_id": webhook}));
        (message.sender.unwrap().kind, message.own)
    };
    let bot = |id: &str| json!({"id": id, "username": "b", "bot": true});
    assert_eq!(author(bot("70"), Value::Null), (SenderKind::Bot, false));
    assert_eq!(author(bot(&BOT.to_string()), Value::Null), (SenderKind::Bot, true));
    assert_eq!(author(bot("71"), json!("71")), (SenderKind::Webhook, false));
    assert_eq!(author(bot("72"), json!("73")), (SenderKind::Bot, false), "an answer to a command");
    let system = json!({"id": "643945264868098049", "username": "Discord", "system": true});
    assert_eq!(author(system, Value::Null), (SenderKind::Service, false));
}

#[test]
fn replies_name_a_message_of_the_same_channel() {
    let reply = |kind: u64, reference: Value| {
        converted(json!({"type": kind, "message_reference": reference})).reply_to.map(MessageId::get)
    };
    assert_eq!(reply(19, json!({"type": 0, "message_id": "5", "channel_id": "500"})), Some(5));
    assert_eq!(reply(19, json!({"message_id": "5", "channel_id": "500"})), Some(5));
    assert_eq!(reply(19, json!({"type": 0, "message_id": "5", "channel_id": "501"})), None);
    assert_eq!(reply(0, json!({"type": 0, "message_id": "5", "channel_id": "500"})), None, "a crosspost");
    assert_eq!(reply(0, json!({"type": 1, "message_id": "5", "channel_id": "500"})), None, "a forward");
}

#[test]
fn a_forwarded_message_says_what_its_copy_says() {
    let copy = json!({
        "type": 0, "content": "seen __elsewhere__", "mentions": [], "attachments": [], "embeds": [],
        "timestamp": "2026-11-21T10:00:00+00:00", "edited_timestamp": null, "flags": 0, "components": []
    });
    let changes = |snapshots: Value| {
        let reference = json!({"type": 1, "message_id": "5", "channel_id": "501"});
        json!({"content": "", "message_reference": reference, "message_snapshots": snapshots})
    };
    let wrapped = converted(changes(json!([{"message": copy}])));
    assert_eq!(wrapped.text.text(), "seen elsewhere");
    assert_eq!(wrapped.attachments, vec![]);
    assert_eq!(converted(changes(json!([copy]))), wrapped, "as serenity hands it on");
    let mut with_file = copy;
    with_file["attachments"] =
        json!([{"id": "1", "filename": "a.png", "size": 3, "content_type": "image/png"}]);
    let photo = converted(changes(json!([{"message": with_file}])));
    assert_eq!(photo.attachments[0].kind, AttachmentKind::Photo);
}

#[test]
fn everything_that_is_not_text_is_an_attachment() {
    let kinds = |changes: Value| -> Vec<AttachmentKind> {
        converted(changes).attachments.iter().map(|attachment| attachment.kind).collect()
    };
    let file = |kind: &str| json!({"id": "1", "filename": "f", "size": 9, "content_type": kind, "url": "x"});
    let files = json!([
        file("image/png"), file("image/gif"), file("video/mp4"), file("audio/mpeg"), file("application/pdf"),
        {"id": "2", "filename": "bare"}
    ]);
    use AttachmentKind::{Animation, Audio, Document, Other, Photo, Poll, Sticker, Video, Voice};
    assert_eq!(kinds(json!({"attachments": files})), [Photo, Animation, Video, Audio, Document, Document]);
    assert_eq!(kinds(json!({"attachments": [file("audio/ogg")], "flags": 8192})), [Voice]);
    assert_eq!(kinds(json!({"sticker_items": [{"id": "1", "name": "wave", "format_type": 1}]})), [Sticker]);
    let poll = json!({"question": {"text": "?"}, "answers": [], "allow_multiselect": false});
    assert_eq!(kinds(json!({"content": "", "poll": poll})), [Poll]);
    let embed = json!([{"type": "rich", "title": "t"}]);
    assert_eq!(kinds(json!({"content": "", "embeds": embed})), [Other]);
    assert_eq!(kinds(json!({"content": "see https://example.org", "embeds": embed})), [], "a link's preview");
    assert_eq!(kinds(json!({"content": "", "components": [{"type": 10}], "flags": 32768})), [Other]);
}

#[test]
fn discords_own_messages_are_service_messages() {
    for kind in [1, 6, 7, 8, 12, 18, 21, 24, 46, 9_999] {
        let message = converted(json!({"type": kind}));
        assert_eq!(message.restrictions, vec![Restriction::Service], "kind {kind}");
    }
    for kind in [0, 19, 20, 23] {
        assert_eq!(converted(json!({"type": kind})).restrictions, vec![], "kind {kind}");
    }
}

#[test]
fn what_one_person_sees_and_what_is_not_written_yet_is_no_message() {
    assert_eq!(convert(json!({"type": 20, "flags": 64})), None);
    assert_eq!(convert(json!({"type": 20, "flags": 128, "content": ""})), None);
    assert_eq!(convert(json!({"content": null})), None);
    assert_eq!(convert(json!({"author": null})), None);
    let late: RawMessage = serde_json::from_value(raw(json!({"type": 20}))).unwrap();
    assert!(is_late_answer(&late));
    let edited = json!({"type": 20, "edited_timestamp": "2026-11-22T10:00:00+00:00"});
    let edited: RawMessage = serde_json::from_value(raw(edited)).unwrap();
    assert!(!is_late_answer(&edited));
}

#[test]
fn a_message_without_its_time_has_that_of_its_id() {
    let message = converted(json!({"id": "175928847299117063", "timestamp": null}));
    assert_eq!(message.sent_at.to_rfc3339(), "2016-04-30T11:18:25.796+00:00");
}

#[test]
fn a_thread_is_a_channel_of_its_own() {
    assert_eq!(channel_of(place()), Some(place().chat));
    let thread = Place { thread: Some(ThreadId::new(501).unwrap()), ..place() };
    assert_eq!(channel_of(thread), ChatId::new(501).ok());
    assert_eq!(channel_of(Place { platform: Platform::Telegram, ..place() }), None);
}
