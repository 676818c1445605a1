//! What the use cases of accounts and pairs share: store, tree, platforms, gates, and the users they act for.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use switchyard_actors::model::{Account, IdSource, Plans, UserId};
use switchyard_actors::ports::{Clock, Login};
use switchyard_actors::supervision::NodeView;
use switchyard_actors::tree::Operator;
use tokio::runtime::Handle;
use tracing::Instrument;

use super::caller::Caller;
use super::fault::Fault;
use super::gates::Gates;
use super::identity::Running;
use super::sealed::Uploads;
use crate::store::Store;

/// How long one session may take to say how it is; it waits for nothing while it does.
const SAY: Duration = Duration::from_secs(1);

/// Name of the user that is made when an operator connects something before there is any user.
const FIRST_USER: &str = "operator";

/// Bounds of the use cases. Every field has a key in config.toml, section `limits`.
#[derive(Clone, Copy, Debug)]
pub struct DeskConfig {
    /// Sign-ins under way at once.
    pub sign_ins_max: usize,
    /// Sign-ins of one user under way at once.
    pub sign_ins_per_user_max: usize,
    /// Whether the server signs people in by telephone number.
    pub server_login: bool,
    /// How long a sign-in may take in all; then it is given up.
    pub sign_in_deadline: Duration,
    /// How long the answer to a new pair waits until its source is read.
    pub source_wait: Duration,
    /// How long the look at a new pair's two chats may take.
    pub look_wait: Duration,
    /// How long the answer to a suspension waits for sends under way.
    pub suspension_wait: Duration,
}

/// What [`Desk`] is put together from.
pub struct DeskParts {
    /// The store.
    pub store: Store,
    /// The tree.
    pub operator: Operator,
    /// The platforms.
    pub login: Arc<dyn Login>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Makes ids.
    pub ids: IdSource,
    /// Throttle profile of new accounts.
    pub profile: String,
    /// What sealed sessions are made for.
    pub uploads: Uploads,
    /// Where the work goes on when nobody waits for its answer any more.
    pub runtime: Handle,
    /// What users may have and use.
    pub plans: Arc<Plans>,
    /// Bounds.
    pub config: DeskConfig,
}

/// Shared by the services of one daemon.
pub struct Desk {
    pub(super) store: Store,
    pub(super) operator: Operator,
    pub(super) login: Arc<dyn Login>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ids: IdSource,
    pub(super) profile: String,
    pub(super) uploads: Uploads,
    pub(super) plans: Arc<Plans>,
    pub(super) config: DeskConfig,
    pub(super) gates: Gates,
    /// Held from the look for a circle until the pair is stored.
    pub(super) weaving: tokio::sync::Mutex<()>,
    pub(super) runtime: Handle,
    first_user: tokio::sync::Mutex<()>,
}

impl Desk {
    /// A desk.
    #[must_use]
    pub fn new(parts: DeskParts) -> Arc<Self> {
        let DeskParts { store, operator, login, clock, ids, profile, uploads, runtime, plans, config } =
            parts;
        let (gates, weaving, first_user) = Default::default();
        Arc::new(Self {
            store,
            operator,
            login,
            clock,
            ids,
            profile,
            uploads,
            plans,
            config,
            gates,
            weaving,
            runtime,
            first_user,
        })
    }

    /// What is asked of sessions, asked of each itself: what the tree shows may be a moment old.
    pub(super) async fn session_views(&self, accounts: &[Account]) -> Vec<Option<NodeView>> {
        let asked = accounts.iter().map(|account| self.operator.session_view(account.id, SAY));
        futures_util::future::join_all(asked).await
    }

    /// Carries an order out to its end, also when its caller goes away in the middle: half a change helps nobody.
    pub(super) async fn to_the_end<T: Send + 'static>(
        &self,
        order: impl Future<Output = Result<T, Fault>> + Send + 'static,
    ) -> Result<T, Fault> {
        let done = self.runtime.spawn(order.in_current_span()).await;
        done.unwrap_or_else(|_| Err(Fault::Unavailable("the order was cut short".to_owned())))
    }

    /// The user for whom something new is made.
    pub(super) async fn owner(&self, caller: Caller, named: Option<UserId>) -> Result<UserId, Fault> {
        let unknown = || Fault::invalid("/user", "there is no such user");
        match (caller, named) {
            (Caller::User(id), None) => Ok(id),
            (Caller::User(id), Some(named)) if named == id => Ok(id),
            (Caller::User(_), Some(_)) => Err(unknown()),
            (Caller::Operator | Caller::Admin(..), Some(named)) => {
                if self.store.has_user(named).await? {
                    Ok(named)
                } else {
                    Err(unknown())
                }
            }
            (Caller::Operator | Caller::Admin(..), None) => self.only_user().await,
        }
    }

    /// The one user there is; the first is made for the operator.
    async fn only_user(&self) -> Result<UserId, Fault> {
        let _alone = self.first_user.lock().await;
        match self.store.some_users(2).await?.as_slice() {
            [only] => Ok(*only),
            [] => {
                let id = UserId::from_uuid(self.ids.uuid());
                self.store.create_user(id, FIRST_USER).await?;
                self.store.set_user_plan(id, self.plans.operator(), None).await?;
                tracing::info!(user = %id, "first user was made for the operator");
                Ok(id)
            }
            _ => Err(Fault::invalid("/user", "there are several users: say for whom, by the user's id")),
        }
    }
}

#[async_trait]
impl Running for Desk {
    async fn stop(&self, user: UserId) -> Result<(), Fault> {
        Ok(self.operator.user_suspended(user, self.config.suspension_wait).await?)
    }
}
