//! Which addresses the public internet has, and what the others are.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};
use thiserror::Error;

/// Why an address is none that a user may send us to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotPublic {
    /// This machine.
    #[error("it is this machine's own")]
    Loopback,
    /// No address at all, or every one.
    #[error("it names no machine")]
    Unspecified,
    /// A private network (RFC 1918, RFC 4193, RFC 6598).
    #[error("it is one of a private network")]
    Private,
    /// The local link (RFC 3927, RFC 4291).
    #[error("it is one of the local link")]
    LinkLocal,
    /// Where a cloud tells its machines their secrets.
    #[error("it is a cloud's metadata service")]
    Metadata,
    /// Many at once.
    #[error("it is for many receivers")]
    Multicast,
    /// Set aside: documentation, benchmarks, protocols, the future.
    #[error("it is set aside and nobody's")]
    Reserved,
}

/// Networks that are not public, from the IANA registries of special-purpose addresses
/// (iana.org/assignments/iana-ipv4-special-registry), the narrower before the wider.
const V4: [(Ipv4Addr, u8, NotPublic); 19] = [
    // Public by its number, and a cloud's all the same (learn.microsoft.com, "What is IP address 168.63.129.16?").
    (Ipv4Addr::new(168, 63, 129, 16), 32, NotPublic::Metadata),
    (Ipv4Addr::new(169, 254, 169, 254), 32, NotPublic::Metadata),
    (Ipv4Addr::new(169, 254, 170, 2), 32, NotPublic::Metadata),
    (Ipv4Addr::new(100, 100, 100, 200), 32, NotPublic::Metadata),
    (Ipv4Addr::new(192, 0, 0, 192), 32, NotPublic::Metadata),
    (Ipv4Addr::UNSPECIFIED, 8, NotPublic::Unspecified),
    (Ipv4Addr::new(10, 0, 0, 0), 8, NotPublic::Private),
    (Ipv4Addr::new(100, 64, 0, 0), 10, NotPublic::Private),
    (Ipv4Addr::new(127, 0, 0, 0), 8, NotPublic::Loopback),
    (Ipv4Addr::new(169, 254, 0, 0), 16, NotPublic::LinkLocal),
    (Ipv4Addr::new(172, 16, 0, 0), 12, NotPublic::Private),
    (Ipv4Addr::new(192, 0, 0, 0), 24, NotPublic::Reserved),
    (Ipv4Addr::new(192, 0, 2, 0), 24, NotPublic::Reserved),
    (Ipv4Addr::new(192, 88, 99, 0), 24, NotPublic::Reserved),
    (Ipv4Addr::new(192, 168, 0, 0), 16, NotPublic::Private),
    (Ipv4Addr::new(198, 18, 0, 0), 15, NotPublic::Reserved),
    (Ipv4Addr::new(198, 51, 100, 0), 24, NotPublic::Reserved),
    (Ipv4Addr::new(203, 0, 113, 0), 24, NotPublic::Reserved),
    (Ipv4Addr::new(224, 0, 0, 0), 4, NotPublic::Multicast),
];

/// The same for IPv6 (iana.org/assignments/iana-ipv6-special-registry). What is not in `2000::/3` is not public at all.
const V6: [(Ipv6Addr, u8, NotPublic); 10] = [
    (Ipv6Addr::LOCALHOST, 128, NotPublic::Loopback),
    (Ipv6Addr::UNSPECIFIED, 128, NotPublic::Unspecified),
    (Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), 128, NotPublic::Metadata),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, NotPublic::Private),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, NotPublic::Private),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, NotPublic::LinkLocal),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, NotPublic::Multicast),
    // Teredo, ORCHID, benchmarks: protocols, not machines.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, NotPublic::Reserved),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, NotPublic::Reserved),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, NotPublic::Reserved),
];

/// Whether an address is one of the public internet. An IPv4 address inside an IPv6 one is judged as itself.
///
/// # Errors
/// [`NotPublic`]
pub fn public(address: IpAddr) -> Result<(), NotPublic> {
    match address {
        IpAddr::V4(address) => public_v4(address),
        IpAddr::V6(address) => public_v6(address),
    }
}

fn public_v4(address: Ipv4Addr) -> Result<(), NotPublic> {
    let found = V4.iter().find(|(network, prefix, _)| {
        Ipv4Net::new(*network, *prefix).is_ok_and(|network| network.contains(&address))
    });
    match found {
        Some((_, _, reason)) => Err(*reason),
        // 240/4 and the broadcast address.
        None if address.octets()[0] >= 240 => Err(NotPublic::Reserved),
        None => Ok(()),
    }
}

fn public_v6(address: Ipv6Addr) -> Result<(), NotPublic> {
    let found = V6.iter().find(|(network, prefix, _)| {
        Ipv6Net::new(*network, *prefix).is_ok_and(|network| network.contains(&address))
    });
    if let Some((_, _, reason)) = found {
        return Err(*reason);
    }
    if let Some(inner) = inner(address) {
        return public_v4(inner);
    }
    if address.segments()[0] & 0xe000 == 0x2000 { Ok(()) } else { Err(NotPublic::Reserved) }
}

/// The IPv4 address that an IPv6 address leads to: mapped (RFC 4291), compatible, translated (RFC 6052), 6to4 (RFC 3056)
/// or ISATAP (RFC 5214).
fn inner(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let two = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..]
        | [_, _, _, _, 0 | 0x200, 0x5efe, high, low] => Some(two(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every kind of address that must not be reached, at both ends of its network, plain and wrapped.
    const REFUSED: [(&str, NotPublic); 62] = [
        ("0.0.0.0", NotPublic::Unspecified),
        ("0.1.2.3", NotPublic::Unspecified),
        ("10.0.0.0", NotPublic::Private),
        ("10.255.255.255", NotPublic::Private),
        ("100.64.0.1", NotPublic::Private),
        ("100.127.255.255", NotPublic::Private),
        ("100.100.100.200", NotPublic::Metadata),
        ("127.0.0.1", NotPublic::Loopback),
        ("127.255.255.254", NotPublic::Loopback),
        ("168.63.129.16", NotPublic::Metadata),
        ("169.254.0.1", NotPublic::LinkLocal),
        ("169.254.169.254", NotPublic::Metadata),
        ("169.254.170.2", NotPublic::Metadata),
        ("172.16.0.1", NotPublic::Private),
        ("172.31.255.255", NotPublic::Private),
        ("192.0.0.1", NotPublic::Reserved),
        ("192.0.0.192", NotPublic::Metadata),
        ("192.0.2.1", NotPublic::Reserved),
        ("192.88.99.1", NotPublic::Reserved),
        ("192.168.0.1", NotPublic::Private),
        ("192.168.255.255", NotPublic::Private),
        ("198.18.0.1", NotPublic::Reserved),
        ("198.19.255.255", NotPublic::Reserved),
        ("198.51.100.1", NotPublic::Reserved),
        ("203.0.113.1", NotPublic::Reserved),
        ("224.0.0.1", NotPublic::Multicast),
        ("239.255.255.250", NotPublic::Multicast),
        ("240.0.0.1", NotPublic::Reserved),
        ("255.255.255.255", NotPublic::Reserved),
        ("::", NotPublic::Unspecified),
        ("::1", NotPublic::Loopback),
        ("::ffff:127.0.0.1", NotPublic::Loopback),
        ("::ffff:10.0.0.1", NotPublic::Private),
        ("::ffff:169.254.169.254", NotPublic::Metadata),
        ("::ffff:7f00:1", NotPublic::Loopback),
        ("::ffff:0:127.0.0.1", NotPublic::Loopback),
        ("::127.0.0.1", NotPublic::Loopback),
        ("::192.168.1.1", NotPublic::Private),
        ("64:ff9b::127.0.0.1", NotPublic::Loopback),
        ("64:ff9b::a9fe:a9fe", NotPublic::Metadata),
        ("64:ff9b:1::7f00:1", NotPublic::Reserved),
        ("2002:7f00:1::", NotPublic::Loopback),
        ("2002:a9fe:a9fe::1", NotPublic::Metadata),
        ("2002:c0a8:101::1", NotPublic::Private),
        ("2a00:1450::5efe:7f00:1", NotPublic::Loopback),
        ("2a00:1450::200:5efe:a00:1", NotPublic::Private),
        ("2001::1", NotPublic::Reserved),
        ("2001:10::1", NotPublic::Reserved),
        ("2001:2::1", NotPublic::Reserved),
        ("2001:db8::1", NotPublic::Reserved),
        ("3fff::1", NotPublic::Reserved),
        ("100::1", NotPublic::Reserved),
        ("4000::1", NotPublic::Reserved),
        ("5f00::1", NotPublic::Reserved),
        ("fc00::1", NotPublic::Private),
        ("fd00::1", NotPublic::Private),
        ("fdff:ffff::1", NotPublic::Private),
        ("fd00:ec2::254", NotPublic::Metadata),
        ("fe80::1", NotPublic::LinkLocal),
        ("febf::1", NotPublic::LinkLocal),
        ("fec0::1", NotPublic::Private),
        ("ff02::1", NotPublic::Multicast),
    ];

    const PUBLIC: [&str; 16] = [
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "149.154.167.50",
        "162.159.128.233",
        "172.15.255.255",
        "172.32.0.0",
        "192.167.255.255",
        "223.255.255.255",
        "2001:67c:4e8:f002::a",
        "2606:4700::1",
        "2a00:1450:4001:80b::200e",
        "::ffff:8.8.8.8",
    ];

    #[test]
    fn what_is_not_public_is_refused_however_it_is_written() {
        for (text, reason) in REFUSED {
            assert_eq!(public(text.parse().unwrap()), Err(reason), "{text}");
        }
    }

    #[test]
    fn what_is_public_passes() {
        for text in PUBLIC {
            assert_eq!(public(text.parse().unwrap()), Ok(()), "{text}");
        }
        assert_eq!(public("64:ff9b::808:808".parse().unwrap()), Ok(()), "translated, and public behind it");
    }

    #[test]
    fn a_reason_is_a_sentence_that_goes_on() {
        assert_eq!(NotPublic::Metadata.to_string(), "it is a cloud's metadata service");
    }
}
