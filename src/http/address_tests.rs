//! A table of addresses and headers, spoofed ones included, and what no header may ever do.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;

const PROXIES: &str = "10.0.0.0/8, 2001:db8:cafe::/48, 127.0.0.1";
const HOPS_MAX: usize = 4;

fn proxies(networks: &str) -> TrustedProxies {
    TrustedProxies { networks: Network::parse_list(networks).unwrap(), hops_max: HOPS_MAX }
}

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        map.append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        );
    }
    map
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// `address` is certain, `?address` is not.
fn expected(text: &str) -> CallerAddress {
    match text.strip_prefix('?') {
        Some(text) => CallerAddress::uncertain(ip(text)),
        None => CallerAddress::certain(ip(text)),
    }
}

type Case = (&'static str, &'static [(&'static str, &'static str)], &'static str);

/// Peer, headers, address.
const CASES: &[Case] = &[
    // Direct callers.
    ("203.0.113.9", &[], "203.0.113.9"),
    ("2001:db8:1::9", &[], "2001:db8:1::9"),
    ("::ffff:203.0.113.9", &[], "203.0.113.9"),
    ("127.0.0.1", &[], "127.0.0.1"),
    ("::1", &[], "::1"),
    // Callers whom nobody trusts say what they like: it is not read, and the request came by a proxy or a liar.
    ("203.0.113.9", &[("X-Forwarded-For", "127.0.0.1")], "?203.0.113.9"),
    ("203.0.113.9", &[("X-Forwarded-For", "10.0.0.1, 127.0.0.1")], "?203.0.113.9"),
    ("203.0.113.9", &[("Forwarded", "for=127.0.0.1")], "?203.0.113.9"),
    ("203.0.113.9", &[("X-Real-IP", "127.0.0.1")], "?203.0.113.9"),
    ("::1", &[("X-Forwarded-For", "203.0.113.9")], "?::1"),
    ("::ffff:203.0.113.9", &[("X-Forwarded-For", "::1")], "?203.0.113.9"),
    // One trusted proxy.
    ("10.0.0.1", &[("X-Forwarded-For", "203.0.113.9")], "203.0.113.9"),
    ("10.0.0.1", &[("x-forwarded-for", "2001:db8:1::9")], "2001:db8:1::9"),
    ("10.0.0.1", &[("X-Forwarded-For", "::ffff:203.0.113.9")], "203.0.113.9"),
    ("::ffff:10.0.0.1", &[("X-Forwarded-For", "203.0.113.9")], "203.0.113.9"),
    ("2001:db8:cafe::1", &[("X-Forwarded-For", "203.0.113.9")], "203.0.113.9"),
    ("10.0.0.1", &[("X-Forwarded-For", "203.0.113.9:4711")], "203.0.113.9"),
    ("10.0.0.1", &[("X-Forwarded-For", "[2001:db8:1::9]:4711")], "2001:db8:1::9"),
    ("10.0.0.1", &[("X-Forwarded-For", "[2001:db8:1::9]")], "2001:db8:1::9"),
    ("10.0.0.1", &[("X-Forwarded-For", " \t203.0.113.9 ")], "203.0.113.9"),
    ("127.0.0.1", &[("X-Forwarded-For", "203.0.113.9")], "203.0.113.9"),
    // Chains, lines and spoofed beginnings.
    ("10.0.0.1", &[("X-Forwarded-For", "203.0.113.9, 10.0.0.2")], "203.0.113.9"),
    ("10.0.0.1", &[("X-Forwarded-For", "127.0.0.1, 203.0.113.9, 10.0.0.2")], "203.0.113.9"),
    ("10.0.0.1", &[("X-Forwarded-For", "127.0.0.1, 203.0.113.9")], "203.0.113.9"),
    ("10.0.0.1", &[("X-Forwarded-For", "garbage, 203.0.113.9")], "203.0.113.9"),
    ("10.0.0.1", &[("X-Forwarded-For", "10.0.0.9, 203.0.113.9")], "203.0.113.9"),
    ("10.0.0.1", &[("X-Forwarded-For", "127.0.0.1"), ("X-Forwarded-For", "203.0.113.9")], "203.0.113.9"),
    ("10.0.0.1", &[("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-For", "10.0.0.2")], "203.0.113.9"),
    ("10.0.0.1", &[("X-Forwarded-For", "10.0.0.3, 10.0.0.2")], "10.0.0.3"),
    ("10.0.0.1", &[("X-Forwarded-For", "203.0.113.9, 10.0.0.4, 10.0.0.3, 10.0.0.2")], "203.0.113.9"),
    // Longer than any real chain, or than any real line.
    ("10.0.0.1", &[("X-Forwarded-For", "203.0.113.9,10.0.0.5,10.0.0.4,10.0.0.3,10.0.0.2")], "?10.0.0.5"),
    // What is no address ends the walk at the last trusted hop.
    ("10.0.0.1", &[("X-Forwarded-For", "")], "?10.0.0.1"),
    ("10.0.0.1", &[("X-Forwarded-For", "unknown")], "?10.0.0.1"),
    ("10.0.0.1", &[("X-Forwarded-For", "127.0.0.1, , 10.0.0.2")], "?10.0.0.2"),
    ("10.0.0.1", &[("X-Forwarded-For", "127.0.0.1,")], "?10.0.0.1"),
    ("10.0.0.1", &[("X-Forwarded-For", "127.0.0.1, x, 10.0.0.2")], "?10.0.0.2"),
    ("10.0.0.1", &[("X-Forwarded-For", "127.1")], "?10.0.0.1"),
    ("10.0.0.1", &[("X-Forwarded-For", "0177.0.0.1")], "?10.0.0.1"),
    ("10.0.0.1", &[("X-Forwarded-For", "2130706433")], "?10.0.0.1"),
    ("10.0.0.1", &[("X-Forwarded-For", "127.0.0.1:99999")], "?10.0.0.1"),
    ("10.0.0.1", &[("X-Forwarded-For", "fe80::1%eth0")], "?10.0.0.1"),
    ("10.0.0.1", &[("X-Forwarded-For", "[::1")], "?10.0.0.1"),
    ("10.0.0.1", &[("X-Forwarded-For", "[127.0.0.1]")], "?10.0.0.1"),
    ("10.0.0.1", &[("X-Forwarded-For", "127.0.0.1 203.0.113.9")], "?10.0.0.1"),
    ("10.0.0.1", &[("X-Forwarded-For", "\u{e9}")], "?10.0.0.1"),
    ("127.0.0.1", &[("X-Forwarded-For", "localhost")], "?127.0.0.1"),
    // A trusted proxy that says nothing of the caller in what is read.
    ("10.0.0.1", &[], "10.0.0.1"),
    ("10.0.0.1", &[("X-Forwarded-Proto", "https")], "?10.0.0.1"),
    ("10.0.0.1", &[("X-Real-IP", "127.0.0.1")], "?10.0.0.1"),
    // RFC 7239.
    ("10.0.0.1", &[("Forwarded", "for=203.0.113.9")], "203.0.113.9"),
    ("10.0.0.1", &[("Forwarded", "For=203.0.113.9;proto=https;by=10.0.0.1")], "203.0.113.9"),
    ("10.0.0.1", &[("Forwarded", "proto=https; FOR=\"203.0.113.9:80\"")], "203.0.113.9"),
    ("10.0.0.1", &[("Forwarded", "for=\"[2001:db8:1::9]:4711\"")], "2001:db8:1::9"),
    ("10.0.0.1", &[("Forwarded", "for=127.0.0.1, for=203.0.113.9, for=10.0.0.2")], "203.0.113.9"),
    ("10.0.0.1", &[("Forwarded", "for=127.0.0.1"), ("Forwarded", "for=203.0.113.9")], "203.0.113.9"),
    ("10.0.0.1", &[("Forwarded", "for=\"x"), ("Forwarded", "for=203.0.113.9")], "203.0.113.9"),
    ("10.0.0.1", &[("Forwarded", "for=\"127.0.0.1, for=203.0.113.9")], "?10.0.0.1"),
    ("10.0.0.1", &[("Forwarded", "host=\"a,for=127.0.0.1\";for=203.0.113.9")], "203.0.113.9"),
    ("10.0.0.1", &[("Forwarded", "host=\"a\\\",for=127.0.0.1\"")], "?10.0.0.1"),
    ("10.0.0.1", &[("Forwarded", "for=127.0.0.1;for=203.0.113.9")], "?10.0.0.1"),
    ("10.0.0.1", &[("Forwarded", "for=unknown")], "?10.0.0.1"),
    ("10.0.0.1", &[("Forwarded", "for=_hidden")], "?10.0.0.1"),
    ("10.0.0.1", &[("Forwarded", "for=[2001:db8:1::9]")], "?10.0.0.1"),
    ("10.0.0.1", &[("Forwarded", "proto=https")], "?10.0.0.1"),
    ("10.0.0.1", &[("Forwarded", "")], "?10.0.0.1"),
    // Both: one of them may have passed the proxy untouched.
    ("10.0.0.1", &[("X-Forwarded-For", "203.0.113.9"), ("Forwarded", "for=203.0.113.9")], "203.0.113.9"),
    ("10.0.0.1", &[("X-Forwarded-For", "203.0.113.9"), ("Forwarded", "for=127.0.0.1")], "?10.0.0.1"),
    ("10.0.0.1", &[("X-Forwarded-For", "127.0.0.1"), ("Forwarded", "for=203.0.113.9")], "?10.0.0.1"),
];

#[test]
fn the_table_of_addresses_and_headers() {
    assert!(CASES.len() >= 40);
    for (peer, lines, address) in CASES {
        let found = proxies(PROXIES).resolve(ip(peer), &headers(lines));
        assert_eq!(found, expected(address), "{peer} {lines:?}");
    }
}

#[test]
fn without_trusted_proxies_no_header_says_where_a_caller_is() {
    for (peer, lines, _) in CASES {
        let found = proxies("").resolve(ip(peer), &headers(lines));
        assert_eq!(found.ip(), ip(peer).to_canonical(), "{peer} {lines:?}");
        assert_eq!(found.vouched().is_some(), lines.is_empty(), "{peer} {lines:?}");
    }
}

#[test]
fn a_line_that_is_too_long_is_not_read() {
    let long = format!("203.0.113.9,{}10.0.0.2", " ".repeat(LINE_MAX));
    let found = proxies(PROXIES).resolve(ip("10.0.0.1"), &headers(&[("X-Forwarded-For", &long)]));
    assert_eq!(found, expected("?10.0.0.1"));
}

/// Addresses in and outside the trusted networks, and what is none.
fn element() -> impl Strategy<Value = String> {
    prop_oneof![
        (0_u8..4).prop_map(|last| format!("10.0.0.{last}")),
        (1_u8..4).prop_map(|last| format!("203.0.113.{last}")),
        any::<u128>().prop_map(|bits| std::net::Ipv6Addr::from(bits).to_string()),
        "[ -~]{0,12}".prop_map(|text| text.replace(',', ";")),
    ]
}

proptest! {
    /// Whatever a caller writes to the left of what the trusted proxies wrote changes nothing.
    #[test]
    fn what_a_caller_writes_is_never_believed(
        spoofed in proptest::collection::vec(element(), 0..6),
        client in 1_u8..255,
        chain in proptest::collection::vec(1_u8..255, 0..3),
        split in any::<bool>(),
    ) {
        let client = format!("203.0.113.{client}");
        let mut written = vec![client.clone()];
        written.extend(chain.iter().map(|last| format!("10.0.0.{last}")));
        let (left, right) = (spoofed.join(","), written.join(", "));
        let lines = match (spoofed.is_empty(), split) {
            (true, _) => vec![right],
            (false, true) => vec![left, right],
            (false, false) => vec![format!("{left},{right}")],
        };
        let lines: Vec<(&str, &str)> = lines.iter().map(|line| ("X-Forwarded-For", line.as_str())).collect();
        let found = proxies(PROXIES).resolve(ip("10.9.9.9"), &headers(&lines));
        prop_assert_eq!(found, expected(&client));
    }

    /// An address that is certain is the peer's own, or stands in the headers with nothing but proxies behind it.
    #[test]
    fn a_certain_address_was_told_by_a_proxy(elements in proptest::collection::vec(element(), 1..8)) {
        let line = elements.join(",");
        let found = proxies(PROXIES).resolve(ip("10.9.9.9"), &headers(&[("X-Forwarded-For", &line)]));
        if let Some(address) = found.vouched() {
            let hops: Vec<Hop> = for_hops(&line).into_iter().rev().collect();
            let place = hops.iter().position(|hop| *hop == Some(address));
            let place = place.expect("it stands there");
            prop_assert!(hops[..place].iter().all(|hop| hop.is_some_and(|hop| proxies(PROXIES).trusts(hop))));
        }
    }
}
