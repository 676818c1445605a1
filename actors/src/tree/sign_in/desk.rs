//! Where sign-ins are begun and found again: usable from any thread.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::time::Instant;

use super::roll::Roll;
use super::{
    Admission, Begin, HandIn, Look, SignInActor, SignInArgs, SignInError, SignInInput, SignInStatus,
    SignInWay,
};
use crate::model::UserId;
use crate::ports::{Login, Proxy};
use crate::supervision::{AskError, Branch, ChildRef, ChildSpec};
use crate::tree::deps::Deps;
use crate::tree::supervision::InForce;

/// How many sign-ins there may be, and for how long. Every field has a key in config.toml, section `limits`.
#[derive(Clone, Copy, Debug)]
pub struct SignInBounds {
    /// Under way at once, of all users.
    pub max: usize,
    /// Under way at once, of one user.
    pub max_per_user: usize,
    /// How long one may take in all; then it is given up and forgotten.
    pub deadline: Duration,
}

/// A sign-in to be begun.
pub struct SignInOrder {
    /// For whom.
    pub owner: UserId,
    /// How.
    pub way: SignInWay,
    /// Through which proxy.
    pub proxy: Option<Proxy>,
}

/// The sign-ins of one daemon: `sign-ins/<id>`.
#[derive(Clone)]
pub struct SignIns {
    branch: Branch,
    in_force: InForce,
    deps: Deps,
    roll: Arc<Roll>,
}

type Told = Result<SignInStatus, SignInError>;

impl SignIns {
    pub(in crate::tree) fn new(branch: Branch, in_force: InForce, deps: Deps) -> Self {
        Self { branch, in_force, deps, roll: Arc::default() }
    }

    /// Begins one under this id; ends when the platform answered the first time.
    ///
    /// # Errors
    /// [`SignInError`]; then there is none of this id.
    pub async fn begin(
        &self,
        id: &str,
        order: SignInOrder,
        bounds: SignInBounds,
        login: Arc<dyn Login>,
        admission: Arc<dyn Admission>,
    ) -> Told {
        let SignInOrder { owner, way, proxy } = order;
        let entered = self.roll.enter(id, owner, bounds.max, bounds.max_per_user);
        let (place, oldest) = entered.map_err(SignInError::TooMany)?;
        if let Some(oldest) = oldest {
            drop(self.branch.remove(&oldest));
        }
        let deadline = TimeDelta::from_std(bounds.deadline).unwrap_or(TimeDelta::zero());
        let args = SignInArgs {
            id: id.to_owned(),
            owner,
            way,
            proxy,
            login,
            admission,
            branch: self.branch.clone(),
            until: Instant::now() + bounds.deadline,
            expires_at: self.deps.clock.now() + deadline,
            place: Arc::new(place),
        };
        let actor = self.in_force.add::<SignInActor>(&self.branch, ChildSpec::new(id, args));
        let actor = actor.map_err(|error| SignInError::Unavailable(error.to_string()))?;
        told(actor.ask(Begin).await)
    }

    /// How one stands.
    ///
    /// # Errors
    /// [`SignInError::Unknown`], also when its time is over.
    pub async fn look(&self, id: &str) -> Told {
        told(self.find(id)?.ask(Look).await)
    }

    /// Hands in what one waits for.
    ///
    /// # Errors
    /// [`SignInError`]; after a wrong code or password it still waits.
    pub async fn hand_in(&self, id: &str, input: SignInInput) -> Told {
        told(self.find(id)?.ask(HandIn(input)).await)
    }

    fn find(&self, id: &str) -> Result<ChildRef<SignInActor>, SignInError> {
        self.branch.get::<SignInActor>(id).ok_or(SignInError::Unknown)
    }
}

fn told(answer: Result<Told, AskError>) -> Told {
    match answer {
        Ok(told) => told,
        Err(AskError::ChildCrashed { .. }) => Err(SignInError::Lost),
        Err(AskError::Stopped | AskError::NoAnswer) => Err(SignInError::Unknown),
        Err(error) => Err(SignInError::Unavailable(error.to_string())),
    }
}
