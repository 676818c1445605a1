//! Where a caller is: the peer, or, behind trusted proxies, what they say, walked from the right.
//!
//! While the address reached so far is a trusted proxy's, the next one to the left is believed, for that proxy wrote it;
//! what stands further left was written by whoever asked. Read are `X-Forwarded-For` and `Forwarded` (RFC 7239); where
//! both stand, they must agree, for a proxy that writes one passes the other through as it came. Where the walk meets
//! something that is no address it ends at the last trusted hop, and that address is *uncertain*: good for counting, never
//! for an allow-list. So is that of a caller whose request came by a proxy that nobody trusts.

use std::net::{IpAddr, Ipv4Addr};

use actix_web::HttpRequest;
use actix_web::http::header::HeaderMap;

use crate::config::HttpConfig;
use crate::network::Network;

use super::operator::forwards;
use super::problem::Problem;
use super::state::shared;

const X_FORWARDED_FOR: &str = "x-forwarded-for";
const FORWARDED: &str = "forwarded";
/// Longest header line that is read, in bytes; a longer one counts as malformed.
const LINE_MAX: usize = 4_096;

/// Where a caller is, and whether that is certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CallerAddress {
    ip: IpAddr,
    certain: bool,
}

impl CallerAddress {
    const fn certain(ip: IpAddr) -> Self {
        Self { ip, certain: true }
    }

    const fn uncertain(ip: IpAddr) -> Self {
        Self { ip, certain: false }
    }

    /// The address as well as it is known: for counting and for logs. IPv4-mapped IPv6 is IPv4.
    pub(crate) const fn ip(self) -> IpAddr {
        self.ip
    }

    /// The address where it is certain: for allow-lists.
    pub(crate) fn vouched(self) -> Option<IpAddr> {
        self.certain.then_some(self.ip)
    }
}

/// The proxies whose word counts.
#[derive(Clone, Debug)]
pub(crate) struct TrustedProxies {
    networks: Vec<Network>,
    hops_max: usize,
}

impl From<&HttpConfig> for TrustedProxies {
    fn from(config: &HttpConfig) -> Self {
        Self { networks: config.trusted_proxies.clone(), hops_max: config.proxy_hops_max.get() }
    }
}

/// Where the sender of a request is.
///
/// # Errors
/// 500 in a server that was put together without its proxies.
pub(crate) fn caller_address(req: &HttpRequest) -> Result<CallerAddress, Problem> {
    let proxies = shared::<TrustedProxies>(req)?;
    let Some(peer) = req.peer_addr() else {
        return Ok(CallerAddress::uncertain(IpAddr::V4(Ipv4Addr::UNSPECIFIED)));
    };
    Ok(proxies.resolve(peer.ip(), req.headers()))
}

impl TrustedProxies {
    fn trusts(&self, address: IpAddr) -> bool {
        Network::any_contains(&self.networks, address)
    }

    /// Where the sender of a request with these headers is, which came from this peer.
    pub(crate) fn resolve(&self, peer: IpAddr, headers: &HeaderMap) -> CallerAddress {
        let peer = peer.to_canonical();
        let by_proxy = headers.keys().any(|name| forwards(name.as_str()));
        let direct = CallerAddress { ip: peer, certain: !by_proxy };
        if !self.trusts(peer) {
            return direct;
        }
        let for_lines = lines(headers, X_FORWARDED_FOR).map(|lines| self.walk(peer, lines, for_hops));
        let forwarded = lines(headers, FORWARDED).map(|lines| self.walk(peer, lines, forwarded_hops));
        match (for_lines, forwarded) {
            (None, None) => direct,
            (Some(found), None) | (None, Some(found)) => found,
            (Some(one), Some(other)) if one == other => one,
            (Some(_), Some(_)) => CallerAddress::uncertain(peer),
        }
    }

    /// Walks from the right. `hops` reads one line, whose hops are in its order.
    fn walk(&self, peer: IpAddr, lines: Vec<Option<&str>>, hops: fn(&str) -> Vec<Hop>) -> CallerAddress {
        let read = |line: Option<&str>| line.map_or_else(|| vec![None], hops);
        let mut at = peer;
        for (count, hop) in lines.into_iter().rev().flat_map(|line| read(line).into_iter().rev()).enumerate()
        {
            if !self.trusts(at) {
                break;
            }
            match hop {
                Some(next) if count < self.hops_max => at = next,
                _ => return CallerAddress::uncertain(at),
            }
        }
        CallerAddress::certain(at)
    }
}

/// The address of a hop; none where what stands there is no address.
type Hop = Option<IpAddr>;

/// The lines of a header in order, none for a line that cannot be read; nothing where the header is not there.
fn lines<'h>(headers: &'h HeaderMap, name: &str) -> Option<Vec<Option<&'h str>>> {
    let read = |value: &'h actix_web::http::header::HeaderValue| {
        value.to_str().ok().filter(|text| text.len() <= LINE_MAX)
    };
    let lines: Vec<_> = headers.get_all(name).map(read).collect();
    (!lines.is_empty()).then_some(lines)
}

/// `X-Forwarded-For: client, proxy1, proxy2`. An empty element is malformed: no proxy writes one.
fn for_hops(line: &str) -> Vec<Hop> {
    line.split(',').map(|element| node(element.trim_matches([' ', '\t']))).collect()
}

/// `Forwarded: for=192.0.2.60;proto=https, for="[2001:db8::1]:4711"` (RFC 7239, section 4). A line whose quotes do not end
/// is malformed as a whole.
fn forwarded_hops(line: &str) -> Vec<Hop> {
    let Some(elements) = split_outside_quotes(line, b',') else { return vec![None] };
    elements.into_iter().map(forwarded_hop).collect()
}

/// What one element of `Forwarded` says in its one `for`.
fn forwarded_hop(element: &str) -> Hop {
    let mut found = None;
    for pair in split_outside_quotes(element, b';')? {
        let (name, value) = pair.trim_matches([' ', '\t']).split_once('=')?;
        if name.eq_ignore_ascii_case("for") && found.replace(value).is_some() {
            return None;
        }
    }
    let value = found?;
    match value.strip_prefix('"') {
        Some(quoted) => node(quoted.strip_suffix('"').filter(|text| !text.contains(['"', '\\']))?),
        // A token holds neither colons nor brackets: IPv6 and ports are quoted.
        None => node(value).filter(|_| !value.contains([':', '[', ']'])),
    }
}

/// Splits at a separator that stands outside quoted strings; none where a quoted string does not end.
fn split_outside_quotes(text: &str, separator: u8) -> Option<Vec<&str>> {
    let (mut parts, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if byte == separator && !quoted => {
                parts.push(text.get(start..at)?);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text.get(start..)?);
    (!quoted).then_some(parts)
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`; none for anything else, such as
/// `unknown` and `_hidden`.
fn node(text: &str) -> Hop {
    let is_port = |text: &str| {
        (1..=5).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_digit())
            && text.parse::<u16>().is_ok()
    };
    let address = if let Some(rest) = text.strip_prefix('[') {
        let (inside, after) = rest.split_once(']')?;
        if !after.is_empty() && !after.strip_prefix(':').is_some_and(is_port) {
            return None;
        }
        IpAddr::V6(inside.parse().ok()?)
    } else if let Ok(address) = text.parse::<IpAddr>() {
        address
    } else {
        let (address, _) = text.split_once(':').filter(|(_, port)| is_port(port))?;
        IpAddr::V4(address.parse().ok()?)
    };
    Some(address.to_canonical())
}

#[cfg(test)]
#[path = "address_tests.rs"]
mod tests;
