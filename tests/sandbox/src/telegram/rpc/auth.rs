//! `auth.*`: signing in by code or bot token, and out (core.telegram.org/api/auth).

use grammers_tl_types::{enums, functions as f, types};

use super::super::dc::digits;
use super::super::logins::Denied;
use super::super::world::{Chat, Op, Post, SERVICE};
use super::{Answer, Context, RpcError};
use crate::faults::FaultKind;

/// Digits of a telephone number (E.164).
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 7..=15;

fn phone(number: &str) -> Answer<String> {
    let phone = digits(number);
    if PHONE_DIGITS.contains(&phone.len()) { Ok(phone) } else { Err(RpcError::bad("PHONE_NUMBER_INVALID")) }
}

/// Whether the client names the application that the seed made.
pub(super) fn known_api(context: &Context<'_>, api_id: i32, api_hash: &str) -> Answer<()> {
    let (known_id, known_hash) = &context.dc.api;
    if api_id == *known_id && api_hash == known_hash { Ok(()) } else { Err(RpcError::bad("API_ID_INVALID")) }
}

/// Number of the data centre to which [`FaultKind::Migrate`] sends.
pub(super) const ELSEWHERE: i32 = 4;

/// Whether a fault sends whoever signs in to another data centre.
pub(super) fn sent_away(context: &Context<'_>) -> bool {
    context.dc.shared.faults.take(context.dc.site(None), &[FaultKind::Migrate]).is_some()
}

fn at_home(context: &Context<'_>, error: &'static str) -> Answer<()> {
    if sent_away(context) { Err(RpcError::new(303, error)) } else { Ok(()) }
}

/// Signs a bot in (core.telegram.org/method/auth.importBotAuthorization).
pub(super) fn import_bot_authorization(
    context: &mut Context<'_>,
    request: f::auth::ImportBotAuthorization,
) -> Answer<enums::auth::Authorization> {
    known_api(context, request.api_id, &request.api_hash)?;
    at_home(context, "USER_MIGRATE_4")?;
    let bot = context.state.logins.bot(&request.bot_auth_token);
    authorize(context, bot.ok_or(RpcError::bad("ACCESS_TOKEN_INVALID"))?)
}

pub(super) fn send_code(
    context: &mut Context<'_>,
    request: f::auth::SendCode,
) -> Answer<enums::auth::SentCode> {
    known_api(context, request.api_id, &request.api_hash)?;
    at_home(context, "PHONE_MIGRATE_4")?;
    let phone = phone(&request.phone_number)?;
    let until = context.dc.now().saturating_add_unsigned(context.dc.config.code_lifetime.as_secs());
    let phone_code_hash = context.state.logins.begin(&phone, until);
    let code = context.state.logins.code(&phone);
    let length = i32::try_from(code.len()).unwrap_or(0);
    let r#type = match context.state.world.user_by_phone(&phone).map(|user| user.id) {
        // Nobody has this number; it can still be sent a code.
        None => enums::auth::SentCodeType::Sms(types::auth::SentCodeTypeSms { length }),
        Some(user) => {
            let text = format!(
                "Login code: {code}. Do not give this code to anyone, even if they say they are from Telegram!"
            );
            context.commit(Op::Post(Post {
                chat: Chat::User(user),
                by: SERVICE,
                at: context.dc.now(),
                text,
                entities: Vec::new(),
                reply_to: None,
                random_id: None,
                silent: false,
                noforwards: false,
            }))?;
            enums::auth::SentCodeType::App(types::auth::SentCodeTypeApp { length })
        }
    };
    let sent = types::auth::SentCode { r#type, phone_code_hash, next_type: None, timeout: None };
    Ok(enums::auth::SentCode::Code(sent))
}

pub(super) fn cancel_code(context: &mut Context<'_>, request: f::auth::CancelCode) -> Answer<bool> {
    if context.state.logins.end(&request.phone_code_hash) {
        Ok(true)
    } else {
        Err(RpcError::bad("PHONE_CODE_EXPIRED"))
    }
}

pub(super) fn sign_in(
    context: &mut Context<'_>,
    request: f::auth::SignIn,
) -> Answer<enums::auth::Authorization> {
    let phone = phone(&request.phone_number)?;
    let code = request.phone_code.filter(|code| !code.is_empty());
    let Some(code) = code else { return Err(RpcError::bad("PHONE_CODE_EMPTY")) };
    let now = context.dc.now();
    context.state.logins.check(&phone, &request.phone_code_hash, &code, now).map_err(
        |denied| match denied {
            Denied::Expired => RpcError::bad("PHONE_CODE_EXPIRED"),
            Denied::Wrong => RpcError::bad("PHONE_CODE_INVALID"),
            Denied::Flooded => RpcError::new(406, "PHONE_PASSWORD_FLOOD"),
        },
    )?;
    let Some(user) = context.state.world.user_by_phone(&phone).map(|user| user.id) else {
        let required = types::auth::AuthorizationSignUpRequired { terms_of_service: None };
        return Ok(enums::auth::Authorization::SignUpRequired(required));
    };
    first_factor(context, user)
}

/// Signs in who gave a code or scanned one, unless a password is asked for as well.
pub(super) fn first_factor(context: &mut Context<'_>, user: i64) -> Answer<enums::auth::Authorization> {
    if context.state.passwords.has(user) {
        context.state.passwords.wait(context.call.key, user);
        return Err(RpcError::password_needed());
    }
    authorize(context, user)
}

/// Binds the caller's key to a user.
pub(super) fn authorize(context: &mut Context<'_>, user: i64) -> Answer<enums::auth::Authorization> {
    let key = context.call.key;
    context.state.passwords.end(key);
    context.commit(Op::SignIn { key, user })?;
    context.user = Some(user);
    let connection = context.connection();
    context.state.hub.subscribe(connection);
    let user = context.view(user).user(user).ok_or(RpcError::internal())?;
    Ok(enums::auth::Authorization::Authorization(types::auth::Authorization {
        setup_password_required: false,
        otherwise_relogin_days: None,
        tmp_sessions: None,
        future_auth_token: None,
        user,
    }))
}

/// People sign up with Telegram's own applications.
pub(super) fn sign_up(
    context: &mut Context<'_>,
    request: f::auth::SignUp,
) -> Answer<enums::auth::Authorization> {
    let phone = phone(&request.phone_number)?;
    Err(match context.state.world.user_by_phone(&phone) {
        Some(_) => RpcError::bad("PHONE_NUMBER_OCCUPIED"),
        None => RpcError::new(406, "UPDATE_APP_TO_LOGIN"),
    })
}

pub(super) fn log_out(context: &mut Context<'_>, _: f::auth::LogOut) -> Answer<enums::auth::LoggedOut> {
    // A sign-in that waits for its password is given up.
    if !context.state.passwords.end(context.call.key) {
        context.me()?;
        context.commit(Op::SignOut { key: context.call.key })?;
    }
    Ok(enums::auth::LoggedOut::Out(types::auth::LoggedOut { future_auth_token: None }))
}

/// Ends every other session of the caller.
pub(super) fn reset_authorizations(
    context: &mut Context<'_>,
    _: f::auth::ResetAuthorizations,
) -> Answer<bool> {
    let me = context.me()?;
    let mine = context.call.key;
    let others: Vec<i64> = context.state.world.keys.of_user(me).filter(|key| *key != mine).collect();
    for key in others {
        context.commit(Op::Revoke { key })?;
    }
    Ok(true)
}

/// Temporary keys are made by a key exchange, which this server cannot do.
pub(super) fn bind_temp_auth_key(_: &mut Context<'_>, _: f::auth::BindTempAuthKey) -> Answer<bool> {
    Err(RpcError::bad("ENCRYPTED_MESSAGE_INVALID"))
}

pub(super) fn export_authorization(
    context: &mut Context<'_>,
    request: f::auth::ExportAuthorization,
) -> Answer<enums::auth::ExportedAuthorization> {
    let id = context.me()?;
    if !(1..=5).contains(&request.dc_id) || request.dc_id == context.dc.dc_id {
        return Err(RpcError::bad("DC_ID_INVALID"));
    }
    let bytes = context.state.logins.export(id);
    let exported = types::auth::ExportedAuthorization { id, bytes };
    Ok(enums::auth::ExportedAuthorization::Authorization(exported))
}

pub(super) fn import_authorization(
    context: &mut Context<'_>,
    request: f::auth::ImportAuthorization,
) -> Answer<enums::auth::Authorization> {
    if !context.state.logins.import(request.id, &request.bytes) {
        return Err(RpcError::bad("AUTH_BYTES_INVALID"));
    }
    authorize(context, request.id)
}
