//! Takes secrets out of what goes into the audit log: a keyed hash stands in their place, so that equal ones look equal.
//!
//! Two nets, one behind the other: fields whose name says that they hold a secret, and texts that look like one wherever
//! they stand. The second may catch more than it must; the log then tells less, never too much.

use std::fmt;

use ring::hmac;
use serde_json::Value;
use uuid::Uuid;

/// Parts of names, in lower case without `_` and `-`, of fields that hold secrets.
const SECRET_NAMES: [&str; 17] = [
    "password",
    "passphrase",
    "secret",
    "token",
    "totp",
    "otp",
    "apikey",
    "authkey",
    "masterkey",
    "privatekey",
    "credential",
    "authorization",
    "cookie",
    "session",
    "recovery",
    "proxy",
    "webhook",
];
/// Names that hold one of those parts and say who or how many, not what.
const PLAIN_NAMES: [&str; 6] =
    ["sessions", "session_id", "session_state", "sessions_ended", "totp_enrolled", "token_type"];
/// Shortest run of letters and digits that may be a key: tokens of 128 bits have 22 characters in base64.
const RUN_MIN: usize = 22;
/// Deepest nesting that is looked into.
const DEPTH_MAX: usize = 32;
const MARK: &str = "hmac-sha256:";

/// What the key of the hashes is for, by which the store makes it.
pub const PURPOSE: &str = "audit log";

/// Hashes secrets under a key of the installation's own.
pub struct Scrubber {
    key: hmac::Key,
    text_max: usize,
}

impl fmt::Debug for Scrubber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scrubber").finish_non_exhaustive()
    }
}

impl Scrubber {
    /// Under a key. A value is at most `text_max` bytes of JSON; of a longer one the hash stays.
    #[must_use]
    pub fn new(key: &[u8; 32], text_max: usize) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key), text_max }
    }

    /// What stands in a secret's place: `hmac-sha256:DIGEST`.
    #[must_use]
    pub fn mark(&self, secret: &str) -> String {
        let tag = hmac::sign(&self.key, secret.as_bytes());
        format!("{MARK}{}", hex::encode(tag))
    }

    /// The value as JSON without its secrets.
    #[must_use]
    pub fn clean(&self, mut value: Value) -> String {
        self.walk(&mut value, false, 0);
        let text = value.to_string();
        if text.len() <= self.text_max {
            return text;
        }
        serde_json::json!({ "too_long": text.len(), "value": self.mark(&text) }).to_string()
    }

    /// A single text without its secret, if it looks like one.
    #[must_use]
    pub fn clean_text(&self, text: &str) -> String {
        if looks_secret(text) { self.mark(text) } else { text.to_owned() }
    }

    fn walk(&self, value: &mut Value, secret: bool, depth: usize) {
        if depth > DEPTH_MAX {
            *value = Value::String(self.mark(&value.to_string()));
            return;
        }
        match value {
            Value::Null | Value::Bool(_) => {}
            Value::Number(number) if secret => *value = Value::String(self.mark(&number.to_string())),
            Value::Number(_) => {}
            Value::String(text) if secret || looks_secret(text) => *text = self.mark(text),
            Value::String(_) => {}
            Value::Array(items) => {
                for item in items {
                    self.walk(item, secret, depth + 1);
                }
            }
            Value::Object(fields) => {
                for (name, field) in fields.iter_mut() {
                    self.walk(field, secret || names_secret(name), depth + 1);
                }
            }
        }
    }
}

fn names_secret(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    if PLAIN_NAMES.contains(&lower.as_str()) {
        return false;
    }
    let bare: String = lower.chars().filter(char::is_ascii_alphanumeric).collect();
    bare == "code" || bare == "hash" || bare == "key" || SECRET_NAMES.iter().any(|part| bare.contains(part))
}

/// A user and password in an address, or a long run that mixes letters and digits and is no UUID.
fn looks_secret(text: &str) -> bool {
    if text.starts_with(MARK) {
        return false;
    }
    let userinfo = text
        .split_once("://")
        .is_some_and(|(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or_default().contains('@'));
    let in_run = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '+' | '=');
    userinfo || text.split(|c: char| !in_run(c)).any(is_key_like)
}

fn is_key_like(run: &str) -> bool {
    let digits = run.bytes().filter(u8::is_ascii_digit).count();
    let letters = run.bytes().filter(u8::is_ascii_alphabetic).count();
    let mixed_case =
        run.bytes().any(|b| b.is_ascii_uppercase()) && run.bytes().any(|b| b.is_ascii_lowercase());
    let random = letters >= 4 && (digits >= 3 || (mixed_case && digits >= 1));
    run.len() >= RUN_MIN && random && run.parse::<Uuid>().is_err() && !is_time(run)
}

/// A date and time without its colons, as they stand in names.
fn is_time(run: &str) -> bool {
    run.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'T' | b'Z'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn scrubber() -> Scrubber {
        Scrubber::new(&[7; 32], 4_096)
    }

    #[test]
    fn secrets_are_gone_wherever_they_stand_and_equal_ones_look_equal() {
        let planted = [
            "hunter2",
            "123456:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw0",
            "MTk4NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ.ZnCjm1XVW7vRze4b7Cq4se7kKWs",
            "https://discord.com/api/webhooks/223704706495545344/3d89bb7572e0fb30d8128367b3b1b44fecd1726de135cbe28a41f8b2f777c372ba2939e72279b94526ff5d1bd4358d65cf11",
            "socks5://user:pass@192.0.2.1:1080",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
            "1ApWapzMBu4XkuFQm8Y1h6vT9gS2xN7cR5dE3fJ0aL",
        ];
        let value = json!({
            "password": planted[0],
            "note": format!("the new token is {}", planted[1]),
            "nested": [{ "bot": { "token": planted[2] } }, planted[3], { "url": planted[4] }],
            "access": planted[5],
            "telethon_session": { "text": planted[6] },
            "code": 12345,
        });
        let text = scrubber().clean(value);
        for secret in planted.iter().chain(&["12345\"", ":12345", "AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw0"]) {
            assert!(!text.contains(secret), "{secret} is in {text}");
        }
        let one = scrubber().clean(json!({ "password": "a" }));
        assert_eq!(one, scrubber().clean(json!({ "password": "a" })), "equality can be seen");
        assert_ne!(one, scrubber().clean(json!({ "password": "b" })));
        let again: Value = serde_json::from_str(&one).unwrap();
        assert_ne!(scrubber().clean(again.clone()), "", "a mark may pass again");
        assert!(again["password"].as_str().unwrap().starts_with("hmac-sha256:"));
    }

    #[test]
    fn what_people_need_to_read_stays() {
        let value = json!({
            "id": "0193a0b0-0000-7000-8000-000000000001",
            "path": "sessions/0193a0b0-0000-7000-8000-000000000001",
            "email": "somebody.with.a.long.name@mail.example.org",
            "networks": ["192.0.2.0/24", "2001:db8:1234:5678:9abc:def0:1234:5678"],
            "state": "suspended",
            "reason": "asked-for-by-the-abuse-desk on 2026-11-22T12:00:00.000Z",
            "at": "2026-11-22T12:00:00.000Z",
            "sessions": [{ "state": "ready" }],
            "totp_enrolled": true,
            "count": 12,
        });
        assert_eq!(scrubber().clean(value.clone()), value.to_string());
    }

    #[test]
    fn what_is_too_long_is_named_by_its_length() {
        let text = scrubber().clean(json!({ "list": vec!["word"; 2_000] }));
        assert!(text.len() < 200 && text.contains("too_long"), "{text}");
    }
}
