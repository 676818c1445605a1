//! How an account is shown: what it is, and how it is in words for people.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use switchyard_actors::model::{Account, AccountId, AccountKind, AccountState, ChatId, Platform, UserId};
use switchyard_actors::supervision::{NodeState, NodeView};

use crate::store::AccountSettings;

/// An account, without its secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccountView {
    /// Its id, also that of its session and queue.
    pub id: AccountId,
    /// Its owner.
    pub user: UserId,
    /// Its kind.
    pub kind: AccountKind,
    /// Its platform.
    pub platform: Platform,
    /// The platform's id of it, a decimal number.
    pub platform_id: String,
    /// Its owner's name for it, else the one that the platform shows.
    pub name: String,
    /// Whether it reaches its platform through a proxy of its own.
    #[serde(default)]
    pub proxied: bool,
    /// The version of its settings; as `ETag` and in `If-Match` it stands in quotation marks.
    #[serde(default)]
    pub version: i64,
    /// What is known of it between connections.
    pub state: AccountState,
    /// How it is now.
    pub health: AccountHealth,
    /// The only chat that it can write to: a webhook's channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat: Option<ChatId>,
    /// How many pairs read or write through it.
    pub pairs: usize,
}

/// How an account is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccountHealth {
    /// In one word.
    pub status: AccountStatus,
    /// In a sentence.
    pub text: String,
    /// When it goes on by itself, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
}

/// How an account is, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccountStatus {
    /// Connected.
    Connected,
    /// Connected, and still reading what was written before.
    CatchingUp,
    /// Connecting.
    Connecting,
    /// Not connected; it tries again by itself.
    Retrying,
    /// Its platform asked to wait.
    PlatformWait,
    /// The platform ended its session: it must be connected anew.
    NeedsLogin,
    /// A Discord bot that may not read what is written: its owner has to switch the message content intent on.
    ContentIntentOff,
    /// Its user is suspended.
    Suspended,
    /// Too many refusals: it sends nothing until an operator reconnects it.
    Quarantined,
    /// Its session is stopped.
    Stopped,
}

/// Whether accounts of a kind can write to one chat only, and read nothing.
pub(super) const fn has_one_chat(kind: AccountKind) -> bool {
    matches!(kind, AccountKind::DiscordWebhook)
}

pub(super) fn account(
    account: &Account,
    settings: AccountSettings,
    session: Option<&NodeView>,
    chat: Option<ChatId>,
    pairs: usize,
) -> AccountView {
    AccountView {
        id: account.id,
        user: account.user,
        kind: account.kind,
        platform: account.kind.platform(),
        platform_id: account.platform_id.to_string(),
        name: settings.label.unwrap_or_else(|| account.name.clone()),
        proxied: settings.proxied,
        version: settings.version,
        state: account.state,
        health: health(account.state, session),
        chat,
        pairs,
    }
}

pub(in crate::services) fn health(state: AccountState, session: Option<&NodeView>) -> AccountHealth {
    use AccountStatus::{
        CatchingUp, Connected, Connecting, ContentIntentOff, NeedsLogin, PlatformWait, Quarantined, Retrying,
        Stopped, Suspended,
    };
    let is = |status, text: &str, until| AccountHealth { status, text: text.to_owned(), until };
    match state {
        AccountState::NeedsLogin => {
            return is(NeedsLogin, "needs login: the platform ended its session; connect it anew", None);
        }
        AccountState::Quarantined => {
            let text = "quarantined: the platform refused too much; it sends nothing until it is reconnected";
            return is(Quarantined, text, None);
        }
        AccountState::Active => {}
    }
    let Some(node) = session else { return is(Stopped, "stopped", None) };
    let reason = node.reason.as_deref().unwrap_or("it failed too often");
    match node.state {
        NodeState::Running => {}
        NodeState::Parked => return is(Stopped, &format!("stopped: {reason}"), node.next_attempt),
        _ => return is(Connecting, "starting", node.next_attempt),
    }
    let text = |name: &str| node.observable.get(name).and_then(Value::as_str).unwrap_or_default();
    let until = text("until").parse::<DateTime<Utc>>().ok();
    let when = until.map(|at| at.format("%Y-%m-%d %H:%M:%SZ").to_string()).unwrap_or_default();
    match text("connection") {
        "connected" if node.observable.get("catching_up") == Some(&Value::Bool(true)) => {
            is(CatchingUp, "catching up with what was written before it connected", None)
        }
        "connected" => is(Connected, "connected", None),
        "suspended" => is(Suspended, "its user is suspended", None),
        "content_intent_off" => {
            is(ContentIntentOff, &format!("message content intent is off: {}", text("error")), until)
        }
        "waiting_to_retry" => {
            is(Retrying, &format!("not connected, tries again at {when}: {}", text("error")), until)
        }
        "waiting_for_platform" => is(
            PlatformWait,
            &format!("waiting for a limit of the platform until {when}: {}", text("error")),
            until,
        ),
        _ => is(Connecting, "connecting", None),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(state: &str, observable: &Value) -> NodeView {
        serde_json::from_value(json!({
            "path": "sessions/x", "kind": "session", "shard": 0, "state": state, "reason": "6 restarts in 60 s",
            "since": "2026-11-22T11:00:00Z", "epoch": 1, "restarts_total": 0, "restarts_in_window": 0,
            "next_attempt": null, "depth": 0, "last_failure": null, "children": null, "observable": observable,
        }))
        .unwrap()
    }

    #[test]
    fn health_is_said_in_words() {
        let wait =
            json!({ "connection": "waiting_for_platform", "until": "2026-11-22T12:30:00Z", "error": "420" });
        let retry =
            json!({ "connection": "waiting_to_retry", "until": "2026-11-22T12:30:00Z", "error": "refused" });
        let connected = json!({ "connection": "connected", "since": "2026-11-22T12:30:00Z" });
        let behind = json!({ "connection": "connected", "catching_up": true });
        let blind = json!({ "connection": "content_intent_off", "until": "2026-11-22T12:30:00Z", "error": "turn it on" });
        for (state, node, status, text) in [
            (AccountState::Active, Some(node("running", &connected)), AccountStatus::Connected, "connected"),
            (
                AccountState::Active,
                Some(node("running", &behind)),
                AccountStatus::CatchingUp,
                "catching up with what was written before it connected",
            ),
            (
                AccountState::Active,
                Some(node("running", &json!({ "connection": "suspended" }))),
                AccountStatus::Suspended,
                "its user is suspended",
            ),
            (
                AccountState::Active,
                Some(node("running", &blind)),
                AccountStatus::ContentIntentOff,
                "message content intent is off: turn it on",
            ),
            (
                AccountState::Active,
                Some(node("running", &wait)),
                AccountStatus::PlatformWait,
                "waiting for a limit of the platform until 2026-11-22 12:30:00Z: 420",
            ),
            (
                AccountState::Active,
                Some(node("running", &retry)),
                AccountStatus::Retrying,
                "not connected, tries again at 2026-11-22 12:30:00Z: refused",
            ),
            (
                AccountState::Active,
                Some(node("parked", &Value::Null)),
                AccountStatus::Stopped,
                "stopped: 6 restarts in 60 s",
            ),
            (AccountState::Active, None, AccountStatus::Stopped, "stopped"),
        ] {
            let health = health(state, node.as_ref());
            assert_eq!((health.status, health.text.as_str()), (status, text));
        }
        assert_eq!(health(AccountState::NeedsLogin, None).status, AccountStatus::NeedsLogin);
    }
}
