//! The way out of one account: its proxy, looked up once and held to that address, or nothing at all.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use switchyard_actors::ports::{ConnectionError, Proxy};

use crate::outgoing::{NotPublic, public};

/// Who looks the names of the servers up that are reached through the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    /// Nobody: they are addresses already.
    AtHome,
    /// The proxy: no question about a platform's name leaves this machine.
    AtProxy,
}

/// A proxy at the one address that was checked: what its name stands for a moment later does not matter.
pub(crate) struct Pinned {
    address: SocketAddr,
    credential: Option<(String, SecretString)>,
}

impl Pinned {
    /// As clients take it. Its signs need no escape, see [`Proxy::new`].
    pub(crate) fn url(&self, names: Names) -> SecretString {
        let scheme = match names {
            Names::AtHome => "socks5",
            Names::AtProxy => "socks5h",
        };
        let address = self.address;
        SecretString::from(match &self.credential {
            Some((user, password)) => format!("{scheme}://{user}:{}@{address}", password.expose_secret()),
            None => format!("{scheme}://{address}"),
        })
    }
}

/// Looks a proxy up and checks where it is.
///
/// # Errors
/// [`ConnectionError::Unreachable`] when it is nowhere, [`ConnectionError::Refused`] when every address of it is one that
/// users may not make this machine connect to.
pub(crate) async fn pin(proxy: &Proxy, private: bool, limit: Duration) -> Result<Pinned, ConnectionError> {
    let name = (proxy.host().to_owned(), proxy.port());
    let unknown =
        |why: String| ConnectionError::Unreachable(format!("the account's proxy is unknown: {why}"));
    let found = tokio::time::timeout(limit, tokio::net::lookup_host(name)).await;
    let found = found.map_err(|_| unknown("no answer in time".to_owned()))?;
    let found: Vec<SocketAddr> = found.map_err(|error| unknown(error.to_string()))?.collect();
    if found.is_empty() {
        return Err(unknown("its name has no address".to_owned()));
    }
    // One address that must not be reached condemns the name.
    let address =
        found.first().copied().filter(|_| found.iter().all(|address| allowed(address.ip(), private)));
    let address = address.ok_or_else(|| {
        ConnectionError::Refused(
            "the account's proxy stands in a private network, where this server connects to no proxy"
                .to_owned(),
        )
    })?;
    Ok(Pinned { address, credential: proxy.credential().cloned() })
}

/// What a proxy that may not be used means to an account that is connected already: it waits for another way, and its login
/// stays as good as it was.
pub(crate) fn keeps_login(error: ConnectionError) -> ConnectionError {
    match error {
        ConnectionError::Refused(why) => ConnectionError::Unreachable(why),
        other => other,
    }
}

/// Whether a connection may go there: a cloud's metadata service is refused also where private networks are not.
fn allowed(ip: IpAddr, private: bool) -> bool {
    match public(ip) {
        Ok(()) => true,
        Err(NotPublic::Metadata | NotPublic::Multicast | NotPublic::Unspecified) => false,
        Err(_) => private,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_private_proxy_is_refused_unless_it_is_allowed_and_keeps_its_address() {
        let password = SecretString::from("word");
        let proxy = Proxy::new("127.0.0.1", 1080, Some("ada"), Some(&password)).unwrap();
        let limit = Duration::from_secs(30);
        assert!(matches!(pin(&proxy, false, limit).await, Err(ConnectionError::Refused(_))));
        let kept = pin(&proxy, false, limit).await.map_err(keeps_login);
        assert!(
            matches!(kept, Err(ConnectionError::Unreachable(_))),
            "an account that has it needs no login"
        );
        let metadata = Proxy::new("169.254.169.254", 80, None, None).unwrap();
        assert!(matches!(pin(&metadata, true, limit).await, Err(ConnectionError::Refused(_))));
        let pinned = pin(&proxy, true, limit).await.unwrap();
        assert_eq!(pinned.url(Names::AtHome).expose_secret(), "socks5://ada:word@127.0.0.1:1080");
        assert_eq!(pinned.url(Names::AtProxy).expose_secret(), "socks5h://ada:word@127.0.0.1:1080");
        let nowhere = Proxy::new("no-such-host.invalid", 1, None, None).unwrap();
        assert!(matches!(pin(&nowhere, true, limit).await, Err(ConnectionError::Unreachable(_))));
    }
}
