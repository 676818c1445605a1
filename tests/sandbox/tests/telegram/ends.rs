//! Sessions that end and accounts that may no longer write: by faults, and by their place in a channel.

use std::time::Duration;

use grammers_mtsender::InvocationError;
use grammers_session::types::PeerRef;
use grammers_session::updates::UpdatesLike;
use grammers_tl_types::{enums, functions};
use switchyard_sandbox::Sandbox;
use switchyard_sandbox::faults::{FaultKind, FaultSpan, FaultSpec, FaultTarget};
use switchyard_sandbox::platform::Platform;
use switchyard_sandbox::telegram::MemberRole;

use super::harness::{Peer, USER, sandbox, send, signed_in, source_chat, text, within};
use super::refusals::edit;

const WAIT: Duration = Duration::from_secs(40);

fn fault(sandbox: &Sandbox, target: FaultTarget, kind: FaultKind, span: FaultSpan) {
    sandbox.shared().faults.add(FaultSpec { target, kind, span, wait: WAIT });
}

fn account(sandbox: &Sandbox) -> FaultTarget {
    FaultTarget::Account(sandbox.seed().telegram.users[0].account)
}

async fn writer(sandbox: &Sandbox) -> (Peer, PeerRef) {
    let peer = signed_in(sandbox, 1, USER).await;
    peer.dialogs().await;
    let to = peer.peer(&source_chat(sandbox)).await;
    (peer, to)
}

pub(super) async fn is_cut(peer: &mut Peer) {
    let closed = within(peer.updates.recv()).await;
    assert!(matches!(closed, Some(UpdatesLike::ConnectionClosed)), "{closed:?}");
}

#[tokio::test]
async fn a_revoked_session_is_told_so_and_stays_revoked() {
    let sandbox = sandbox().await;
    let (mut peer, _) = writer(&sandbox).await;
    fault(&sandbox, account(&sandbox), FaultKind::SessionRevoked, FaultSpan::Count(1));
    is_cut(&mut peer).await;
    for _ in 0..2 {
        let refusal = peer.refused(&functions::updates::GetState {}).await;
        assert_eq!((refusal.code, refusal.name.as_str()), (401, "SESSION_REVOKED"));
    }
    sandbox.stop().await;
}

#[tokio::test]
async fn a_duplicated_key_is_dead_and_no_longer_known() {
    let sandbox = sandbox().await;
    let (mut peer, _) = writer(&sandbox).await;
    fault(&sandbox, account(&sandbox), FaultKind::AuthKeyDuplicated, FaultSpan::Count(1));
    is_cut(&mut peer).await;
    let refusal = peer.refused(&functions::updates::GetState {}).await;
    assert_eq!((refusal.code, refusal.name.as_str()), (406, "AUTH_KEY_DUPLICATED"));
    assert!(sandbox.registered_auth_keys().is_empty());
    let unknown = peer.call(&functions::updates::GetState {}).await;
    assert!(
        matches!(&unknown, Err(InvocationError::Transport(error)) if error.to_string().contains("404")),
        "{unknown:?}"
    );
    let other = signed_in(&sandbox, 2, USER).await;
    other.state().await;
    sandbox.stop().await;
}

#[tokio::test]
async fn a_banned_user_is_told_so_while_the_ban_lasts() {
    let sandbox = sandbox().await;
    let (peer, _) = writer(&sandbox).await;
    fault(&sandbox, account(&sandbox), FaultKind::UserDeactivatedBan, FaultSpan::For(WAIT));
    for _ in 0..2 {
        let refusal = peer.refused(&functions::updates::GetState {}).await;
        assert_eq!((refusal.code, refusal.name.as_str()), (401, "USER_DEACTIVATED_BAN"));
    }
    sandbox.shared().clock.advance(WAIT).unwrap();
    peer.state().await;
    sandbox.stop().await;
}

#[tokio::test]
async fn a_frozen_account_reads_and_does_not_write() {
    let sandbox = sandbox().await;
    let (mut peer, to) = writer(&sandbox).await;
    peer.call(&send(to, "before", 1)).await.unwrap();
    // The answer to the send is among what the client hands on.
    assert_eq!(peer.pushed().await.updates.len(), 2);
    fault(&sandbox, account(&sandbox), FaultKind::Frozen, FaultSpan::For(WAIT));
    let frozen = (420, "FROZEN_METHOD_INVALID".to_owned(), None);
    let refusal = peer.refused(&send(to, "frozen", 2)).await;
    assert_eq!((refusal.code, refusal.name, refusal.value), frozen);
    assert_eq!(peer.refused(&edit(to, 2, "changed")).await.name, frozen.1);
    let delete = functions::channels::DeleteMessages { channel: to.into(), id: vec![2] };
    assert_eq!(peer.refused(&delete).await.name, frozen.1);
    sandbox.telegram().post_message(&source_chat(&sandbox), &text("of another")).unwrap();
    assert!(matches!(peer.pushed_one().await, enums::Update::NewChannelMessage(_)));
    sandbox.shared().faults.clear();
    peer.call(&send(to, "thawed", 3)).await.unwrap();
    assert!(sandbox.shared().violations.snapshot().is_empty());
    sandbox.stop().await;
}

#[tokio::test]
async fn a_chat_slows_and_closes_for_whoever_writes_there() {
    let sandbox = sandbox().await;
    let (peer, to) = writer(&sandbox).await;
    let chat = FaultTarget::Chat(Platform::Telegram, source_chat(&sandbox).parse().unwrap());
    let elsewhere = FaultTarget::Chat(Platform::Telegram, -1_000_000_000_007);
    fault(&sandbox, elsewhere, FaultKind::ChatWriteForbidden, FaultSpan::For(WAIT));
    fault(&sandbox, chat, FaultKind::SlowmodeWait, FaultSpan::Count(1));
    for _ in 0..2 {
        let refusal = peer.refused(&send(to, "slow", 1)).await;
        assert_eq!(
            (refusal.code, refusal.name.as_str(), refusal.value.is_some()),
            (420, "SLOWMODE_WAIT", true)
        );
    }
    assert_eq!(sandbox.shared().violations.snapshot().get("telegram.call_during_wait"), Some(&1));
    sandbox.shared().clock.advance(WAIT).unwrap();
    peer.call(&send(to, "slow", 1)).await.unwrap();
    fault(&sandbox, chat, FaultKind::ChatWriteForbidden, FaultSpan::Count(2));
    assert_eq!(peer.refused(&send(to, "closed", 2)).await.name, "CHAT_WRITE_FORBIDDEN");
    assert_eq!(peer.refused(&edit(to, 2, "closed")).await.name, "CHAT_WRITE_FORBIDDEN");
    fault(&sandbox, account(&sandbox), FaultKind::PeerFlood, FaultSpan::Count(1));
    let refusal = peer.refused(&send(to, "flood", 2)).await;
    assert_eq!((refusal.code, refusal.name.as_str()), (400, "PEER_FLOOD"));
    peer.call(&send(to, "open again", 2)).await.unwrap();
    sandbox.stop().await;
}

#[tokio::test]
async fn a_place_in_a_channel_is_taken_away_and_given_back() {
    let sandbox = sandbox().await;
    let (mut peer, to) = writer(&sandbox).await;
    let chat = source_chat(&sandbox);
    let told = async |peer: &mut Peer| assert!(matches!(peer.pushed_one().await, enums::Update::Channel(_)));
    sandbox.telegram().set_member(&chat, USER, Some(MemberRole::Restricted)).unwrap();
    told(&mut peer).await;
    let refusal = peer.refused(&send(to, "muted", 1)).await;
    assert_eq!((refusal.code, refusal.name.as_str()), (403, "CHAT_WRITE_FORBIDDEN"));
    sandbox.telegram().set_member(&chat, USER, None).unwrap();
    told(&mut peer).await;
    assert_eq!(peer.refused(&send(to, "removed", 1)).await.name, "CHANNEL_PRIVATE");
    sandbox.telegram().set_member(&chat, USER, Some(MemberRole::Admin)).unwrap();
    told(&mut peer).await;
    peer.call(&send(to, "back", 1)).await.unwrap();
    assert!(sandbox.telegram().set_member("2001", USER, None).is_err());
    sandbox.stop().await;
}

#[tokio::test]
async fn what_was_missed_can_be_too_much_to_be_told() {
    let sandbox = sandbox().await;
    let (peer, to) = writer(&sandbox).await;
    sandbox.telegram().post_message(&source_chat(&sandbox), &text("missed")).unwrap();
    sandbox.telegram().post_message(&USER.to_string(), &text("missed")).unwrap();
    fault(&sandbox, account(&sandbox), FaultKind::DifferenceTooLong, FaultSpan::Count(2));
    let common = functions::updates::GetDifference {
        pts: 1,
        pts_limit: None,
        pts_total_limit: None,
        date: 1,
        qts: 0,
        qts_limit: None,
    };
    let answer = peer.call(&common).await.unwrap();
    assert!(matches!(answer, enums::updates::Difference::TooLong(_)), "{answer:?}");
    let channel = functions::updates::GetChannelDifference {
        force: false,
        channel: to.into(),
        filter: enums::ChannelMessagesFilter::Empty,
        pts: 1,
        limit: 100,
    };
    let answer = peer.call(&channel).await.unwrap();
    let enums::updates::ChannelDifference::TooLong(long) = answer else { panic!("{answer:?}") };
    assert_eq!(long.messages.len(), 2, "the latest messages, the opening one among them");
    let answer = peer.call(&channel).await.unwrap();
    assert!(matches!(answer, enums::updates::ChannelDifference::Difference(_)), "{answer:?}");
    sandbox.stop().await;
}
