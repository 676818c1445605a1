//! Live updates: to every session that follows, with the right pts, and to nobody else.

use grammers_tl_types::{enums, functions, types};
use switchyard_sandbox::messages::{EditedMessage, EntityKind, MentionedUser, NewMessage, TextEntity};

use super::harness::{
    USER, channel_message, connect, entity, key, sandbox, send, signed_in, source_chat, text, within,
};

#[tokio::test]
async fn what_a_person_writes_edits_and_deletes_is_pushed_with_rising_pts() {
    let sandbox = sandbox().await;
    let telegram = sandbox.telegram();
    let chat = source_chat(&sandbox);
    let mut peer = signed_in(&sandbox, 1, USER).await;
    let entities = vec![
        entity(EntityKind::Bold, 0, 4),
        entity(EntityKind::Italic, 2, 2),
        TextEntity { url: Some("https://example.com/".to_owned()), ..entity(EntityKind::TextLink, 5, 2) },
        TextEntity { user: Some(MentionedUser { id: 2003 }), ..entity(EntityKind::TextMention, 8, 5) },
    ];
    let new = NewMessage { from: Some("Bruno".to_owned()), entities, ..text("bold 😀 Chiara") };
    assert_eq!(telegram.post_message(&chat, &new).unwrap(), "2");
    let pushed = peer.pushed().await;
    let (message, pts, pts_count) = channel_message(&pushed.updates[0]);
    assert_eq!((message.id, message.message.as_str(), pts, pts_count), (2, "bold 😀 Chiara", 2, 1));
    assert_eq!(message.from_id, Some(enums::Peer::User(types::PeerUser { user_id: 2002 })));
    assert!(!message.out && !message.post);
    let entities = message.entities.as_ref().unwrap();
    assert_eq!(entities.len(), 4);
    assert!(matches!(&entities[2], enums::MessageEntity::TextUrl(e) if e.url == "https://example.com/"));
    let described: Vec<_> = pushed.users.iter().map(enums::User::id).collect();
    assert_eq!(described, [2002, 2003], "the writer and who is mentioned");
    assert_eq!(pushed.chats.len(), 1);
    assert_eq!(pushed.seq, 0);

    let edit = EditedMessage { text: "changed".to_owned(), entities: Vec::new() };
    telegram.edit_message(&chat, "2", &edit).unwrap();
    let update = peer.pushed_one().await;
    assert!(matches!(&update, enums::Update::EditChannelMessage(_)));
    let (message, pts, _) = channel_message(&update);
    assert_eq!((message.message.as_str(), pts), ("changed", 3));
    assert!(message.edit_date.is_some() && message.entities.is_none());

    telegram.delete_message(&chat, "2").unwrap();
    let update = peer.pushed_one().await;
    let enums::Update::DeleteChannelMessages(delete) = update else { panic!("a delete, got {update:?}") };
    assert_eq!((delete.messages.as_slice(), delete.pts, delete.pts_count), (&[2][..], 4, 1));
    assert_eq!(delete.channel_id, sandbox.seed().telegram.channels[0].id);
}

#[tokio::test]
async fn telegram_itself_writes_in_any_chat() {
    let sandbox = sandbox().await;
    let mut peer = signed_in(&sandbox, 1, USER).await;
    for chat in [source_chat(&sandbox), "-1001600000001".to_owned(), "1001".to_owned()] {
        let new = NewMessage { from: Some("777000".to_owned()), ..text("Login code: 12345") };
        let id = sandbox.telegram().post_message(&chat, &new).unwrap();
        assert_eq!(sandbox.telegram().get_message(&chat, &id).unwrap().from, "777000");
        let pushed = peer.pushed().await;
        let message = match &pushed.updates[0] {
            enums::Update::NewMessage(new) => &new.message,
            enums::Update::NewChannelMessage(new) => &new.message,
            other => panic!("a new message, got {other:?}"),
        };
        let enums::Message::Message(message) = message else { panic!("a message, got {message:?}") };
        let from = message.from_id.clone().unwrap_or_else(|| message.peer_id.clone());
        assert_eq!(from, enums::Peer::User(types::PeerUser { user_id: 777_000 }), "in {chat}");
        assert!(pushed.users.iter().any(|user| user.id() == 777_000), "described in {chat}");
        assert!(!message.out);
    }
}

#[tokio::test]
async fn a_send_is_pushed_to_the_accounts_other_sessions_and_not_back() {
    let sandbox = sandbox().await;
    let chat = source_chat(&sandbox);
    let (mut sender, mut other) = (signed_in(&sandbox, 1, USER).await, signed_in(&sandbox, 2, USER).await);
    sender.dialogs().await;
    let to = sender.peer(&chat).await;
    within(sender.call(&send(to, "from the first", 1))).await.unwrap();
    let update = other.pushed_one().await;
    let (message, pts, _) = channel_message(&update);
    assert_eq!((message.message.as_str(), message.out, pts), ("from the first", true, 2));
    // What the sender sees of it is its own answer; the next push is the next message.
    let own = sender.pushed().await;
    assert!(matches!(&own.updates[0], enums::Update::MessageId(_)));
    sandbox.telegram().post_message(&chat, &text("next")).unwrap();
    assert_eq!(channel_message(&sender.pushed_one().await).0.message, "next");
    assert_eq!(channel_message(&other.pushed_one().await).0.message, "next");
}

#[tokio::test]
async fn only_members_and_only_signed_in_sessions_are_told() {
    let sandbox = sandbox().await;
    let chat = source_chat(&sandbox);
    let mut member = signed_in(&sandbox, 1, USER).await;
    // The second account is a member of no source; a key without a user and one that wants no updates are told nothing.
    let mut outsider = signed_in(&sandbox, 2, 1002).await;
    sandbox.telegram().register_auth_key(&key(3), None).unwrap();
    let mut nobody = connect(sandbox.telegram_address(), key(3));
    assert!(!within(nobody.client.is_authorized()).await.unwrap());
    sandbox.telegram().post_message(&chat, &text("for members")).unwrap();
    assert_eq!(channel_message(&member.pushed_one().await).0.message, "for members");
    // The next thing that reaches the others is what is meant for them.
    sandbox.telegram().post_message("1002", &text("for you")).unwrap();
    assert!(matches!(outsider.pushed_one().await, enums::Update::NewMessage(_)));
    nobody.refused(&functions::updates::GetState {}).await;
    assert!(nobody.updates.try_recv().is_err());
}

#[tokio::test]
async fn posts_of_a_channel_come_from_the_channel_and_protected_chats_say_so() {
    let sandbox = sandbox().await;
    let mut peer = signed_in(&sandbox, 1, USER).await;
    sandbox.telegram().post_message("-1001500000001", &text("news")).unwrap();
    let update = peer.pushed_one().await;
    let (message, ..) = channel_message(&update);
    assert!(message.post && message.from_id.is_none() && message.views.is_some());
    sandbox.telegram().post_message("-1001600000001", &text("for your eyes")).unwrap();
    let pushed = peer.pushed().await;
    let enums::Chat::Channel(chat) = &pushed.chats[0] else { panic!("a channel") };
    assert!(chat.noforwards && chat.megagroup);
}

#[tokio::test]
async fn two_hundred_messages_in_a_row_arrive_in_order_without_a_gap() {
    let sandbox = sandbox().await;
    let chat = source_chat(&sandbox);
    let mut peer = signed_in(&sandbox, 1, USER).await;
    for n in 0..200 {
        sandbox.telegram().post_message(&chat, &text(&n.to_string())).unwrap();
    }
    for n in 0..200 {
        let update = peer.pushed_one().await;
        let (message, pts, _) = channel_message(&update);
        assert_eq!((message.message.clone(), pts), (n.to_string(), n + 2));
    }
}
