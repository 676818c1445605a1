//! The proxy through which an account reaches its platform: SOCKS5 (RFC 1928), with a name and a password or without.

use std::fmt;
use std::net::IpAddr;

use secrecy::{ExposeSecret, SecretSlice, SecretString};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Longest host name (RFC 1035).
const HOST_MAX: usize = 253;
/// Longest user name and password (RFC 1929).
const CREDENTIAL_MAX: usize = 255;

/// Why something is no proxy. Holds nothing of what was given.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ProxyError {
    /// Neither a name nor an address.
    #[error("host must be a host name or an IP address")]
    Host,
    /// Port zero.
    #[error("port must be 1 to 65535")]
    Port,
    /// A user name that the protocol or the clients cannot carry.
    #[error("user must be 1 to 255 letters, digits or signs of -._~!$&'()*+,")]
    User,
    /// A password that the protocol or the clients cannot carry, or one without a user.
    #[error("password must be 1 to 255 letters, digits or signs of -._~!$&'()*+, and goes with a user")]
    Password,
}

/// A SOCKS5 proxy of one account. While it has one, nothing of the account goes past it.
#[derive(Clone)]
pub struct Proxy {
    host: String,
    port: u16,
    credential: Option<(String, SecretString)>,
}

/// As it is kept, sealed.
#[derive(Serialize, Deserialize)]
struct Record {
    host: String,
    port: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    password: Option<String>,
}

impl Proxy {
    /// Under this name an account's proxy lies among its secrets.
    pub const SECRET: &'static str = "proxy";

    /// A proxy.
    ///
    /// # Errors
    /// [`ProxyError`].
    pub fn new(
        host: &str,
        port: u16,
        user: Option<&str>,
        password: Option<&SecretString>,
    ) -> Result<Self, ProxyError> {
        let host = host.trim().trim_start_matches('[').trim_end_matches(']');
        if host.parse::<IpAddr>().is_err() && !is_name(host) {
            return Err(ProxyError::Host);
        }
        if port == 0 {
            return Err(ProxyError::Port);
        }
        let credential = match (user, password) {
            (None, None) => None,
            (None, Some(_)) | (Some(_), None) => return Err(ProxyError::Password),
            (Some(user), Some(_)) if !is_plain(user) => return Err(ProxyError::User),
            (Some(_), Some(password)) if !is_plain(password.expose_secret()) => {
                return Err(ProxyError::Password);
            }
            (Some(user), Some(password)) => Some((user.to_owned(), password.clone())),
        };
        Ok(Self { host: host.to_owned(), port, credential })
    }

    /// Its host name or address.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Its port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The user name, where it asks for one.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.credential.as_ref().map(|(user, _)| user.as_str())
    }

    /// User name and password, where it asks for them.
    #[must_use]
    pub const fn credential(&self) -> Option<&(String, SecretString)> {
        self.credential.as_ref()
    }

    /// As it is kept.
    #[must_use]
    pub fn encode(&self) -> SecretSlice<u8> {
        let (user, password) = match &self.credential {
            Some((user, password)) => (Some(user.clone()), Some(password.expose_secret().to_owned())),
            None => (None, None),
        };
        let record = Record { host: self.host.clone(), port: self.port, user, password };
        // Texts and a number always have a JSON form.
        SecretSlice::from(serde_json::to_vec(&record).unwrap_or_default())
    }

    /// From what is kept; `None` if that is none of ours.
    #[must_use]
    pub fn decode(kept: &SecretSlice<u8>) -> Option<Self> {
        let record: Record = serde_json::from_slice(kept.expose_secret()).ok()?;
        let password = record.password.map(SecretString::from);
        Self::new(&record.host, record.port, record.user.as_deref(), password.as_ref()).ok()
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

fn is_name(host: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_'))
    };
    host.len() <= HOST_MAX
        && host.trim_end_matches('.').split('.').all(label)
        // A number is an address in a form that some resolvers take and none should.
        && !host.chars().all(|char| char.is_ascii_digit() || char == '.')
}

/// Signs that stand in a proxy's address as they are: clients take the address as one text and do not decode it.
fn is_plain(text: &str) -> bool {
    let plain = |char: char| char.is_ascii_alphanumeric() || "-._~!$&'()*+,".contains(char);
    (1..=CREDENTIAL_MAX).contains(&text.len()) && text.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_survives_being_kept_and_says_nothing_of_its_password() {
        let password = SecretString::from("s3cret-word");
        let proxy = Proxy::new("proxy.example", 1080, Some("ada"), Some(&password)).unwrap();
        let again = Proxy::decode(&proxy.encode()).unwrap();
        assert_eq!((again.host(), again.port(), again.user()), ("proxy.example", 1080, Some("ada")));
        assert_eq!(again.credential().unwrap().1.expose_secret(), "s3cret-word");
        assert!(!format!("{again:?}").contains("s3cret"));
        assert!(Proxy::decode(&SecretSlice::from(b"nonsense".to_vec())).is_none());
    }

    #[test]
    fn what_is_no_proxy_is_refused() {
        let word = SecretString::from("x");
        for host in ["", "a b", "http://proxy", "-a.example", "127.1", "2130706433", "a/b", "a:1"] {
            assert_eq!(Proxy::new(host, 1, None, None).unwrap_err(), ProxyError::Host, "{host}");
        }
        for host in ["proxy", "a.example.", "10.0.0.1", "::1", "[2001:db8::1]"] {
            assert!(Proxy::new(host, 1, None, None).is_ok(), "{host}");
        }
        assert_eq!(Proxy::new("a", 0, None, None).unwrap_err(), ProxyError::Port);
        assert_eq!(Proxy::new("a", 1, Some("b:c"), Some(&word)).unwrap_err(), ProxyError::User);
        assert_eq!(Proxy::new("a", 1, None, Some(&word)).unwrap_err(), ProxyError::Password);
        let wrong = SecretString::from("a@b");
        assert_eq!(Proxy::new("a", 1, Some("b"), Some(&wrong)).unwrap_err(), ProxyError::Password);
    }
}
