//! The record of what staff ask for: one entry before the handler runs, one after it and before the answer is sent.

use std::sync::Arc;

use actix_web::{HttpMessage, HttpRequest, HttpResponse};

use super::answer::Answer;
use super::endpoint::EndpointSpec;
use crate::http::address::CallerAddress;
use crate::http::changes::Changes;
use crate::http::problem::{Problem, ProblemCode};
use crate::http::state::{HttpState, RequestId, shared};
use crate::services::audit::{Asked, Audit, OpenOrder, Outcome};
use crate::services::caller::Caller;

/// An order on record. One that is dropped without an end, because its caller left or its handler panicked, ends as
/// `abandoned`.
pub(super) struct OnRecord {
    audit: Arc<dyn Audit>,
    changes: Changes,
    /// Whether the path names what it is about.
    named: bool,
    order: Option<OpenOrder>,
}

/// Puts on record what staff or the operator ask for, if it may change something.
///
/// # Errors
/// 503 when it cannot be written: then it must not be carried out.
pub(super) async fn record(spec: &EndpointSpec, req: &HttpRequest) -> Result<Option<OnRecord>, Problem> {
    let caller = req.extensions().get::<Caller>().copied();
    let Some(caller) = caller.filter(|caller| caller.is_staff() && spec.changes()) else { return Ok(None) };
    let address = req.extensions().get::<CallerAddress>().copied();
    let request_id = req.extensions().get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
    let parameters: Vec<&str> = req.match_info().iter().map(|(_, value)| value).collect();
    let asked = Asked {
        caller,
        address: address.ok_or_else(|| Problem::plain(ProblemCode::InternalError))?.ip(),
        request_id,
        action: spec.id.to_owned(),
        target: (!parameters.is_empty()).then(|| parameters.join("/")),
    };
    let named = asked.target.is_some();
    let audit = shared::<HttpState>(req)?.services()?.audit;
    let order = audit.asked(asked).await.map_err(|fault| unavailable(&fault))?;
    let changes = Changes::on_record();
    req.extensions_mut().insert(changes.clone());
    Ok(Some(OnRecord { audit, changes, named, order: Some(order) }))
}

impl OnRecord {
    /// Takes down what the answer shows, where the handler did not say.
    pub(super) fn note(&self, answer: &impl Answer) {
        let shown = answer.shown();
        self.changes.complete(shown.target.filter(|_| !self.named), shown.after);
    }

    /// Puts on record how it ended.
    ///
    /// # Errors
    /// 503 when it cannot be written.
    pub(super) async fn end(mut self, answer: &Result<HttpResponse, Problem>) -> Result<(), Problem> {
        let outcome = match answer {
            Ok(response) => Outcome::Done(response.status().as_u16()),
            Err(problem) => Outcome::Failed(problem.code().as_str().to_owned()),
        };
        let Some(order) = self.order.take() else { return Ok(()) };
        let ended = self.audit.ended(order, outcome, self.changes.take()).await;
        ended.map_err(|fault| {
            tracing::error!(error = %fault, "end of an order is not on record");
            unavailable(&fault)
        })
    }
}

impl Drop for OnRecord {
    fn drop(&mut self) {
        let Some(order) = self.order.take() else { return };
        let (audit, change) = (Arc::clone(&self.audit), self.changes.take());
        actix_web::rt::spawn(async move {
            let outcome = Outcome::Failed("abandoned".to_owned());
            if let Err(error) = audit.ended(order, outcome, change).await {
                tracing::error!(%error, "end of an abandoned order is not on record");
            }
        });
    }
}

fn unavailable(fault: &crate::services::fault::Fault) -> Problem {
    Problem::new(ProblemCode::Unavailable, fault.to_string())
}
