//! Bodies of calls about webhooks, threads and many messages.

use serde_json::{Map, Value};

use super::{AllowedMentions, Fields, allowed_mentions, list_at, non_null, object, snowflake_of};
use crate::discord::rest::error::{ApiError, FormErrors};

/// The longest name of a webhook, and of the author of one of its messages.
const MAX_WEBHOOK_NAME: usize = 80;
const MAX_THREAD_NAME: usize = 100;
const MAX_URL: usize = 2_048;
/// What no name of a webhook may contain, in any case (discord.com/developers/docs/resources/webhook#create-webhook).
const FORBIDDEN_IN_NAMES: [&str; 2] = ["clyde", "discord"];

fn fields(object: &Map<String, Value>) -> Fields<'_> {
    Fields { object, path: &[], errors: FormErrors::default() }
}

/// The body of `POST /webhooks/{id}/{token}`. A nonce or a reply means nothing here, and is passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExecuteForm {
    pub(crate) content: String,
    pub(crate) username: Option<String>,
    pub(crate) avatar_url: Option<String>,
    pub(crate) mentions: AllowedMentions,
    pub(crate) flags: u64,
}

impl ExecuteForm {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let object = object(body)?;
        let mut fields = fields(&object);
        let content = fields.content().unwrap_or_default();
        let username = fields.webhook_name("username");
        let avatar_url = fields.url("avatar_url");
        fields.boolean("tts");
        let flags = fields.flags().unwrap_or(0);
        fields.refuse_later_features();
        let in_forum = fields.get("thread_name").is_some();
        let mut errors = fields.errors;
        let mentions = allowed_mentions(&object, &mut errors);
        let form = errors.finish(Self { content, username, avatar_url, mentions, flags })?;
        if in_forum {
            return Err(ApiError::NotAForum);
        }
        if form.content.is_empty() { Err(ApiError::EmptyMessage) } else { Ok(form) }
    }
}

/// The body of `POST /channels/{id}/webhooks`. Pictures are taken and not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WebhookForm {
    pub(crate) name: String,
}

impl WebhookForm {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let object = object(body)?;
        let mut fields = fields(&object);
        let name = fields.webhook_name("name");
        fields.require("name");
        fields.errors.finish(Self { name: name.unwrap_or_default() })
    }
}

/// The body of `POST /channels/{id}/threads`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ThreadForm {
    pub(crate) name: String,
}

impl ThreadForm {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let object = object(body)?;
        let mut fields = fields(&object);
        let name = fields.text("name", MAX_THREAD_NAME);
        fields.require("name");
        if fields.get("type").is_some_and(|kind| kind.as_u64() != Some(11)) {
            fields.wrong("type", "SANDBOX_UNSUPPORTED", "The sandbox has public threads only.");
        }
        fields.errors.finish(Self { name: name.unwrap_or_default() })
    }
}

/// The body of `PATCH /channels/{id}` of a thread; what is `None` stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ThreadChanges {
    pub(crate) archived: Option<bool>,
    pub(crate) locked: Option<bool>,
}

impl ThreadChanges {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let object = object(body)?;
        let mut fields = fields(&object);
        let (archived, locked) = (fields.boolean("archived"), fields.boolean("locked"));
        fields.errors.finish(Self { archived, locked })
    }
}

/// The body of `POST /channels/{id}/messages/bulk-delete`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BulkDeleteForm {
    pub(crate) ids: Vec<u64>,
}

impl BulkDeleteForm {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let object = object(body)?;
        let mut errors = FormErrors::default();
        let values = list_at(&object, &["messages"], &mut errors);
        let mut ids: Vec<u64> = Vec::new();
        for (index, value) in values.iter().enumerate() {
            match snowflake_of(value) {
                Some(id) => ids.push(id),
                None => {
                    let path = ["messages", &index.to_string()];
                    errors.add(&path, "NUMBER_TYPE_COERCE", "The value is not snowflake.");
                }
            }
        }
        ids.sort_unstable();
        ids.dedup();
        let form = errors.finish(Self { ids })?;
        if (2..=100).contains(&form.ids.len()) { Ok(form) } else { Err(ApiError::BulkDeleteCount) }
    }
}

impl Fields<'_> {
    /// A name under which a webhook writes.
    fn webhook_name(&mut self, name: &str) -> Option<String> {
        let text = self.text(name, MAX_WEBHOOK_NAME)?;
        let lower = text.to_lowercase();
        for forbidden in FORBIDDEN_IN_NAMES.into_iter().filter(|word| lower.contains(word)) {
            let message = format!("Username cannot contain \"{forbidden}\"");
            self.wrong(name, "USERNAME_INVALID_CONTAINS", message);
        }
        Some(text)
    }

    fn url(&mut self, name: &str) -> Option<String> {
        let Value::String(text) = non_null(self.object.get(name))? else {
            self.wrong(name, "STRING_TYPE_CONVERT", "Could not interpret the value as string.");
            return None;
        };
        match text.split_once("://") {
            Some(("http" | "https", rest)) if !rest.is_empty() && text.len() <= MAX_URL => {}
            Some((scheme, _)) if !matches!(scheme, "http" | "https") => {
                let message = format!("Scheme \"{scheme}\" is not one of ('http', 'https').");
                self.wrong(name, "URL_TYPE_INVALID_SCHEME", message);
            }
            _ => self.wrong(name, "URL_TYPE_INVALID_URL", "Not a well formed URL."),
        }
        Some(text.clone())
    }

    fn require(&mut self, name: &str) {
        if self.get(name).is_none() {
            self.wrong(name, "BASE_TYPE_REQUIRED", "This field is required");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn execute(body: &Value) -> Result<ExecuteForm, ApiError> {
        ExecuteForm::parse(body.to_string().as_bytes())
    }

    #[test]
    fn a_webhook_writes_under_names_that_discord_takes() {
        let body = json!({"content": "x", "username": " Ada | Telegram ", "avatar_url": "https://a.b/c.png",
            "nonce": "n", "enforce_nonce": true, "message_reference": {"message_id": "1"}});
        let form = execute(&body).unwrap();
        assert_eq!(form.username.as_deref(), Some("Ada | Telegram"));
        assert_eq!(form.avatar_url.as_deref(), Some("https://a.b/c.png"));
        for name in ["Discord fan", "CLYDE", " ", &"x".repeat(81)] {
            let refused = execute(&json!({"content": "x", "username": name}));
            assert!(matches!(refused, Err(ApiError::InvalidForm(_))), "{name}");
        }
        for url in ["ftp://a.b", "nothing", "https://"] {
            let refused = execute(&json!({"content": "x", "avatar_url": url}));
            assert!(matches!(refused, Err(ApiError::InvalidForm(_))), "{url}");
        }
        assert_eq!(execute(&json!({"username": "x"})), Err(ApiError::EmptyMessage));
        assert_eq!(execute(&json!({"content": "x", "thread_name": "t"})), Err(ApiError::NotAForum));
    }

    #[test]
    fn a_bulk_delete_has_two_to_a_hundred_different_messages() {
        let parse = |ids: Vec<u64>| BulkDeleteForm::parse(json!({"messages": ids}).to_string().as_bytes());
        assert_eq!(parse(vec![3, 2, 3]), Ok(BulkDeleteForm { ids: vec![2, 3] }));
        assert_eq!(parse(vec![1, 1]), Err(ApiError::BulkDeleteCount));
        assert_eq!(parse((0..101).collect()), Err(ApiError::BulkDeleteCount));
        assert!(matches!(BulkDeleteForm::parse(b"{\"messages\": 1}"), Err(ApiError::InvalidForm(_))));
    }
}
