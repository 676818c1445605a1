//! A world that is kept in a folder goes on where it was.

use std::time::Duration;

use grammers_tl_types::{enums, functions, types};
use switchyard_sandbox::WorldKey;
use switchyard_sandbox::faults::{FaultKind, FaultSpan, FaultSpec, FaultTarget};
use switchyard_sandbox::telegram::MemberRole;

use super::ends::is_cut;
use super::harness::{USER, connect, key, sandbox_with, send, signed_in, source_chat, text, within};

#[tokio::test]
async fn keys_messages_and_pts_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let start = || {
        sandbox_with(|config| {
            config.data_dir = Some(folder.path().to_owned());
            config.world_key = Some(WorldKey::new([7; 32]));
        })
    };
    let sandbox = start().await;
    let chat = source_chat(&sandbox);
    let peer = signed_in(&sandbox, 1, USER).await;
    peer.dialogs().await;
    let to = peer.peer(&chat).await;
    peer.call(&send(to, "before", 5)).await.unwrap();
    sandbox.telegram().post_message(&chat, &text("also before")).unwrap();
    drop(peer);
    sandbox.stop().await;

    let sandbox = start().await;
    let listed = sandbox.telegram().list_messages(&chat, None, 10).unwrap();
    assert_eq!(listed.iter().map(|item| item.text.as_str()).collect::<Vec<_>>(), ["before", "also before"]);
    let peer = connect(sandbox.telegram_address(), key(1));
    assert!(within(peer.client.is_authorized()).await.unwrap(), "the key is still signed in");
    assert_eq!(peer.refused(&send(to, "before", 5)).await.name, "RANDOM_ID_DUPLICATE");
    let request = functions::updates::GetChannelDifference {
        force: false,
        channel: to.into(),
        filter: enums::ChannelMessagesFilter::Empty,
        pts: 2,
        limit: 100,
    };
    let enums::updates::ChannelDifference::Difference(types::updates::ChannelDifference { pts: 3, .. }) =
        peer.call(&request).await.unwrap()
    else {
        panic!("the pts go on where they were")
    };
    sandbox.stop().await;
}

#[tokio::test]
async fn bots_dead_keys_and_places_in_channels_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let start = || {
        sandbox_with(|config| {
            config.data_dir = Some(folder.path().to_owned());
            config.world_key = Some(WorldKey::new([7; 32]));
            config.shape.telegram_bots = 1;
        })
    };
    let sandbox = start().await;
    let seed = sandbox.seed().clone();
    sandbox.telegram().register_auth_key(&key(1), None).unwrap();
    let bot = connect(sandbox.telegram_address(), key(1));
    let token = seed.telegram.bots[0].token.reveal();
    within(bot.client.bot_sign_in(token, &seed.telegram.api_hash)).await.unwrap();
    let chat = source_chat(&sandbox);
    sandbox.telegram().set_member(&chat, seed.telegram.bots[0].user_id, Some(MemberRole::Member)).unwrap();
    let mut dead = signed_in(&sandbox, 2, USER).await;
    let target = FaultTarget::Account(seed.telegram.users[0].account);
    let (kind, span) = (FaultKind::AuthKeyDuplicated, FaultSpan::Count(1));
    sandbox.shared().faults.add(FaultSpec { target, kind, span, wait: Duration::ZERO });
    is_cut(&mut dead).await;
    assert_eq!(dead.refused(&functions::updates::GetState {}).await.code, 406);
    drop((bot, dead));
    sandbox.stop().await;

    let sandbox = start().await;
    assert_eq!(sandbox.registered_auth_keys(), [key(1)], "the other one stays dead");
    let bot = connect(sandbox.telegram_address(), key(1));
    assert!(within(bot.client.is_authorized()).await.unwrap());
    let channel_id = seed.telegram.channels[0].id;
    let known = types::InputChannel { channel_id, access_hash: 0 }.into();
    bot.call(&functions::channels::GetChannels { id: vec![known] }).await.unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(token.len()).any(|window| window == token.as_bytes()));
    }
    sandbox.stop().await;
}

#[tokio::test]
async fn two_sandboxes_live_side_by_side() {
    let (one, two) = (sandbox_with(|_| {}).await, sandbox_with(|config| config.seed = 2).await);
    let (first, second) = (signed_in(&one, 1, USER).await, signed_in(&two, 1, USER).await);
    one.telegram().post_message(&source_chat(&one), &text("only here")).unwrap();
    assert!(two.telegram().list_messages(&source_chat(&two), None, 10).unwrap().is_empty());
    first.dialogs().await;
    second.dialogs().await;
    let chat = source_chat(&one);
    assert_ne!(first.peer(&chat).await.auth, second.peer(&chat).await.auth, "hashes come from the seed");
}
