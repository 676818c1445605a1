//! A Telegram user's sign-in under way: an actor that holds the connection, takes codes and passwords, and outlives
//! whoever asks for it. Nothing of it is stored: a crash loses the sign-in, and says so from then on.

mod desk;
mod roll;

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_util::future::LocalBoxFuture;
use secrecy::SecretString;
use serde_json::{Value, json};
use thiserror::Error;
use tokio::time::Instant;

use crate::model::{AccountId, PlanName, UserId};
use crate::ports::{Identified, Login, LoginError, LoginStep, Proxy, SignIn};
use crate::supervision::{Branch, Child, Cx, LoadEnv, LoadError, Loaded, Message, Receive, Responder};

pub use self::desk::{SignInBounds, SignInOrder, SignIns};
use self::roll::Place;

/// How a Telegram user signs in.
#[derive(Clone)]
pub enum SignInWay {
    /// A code is sent to this number.
    Phone(String),
    /// A signed-in device scans a code.
    Qr,
}

/// What a person hands in. Held as long as the platform is asked, and nowhere else.
pub enum SignInInput {
    /// The code that the platform sent.
    Code(SecretString),
    /// The second-factor password.
    Password(SecretString),
}

/// An account that a sign-in brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// The account.
    pub account: AccountId,
    /// Whether it was here before.
    pub renewed: bool,
}

/// Why an account was not kept although it signed in.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum AdmissionError {
    /// It is connected already.
    #[error("{0}")]
    Refused(String),
    /// The user's plan allows no more accounts.
    #[error("plan {plan} allows {most} accounts")]
    Full {
        /// The plan.
        plan: PlanName,
        /// What it allows.
        most: u64,
    },
    /// Store or tree did not take it.
    #[error("{0}")]
    Failed(String),
}

/// Keeps an account that signed in, and connects it. To the end, whatever becomes of the one who asks.
#[async_trait]
pub trait Admission: Send + Sync {
    /// Keeps it.
    ///
    /// # Errors
    /// [`AdmissionError`].
    async fn admit(&self, owner: UserId, found: Identified) -> Result<Admitted, AdmissionError>;
}

/// Why a sign-in does not go on.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SignInError {
    /// The platform, or its proxy, says so.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// It worked, and the account was not kept.
    #[error(transparent)]
    Admission(#[from] AdmissionError),
    /// It waits for something else.
    #[error("this sign-in waits for {0}")]
    OutOfStep(&'static str),
    /// The answer before this one is still being checked.
    #[error("this sign-in has an answer waiting already")]
    Busy,
    /// Its actor failed or was restarted: what it held in memory is gone.
    #[error("this server lost the sign-in: begin it anew")]
    Lost,
    /// There is none of this id, or its time is over.
    #[error("there is no such sign-in: it may have taken too long")]
    Unknown,
    /// As many as there may be are under way, of all users or of this one.
    #[error("{0} sign-ins are under way: finish one, or wait until one is given up")]
    TooMany(usize),
    /// The daemon is stopping.
    #[error("the daemon takes no sign-in now: {0}")]
    Unavailable(String),
}

impl SignInError {
    /// Whether nothing more can be tried after it.
    const fn ends(&self) -> bool {
        !matches!(
            self,
            Self::Login(
                LoginError::WrongCode
                    | LoginError::WrongPassword
                    | LoginError::OutOfStep(_)
                    | LoginError::Wait { .. }
                    | LoginError::Unreachable(_)
            ) | Self::OutOfStep(_)
                | Self::Busy
        )
    }
}

/// What a sign-in waits for, or how it ended.
#[derive(Clone, Debug)]
pub enum SignInStage {
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
        link: SecretString,
        /// When it stops working; another follows.
        expires_at: DateTime<Utc>,
    },
    /// Nothing: the account is connected.
    Done(Admitted),
    /// It failed; another begins anew.
    Failed(SignInError),
}

impl SignInStage {
    const fn is_over(&self) -> bool {
        matches!(self, Self::Done(_) | Self::Failed(_))
    }

    /// What it waits for, in words.
    const fn waits_for(&self) -> &'static str {
        match self {
            Self::Begins => "the platform's first answer",
            Self::Code { .. } => "the code that was sent",
            Self::Password { .. } => "the second-factor password",
            Self::Scan { .. } => "somebody who scans the code",
            Self::Done(_) | Self::Failed(_) => "nothing: it is over",
        }
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::Begins => "begins",
            Self::Code { .. } => "code",
            Self::Password { .. } => "password",
            Self::Scan { .. } => "scan",
            Self::Done(_) => "done",
            Self::Failed(_) => "failed",
        }
    }

    const fn takes(&self, input: &SignInInput) -> bool {
        matches!(
            (self, input),
            (Self::Code { .. }, SignInInput::Code(_)) | (Self::Password { .. }, SignInInput::Password(_))
        )
    }
}

/// How a sign-in stands.
#[derive(Clone, Debug)]
pub struct SignInStatus {
    /// For whom it is.
    pub owner: UserId,
    /// What it waits for, or how it ended.
    pub stage: SignInStage,
    /// When it is given up and forgotten.
    pub expires_at: DateTime<Utc>,
}

/// What an actor of one sign-in is given.
#[derive(Clone)]
pub(super) struct SignInArgs {
    id: String,
    owner: UserId,
    way: SignInWay,
    proxy: Option<Proxy>,
    login: Arc<dyn Login>,
    admission: Arc<dyn Admission>,
    /// Where it stands, to be removed from there when its time is over.
    branch: Branch,
    until: Instant,
    expires_at: DateTime<Utc>,
    /// Given back when the actor is forgotten.
    place: Arc<Place>,
}

/// Ask the platform for the first step.
struct Begin;

impl Message for Begin {
    type Reply = Result<SignInStatus, SignInError>;
}

/// How does it stand.
struct Look;

impl Message for Look {
    type Reply = Result<SignInStatus, SignInError>;
}

/// What a person hands in.
struct HandIn(SignInInput);

impl Message for HandIn {
    type Reply = Result<SignInStatus, SignInError>;
}

type Asker = Option<Responder<Result<SignInStatus, SignInError>>>;

/// The actor of one sign-in.
pub(super) struct SignInActor {
    args: SignInArgs,
    stage: SignInStage,
    /// The connection; away while the platform is asked.
    held: Option<Box<dyn SignIn>>,
    asked: bool,
}

impl Child for SignInActor {
    type Args = SignInArgs;

    const KIND: &'static str = "sign_in";

    fn load(args: SignInArgs, env: LoadEnv) -> LocalBoxFuture<'static, Result<Loaded<Self>, LoadError>> {
        let first = env.epoch() == 1;
        let stage = if first { SignInStage::Begins } else { SignInStage::Failed(SignInError::Lost) };
        if !first {
            args.place.over();
        }
        Box::pin(async move { Ok(Loaded::Ready(Self { args, stage, held: None, asked: false })) })
    }

    fn started(&mut self, cx: &mut Cx<'_, Self>) {
        let left = self.args.until.saturating_duration_since(Instant::now());
        cx.after(left, |sign_in: &mut Self, _cx| sign_in.leave());
    }

    /// Neither number nor link, hint or name: operators look at this.
    fn snapshot(&self) -> Value {
        json!({
            "stage": self.stage.name(),
            "user": self.args.owner,
            "expires_at": self.args.expires_at,
        })
    }
}

impl Receive<Begin> for SignInActor {
    fn receive(
        &mut self,
        Begin: Begin,
        cx: &mut Cx<'_, Self>,
        asker: Responder<Result<SignInStatus, SignInError>>,
    ) {
        if !matches!(self.stage, SignInStage::Begins) || self.asked {
            return asker.reply(self.status());
        }
        self.asked = true;
        let (login, way, proxy) =
            (Arc::clone(&self.args.login), self.args.way.clone(), self.args.proxy.clone());
        let begin = async move {
            match way {
                SignInWay::Phone(number) => login.sign_in_by_phone(&number, proxy.as_ref()).await,
                SignInWay::Qr => login.sign_in_by_qr(proxy.as_ref()).await,
            }
        };
        cx.serve(begin, move |sign_in: &mut Self, begun, cx| {
            sign_in.asked = false;
            match begun {
                Ok((held, step)) => sign_in.take(held, step, Some(asker), cx),
                Err(error) => {
                    sign_in.end(Err(error.into()), Some(asker));
                    // Whoever asked knows why; nothing of it is worth keeping.
                    sign_in.leave();
                }
            }
        });
    }
}

impl Receive<Look> for SignInActor {
    fn receive(
        &mut self,
        Look: Look,
        _cx: &mut Cx<'_, Self>,
        asker: Responder<Result<SignInStatus, SignInError>>,
    ) {
        asker.reply(self.status());
    }
}

impl Receive<HandIn> for SignInActor {
    fn receive(
        &mut self,
        HandIn(input): HandIn,
        cx: &mut Cx<'_, Self>,
        asker: Responder<Result<SignInStatus, SignInError>>,
    ) {
        if matches!(self.stage, SignInStage::Failed(SignInError::Lost)) {
            return asker.reply(Err(SignInError::Lost));
        }
        if !self.stage.takes(&input) {
            return asker.reply(Err(SignInError::OutOfStep(self.stage.waits_for())));
        }
        let Some(mut held) = self.held.take() else { return asker.reply(Err(SignInError::Busy)) };
        let ask = async move {
            let step = match input {
                SignInInput::Code(code) => held.code(code).await,
                SignInInput::Password(password) => held.password(password).await,
            };
            (held, step)
        };
        cx.serve(ask, move |sign_in: &mut Self, (held, step), cx| match step {
            Ok(step) => sign_in.take(held, step, Some(asker), cx),
            Err(error) => {
                let error = SignInError::from(error);
                if error.ends() {
                    sign_in.end(Err(error), Some(asker));
                } else {
                    sign_in.held = Some(held);
                    asker.reply(Err(error));
                }
            }
        });
    }
}

impl SignInActor {
    #[expect(clippy::unnecessary_wraps, reason = "every answer to a question has this form")]
    fn status(&self) -> Result<SignInStatus, SignInError> {
        let Self { args, stage, .. } = self;
        Ok(SignInStatus { owner: args.owner, stage: stage.clone(), expires_at: args.expires_at })
    }

    fn take(&mut self, held: Box<dyn SignIn>, step: LoginStep, asker: Asker, cx: &mut Cx<'_, Self>) {
        let stage = match step {
            LoginStep::Code { sent_to } => SignInStage::Code { sent_to },
            LoginStep::Password { hint } => SignInStage::Password { hint },
            LoginStep::Scan { link, expires_at } => SignInStage::Scan { link, expires_at },
            LoginStep::Done(found) => {
                // The connection is closed: the account opens its own.
                drop(held);
                return self.admit(*found, asker, cx);
            }
        };
        let scans = matches!(stage, SignInStage::Scan { .. });
        self.stage = stage;
        if let Some(asker) = asker {
            asker.reply(self.status());
        }
        if scans {
            Self::watch(held, cx);
        } else {
            self.held = Some(held);
        }
    }

    /// Waits for somebody who scans the link.
    fn watch(mut held: Box<dyn SignIn>, cx: &mut Cx<'_, Self>) {
        let wait = async move {
            let step = held.wait().await;
            (held, step)
        };
        cx.serve(wait, |sign_in: &mut Self, (held, step), cx| match step {
            Ok(step) => sign_in.take(held, step, None, cx),
            Err(error) => sign_in.end(Err(error.into()), None),
        });
    }

    fn admit(&mut self, found: Identified, asker: Asker, cx: &mut Cx<'_, Self>) {
        let (admission, owner) = (Arc::clone(&self.args.admission), self.args.owner);
        let admit = async move { admission.admit(owner, found).await };
        cx.spawn(admit, move |sign_in: &mut Self, admitted, _cx| {
            sign_in.end(admitted.map_err(SignInError::from), asker);
        });
    }

    /// It is over; how it ended can be asked for until its time is over.
    fn end(&mut self, how: Result<Admitted, SignInError>, asker: Asker) {
        self.args.place.over();
        let refused = how.clone().err();
        self.stage = match how {
            Ok(admitted) => SignInStage::Done(admitted),
            Err(error) => SignInStage::Failed(error),
        };
        debug_assert!(self.stage.is_over(), "what ended is over");
        if let Some(asker) = asker {
            asker.reply(refused.map_or_else(|| self.status(), Err));
        }
    }

    fn leave(&self) {
        // The request is made by the call; nobody waits for the end.
        drop(self.args.branch.remove(&self.args.id));
    }
}
