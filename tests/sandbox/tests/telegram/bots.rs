//! Bots: sign-in by token, what they may call and what they may not.

use std::collections::BTreeSet;

use grammers_tl_types::{RemoteCall, enums, functions, types};
use switchyard_sandbox::Sandbox;

use super::harness::{
    DEADLINE, Peer, USER, channel_message, connect, key, sandbox_with, send, signed_in, text, within,
};
use super::refusals::edit;

/// Telegram's id of the seeded bot.
const BOT: i64 = 3_000_001;

/// A sandbox with a bot, and the chat that it writes in.
async fn world() -> (Sandbox, String) {
    let sandbox = sandbox_with(|config| {
        config.shape.telegram_bots = 1;
        config.shape.pairs.telegram_to_telegram = 2;
    })
    .await;
    let bot = sandbox.seed().telegram.bots[0].account;
    let pair = sandbox.seed().pairs.iter().find(|pair| pair.target.account == bot).unwrap();
    let chat = pair.target.chat.clone();
    (sandbox, chat)
}

/// The bot, signed in as itself on a key that nobody was signed in with.
async fn bot(sandbox: &Sandbox, seed: u8) -> Peer {
    sandbox.telegram().register_auth_key(&key(seed), None).unwrap();
    let peer = connect(sandbox.telegram_address(), key(seed));
    let token = sandbox.seed().telegram.bots[0].token.reveal();
    let me = within(peer.client.bot_sign_in(token, &sandbox.seed().telegram.api_hash)).await.unwrap();
    assert!(me.is_bot());
    assert_eq!(me.id().bare_id(), Some(BOT));
    peer
}

/// The channel as a bot finds it that knows its id alone.
async fn found(peer: &Peer, chat: &str) -> types::Channel {
    let channel_id = -1_000_000_000_000 - chat.parse::<i64>().unwrap();
    let input = enums::InputChannel::Channel(types::InputChannel { channel_id, access_hash: 0 });
    let chats = peer.call(&functions::channels::GetChannels { id: vec![input] }).await.unwrap();
    let enums::messages::Chats::Chats(types::messages::Chats { mut chats }) = chats else { panic!("chats") };
    let enums::Chat::Channel(channel) = chats.remove(0) else { panic!("a channel") };
    channel
}

fn input_peer(channel: &types::Channel) -> enums::InputPeer {
    let (channel_id, access_hash) = (channel.id, channel.access_hash.unwrap());
    types::InputPeerChannel { channel_id, access_hash }.into()
}

fn input_channel(channel: &types::Channel) -> enums::InputChannel {
    let (channel_id, access_hash) = (channel.id, channel.access_hash.unwrap());
    types::InputChannel { channel_id, access_hash }.into()
}

#[tokio::test]
async fn a_bot_signs_in_by_its_token_alone() {
    let (sandbox, _) = world().await;
    sandbox.telegram().register_auth_key(&key(1), None).unwrap();
    let peer = connect(sandbox.telegram_address(), key(1));
    let import = |token: &str, hash: &str| functions::auth::ImportBotAuthorization {
        flags: 0,
        api_id: 1,
        api_hash: hash.to_owned(),
        bot_auth_token: token.to_owned(),
    };
    let (token, hash) =
        (sandbox.seed().telegram.bots[0].token.reveal(), sandbox.seed().telegram.api_hash.as_str());
    assert_eq!(peer.refused(&import("3000001:AAnothing", hash)).await.name, "ACCESS_TOKEN_INVALID");
    assert_eq!(peer.refused(&import(token, "0123")).await.name, "API_ID_INVALID");
    assert_eq!(peer.refused(&functions::updates::GetState {}).await.code, 401);
    peer.call(&import(token, hash)).await.unwrap();
    peer.call(&import(token, hash)).await.unwrap();
    peer.state().await;
    sandbox.stop().await;
}

#[tokio::test]
async fn a_bot_writes_edits_and_deletes_and_reads_by_id() {
    let (sandbox, chat) = world().await;
    let mut peer = bot(&sandbox, 1).await;
    let channel = found(&peer, &chat).await;
    let known = enums::InputChannel::Channel(types::InputChannel { channel_id: channel.id, access_hash: 0 });
    let by_id = |channel, id| functions::channels::GetMessages {
        channel,
        id: vec![types::InputMessageId { id }.into()],
    };
    assert_eq!(peer.refused(&by_id(known, 1)).await.name, "CHANNEL_INVALID", "no hash, no messages");
    let to = input_peer(&channel);
    let written = sandbox.telegram().post_message(&chat, &text("of a person")).unwrap();
    let update = peer.pushed_one().await;
    assert_eq!(channel_message(&update).0.message, "of a person");
    let peer_ref = grammers_session::types::PeerRef {
        id: grammers_session::types::PeerId::from_bot_api_dialog_id(chat.parse().unwrap()).unwrap(),
        auth: grammers_session::types::PeerAuth::from_hash(channel.access_hash.unwrap()),
    };
    let sent = peer.call(&send(peer_ref, "of a bot", 7)).await.unwrap();
    let enums::Updates::Updates(sent) = sent else { panic!("updates") };
    let Some(enums::Update::MessageId(types::UpdateMessageId { id, random_id: 7 })) = sent.updates.first()
    else {
        panic!("the id of the send comes first")
    };
    assert_eq!(peer.refused(&send(peer_ref, "of a bot", 7)).await.name, "RANDOM_ID_DUPLICATE");
    peer.call(&edit(peer_ref, *id, "changed")).await.unwrap();
    let others = written.parse().unwrap();
    let refusal = peer.refused(&edit(peer_ref, others, "changed")).await;
    assert_eq!((refusal.code, refusal.name.as_str()), (403, "MESSAGE_AUTHOR_REQUIRED"));
    let read = peer.call(&by_id(input_channel(&channel), *id)).await.unwrap();
    let enums::messages::Messages::ChannelMessages(read) = read else { panic!("of a channel") };
    let enums::Message::Message(message) = &read.messages[0] else { panic!("a message") };
    assert_eq!((message.message.as_str(), message.edit_date.is_some()), ("changed", true));
    let delete = |id| functions::channels::DeleteMessages { channel: input_channel(&channel), id: vec![id] };
    assert_eq!(peer.refused(&delete(others)).await.name, "MESSAGE_DELETE_FORBIDDEN");
    peer.call(&delete(*id)).await.unwrap();
    let left = sandbox.telegram().list_messages(&chat, None, 10).unwrap();
    assert_eq!(left.iter().map(|item| item.text.as_str()).collect::<Vec<_>>(), ["of a person"]);
    assert_eq!(peer.refused(&history(to)).await.name, "BOT_METHOD_INVALID");
    sandbox.stop().await;
}

fn history(peer: enums::InputPeer) -> functions::messages::GetHistory {
    let (offset_id, offset_date, add_offset, limit, max_id, min_id, hash) = (0, 0, 0, 10, 0, 0, 0);
    functions::messages::GetHistory { peer, offset_id, offset_date, add_offset, limit, max_id, min_id, hash }
}

async fn refused_name<R: RemoteCall>(peer: &Peer, request: &R) -> String
where
    R::Return: std::fmt::Debug,
{
    peer.refused(request).await.name
}

#[tokio::test]
async fn history_dialogs_and_search_are_closed_to_bots() {
    let (sandbox, chat) = world().await;
    let peer = bot(&sandbox, 1).await;
    let to = input_peer(&found(&peer, &chat).await);
    let dialogs = functions::messages::GetDialogs {
        exclude_pinned: false,
        folder_id: None,
        offset_date: 0,
        offset_id: 0,
        offset_peer: enums::InputPeer::Empty,
        limit: 10,
        hash: 0,
    };
    let peer_dialogs = functions::messages::GetPeerDialogs {
        peers: vec![types::InputDialogPeer { peer: to.clone() }.into()],
    };
    let search = functions::messages::Search {
        peer: to.clone(),
        q: "text".to_owned(),
        from_id: None,
        saved_peer_id: None,
        saved_reaction: None,
        top_msg_id: None,
        filter: enums::MessagesFilter::InputMessagesFilterEmpty,
        min_date: 0,
        max_date: 0,
        offset_id: 0,
        add_offset: 0,
        limit: 10,
        max_id: 0,
        min_id: 0,
        hash: 0,
    };
    let refused: BTreeSet<String> = [
        refused_name(&peer, &dialogs).await,
        refused_name(&peer, &peer_dialogs).await,
        refused_name(&peer, &search).await,
        refused_name(&peer, &history(to)).await,
        refused_name(&peer, &functions::account::UpdateStatus { offline: true }).await,
        refused_name(&peer, &functions::auth::ResetAuthorizations {}).await,
    ]
    .into();
    assert_eq!(refused, ["BOT_METHOD_INVALID".to_owned()].into());
    let user = signed_in(&sandbox, 2, USER).await;
    user.call(&dialogs).await.unwrap();
    sandbox.stop().await;
}

#[tokio::test]
async fn a_bot_learns_of_what_it_missed_by_differences_and_only_in_its_chats() {
    let (sandbox, chat) = world().await;
    let peer = bot(&sandbox, 1).await;
    let channel = found(&peer, &chat).await;
    sandbox.telegram().post_message(&chat, &text("missed")).unwrap();
    let request = functions::updates::GetChannelDifference {
        force: false,
        channel: input_channel(&channel),
        filter: enums::ChannelMessagesFilter::Empty,
        pts: 1,
        limit: 100,
    };
    let difference = tokio::time::timeout(DEADLINE, peer.call(&request)).await.unwrap().unwrap();
    let enums::updates::ChannelDifference::Difference(difference) = difference else { panic!("messages") };
    assert_eq!(difference.new_messages.len(), 1);
    let other = sandbox.seed().pairs[0].source.chat.parse::<i64>().unwrap();
    let channel_id = -1_000_000_000_000 - other;
    let foreign = types::InputChannel { channel_id, access_hash: 0 }.into();
    let refusal = peer.refused(&functions::channels::GetChannels { id: vec![foreign] }).await;
    assert_eq!(refusal.name, "CHANNEL_INVALID");
    sandbox.stop().await;
}
