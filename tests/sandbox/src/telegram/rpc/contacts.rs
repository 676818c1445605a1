//! `contacts.*`: who has a public name.

use grammers_tl_types::{enums, functions as f, types};

use super::super::view::{self, Mentioned};
use super::{Answer, Context, RpcError};

pub(super) fn resolve_username(
    context: &mut Context<'_>,
    request: f::contacts::ResolveUsername,
) -> Answer<enums::contacts::ResolvedPeer> {
    let me = context.me()?;
    let name = request.username;
    let well_formed = (4..=32).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && name.starts_with(|c: char| c.is_ascii_alphabetic());
    if !well_formed {
        return Err(RpcError::bad("USERNAME_INVALID"));
    }
    let chat = context.state.world.resolve(&name).ok_or(RpcError::bad("USERNAME_NOT_OCCUPIED"))?;
    let mut mentioned = Mentioned::default();
    mentioned.chat(chat);
    let (users, chats) = context.view(me).describe(&mentioned);
    let resolved = types::contacts::ResolvedPeer { peer: view::peer(chat), chats, users };
    Ok(enums::contacts::ResolvedPeer::Peer(resolved))
}
