//! Every kind of fault, for one account and for everybody: who is struck, who is not, and what took effect.

use std::time::Duration;

use grammers_mtsender::InvocationError;
use grammers_session::types::PeerRef;
use grammers_session::updates::UpdatesLike;
use grammers_tl_types::functions;
use switchyard_sandbox::Sandbox;
use switchyard_sandbox::faults::{FaultKind, FaultSpan, FaultSpec, FaultTarget};
use switchyard_sandbox::platform::Platform;

use super::harness::{Peer, USER, connect, key, sandbox_with, send, signed_in, within};

const EVERYBODY: FaultTarget = FaultTarget::Platform(Platform::Telegram);

/// A sandbox with two accounts, each with a source chat that it can write in.
struct World {
    sandbox: Sandbox,
    accounts: [(Peer, PeerRef, String); 2],
}

impl World {
    async fn start() -> Self {
        let sandbox = sandbox_with(|config| config.shape.pairs.telegram_to_discord = 2).await;
        let mut accounts = Vec::new();
        for (seed, user, pair) in [(1, USER, 0), (2, 1002, 1)] {
            let chat = sandbox.seed().pairs[pair].source.chat.clone();
            let peer = signed_in(&sandbox, seed, user).await;
            peer.dialogs().await;
            let to = peer.peer(&chat).await;
            accounts.push((peer, to, chat));
        }
        let Ok(accounts) = accounts.try_into() else { panic!("two accounts") };
        Self { sandbox, accounts }
    }

    fn fault(&self, target: FaultTarget, kind: FaultKind, span: FaultSpan) {
        let spec = FaultSpec { target, kind, span, wait: Duration::from_secs(3600) };
        self.sandbox.shared().faults.add(spec);
    }

    fn account(&self, index: usize) -> FaultTarget {
        FaultTarget::Account(self.sandbox.seed().telegram.users[index].account)
    }

    /// Sends as one of the accounts; how it was refused.
    async fn send(&self, account: usize, random_id: i64) -> Result<(), InvocationError> {
        let (peer, to, _) = &self.accounts[account];
        peer.call(&send(*to, "text", random_id)).await.map(drop)
    }

    /// How many messages the account's chat has.
    fn written(&self, account: usize) -> usize {
        let chat = &self.accounts[account].2;
        self.sandbox.telegram().list_messages(chat, None, 100).unwrap().len()
    }

    fn left(&self) -> usize {
        self.sandbox.shared().faults.list().len()
    }
}

fn code(result: &Result<(), InvocationError>) -> Option<i32> {
    match result {
        Err(InvocationError::Rpc(error)) => Some(error.code),
        _ => None,
    }
}

#[tokio::test]
async fn an_account_is_struck_and_another_is_not() {
    for (kind, expected, written) in [
        (FaultKind::FloodWait, Some(420), 0),
        (FaultKind::ServerError, Some(500), 0),
        (FaultKind::Unauthorized, Some(401), 0),
        (FaultKind::LostAnswer, None, 1),
    ] {
        let world = World::start().await;
        world.fault(world.account(0), kind, FaultSpan::Count(1));
        world.send(1, 1).await.unwrap();
        assert_eq!((world.left(), world.written(1)), (1, 1), "{kind:?} is for the other account");
        let struck = world.send(0, 1).await;
        assert!(struck.is_err(), "{kind:?}");
        assert_eq!((code(&struck), world.left(), world.written(0)), (expected, 0, written), "{kind:?}");
        world.send(1, 2).await.unwrap();
        assert!(world.sandbox.shared().violations.snapshot().is_empty());
    }
}

#[tokio::test]
async fn everybody_is_struck_whoever_comes_first() {
    for (kind, expected, written) in [
        (FaultKind::FloodWait, Some(420), 0),
        (FaultKind::ServerError, Some(500), 0),
        (FaultKind::Unauthorized, Some(401), 0),
        (FaultKind::LostAnswer, None, 1),
    ] {
        let world = World::start().await;
        world.fault(EVERYBODY, kind, FaultSpan::Count(2));
        for account in [1, 0] {
            let struck = world.send(account, 1).await;
            assert!(struck.is_err(), "{kind:?}");
            assert_eq!((code(&struck), world.written(account)), (expected, written), "{kind:?}");
        }
        assert_eq!(world.left(), 0, "{kind:?}");
    }
}

#[tokio::test]
async fn a_slow_account_is_slow_alone() {
    let world = World::start().await;
    world.fault(world.account(0), FaultKind::Slow, FaultSpan::Count(1));
    world.send(1, 1).await.unwrap();
    let (peer, to, _) = &world.accounts[0];
    let slow = tokio::spawn({
        let (client, request) = (peer.client.clone(), send(*to, "slowly", 1));
        async move { client.invoke(&request).await.map(drop) }
    });
    within(async {
        while world.written(0) == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    world.send(1, 2).await.unwrap();
    world.send(0, 2).await.unwrap();
    assert!(!slow.is_finished());
    slow.abort();
}

#[tokio::test]
async fn an_account_without_connection_stays_without_while_the_fault_lasts() {
    let mut world = World::start().await;
    world.fault(world.account(0), FaultKind::DropConnection, FaultSpan::For(Duration::from_secs(3600)));
    let closed = within(world.accounts[0].0.updates.recv()).await;
    assert!(matches!(closed, Some(UpdatesLike::ConnectionClosed)), "{closed:?}");
    world.send(1, 1).await.unwrap();
    // Not even the greeting of a new connection is answered.
    for _ in 0..2 {
        assert!(world.send(0, 1).await.is_err());
        let again = connect(world.sandbox.telegram_address(), key(1));
        let greeting = within(again.client.invoke(&functions::help::GetConfig {})).await;
        assert!(matches!(greeting, Err(InvocationError::Io(_))), "{greeting:?}");
    }
    assert_eq!(world.written(0), 0);
    world.sandbox.shared().faults.clear();
    world.send(0, 1).await.unwrap();
    assert_eq!(world.written(0), 1);
}

#[tokio::test]
async fn nobody_connects_while_the_data_centre_is_gone() {
    let mut world = World::start().await;
    world.fault(EVERYBODY, FaultKind::DropConnection, FaultSpan::For(Duration::from_secs(3600)));
    for account in 0..2 {
        let closed = within(world.accounts[account].0.updates.recv()).await;
        assert!(matches!(closed, Some(UpdatesLike::ConnectionClosed)), "{closed:?}");
        assert!(world.send(account, 1).await.is_err());
    }
    world.sandbox.shared().clock.advance(Duration::from_secs(3600)).unwrap();
    for account in 0..2 {
        world.send(account, 1).await.unwrap();
    }
}

#[tokio::test]
async fn an_answer_is_lost_only_where_something_took_effect() {
    let world = World::start().await;
    world.send(0, 1).await.unwrap();
    world.fault(world.account(0), FaultKind::LostAnswer, FaultSpan::Count(1));
    assert_eq!(code(&world.send(0, 1).await), Some(500), "RANDOM_ID_DUPLICATE is told");
    assert_eq!(world.left(), 1);
    assert!(matches!(world.send(0, 2).await, Err(InvocationError::Io(_))));
    assert_eq!((world.left(), world.written(0)), (0, 2));
}

#[tokio::test]
async fn a_wait_before_sign_in_is_for_its_own_key() {
    let world = World::start().await;
    let telegram = world.sandbox.telegram();
    let call = functions::help::GetNearestDc {};
    let mut peers = Vec::new();
    for seed in [3, 4] {
        telegram.register_auth_key(&key(seed), None).unwrap();
        peers.push(connect(world.sandbox.telegram_address(), key(seed)));
    }
    world.fault(EVERYBODY, FaultKind::FloodWait, FaultSpan::Count(1));
    assert_eq!(peers[0].refused(&call).await.code, 420);
    peers[1].call(&call).await.unwrap();
    assert_eq!(peers[0].refused(&call).await.code, 420);
}
