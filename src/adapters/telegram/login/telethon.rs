//! Telethon's `StringSession` (docs.telethon.dev/en/stable/concepts/sessions.html): version `1`, then URL-safe base64 of
//! data centre, address, port and key.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use switchyard_actors::ports::LoginError;
use zeroize::Zeroizing;

use super::super::session::DATA_CENTRES;

/// The only version that Telethon has written so far.
const VERSION: char = '1';
const KEY_LEN: usize = 256;
/// Telethon writes the padding; people lose it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A signed-in session and where it is.
pub(super) struct GivenSession {
    /// Number of the data centre.
    pub(super) dc: i32,
    /// Its address, where it is to be used there and nowhere else.
    pub(super) address: Option<SocketAddr>,
    /// The authorisation key.
    pub(super) key: Zeroizing<[u8; KEY_LEN]>,
}

impl fmt::Debug for GivenSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GivenSession").field("dc", &self.dc).finish_non_exhaustive()
    }
}

impl GivenSession {
    /// A session by its parts, to be used at the data centre's known address.
    ///
    /// # Errors
    /// [`LoginError::Refused`].
    pub(super) fn from_parts(dc: i32, key: &SecretSlice<u8>) -> Result<Self, LoginError> {
        let key: Option<[u8; KEY_LEN]> = key.expose_secret().try_into().ok();
        match key.map(Zeroizing::new) {
            Some(key) if DATA_CENTRES.contains(&dc) && key.iter().any(|byte| *byte != 0) => {
                Ok(Self { dc, address: None, key })
            }
            _ => Err(LoginError::Refused("this is no session of Telegram".to_owned())),
        }
    }

    /// Reads a session as Telethon writes it.
    ///
    /// # Errors
    /// [`LoginError::Refused`], in words that hold nothing of it.
    pub(super) fn parse(text: &SecretString) -> Result<Self, LoginError> {
        let refused = |why: &str| LoginError::Refused(format!("this is no Telethon StringSession: {why}"));
        let text = text.expose_secret().trim();
        let Some(body) = text.strip_prefix(VERSION) else {
            return Err(refused("one begins with the version, 1"));
        };
        let bytes = BASE64.decode(body).map(Zeroizing::new);
        let bytes = bytes.map_err(|_| refused("what follows the version is not URL-safe base64"))?;
        let read = |ip_len: usize| read(&bytes, ip_len);
        let parts = read(4).or_else(|| read(16));
        let (dc, address, key) = parts.ok_or_else(|| refused("it is too long or too short"))?;
        let dc = i32::from(dc);
        if !DATA_CENTRES.contains(&dc) {
            return Err(refused("it names no data centre of Telegram"));
        }
        if address.port() == 0 || address.ip().is_unspecified() || key.iter().all(|byte| *byte == 0) {
            return Err(refused("nobody is signed in with it"));
        }
        Ok(Self { dc, address: Some(address), key })
    }
}

/// Data centre, address and key, if the length fits an address of so many bytes.
fn read(bytes: &[u8], ip_len: usize) -> Option<(u8, SocketAddr, Zeroizing<[u8; KEY_LEN]>)> {
    let (dc, rest) = bytes.split_first()?;
    let (ip, rest) = rest.split_at_checked(ip_len)?;
    let (port, key) = rest.split_first_chunk::<2>()?;
    let key = Zeroizing::new(<[u8; KEY_LEN]>::try_from(key).ok()?);
    let ip = match ip_len {
        4 => IpAddr::from(<[u8; 4]>::try_from(ip).ok()?),
        _ => IpAddr::from(<[u8; 16]>::try_from(ip).ok()?),
    };
    Some((*dc, SocketAddr::new(ip, u16::from_be_bytes(*port)), key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<GivenSession, LoginError> {
        GivenSession::parse(&SecretString::from(text))
    }

    fn text(dc: u8, ip: &[u8], port: u16, key: &[u8]) -> String {
        let bytes = [&[dc], ip, &port.to_be_bytes(), key].concat();
        format!("1{}", base64::engine::general_purpose::URL_SAFE.encode(bytes))
    }

    #[test]
    fn both_forms_of_address_are_read_with_and_without_padding() {
        let v4 = text(4, &[149, 154, 167, 91], 443, &[7; KEY_LEN]);
        assert_eq!(v4.len(), 353, "as Telethon writes it");
        for text in [v4.clone(), v4.trim_end_matches('=').to_owned(), format!(" {v4}\n")] {
            let session = parse(&text).unwrap();
            assert_eq!((session.dc, session.address), (4, "149.154.167.91:443".parse().ok()));
            assert_eq!(*session.key, [7; KEY_LEN]);
        }
        let ip = std::net::Ipv6Addr::LOCALHOST.octets();
        let session = parse(&text(2, &ip, 8443, &[9; KEY_LEN])).unwrap();
        assert_eq!(session.address, "[::1]:8443".parse().ok());
    }

    #[test]
    fn what_is_no_session_is_refused_without_being_repeated() {
        let good = text(4, &[149, 154, 167, 91], 443, &[7; KEY_LEN]);
        let bad = [
            String::new(),
            "1".to_owned(),
            "123456:AAFXAy5-PawQlnYywUlZ".to_owned(),
            good.replacen('1', "2", 1),
            good.get(..200).unwrap().to_owned(),
            format!("{}AAAA", good.trim_end_matches('=')),
            good.replace('B', "+"),
            text(9, &[149, 154, 167, 91], 443, &[7; KEY_LEN]),
            text(4, &[149, 154, 167, 91], 0, &[7; KEY_LEN]),
            text(4, &[0; 4], 443, &[7; KEY_LEN]),
            text(4, &[149, 154, 167, 91], 443, &[0; KEY_LEN]),
        ];
        for text in bad {
            let Err(LoginError::Refused(why)) = parse(&text) else { panic!("{text} is taken") };
            assert!(text.len() < 5 || !why.contains(&text), "{why}");
        }
        assert!(!format!("{:?}", parse(&good).unwrap()).contains('7'));
    }
}
