//! Sign-ins of Telegram users as callers see them. Each is an actor of the tree (`sign-ins/<id>`), which holds its connection
//! and knows nothing of HTTP; a crash loses it, and says so.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use switchyard_actors::model::UserId;
use switchyard_actors::ports::{Directory, Identified, Proxy};
use switchyard_actors::tree::{
    Admission, AdmissionError, Admitted, SignInBounds, SignInError, SignInInput, SignInOrder, SignInStage,
    SignInStatus, SignInWay,
};
use uuid::Uuid;

use super::accounts::ConnectedAccount;
use super::caller::Caller;
use super::desk::Desk;
use super::fault::Fault;
use super::sensitive::Sensitive;

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
    /// The platform's first answer.
    Begins,
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

/// The sign-ins of one daemon.
pub(super) struct SignIns {
    desk: Arc<Desk>,
}

impl SignIns {
    pub(super) const fn new(desk: Arc<Desk>) -> Self {
        Self { desk }
    }

    /// Begins one. Its platform is asked at once.
    pub(super) async fn begin(
        &self,
        owner: UserId,
        method: SignInMethod,
        proxy: Option<Proxy>,
    ) -> Result<SignInView, Fault> {
        let config = &self.desk.config;
        let way = match method {
            SignInMethod::Phone(_) if !config.server_login => return Err(Fault::ServerLoginOff),
            SignInMethod::Phone(number) => SignInWay::Phone(number),
            SignInMethod::Qr => SignInWay::Qr,
        };
        let bounds = SignInBounds {
            max: config.sign_ins_max,
            max_per_user: config.sign_ins_per_user_max,
            deadline: config.sign_in_deadline,
        };
        let id = SignInId(self.desk.ids.uuid());
        let order = SignInOrder { owner, way, proxy };
        let (sign_ins, login) = (self.desk.operator.sign_ins().clone(), Arc::clone(&self.desk.login));
        let admission: Arc<dyn Admission> = Arc::new(Door(Arc::clone(&self.desk)));
        let name = id.to_string();
        let begun = self
            .desk
            .to_the_end(async move { Ok(sign_ins.begin(&name, order, bounds, login, admission).await?) });
        self.show(id, begun.await?).await
    }

    /// How one stands.
    pub(super) async fn view(&self, caller: Caller, id: SignInId) -> Result<SignInView, Fault> {
        let status = self.find(caller, id).await?;
        self.show(id, status).await
    }

    /// Hands in what one waits for.
    pub(super) async fn answer(
        &self,
        caller: Caller,
        id: SignInId,
        answer: SignInAnswer,
    ) -> Result<SignInView, Fault> {
        self.find(caller, id).await?;
        let input = match answer {
            SignInAnswer::Code(code) => SignInInput::Code(code.into_secret()),
            SignInAnswer::Password(password) => SignInInput::Password(password.into_secret()),
        };
        let status = self.desk.operator.sign_ins().hand_in(&id.to_string(), input).await?;
        self.show(id, status).await
    }

    /// One that is the caller's affair; others do not exist for the caller.
    async fn find(&self, caller: Caller, id: SignInId) -> Result<SignInStatus, Fault> {
        let status = self.desk.operator.sign_ins().look(&id.to_string()).await?;
        if caller.reaches(status.owner) { Ok(status) } else { Err(SignInError::Unknown.into()) }
    }

    async fn show(&self, id: SignInId, status: SignInStatus) -> Result<SignInView, Fault> {
        let state = match status.stage {
            SignInStage::Begins => SignInState::Begins,
            SignInStage::Code { sent_to } => SignInState::Code { sent_to },
            SignInStage::Password { hint } => SignInState::Password { hint },
            SignInStage::Scan { link, expires_at } => {
                SignInState::Scan { link: Sensitive::from(link), link_expires_at: expires_at }
            }
            SignInStage::Done(Admitted { account, renewed }) => {
                let account = self.desk.store.account(account).await?;
                let account = self.desk.account_view(account).await?;
                SignInState::Done(Box::new(ConnectedAccount { account, renewed }))
            }
            SignInStage::Failed(error) => SignInState::Failed { reason: error.to_string() },
        };
        Ok(SignInView { id, state, expires_at: status.expires_at })
    }
}

/// Lets those in who signed in.
struct Door(Arc<Desk>);

#[async_trait]
impl Admission for Door {
    async fn admit(&self, owner: UserId, found: Identified) -> Result<Admitted, AdmissionError> {
        let desk = Arc::clone(&self.0);
        let admitted = self.0.to_the_end(async move { desk.admit(owner, found).await }).await;
        match admitted {
            Ok(ConnectedAccount { account, renewed }) => Ok(Admitted { account: account.id, renewed }),
            Err(fault @ (Fault::Conflict(_) | Fault::Refused(_) | Fault::Invalid { .. })) => {
                Err(AdmissionError::Refused(fault.to_string()))
            }
            Err(Fault::PlanLimit { plan, most, .. }) => Err(AdmissionError::Full { plan, most }),
            Err(fault) => Err(AdmissionError::Failed(fault.to_string())),
        }
    }
}

impl From<SignInError> for Fault {
    fn from(error: SignInError) -> Self {
        let text = error.to_string();
        match error {
            SignInError::Login(error) => error.into(),
            SignInError::Admission(AdmissionError::Refused(_)) => Self::Conflict(text),
            SignInError::Admission(AdmissionError::Full { plan, most }) => {
                Self::PlanLimit { what: "accounts", plan, most }
            }
            SignInError::Admission(AdmissionError::Failed(_)) | SignInError::Unavailable(_) => {
                Self::Unavailable(text)
            }
            SignInError::OutOfStep(_) => Self::OutOfStep(text),
            SignInError::Busy => Self::Conflict(text),
            SignInError::TooMany(_) => Self::TooMany(text),
            SignInError::Lost => Self::SignInLost,
            SignInError::Unknown => Self::NotFound("the sign-in (it may have taken too long)".to_owned()),
        }
    }
}
