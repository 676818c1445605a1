//! The task that holds one sign-in: takes what a person hands in, asks the platform, shows how it stands.

use std::sync::Arc;

use switchyard_actors::model::UserId;
use switchyard_actors::ports::{Identified, LoginError, LoginStep, SignIn};
use tokio::sync::{mpsc, oneshot, watch};

use super::{SignInAnswer, SignInState, SignInView};
use crate::services::accounts::ConnectedAccount;
use crate::services::desk::Desk;
use crate::services::fault::Fault;
use crate::services::sensitive::Sensitive;

/// What a person hands in, and where the answer goes.
pub(super) struct Order {
    pub(super) answer: SignInAnswer,
    pub(super) reply: oneshot::Sender<Result<SignInView, Fault>>,
}

pub(super) struct Holder {
    pub(super) desk: Arc<Desk>,
    pub(super) owner: UserId,
    pub(super) show: watch::Sender<SignInView>,
    pub(super) orders: mpsc::Receiver<Order>,
}

impl Holder {
    /// Shows a step; none when it was the last.
    pub(super) async fn take(self, step: LoginStep) -> Option<Self> {
        let state = match step {
            LoginStep::Code { sent_to } => SignInState::Code { sent_to },
            LoginStep::Password { hint } => SignInState::Password { hint },
            LoginStep::Scan { link, expires_at } => {
                SignInState::Scan { link: Sensitive::from(link), link_expires_at: expires_at }
            }
            LoginStep::Done(found) => match self.admit(found).await {
                Ok(connected) => SignInState::Done(Box::new(connected)),
                Err(fault) => SignInState::Failed { reason: fault.to_string() },
            },
        };
        self.turn(state)
    }

    /// To the end, whatever the deadline says: an account whose session was stopped must be started again.
    async fn admit(&self, found: Box<Identified>) -> Result<ConnectedAccount, Fault> {
        let (desk, owner) = (Arc::clone(&self.desk), self.owner);
        self.desk.to_the_end(async move { desk.admit(owner, *found).await }).await
    }

    fn turn(self, state: SignInState) -> Option<Self> {
        let over = state.is_over();
        self.show.send_modify(|view| view.state = state);
        (!over).then_some(self)
    }

    fn view(&self) -> SignInView {
        self.show.borrow().clone()
    }

    /// Goes on until it is over.
    pub(super) async fn hold(self, mut sign_in: Box<dyn SignIn>) {
        let mut holder = Some(self);
        while let Some(held) = holder.take() {
            let scans = matches!(held.show.borrow().state, SignInState::Scan { .. });
            holder =
                if scans { held.scanned(sign_in.as_mut()).await } else { held.told(sign_in.as_mut()).await };
        }
    }

    async fn scanned(self, sign_in: &mut dyn SignIn) -> Option<Self> {
        match sign_in.wait().await {
            Ok(step) => self.take(step).await,
            Err(error) => self.turn(SignInState::Failed { reason: error.to_string() }),
        }
    }

    async fn told(mut self, sign_in: &mut dyn SignIn) -> Option<Self> {
        let Order { answer, reply } = self.orders.recv().await?;
        let asked = match answer {
            SignInAnswer::Code(code) => sign_in.code(code.into_secret()).await,
            SignInAnswer::Password(password) => sign_in.password(password.into_secret()).await,
        };
        let view = self.show.subscribe();
        let (holder, told) = match asked {
            Ok(step) => (self.take(step).await, Ok(())),
            Err(error) if ends(&error) => {
                let failed = SignInState::Failed { reason: error.to_string() };
                (self.turn(failed), Err(error.into()))
            }
            Err(error) => (Some(self), Err(error.into())),
        };
        let view = holder.as_ref().map_or_else(|| view.borrow().clone(), Self::view);
        // Who asked may have gone away; how it stands can be asked for.
        let _ = reply.send(told.map(|()| view));
        holder
    }
}

/// Whether nothing more can be tried after an error.
const fn ends(error: &LoginError) -> bool {
    matches!(error, LoginError::CodeExpired | LoginError::Refused(_) | LoginError::Phone(_))
}
