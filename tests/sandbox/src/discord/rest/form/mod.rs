//! Bodies of message calls, read as strictly as Discord documents them.

mod others;

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::error::{ApiError, FormErrors};
use crate::discord::snowflake;
use crate::discord::world::Nonce;

pub(super) use others::{BulkDeleteForm, ExecuteForm, ThreadChanges, ThreadForm, WebhookForm};

const MAX_CONTENT: usize = 2_000;
const MAX_NONCE: usize = 25;
/// Suppress embeds, suppress notifications: the flags that a bot may set.
const SETTABLE_FLAGS: u64 = (1 << 2) | (1 << 12);

/// Whom a text may ping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AllowedMentions {
    pub(crate) everyone: bool,
    /// `None`: all users that the text names.
    pub(crate) users: Option<BTreeSet<u64>>,
    pub(crate) replied_user: bool,
}

impl AllowedMentions {
    /// What holds when nothing is said.
    pub(crate) const ALL: Self = Self { everyone: true, users: None, replied_user: true };
}

/// The message that a new one answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) message: u64,
    /// Where it stands, if that was said.
    pub(super) channel: Option<u64>,
    pub(super) fail_if_not_exists: bool,
}

/// The body of `POST /channels/{id}/messages`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CreateForm {
    pub(super) content: String,
    pub(super) nonce: Option<Nonce>,
    pub(super) enforce_nonce: bool,
    pub(super) mentions: AllowedMentions,
    pub(super) reference: Option<Reference>,
    pub(super) flags: u64,
}

/// The body of `PATCH /channels/{id}/messages/{id}`; what is `None` stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EditForm {
    pub(super) content: Option<String>,
    pub(super) mentions: AllowedMentions,
    pub(super) flags: Option<u64>,
}

impl CreateForm {
    pub(super) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let object = object(body)?;
        let mut fields = Fields { object: &object, path: &[], errors: FormErrors::default() };
        let content = fields.content().unwrap_or_default();
        let nonce = fields.nonce();
        let enforce_nonce = fields.boolean("enforce_nonce").unwrap_or(false);
        fields.boolean("tts");
        let flags = fields.flags().unwrap_or(0);
        fields.refuse_later_features();
        let (reference, mut errors) = (object.get("message_reference"), fields.errors);
        let reference = non_null(reference).and_then(|value| self::reference(value, &mut errors));
        let mentions = allowed_mentions(&object, &mut errors);
        let form = errors.finish(Self { content, nonce, enforce_nonce, mentions, reference, flags })?;
        if form.content.is_empty() { Err(ApiError::EmptyMessage) } else { Ok(form) }
    }
}

impl EditForm {
    pub(super) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let object = object(body)?;
        let mut fields = Fields { object: &object, path: &[], errors: FormErrors::default() };
        let content = fields.content();
        let flags = fields.flags();
        fields.refuse_later_features();
        let emptied = object.get("content").is_some_and(Value::is_null);
        let mut errors = fields.errors;
        let mentions = allowed_mentions(&object, &mut errors);
        let form = errors.finish(Self { content, mentions, flags })?;
        if emptied || form.content.as_ref().is_some_and(String::is_empty) {
            return Err(ApiError::EmptyMessage);
        }
        Ok(form)
    }
}

fn object(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => {
            Err(FormErrors::one(&[], "DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType"))
        }
        Err(_) => Err(ApiError::InvalidJson),
    }
}

fn non_null(value: Option<&Value>) -> Option<&Value> {
    value.filter(|value| !value.is_null())
}

/// The fields of one JSON object, and what was found wrong with them.
struct Fields<'a> {
    object: &'a Map<String, Value>,
    path: &'a [&'a str],
    errors: FormErrors,
}

impl Fields<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        non_null(self.object.get(name))
    }

    fn wrong(&mut self, name: &str, code: &'static str, message: impl Into<String>) {
        let path: Vec<&str> = self.path.iter().copied().chain([name]).collect();
        self.errors.add(&path, code, message);
    }

    /// The text as Discord stores it: without white space at either end.
    fn content(&mut self) -> Option<String> {
        let Value::String(text) = self.get("content")? else {
            self.wrong("content", "STRING_TYPE_CONVERT", "Could not interpret the value as string.");
            return None;
        };
        let text = text.trim().to_owned();
        if text.chars().count() > MAX_CONTENT {
            let message = format!("Must be {MAX_CONTENT} or fewer in length.");
            self.wrong("content", "BASE_TYPE_MAX_LENGTH", message);
        }
        Some(text)
    }

    fn nonce(&mut self) -> Option<Nonce> {
        match self.get("nonce")? {
            Value::Number(number) if number.is_i64() => number.as_i64().map(Nonce::Number),
            Value::String(text) if text.chars().count() <= MAX_NONCE => Some(Nonce::Text(text.clone())),
            Value::String(_) => {
                let message = format!("Must be {MAX_NONCE} or fewer in length.");
                self.wrong("nonce", "BASE_TYPE_MAX_LENGTH", message);
                None
            }
            _ => {
                self.wrong("nonce", "NONCE_TYPE_CONVERT", "Must be a string or an integer.");
                None
            }
        }
    }

    fn boolean(&mut self, name: &str) -> Option<bool> {
        let value = self.get(name)?;
        if !value.is_boolean() {
            self.wrong(name, "BOOLEAN_TYPE_CONVERT", "Must be either true or false.");
            return None;
        }
        value.as_bool()
    }

    fn flags(&mut self) -> Option<u64> {
        let Some(flags) = self.get("flags")?.as_u64() else {
            self.wrong("flags", "NUMBER_TYPE_COERCE", "The value is not int.");
            return None;
        };
        Some(flags & SETTABLE_FLAGS)
    }

    /// Embeds, components, stickers, attachments and polls come with a later step: refused, never dropped in silence.
    fn refuse_later_features(&mut self) {
        for name in ["embeds", "components", "sticker_ids", "attachments"] {
            match self.get(name) {
                None => {}
                Some(Value::Array(items)) if items.is_empty() => {}
                Some(Value::Array(_)) => {
                    self.wrong(name, "SANDBOX_UNSUPPORTED", "The sandbox takes text only.")
                }
                Some(_) => {
                    self.wrong(name, "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType");
                }
            }
        }
        if self.get("poll").is_some() {
            self.wrong("poll", "SANDBOX_UNSUPPORTED", "The sandbox takes text only.");
        }
    }

    /// A text of a bounded length, without white space at either end.
    fn text(&mut self, name: &str, max: usize) -> Option<String> {
        let Value::String(text) = self.get(name)? else {
            self.wrong(name, "STRING_TYPE_CONVERT", "Could not interpret the value as string.");
            return None;
        };
        let text = text.trim().to_owned();
        if !(1..=max).contains(&text.chars().count()) {
            let message = format!("Must be between 1 and {max} in length.");
            self.wrong(name, "BASE_TYPE_BAD_LENGTH", message);
        }
        Some(text)
    }

    fn id(&mut self, name: &str) -> Option<u64> {
        let value = self.get(name)?;
        let id = snowflake_of(value);
        if id.is_none() {
            self.wrong(name, "NUMBER_TYPE_COERCE", "The value is not snowflake.");
        }
        id
    }
}

fn snowflake_of(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => snowflake::parse(text),
        Value::Number(number) => number.as_u64(),
        _ => None,
    }
}

fn reference(value: &Value, errors: &mut FormErrors) -> Option<Reference> {
    let Value::Object(object) = value else {
        let message = "Only dictionaries may be used in a DictType";
        errors.add(&["message_reference"], "DICT_TYPE_CONVERT", message);
        return None;
    };
    let mut fields = Fields { object, path: &["message_reference"], errors: std::mem::take(errors) };
    let message = fields.id("message_id");
    if message.is_none() && fields.get("message_id").is_none() {
        fields.wrong("message_id", "BASE_TYPE_REQUIRED", "This field is required");
    }
    let channel = fields.id("channel_id");
    fields.id("guild_id");
    if fields.get("type").is_some_and(|kind| kind.as_u64() != Some(0)) {
        fields.wrong("type", "SANDBOX_UNSUPPORTED", "The sandbox takes replies only.");
    }
    let fail_if_not_exists = fields.boolean("fail_if_not_exists").unwrap_or(true);
    *errors = fields.errors;
    Some(Reference { message: message?, channel, fail_if_not_exists })
}

/// Reads `allowed_mentions` (discord.com/developers/docs/resources/message#allowed-mentions-object).
fn allowed_mentions(object: &Map<String, Value>, errors: &mut FormErrors) -> AllowedMentions {
    const FIELD: &str = "allowed_mentions";
    let Some(value) = non_null(object.get(FIELD)) else { return AllowedMentions::ALL };
    let Value::Object(object) = value else {
        errors.add(&[FIELD], "DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType");
        return AllowedMentions::ALL;
    };
    let mut parsed = BTreeSet::new();
    for (index, kind) in list(object, "parse", errors).iter().enumerate() {
        match kind.as_str() {
            Some(kind @ ("users" | "roles" | "everyone")) => {
                parsed.insert(kind);
            }
            _ => {
                let message = "Value must be one of ('users', 'roles', 'everyone').";
                errors.add(&[FIELD, "parse", &index.to_string()], "BASE_TYPE_CHOICES", message);
            }
        }
    }
    let mut ids = |name: &'static str| {
        let mut ids = BTreeSet::new();
        for (index, value) in list(object, name, errors).iter().enumerate() {
            if let Some(id) = snowflake_of(value) {
                ids.insert(id);
            } else {
                let path = [FIELD, name, &index.to_string()];
                errors.add(&path, "NUMBER_TYPE_COERCE", "The value is not snowflake.");
            }
        }
        if ids.len() > 100 {
            errors.add(&[FIELD, name], "BASE_TYPE_MAX_LENGTH", "Must be 100 or fewer in length.");
        }
        if !ids.is_empty() && parsed.contains(name) {
            let message = format!("parse:[\"{name}\"] and {name}: [ids...] are mutually exclusive.");
            errors.add(&[FIELD], "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE", message);
        }
        ids
    };
    let users = ids("users");
    ids("roles");
    let mut fields = Fields { object, path: &[FIELD], errors: std::mem::take(errors) };
    let replied_user = fields.boolean("replied_user").unwrap_or(false);
    *errors = fields.errors;
    AllowedMentions {
        everyone: parsed.contains("everyone"),
        users: (!parsed.contains("users")).then_some(users),
        replied_user,
    }
}

fn list<'a>(object: &'a Map<String, Value>, name: &str, errors: &mut FormErrors) -> &'a [Value] {
    list_at(object, &["allowed_mentions", name], errors)
}

/// The list that the last part of a path names.
fn list_at<'a>(object: &'a Map<String, Value>, path: &[&str], errors: &mut FormErrors) -> &'a [Value] {
    match non_null(object.get(path.last().copied().unwrap_or_default())) {
        None => &[],
        Some(Value::Array(items)) => items,
        Some(_) => {
            errors.add(path, "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType");
            &[]
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
