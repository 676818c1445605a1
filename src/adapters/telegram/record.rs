//! Binary records in which data centres and peers lie in the store, encrypted there: fixed layouts with a version byte.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};

use grammers_session::types::{ChannelKind, DcOption, PeerAuth, PeerId, PeerInfo, PeerKind};
use secrecy::{ExposeSecret, SecretSlice};
use zeroize::Zeroizing;

const VERSION: u8 = 1;
const KEY_LEN: usize = 256;

/// Reads fixed-size pieces from the front.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn port(&mut self) -> Option<u16> {
        self.take().map(u16::from_be_bytes)
    }
}

/// Writes addresses and key of a data centre.
pub(crate) fn encode_dc(option: &DcOption) -> SecretSlice<u8> {
    let mut bytes = Vec::with_capacity(27 + KEY_LEN);
    bytes.push(VERSION);
    bytes.extend(option.ipv4.ip().octets());
    bytes.extend(option.ipv4.port().to_be_bytes());
    bytes.extend(option.ipv6.ip().octets());
    bytes.extend(option.ipv6.port().to_be_bytes());
    bytes.push(u8::from(option.auth_key.is_some()));
    if let Some(key) = &option.auth_key {
        bytes.extend(key);
    }
    SecretSlice::from(bytes)
}

/// Reads addresses and key of a data centre; `None` if the record is not one of ours.
pub(crate) fn decode_dc(id: i32, record: &SecretSlice<u8>) -> Option<DcOption> {
    let mut reader = Reader(record.expose_secret());
    if reader.byte()? != VERSION {
        return None;
    }
    let ipv4 = SocketAddrV4::new(Ipv4Addr::from(reader.take::<4>()?), reader.port()?);
    let ipv6 = SocketAddrV6::new(Ipv6Addr::from(reader.take::<16>()?), reader.port()?, 0, 0);
    let auth_key = match reader.byte()? {
        0 => None,
        _ => Some(*Zeroizing::new(reader.take::<KEY_LEN>()?)),
    };
    Some(DcOption { id, ipv4, ipv6, auth_key })
}

const FLAG_HASH: u8 = 1;
const FLAG_BOT: u8 = 2;
const FLAG_BOT_KNOWN: u8 = 4;
const FLAG_SELF: u8 = 8;

/// Writes a peer. Its id (Bot API form) is the record's key in the store.
pub(crate) fn encode_peer(peer: &PeerInfo) -> SecretSlice<u8> {
    let (flags, kind, hash) = match peer {
        PeerInfo::User { auth, bot, is_self, .. } => {
            let bot_flags = match bot {
                None => 0,
                Some(false) => FLAG_BOT_KNOWN,
                Some(true) => FLAG_BOT_KNOWN | FLAG_BOT,
            };
            (if *is_self == Some(true) { bot_flags | FLAG_SELF } else { bot_flags }, 0, *auth)
        }
        PeerInfo::Chat { .. } => (0, 0, None),
        PeerInfo::Channel { auth, kind, .. } => (0, kind.map_or(0, channel_kind), *auth),
    };
    let flags = if hash.is_some() { flags | FLAG_HASH } else { flags };
    let mut bytes = vec![VERSION, flags, kind];
    bytes.extend(hash.unwrap_or_default().hash().to_be_bytes());
    SecretSlice::from(bytes)
}

/// Reads a peer; `None` if the record is not one of ours.
pub(crate) fn decode_peer(dialog: i64, record: &SecretSlice<u8>) -> Option<PeerInfo> {
    let mut reader = Reader(record.expose_secret());
    if reader.byte()? != VERSION {
        return None;
    }
    let (flags, kind) = (reader.byte()?, reader.byte()?);
    let hash = i64::from_be_bytes(reader.take::<8>()?);
    let auth = (flags & FLAG_HASH != 0).then(|| PeerAuth::from_hash(hash));
    let peer = PeerId::from_bot_api_dialog_id(dialog)?;
    let id = peer.bare_id()?;
    Some(match peer.kind() {
        PeerKind::User => PeerInfo::User {
            id,
            auth,
            bot: (flags & FLAG_BOT_KNOWN != 0).then_some(flags & FLAG_BOT != 0),
            is_self: (flags & FLAG_SELF != 0).then_some(true),
        },
        PeerKind::Chat => PeerInfo::Chat { id },
        PeerKind::Channel => PeerInfo::Channel { id, auth, kind: kind_of(kind) },
    })
}

const fn channel_kind(kind: ChannelKind) -> u8 {
    match kind {
        ChannelKind::Broadcast => 1,
        ChannelKind::Megagroup => 2,
        ChannelKind::Gigagroup => 3,
        ChannelKind::Community => 4,
    }
}

const fn kind_of(byte: u8) -> Option<ChannelKind> {
    match byte {
        1 => Some(ChannelKind::Broadcast),
        2 => Some(ChannelKind::Megagroup),
        3 => Some(ChannelKind::Gigagroup),
        4 => Some(ChannelKind::Community),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_survive_the_way_to_the_store_and_back() {
        let option = DcOption {
            id: 4,
            ipv4: "149.154.167.92:443".parse().unwrap(),
            ipv6: "[2001:67c:4e8:f004::a]:443".parse().unwrap(),
            auth_key: Some([7; KEY_LEN]),
        };
        assert_eq!(decode_dc(4, &encode_dc(&option)).unwrap(), option);
        let keyless = DcOption { auth_key: None, ..option };
        assert_eq!(decode_dc(4, &encode_dc(&keyless)).unwrap(), keyless);

        let peers = [
            PeerInfo::User {
                id: 9,
                auth: Some(PeerAuth::from_hash(-5)),
                bot: Some(false),
                is_self: Some(true),
            },
            PeerInfo::User { id: 10, auth: None, bot: None, is_self: None },
            PeerInfo::Chat { id: 11 },
            PeerInfo::Channel {
                id: 12,
                auth: Some(PeerAuth::from_hash(i64::MIN)),
                kind: Some(ChannelKind::Megagroup),
            },
        ];
        for peer in peers {
            let dialog = peer.id().bot_api_dialog_id().unwrap();
            assert_eq!(decode_peer(dialog, &encode_peer(&peer)).unwrap(), peer);
        }
    }

    #[test]
    fn foreign_or_cut_records_are_refused() {
        assert!(decode_dc(1, &SecretSlice::from(vec![9; 300])).is_none());
        assert!(decode_dc(1, &SecretSlice::from(vec![1; 20])).is_none());
        assert!(decode_peer(5, &SecretSlice::from(vec![])).is_none());
        assert!(decode_peer(0, &encode_peer(&PeerInfo::Chat { id: 1 })).is_none(), "0 names nobody");
    }
}
