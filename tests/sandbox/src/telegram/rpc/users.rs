//! `users.*`: who people are.

use grammers_tl_types::{enums, functions as f, types};

use super::super::view::Mentioned;
use super::super::world::Chat;
use super::{Answer, Context, MAX_IDS, RpcError};

pub(super) fn get_users(context: &mut Context<'_>, request: f::users::GetUsers) -> Answer<Vec<enums::User>> {
    let me = context.me()?;
    if request.id.len() > MAX_IDS {
        return Err(RpcError::bad("LIMIT_INVALID"));
    }
    let view = context.view(me);
    let users = request.id.iter().map(|input| match context.met_user(me, input) {
        Some(id) => view.user(id).ok_or(RpcError::internal()),
        None => Err(RpcError::bad("USER_ID_INVALID")),
    });
    users.collect()
}

pub(super) fn get_full_user(
    context: &mut Context<'_>,
    request: f::users::GetFullUser,
) -> Answer<enums::users::UserFull> {
    let me = context.me()?;
    let id = context.user(me, &request.id).ok_or(RpcError::bad("USER_ID_INVALID"))?;
    let view = context.view(me);
    let mut mentioned = Mentioned::default();
    mentioned.chat(Chat::User(id));
    let (users, chats) = view.describe(&mentioned);
    Ok(enums::users::UserFull::Full(types::users::UserFull { full_user: view.user_full(id), chats, users }))
}
