//! What was missed: differences of private messages and of channels, in pages, and too long ones.

use grammers_session::updates::{MessageBoxes, UpdatesLike};
use grammers_tl_types::{enums, functions, types};
use switchyard_sandbox::messages::EditedMessage;

use super::harness::{USER, sandbox, sandbox_with, send, signed_in, source_chat, text};

fn get_difference(pts: i32, pts_limit: Option<i32>) -> functions::updates::GetDifference {
    functions::updates::GetDifference {
        pts,
        pts_limit,
        pts_total_limit: None,
        date: 1,
        qts: 0,
        qts_limit: None,
    }
}

fn get_channel_difference(
    channel: &enums::InputChannel,
    pts: i32,
    limit: i32,
) -> functions::updates::GetChannelDifference {
    functions::updates::GetChannelDifference {
        force: false,
        channel: channel.clone(),
        filter: enums::ChannelMessagesFilter::Empty,
        pts,
        limit,
    }
}

fn texts(messages: &[enums::Message]) -> Vec<String> {
    let texts = messages.iter().map(|message| match message {
        enums::Message::Message(message) => message.message.clone(),
        other => panic!("expected a message with text, got {other:?}"),
    });
    texts.collect()
}

#[tokio::test]
async fn a_channels_difference_comes_in_pages_with_edits_deletes_and_own_sends() {
    let sandbox = sandbox().await;
    let telegram = sandbox.telegram();
    let chat = source_chat(&sandbox);
    let peer = signed_in(&sandbox, 1, USER).await;
    peer.dialogs().await;
    let channel = peer.input_channel(&chat).await;
    for n in 0..25 {
        telegram.post_message(&chat, &text(&n.to_string())).unwrap();
    }
    peer.call(&send(peer.peer(&chat).await, "mine", 77)).await.unwrap();
    telegram
        .edit_message(&chat, "3", &EditedMessage { text: "changed".to_owned(), entities: vec![] })
        .unwrap();
    telegram.delete_message(&chat, "2").unwrap();

    let (mut pts, mut missed, mut others, mut pages) = (1, Vec::new(), Vec::new(), 0);
    loop {
        let request = get_channel_difference(&channel, pts, 10);
        let enums::updates::ChannelDifference::Difference(difference) = peer.call(&request).await.unwrap()
        else {
            panic!("there is a difference")
        };
        assert_eq!(difference.timeout, Some(300));
        missed.extend(texts(&difference.new_messages));
        others.extend(difference.other_updates);
        (pts, pages) = (difference.pts, pages + 1);
        if difference.r#final {
            break;
        }
    }
    assert_eq!((pts, pages), (29, 3));
    let mut expected: Vec<_> = (1..25).map(|n: i32| n.to_string()).collect();
    expected[0] = "changed".to_owned(); // as it stands now; "0" is gone
    expected.push("mine".to_owned());
    assert_eq!(missed, expected);
    assert!(matches!(&others[0], enums::Update::MessageId(u) if u.random_id == 77));
    assert!(matches!(&others[1], enums::Update::EditChannelMessage(u) if u.pts == 28));
    assert!(
        matches!(&others[2], enums::Update::DeleteChannelMessages(u) if u.pts == 29 && u.messages == [2])
    );
    let request = get_channel_difference(&channel, 29, 10);
    let enums::updates::ChannelDifference::Empty(empty) = peer.call(&request).await.unwrap() else {
        panic!("nothing more is missed")
    };
    assert!(empty.r#final && empty.pts == 29);
    let ahead = peer.refused(&get_channel_difference(&channel, 30, 10)).await;
    assert_eq!(ahead.name, "PERSISTENT_TIMESTAMP_INVALID");
}

#[tokio::test]
async fn a_difference_of_private_messages_comes_in_slices() {
    let sandbox = sandbox().await;
    let peer = signed_in(&sandbox, 1, USER).await;
    let state = peer.state().await;
    assert_eq!((state.pts, state.qts, state.seq), (1, 0, 1));
    for n in 0..5 {
        sandbox.telegram().post_message("1001", &text(&n.to_string())).unwrap();
    }
    let enums::updates::Difference::Slice(slice) = peer.call(&get_difference(1, Some(3))).await.unwrap()
    else {
        panic!("a slice")
    };
    let enums::updates::State::State(state) = slice.intermediate_state;
    assert_eq!((texts(&slice.new_messages), state.pts), (vec!["0".into(), "1".into(), "2".into()], 4));
    let enums::updates::Difference::Difference(rest) = peer.call(&get_difference(4, Some(3))).await.unwrap()
    else {
        panic!("the rest")
    };
    let enums::updates::State::State(state) = rest.state;
    assert_eq!((texts(&rest.new_messages), state.pts), (vec!["3".into(), "4".into()], 6));
    assert_eq!(rest.users.len(), 2, "both sides are described");
    assert!(matches!(peer.call(&get_difference(6, None)).await, Ok(enums::updates::Difference::Empty(_))));
    let total = functions::updates::GetDifference { pts_total_limit: Some(2), ..get_difference(1, None) };
    let enums::updates::Difference::TooLong(long) = peer.call(&total).await.unwrap() else {
        panic!("too long")
    };
    assert_eq!(long.pts, 6);
    assert_eq!(peer.refused(&get_difference(7, None)).await.name, "PERSISTENT_TIMESTAMP_INVALID");
}

#[tokio::test]
async fn a_difference_from_before_the_log_is_too_long_and_shows_where_to_start_anew() {
    let sandbox = sandbox_with(|config| config.telegram.update_log = 10).await;
    let chat = source_chat(&sandbox);
    let peer = signed_in(&sandbox, 1, USER).await;
    peer.dialogs().await;
    for n in 0..50 {
        sandbox.telegram().post_message(&chat, &text(&n.to_string())).unwrap();
        sandbox.telegram().post_message("1001", &text(&n.to_string())).unwrap();
    }
    let channel = peer.input_channel(&chat).await;
    let request = get_channel_difference(&channel, 1, 20);
    let enums::updates::ChannelDifference::TooLong(long) = peer.call(&request).await.unwrap() else {
        panic!("too long")
    };
    let enums::Dialog::Dialog(dialog) = long.dialog else { panic!("a dialog") };
    assert_eq!((dialog.pts, dialog.top_message, long.r#final), (Some(51), 51, true));
    assert_eq!(texts(&long.messages).first().map(String::as_str), Some("49"));
    assert_eq!(long.messages.len(), 20);
    let enums::updates::Difference::TooLong(long) = peer.call(&get_difference(1, None)).await.unwrap() else {
        panic!("too long")
    };
    assert_eq!(long.pts, 51);
}

/// A client that comes back with the state that it left with misses nothing: grammers' own message box agrees.
#[tokio::test]
async fn a_client_that_was_away_catches_up_by_its_message_boxes() {
    let sandbox = sandbox().await;
    let telegram = sandbox.telegram();
    let chat = source_chat(&sandbox);
    let mut boxes = MessageBoxes::new();
    {
        let mut peer = signed_in(&sandbox, 1, USER).await;
        boxes.set_state(peer.state().await);
        for n in 0..3 {
            telegram.post_message(&chat, &text(&format!("live {n}"))).unwrap();
            let updates = UpdatesLike::Updates(enums::Updates::Updates(peer.pushed().await));
            let (applied, _, _) = boxes.process_updates(updates).unwrap();
            assert_eq!(applied.len(), 1, "the pts follow each other");
        }
    }
    for n in 0..150 {
        telegram.post_message(&chat, &text(&format!("missed {n}"))).unwrap();
    }
    telegram.post_message("1001", &text("missed in private")).unwrap();

    let peer = signed_in(&sandbox, 1, USER).await;
    peer.dialogs().await;
    let channel = peer.input_channel(&chat).await;
    let mut boxes = MessageBoxes::load(boxes.session_state());
    let mut missed = Vec::new();
    loop {
        boxes.check_deadlines();
        let (updates, _, _) = if let Some(request) = boxes.get_difference() {
            boxes.apply_difference(peer.call(&request).await.unwrap())
        } else if let Some(mut request) = boxes.get_channel_difference() {
            (request.channel, request.limit) = (channel.clone(), 100);
            boxes.apply_channel_difference(peer.call(&request).await.unwrap())
        } else {
            break;
        };
        missed.extend(updates.into_iter().filter_map(|(update, _)| match update {
            enums::Update::NewMessage(types::UpdateNewMessage { message, .. })
            | enums::Update::NewChannelMessage(types::UpdateNewChannelMessage { message, .. }) => {
                Some(texts(&[message]).remove(0))
            }
            _ => None,
        }));
    }
    let mut expected = vec!["missed in private".to_owned()];
    expected.extend((0..150).map(|n| format!("missed {n}")));
    assert_eq!(missed, expected);
}
