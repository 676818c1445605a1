//! Events in the shapes in which the gateway tells them.

use serde_json::{Value, json};

use super::*;

/// An event as the gateway sends it, read as serenity reads it.
fn event(name: &str, data: Value) -> Event {
    serde_json::from_value(json!({"t": name, "d": data})).unwrap()
}

fn message(changes: Value) -> Value {
    let mut value = json!({
        "id": "20", "type": 0, "channel_id": "5", "guild_id": "4",
        "author": {"id": "7", "username": "ann", "discriminator": "0", "global_name": "Ann", "avatar": null},
        "member": {"nick": "Annie", "roles": [], "joined_at": "2025-01-01T00:00:00+00:00", "deaf": false,
                   "mute": false, "flags": 0},
        "content": "hi", "timestamp": "2026-11-22T10:00:00+00:00", "edited_timestamp": null, "tts": false,
        "mention_everyone": false, "mentions": [], "mention_roles": [], "attachments": [], "embeds": [],
        "pinned": false, "flags": 0
    });
    if let (Value::Object(fields), Value::Object(changes)) = (&mut value, changes) {
        fields.extend(changes);
    }
    value
}

fn written(data: Value) -> Box<RawMessage> {
    match told(&event("MESSAGE_CREATE", data)).unwrap() {
        Told::Written(raw) => raw,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_message_survives_the_way_through_serenity() {
    let copy = json!({
        "type": 0, "content": "far", "mentions": [], "attachments": [], "embeds": [], "mention_roles": [],
        "timestamp": "2026-11-21T10:00:00+00:00", "edited_timestamp": null, "flags": 0
    });
    let file = json!({
        "id": "9", "filename": "a.png", "size": 3, "url": "https://x/a", "proxy_url": "https://x/b",
        "content_type": "image/png"
    });
    let raw = written(message(json!({
        "type": 19,
        "message_reference": {"type": 0, "message_id": "10", "channel_id": "5", "guild_id": "4"},
        "message_snapshots": [{"message": copy}],
        "attachments": [file],
        "webhook_id": "77",
        "sticker_items": [{"id": "1", "name": "wave", "format_type": 1}],
    })));
    assert_eq!((raw.id.get(), raw.channel_id.get(), raw.kind), (20, 5, Some(19)));
    assert_eq!(raw.member.unwrap().nick.as_deref(), Some("Annie"));
    assert_eq!(raw.author.unwrap().global_name.as_deref(), Some("Ann"));
    assert_eq!(raw.webhook_id.as_deref(), Some("77"));
    let reference = raw.message_reference.unwrap();
    assert_eq!((reference.kind, reference.message_id.unwrap().get()), (Some(0), 10));
    assert_eq!(raw.message_snapshots[0].snapshot().content, "far");
    assert_eq!(raw.attachments[0].content_type.as_deref(), Some("image/png"));
    assert_eq!(raw.sticker_items.len(), 1);
}

#[test]
fn what_serenity_cannot_read_is_read_nevertheless() {
    // serenity wants a number here.
    let data = message(json!({"mention_everyone": "perhaps"}));
    let event = event("MESSAGE_CREATE", data.clone());
    assert!(matches!(event, Event::Unknown(_)));
    let interest = Interest { channels: HashSet::from([5]), ..Interest::default() };
    assert!(interest.admits(&event));
    assert!(!Interest::default().admits(&event));
    assert_eq!(written(data).content.as_deref(), Some("hi"));
}

#[test]
fn updates_are_whole_or_in_part() {
    let changed = |data: Value| match told(&event("MESSAGE_UPDATE", data)).unwrap() {
        Told::Changed(raw) => raw,
        other => panic!("{other:?}"),
    };
    let whole = changed(message(json!({"edited_timestamp": "2026-11-22T10:05:00.5+00:00"})));
    assert_eq!(whole.edited_timestamp.unwrap().timestamp_subsec_millis(), 500);
    assert!(whole.content.is_some() && whole.author.is_some());
    let preview = changed(json!({"id": "20", "channel_id": "5", "embeds": [{"type": "link"}]}));
    assert!(preview.content.is_none() && preview.edited_timestamp.is_none());
}

#[test]
fn deletions_come_one_or_many() {
    let gone = |name, data| match told(&event(name, data)).unwrap() {
        Told::Deleted(channel, ids) => (channel.get(), ids.iter().map(|id| id.get()).collect::<Vec<_>>()),
        other => panic!("{other:?}"),
    };
    let one = json!({"id": "20", "channel_id": "5", "guild_id": "4"});
    assert_eq!(gone("MESSAGE_DELETE", one), (5, vec![20]));
    let many = json!({"ids": ["20", "21"], "channel_id": "5", "guild_id": "4"});
    assert_eq!(gone("MESSAGE_DELETE_BULK", many), (5, vec![20, 21]));
}

#[test]
fn only_source_channels_and_their_guilds_wake_a_reader() {
    let interest = Interest { channels: HashSet::from([5]), guilds: HashSet::from([4]) };
    let elsewhere = message(json!({"channel_id": "6"}));
    assert!(interest.admits(&event("MESSAGE_CREATE", message(json!({})))));
    assert!(!interest.admits(&event("MESSAGE_CREATE", elsewhere)));
    assert!(!interest.admits(&event("MESSAGE_DELETE", json!({"id": "1", "channel_id": "6"}))));
    let typing = json!({"channel_id": "5", "user_id": "7", "timestamp": 1});
    assert!(!interest.admits(&event("TYPING_START", typing)));
}
