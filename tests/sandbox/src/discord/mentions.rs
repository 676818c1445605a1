//! Who is pinged by a text.

use super::rest::AllowedMentions;
use super::snowflake;
use super::world::World;

/// The users whom a text pings, and whether it pings everyone.
pub(super) fn resolve(
    world: &World,
    content: &str,
    allowed: &AllowedMentions,
    replied_to: Option<u64>,
) -> (Vec<u64>, bool) {
    let mut users = Vec::new();
    for piece in content.split("<@").skip(1) {
        let Some((id, _)) = piece.split_once('>') else { continue };
        let id = snowflake::parse(id.strip_prefix('!').unwrap_or(id));
        let id = id.filter(|id| world.users.contains_key(id));
        let id = id.filter(|id| allowed.users.as_ref().is_none_or(|users| users.contains(id)));
        if let Some(id) = id.filter(|id| !users.contains(id)) {
            users.push(id);
        }
    }
    if let Some(author) = replied_to.filter(|author| allowed.replied_user && !users.contains(author)) {
        users.push(author);
    }
    let everyone = content.contains("@everyone") || content.contains("@here");
    (users, everyone && allowed.everyone)
}
