//! Networks by address and prefix length (CIDR), IPv4 and IPv6: what allow-lists and lists of trusted proxies are made of.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// The bits before the IPv4 address in an IPv4-mapped IPv6 address (RFC 4291, section 2.5.5.2).
const MAPPED_PREFIX: u8 = 96;

/// Why a text names no network.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NetworkError {
    /// It is neither an address nor address/length.
    #[error("{0:?} is no network: write an address or address/length, such as 192.0.2.0/24 or 2001:db8::/32")]
    Malformed(String),
    /// Bits are set behind the prefix.
    #[error("{given} has bits set behind its prefix: did you mean {meant} or a longer prefix?")]
    HostBits {
        /// As it was written.
        given: String,
        /// The network that it lies in.
        meant: Network,
    },
    /// A prefix of length 0 holds every address there is.
    #[error("{0} is every address: a list with it is none")]
    Everything(String),
    /// An IPv4-mapped IPv6 network that reaches beyond the mapped addresses.
    #[error("{0} is neither IPv4 nor IPv6: write IPv4 networks as such")]
    Mixed(String),
}

/// One network. An IPv4-mapped IPv6 address or network is the IPv4 one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network(IpNet);

impl Network {
    /// This machine: 127.0.0.0/8 and `::1`.
    pub const LOOPBACK: [Self; 2] = [
        Self(IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8))),
        Self(IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128))),
    ];

    /// Whether the address lies in it; IPv4-mapped IPv6 counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }

    /// Whether the address lies in any of them.
    #[must_use]
    pub fn any_contains(networks: &[Self], address: IpAddr) -> bool {
        networks.iter().any(|network| network.contains(address))
    }

    /// Networks separated by commas; an empty text names none.
    ///
    /// # Errors
    /// [`NetworkError`] of the first that is wrong.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, NetworkError> {
        text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::parse).collect()
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let malformed = || NetworkError::Malformed(text.to_owned());
        let (address, length) = match text.split_once('/') {
            None => (text.parse::<IpAddr>().map_err(|_| malformed())?, None),
            Some((address, length)) => {
                let digits =
                    (1..=3).contains(&length.len()) && length.bytes().all(|byte| byte.is_ascii_digit());
                let length = length.parse::<u8>().ok().filter(|_| digits).ok_or_else(malformed)?;
                (address.parse::<IpAddr>().map_err(|_| malformed())?, Some(length))
            }
        };
        let mapped = address.to_canonical() != address;
        let length = match (length, mapped) {
            (Some(length), true) => {
                let inner = length.checked_sub(MAPPED_PREFIX).filter(|_| length <= 128);
                Some(inner.ok_or_else(|| NetworkError::Mixed(text.to_owned()))?)
            }
            (length, _) => length,
        };
        let address = address.to_canonical();
        let length = length.unwrap_or(if address.is_ipv4() { 32 } else { 128 });
        let net = IpNet::new(address, length).map_err(|_| malformed())?;
        if length == 0 {
            return Err(NetworkError::Everything(text.to_owned()));
        }
        if net.trunc() != net {
            return Err(NetworkError::HostBits { given: text.to_owned(), meant: Self(net.trunc()) });
        }
        Ok(Self(net))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Network {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Network".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "An address, or address/length (CIDR), IPv4 or IPv6, without bits behind the prefix.",
            "minLength": 2,
            "maxLength": 49,
            "examples": ["192.0.2.0/24", "2001:db8::/32", "203.0.113.7/32"]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_lie_in_networks_bit_by_bit() {
        for (net, address, inside) in [
            ("192.0.2.0/24", "192.0.2.0", true),
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.0/24", "192.0.3.0", false),
            ("192.0.2.128/25", "192.0.2.127", false),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.6", false),
            ("192.0.2.0/24", "::ffff:192.0.2.9", true),
            ("::ffff:192.0.2.0/120", "192.0.2.9", true),
            ("::ffff:192.0.2.7", "192.0.2.7", true),
            ("192.0.2.0/24", "::192.0.2.9", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("2001:db8::/33", "2001:db8:8000::", false),
            ("::1", "::1", true),
            ("::/1", "192.0.2.1", false),
        ] {
            assert_eq!(network(net).contains(address.parse().unwrap()), inside, "{address} in {net}");
        }
        for (address, inside) in [
            ("127.0.0.1", true),
            ("127.255.0.9", true),
            ("::ffff:127.0.0.1", true),
            ("::1", true),
            ("::2", false),
        ] {
            assert_eq!(
                Network::any_contains(&Network::LOOPBACK, address.parse().unwrap()),
                inside,
                "{address}"
            );
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "x",
            "192.0.2.0/",
            "192.0.2.0/33",
            "192.0.2.0/-1",
            "192.0.2.0/+8",
            "192.0.2/24",
            "010.0.0.0/8",
            "2001:db8::/129",
            "::1%lo",
            "192.0.2.0/024x",
            "192.0.2.0/0008",
            "[::1]",
            "192.0.2.1:80",
        ] {
            assert!(matches!(text.parse::<Network>(), Err(NetworkError::Malformed(_))), "{text:?}");
        }
        for text in ["0.0.0.0/0", "::/0", "::ffff:0.0.0.0/96"] {
            assert!(matches!(text.parse::<Network>(), Err(NetworkError::Everything(_))), "{text}");
        }
        assert!(matches!("::ffff:10.0.0.0/95".parse::<Network>(), Err(NetworkError::Mixed(_))));
        let error = "10.1.2.3/8".parse::<Network>().unwrap_err().to_string();
        assert!(error.contains("did you mean 10.0.0.0/8"), "{error}");
    }

    #[test]
    fn a_list_is_read_and_shown() {
        let list = Network::parse_list(" 10.0.0.0/8 ,::1, ").unwrap();
        assert_eq!(list, [network("10.0.0.0/8"), network("::1/128")]);
        assert_eq!(serde_json::to_string(&list).unwrap(), r#"["10.0.0.0/8","::1/128"]"#);
        assert_eq!(serde_json::from_str::<Vec<Network>>(r#"["10.0.0.0/8","::1"]"#).unwrap(), list);
        assert!(Network::parse_list("").unwrap().is_empty());
        assert!(Network::parse_list("10.0.0.0/8 ::1").is_err());
    }
}
