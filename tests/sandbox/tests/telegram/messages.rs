//! Dialogs, history, and a message's life from send to delete.

use grammers_client::message::InputMessage;
use grammers_session::types::PeerKind;
use grammers_tl_types::{enums, functions, types};
use switchyard_sandbox::PairCounts;
use switchyard_sandbox::messages::EntityKind;

use super::harness::{
    USER, channel_message, sandbox, sandbox_with, send, signed_in, source_chat, text, within,
};

#[tokio::test]
async fn dialogs_come_in_pages_and_name_every_chat_once() {
    let sandbox = sandbox_with(|config| {
        config.shape.telegram_users = 1;
        config.shape.pairs = PairCounts { telegram_to_discord: 230, ..PairCounts::default() };
    })
    .await;
    let telegram = sandbox.telegram();
    telegram.post_message("1001", &text("a private message")).unwrap();
    telegram.post_message(&sandbox.seed().pairs[17].source.chat, &text("the latest")).unwrap();
    let peer = signed_in(&sandbox, 1, USER).await;
    let dialogs = peer.dialogs().await;
    // 230 sources, the broadcast channel, the protected group, the private conversation.
    assert_eq!(dialogs.len(), 233);
    let mut ids: Vec<_> = dialogs.iter().map(|d| d.peer().id().bot_api_dialog_id().unwrap()).collect();
    let written =
        ids.iter().filter(|id| **id == 2001 || id.to_string() == sandbox.seed().pairs[17].source.chat);
    assert_eq!(written.count(), 2);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 233);
    let broadcast = dialogs.iter().find(|dialog| dialog.peer().name() == Some("News of Telegram User 1"));
    assert_eq!(broadcast.unwrap().peer().id().kind(), PeerKind::Channel);
    let private = dialogs.iter().find(|dialog| dialog.peer().name() == Some("Ada"));
    assert_eq!(private.unwrap().last_message.as_ref().unwrap().text(), "a private message");
}

#[tokio::test]
async fn history_comes_in_pages_newest_first_and_oldest_first() {
    let sandbox = sandbox().await;
    let chat = source_chat(&sandbox);
    for n in 0..250 {
        sandbox.telegram().post_message(&chat, &text(&format!("message {n}"))).unwrap();
    }
    let peer = signed_in(&sandbox, 1, USER).await;
    peer.dialogs().await;
    let chat = peer.peer(&chat).await;
    let mut texts = Vec::new();
    let mut history = peer.client.iter_messages(chat);
    while let Some(message) = within(history.next()).await.unwrap() {
        texts.push(message.text().to_owned());
    }
    let mut expected: Vec<_> = (0..250).map(|n| format!("message {n}")).collect();
    expected.insert(0, String::new()); // the service message that opens the channel
    assert_eq!(texts, expected.iter().rev().cloned().collect::<Vec<_>>());

    let mut forward = Vec::new();
    let mut history = peer.client.iter_messages(chat).reverse(true);
    while let Some(message) = within(history.next()).await.unwrap() {
        forward.push(message.text().to_owned());
    }
    assert_eq!(forward, expected);
    assert_eq!(within(peer.client.iter_messages(chat).total()).await.unwrap(), 251);
}

#[tokio::test]
async fn a_client_sends_edits_and_deletes_in_a_channel() {
    let sandbox = sandbox().await;
    let chat = source_chat(&sandbox);
    let peer = signed_in(&sandbox, 1, USER).await;
    peer.dialogs().await;
    let to = peer.peer(&chat).await;
    let bold = enums::MessageEntity::Bold(types::MessageEntityBold { offset: 0, length: 5 });
    let message = InputMessage::new().text("hello 😀 world").fmt_entities(vec![bold]);
    let sent = within(Box::pin(peer.client.send_message(to, message))).await.unwrap();
    assert_eq!((sent.id(), sent.text(), sent.outgoing()), (2, "hello 😀 world", true));

    let listed = sandbox.telegram().list_messages(&chat, None, 10).unwrap();
    assert_eq!((listed[0].id.as_str(), listed[0].from.as_str()), ("2", "1001"));
    assert_eq!(listed[0].entities[0].kind, EntityKind::Bold);
    let answer = InputMessage::new().text("an answer").reply_to(Some(sent.id()));
    let answer = within(Box::pin(peer.client.send_message(to, answer))).await.unwrap();
    assert_eq!(answer.reply_to_message_id(), Some(2));

    within(peer.client.edit_message(to, sent.id(), "changed")).await.unwrap();
    let edited = sandbox.telegram().get_message(&chat, "2").unwrap();
    assert_eq!(edited.text, "changed");
    assert!(edited.edited_at.is_some() && edited.entities.is_empty());
    let found = within(peer.client.get_messages_by_id(to, &[2, 99])).await.unwrap();
    assert_eq!(found[0].as_ref().unwrap().text(), "changed");
    assert!(matches!(found[1].as_ref().unwrap().raw, enums::Message::Empty(_)));

    assert_eq!(within(peer.client.delete_messages(to, &[2, 3])).await.unwrap(), 2);
    assert!(sandbox.telegram().list_messages(&chat, None, 10).unwrap().is_empty());
}

#[tokio::test]
async fn private_messages_reach_both_sides() {
    let sandbox = sandbox().await;
    sandbox.telegram().post_message("1001", &text("hello")).unwrap();
    sandbox.telegram().post_message("1001", &text("are you there?")).unwrap();
    let peer = signed_in(&sandbox, 1, USER).await;
    peer.dialogs().await;
    let person = peer.peer("2001").await;
    let sent = within(Box::pin(peer.client.send_message(person, "yes"))).await.unwrap();
    assert_eq!((sent.id(), sent.text(), sent.outgoing()), (3, "yes", true));
    assert_eq!(sandbox.telegram().list_messages("2001", None, 10).unwrap().len(), 3);
    within(peer.client.edit_message(person, 3, "yes, I am")).await.unwrap();
    assert_eq!(sandbox.telegram().get_message("2001", "3").unwrap().text, "yes, I am");
    within(peer.client.mark_as_read(person)).await.unwrap();
    let request = functions::messages::GetPeerDialogs {
        peers: vec![types::InputDialogPeer { peer: person.into() }.into()],
    };
    let enums::messages::PeerDialogs::Dialogs(dialogs) = peer.call(&request).await.unwrap();
    let enums::Dialog::Dialog(dialog) = &dialogs.dialogs[0] else { panic!("a dialog") };
    assert_eq!((dialog.unread_count, dialog.read_inbox_max_id, dialog.top_message), (0, 3, 3));
    assert_eq!(within(peer.client.delete_messages(person, &[3])).await.unwrap(), 1);
    assert_eq!(sandbox.telegram().list_messages("2001", None, 10).unwrap().len(), 2);
    let note =
        functions::messages::SendMessage { peer: enums::InputPeer::PeerSelf, ..send(person, "a note", 9) };
    let enums::Updates::UpdateShortSentMessage(saved) = peer.call(&note).await.unwrap() else {
        panic!("the short form for private messages")
    };
    assert!(saved.out && saved.pts_count == 1);
    assert_eq!(sandbox.telegram().get_message("1001", &saved.id.to_string()).unwrap().text, "a note");
}

#[tokio::test]
async fn a_repeated_random_id_is_refused_and_nothing_is_posted_twice() {
    let sandbox = sandbox().await;
    let chat = source_chat(&sandbox);
    let peer = signed_in(&sandbox, 1, USER).await;
    peer.dialogs().await;
    let to = peer.peer(&chat).await;
    let enums::Updates::Updates(first) = peer.call(&send(to, "once", 42)).await.unwrap() else {
        panic!("the long form for channels")
    };
    assert!(matches!(&first.updates[0], enums::Update::MessageId(u) if (u.id, u.random_id) == (2, 42)));
    assert_eq!(channel_message(&first.updates[1]).0.message, "once");
    let refusal = peer.refused(&send(to, "once", 42)).await;
    assert_eq!((refusal.code, refusal.name.as_str()), (500, "RANDOM_ID_DUPLICATE"));
    assert_eq!(sandbox.telegram().list_messages(&chat, None, 10).unwrap().len(), 1);

    // Another session of the same account is no way around it, another account is.
    let again = signed_in(&sandbox, 2, USER).await;
    again.dialogs().await;
    assert_eq!(again.refused(&send(again.peer(&chat).await, "once", 42)).await.code, 500);
}

#[tokio::test]
async fn names_are_resolved_and_channels_described() {
    let sandbox = sandbox().await;
    let peer = signed_in(&sandbox, 1, USER).await;
    let found = within(peer.client.resolve_username("Sandbox_ADA")).await.unwrap().unwrap();
    assert_eq!(found.id().bare_id(), Some(2001));
    assert!(within(peer.client.resolve_username("nobody_here")).await.unwrap().is_none());
    peer.dialogs().await;
    let channel = peer.input_channel(&source_chat(&sandbox)).await;
    let enums::messages::ChatFull::Full(full) =
        peer.call(&functions::channels::GetFullChannel { channel: channel.clone() }).await.unwrap();
    let enums::ChatFull::ChannelFull(channel_full) = full.full_chat else { panic!("a channel") };
    assert_eq!(channel_full.participants_count, Some(7));
    let enums::messages::Chats::Chats(chats) =
        peer.call(&functions::channels::GetChannels { id: vec![channel] }).await.unwrap()
    else {
        panic!("all of them")
    };
    assert_eq!(chats.chats.len(), 1);
    let user = functions::users::GetFullUser { id: enums::InputUser::UserSelf };
    let enums::users::UserFull::Full(full) = peer.call(&user).await.unwrap();
    assert_eq!(full.users.len(), 1);
}
