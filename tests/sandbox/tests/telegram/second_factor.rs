//! Signing in with a password behind the code, and by QR code.

use grammers_client::SignInError;
use grammers_session::updates::UpdatesLike;
use grammers_tl_types::{enums, functions, types};
use switchyard_sandbox::Sandbox;

use super::harness::{Peer, USER, connect, key, sandbox, signed_in, within};

/// The seeded user with a password.
const GUARDED: i64 = 1002;

/// A client with a key with which nobody is signed in.
fn newcomer(sandbox: &Sandbox, seed: u8) -> Peer {
    sandbox.telegram().register_auth_key(&key(seed), None).unwrap();
    connect(sandbox.telegram_address(), key(seed))
}

/// Gives the right code of the user with a password.
async fn give_code(sandbox: &Sandbox, peer: &Peer) -> SignInError {
    let user = &sandbox.seed().telegram.users[1];
    let hash = &sandbox.seed().telegram.api_hash;
    let token = within(peer.client.request_login_code(&user.phone, hash)).await.unwrap();
    within(peer.client.sign_in(&token, user.code.reveal())).await.unwrap_err()
}

fn password(sandbox: &Sandbox) -> &str {
    sandbox.seed().telegram.users[1].password.as_ref().unwrap().reveal()
}

async fn offered(peer: &Peer) -> types::account::Password {
    let enums::account::Password::Password(offered) =
        peer.call(&functions::account::GetPassword {}).await.unwrap();
    offered
}

/// A proof under an id; what it proves nobody can say.
fn proof(srp_id: i64) -> functions::auth::CheckPassword {
    let proof = types::InputCheckPasswordSrp { srp_id, a: vec![3; 256], m1: vec![4; 32] };
    functions::auth::CheckPassword { password: proof.into() }
}

#[tokio::test]
async fn a_password_is_asked_for_behind_the_code_and_really_checked() {
    let sandbox = sandbox().await;
    let peer = newcomer(&sandbox, 1);
    assert_eq!(peer.refused(&functions::account::GetPassword {}).await.name, "AUTH_KEY_UNREGISTERED");
    let SignInError::PasswordRequired(token) = give_code(&sandbox, &peer).await else { panic!("a password") };
    assert_eq!(token.hint(), Some("seeded"));
    let refusal = peer.refused(&functions::updates::GetState {}).await;
    assert_eq!((refusal.code, refusal.name.as_str()), (401, "SESSION_PASSWORD_NEEDED"));
    let wrong = within(peer.client.check_password(token, "not this")).await.unwrap_err();
    assert!(matches!(wrong, SignInError::InvalidPassword(_)), "{wrong:?}");
    let SignInError::PasswordRequired(token) = give_code(&sandbox, &peer).await else { panic!("a password") };
    let me = within(peer.client.check_password(token, password(&sandbox))).await.unwrap();
    assert_eq!(me.id().bare_id(), Some(GUARDED));
    peer.state().await;
    assert!(offered(&peer).await.has_password, "the own password can be asked for when signed in");
    within(peer.client.sign_out()).await.unwrap();
    assert_eq!(peer.refused(&functions::updates::GetState {}).await.name, "AUTH_KEY_UNREGISTERED");
    sandbox.stop().await;
}

#[tokio::test]
async fn a_check_is_good_once_and_until_the_next_one_begins() {
    let sandbox = sandbox().await;
    let peer = newcomer(&sandbox, 1);
    give_code(&sandbox, &peer).await;
    let first = offered(&peer).await.srp_id.unwrap();
    let second = offered(&peer).await.srp_id.unwrap();
    assert_eq!(peer.refused(&proof(first)).await.name, "SRP_ID_INVALID");
    assert_eq!(peer.refused(&proof(second)).await.name, "PASSWORD_HASH_INVALID");
    assert_eq!(peer.refused(&proof(second)).await.name, "SRP_ID_INVALID", "used up");
    for _ in 0..4 {
        let id = offered(&peer).await.srp_id.unwrap();
        assert_eq!(peer.refused(&proof(id)).await.name, "PASSWORD_HASH_INVALID");
    }
    let id = offered(&peer).await.srp_id.unwrap();
    let refusal = peer.refused(&proof(id)).await;
    assert_eq!((refusal.code, refusal.name.as_str()), (420, "FLOOD_WAIT"), "no more guessing");
    sandbox.shared().clock.advance(std::time::Duration::from_secs(3600)).unwrap();
    let SignInError::PasswordRequired(token) = give_code(&sandbox, &peer).await else { panic!("a password") };
    within(peer.client.check_password(token, password(&sandbox))).await.unwrap();
    sandbox.stop().await;
}

#[tokio::test]
async fn a_sign_in_that_waits_for_its_password_can_be_given_up() {
    let sandbox = sandbox().await;
    let peer = newcomer(&sandbox, 1);
    give_code(&sandbox, &peer).await;
    within(peer.client.sign_out()).await.unwrap();
    assert_eq!(peer.refused(&functions::account::GetPassword {}).await.name, "AUTH_KEY_UNREGISTERED");
    sandbox.stop().await;
}

fn export(sandbox: &Sandbox) -> functions::auth::ExportLoginToken {
    let api_hash = sandbox.seed().telegram.api_hash.clone();
    functions::auth::ExportLoginToken { api_id: 1, api_hash, except_ids: Vec::new() }
}

/// The token that a client shows.
async fn shown(sandbox: &Sandbox, peer: &Peer) -> Vec<u8> {
    match peer.call(&export(sandbox)).await.unwrap() {
        enums::auth::LoginToken::Token(shown) => shown.token,
        other => panic!("expected a token, got {other:?}"),
    }
}

async fn told(peer: &mut Peer) {
    match within(peer.updates.recv()).await {
        Some(UpdatesLike::Updates(enums::Updates::UpdateShort(types::UpdateShort {
            update: enums::Update::LoginToken,
            ..
        }))) => {}
        other => panic!("expected to be told of the scan, got {other:?}"),
    }
}

#[tokio::test]
async fn a_code_that_somebody_scans_signs_in() {
    let sandbox = sandbox().await;
    let mut peer = newcomer(&sandbox, 1);
    let token = shown(&sandbox, &peer).await;
    assert_eq!(shown(&sandbox, &peer).await, token, "good for a while");
    sandbox.telegram().accept_login_token(Some(&token), USER).unwrap();
    told(&mut peer).await;
    let success = peer.call(&export(&sandbox)).await.unwrap();
    let enums::auth::LoginToken::Success(types::auth::LoginTokenSuccess {
        authorization: enums::auth::Authorization::Authorization(authorization),
    }) = success
    else {
        panic!("expected to be signed in")
    };
    assert_eq!(authorization.user.id(), USER);
    peer.state().await;
    sandbox.stop().await;
}

#[tokio::test]
async fn a_code_expires_and_is_scanned_once() {
    let sandbox = sandbox().await;
    let peer = newcomer(&sandbox, 1);
    let other = signed_in(&sandbox, 2, USER).await;
    let first = shown(&sandbox, &peer).await;
    sandbox.shared().clock.advance(std::time::Duration::from_secs(31)).unwrap();
    let accept = |token: &[u8]| functions::auth::AcceptLoginToken { token: token.to_vec() };
    assert_eq!(other.refused(&accept(&first)).await.name, "AUTH_TOKEN_EXPIRED");
    assert_eq!(other.refused(&accept(b"nothing")).await.name, "AUTH_TOKEN_INVALID");
    let second = shown(&sandbox, &peer).await;
    assert_ne!(first, second);
    other.call(&accept(&second)).await.unwrap();
    assert_eq!(other.refused(&accept(&second)).await.name, "AUTH_TOKEN_ALREADY_ACCEPTED");
    let import = functions::auth::ImportLoginToken { token: second };
    assert!(matches!(peer.call(&import).await.unwrap(), enums::auth::LoginToken::Success(_)));
    assert_eq!(peer.refused(&import).await.name, "AUTH_TOKEN_INVALID");
    sandbox.stop().await;
}

#[tokio::test]
async fn a_scanned_code_does_not_replace_the_password() {
    let sandbox = sandbox().await;
    let mut peer = newcomer(&sandbox, 1);
    shown(&sandbox, &peer).await;
    sandbox.telegram().accept_login_token(None, GUARDED).unwrap();
    told(&mut peer).await;
    let refusal = peer.refused(&export(&sandbox)).await;
    assert_eq!((refusal.code, refusal.name.as_str()), (401, "SESSION_PASSWORD_NEEDED"));
    let offer = offered(&peer).await;
    let token = grammers_client::client::PasswordToken::new(offer);
    let me = within(peer.client.check_password(token, password(&sandbox))).await.unwrap();
    assert_eq!(me.id().bare_id(), Some(GUARDED));
    sandbox.stop().await;
}

#[tokio::test]
async fn a_code_is_scanned_by_the_control_api() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let sandbox = sandbox().await;
    let peer = newcomer(&sandbox, 1);
    let url = format!("{}/sandbox/telegram/login-tokens/accept", sandbox.control_url());
    let client = reqwest::Client::new();
    let post = |body: serde_json::Value| client.post(&url).json(&body).send();
    let nothing = post(serde_json::json!({ "user_id": USER })).await.unwrap();
    assert_eq!(nothing.status(), 422, "no code is shown");
    shown(&sandbox, &peer).await;
    let nobody = post(serde_json::json!({ "user_id": "5" })).await.unwrap();
    assert_eq!(nobody.status(), 422);
    let accepted = post(serde_json::json!({ "user_id": USER.to_string() })).await.unwrap();
    assert_eq!(accepted.status(), 200);
    let accepted: serde_json::Value = accepted.json().await.unwrap();
    assert_eq!(accepted["user_id"], USER);
    assert!(matches!(peer.call(&export(&sandbox)).await.unwrap(), enums::auth::LoginToken::Success(_)));
    sandbox.stop().await;
}
