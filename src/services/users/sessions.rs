//! A user's sessions: those of the tree at the platforms, and their own sign-ins, told apart.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use switchyard_actors::model::{Account, AccountId, AccountKind, AccountState, Platform, UserId};
use switchyard_actors::ports::Directory as _;
use switchyard_actors::supervision::NodeView;

use super::UserService;
use crate::services::fault::Fault;
use crate::services::identity::SessionView;
use crate::services::page::{Listed, Page};
use crate::services::states::{SessionStanding, why};

/// A session at a platform: the live connection of one account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ForwardingSession {
    /// Its account's id, which is its own.
    pub id: AccountId,
    /// The account's name.
    pub name: String,
    /// The account's kind.
    pub account_kind: AccountKind,
    /// Its platform.
    pub platform: Platform,
    /// How it stands.
    pub state: SessionStanding,
    /// Why it stands so, where it says.
    pub reason: Option<String>,
    /// Since when its actor is in its present state; none where it has no actor.
    pub since: Option<DateTime<Utc>>,
    /// How often its actor was started anew.
    pub restarts: u64,
}

/// A session of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum UserSession {
    /// At a platform, to forward messages.
    Forwarding(ForwardingSession),
    /// Here, by a person who signed in.
    SignIn(SessionView),
}

impl UserSession {
    /// Its place in the list: sessions at platforms first, each kind by id.
    fn place(&self) -> String {
        match self {
            Self::Forwarding(session) => format!("0.{}", session.id),
            Self::SignIn(session) => format!("1.{}", session.id),
        }
    }
}

/// How an account's session stands.
fn standing(account: &Account, node: Option<&NodeView>) -> SessionStanding {
    match account.state {
        AccountState::NeedsLogin => SessionStanding::NeedsLogin,
        AccountState::Active | AccountState::Quarantined => {
            node.map_or(SessionStanding::Stopped, SessionStanding::of)
        }
    }
}

fn forwarding(account: Account, node: Option<&NodeView>) -> UserSession {
    UserSession::Forwarding(ForwardingSession {
        id: account.id,
        state: standing(&account, node),
        name: account.name,
        account_kind: account.kind,
        platform: account.kind.platform(),
        reason: node.and_then(why),
        since: node.map(|node| node.since),
        restarts: node.map_or(0, |node| node.restarts_total),
    })
}

impl UserService {
    /// How the sessions of these accounts stand.
    pub(super) async fn standings(&self, accounts: &[Account]) -> Vec<SessionStanding> {
        let nodes = self.desk.session_views(accounts).await;
        accounts.iter().zip(nodes).map(|(account, node)| standing(account, node.as_ref())).collect()
    }

    pub(super) async fn sessions_of(
        &self,
        user: UserId,
        page: Page<String>,
    ) -> Result<Listed<UserSession, String>, Fault> {
        let accounts = self.desk.store.accounts_of(user).await?;
        let nodes = self.desk.session_views(&accounts).await;
        let live = accounts.into_iter().zip(nodes).map(|(account, node)| forwarding(account, node.as_ref()));
        let mut all: Vec<UserSession> = live.collect();
        all.extend(self.identity.sessions(user, None).await?.into_iter().map(UserSession::SignIn));
        all.sort_by_cached_key(UserSession::place);
        if let Some(cursor) = &page.cursor {
            all.retain(|session| session.place() > *cursor);
        }
        Ok(page.fetched(all, UserSession::place))
    }
}
