//! Rows to values of the domain and back.

use std::collections::BTreeSet;
use std::str::FromStr;

use switchyard_actors::model::{
    Account, AccountId, ChatId, Pair, PairId, PauseCause, Place, Platform, ThreadId, UserId,
};
use switchyard_actors::ports::StoreError;

use super::entity::{account, pair};
use super::error::unreadable;

/// A text of a closed vocabulary.
pub(super) fn word<T>(text: &str) -> Result<T, StoreError>
where
    T: FromStr,
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|failure| unreadable("row", failure))
}

/// A count that the database keeps signed.
pub(super) fn count(number: i32) -> Result<u32, StoreError> {
    u32::try_from(number).map_err(|failure| unreadable("count", failure))
}

/// The index of a part.
pub(super) fn part_index(number: i32) -> Result<u16, StoreError> {
    u16::try_from(number).map_err(|failure| unreadable("part", failure))
}

pub(super) fn place(platform: &str, chat: i64, thread: Option<i64>) -> Result<Place, StoreError> {
    let wrong = |failure| unreadable("place", failure);
    Ok(Place {
        platform: platform.parse::<Platform>().map_err(wrong)?,
        chat: ChatId::new(chat).map_err(wrong)?,
        thread: thread.map(ThreadId::new).transpose().map_err(wrong)?,
    })
}

pub(super) fn account(row: account::Model) -> Result<Account, StoreError> {
    Ok(Account {
        id: AccountId::from_uuid(row.id),
        user: UserId::from_uuid(row.user_id),
        kind: word(&row.kind)?,
        platform_id: row.platform_id,
        name: row.name,
        profile: row.profile,
        state: word(&row.state)?,
    })
}

pub(super) fn pair(row: &pair::Model, paused: BTreeSet<PauseCause>) -> Result<Pair, StoreError> {
    Ok(Pair {
        id: PairId::from_uuid(row.id),
        user: UserId::from_uuid(row.user_id),
        source_account: AccountId::from_uuid(row.source_account),
        source: place(&row.source_platform, row.source_chat, row.source_thread)?,
        target_account: AccountId::from_uuid(row.target_account),
        target: place(&row.target_platform, row.target_chat, row.target_thread)?,
        paused,
    })
}
