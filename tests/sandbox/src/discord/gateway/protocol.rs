//! Gateway payloads (discord.com/developers/docs/events/gateway-events) and close codes.

use actix_ws::{CloseCode, CloseReason};
use serde::Deserialize;
use serde_json::{Value, json};

use super::hub::Event;

/// Why the server closes a connection (discord.com/developers/docs/topics/opcodes-and-status-codes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Close {
    /// Try again; the session can be resumed.
    UnknownError,
    UnknownOpcode,
    DecodeError,
    NotAuthenticated,
    AuthenticationFailed,
    AlreadyAuthenticated,
    InvalidSeq,
    RateLimited,
    SessionTimedOut,
    InvalidShard,
    InvalidIntents,
    DisallowedIntents,
}

impl Close {
    const fn parts(self) -> (u16, &'static str) {
        match self {
            Self::UnknownError => (4000, "Unknown error."),
            Self::UnknownOpcode => (4001, "Unknown opcode."),
            Self::DecodeError => (4002, "Error while decoding payload."),
            Self::NotAuthenticated => (4003, "Not authenticated."),
            Self::AuthenticationFailed => (4004, "Authentication failed."),
            Self::AlreadyAuthenticated => (4005, "Already authenticated."),
            Self::InvalidSeq => (4007, "Invalid seq."),
            Self::RateLimited => (4008, "Rate limited."),
            Self::SessionTimedOut => (4009, "Session timed out."),
            Self::InvalidShard => (4010, "Invalid shard."),
            Self::InvalidIntents => (4013, "Invalid intent(s)."),
            Self::DisallowedIntents => (4014, "Disallowed intent(s)."),
        }
    }

    pub(super) fn reason(self) -> CloseReason {
        let (code, description) = self.parts();
        CloseReason { code: CloseCode::Other(code), description: Some(description.to_owned()) }
    }
}

/// What a client sends.
#[derive(Debug, PartialEq)]
pub(super) enum Received {
    Heartbeat,
    Identify(Identify),
    Resume(Resume),
    /// Presence and voice state: taken and without effect here.
    Ignored,
    RequestMembers(RequestMembers),
}

#[derive(Debug, PartialEq, Deserialize)]
pub(super) struct Identify {
    pub(super) token: String,
    pub(super) intents: u64,
    pub(super) shard: Option<(u64, u64)>,
    /// Required by Discord; what it says does not matter here.
    #[serde(rename = "properties")]
    _properties: Properties,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Properties {}

#[derive(Debug, PartialEq, Deserialize)]
pub(super) struct Resume {
    pub(super) token: String,
    pub(super) session_id: String,
    pub(super) seq: u64,
}

#[derive(Debug, PartialEq, Deserialize)]
pub(super) struct RequestMembers {
    pub(super) guild_id: String,
    pub(super) query: Option<String>,
    #[serde(default)]
    pub(super) limit: u64,
    pub(super) nonce: Option<String>,
}

#[derive(Deserialize)]
struct Payload {
    op: u64,
    #[serde(default)]
    d: Value,
}

impl Received {
    pub(super) fn parse(text: &str) -> Result<Self, Close> {
        let Payload { op, d } = serde_json::from_str(text).map_err(|_| Close::DecodeError)?;
        let decode = |_| Close::DecodeError;
        match op {
            1 if d.is_null() || d.is_u64() => Ok(Self::Heartbeat),
            1 => Err(Close::DecodeError),
            2 => Identify::deserialize(d).map(Self::Identify).map_err(decode),
            3 | 4 => Ok(Self::Ignored),
            6 => Resume::deserialize(d).map(Self::Resume).map_err(decode),
            8 => RequestMembers::deserialize(d).map(Self::RequestMembers).map_err(decode),
            _ => Err(Close::UnknownOpcode),
        }
    }
}

pub(super) fn hello(heartbeat_ms: u64) -> String {
    json!({"t": null, "s": null, "op": 10, "d": {"heartbeat_interval": heartbeat_ms, "_trace": []}})
        .to_string()
}

pub(super) fn heartbeat_ack() -> String {
    json!({"t": null, "s": null, "op": 11, "d": null}).to_string()
}

pub(super) fn reconnect() -> String {
    json!({"t": null, "s": null, "op": 7, "d": null}).to_string()
}

pub(super) fn invalid_session(resumable: bool) -> String {
    json!({"t": null, "s": null, "op": 9, "d": resumable}).to_string()
}

/// An event, with its data put in as it is: it was made into JSON once for all sessions.
pub(super) fn dispatch(event: &Event) -> String {
    format!(r#"{{"t":"{}","s":{},"op":0,"d":{}}}"#, event.name, event.seq, event.data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_read_strictly() {
        assert_eq!(Received::parse(r#"{"op":1,"d":null}"#), Ok(Received::Heartbeat));
        assert_eq!(Received::parse(r#"{"op":1,"d":251}"#), Ok(Received::Heartbeat));
        assert_eq!(Received::parse(r#"{"op":1,"d":"251"}"#), Err(Close::DecodeError));
        assert_eq!(Received::parse(r#"{"op":99,"d":null}"#), Err(Close::UnknownOpcode));
        assert_eq!(Received::parse("{"), Err(Close::DecodeError));
        let no_intents = r#"{"op":2,"d":{"token":"t","properties":{}}}"#;
        assert_eq!(Received::parse(no_intents), Err(Close::DecodeError));
        let whole = r#"{"op":2,"d":{"token":"t","properties":{"os":"x"},"intents":513,"shard":[0,1]}}"#;
        let Ok(Received::Identify(identify)) = Received::parse(whole) else { panic!("not read") };
        assert_eq!((identify.intents, identify.shard), (513, Some((0, 1))));
    }

    #[test]
    fn a_dispatch_is_json() {
        let event = Event { seq: 3, name: "MESSAGE_CREATE", data: r#"{"id":"1"}"#.into() };
        let value: Value = serde_json::from_str(&dispatch(&event)).unwrap();
        assert_eq!(value, json!({"t": "MESSAGE_CREATE", "s": 3, "op": 0, "d": {"id": "1"}}));
    }
}
