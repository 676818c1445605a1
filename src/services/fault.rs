//! Why a use case was not carried out: one closed vocabulary for accounts and pairs. Texts are for people, without secrets.

use std::time::Duration;

use switchyard_actors::model::PlanName;
use switchyard_actors::ports::{LoginError, StoreError};
use switchyard_actors::tree::ChangeError;
use thiserror::Error;

use crate::crypto::PasswordError;

/// Why it was not done.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// There is no such thing, or it is somebody else's.
    #[error("{0} not found")]
    NotFound(String),
    /// The present state does not allow it.
    #[error("{0}")]
    Conflict(String),
    /// A field of the order is wrong.
    #[error("{detail}")]
    Invalid {
        /// JSON pointer to the field.
        pointer: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// The credential is malformed, of a kind that is never taken, or refused by its platform.
    #[error("{0}")]
    Refused(String),
    /// Not the code that was sent.
    #[error("the code is wrong: try again")]
    WrongCode,
    /// Not the second-factor password.
    #[error("the password is wrong: try again")]
    WrongPassword,
    /// The code is too old.
    #[error("the code has expired: begin the sign-in anew")]
    CodeExpired,
    /// This server lost a sign-in that was under way.
    #[error("this server lost the sign-in: begin it anew")]
    SignInLost,
    /// The server signs nobody in by telephone number.
    #[error(
        "this server takes no telephone numbers and codes: run `switchyard login` on your own machine, or sign in by QR \
         code (method qr)"
    )]
    ServerLoginOff,
    /// What was to be changed was changed by somebody else meanwhile.
    #[error("it was changed meanwhile: read it again")]
    Stale,
    /// The platform ended the account's session.
    #[error("{0}")]
    NeedsLogin(String),
    /// The sign-in waits for something else.
    #[error("{0}")]
    OutOfStep(String),
    /// The platform asks to wait.
    #[error("platform asks to wait {} s: {reason}", .wait.as_secs())]
    PlatformWait {
        /// How long.
        wait: Duration,
        /// Why.
        reason: String,
    },
    /// The platform cannot be reached: nothing was changed.
    #[error("{0}")]
    Unreachable(String),
    /// Address, password or code do not fit. Which of them is nobody's affair.
    #[error("address, password or code is wrong")]
    SignInRefused,
    /// The password is right, and a one-time code is asked for.
    #[error("a one-time code is needed: send it with the password")]
    SecondFactorNeeded,
    /// There were too many failures.
    #[error("too many failures: try again in {} s", .wait.as_secs().saturating_add(1))]
    SlowDown {
        /// How long.
        wait: Duration,
    },
    /// A token of a sign-in or a letter does not count, or no more.
    #[error("the token is not valid, or is no more: sign in again, or ask for a new one")]
    SessionOver,
    /// The sign-in is too old for this.
    #[error("sign in again first: this needs a fresh sign-in")]
    NotFresh,
    /// It is not offered here.
    #[error("{0}")]
    Closed(String),
    /// The owner's plan allows no more.
    #[error("plan {plan} allows {most} {what}: remove one, or choose another plan")]
    PlanLimit {
        /// What there would be too many of.
        what: &'static str,
        /// The plan's name.
        plan: PlanName,
        /// How many it allows.
        most: u64,
    },
    /// Messages would come back to where they were written.
    #[error("{0}")]
    PairCycle(String),
    /// A bound of this daemon is reached.
    #[error("{0}")]
    TooMany(String),
    /// The store or the tree does not answer.
    #[error("{0}")]
    Unavailable(String),
}

impl Fault {
    /// A field is wrong.
    pub(crate) fn invalid(pointer: &'static str, detail: impl Into<String>) -> Self {
        Self::Invalid { pointer, detail: detail.into() }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound(what) => Self::NotFound(what),
            StoreError::Conflict(what) => Self::Conflict(what),
            other => Self::Unavailable(store_said(&other)),
        }
    }
}

/// What a caller is told of a store that failed: how is in the log alone, for a driver's text may name anything.
pub(crate) fn store_said(error: &StoreError) -> String {
    tracing::warn!(%error, "the store failed an order");
    "the store does not answer as it should: try again".to_owned()
}

impl From<PasswordError> for Fault {
    fn from(error: PasswordError) -> Self {
        let text = error.to_string();
        match error {
            PasswordError::Busy => Self::TooMany(text),
            PasswordError::Failed(_) => Self::Unavailable(text),
        }
    }
}

impl From<ChangeError> for Fault {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Store(error) => error.into(),
            ChangeError::Add(error) => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<LoginError> for Fault {
    fn from(error: LoginError) -> Self {
        let text = error.to_string();
        match error {
            LoginError::Refused(_) | LoginError::Phone(_) => Self::Refused(text),
            LoginError::WrongCode => Self::WrongCode,
            LoginError::CodeExpired => Self::CodeExpired,
            LoginError::WrongPassword => Self::WrongPassword,
            LoginError::OutOfStep(_) => Self::OutOfStep(text),
            LoginError::Wait { wait, reason } => Self::PlatformWait { wait, reason },
            LoginError::Unreachable(_) => Self::Unreachable(text),
            LoginError::Store(error) => error.into(),
        }
    }
}
