//! Two-step verification (core.telegram.org/api/srp): `account.getPassword` and `auth.checkPassword`.

use grammers_tl_types::{enums, functions as f, types};

use super::super::passwords::Refused;
use super::super::srp;
use super::{Answer, Context, RpcError, auth};

/// The algorithm of Telegram's passwords.
fn algorithm(salt1: Vec<u8>, salt2: Vec<u8>) -> enums::PasswordKdfAlgo {
    let algorithm = types::PasswordKdfAlgoSha256Sha256Pbkdf2Hmacsha512iter100000Sha256ModPow {
        salt1,
        salt2,
        g: i32::from(srp::G),
        p: srp::P.to_vec(),
    };
    enums::PasswordKdfAlgo::Sha256Sha256Pbkdf2Hmacsha512iter100000Sha256ModPow(algorithm)
}

/// The user whose password the caller may be asked for: who is signed in, or waits to be.
fn concerned(context: &Context<'_>) -> Answer<i64> {
    let waiting = context.state.passwords.waiting(context.call.key);
    context.user.or(waiting).ok_or(RpcError::unregistered())
}

pub(super) fn get_password(
    context: &mut Context<'_>,
    _: f::account::GetPassword,
) -> Answer<enums::account::Password> {
    let user = concerned(context)?;
    let passwords = &mut context.state.passwords;
    let mut password = types::account::Password {
        has_recovery: false,
        has_secure_values: false,
        has_password: false,
        current_algo: None,
        srp_b: None,
        srp_id: None,
        hint: None,
        email_unconfirmed_pattern: None,
        new_algo: algorithm(passwords.new_salt(user, 1), passwords.new_salt(user, 2)),
        new_secure_algo: enums::SecurePasswordKdfAlgo::Unknown,
        secure_random: passwords.random(),
        pending_reset_date: None,
        login_email_pattern: None,
    };
    if let Some(offer) = passwords.begin(user) {
        password.has_password = true;
        password.current_algo = Some(algorithm(offer.salt1.to_vec(), offer.salt2.to_vec()));
        password.srp_b = Some(offer.public.to_vec());
        password.srp_id = Some(offer.id);
        password.hint = Some("seeded".to_owned());
    }
    Ok(enums::account::Password::Password(password))
}

pub(super) fn check_password(
    context: &mut Context<'_>,
    request: f::auth::CheckPassword,
) -> Answer<enums::auth::Authorization> {
    let user = concerned(context)?;
    let enums::InputCheckPasswordSrp::Srp(proof) = request.password else {
        return Err(RpcError::bad("PASSWORD_HASH_INVALID"));
    };
    let now = context.dc.now();
    let checked = context.state.passwords.check(user, proof.srp_id, &proof.a, &proof.m1, now);
    checked.map_err(|refused| match refused {
        Refused::UnknownCheck => RpcError::bad("SRP_ID_INVALID"),
        Refused::Wrong => RpcError::bad("PASSWORD_HASH_INVALID"),
        Refused::Flood(wait) => RpcError::flood_wait(wait),
    })?;
    auth::authorize(context, user)
}
