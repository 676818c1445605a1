//! A webhook's id and token, as read from its address.

use std::fmt;

use reqwest12::Url;
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

/// Hosts under which Discord hands out addresses of webhooks.
const HOSTS: [&str; 6] = [
    "discord.com",
    "ptb.discord.com",
    "canary.discord.com",
    "discordapp.com",
    "ptb.discordapp.com",
    "canary.discordapp.com",
];
/// Longest token that is taken; Discord's have 68 characters.
const TOKEN_MAX: usize = 200;

/// Why a text is no address of a webhook. Holds nothing of the text.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(super) enum AddressError {
    /// No web address at all.
    #[error("this is not a web address: it looks like https://discord.com/api/webhooks/…")]
    NoAddress,
    /// Neither Discord's nor the configured base.
    #[error("this is not an address of Discord")]
    OtherHost,
    /// Another path.
    #[error("this is not the address of a webhook: it looks like https://discord.com/api/webhooks/…")]
    OtherPath,
    /// Only TLS, unless the configured base is plain.
    #[error("this address is not https")]
    Plain,
}

/// Names a webhook and lets one write by it.
pub(super) struct HookAddress {
    /// The webhook's id.
    pub(super) id: i64,
    /// Its token: base64 letters only, so that it stands in a path as it is.
    pub(super) token: SecretString,
}

impl HookAddress {
    /// Reads an address as Discord shows it, or one of the configured base. What stands behind a question mark is not
    /// looked at.
    ///
    /// # Errors
    /// [`AddressError`].
    pub(super) fn parse(address: &SecretString, base: &str) -> Result<Self, AddressError> {
        let url = Url::parse(address.expose_secret().trim()).map_err(|_| AddressError::NoAddress)?;
        let host = url.host_str().ok_or(AddressError::NoAddress)?;
        let base = Url::parse(base).ok();
        let is_base = base.as_ref().is_some_and(|base| base.origin() == url.origin());
        if !is_base {
            if !HOSTS.contains(&host) {
                return Err(AddressError::OtherHost);
            }
            if url.scheme() != "https" || url.port().is_some() {
                return Err(AddressError::Plain);
            }
        }
        let path = url.path();
        let path = match base.as_ref().map(|base| base.path().trim_end_matches('/')) {
            Some(before) if is_base => path.strip_prefix(before).unwrap_or(path),
            _ => path,
        };
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        let (id, token) = match segments.as_slice() {
            ["api", "webhooks", id, token] => (id, token),
            ["api", version, "webhooks", id, token] if is_version(version) => (id, token),
            _ => return Err(AddressError::OtherPath),
        };
        Self::new(id.parse().map_err(|_| AddressError::OtherPath)?, token).ok_or(AddressError::OtherPath)
    }

    /// From what is kept of an account; `None` if the token is none.
    pub(super) fn new(id: i64, token: &str) -> Option<Self> {
        let letters =
            token.chars().all(|char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.'));
        let sound = id > 0 && letters && (1..=TOKEN_MAX).contains(&token.len()) && !token.starts_with('.');
        sound.then(|| Self { id, token: SecretString::from(token) })
    }
}

impl fmt::Debug for HookAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HookAddress").field("id", &self.id).finish_non_exhaustive()
    }
}

fn is_version(segment: &str) -> bool {
    segment.strip_prefix('v').is_some_and(|number| {
        !number.is_empty() && number.len() <= 3 && number.chars().all(|char| char.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, base: &str) -> Result<(i64, String), AddressError> {
        let parsed = HookAddress::parse(&SecretString::from(text), base)?;
        Ok((parsed.id, parsed.token.expose_secret().to_owned()))
    }

    #[test]
    fn every_form_that_discord_shows_is_read() {
        let expected = Ok((7, "aB-_9".to_owned()));
        for host in HOSTS {
            for path in
                ["api/webhooks/7/aB-_9", "api/v10/webhooks/7/aB-_9/", "api/webhooks/7/aB-_9?wait=true"]
            {
                assert_eq!(parse(&format!(" https://{host}/{path}\n"), "https://discord.com"), expected);
            }
        }
        let own = "http://127.0.0.1:81/api/v10/webhooks/7/aB-_9";
        assert_eq!(parse(own, "http://127.0.0.1:81"), expected, "the configured base");
        assert_eq!(parse("http://127.0.0.1:81/x/api/webhooks/7/aB-_9", "http://127.0.0.1:81/x/"), expected);
    }

    #[test]
    fn nothing_else_is() {
        let of = |text: &str| parse(text, "http://127.0.0.1:81").unwrap_err();
        assert_eq!(of("secret"), AddressError::NoAddress);
        assert_eq!(of("mailto:a@b"), AddressError::NoAddress);
        for text in [
            "https://discord.com.evil.example/api/webhooks/7/aB",
            "https://evil.example/discord.com/api/webhooks/7/aB",
            "https://discord.com@evil.example/api/webhooks/7/aB",
            "http://127.0.0.1:82/api/webhooks/7/aB",
            "https://127.0.0.1:81/api/webhooks/7/aB",
        ] {
            assert_eq!(of(text), AddressError::OtherHost, "{text}");
        }
        assert_eq!(of("http://discord.com/api/webhooks/7/aB"), AddressError::Plain);
        assert_eq!(of("https://discord.com:444/api/webhooks/7/aB"), AddressError::Plain);
        for path in [
            "",
            "api/webhooks/7",
            "api/webhooks/x/aB",
            "api/webhooks/0/aB",
            "api/webhooks/-7/aB",
            "api/webhooks/7/a%2e",
            "api/webhooks/7/aB/slack",
            "api/v/webhooks/7/aB",
            "webhooks/7/aB",
        ] {
            assert_eq!(of(&format!("https://discord.com/{path}")), AddressError::OtherPath, "{path}");
        }
        let text = SecretString::from("https://discord.com/api/webhooks/7/hidden");
        let parsed = HookAddress::parse(&text, "https://discord.com").unwrap();
        assert!(!format!("{parsed:?}").contains("hidden"));
    }
}
