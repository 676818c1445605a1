//! Making an account's connection, and recording what it yields.

use std::collections::BTreeSet;

use super::SessionArgs;
use crate::model::{Account, AccountId, AccountKind, ChatId, Cursor, CursorKey, Fence, Place};
use crate::ports::{
    ConnectRequest, Connection, ConnectionError, IntakeReceipt, IntakeUnit, Store, StoreError,
};
use crate::tree::deps::{Deps, until_stored};

/// The chats that pairs read and write through an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Roles {
    pub(super) sources: BTreeSet<Place>,
    pub(super) targets: BTreeSet<Place>,
}

impl Roles {
    pub(super) async fn read(store: &dyn Store, id: AccountId) -> Result<Self, StoreError> {
        let pairs = store.pairs_through(&[id]).await?;
        let sources = pairs.iter().filter(|pair| pair.source_account == id).map(|pair| pair.source);
        let targets = pairs.iter().filter(|pair| pair.target_account == id).map(|pair| pair.target);
        Ok(Self { sources: sources.collect(), targets: targets.collect() })
    }

    pub(super) fn lists(&self) -> (Vec<Place>, Vec<Place>) {
        (self.sources.iter().copied().collect(), self.targets.iter().copied().collect())
    }

    /// Whether a connection that works for these works for the others too.
    pub(super) fn cover(&self, other: &Self) -> bool {
        other.sources.is_subset(&self.sources) && other.targets.is_subset(&self.targets)
    }
}

/// What of a connection's sources has no cursor yet. Once all have one, whatever is written from now on is found, even after a
/// failure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Unplaced {
    /// Nothing at all was recorded of an account whose chats are told in one stream.
    stream: bool,
    /// Chats of which each is read by itself.
    chats: BTreeSet<ChatId>,
}

impl Unplaced {
    fn of(kind: AccountKind, sources: &[Place], cursors: &[Cursor]) -> Self {
        if kind != AccountKind::DiscordBot {
            return Self { stream: !sources.is_empty() && cursors.is_empty(), chats: BTreeSet::new() };
        }
        let mut chats: BTreeSet<ChatId> = sources.iter().filter_map(read_by).collect();
        for cursor in cursors {
            if let CursorKey::DiscordChannel { chat } = cursor.key {
                chats.remove(&chat);
            }
        }
        Self { stream: false, chats }
    }

    pub(super) fn is_none(&self) -> bool {
        !self.stream && self.chats.is_empty()
    }

    /// A unit was recorded with these cursors; what cannot be read is not waited for.
    pub(super) fn recorded(&mut self, cursors: &[Cursor], troubles: &[(Place, String)]) {
        self.stream = false;
        for cursor in cursors {
            if let CursorKey::DiscordChannel { chat } = cursor.key {
                self.chats.remove(&chat);
            }
        }
        for (place, _) in troubles {
            if let Some(chat) = read_by(place) {
                self.chats.remove(&chat);
            }
        }
    }
}

/// The channel by which a place of Discord's is read: that of its thread, where it has one.
fn read_by(place: &Place) -> Option<ChatId> {
    place.thread.map_or(Some(place.chat), |thread| ChatId::new(thread.get()).ok())
}

/// A connection, what it works for, and what of that is not placed yet.
pub(super) struct Made {
    pub(super) connection: Connection,
    pub(super) roles: Roles,
    pub(super) unplaced: Unplaced,
}

/// Why there is no connection.
pub(super) enum Unmade {
    /// The account is another owner's by now, or this one's under another assignment.
    Fenced(StoreError),
    /// Anything else.
    Failed(ConnectionError),
}

impl<E: Into<ConnectionError>> From<E> for Unmade {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Reads what the connection needs to know and makes it: only for an account that is still this node's.
pub(super) async fn connect(args: SessionArgs, account: Account, fence: Fence) -> Result<Made, Unmade> {
    if !args.deps.links.lease_lasts(args.deps.config.lease_margin) {
        return Err(ConnectionError::Unreachable("node's lease has ended".to_owned()).into());
    }
    let store = &args.deps.store;
    match store.check(fence).await {
        Ok(()) => {}
        Err(error @ StoreError::Fenced(refused)) => {
            args.deps.assignments.forget(refused).await;
            return Err(Unmade::Fenced(error));
        }
        Err(error) => return Err(error.into()),
    }
    let roles = Roles::read(store.as_ref(), account.id).await?;
    let (sources, targets) = roles.lists();
    let cursors = store.cursors(account.id).await?;
    let unplaced = Unplaced::of(account.kind, &sources, &cursors);
    let request = ConnectRequest { account, fence, sources, targets, cursors };
    let connection = args.deps.connector.connect(request).await?;
    Ok(Made { connection, roles, unplaced })
}

/// Records one unit; a store that is busy, away or full is waited for: intake stops and the cursor stays.
pub(super) async fn record(
    deps: &Deps,
    fence: Fence,
    unit: &IntakeUnit,
    beat: impl Fn(),
) -> Result<IntakeReceipt, StoreError> {
    deps.failpoints.hit("session.intake", &fence.account.to_string()).map_err(StoreError::Failed)?;
    until_stored(deps, fence, &beat, || deps.store.record(fence, unit)).await
}
