//! Bodies of calls that write and change messages
//! (discord.com/developers/docs/resources/message, discord.com/developers/docs/resources/webhook).

use serde::Serialize;
use switchyard_actors::model::MessageId;

/// A new message, or what a message says from now on. What is `None` is not said.
#[derive(Clone, Default, Serialize)]
pub(super) struct Form<'a> {
    content: &'a str,
    allowed_mentions: AllowedMentions,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enforce_nonce: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_reference: Option<Reference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
}

/// Nobody is notified by a forwarded message, nor by an answer.
#[derive(Clone, Default, Serialize)]
struct AllowedMentions {
    parse: [&'static str; 0],
    replied_user: bool,
}

/// What a message answers, in the same channel.
#[derive(Clone, Serialize)]
struct Reference {
    message_id: MessageId,
    /// A message that is gone is not answered; the answer is written all the same.
    fail_if_not_exists: bool,
}

impl<'a> Form<'a> {
    /// A text.
    pub(super) fn new(content: &'a str) -> Self {
        Self { content, ..Self::default() }
    }

    /// Once, under this nonce.
    pub(super) fn once(self, nonce: &'a str) -> Self {
        Self { nonce: Some(nonce), enforce_nonce: Some(true), ..self }
    }

    /// As an answer, or not.
    pub(super) fn answering(self, message: Option<MessageId>) -> Self {
        let message_reference = message.map(|message_id| Reference { message_id, fail_if_not_exists: false });
        Self { message_reference, ..self }
    }

    /// Under a name, or the webhook's own.
    pub(super) fn named(self, username: Option<String>) -> Self {
        Self { username, ..self }
    }

    /// As JSON.
    pub(super) fn body(&self) -> Result<Vec<u8>, String> {
        serde_json::to_vec(self).map_err(|error| format!("the text is no JSON: {error}"))
    }
}
