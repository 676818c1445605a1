//! Users as the staff see and change them: list, search, one with everything, label, deletion.

mod activity;
mod search;
mod sessions;
mod view;

use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use switchyard_actors::model::{PlanName, UserId};
use switchyard_actors::ports::Directory as _;

use super::desk::Desk;
use super::fault::Fault;
use super::identity::Identity;
use super::page::{Listed, Page};
use super::subscriptions::Subscriptions;
use crate::crypto::LookupKey;
use crate::store::UserListFilter;
use crate::store::identity::UserState;

pub use activity::{ActivitySource, ActivityView};
pub use sessions::{ForwardingSession, UserSession};
pub use view::{UserCounts, UserDetails, UserView};

/// Most characters of a label.
const LABEL_MAX: usize = 100;

/// In which order users are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum UserSort {
    /// Oldest first.
    #[default]
    #[serde(rename = "created")]
    Created,
    /// Newest first.
    #[serde(rename = "-created")]
    CreatedLast,
}

/// Which users are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserFilter {
    /// A whole address, an id or its beginning, or a part of a label.
    pub query: Option<String>,
    /// Only who has this plan now.
    pub plan: Option<PlanName>,
    /// Only who is in this state; without it everybody but those who are being erased.
    pub state: Option<UserState>,
    /// In which order.
    pub sort: UserSort,
}

/// What staff change of a user; what is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "label": "Acme, key account" }))]
pub struct UserChange {
    /// The staff's own name for the user, at most 100 characters; `null` takes it away. It can be searched for, so it is
    /// not sealed, and it stays in the audit log: no place for an address.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", length(max = 100))]
    pub label: Option<Option<String>>,
}

/// A field that is given, also where it is null.
fn given<'de, D: serde::Deserializer<'de>>(field: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(field).map(Some)
}

/// What staff can ask about users.
#[async_trait]
pub trait Users: Send + Sync {
    /// A page of users, with plan and usage.
    ///
    /// # Errors
    /// [`Fault::Invalid`] for a search or a plan that nobody can have.
    async fn list(&self, filter: UserFilter, page: Page<UserId>) -> Result<Listed<UserView, UserId>, Fault>;

    /// One user with everything that is known of them.
    ///
    /// # Errors
    /// [`Fault::NotFound`].
    async fn get(&self, user: UserId) -> Result<UserDetails, Fault>;

    /// Refuses who is not there.
    ///
    /// # Errors
    /// [`Fault::NotFound`].
    async fn known(&self, user: UserId) -> Result<(), Fault>;

    /// Changes what staff say of a user; with `version`, only if it is still that one.
    ///
    /// # Errors
    /// [`Fault::NotFound`], [`Fault::Stale`].
    async fn change(
        &self,
        user: UserId,
        version: Option<i64>,
        change: UserChange,
    ) -> Result<UserDetails, Fault>;

    /// Deletes a user: what runs for them stops at once; their subscription, their logins at the platforms and their data
    /// end in the background, also across restarts.
    ///
    /// # Errors
    /// [`Fault::NotFound`].
    async fn delete(&self, user: UserId) -> Result<(), Fault>;

    /// The user's sessions at the platforms, and then their sign-ins here.
    ///
    /// # Errors
    /// [`Fault::NotFound`].
    async fn sessions(&self, user: UserId, page: Page<String>) -> Result<Listed<UserSession, String>, Fault>;

    /// What happened around a user, newest first.
    ///
    /// # Errors
    /// [`Fault::NotFound`].
    async fn activity(&self, user: UserId, page: Page<String>)
    -> Result<Listed<ActivityView, String>, Fault>;
}

/// Users of a running daemon.
pub struct UserService {
    desk: Arc<Desk>,
    identity: Arc<dyn Identity>,
    subscriptions: Arc<dyn Subscriptions>,
    lookup: LookupKey,
}

impl UserService {
    /// Over what the services share; `lookup` is the key by which addresses are found.
    #[must_use]
    pub const fn new(
        desk: Arc<Desk>,
        identity: Arc<dyn Identity>,
        subscriptions: Arc<dyn Subscriptions>,
        lookup: LookupKey,
    ) -> Self {
        Self { desk, identity, subscriptions, lookup }
    }

    async fn details(&self, user: UserId) -> Result<UserDetails, Fault> {
        let desk = &self.desk;
        let row = desk.store.listed_user(user, desk.today()).await?;
        let mut billed = self.subscriptions.of(&[user]).await?;
        let accounts = desk.store.accounts_of(user).await?;
        let depths = desk.store.queue_depths().await?;
        let waiting = accounts.iter().filter_map(|account| depths.get(&account.id));
        let mut counts = UserCounts {
            deliveries_waiting: waiting.map(|depth| depth.waiting).sum(),
            ..UserCounts::default()
        };
        for state in self.standings(&accounts).await {
            *counts.sessions.entry(state).or_default() += 1;
        }
        let count = |many: usize| u64::try_from(many).unwrap_or(u64::MAX);
        let paused = desk.store.pairs_of(user).await?.iter().filter(|pair| !pair.paused.is_empty()).count();
        counts.pairs_paused = count(paused);
        // Of somebody who is being erased the key may be gone by which theirs can be read.
        if row.state != UserState::Deleting {
            counts.sign_ins = count(self.identity.sessions(user, None).await?.len());
            counts.api_keys = count(self.identity.api_keys(user).await?.len());
        }
        Ok(UserDetails { user: self.view(row, billed.remove(&user)), counts })
    }
}

#[async_trait]
impl Users for UserService {
    async fn list(&self, filter: UserFilter, page: Page<UserId>) -> Result<Listed<UserView, UserId>, Fault> {
        let desk = &self.desk;
        let UserFilter { query, plan, state, sort } = filter;
        if let Some(plan) = plan.as_ref().filter(|plan| desk.plans.get(plan).is_none()) {
            return Err(Fault::invalid("/plan", format!("there is no plan {plan}")));
        }
        let filter = UserListFilter {
            search: query.map(|query| search::parse(&query, &self.lookup)).transpose()?,
            plan: plan.map(String::from),
            state,
            newest_first: sort == UserSort::CreatedLast,
        };
        let more = u64::try_from(page.limit).unwrap_or(u64::MAX).saturating_add(1);
        let rows = desk.store.list_users(&filter, &desk.offered(), page.cursor, (more, desk.today())).await?;
        let Listed { items, next_cursor } = page.fetched(rows, |row| row.id);
        let ids: Vec<UserId> = items.iter().map(|row| row.id).collect();
        let mut billed = self.subscriptions.of(&ids).await?;
        let items = items.into_iter().map(|row| {
            let billed = billed.remove(&row.id);
            self.view(row, billed)
        });
        Ok(Listed { items: items.collect(), next_cursor })
    }

    async fn get(&self, user: UserId) -> Result<UserDetails, Fault> {
        self.details(user).await
    }

    async fn known(&self, user: UserId) -> Result<(), Fault> {
        if self.desk.store.has_user(user).await? {
            Ok(())
        } else {
            Err(Fault::NotFound(format!("user {user}")))
        }
    }

    async fn change(
        &self,
        user: UserId,
        version: Option<i64>,
        change: UserChange,
    ) -> Result<UserDetails, Fault> {
        self.known(user).await?;
        if let Some(label) = change.label {
            let label = label.map(|label| label.trim().to_owned()).unwrap_or_default();
            if label.chars().count() > LABEL_MAX || label.chars().any(char::is_control) {
                let detail = format!("it must have at most {LABEL_MAX} characters, in one line");
                return Err(Fault::invalid("/label", detail));
            }
            if !self.desk.store.label_user(user, version, label).await? {
                return Err(Fault::Stale);
            }
            tracing::info!(%user, "user has another label");
        }
        self.details(user).await
    }

    async fn delete(&self, user: UserId) -> Result<(), Fault> {
        let identity = Arc::clone(&self.identity);
        self.desk.to_the_end(async move { identity.delete(user, None).await }).await
    }

    async fn sessions(&self, user: UserId, page: Page<String>) -> Result<Listed<UserSession, String>, Fault> {
        self.known(user).await?;
        self.sessions_of(user, page).await
    }

    async fn activity(
        &self,
        user: UserId,
        page: Page<String>,
    ) -> Result<Listed<ActivityView, String>, Fault> {
        self.known(user).await?;
        self.activity_of(user, page).await
    }
}
