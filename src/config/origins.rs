//! Web origins, as browsers send them.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error};

/// Origins whose pages may read answers of the API, each exactly as a browser sends it in `Origin` (RFC 6454, section 6.2).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Origins(Vec<String>);

impl Origins {
    /// Whether this origin is among them.
    #[must_use]
    pub fn contains(&self, origin: &str) -> bool {
        self.0.iter().any(|known| known == origin)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn parse(text: &str) -> Result<Self, String> {
        let named = text.split(',').map(str::trim).filter(|origin| !origin.is_empty());
        named.map(|origin| check(origin).map(|()| origin.to_owned())).collect::<Result<_, _>>().map(Self)
    }
}

/// A scheme, a host, a port that is not the scheme's own: nothing that a browser would write in another way.
fn check(origin: &str) -> Result<(), String> {
    let wrong = |why: &str| Err(format!("{origin:?} is no origin: {why}"));
    if origin == "*" || origin == "null" {
        return wrong("name the origins one by one");
    }
    let (rest, own_port) = match (origin.strip_prefix("https://"), origin.strip_prefix("http://")) {
        (Some(rest), _) => (rest, ":443"),
        (None, Some(rest)) => (rest, ":80"),
        (None, None) => return wrong("it must begin with https:// or http://"),
    };
    let host =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | ':' | '[' | ']');
    if rest.is_empty() || !rest.chars().all(host) {
        return wrong(
            "after the scheme come a host in small letters and perhaps a port, no path and no slash",
        );
    }
    if rest.ends_with(own_port) || rest.ends_with(':') {
        return wrong("a browser leaves the scheme's own port out");
    }
    Ok(())
}

impl fmt::Debug for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}

impl<'de> Deserialize<'de> for Origins {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_read_as_browsers_write_them() {
        let origins =
            Origins::parse(" https://app.example, http://localhost:3000,https://[2001:db8::1]:8443 ")
                .unwrap();
        for known in ["https://app.example", "http://localhost:3000", "https://[2001:db8::1]:8443"] {
            assert!(origins.contains(known), "{known}");
        }
        for other in [
            "https://app.example:443",
            "http://app.example",
            "https://evil.example",
            "https://app.example.evil.example",
            "null",
            "",
        ] {
            assert!(!origins.contains(other), "{other}");
        }
        assert!(Origins::parse("").unwrap().is_empty());
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for text in [
            "*",
            "null",
            "app.example",
            "https://",
            "https://app.example/",
            "https://App.example",
            "https://*.example",
            "https://app.example:443",
            "http://app.example:80",
            "ftp://app.example",
            "https://user@app.example",
            "https://app.example, *",
        ] {
            assert!(Origins::parse(text).is_err(), "{text}");
        }
    }
}
