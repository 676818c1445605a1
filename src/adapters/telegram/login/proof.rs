//! The second factor: a proof that one knows the password, made here, so that the password never leaves this machine
//! (core.telegram.org/api/srp).

use grammers_crypto::two_factor_auth::{calculate_2fa, check_p_and_g};
use grammers_tl_types as tl;
use secrecy::{ExposeSecret, SecretString};
use switchyard_actors::ports::{LoginError, Rng};
use zeroize::Zeroizing;

/// Bytes of the group's prime and of all its numbers.
const LEN: usize = 256;
/// The generators for which the group is checked.
const GENERATORS: std::ops::RangeInclusive<i32> = 2..=7;

/// The prime that Telegram uses with the generator 3 (TDLib knows it too). Others are tested, which takes seconds.
const KNOWN_PRIME: &str = concat!(
    "c71caeb9c6b1c9048e6c522f70f13f73980d40238e3e21c14934d037563d930f",
    "48198a0aa7c14058229493d22530f4dbfa336f6e0ac925139543aed44cce7c37",
    "20fd51f69458705ac68cd4fe6b6b13abdc9746512969328454f18faf8c595f64",
    "2477fe96bb2a941d5bcd1d4ac8cc49880708fa9b378e3c4f3a9060bee67cf9a4",
    "a4a695811051907e162753b56b0f6b410dba74d8a84b2a14b3144e0ef1284754",
    "fd17ed950d5965b4b9dd46582db1178d169c6bc465b0d6ff9ca3928fef5b9ae4",
    "e418fc15e83ebea0f87fa9ff5eed70050ded2849f47bf959d956850ce929851f",
    "0d8115f635b105ee2e4e15d04b2454bf6f4fadf034b10403119cd8e3b92fcc5b",
);
/// Generator of the known group.
const KNOWN_GENERATOR: i32 = 3;

/// Makes the proof for what the server asks. It computes for a while: run it where blocking is allowed.
///
/// # Errors
/// [`LoginError::Refused`] for a way of hashing that is not known here, [`LoginError::Unreachable`] when what the server
/// asks would give the password away.
pub(super) fn prove(
    asked: tl::types::account::Password,
    password: &SecretString,
    rng: &dyn Rng,
) -> Result<tl::enums::InputCheckPasswordSrp, LoginError> {
    let algorithm = match asked.current_algo {
        Some(tl::enums::PasswordKdfAlgo::Sha256Sha256Pbkdf2Hmacsha512iter100000Sha256ModPow(known)) => known,
        Some(tl::enums::PasswordKdfAlgo::Unknown) => {
            let text = "Telegram asks for the password in a way that this version does not know";
            return Err(LoginError::Refused(text.to_owned()));
        }
        None => return Err(unsafe_question("it names no way of hashing")),
    };
    let (Some(public), Some(srp_id)) = (asked.srp_b, asked.srp_id) else {
        return Err(unsafe_question("it names no public value"));
    };
    let tl::types::PasswordKdfAlgoSha256Sha256Pbkdf2Hmacsha512iter100000Sha256ModPow { salt1, salt2, g, p } =
        algorithm;
    if !is_safe_group(&p, g) {
        return Err(unsafe_question("its group is weak"));
    }
    if !is_far_inside(&public, &p) {
        return Err(unsafe_question("its public value is weak"));
    }
    // The server's own random bytes would do too, but then it would know the exponent.
    let mut exponent = Zeroizing::new(vec![0_u8; LEN]);
    rng.fill(&mut exponent);
    let (m1, a) =
        calculate_2fa(&salt1, &salt2, &p, &g, public, exponent.to_vec(), password.expose_secret().as_bytes());
    if !is_far_inside(&a, &p) {
        return Err(unsafe_question("the own public value is weak"));
    }
    let proof = tl::types::InputCheckPasswordSrp { srp_id, a: a.to_vec(), m1: m1.to_vec() };
    Ok(tl::enums::InputCheckPasswordSrp::Srp(proof))
}

fn unsafe_question(why: &str) -> LoginError {
    LoginError::Unreachable(format!("the server's question for the password is not safe to answer: {why}"))
}

/// Whether `p` is a safe prime of 2048 bits and `g` generates its subgroup.
fn is_safe_group(p: &[u8], g: i32) -> bool {
    let known = g == KNOWN_GENERATOR && hex::encode(p) == KNOWN_PRIME;
    known || (p.len() == LEN && GENERATORS.contains(&g) && check_p_and_g(p, &g))
}

/// Whether a number lies between 2^(2048-64) and p - 2^(2048-64), as core.telegram.org/mtproto/auth_key asks.
fn is_far_inside(number: &[u8], p: &[u8]) -> bool {
    let Some(zeros) = LEN.checked_sub(number.len()) else { return false };
    let padded: Vec<u8> = std::iter::repeat_n(0, zeros).chain(number.iter().copied()).collect();
    let large = |number: &[u8]| number.iter().take(8).any(|byte| *byte != 0);
    large(&padded) && difference(p, &padded).is_some_and(|rest| large(&rest))
}

/// `left - right` of two numbers of equal length, most significant byte first; `None` if it is negative.
fn difference(left: &[u8], right: &[u8]) -> Option<Vec<u8>> {
    let mut borrow = false;
    let mut digits: Vec<u8> = Vec::with_capacity(left.len());
    for (left, right) in left.iter().rev().zip(right.iter().rev()) {
        let (first, under) = left.overflowing_sub(*right);
        let (digit, under_again) = first.overflowing_sub(u8::from(borrow));
        borrow = under || under_again;
        digits.push(digit);
    }
    digits.reverse();
    (!borrow).then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sevens;

    impl Rng for Sevens {
        fn next_u64(&self) -> u64 {
            7
        }

        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }

    fn asked(p: Vec<u8>, g: i32, b: Vec<u8>) -> tl::types::account::Password {
        let algorithm = tl::types::PasswordKdfAlgoSha256Sha256Pbkdf2Hmacsha512iter100000Sha256ModPow {
            salt1: vec![1; 40],
            salt2: vec![2; 16],
            g,
            p,
        };
        tl::types::account::Password {
            has_recovery: false,
            has_secure_values: false,
            has_password: true,
            current_algo: Some(algorithm.into()),
            srp_b: Some(b),
            srp_id: Some(5),
            hint: None,
            email_unconfirmed_pattern: None,
            new_algo: tl::enums::PasswordKdfAlgo::Unknown,
            new_secure_algo: tl::enums::SecurePasswordKdfAlgo::Unknown,
            secure_random: Vec::new(),
            pending_reset_date: None,
            login_email_pattern: None,
        }
    }

    #[test]
    fn the_known_group_passes_the_test_that_it_is_spared() {
        assert!(check_p_and_g(&hex::decode(KNOWN_PRIME).unwrap(), &KNOWN_GENERATOR));
    }

    #[test]
    fn only_safe_questions_are_answered() {
        let prime = hex::decode(KNOWN_PRIME).unwrap();
        let password = SecretString::from("secret");
        let said = |asked| prove(asked, &password, &Sevens);
        let Ok(tl::enums::InputCheckPasswordSrp::Srp(proof)) = said(asked(prime.clone(), 3, vec![9; LEN]))
        else {
            panic!("a good question is refused")
        };
        assert_eq!((proof.srp_id, proof.a.len(), proof.m1.len()), (5, 256, 32));
        let mut even = prime.clone();
        *even.last_mut().unwrap() = 0x5a;
        let near = difference(&prime, &[vec![0; LEN - 1], vec![1]].concat()).unwrap();
        for (what, question) in [
            ("not a prime", asked(even, 3, vec![9; LEN])),
            ("a short prime", asked(vec![7], 3, vec![9; LEN])),
            ("an odd generator", asked(prime.clone(), 11, vec![9; LEN])),
            ("no public value", asked(prime.clone(), 3, vec![])),
            ("zero", asked(prime.clone(), 3, vec![0; LEN])),
            ("a small public value", asked(prime.clone(), 3, vec![9; LEN - 8])),
            ("minus one", asked(prime.clone(), 3, near)),
            ("the prime itself", asked(prime.clone(), 3, prime.clone())),
            ("above the prime", asked(prime.clone(), 3, vec![0xff; LEN])),
            ("too long", asked(prime.clone(), 3, vec![9; LEN + 1])),
        ] {
            assert!(matches!(said(question), Err(LoginError::Unreachable(_))), "{what}");
        }
    }
}
