//! Random tokens that are shown once and stored as keyed hashes only.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use switchyard_actors::ports::Rng;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::lookup::{LookupKey, Tag, same};

/// Random bytes of a token: 256 bit.
const RANDOM: usize = 32;

/// Bytes of the mark by which a refresh token is known to be ours.
const MARK: usize = 16;

/// What a token is for. Its prefix tells people and scanners of leaked secrets what they have found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// A user's key for programs.
    ApiKey,
    /// Renews a user's access token, once.
    UserRefresh,
    /// Renews an admin's access token, once.
    AdminRefresh,
    /// Sets a new password, once.
    PasswordReset,
}

impl TokenKind {
    /// How tokens of this kind begin.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::ApiKey => "swy_",
            Self::UserRefresh => "swr_",
            Self::AdminRefresh => "swa_",
            Self::PasswordReset => "swp_",
        }
    }
}

/// A token of 256 random bits.
#[derive(Clone)]
pub struct Token {
    kind: TokenKind,
    text: SecretString,
}

impl Token {
    /// A new one.
    #[must_use]
    pub fn generate(kind: TokenKind, rng: &dyn Rng) -> Self {
        let mut random = Zeroizing::new([0_u8; RANDOM]);
        rng.fill(random.as_mut_slice());
        let text = SecretString::from(format!("{}{}", kind.prefix(), URL_SAFE_NO_PAD.encode(random)));
        Self { kind, text }
    }

    /// Takes a text that has the form of a token of this kind.
    #[must_use]
    pub fn parse(kind: TokenKind, text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(kind.prefix())?).ok()?;
        (bytes.len() == RANDOM).then(|| Self { kind, text: SecretString::from(text) })
    }

    /// The text, for its holder.
    #[must_use]
    pub const fn secret(&self) -> &SecretString {
        &self.text
    }

    /// By which the store finds it.
    #[must_use]
    pub fn tag(&self, key: &LookupKey) -> Tag {
        key.tag(self.kind.prefix(), self.text.expose_secret().as_bytes())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[redacted]", self.kind.prefix())
    }
}

/// A refresh token: it names its sign-in and its place in the chain, so that one that was used before is known for what it
/// is without keeping every token that ever was. A mark proves that it was made here; the random part makes it the one.
#[derive(Clone)]
pub struct RefreshToken {
    /// The sign-in.
    pub session: Uuid,
    /// The place in the chain, from 1.
    pub generation: u64,
    token: Token,
}

impl RefreshToken {
    const LEN: usize = 16 + 8 + RANDOM + MARK;

    /// A new one.
    #[must_use]
    pub fn generate(kind: TokenKind, session: Uuid, generation: u64, key: &LookupKey, rng: &dyn Rng) -> Self {
        let mut random = Zeroizing::new([0_u8; RANDOM]);
        rng.fill(random.as_mut_slice());
        let mut bytes = Zeroizing::new(Vec::with_capacity(Self::LEN));
        bytes.extend_from_slice(session.as_bytes());
        bytes.extend_from_slice(&generation.to_be_bytes());
        bytes.extend_from_slice(random.as_slice());
        let mark = mark(kind, key, &bytes);
        bytes.extend_from_slice(&mark);
        let text = format!("{}{}", kind.prefix(), URL_SAFE_NO_PAD.encode(bytes.as_slice()));
        Self { session, generation, token: Token { kind, text: SecretString::from(text) } }
    }

    /// Takes a text that was made here, now or earlier; whether it still counts the store knows.
    #[must_use]
    pub fn parse(kind: TokenKind, text: &str, key: &LookupKey) -> Option<Self> {
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text.strip_prefix(kind.prefix())?).ok()?);
        if bytes.len() != Self::LEN {
            return None;
        }
        let (named, given) = bytes.split_at_checked(Self::LEN - MARK)?;
        if !same(&mark(kind, key, named), given) {
            return None;
        }
        let (session, rest) = named.split_first_chunk::<16>()?;
        let (generation, _) = rest.split_first_chunk::<8>()?;
        Some(Self {
            session: Uuid::from_bytes(*session),
            generation: u64::from_be_bytes(*generation),
            token: Token { kind, text: SecretString::from(text) },
        })
    }

    /// The text, for its holder.
    #[must_use]
    pub const fn secret(&self) -> &SecretString {
        self.token.secret()
    }

    /// By which the store knows the one that counts.
    #[must_use]
    pub fn tag(&self, key: &LookupKey) -> Tag {
        self.token.tag(key)
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshToken")
            .field("session", &self.session)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

fn mark(kind: TokenKind, key: &LookupKey, bytes: &[u8]) -> [u8; MARK] {
    let tag = key.tag(&format!("mark {}", kind.prefix()), bytes);
    tag.first_chunk::<MARK>().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SystemRng;

    #[test]
    fn a_token_is_found_by_its_hash_and_by_nothing_else() {
        let key = LookupKey::new(&[7; 32]);
        let token = Token::generate(TokenKind::ApiKey, &SystemRng);
        let text = token.secret().expose_secret();
        let again = Token::parse(TokenKind::ApiKey, text).unwrap();
        assert_eq!(token.tag(&key), again.tag(&key));
        assert_ne!(token.tag(&key), Token::generate(TokenKind::ApiKey, &SystemRng).tag(&key));
        assert!(Token::parse(TokenKind::PasswordReset, text).is_none());
        for wrong in ["", "swy_", "swy_abc", &text[..text.len() - 1], &format!("{text}A"), &text[4..]] {
            assert!(Token::parse(TokenKind::ApiKey, wrong).is_none(), "{wrong}");
        }
        assert!(!format!("{token:?}").contains(&text[4..]));
    }

    #[test]
    fn a_refresh_token_names_its_place_and_cannot_be_made_up() {
        let key = LookupKey::new(&[7; 32]);
        let session = Uuid::from_u128(5);
        let kind = TokenKind::UserRefresh;
        let token = RefreshToken::generate(kind, session, 3, &key, &SystemRng);
        let text = token.secret().expose_secret();
        let read = RefreshToken::parse(kind, text, &key).unwrap();
        assert_eq!((read.session, read.generation, read.tag(&key)), (session, 3, token.tag(&key)));
        assert!(RefreshToken::parse(TokenKind::AdminRefresh, text, &key).is_none());
        assert!(RefreshToken::parse(kind, text, &LookupKey::new(&[8; 32])).is_none());
        let bytes = URL_SAFE_NO_PAD.decode(&text[4..]).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let changed = format!("swr_{}", URL_SAFE_NO_PAD.encode(changed));
            assert!(RefreshToken::parse(kind, &changed, &key).is_none(), "byte {at}");
        }
        assert!(!format!("{token:?}").contains(&text[40..]));
    }
}
