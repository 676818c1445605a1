//! Who is who on Telegram: authorisation keys, QR codes that a person scans, and places in channels.

use actix_web::HttpResponse;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::problem::Problem;
use super::{ControlState, body};
use crate::telegram::MemberRole;

#[derive(Deserialize)]
#[serde(untagged)]
enum UserId {
    Number(i64),
    Text(String),
}

impl UserId {
    fn number(self) -> Result<i64, Problem> {
        match self {
            Self::Number(id) => Ok(id),
            Self::Text(id) => id.parse().map_err(|_| Problem::invalid("user_id: must be a number")),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AuthKeyBody {
    auth_key: String,
    user_id: Option<UserId>,
}

#[derive(Serialize)]
struct AuthKeyView {
    user_id: Option<i64>,
}

pub(super) fn register_auth_key(state: &ControlState, body: &[u8]) -> Result<HttpResponse, Problem> {
    let AuthKeyBody { auth_key, user_id } = body::json(body)?;
    let mut key = [0_u8; 256];
    hex::decode_to_slice(&auth_key, &mut key)
        .map_err(|_| Problem::invalid("auth_key: must be 256 bytes in hexadecimal"))?;
    let user_id = user_id.map(UserId::number).transpose()?;
    state.telegram.register_auth_key(&key, user_id)?;
    Ok(HttpResponse::Ok().json(AuthKeyView { user_id }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AcceptBody {
    /// As in `tg://login?token=`; without one, the code that was shown last.
    token: Option<String>,
    user_id: UserId,
}

#[derive(Serialize)]
struct AcceptView {
    token: String,
    user_id: i64,
}

pub(super) fn accept_login_token(state: &ControlState, body: &[u8]) -> Result<HttpResponse, Problem> {
    let AcceptBody { token, user_id } = body::json(body)?;
    let user_id = user_id.number()?;
    let decoded = token.map(|token| URL_SAFE_NO_PAD.decode(token.trim_end_matches('=')));
    let token = decoded.transpose().map_err(|_| Problem::invalid("token: must be in base64url"))?;
    let token = state.telegram.accept_login_token(token.as_deref(), user_id)?;
    Ok(HttpResponse::Ok().json(AcceptView { token: URL_SAFE_NO_PAD.encode(token), user_id }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MemberBody {
    user_id: UserId,
    /// `null`: no member any more.
    role: Option<MemberRole>,
}

#[derive(Serialize)]
struct MemberView {
    user_id: i64,
    role: Option<MemberRole>,
}

pub(super) fn set_member(state: &ControlState, chat: &str, body: &[u8]) -> Result<HttpResponse, Problem> {
    let MemberBody { user_id, role } = body::json(body)?;
    let user_id = user_id.number()?;
    state.telegram.set_member(chat, user_id, role)?;
    Ok(HttpResponse::Ok().json(MemberView { user_id, role }))
}
