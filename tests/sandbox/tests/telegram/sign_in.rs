//! Signing in by code, and the ends of a session.

use grammers_client::SignInError;
use grammers_tl_types::{enums, functions, types};

use super::harness::{USER, connect, key, sandbox, signed_in, within};

#[tokio::test]
async fn a_person_signs_in_by_code_and_out() {
    let sandbox = sandbox().await;
    let user = &sandbox.seed().telegram.users[0];
    sandbox.telegram().register_auth_key(&key(1), None).unwrap();
    assert_eq!(sandbox.telegram().auth_keys(), [key(1)]);
    assert_eq!(sandbox.registered_auth_keys(), [key(1)]);
    let peer = connect(sandbox.telegram_address(), key(1));
    assert!(!within(peer.client.is_authorized()).await.unwrap());

    let hash = sandbox.seed().telegram.api_hash.clone();
    let token = within(peer.client.request_login_code(&user.phone, &hash)).await.unwrap();
    let wrong = within(peer.client.sign_in(&token, "00000")).await;
    assert!(matches!(wrong, Err(SignInError::InvalidCode)));
    let me = within(peer.client.sign_in(&token, user.code.reveal())).await.unwrap();
    assert_eq!(me.id().bare_id(), Some(USER));
    let me = within(peer.client.get_me()).await.unwrap();
    assert_eq!(me.first_name(), Some("Telegram"));
    assert_eq!(me.phone().map(str::to_owned), Some(user.phone.trim_start_matches('+').to_owned()));

    within(peer.client.sign_out()).await.unwrap();
    assert!(!within(peer.client.is_authorized()).await.unwrap());
    assert_eq!(peer.refused(&functions::updates::GetState {}).await.name, "AUTH_KEY_UNREGISTERED");
}

#[tokio::test]
async fn a_code_is_also_told_to_the_users_other_sessions_by_telegram_itself() {
    let sandbox = sandbox().await;
    let user = sandbox.seed().telegram.users[0].clone();
    let mut other = signed_in(&sandbox, 1, USER).await;
    sandbox.telegram().register_auth_key(&key(2), None).unwrap();
    let new = connect(sandbox.telegram_address(), key(2));
    let hash = sandbox.seed().telegram.api_hash.clone();
    within(new.client.request_login_code(&user.phone, &hash)).await.unwrap();

    let update = other.pushed_one().await;
    let enums::Update::NewMessage(types::UpdateNewMessage { message, pts: 2, pts_count: 1 }) = update else {
        panic!("expected a private message, got {update:?}");
    };
    let enums::Message::Message(message) = message else { panic!("expected a message with text") };
    assert_eq!(message.peer_id, enums::Peer::User(types::PeerUser { user_id: 777_000 }));
    assert!(!message.out && message.message.contains(user.code.reveal()));
}

#[tokio::test]
async fn sign_ins_are_refused_as_telegram_refuses_them() {
    let sandbox = sandbox().await;
    let user = sandbox.seed().telegram.users[0].clone();
    let hash = sandbox.seed().telegram.api_hash.clone();
    sandbox.telegram().register_auth_key(&key(1), None).unwrap();
    let peer = connect(sandbox.telegram_address(), key(1));
    let send_code = |phone_number: &str, api_hash: &str| functions::auth::SendCode {
        phone_number: phone_number.to_owned(),
        api_id: 1,
        api_hash: api_hash.to_owned(),
        settings: types::CodeSettings {
            allow_flashcall: false,
            current_number: false,
            allow_app_hash: false,
            allow_missed_call: false,
            allow_firebase: false,
            unknown_number: false,
            logout_tokens: None,
            token: None,
            app_sandbox: None,
        }
        .into(),
    };
    assert_eq!(peer.refused(&send_code(&user.phone, "0123")).await.name, "API_ID_INVALID");
    assert_eq!(peer.refused(&send_code("+1", &hash)).await.name, "PHONE_NUMBER_INVALID");
    let unknown = functions::auth::SignIn {
        phone_number: user.phone.clone(),
        phone_code_hash: "nothing".to_owned(),
        phone_code: Some(user.code.reveal().to_owned()),
        email_verification: None,
    };
    assert_eq!(peer.refused(&unknown).await.name, "PHONE_CODE_EXPIRED");
    let sign_up = functions::auth::SignUp {
        no_joined_notifications: false,
        phone_number: "+999661234567".to_owned(),
        phone_code_hash: "nothing".to_owned(),
        first_name: "New".to_owned(),
        last_name: String::new(),
    };
    assert_eq!(peer.refused(&sign_up).await.code, 406);
    let bind = functions::auth::BindTempAuthKey {
        perm_auth_key_id: 1,
        nonce: 2,
        expires_at: 3,
        encrypted_message: vec![0; 40],
    };
    assert_eq!(peer.refused(&bind).await.name, "ENCRYPTED_MESSAGE_INVALID");
}

#[tokio::test]
async fn a_session_that_another_one_ended_is_told_so() {
    let sandbox = sandbox().await;
    let (first, second) = (signed_in(&sandbox, 1, USER).await, signed_in(&sandbox, 2, USER).await);
    assert!(first.call(&functions::auth::ResetAuthorizations {}).await.unwrap());
    let refusal = second.refused(&functions::updates::GetState {}).await;
    assert_eq!((refusal.code, refusal.name.as_str()), (401, "SESSION_REVOKED"));
    first.state().await;
}

#[tokio::test]
async fn an_authorization_is_carried_to_another_key() {
    let sandbox = sandbox().await;
    let first = signed_in(&sandbox, 1, USER).await;
    sandbox.telegram().register_auth_key(&key(2), None).unwrap();
    let second = connect(sandbox.telegram_address(), key(2));
    let enums::auth::ExportedAuthorization::Authorization(exported) =
        first.call(&functions::auth::ExportAuthorization { dc_id: 4 }).await.unwrap();
    let import = functions::auth::ImportAuthorization { id: exported.id, bytes: exported.bytes };
    second.call(&import).await.unwrap();
    assert_eq!(within(second.client.get_me()).await.unwrap().id().bare_id(), Some(USER));
    assert_eq!(second.refused(&import).await.name, "AUTH_BYTES_INVALID");
}
