//! Talks to the running daemon's API with the operator's token.

use std::path::Path;
use std::time::Duration;

use reqwest::{Method, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use switchyard_actors::model::AccountId;
use switchyard_actors::supervision::{ChildPath, NodeState};
use thiserror::Error;

use crate::http::problem::{ProblemCode, ProblemDocument};
use crate::http::{Accepted, HealthStatus, RestartOrder, SupervisionPage};
use crate::services::operator::{OperatorAccess, OperatorAccessError};

use super::exit::ExitCode;

/// Longest time for an answer. The daemon gives up sooner by itself (`http.answer_timeout`).
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// Why an order was not carried out, in one sentence.
#[derive(Debug, Error)]
pub enum ClientError {
    /// There is no way in.
    #[error(transparent)]
    Access(#[from] OperatorAccessError),
    /// Nobody answers: the daemon ended without taking its files away.
    #[error("no daemon answers at {address}: it is not running, or it was killed ({reason})")]
    NoAnswer {
        /// Where.
        address: String,
        /// What the system says.
        reason: String,
    },
    /// It answered with a problem.
    #[error("{}", .0.detail)]
    Refused(Box<ProblemDocument>),
    /// What the command was given cannot be used.
    #[error("{0}")]
    Input(String),
    /// What it has to say cannot be written.
    #[error("the output cannot be written: {0}")]
    Output(String),
    /// It answered with something else.
    #[error("what answers at {address} is not this daemon: {reason}")]
    Foreign {
        /// Where.
        address: String,
        /// What came.
        reason: String,
    },
}

impl ClientError {
    /// True when the daemon is not there, or not able to answer, for a while: to ask again may help.
    #[must_use]
    pub fn is_away(&self) -> bool {
        match self {
            Self::Refused(problem) => matches!(
                problem.code,
                ProblemCode::NotReady
                    | ProblemCode::Unavailable
                    | ProblemCode::AnswerTimeout
                    | ProblemCode::TooManyRequests
            ),
            Self::Access(_) | Self::NoAnswer { .. } | Self::Foreign { .. } => true,
            Self::Input(_) | Self::Output(_) => false,
        }
    }

    /// How the command ends.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Refused(problem) => match problem.code {
                ProblemCode::NotFound | ProblemCode::InvalidRequest => ExitCode::Usage,
                ProblemCode::PlatformWait | ProblemCode::NotReady | ProblemCode::TooManyRequests => {
                    ExitCode::TryAgain
                }
                _ => ExitCode::Unavailable,
            },
            Self::Input(_) => ExitCode::Usage,
            Self::Output(_) => ExitCode::Io,
            Self::Access(_) | Self::NoAnswer { .. } | Self::Foreign { .. } => ExitCode::Unavailable,
        }
    }
}

/// A client of one daemon.
#[derive(Debug)]
pub struct Client {
    access: OperatorAccess,
    http: reqwest::Client,
}

impl Client {
    /// The daemon that works on a data folder.
    ///
    /// # Errors
    /// [`ClientError`]
    pub fn open(data_dir: &Path) -> Result<Self, ClientError> {
        let access = OperatorAccess::read(data_dir)?;
        // A proxy between would make the operator a stranger.
        let http = reqwest::Client::builder().no_proxy().timeout(ANSWER_MAX).build();
        let http = http.map_err(|error| no_answer(&access, &error))?;
        Ok(Self { access, http })
    }

    /// One page of the tree: what stands at or below a prefix, in a state, after a path.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn supervision(
        &self,
        prefix: Option<&ChildPath>,
        state: Option<NodeState>,
        cursor: Option<&ChildPath>,
    ) -> Result<SupervisionPage, ClientError> {
        let parameters = [
            ("prefix", prefix.map(ChildPath::as_str)),
            ("state", state.map(NodeState::as_str)),
            ("cursor", cursor.map(ChildPath::as_str)),
        ];
        let query: Vec<(&str, &str)> =
            parameters.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        self.call(Method::GET, "/api/v1/admin/supervision", &query, None::<&()>).await
    }

    /// Restarts an actor.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn restart(&self, path: &ChildPath) -> Result<Accepted, ClientError> {
        let order = RestartOrder { path: path.clone() };
        self.call(Method::POST, "/api/v1/admin/actors/restart", &[], Some(&order)).await
    }

    /// Reconnects a session.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn reconnect(&self, account: AccountId) -> Result<Accepted, ClientError> {
        self.call(Method::POST, &format!("/api/v1/admin/sessions/{account}/reconnect"), &[], None::<&()>)
            .await
    }

    /// Whether the daemon is ready, or only lives.
    ///
    /// # Errors
    /// [`ClientError::Refused`] when it is not.
    pub async fn health(&self, ready: bool) -> Result<HealthStatus, ClientError> {
        self.call(Method::GET, if ready { "/readyz" } else { "/healthz" }, &[], None::<&()>).await
    }

    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<T, ClientError> {
        let url = format!("http://{}{path}", self.access.address());
        let request = self.http.request(method, url).query(query).bearer_auth(self.access.token());
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let response = request.send().await.map_err(|error| no_answer(&self.access, &error))?;
        let status = response.status();
        if status.is_success() {
            self.read(response, status).await
        } else {
            Err(self.problem(response, status).await)
        }
    }

    async fn problem(&self, response: Response, status: StatusCode) -> ClientError {
        match self.read::<ProblemDocument>(response, status).await {
            Ok(problem) if problem.code == ProblemCode::Unauthorized => {
                self.foreign("it does not know the token of this data folder")
            }
            Ok(problem) => ClientError::Refused(Box::new(problem)),
            Err(error) => error,
        }
    }

    async fn read<T: DeserializeOwned>(
        &self,
        response: Response,
        status: StatusCode,
    ) -> Result<T, ClientError> {
        response.json().await.map_err(|_| self.foreign(&format!("it answered {status} in words of its own")))
    }

    fn foreign(&self, reason: &str) -> ClientError {
        ClientError::Foreign { address: self.access.address().to_string(), reason: reason.to_owned() }
    }
}

fn no_answer(access: &OperatorAccess, error: &reqwest::Error) -> ClientError {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    ClientError::NoAnswer { address: access.address().to_string(), reason: cause.to_string() }
}
