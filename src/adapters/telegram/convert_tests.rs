//! Messages as the server tells them, and what the model makes of them.

use switchyard_actors::model::SourceEvent;

use super::super::events;
use super::super::samples::{channel_peer, forwarded_from, group, message as sample, reply, user_peer};
use super::*;

const GROUP: i64 = 40;

fn chat(id: i64) -> ChatId {
    ChatId::new(id).unwrap()
}

fn place(id: i64) -> Place {
    Place { platform: Platform::Telegram, chat: chat(id), thread: None }
}

/// A book whose sources are a group that may be forwarded and a channel of which nothing is known yet.
fn book() -> Book {
    let mut book = Book::new(&[place(-GROUP), place(-1_000_000_000_007), place(777_000)], 100);
    book.learn(&[], &[group(GROUP, "Group", false)]);
    book
}

fn group_message(change: impl FnOnce(&mut tl::types::Message)) -> Message {
    let mut raw = sample(5, tl::types::PeerChat { chat_id: GROUP }.into(), "hello");
    raw.from_id = Some(user_peer(9));
    change(&mut raw);
    message(&book(), &raw.into()).unwrap()
}

#[test]
fn a_plain_message_is_free_to_go() {
    let message = group_message(|_| {});
    assert_eq!((message.place, message.id.get()), (place(-GROUP), 5));
    assert_eq!(message.text.text(), "hello");
    assert_eq!(message.restrictions, vec![]);
    let sender = message.sender.unwrap();
    assert_eq!((sender.id, sender.kind), (9, SenderKind::Person));
}

#[test]
fn what_must_not_be_forwarded_says_why() {
    let restricted = |change: fn(&mut tl::types::Message)| group_message(change).restrictions;
    assert_eq!(restricted(|raw| raw.noforwards = true), [Restriction::Protected]);
    assert_eq!(restricted(|raw| raw.ttl_period = Some(60)), [Restriction::SelfDestructing]);
    assert_eq!(
        restricted(|raw| raw.fwd_from = Some(forwarded_from(user_peer(777_000)))),
        [Restriction::Service],
        "a sign-in code stays one when somebody passes it on"
    );
    let media = |ttl_seconds| {
        tl::enums::MessageMedia::Photo(tl::types::MessageMediaPhoto {
            spoiler: false,
            live_photo: false,
            photo: None,
            ttl_seconds,
            video: None,
        })
    };
    let view_once = group_message(|raw| raw.media = Some(media(Some(i32::MAX))));
    assert_eq!(view_once.restrictions, [Restriction::ViewOnce]);
    assert_eq!(view_once.attachments.len(), 1);
}

#[test]
fn a_chat_counts_as_protected_until_the_server_says_otherwise() {
    let mut book = book();
    let raw = sample(1, channel_peer(7), "x");
    let of_channel = |book: &Book| message(book, &raw.clone().into()).unwrap().restrictions;
    assert_eq!(of_channel(&book), [Restriction::Protected]);
    book.set_protected(chat(-1_000_000_000_007), false);
    assert_eq!(of_channel(&book), []);
    book.learn(&[], &[group(GROUP, "Group", true)]);
    let raw = sample(1, tl::types::PeerChat { chat_id: GROUP }.into(), "x");
    assert_eq!(message(&book, &raw.into()).unwrap().restrictions, [Restriction::Protected]);
}

#[test]
fn notices_of_telegram_itself_are_service_messages() {
    let raw = sample(3, user_peer(777_000), "Login code: 12345");
    let message = message(&book(), &raw.into()).unwrap();
    assert!(message.restrictions.contains(&Restriction::Service));
    assert_eq!(message.sender.unwrap().kind, SenderKind::Service);
}

#[test]
fn topics_are_threads_and_answers_are_not() {
    let at = |header| {
        let message = group_message(|raw| raw.reply_to = Some(header));
        (message.place.thread.map(ThreadId::get), message.reply_to.map(MessageId::get))
    };
    assert_eq!(at(reply(false, 3, None)), (None, Some(3)));
    assert_eq!(at(reply(true, 3, None)), (Some(3), None), "written in a topic, answering nothing");
    assert_eq!(at(reply(true, 4, Some(3))), (Some(3), Some(4)));
}

#[test]
fn a_source_that_is_one_thread_gets_that_thread_alone() {
    let thread = Some(ThreadId::new(3).unwrap());
    let mut book = Book::new(&[Place { thread, ..place(-GROUP) }], 100);
    book.learn(&[], &[group(GROUP, "Group", false)]);
    let written = |header| {
        let mut raw = sample(5, tl::types::PeerChat { chat_id: GROUP }.into(), "x");
        raw.reply_to = header;
        events::written(&book, &raw.into()).is_some()
    };
    assert!(written(Some(reply(true, 3, None))));
    assert!(!written(Some(reply(true, 8, None))));
    assert!(!written(None));
}

#[test]
fn changes_that_nobody_sees_are_no_edits() {
    let edit = |hidden| {
        let mut raw = sample(5, tl::types::PeerChat { chat_id: GROUP }.into(), "x");
        raw.edit_date = Some(1_700_000_060);
        raw.edit_hide = hidden;
        let update = tl::types::UpdateEditMessage { message: raw.into(), pts: 2, pts_count: 1 };
        events::events(&book(), &update.into())
    };
    assert!(edit(true).is_empty());
    let edits = edit(false);
    assert!(matches!(edits.as_slice(), [SourceEvent::Edited(_)]));
    assert!(edits[0].revision() > 0, "an edit is neither new nor gone");
}

#[test]
fn a_deletion_without_a_chat_is_told_to_every_private_source() {
    let update = tl::types::UpdateDeleteMessages { messages: vec![5, 6], pts: 3, pts_count: 2 };
    let places: Vec<_> = events::events(&book(), &update.into()).iter().map(SourceEvent::place).collect();
    assert_eq!(places.len(), 4, "two messages, a group and a private chat; a channel has its own update");
    assert!(!places.contains(&place(-1_000_000_000_007)));
}

#[test]
fn what_was_written_goes_before_what_was_removed() {
    let gone = SourceEvent::Deleted { place: place(-GROUP), id: MessageId::new(4).unwrap() };
    let new = SourceEvent::New(group_message(|_| {}));
    assert_eq!(events::in_order(vec![gone.clone(), new.clone()]), [new, gone]);
}
