//! Sign-in by QR code (core.telegram.org/api/qr-login).

use grammers_tl_types::{enums, functions as f, types};

use super::super::login_tokens::{Exported, TokenRefused};
use super::super::salts::unix_i32;
use super::{Answer, Context, RpcError, auth};

pub(super) fn export_login_token(
    context: &mut Context<'_>,
    request: f::auth::ExportLoginToken,
) -> Answer<enums::auth::LoginToken> {
    auth::known_api(context, request.api_id, &request.api_hash)?;
    let now = context.dc.now();
    if let Some(token) = context.state.login_tokens.accepted(context.call.key, now)
        && auth::sent_away(context)
    {
        let elsewhere = types::auth::LoginTokenMigrateTo { dc_id: auth::ELSEWHERE, token };
        return Ok(enums::auth::LoginToken::MigrateTo(elsewhere));
    }
    let exported = context.state.login_tokens.export(context.call.key, now);
    // Nobody is signed in, but this connection wants to be told when somebody scans the code.
    let connection = context.connection();
    context.state.hub.subscribe(connection);
    answer(context, exported)
}

pub(super) fn import_login_token(
    context: &mut Context<'_>,
    request: f::auth::ImportLoginToken,
) -> Answer<enums::auth::LoginToken> {
    let now = context.dc.now();
    let exported = context.state.login_tokens.import(&request.token, now).map_err(refusal)?;
    answer(context, exported)
}

fn answer(context: &mut Context<'_>, exported: Exported) -> Answer<enums::auth::LoginToken> {
    match exported {
        Exported::Token { token, until } => {
            let token = types::auth::LoginToken { expires: unix_i32(until), token };
            Ok(enums::auth::LoginToken::Token(token))
        }
        Exported::Accepted(user) => {
            let authorization = auth::first_factor(context, user)?;
            Ok(enums::auth::LoginToken::Success(types::auth::LoginTokenSuccess { authorization }))
        }
    }
}

/// A signed-in session scans the code of another.
pub(super) fn accept_login_token(
    context: &mut Context<'_>,
    request: f::auth::AcceptLoginToken,
) -> Answer<enums::Authorization> {
    let me = context.me()?;
    let now = context.dc.now();
    let key = context.state.login_tokens.accept(&request.token, me, now).map_err(refusal)?;
    context.dc.tell_accepted(context.state, key);
    let date = unix_i32(now);
    Ok(enums::Authorization::Authorization(types::Authorization {
        current: false,
        official_app: false,
        password_pending: context.state.passwords.has(me),
        encrypted_requests_disabled: false,
        call_requests_disabled: false,
        unconfirmed: false,
        hash: key,
        device_model: String::new(),
        platform: String::new(),
        system_version: String::new(),
        api_id: context.dc.api.0,
        app_name: String::new(),
        app_version: String::new(),
        date_created: date,
        date_active: date,
        ip: "127.0.0.1".to_owned(),
        country: String::new(),
        region: String::new(),
    }))
}

const fn refusal(refused: TokenRefused) -> RpcError {
    RpcError::bad(match refused {
        TokenRefused::Unknown => "AUTH_TOKEN_INVALID",
        TokenRefused::Expired => "AUTH_TOKEN_EXPIRED",
        TokenRefused::AlreadyAccepted => "AUTH_TOKEN_ALREADY_ACCEPTED",
    })
}
