//! What Telegram refuses, the sandbox refuses.

use grammers_session::types::{PeerAuth, PeerId, PeerRef};
use grammers_tl_types::{enums, functions, types};

use super::harness::{USER, sandbox, send, signed_in, source_chat, text};

fn with_bold(
    request: functions::messages::SendMessage,
    offset: i32,
    length: i32,
) -> functions::messages::SendMessage {
    let bold = enums::MessageEntity::Bold(types::MessageEntityBold { offset, length });
    functions::messages::SendMessage { entities: Some(vec![bold]), ..request }
}

pub(super) fn edit(peer: PeerRef, id: i32, text: &str) -> functions::messages::EditMessage {
    functions::messages::EditMessage {
        no_webpage: true,
        invert_media: false,
        peer: peer.into(),
        id,
        message: Some(text.to_owned()),
        media: None,
        reply_markup: None,
        entities: None,
        schedule_date: None,
        schedule_repeat_period: None,
        quick_reply_shortcut_id: None,
        rich_message: None,
    }
}

#[tokio::test]
async fn texts_that_telegram_would_not_take() {
    let sandbox = sandbox().await;
    let chat = source_chat(&sandbox);
    let peer = signed_in(&sandbox, 1, USER).await;
    peer.dialogs().await;
    let to = peer.peer(&chat).await;
    for (request, name) in [
        (send(to, "", 1), "MESSAGE_EMPTY"),
        (send(to, "  \n ", 1), "MESSAGE_EMPTY"),
        (send(to, &"a".repeat(4097), 1), "MESSAGE_TOO_LONG"),
        (with_bold(send(to, "ab", 1), 1, 2), "ENTITY_BOUNDS_INVALID"),
        (with_bold(send(to, "ab", 1), -1, 2), "ENTITY_BOUNDS_INVALID"),
        (with_bold(send(to, "😀", 1), 0, 1), "ENTITY_BOUNDS_INVALID"),
        (send(to, "ab", 0), "RANDOM_ID_EMPTY"),
        (
            functions::messages::SendMessage { schedule_date: Some(2_000_000_000), ..send(to, "ab", 1) },
            "SCHEDULE_DATE_INVALID",
        ),
    ] {
        let refusal = peer.refused(&request).await;
        assert_eq!((refusal.code, refusal.name.as_str()), (400, name));
    }
    peer.call(&send(to, &"a".repeat(4096), 1)).await.unwrap();
    assert_eq!(sandbox.telegram().list_messages(&chat, None, 10).unwrap().len(), 1);
}

#[tokio::test]
async fn peers_that_the_account_was_never_told_of() {
    let sandbox = sandbox().await;
    let chat = source_chat(&sandbox);
    let (peer, other) = (signed_in(&sandbox, 1, USER).await, signed_in(&sandbox, 2, 1002).await);
    peer.dialogs().await;
    let known = peer.peer(&chat).await;
    let forged = PeerRef { id: known.id, auth: PeerAuth::from_hash(12345) };
    assert_eq!(peer.refused(&send(forged, "x", 1)).await.name, "CHANNEL_INVALID");
    let stranger = PeerRef { id: PeerId::user(2002).unwrap(), auth: PeerAuth::from_hash(1) };
    assert_eq!(peer.refused(&send(stranger, "x", 1)).await.name, "PEER_ID_INVALID");
    // A hash is good for the account that was told it, and for no other.
    assert_eq!(other.refused(&send(known, "x", 1)).await.name, "CHANNEL_INVALID");
    let request = functions::users::GetUsers { id: vec![PeerRef { ..stranger }.into()] };
    assert_eq!(peer.refused(&request).await.name, "USER_ID_INVALID");
}

#[tokio::test]
async fn what_only_writers_authors_and_administrators_may_do() {
    let sandbox = sandbox().await;
    let chat = source_chat(&sandbox);
    sandbox.telegram().post_message(&chat, &text("by somebody else")).unwrap();
    let peer = signed_in(&sandbox, 1, USER).await;
    peer.dialogs().await;
    let news = peer.peer("-1001500000001").await;
    let refusal = peer.refused(&send(news, "x", 1)).await;
    assert_eq!((refusal.code, refusal.name.as_str()), (403, "CHAT_WRITE_FORBIDDEN"));
    let group = peer.peer(&chat).await;
    assert_eq!(peer.refused(&edit(group, 2, "mine now")).await.name, "MESSAGE_AUTHOR_REQUIRED");
    assert_eq!(peer.refused(&edit(group, 99, "nothing")).await.name, "MESSAGE_ID_INVALID");
    let delete = functions::channels::DeleteMessages { channel: group.into(), id: vec![2] };
    assert_eq!(peer.refused(&delete).await.name, "MESSAGE_DELETE_FORBIDDEN");
    peer.call(&send(group, "mine", 1)).await.unwrap();
    assert_eq!(peer.refused(&edit(group, 3, "mine")).await.name, "MESSAGE_NOT_MODIFIED");
    peer.call(&edit(group, 3, "mine, changed")).await.unwrap();
}

#[tokio::test]
async fn a_method_that_is_not_served_is_refused_and_not_ignored() {
    let sandbox = sandbox().await;
    let peer = signed_in(&sandbox, 1, USER).await;
    let refusal = peer.refused(&functions::account::GetAuthorizations {}).await;
    assert_eq!((refusal.code, refusal.name.as_str()), (400, "INPUT_METHOD_INVALID"));
}
