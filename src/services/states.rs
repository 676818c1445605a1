//! How sessions and queues stand, in one word each: what monitors count, filter and stream.

use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use switchyard_actors::supervision::{NodeState, NodeView};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            /// Every word.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word in API and events.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let known = Self::ALL.iter().copied().find(|word| word.as_str() == text);
                known.ok_or_else(|| format!("unknown state {text:?}"))
            }
        }
    };
}

words! {
    /// How a session stands.
    SessionStanding {
        /// Connected.
        Connected = "connected",
        /// Its user is suspended: it holds no connection.
        Suspended = "suspended",
        /// It connects now, or is about to.
        Connecting = "connecting",
        /// Not connected; it tries again by itself.
        Retrying = "retrying",
        /// Its platform asked to wait; nothing shortens that.
        PlatformWait = "platform_wait",
        /// The platform ended it: only a new login helps.
        NeedsLogin = "needs_login",
        /// It failed too often and waits for a person or a probe.
        Stopped = "stopped",
    }
}

words! {
    /// How a queue stands.
    QueueStanding {
        /// It works, or has nothing to do.
        Running = "running",
        /// It starts, or starts again after a failure.
        Restarting = "restarting",
        /// Somebody of the staff paused it.
        Paused = "paused",
        /// The platform refused too much: it sends nothing until its session is reconnected.
        Quarantined = "quarantined",
        /// Its account fails as a whole; it tries one delivery at a time.
        Failing = "failing",
        /// It failed too often and waits for a person or a probe.
        Parked = "parked",
    }
}

fn text<'n>(node: &'n NodeView, field: &str) -> &'n str {
    node.observable.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn flag(node: &NodeView, field: &str) -> bool {
    node.observable.get(field).and_then(Value::as_bool).unwrap_or_default()
}

impl SessionStanding {
    /// Whether to connect it anew would help nobody.
    #[must_use]
    pub const fn is_left_alone(self) -> bool {
        matches!(self, Self::Connected | Self::Connecting | Self::Suspended)
    }

    /// How the session at this node stands.
    #[must_use]
    pub fn of(node: &NodeView) -> Self {
        match node.state {
            NodeState::Parked if node.reason.as_deref().is_some_and(|why| why.contains("needs login")) => {
                Self::NeedsLogin
            }
            NodeState::Parked | NodeState::Stopped | NodeState::Draining => Self::Stopped,
            NodeState::Starting | NodeState::Backoff | NodeState::Suspended => Self::Connecting,
            NodeState::Running => match text(node, "connection") {
                "connected" => Self::Connected,
                "suspended" => Self::Suspended,
                "waiting_to_retry" => Self::Retrying,
                "waiting_for_platform" => Self::PlatformWait,
                _ => Self::Connecting,
            },
        }
    }
}

impl QueueStanding {
    /// How the queue at this node stands.
    #[must_use]
    pub fn of(node: &NodeView) -> Self {
        match node.state {
            NodeState::Parked => Self::Parked,
            NodeState::Running if flag(node, "paused") => Self::Paused,
            NodeState::Running if flag(node, "quarantined") => Self::Quarantined,
            NodeState::Running if text(node, "circuit") == "open" => Self::Failing,
            NodeState::Running => Self::Running,
            _ => Self::Restarting,
        }
    }
}

/// Why it stands so, in words, where the node says.
#[must_use]
pub fn why(node: &NodeView) -> Option<String> {
    let error =
        || ["error", "last_error"].into_iter().map(|name| text(node, name)).find(|why| !why.is_empty());
    node.reason.clone().or_else(|| error().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(state: &str, reason: Option<&str>, observable: &Value) -> NodeView {
        serde_json::from_value(json!({
            "path": "sessions/x", "kind": "session", "shard": 0, "state": state, "reason": reason,
            "since": "2026-11-22T11:00:00Z", "epoch": 1, "restarts_total": 0, "restarts_in_window": 0,
            "next_attempt": null, "depth": 0, "last_failure": null, "children": null, "observable": observable,
        }))
        .unwrap()
    }

    #[test]
    fn sessions_and_queues_stand_in_one_word() {
        let wait = json!({ "connection": "waiting_for_platform", "error": "420" });
        for (state, reason, shown, word) in [
            ("running", None, json!({ "connection": "connected" }), SessionStanding::Connected),
            ("running", None, wait, SessionStanding::PlatformWait),
            ("running", None, json!({ "connection": "suspended" }), SessionStanding::Suspended),
            ("parked", Some("needs login: AUTH_KEY_UNREGISTERED"), Value::Null, SessionStanding::NeedsLogin),
            ("parked", Some("6 restarts in 60 s"), Value::Null, SessionStanding::Stopped),
            ("backoff", None, Value::Null, SessionStanding::Connecting),
        ] {
            assert_eq!(SessionStanding::of(&node(state, reason, &shown)), word);
        }
        for (state, shown, word) in [
            ("running", json!({ "circuit": "closed" }), QueueStanding::Running),
            ("running", json!({ "circuit": "open" }), QueueStanding::Failing),
            ("running", json!({ "circuit": "open", "paused": true }), QueueStanding::Paused),
            ("running", json!({ "quarantined": true }), QueueStanding::Quarantined),
            ("parked", Value::Null, QueueStanding::Parked),
            ("backoff", Value::Null, QueueStanding::Restarting),
        ] {
            assert_eq!(QueueStanding::of(&node(state, None, &shown)), word);
        }
        for word in QueueStanding::ALL {
            assert_eq!(word.as_str().parse(), Ok(*word));
        }
    }
}
