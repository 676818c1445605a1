//! E-mail addresses and passwords as people give them.

use std::fmt;

use crate::crypto::{LookupKey, Tag};
use crate::services::fault::Fault;
use crate::services::sensitive::Sensitive;

/// Longest address (RFC 5321, section 4.5.3.1.3, without the brackets) and local part (4.5.3.1.1), in bytes.
const LENGTH_MAX: usize = 254;
const LOCAL_MAX: usize = 64;

/// Least and most characters of a password (NIST SP 800-63B, section 3.1.1.2, asks for eight at least and 64 to be taken).
const PASSWORD_MIN: usize = 10;
const PASSWORD_MAX: usize = 256;

/// Passwords that are tried first everywhere, of those that are long enough to be taken.
const TRIED_FIRST: [&str; 24] = [
    "1234567890",
    "0123456789",
    "0987654321",
    "1q2w3e4r5t",
    "1q2w3e4r5t6y",
    "qwertyuiop",
    "qwerty12345",
    "qwerty123456",
    "password12",
    "password123",
    "password1234",
    "passw0rd123",
    "p@ssw0rd123",
    "iloveyou123",
    "letmein123",
    "welcome123",
    "welcome1234",
    "admin12345",
    "administrator",
    "changeme123",
    "abc1234567",
    "abcdefghij",
    "sunshine123",
    "switchyard",
];

/// An address that has the form of one.
#[derive(Clone, PartialEq, Eq)]
pub struct EmailAddress {
    typed: String,
    normal: String,
}

impl EmailAddress {
    /// Takes an address. Two that differ in case alone are one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let typed = text.trim();
        if typed.len() > LENGTH_MAX {
            return Err("it is longer than 254 bytes");
        }
        let Some((local, domain)) = typed.rsplit_once('@') else { return Err("it has no @") };
        if local.is_empty() || local.len() > LOCAL_MAX || domain.is_empty() {
            return Err("the part before or behind the @ is empty or too long");
        }
        let odd =
            |letter: char| letter.is_whitespace() || letter.is_control() || "<>(),;:\\\"[]@".contains(letter);
        if local.contains(odd) || domain.contains(odd) {
            return Err("it has a letter that addresses do not have");
        }
        let dotted = |part: &str| part.split('.').all(|piece| !piece.is_empty());
        if !dotted(local) || !dotted(domain) || domain.starts_with('-') || domain.ends_with('-') {
            return Err("its dots are not where they belong");
        }
        Ok(Self { typed: typed.to_owned(), normal: typed.to_lowercase() })
    }

    /// As it was typed.
    #[must_use]
    pub fn as_typed(&self) -> &str {
        &self.typed
    }

    /// By which the store finds it.
    #[must_use]
    pub fn tag(&self, key: &LookupKey) -> Tag {
        key.tag("e-mail", self.normal.as_bytes())
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailAddress([redacted])")
    }
}

/// An address in the field `pointer`.
pub(super) fn address(text: &str, pointer: &'static str) -> Result<EmailAddress, Fault> {
    EmailAddress::parse(text).map_err(|wrong| Fault::invalid(pointer, wrong))
}

/// Refuses a password that is easy to guess.
pub(super) fn fits(password: &Sensitive, email: Option<&str>, pointer: &'static str) -> Result<(), Fault> {
    let wrong = |detail: &str| Err(Fault::invalid(pointer, detail));
    let text = password.expose();
    let length = text.chars().count();
    if length < PASSWORD_MIN {
        return wrong("it must have at least 10 characters");
    }
    if length > PASSWORD_MAX {
        return wrong("it must not have more than 256 characters");
    }
    let lower = text.to_lowercase();
    let one_letter = lower.chars().all(|letter| lower.starts_with(letter));
    if one_letter || TRIED_FIRST.contains(&lower.as_str()) {
        return wrong("it is among the passwords that are tried first");
    }
    let own = email.is_some_and(|email| {
        let email = email.to_lowercase();
        lower == email || email.split('@').next() == Some(lower.as_str())
    });
    if own { wrong("it must not be the e-mail address") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    #[test]
    fn addresses_are_told_from_what_is_none() {
        for text in ["a@b", "a.b+c@example.org", " Ann@Example.ORG ", "ünal@bücher.example", "o'neil@x.y"] {
            assert!(EmailAddress::parse(text).is_ok(), "{text}");
        }
        let long = format!("{}@example.org", "a".repeat(65));
        for text in [
            "",
            "a",
            "@",
            "a@",
            "@b",
            "a b@c.d",
            "a@b@c",
            "a@b\r\nBcc: x@y",
            "<a@b>",
            "a..b@c",
            ".a@b",
            "a@b.",
            "a@-b",
            "a,b@c",
            long.as_str(),
        ] {
            assert!(EmailAddress::parse(text).is_err(), "{text}");
        }
        let key = LookupKey::new(&[3; 32]);
        let tag = |text: &str| EmailAddress::parse(text).unwrap().tag(&key);
        assert_eq!(tag("Ann@Example.ORG"), tag("ann@example.org "));
        assert!(!format!("{:?}", EmailAddress::parse("a@b")).contains("a@b"));
    }

    #[test]
    fn easy_passwords_are_refused() {
        let fits = |text: &str| fits(&Sensitive::from(SecretString::from(text)), Some("somebody1@x.y"), "/p");
        assert!(fits("correct horse battery").is_ok() && fits("ünïcödé-wörd").is_ok());
        for easy in ["short", "ninechars", "aaaaaaaaaaaa", "Password123", "somebody1@x.y"] {
            assert!(fits(easy).is_err(), "{easy}");
        }
    }
}
