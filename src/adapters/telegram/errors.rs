//! One table from Telegram's errors to what they mean for a connection and for a send.
//!
//! Sources: core.telegram.org/api/errors, core.telegram.org/mtproto/mtproto-transports#transport-errors, and the names
//! that TDLib and Telethon treat specially. The client strips `_<digits>` from names and keeps the number apart, so
//! waits are matched by prefix.

use std::time::Duration;

use grammers_mtproto::transport;
use grammers_mtsender::{InvocationError, RpcError};
use switchyard_actors::model::{HoldScope, SendOutcome};
use switchyard_actors::ports::{ConnectionError, StoreError};

use super::session::SessionError;

/// A wait of a kind that is not known here, as code 420 without a number.
const UNKNOWN_WAIT: Duration = Duration::from_secs(60);

/// What an error means, whatever was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Ask again after this time, not before.
    Wait {
        /// How long.
        wait: Duration,
        /// Whom it holds.
        scope: HoldScope,
    },
    /// A passing fault of the server, answered: nothing was done, or the repeat is recognised.
    Backoff,
    /// No answer, or the connection went with the request under way.
    Lost,
    /// There was no connection any more: the request never left.
    Closed,
    /// The message was accepted before under the same `random_id`; its id is not told.
    AlreadySent,
    /// Something is out of date (access hash, file reference) or too long: another form of the request may pass.
    Repair,
    /// The chat refuses: kicked, read-only, protected, gone.
    Chat,
    /// The account may not act at all for now.
    Quarantine,
    /// The session is over.
    SessionDead,
    /// An authorisation error without a known name: dead, if asking who one is says so too.
    Suspect,
    /// This request is refused for good.
    Refused,
    /// Our own store failed.
    Store,
}

/// Waits whose number counts, by prefix of the name.
const WAITS: &[(&str, HoldScope)] = &[
    ("SLOWMODE_WAIT", HoldScope::Chat),
    ("FLOOD_WAIT", HoldScope::Account),
    ("FLOOD_PREMIUM_WAIT", HoldScope::Account),
    ("FLOOD_TEST_PHONE_WAIT", HoldScope::Account),
    ("FLOOD_SKIP_FAILED_WAIT", HoldScope::Account),
    ("TAKEOUT_INIT_DELAY", HoldScope::Account),
    ("SESSION_TOO_FRESH", HoldScope::Account),
];

const SESSION_DEAD: &[&str] = &[
    "AUTH_KEY_UNREGISTERED",
    "AUTH_KEY_INVALID",
    "AUTH_KEY_PERM_EMPTY",
    "AUTH_KEY_DUPLICATED",
    "SESSION_REVOKED",
    "SESSION_EXPIRED",
    "USER_DEACTIVATED",
    "USER_DEACTIVATED_BAN",
];

const QUARANTINE: &[&str] = &["PEER_FLOOD", "USER_RESTRICTED"];

const CHAT: &[&str] = &[
    "CHAT_WRITE_FORBIDDEN",
    "CHAT_ADMIN_REQUIRED",
    "CHANNEL_PRIVATE",
    "USER_BANNED_IN_CHANNEL",
    "CHAT_RESTRICTED",
    "CHAT_GUEST_SEND_FORBIDDEN",
    "CHAT_FORBIDDEN",
    "TOPIC_DELETED",
    "TOPIC_CLOSED",
    "CHAT_FORWARDS_RESTRICTED",
    "USER_IS_BLOCKED",
    "YOU_BLOCKED_USER",
    "INPUT_USER_DEACTIVATED",
    "CHAT_SEND_PLAIN_FORBIDDEN",
    "USER_IS_BOT",
    "PRIVACY_PREMIUM_REQUIRED",
    "ALLOW_PAYMENT_REQUIRED",
];

/// The chat is named by a number or an access hash that does not hold (any more).
const STALE_PEER: &[&str] = &["PEER_ID_INVALID", "CHANNEL_INVALID", "CHAT_ID_INVALID", "USER_ID_INVALID"];

/// The message that is answered does not exist (any more).
const REPLY_GONE: &[&str] =
    &["REPLY_MESSAGE_ID_INVALID", "REPLY_TO_INVALID", "MESSAGE_ID_INVALID", "MSG_ID_INVALID"];

const REPAIR: &[&str] = &["SLOWMODE_MULTI_MSGS_DISABLED", "MESSAGE_TOO_LONG", "MEDIA_CAPTION_TOO_LONG"];

/// Looks an error up in the table.
#[must_use]
pub fn classify(error: &InvocationError) -> Fault {
    match error {
        InvocationError::Rpc(rpc) => classify_rpc(rpc),
        InvocationError::Transport(transport::Error::BadStatus { status: 404 }) => Fault::SessionDead,
        InvocationError::Session(error) => match error.downcast_ref::<SessionError>() {
            Some(SessionError::KeyChanged) => Fault::SessionDead,
            Some(SessionError::Closed) => Fault::Closed,
            Some(SessionError::Store(_)) | None => Fault::Store,
        },
        InvocationError::Io(_)
        | InvocationError::Deserialize(_)
        | InvocationError::Transport(_)
        | InvocationError::Dropped(_)
        | InvocationError::InvalidDc
        | InvocationError::Authentication(_) => Fault::Lost,
    }
}

fn classify_rpc(error: &RpcError) -> Fault {
    let name = error.name.as_str();
    if let Some((_, scope)) = WAITS.iter().find(|(prefix, _)| name.starts_with(prefix)) {
        let seconds = error.value.unwrap_or(1).max(1);
        return Fault::Wait { wait: Duration::from_secs(u64::from(seconds)), scope: *scope };
    }
    if name == "RANDOM_ID_DUPLICATE" {
        return Fault::AlreadySent;
    }
    if SESSION_DEAD.contains(&name) {
        return Fault::SessionDead;
    }
    if QUARANTINE.contains(&name) || name.starts_with("FROZEN_") {
        return Fault::Quarantine;
    }
    if CHAT.contains(&name) {
        return Fault::Chat;
    }
    let degraded = name.starts_with("CHAT_SEND_") && name.ends_with("_FORBIDDEN");
    if REPAIR.contains(&name) || STALE_PEER.contains(&name) || name.starts_with("FILE_REFERENCE_") || degraded
    {
        return Fault::Repair;
    }
    match error.code {
        420 => Fault::Wait { wait: UNKNOWN_WAIT, scope: HoldScope::Account },
        401 | 406 => Fault::Suspect,
        code if !(0..500).contains(&code) => Fault::Backoff,
        _ => Fault::Refused,
    }
}

/// What an error means for the connection on which it came.
#[must_use]
pub fn connection_error(error: &InvocationError) -> ConnectionError {
    let text = describe(error);
    match classify(error) {
        Fault::SessionDead => ConnectionError::NeedsLogin(text),
        Fault::Quarantine => ConnectionError::Refused(text),
        Fault::Wait { wait, .. } => ConnectionError::Wait { wait, reason: text },
        Fault::Store => ConnectionError::from(StoreError::Failed(text)),
        Fault::Backoff
        | Fault::Lost
        | Fault::Closed
        | Fault::AlreadySent
        | Fault::Repair
        | Fault::Chat
        | Fault::Suspect
        | Fault::Refused => ConnectionError::Unreachable(text),
    }
}

/// What an error means for a message that was being sent.
#[must_use]
pub fn send_outcome(error: &InvocationError) -> SendOutcome {
    let text = describe(error);
    match classify(error) {
        Fault::Wait { wait, scope } => SendOutcome::RetryAfter { wait, scope },
        Fault::AlreadySent => SendOutcome::Delivered { message: None },
        Fault::Chat => SendOutcome::PausePair { error: text },
        Fault::Quarantine => SendOutcome::Quarantine { error: text },
        Fault::SessionDead => SendOutcome::SessionDead { error: text },
        Fault::Repair | Fault::Refused => SendOutcome::Refused { error: text },
        Fault::Lost | Fault::Store => SendOutcome::Unclear { error: text },
        Fault::Closed => SendOutcome::Offline { error: text },
        Fault::Backoff | Fault::Suspect => SendOutcome::Backoff { error: text },
    }
}

/// Whether the chat was named wrongly: its access hash may be out of date.
#[must_use]
pub fn is_stale_peer(error: &InvocationError) -> bool {
    matches!(error, InvocationError::Rpc(rpc) if STALE_PEER.contains(&rpc.name.as_str()))
}

/// Whether the message that a new one was to answer is gone.
#[must_use]
pub fn is_reply_gone(error: &InvocationError) -> bool {
    matches!(error, InvocationError::Rpc(rpc) if REPLY_GONE.contains(&rpc.name.as_str()))
}

/// The error in words: Telegram's own name for it where it has one.
#[must_use]
pub fn describe(error: &InvocationError) -> String {
    match error {
        InvocationError::Rpc(rpc) => match rpc.value {
            Some(value) => format!("{} {} ({value})", rpc.code, rpc.name),
            None => format!("{} {}", rpc.code, rpc.name),
        },
        InvocationError::Session(error) => error.to_string(),
        other => other.to_string(),
    }
}

#[cfg(test)]
#[path = "errors_tests.rs"]
mod tests;
