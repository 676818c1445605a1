//! The server's side of the password check (core.telegram.org/api/srp): SRP over a 2048-bit group, so that neither
//! side ever shows the password.

use std::num::NonZeroU32;

use num_bigint::BigUint;
use ring::digest::{SHA256, digest};
use ring::pbkdf2;

/// Bytes of a group element.
const WIDTH: usize = 256;
/// Rounds of PBKDF2, as the name of the algorithm says.
const ROUNDS: NonZeroU32 = NonZeroU32::new(100_000).unwrap();
/// The generator.
pub(super) const G: u8 = 3;
/// The prime that Telegram's own servers use; clients check that it is a safe one.
pub(super) const P: [u8; WIDTH] = [
    0xc7, 0x1c, 0xae, 0xb9, 0xc6, 0xb1, 0xc9, 0x04, 0x8e, 0x6c, 0x52, 0x2f, 0x70, 0xf1, 0x3f, 0x73, 0x98,
    0x0d, 0x40, 0x23, 0x8e, 0x3e, 0x21, 0xc1, 0x49, 0x34, 0xd0, 0x37, 0x56, 0x3d, 0x93, 0x0f, 0x48, 0x19,
    0x8a, 0x0a, 0xa7, 0xc1, 0x40, 0x58, 0x22, 0x94, 0x93, 0xd2, 0x25, 0x30, 0xf4, 0xdb, 0xfa, 0x33, 0x6f,
    0x6e, 0x0a, 0xc9, 0x25, 0x13, 0x95, 0x43, 0xae, 0xd4, 0x4c, 0xce, 0x7c, 0x37, 0x20, 0xfd, 0x51, 0xf6,
    0x94, 0x58, 0x70, 0x5a, 0xc6, 0x8c, 0xd4, 0xfe, 0x6b, 0x6b, 0x13, 0xab, 0xdc, 0x97, 0x46, 0x51, 0x29,
    0x69, 0x32, 0x84, 0x54, 0xf1, 0x8f, 0xaf, 0x8c, 0x59, 0x5f, 0x64, 0x24, 0x77, 0xfe, 0x96, 0xbb, 0x2a,
    0x94, 0x1d, 0x5b, 0xcd, 0x1d, 0x4a, 0xc8, 0xcc, 0x49, 0x88, 0x07, 0x08, 0xfa, 0x9b, 0x37, 0x8e, 0x3c,
    0x4f, 0x3a, 0x90, 0x60, 0xbe, 0xe6, 0x7c, 0xf9, 0xa4, 0xa4, 0xa6, 0x95, 0x81, 0x10, 0x51, 0x90, 0x7e,
    0x16, 0x27, 0x53, 0xb5, 0x6b, 0x0f, 0x6b, 0x41, 0x0d, 0xba, 0x74, 0xd8, 0xa8, 0x4b, 0x2a, 0x14, 0xb3,
    0x14, 0x4e, 0x0e, 0xf1, 0x28, 0x47, 0x54, 0xfd, 0x17, 0xed, 0x95, 0x0d, 0x59, 0x65, 0xb4, 0xb9, 0xdd,
    0x46, 0x58, 0x2d, 0xb1, 0x17, 0x8d, 0x16, 0x9c, 0x6b, 0xc4, 0x65, 0xb0, 0xd6, 0xff, 0x9c, 0xa3, 0x92,
    0x8f, 0xef, 0x5b, 0x9a, 0xe4, 0xe4, 0x18, 0xfc, 0x15, 0xe8, 0x3e, 0xbe, 0xa0, 0xf8, 0x7f, 0xa9, 0xff,
    0x5e, 0xed, 0x70, 0x05, 0x0d, 0xed, 0x28, 0x49, 0xf4, 0x7b, 0xf9, 0x59, 0xd9, 0x56, 0x85, 0x0c, 0xe9,
    0x29, 0x85, 0x1f, 0x0d, 0x81, 0x15, 0xf6, 0x35, 0xb1, 0x05, 0xee, 0x2e, 0x4e, 0x15, 0xd0, 0x4b, 0x24,
    0x54, 0xbf, 0x6f, 0x4f, 0xad, 0xf0, 0x34, 0xb1, 0x04, 0x03, 0x11, 0x9c, 0xd8, 0xe3, 0xb9, 0x2f, 0xcc,
    0x5b,
];

/// What the server keeps of a password.
#[derive(Clone)]
pub(super) struct Verifier {
    pub(super) salt1: Vec<u8>,
    pub(super) salt2: Vec<u8>,
    v: BigUint,
}

/// A check that was begun.
pub(super) struct Challenge {
    secret: BigUint,
    /// `srp_B`.
    pub(super) public: [u8; WIDTH],
}

impl Verifier {
    pub(super) fn new(password: &str, salt1: Vec<u8>, salt2: Vec<u8>) -> Self {
        let v = group(G.into()).modpow(&private_key(password, &salt1, &salt2), &prime());
        Self { salt1, salt2, v }
    }

    /// Begins a check with a secret exponent of the server's.
    pub(super) fn challenge(&self, secret: &[u8; WIDTH]) -> Challenge {
        let secret = BigUint::from_bytes_be(secret);
        let public = (multiplier() * &self.v + group(G.into()).modpow(&secret, &prime())) % prime();
        Challenge { secret, public: padded(&public) }
    }

    /// Whether a client that sent `a` and `m1` knows the password.
    pub(super) fn accepts(&self, challenge: &Challenge, a: &[u8], m1: &[u8]) -> bool {
        if a.len() > WIDTH {
            return false;
        }
        let element = BigUint::from_bytes_be(a);
        // An element outside the group would let a client choose the shared key.
        if element == BigUint::ZERO || element >= prime() {
            return false;
        }
        let a = padded(&element);
        let u = BigUint::from_bytes_be(&hash(&[&a, &challenge.public]));
        let shared = (element * self.v.modpow(&u, &prime())).modpow(&challenge.secret, &prime());
        let key = hash(&[&padded(&shared)]);
        let mut mixed = hash(&[&P]);
        for (byte, other) in mixed.iter_mut().zip(hash(&[&padded(&group(G.into()))])) {
            *byte ^= other;
        }
        let salts = [hash(&[&self.salt1]), hash(&[&self.salt2])];
        let [salt1, salt2] = &salts;
        hash(&[&mixed, salt1, salt2, &a, &challenge.public, &key]) == m1
    }
}

fn prime() -> BigUint {
    BigUint::from_bytes_be(&P)
}

fn group(element: u32) -> BigUint {
    BigUint::from(element)
}

/// `k = H(p | g)`
fn multiplier() -> BigUint {
    BigUint::from_bytes_be(&hash(&[&P, &padded(&group(G.into()))]))
}

/// `x = PH2(password, salt1, salt2)`
fn private_key(password: &str, salt1: &[u8], salt2: &[u8]) -> BigUint {
    let inner = hash(&[salt2, &hash(&[salt1, password.as_bytes(), salt1]), salt2]);
    let mut stretched = [0_u8; 64];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA512, ROUNDS, salt1, &inner, &mut stretched);
    BigUint::from_bytes_be(&hash(&[salt2, &stretched, salt2]))
}

fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let whole = digest(&SHA256, &parts.concat());
    whole.as_ref().try_into().unwrap_or_default()
}

/// An element in the full width, as every hash takes it.
fn padded(element: &BigUint) -> [u8; WIDTH] {
    let bytes = element.to_bytes_be();
    let mut padded = [0_u8; WIDTH];
    for (to, from) in padded.iter_mut().rev().zip(bytes.iter().rev()) {
        *to = *from;
    }
    padded
}

#[cfg(test)]
mod tests {
    use grammers_crypto::two_factor_auth::{calculate_2fa, check_p_and_g};

    use super::*;

    #[test]
    fn a_client_that_knows_the_password_is_told_from_one_that_does_not() {
        assert!(check_p_and_g(&P, &G.into()));
        let verifier = Verifier::new("right", b"salt one".to_vec(), b"salt two".to_vec());
        let challenge = verifier.challenge(&[7; WIDTH]);
        let proof = |password: &str| {
            let (public, secret) = (challenge.public.to_vec(), vec![9; WIDTH]);
            calculate_2fa(&verifier.salt1, &verifier.salt2, &P, &G.into(), public, secret, password)
        };
        let (m1, a) = proof("right");
        assert!(verifier.accepts(&challenge, &a, &m1));
        assert!(!verifier.accepts(&verifier.challenge(&[8; WIDTH]), &a, &m1), "another challenge");
        let (m1, a) = proof("wrong");
        assert!(!verifier.accepts(&challenge, &a, &m1));
    }

    #[test]
    fn elements_outside_the_group_are_refused() {
        let verifier = Verifier::new("right", b"salt one".to_vec(), b"salt two".to_vec());
        let challenge = verifier.challenge(&[7; WIDTH]);
        for a in [vec![0; WIDTH], P.to_vec(), vec![255; WIDTH], vec![1; WIDTH + 1], Vec::new()] {
            // With a shared key of zero the proof needs no password.
            let key = hash(&[&[0; WIDTH]]);
            let mut mixed = hash(&[&P]);
            for (byte, other) in mixed.iter_mut().zip(hash(&[&padded(&group(G.into()))])) {
                *byte ^= other;
            }
            let (salt1, salt2) = (hash(&[&verifier.salt1]), hash(&[&verifier.salt2]));
            let m1 = hash(&[&mixed, &salt1, &salt2, &a, &challenge.public, &key]);
            assert!(!verifier.accepts(&challenge, &a, &m1));
        }
    }
}
