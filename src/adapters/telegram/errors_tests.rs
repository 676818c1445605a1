//! The table against names and codes as servers send them.

use std::io;

use grammers_tl_types as tl;

use super::*;

fn rpc(code: i32, message: &str) -> InvocationError {
    let raw = tl::types::RpcError { error_code: code, error_message: message.to_owned() };
    InvocationError::Rpc(RpcError::from(raw))
}

fn wait(seconds: u64, scope: HoldScope) -> Fault {
    Fault::Wait { wait: Duration::from_secs(seconds), scope }
}

#[test]
fn waits_are_found_by_prefix_and_keep_their_number() {
    assert_eq!(classify(&rpc(420, "FLOOD_WAIT_31")), wait(31, HoldScope::Account));
    assert_eq!(classify(&rpc(420, "FLOOD_WAIT_9_OR_STARS_5")), wait(9, HoldScope::Account));
    assert_eq!(classify(&rpc(420, "SLOWMODE_WAIT_12")), wait(12, HoldScope::Chat));
    assert_eq!(classify(&rpc(420, "FLOOD_PREMIUM_WAIT_3")), wait(3, HoldScope::Account));
    assert_eq!(classify(&rpc(420, "FLOOD_WAIT_0")), wait(1, HoldScope::Account), "never less than a second");
    assert_eq!(classify(&rpc(420, "SOMETHING_NEW")), wait(60, HoldScope::Account));
    assert_eq!(classify(&rpc(420, "FROZEN_METHOD_INVALID")), Fault::Quarantine, "420 without a wait");
}

#[test]
fn every_class_has_its_names() {
    let table = [
        (rpc(401, "AUTH_KEY_UNREGISTERED"), Fault::SessionDead),
        (rpc(406, "AUTH_KEY_DUPLICATED"), Fault::SessionDead),
        (rpc(401, "SESSION_REVOKED"), Fault::SessionDead),
        (rpc(401, "USER_DEACTIVATED_BAN"), Fault::SessionDead),
        (rpc(401, "NOT_SEEN_BEFORE"), Fault::Suspect),
        (rpc(400, "PEER_FLOOD"), Fault::Quarantine),
        (rpc(400, "FROZEN_PARTICIPANT_MISSING"), Fault::Quarantine),
        (rpc(403, "CHAT_WRITE_FORBIDDEN"), Fault::Chat),
        (rpc(400, "CHANNEL_PRIVATE"), Fault::Chat),
        (rpc(406, "CHAT_FORWARDS_RESTRICTED"), Fault::Chat),
        (rpc(400, "FILE_REFERENCE_2_EXPIRED"), Fault::Repair),
        (rpc(403, "CHAT_SEND_PHOTOS_FORBIDDEN"), Fault::Repair),
        (rpc(403, "CHAT_SEND_PLAIN_FORBIDDEN"), Fault::Chat),
        (rpc(403, "ALLOW_PAYMENT_REQUIRED_5"), Fault::Chat),
        (rpc(400, "CHANNEL_INVALID"), Fault::Repair),
        (rpc(500, "RANDOM_ID_DUPLICATE"), Fault::AlreadySent),
        (rpc(500, "RPC_CALL_FAIL"), Fault::Backoff),
        (rpc(-503, "Timeout"), Fault::Backoff),
        (rpc(400, "MESSAGE_EMPTY"), Fault::Refused),
        (InvocationError::Transport(transport::Error::BadStatus { status: 404 }), Fault::SessionDead),
        (InvocationError::Transport(transport::Error::BadStatus { status: 429 }), Fault::Lost),
        (InvocationError::Io(io::Error::from(io::ErrorKind::ConnectionReset)), Fault::Lost),
        (InvocationError::Session(Box::new(SessionError::KeyChanged)), Fault::SessionDead),
        (InvocationError::Session(Box::new(SessionError::Closed)), Fault::Closed),
    ];
    for (error, fault) in table {
        assert_eq!(classify(&error), fault, "{error}");
    }
}

#[test]
fn a_repeat_that_telegram_recognises_is_a_delivery() {
    assert_eq!(send_outcome(&rpc(500, "RANDOM_ID_DUPLICATE")), SendOutcome::Delivered { message: None });
    let lost = InvocationError::Dropped("gone");
    assert!(matches!(send_outcome(&lost), SendOutcome::Unclear { .. }), "it may have arrived");
    let closed = InvocationError::Session(Box::new(SessionError::Closed));
    assert!(matches!(send_outcome(&closed), SendOutcome::Offline { .. }), "it never left");
}

#[test]
fn connections_end_in_their_own_vocabulary() {
    assert_eq!(
        connection_error(&rpc(401, "SESSION_REVOKED")),
        ConnectionError::NeedsLogin("401 SESSION_REVOKED".to_owned())
    );
    let wait = Duration::from_secs(5);
    let reason = "420 FLOOD_WAIT (5)".to_owned();
    assert_eq!(connection_error(&rpc(420, "FLOOD_WAIT_5")), ConnectionError::Wait { wait, reason });
    assert!(matches!(connection_error(&rpc(500, "INTERDC_2_CALL_ERROR")), ConnectionError::Unreachable(_)));
    let store = SessionError::Store(StoreError::Unavailable("busy".to_owned()));
    assert!(matches!(
        connection_error(&InvocationError::Session(Box::new(store))),
        ConnectionError::Store(_)
    ));
}
