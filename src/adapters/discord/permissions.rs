//! What a bot may do in a channel (discord.com/developers/docs/topics/permissions#permission-overwrites).

use serde::Deserialize;

/// May do everything, whatever else is said.
const ADMINISTRATOR: u64 = 1 << 3;
/// Sees the channel.
pub(super) const VIEW_CHANNEL: u64 = 1 << 10;
/// Writes in it.
pub(super) const SEND_MESSAGES: u64 = 1 << 11;
/// Reads what was written before.
pub(super) const READ_MESSAGE_HISTORY: u64 = 1 << 16;
/// Writes in its threads.
pub(super) const SEND_MESSAGES_IN_THREADS: u64 = 1 << 38;

/// What a channel says against the guild's roles.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Overwrite {
    /// A role, a member, or for everyone the guild itself.
    pub(super) id: String,
    /// 0: a role. 1: a member.
    #[serde(rename = "type")]
    pub(super) kind: u8,
    pub(super) allow: String,
    pub(super) deny: String,
}

/// The permissions that remain of `base` (those by roles) in a channel.
pub(super) fn in_channel(
    base: u64,
    guild: &str,
    roles: &[String],
    member: &str,
    overwrites: &[Overwrite],
) -> u64 {
    if base & ADMINISTRATOR != 0 {
        return u64::MAX;
    }
    let bits = |text: &str| text.parse::<u64>().unwrap_or(0);
    let sum = |matches: &dyn Fn(&Overwrite) -> bool| {
        overwrites.iter().filter(|overwrite| matches(overwrite)).fold((0, 0), |(deny, allow), overwrite| {
            (deny | bits(&overwrite.deny), allow | bits(&overwrite.allow))
        })
    };
    // Everyone first, then all roles at once, then the member; within each, what is allowed wins.
    [
        sum(&|overwrite| overwrite.kind == 0 && overwrite.id == guild),
        sum(&|overwrite| overwrite.kind == 0 && overwrite.id != guild && roles.contains(&overwrite.id)),
        sum(&|overwrite| overwrite.kind == 1 && overwrite.id == member),
    ]
    .into_iter()
    .fold(base, |left, (deny, allow)| (left & !deny) | allow)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overwrite(id: &str, kind: u8, allow: u64, deny: u64) -> Overwrite {
        Overwrite { id: id.to_owned(), kind, allow: allow.to_string(), deny: deny.to_string() }
    }

    const BASE: u64 = VIEW_CHANNEL | SEND_MESSAGES | READ_MESSAGE_HISTORY;

    fn left(base: u64, overwrites: &[Overwrite]) -> u64 {
        in_channel(base, "1", &["20".to_owned()], "300", overwrites)
    }

    #[test]
    fn the_narrower_overwrite_wins() {
        assert_eq!(left(BASE, &[]), BASE);
        let closed = overwrite("1", 0, 0, SEND_MESSAGES);
        assert_eq!(left(BASE, std::slice::from_ref(&closed)), BASE & !SEND_MESSAGES);
        let role = overwrite("20", 0, SEND_MESSAGES, 0);
        assert_eq!(left(BASE, &[role.clone(), closed.clone()]), BASE);
        let member = overwrite("300", 1, 0, VIEW_CHANNEL);
        assert_eq!(left(BASE, &[member, role, closed]), BASE & !VIEW_CHANNEL);
    }

    #[test]
    fn what_others_are_told_does_not_count_and_administrators_may_all() {
        let others =
            [overwrite("21", 0, 0, BASE), overwrite("301", 1, 0, BASE), overwrite("300", 0, 0, BASE)];
        assert_eq!(left(BASE, &others), BASE);
        assert_eq!(left(ADMINISTRATOR, &[overwrite("1", 0, 0, u64::MAX)]), u64::MAX);
    }
}
