//! Faults on demand, as clients see them.

use std::time::Duration;

use grammers_mtsender::InvocationError;
use grammers_tl_types::functions;
use switchyard_sandbox::Limits;
use switchyard_sandbox::Sandbox;
use switchyard_sandbox::clock::ClockMode;
use switchyard_sandbox::faults::{FaultKind, FaultSpan, FaultSpec, FaultTarget};
use switchyard_sandbox::platform::Platform;

use super::harness::{USER, connect, key, sandbox, sandbox_with, send, signed_in, source_chat, within};
use super::refusals::edit;

fn fault(sandbox: &Sandbox, target: FaultTarget, kind: FaultKind, wait: u64) {
    let wait = Duration::from_secs(wait);
    sandbox.shared().faults.add(FaultSpec { target, kind, span: FaultSpan::Count(1), wait });
}

const EVERYBODY: FaultTarget = FaultTarget::Platform(Platform::Telegram);

#[tokio::test]
async fn a_flood_wait_holds_its_account_and_its_method_only() {
    let sandbox = sandbox().await;
    let chat = source_chat(&sandbox);
    let (peer, other) = (signed_in(&sandbox, 1, USER).await, signed_in(&sandbox, 2, 1002).await);
    peer.dialogs().await;
    let to = peer.peer(&chat).await;
    fault(&sandbox, FaultTarget::Account(sandbox.seed().telegram.users[0].account), FaultKind::FloodWait, 5);
    other.state().await;
    let refusal = peer.refused(&send(to, "too soon", 1)).await;
    assert_eq!((refusal.code, refusal.name.as_str(), refusal.value), (420, "FLOOD_WAIT", Some(5)));
    peer.state().await;
    assert!(sandbox.shared().violations.snapshot().is_empty());
    // Trying again too early is a violation, and the wait goes on.
    let refusal = peer.refused(&send(to, "still too soon", 1)).await;
    assert_eq!(refusal.code, 420);
    assert_eq!(sandbox.shared().violations.snapshot().get("telegram.call_during_wait"), Some(&1));
    sandbox.shared().clock.advance(Duration::from_secs(5)).unwrap();
    peer.call(&send(to, "now", 1)).await.unwrap();
    assert_eq!(sandbox.telegram().list_messages(&chat, None, 10).unwrap().len(), 1);
}

#[tokio::test]
async fn a_server_error_is_a_500_and_has_no_effect() {
    let sandbox = sandbox().await;
    let chat = source_chat(&sandbox);
    let peer = signed_in(&sandbox, 1, USER).await;
    peer.dialogs().await;
    let to = peer.peer(&chat).await;
    fault(&sandbox, EVERYBODY, FaultKind::ServerError, 0);
    let refusal = peer.refused(&send(to, "lost", 1)).await;
    assert_eq!((refusal.code, refusal.name.as_str()), (500, "INTERNAL"));
    peer.call(&send(to, "sent", 1)).await.unwrap();
    assert_eq!(sandbox.telegram().list_messages(&chat, None, 10).unwrap().len(), 1);
}

#[tokio::test]
async fn a_lost_answer_has_its_effect_and_a_repeat_is_known() {
    let sandbox = sandbox().await;
    let chat = source_chat(&sandbox);
    let peer = signed_in(&sandbox, 1, USER).await;
    peer.dialogs().await;
    let to = peer.peer(&chat).await;
    fault(&sandbox, EVERYBODY, FaultKind::LostAnswer, 0);
    peer.state().await; // reads have no effect that could be in doubt
    let lost = peer.call(&send(to, "once", 1)).await;
    assert!(matches!(lost, Err(InvocationError::Io(_))), "{lost:?}");
    assert_eq!(sandbox.telegram().list_messages(&chat, None, 10).unwrap().len(), 1);
    assert_eq!(peer.refused(&send(to, "once", 1)).await.name, "RANDOM_ID_DUPLICATE");
    assert_eq!(sandbox.telegram().list_messages(&chat, None, 10).unwrap().len(), 1);
}

#[tokio::test]
async fn a_dropped_connection_cuts_idle_clients_too_and_lets_them_come_back() {
    let sandbox = sandbox().await;
    let mut peer = signed_in(&sandbox, 1, USER).await;
    fault(&sandbox, EVERYBODY, FaultKind::DropConnection, 0);
    let closed = within(peer.updates.recv()).await;
    assert!(matches!(closed, Some(grammers_session::updates::UpdatesLike::ConnectionClosed)), "{closed:?}");
    peer.state().await;
}

#[tokio::test]
async fn a_slow_answer_has_its_effect_at_once_and_holds_nobody_up() {
    let sandbox = sandbox().await;
    let chat = source_chat(&sandbox);
    let peer = signed_in(&sandbox, 1, USER).await;
    peer.dialogs().await;
    let to = peer.peer(&chat).await;
    fault(&sandbox, EVERYBODY, FaultKind::Slow, 3600);
    let slow = tokio::spawn({
        let client = peer.client.clone();
        async move { client.invoke(&send(to, "slowly", 1)).await }
    });
    within(async {
        while sandbox.telegram().list_messages(&chat, None, 10).unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    peer.state().await;
    assert!(!slow.is_finished());
    slow.abort();
}

#[tokio::test]
async fn an_account_that_is_unauthorised_is_told_so_and_others_are_not() {
    let sandbox = sandbox().await;
    let chat = source_chat(&sandbox);
    let (peer, other) = (signed_in(&sandbox, 1, USER).await, signed_in(&sandbox, 2, 1002).await);
    peer.dialogs().await;
    let to = peer.peer(&chat).await;
    let target = FaultTarget::Account(sandbox.seed().telegram.users[0].account);
    let span = FaultSpan::For(Duration::from_secs(3600));
    let spec = FaultSpec { target, kind: FaultKind::Unauthorized, span, wait: Duration::ZERO };
    sandbox.shared().faults.add(spec);
    for _ in 0..2 {
        let refusal = peer.refused(&send(to, "not me", 1)).await;
        assert_eq!((refusal.code, refusal.name.as_str()), (401, "AUTH_KEY_UNREGISTERED"));
    }
    assert_eq!(peer.refused(&functions::updates::GetState {}).await.code, 401);
    // A client that connects anew is still told the configuration, and then that it is not signed in.
    let again = connect(sandbox.telegram_address(), key(1));
    assert!(!within(again.client.is_authorized()).await.unwrap());
    other.state().await;
    sandbox.shared().faults.clear();
    peer.call(&send(to, "me", 1)).await.unwrap();
    fault(&sandbox, EVERYBODY, FaultKind::Unauthorized, 0);
    assert_eq!(other.refused(&functions::updates::GetState {}).await.code, 401);
    other.state().await;
    assert_eq!(sandbox.telegram().list_messages(&chat, None, 10).unwrap().len(), 1);
    assert!(sandbox.shared().violations.snapshot().is_empty());
}

#[tokio::test]
async fn the_published_limit_of_a_chat_is_enforced_when_asked_for() {
    let sandbox = sandbox_with(|config| {
        config.limits = Limits::Published;
        config.clock = ClockMode::Frozen;
    })
    .await;
    let chat = source_chat(&sandbox);
    let peer = signed_in(&sandbox, 1, USER).await;
    peer.dialogs().await;
    let to = peer.peer(&chat).await;
    let second = || sandbox.shared().clock.advance(Duration::from_secs(1)).unwrap();
    for n in 1..=3 {
        peer.call(&send(to, "a burst", n)).await.unwrap();
    }
    let refusal = peer.refused(&send(to, "no burst any more", 4)).await;
    assert_eq!((refusal.code, refusal.name.as_str(), refusal.value), (420, "FLOOD_WAIT", Some(1)));
    for n in 4..=19 {
        second();
        peer.call(&send(to, "one a second", n)).await.unwrap();
    }
    second();
    peer.call(&edit(to, 2, "an edit counts as well")).await.unwrap();
    second();
    let refusal = peer.refused(&send(to, "too many in a minute", 21)).await;
    assert_eq!((refusal.code, refusal.name.as_str(), refusal.value), (420, "FLOOD_WAIT", Some(42)));
    assert_eq!(peer.refused(&edit(to, 2, "too many edits")).await.name, "FLOOD_WAIT");
    assert_eq!(sandbox.shared().violations.snapshot().get("telegram.rate_limit"), Some(&3));
    sandbox.shared().clock.advance(Duration::from_secs(42)).unwrap();
    peer.call(&send(to, "slow enough", 22)).await.unwrap();
}
