//! The Bot API's answers and what they mean (core.telegram.org/bots/api#making-requests).

use std::time::Duration;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use switchyard_actors::model::ChatId;
use switchyard_actors::ports::{BotChatKind, BotEvent, BotFault, BotOutcome, BotUpdate};

/// How long to wait where a 429 does not say.
const WAIT: Duration = Duration::from_secs(5);
/// Refusals of a 400 that are about the chat, by the beginning of what follows "Bad Request: ".
const CHAT_GONE: [&str; 6] = [
    "chat not found",
    "user not found",
    "peer_id_invalid",
    "need administrator rights",
    "not enough rights",
    "have no rights to send a message",
];

/// An answer of the Bot API.
#[derive(Debug, Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
pub(super) struct Envelope<T> {
    pub(super) ok: bool,
    #[serde(default = "none")]
    pub(super) result: Option<T>,
    #[serde(default)]
    pub(super) error_code: u16,
    #[serde(default)]
    pub(super) description: String,
    #[serde(default)]
    pub(super) parameters: Parameters,
}

const fn none<T>() -> Option<T> {
    None
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Parameters {
    #[serde(default)]
    retry_after: Option<u64>,
    #[serde(default)]
    migrate_to_chat_id: Option<i64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct User {
    pub(super) id: i64,
    #[serde(default)]
    pub(super) username: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Sent {
    pub(super) message_id: i64,
}

/// A chat's number, which the Bot API writes as a number.
fn chat_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ChatId, D::Error> {
    ChatId::new(i64::deserialize(deserializer)?).map_err(D::Error::custom)
}

#[derive(Debug, Deserialize)]
struct Chat {
    #[serde(deserialize_with = "chat_id")]
    id: ChatId,
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    title: String,
}

#[derive(Debug, Deserialize)]
struct Message {
    chat: Chat,
    #[serde(default)]
    text: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Member {
    status: String,
    #[serde(default)]
    can_post_messages: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct MemberChange {
    chat: Chat,
    from: User,
    new_chat_member: Member,
}

/// An update, as far as it concerns us.
#[derive(Debug, Deserialize)]
pub(super) struct Update {
    update_id: i64,
    #[serde(default)]
    message: Option<Message>,
    #[serde(default)]
    my_chat_member: Option<MemberChange>,
}

impl Chat {
    fn kind(&self) -> BotChatKind {
        match self.kind.as_str() {
            "private" => BotChatKind::Private,
            "channel" => BotChatKind::Channel,
            _ => BotChatKind::Group,
        }
    }
}

impl From<Update> for BotUpdate {
    fn from(update: Update) -> Self {
        let event = if let Some(change) = update.my_chat_member {
            let (kind, member) = (change.chat.kind(), change.new_chat_member);
            let writes = match (kind, member.status.as_str()) {
                (BotChatKind::Channel, "administrator") => member.can_post_messages.unwrap_or(false),
                (BotChatKind::Channel, _) => false,
                (_, status) => matches!(status, "member" | "administrator" | "creator"),
            };
            let Chat { id: chat, title, .. } = change.chat;
            BotEvent::Role { chat, kind, title, by: change.from.id, writes }
        } else if let Some(Message { chat, text: Some(text) }) = update.message {
            BotEvent::Message { kind: chat.kind(), chat: chat.id, text }
        } else {
            BotEvent::Other
        };
        Self { id: update.update_id, event }
    }
}

/// What a refused send means.
pub(super) fn refused<T>(answer: Envelope<T>) -> BotOutcome {
    let Envelope { error_code, description: error, parameters, .. } = answer;
    let reason = error.strip_prefix("Bad Request: ").unwrap_or(&error).to_ascii_lowercase();
    if let Some(Ok(to)) = parameters.migrate_to_chat_id.map(ChatId::new) {
        return BotOutcome::Moved { to };
    }
    match error_code {
        429 => BotOutcome::RetryAfter { wait: wait(&parameters) },
        401 | 404 => BotOutcome::TokenRefused { error },
        403 => BotOutcome::Unreachable { error },
        400 if CHAT_GONE.iter().any(|gone| reason.starts_with(gone)) => BotOutcome::Unreachable { error },
        500.. => BotOutcome::Unclear { error },
        _ => BotOutcome::Refused { error },
    }
}

/// What a refused question means.
pub(super) fn fault<T>(answer: Envelope<T>) -> BotFault {
    match answer.error_code {
        429 => BotFault::Wait(wait(&answer.parameters)),
        401 | 404 => BotFault::TokenRefused(answer.description),
        409 => BotFault::Conflict(answer.description),
        _ => BotFault::Unreachable(answer.description),
    }
}

fn wait(parameters: &Parameters) -> Duration {
    parameters.retry_after.map_or(WAIT, Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn refusal(answer: Value) -> BotOutcome {
        refused(serde_json::from_value::<Envelope<Sent>>(answer).unwrap())
    }

    #[test]
    fn each_refusal_has_its_meaning() {
        let of =
            |code: u16, text: &str| refusal(json!({"ok": false, "error_code": code, "description": text}));
        assert!(matches!(of(403, "Forbidden: bot was blocked by the user"), BotOutcome::Unreachable { .. }));
        assert!(matches!(of(400, "Bad Request: chat not found"), BotOutcome::Unreachable { .. }));
        assert!(matches!(of(400, "Bad Request: can't parse entities: x"), BotOutcome::Refused { .. }));
        assert!(matches!(of(401, "Unauthorized"), BotOutcome::TokenRefused { .. }));
        assert!(matches!(of(502, "Bad Gateway"), BotOutcome::Unclear { .. }));
        let wait = refusal(
            json!({"ok": false, "error_code": 429, "description": "Too Many Requests: retry after 7",
                                  "parameters": {"retry_after": 7}}),
        );
        assert_eq!(wait, BotOutcome::RetryAfter { wait: Duration::from_secs(7) });
        let moved = refusal(
            json!({"ok": false, "error_code": 400, "description": "Bad Request: group chat was upgraded",
                                   "parameters": {"migrate_to_chat_id": -100_123}}),
        );
        assert_eq!(moved, BotOutcome::Moved { to: ChatId::new(-100_123).unwrap() });
    }

    #[test]
    fn updates_are_read_as_far_as_they_concern_us() {
        let event = |update: Value| BotUpdate::from(serde_json::from_value::<Update>(update).unwrap()).event;
        let message =
            event(json!({"update_id": 1, "message": {"message_id": 1, "date": 0, "text": "/start x",
            "chat": {"id": 7, "type": "private", "first_name": "A"}, "from": {"id": 7, "is_bot": false}}}));
        let chat = ChatId::new(7).unwrap();
        let kind = BotChatKind::Private;
        assert_eq!(message, BotEvent::Message { chat, kind, text: "/start x".to_owned() });
        let role = |status: &str, posts: bool| {
            event(json!({"update_id": 2, "my_chat_member": {
                "chat": {"id": -1001, "type": "channel", "title": "News"}, "from": {"id": 7}, "date": 0,
                "old_chat_member": {"status": "left"},
                "new_chat_member": {"status": status, "can_post_messages": posts}}}))
        };
        assert!(matches!(role("administrator", true), BotEvent::Role { writes: true, by: 7, .. }));
        assert!(matches!(role("administrator", false), BotEvent::Role { writes: false, .. }));
        assert!(matches!(role("left", true), BotEvent::Role { writes: false, .. }));
        assert_eq!(event(json!({"update_id": 3, "poll": {}})), BotEvent::Other);
    }
}
