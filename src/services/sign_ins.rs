//! Sign-ins under way: each is held by a task of its own until it is done, fails, or its time is over. They are bounded in
//! number, live in memory alone, and know nothing of HTTP, so that they outlive a restart of its actor.

mod holder;

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use switchyard_actors::model::UserId;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use uuid::Uuid;

use self::holder::{Holder, Order};
use super::accounts::ConnectedAccount;
use super::caller::Caller;
use super::desk::Desk;
use super::fault::Fault;
use super::sensitive::Sensitive;

/// Answers to one sign-in that wait their turn.
const ORDERS_WAITING: usize = 4;

/// How many sign-ins that are over may be remembered for each that may be under way.
const REMEMBERED: usize = 4;

/// Names a sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct SignInId(Uuid);

impl fmt::Display for SignInId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for SignInId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// How a Telegram user signs in.
#[derive(Clone, Debug)]
pub enum SignInMethod {
    /// A code is sent to this number.
    Phone(String),
    /// A signed-in device scans a code.
    Qr,
}

/// What a person hands in.
#[derive(Clone, Debug)]
pub enum SignInAnswer {
    /// The code that the platform sent.
    Code(Sensitive),
    /// The second-factor password.
    Password(Sensitive),
}

/// How a sign-in stands.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SignInView {
    /// Its id.
    pub id: SignInId,
    /// What it waits for, or how it ended.
    #[serde(flatten)]
    pub state: SignInState,
    /// When it is given up and forgotten.
    pub expires_at: DateTime<Utc>,
}

/// What a sign-in waits for, or how it ended.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum SignInState {
    /// The code that the platform sent.
    Code {
        /// Where it was sent, in words.
        sent_to: String,
    },
    /// The second-factor password.
    Password {
        /// The hint that its owner left.
        hint: Option<String>,
    },
    /// Somebody who scans the link as a QR code with a signed-in device.
    Scan {
        /// The link.
        link: Sensitive,
        /// When the link stops working; another follows.
        link_expires_at: DateTime<Utc>,
    },
    /// Nothing: the account is connected.
    Done(Box<ConnectedAccount>),
    /// It failed; another begins anew.
    Failed {
        /// Why.
        reason: String,
    },
}

impl SignInState {
    const fn is_over(&self) -> bool {
        matches!(self, Self::Done(_) | Self::Failed { .. })
    }

    /// What it waits for, in words.
    const fn waits_for(&self) -> &'static str {
        match self {
            Self::Code { .. } => "the code that was sent",
            Self::Password { .. } => "the second-factor password",
            Self::Scan { .. } => "somebody who scans the code",
            Self::Done(_) | Self::Failed { .. } => "nothing: it is over",
        }
    }
}

/// A sign-in, as others reach it.
struct Held {
    owner: UserId,
    view: watch::Receiver<SignInView>,
    orders: mpsc::Sender<Order>,
}

type Table = Arc<Mutex<HashMap<SignInId, Held>>>;

/// The sign-ins of one daemon.
pub(super) struct SignIns {
    desk: Arc<Desk>,
    held: Table,
    places: Arc<Semaphore>,
}

fn lock(table: &Table) -> MutexGuard<'_, HashMap<SignInId, Held>> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SignIns {
    pub(super) fn new(desk: Arc<Desk>) -> Self {
        let places = Arc::new(Semaphore::new(desk.config.sign_ins_max));
        Self { desk, held: Table::default(), places }
    }

    /// Begins one. Its platform is asked at once.
    pub(super) async fn begin(&self, owner: UserId, method: SignInMethod) -> Result<SignInView, Fault> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            let max = self.desk.config.sign_ins_max;
            Fault::TooMany(format!("{max} sign-ins are under way: finish one, or wait until one is given up"))
        })?;
        let (desk, held) = (Arc::clone(&self.desk), Arc::clone(&self.held));
        let begin = async move {
            let (sign_in, step) = match &method {
                SignInMethod::Phone(number) => desk.login.sign_in_by_phone(number).await?,
                SignInMethod::Qr => desk.login.sign_in_by_qr().await?,
            };
            let id = SignInId(desk.ids.uuid());
            let deadline = desk.config.sign_in_deadline;
            let expires_at = desk.clock.now() + TimeDelta::from_std(deadline).unwrap_or(TimeDelta::zero());
            let begun = SignInState::Failed { reason: "it has not begun".to_owned() };
            let (show, view) = watch::channel(SignInView { id, state: begun, expires_at });
            let (orders, waiting) = mpsc::channel(ORDERS_WAITING);
            remember(&held, id, Held { owner, view: view.clone(), orders }, desk.config.sign_ins_max);
            let holder = Holder { desk: Arc::clone(&desk), owner, show, orders: waiting };
            // What a first step that is done already takes counts for the deadline too.
            let first = holder.take(step).await;
            let shown = view.borrow().clone();
            let forget = async move {
                let until = tokio::time::Instant::now() + deadline;
                if let Some(holder) = first {
                    // Dropping the sign-in gives it up.
                    let _given_up = tokio::time::timeout_at(until, holder.hold(sign_in)).await;
                }
                drop(place);
                tokio::time::sleep_until(until).await;
                lock(&held).remove(&id);
            };
            desk.runtime.spawn(forget);
            Ok(shown)
        };
        self.desk.to_the_end(begin).await
    }

    /// How one stands.
    pub(super) fn view(&self, caller: Caller, id: SignInId) -> Result<SignInView, Fault> {
        self.find(caller, id).map(|(view, _)| view)
    }

    /// Hands in what one waits for.
    pub(super) async fn answer(
        &self,
        caller: Caller,
        id: SignInId,
        answer: SignInAnswer,
    ) -> Result<SignInView, Fault> {
        let (view, orders) = self.find(caller, id)?;
        let fits = matches!(
            (&view.state, &answer),
            (SignInState::Code { .. }, SignInAnswer::Code(_))
                | (SignInState::Password { .. }, SignInAnswer::Password(_))
        );
        if !fits {
            return Err(Fault::OutOfStep(format!("this sign-in waits for {}", view.state.waits_for())));
        }
        let over = || Fault::NotFound(format!("sign-in {id}"));
        let (reply, replied) = oneshot::channel();
        orders.try_send(Order { answer, reply }).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => {
                Fault::TooMany("this sign-in has answers waiting already".to_owned())
            }
            mpsc::error::TrySendError::Closed(_) => over(),
        })?;
        replied.await.map_err(|_| over())?
    }

    fn find(&self, caller: Caller, id: SignInId) -> Result<(SignInView, mpsc::Sender<Order>), Fault> {
        let held = lock(&self.held);
        let found = held.get(&id).filter(|held| caller.reaches(held.owner));
        let found =
            found.ok_or_else(|| Fault::NotFound(format!("sign-in {id} (it may have taken too long)")))?;
        let view = found.view.borrow().clone();
        Ok((view, found.orders.clone()))
    }
}

/// Keeps a new sign-in, and forgets those that are over when there are too many of them.
fn remember(table: &Table, id: SignInId, new: Held, max: usize) {
    let mut held = lock(table);
    if held.len() >= max.saturating_mul(REMEMBERED) {
        held.retain(|_, held| !held.view.borrow().state.is_over());
    }
    held.insert(id, new);
}
