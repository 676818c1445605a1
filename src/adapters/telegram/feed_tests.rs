//! Updates as the server pushes them, and what of them reaches the message boxes.

use grammers_session::updates::{MessageBoxes, State};
use switchyard_actors::model::{ChatId, Place, Platform};

use super::super::samples::{channel_peer, message, user_peer};
use super::*;

const FOLLOWED: i64 = 7;
const FOREIGN: i64 = 8;

fn ledger() -> CursorLedger {
    let mut ledger = CursorLedger::new(&[]);
    ledger.follow(FOLLOWED);
    ledger
}

fn book(sources: &[i64]) -> Book {
    let place =
        |id: &i64| Place { platform: Platform::Telegram, chat: ChatId::new(*id).unwrap(), thread: None };
    Book::new(&sources.iter().map(place).collect::<Vec<_>>(), 100)
}

fn new_message(channel: i64, pts: i32) -> tl::enums::Update {
    let message = message(pts, channel_peer(channel), "x").into();
    tl::types::UpdateNewChannelMessage { message, pts, pts_count: 1 }.into()
}

fn too_long(channel_id: i64, pts: Option<i32>) -> tl::enums::Update {
    tl::types::UpdateChannelTooLong { channel_id, pts }.into()
}

fn container(updates: Vec<tl::enums::Update>, seq: i32) -> UpdatesLike {
    let container = tl::types::Updates { updates, users: vec![], chats: vec![], date: 1, seq };
    UpdatesLike::Updates(container.into())
}

fn boxes() -> MessageBoxes {
    let mut boxes = MessageBoxes::new();
    let state = tl::types::updates::State { pts: 10, qts: 0, date: 1, seq: 1, unread_count: 0 };
    boxes.set_state(state);
    boxes.try_set_channel_state(FOLLOWED, 20);
    boxes
}

fn taken(boxes: &mut MessageBoxes, updates: UpdatesLike) -> Vec<(tl::enums::Update, State)> {
    let admitted = admit(updates, &book(&[]), &ledger());
    boxes.process_updates(admitted).map(|(updates, _, _)| updates).unwrap_or_default()
}

#[test]
fn too_long_with_a_position_asks_from_our_own_position() {
    let mut boxes = boxes();
    taken(&mut boxes, container(vec![too_long(FOLLOWED, Some(99))], 0));
    assert_eq!(boxes.get_channel_difference().unwrap().pts, 20, "99 would skip everything between");
}

#[test]
fn updates_behind_a_too_long_one_wait_for_the_difference() {
    let mut boxes = boxes();
    let updates = vec![too_long(FOLLOWED, None), new_message(FOLLOWED, 31)];
    let taken = taken(&mut boxes, container(updates, 0));
    assert!(taken.iter().all(|(update, _)| !matches!(update, tl::enums::Update::NewChannelMessage(_))));
}

#[test]
fn foreign_channels_cost_nothing_and_leave_no_gap() {
    let mut boxes = boxes();
    taken(&mut boxes, container(vec![new_message(FOREIGN, 1000), too_long(FOREIGN, None)], 2));
    assert!(boxes.get_channel_difference().is_none());
    assert!(boxes.session_state().channels.iter().all(|channel| channel.id == FOLLOWED));
    assert_eq!(boxes.session_state().seq, 2, "the container counts although nothing in it does");
    taken(&mut boxes, container(vec![new_message(FOLLOWED, 21)], 3));
    assert!(boxes.get_difference().is_none(), "no gap is seen");
    assert_eq!(boxes.session_state().channels[0].pts, 21);
}

#[test]
fn a_channel_message_in_a_private_update_is_left_out() {
    let message = message(1, channel_peer(FOLLOWED), "x").into();
    let update = tl::types::UpdateNewMessage { message, pts: 11, pts_count: 1 };
    let taken = taken(&mut boxes(), container(vec![update.into()], 0));
    assert!(matches!(taken.as_slice(), [(tl::enums::Update::SavedGifs, _)]), "the client would panic on it");
}

#[test]
fn a_short_message_from_somebody_unknown_becomes_a_difference() {
    let short = tl::types::UpdateShortMessage {
        out: false,
        mentioned: false,
        media_unread: false,
        silent: false,
        id: 4,
        user_id: 9,
        message: "x".to_owned(),
        pts: 11,
        pts_count: 1,
        date: 1,
        fwd_from: None,
        via_bot_id: None,
        reply_to: None,
        entities: None,
        ttl_period: None,
    };
    let updates = || UpdatesLike::Updates(short.clone().into());
    assert!(matches!(admit(updates(), &book(&[9]), &ledger()), UpdatesLike::MalformedUpdates));
    assert!(matches!(admit(updates(), &book(&[]), &ledger()), UpdatesLike::Updates(_)), "not a source");
    let mut book = book(&[9]);
    book.learn(&[tl::enums::User::Empty(tl::types::UserEmpty { id: 9 })], &[]);
    assert!(matches!(admit(updates(), &book, &ledger()), UpdatesLike::MalformedUpdates), "still no name");
    assert_eq!(peer_id(&user_peer(9)).and_then(chat_id), ChatId::new(9).ok());
}
