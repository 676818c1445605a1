//! One-time codes (RFC 6238: SHA-1, 6 digits, 30 s, one step of tolerance) and the recovery codes beside them.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use switchyard_actors::ports::Rng;
use thiserror::Error;
use totp_rs::{Builder, Secret};
use zeroize::Zeroizing;

use super::lookup::{LookupKey, Tag};

/// Seconds of a step (RFC 6238, section 5.2).
const STEP: u64 = 30;

/// Steps before and after the present one that are taken (RFC 6238, section 5.2).
const SKEW: u16 = 1;

/// Letters of recovery codes: no letter is like another or like a digit (Crockford's base 32, in lower case).
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Letters of a recovery code: 16 of 5 bit, 80 bit.
const CODE_LETTERS: usize = 16;

/// A stored secret that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the secret of the one-time codes is malformed")]
pub struct TotpError;

/// Makes and checks one-time codes.
pub struct Totp(totp_rs::Totp);

/// What a person puts into an authenticator.
#[derive(Clone, Debug)]
pub struct Enrolment {
    /// The secret in base 32.
    pub secret: SecretString,
    /// The same as `otpauth://` address, for a QR code.
    pub url: SecretString,
}

impl Totp {
    /// Length of a secret in bytes, as RFC 4226 section 4 recommends.
    pub const SECRET_LEN: usize = 20;

    /// A new secret.
    #[must_use]
    pub fn new_secret(rng: &dyn Rng) -> Zeroizing<Vec<u8>> {
        let mut secret = Zeroizing::new(vec![0_u8; Self::SECRET_LEN]);
        rng.fill(&mut secret);
        secret
    }

    /// Over a secret; `account` is shown in the authenticator.
    ///
    /// # Errors
    /// [`TotpError`].
    pub fn new(secret: &[u8], issuer: &str, account: &str) -> Result<Self, TotpError> {
        // A colon parts issuer and account in the address.
        let name = |text: &str| text.replace(':', " ");
        Builder::new()
            .with_secret(Secret::new(secret.to_vec().into_boxed_slice()))
            .with_skew(SKEW)
            .with_step_duration(STEP)
            .with_issuer(Some(name(issuer)))
            .with_account_name(name(account))
            .build()
            .map(Self)
            .map_err(|_| TotpError)
    }

    /// What goes into an authenticator.
    ///
    /// # Errors
    /// [`TotpError`].
    pub fn enrolment(&self, secret: &[u8]) -> Result<Enrolment, TotpError> {
        let base32 = Secret::new(secret.to_vec().into_boxed_slice()).to_base32();
        let url = self.0.to_url().map_err(|_| TotpError)?;
        Ok(Enrolment { secret: SecretString::from(base32), url: SecretString::from(url) })
    }

    /// The step to which the code belongs, if it is one of now and later than the last that was taken: a code is used once
    /// (RFC 6238, section 5.2). The caller stores the step before it lets anybody in.
    #[must_use]
    pub fn accept(&self, code: &str, now: u64, last_step: Option<u64>) -> Option<u64> {
        let digits: String = code.chars().filter(|letter| !letter.is_whitespace()).collect();
        if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let step = self.0.check(&digits, now)?;
        (last_step.is_none_or(|last| step > last)).then_some(step)
    }

    /// The code of a time, Unix seconds.
    #[must_use]
    pub fn code(&self, now: u64) -> String {
        self.0.generate(now).to_string()
    }
}

impl fmt::Debug for Totp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Totp([redacted])")
    }
}

/// A code that stands in for a lost authenticator, once.
#[derive(Clone)]
pub struct RecoveryCode(SecretString);

impl RecoveryCode {
    /// A new one.
    #[must_use]
    pub fn generate(rng: &dyn Rng) -> Self {
        let mut random = Zeroizing::new([0_u8; CODE_LETTERS]);
        rng.fill(random.as_mut_slice());
        let letter = |byte: &u8| LETTERS.get(usize::from(byte % 32)).copied().map_or('0', char::from);
        Self(SecretString::from(random.iter().map(letter).collect::<String>()))
    }

    /// Takes a code as people type it: with or without hyphens and blanks, in either case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let plain: String = text
            .chars()
            .filter(|letter| !letter.is_whitespace() && *letter != '-')
            .map(|letter| match letter.to_ascii_lowercase() {
                'o' => '0',
                'i' | 'l' => '1',
                other => other,
            })
            .collect();
        let fits = plain.len() == CODE_LETTERS && plain.bytes().all(|byte| LETTERS.contains(&byte));
        fits.then(|| Self(SecretString::from(plain)))
    }

    /// In groups of four, for people.
    #[must_use]
    pub fn shown(&self) -> SecretString {
        let plain: Vec<char> = self.0.expose_secret().chars().collect();
        let groups: Vec<String> = plain.chunks(4).map(|group| group.iter().collect()).collect();
        SecretString::from(groups.join("-"))
    }

    /// By which the store finds it among its owner's.
    #[must_use]
    pub fn tag(&self, key: &LookupKey, owner: &[u8]) -> Tag {
        key.tag("recovery code", &[owner, self.0.expose_secret().as_bytes()].concat())
    }
}

impl fmt::Debug for RecoveryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryCode([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SystemRng;

    /// RFC 6238, appendix B: the secret, and times with their codes (the last six digits of eight).
    const SECRET: &[u8] = b"12345678901234567890";

    fn totp() -> Totp {
        Totp::new(SECRET, "Switchyard", "a@example.org").unwrap()
    }

    #[test]
    fn codes_are_those_of_the_standard() {
        let known = [(59, "287082"), (1_111_111_109, "081804"), (2_000_000_000, "279037")];
        for (now, code) in known {
            assert_eq!(totp().code(now), code);
            assert_eq!(totp().accept(code, now, None), Some(now / 30));
        }
    }

    #[test]
    fn a_code_counts_in_its_step_and_its_neighbours_and_once() {
        let (totp, now) = (totp(), 1_111_111_109);
        let step = now / 30;
        let code = totp.code(now);
        assert_eq!(totp.accept(&code, now + 30, None), Some(step));
        assert_eq!(totp.accept(&code, now - 30, None), Some(step));
        assert_eq!(totp.accept(&code, now + 60, None), None);
        assert_eq!(totp.accept(&code, now - 60, None), None);
        assert_eq!(totp.accept(&code, now, Some(step)), None, "a code is used once");
        assert_eq!(totp.accept(&code, now, Some(step + 1)), None, "and not after a later one");
        assert_eq!(totp.accept(&code, now, Some(step - 1)), Some(step));
        for wrong in ["", "08180", "0818044", "08180a", "-81804", "٠٨١٨٠٤"] {
            assert_eq!(totp.accept(wrong, now, None), None, "{wrong}");
        }
        assert_eq!(totp.accept("081 804", now, None), Some(step), "as authenticators show it");
    }

    #[test]
    fn an_authenticator_is_told_by_an_address() {
        let secret = Totp::new_secret(&SystemRng);
        assert_eq!(secret.len(), 20);
        let shown = totp().enrolment(SECRET).unwrap();
        assert_eq!(shown.secret.expose_secret(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        let url = shown.url.expose_secret();
        assert!(url.starts_with("otpauth://totp/Switchyard") && url.contains("issuer=Switchyard"), "{url}");
        assert!(!format!("{shown:?}{:?}", totp()).contains("GEZD"));
    }

    #[test]
    fn recovery_codes_are_read_as_people_type_them() {
        let key = LookupKey::new(&[1; 32]);
        let code = RecoveryCode::generate(&SystemRng);
        let shown = code.shown().expose_secret().to_owned();
        assert_eq!(shown.len(), 19);
        for typed in [shown.clone(), shown.to_uppercase(), shown.replace('-', " "), shown.replace('-', "")] {
            let read = RecoveryCode::parse(&typed).unwrap();
            assert_eq!(read.tag(&key, b"me"), code.tag(&key, b"me"));
        }
        assert_ne!(code.tag(&key, b"me"), code.tag(&key, b"you"));
        assert!(RecoveryCode::parse(&shown[1..]).is_none() && RecoveryCode::parse("u").is_none());
    }
}
