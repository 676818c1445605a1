//! What a handler changed, for the audit log: handlers of changing routes take [`Changes`] and say how things were before
//! and how they are from then on; where one says nothing, its answer is kept. Any serialisable view will do; secrets in it are hashed on their way into the log.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use futures_util::future::{Ready, ready};
use serde::Serialize;
use serde_json::Value;

use super::problem::Problem;
use crate::services::audit::Change;
use crate::services::fault::Fault;

/// Takes down what changed. What a user changes goes nowhere: the log is about staff.
#[derive(Clone, Default)]
pub(crate) struct Changes {
    noted: Arc<Mutex<Change>>,
    on_record: bool,
}

impl Changes {
    /// Of an order that is on record.
    pub(super) fn on_record() -> Self {
        Self { on_record: true, ..Self::default() }
    }

    /// What it was about, where the path's parameters do not say.
    pub(crate) fn about(&self, target: impl fmt::Display) {
        self.note(|change| change.target = Some(target.to_string()));
    }

    /// How it was before.
    pub(crate) fn before(&self, view: &impl Serialize) {
        let view = serde_json::to_value(view).ok();
        self.note(|change| change.before = view);
    }

    /// How it was before, read only where the order is on record. What cannot be read is nothing to hold the order up:
    /// that meets the same fault.
    pub(crate) async fn before_by<T: Serialize>(&self, read: impl Future<Output = Result<T, Fault>>) {
        if !self.on_record {
            return;
        }
        match read.await {
            Ok(view) => self.before(&view),
            Err(fault) => tracing::debug!(error = %fault, "how it was before is not known"),
        }
    }

    /// How it is from then on.
    pub(crate) fn after(&self, view: &impl Serialize) {
        let view = serde_json::to_value(view).ok();
        self.note(|change| change.after = view);
    }

    /// What the answer shows, in the place of what the handler did not take down.
    pub(super) fn complete(&self, target: Option<String>, after: Option<Value>) {
        self.note(|change| {
            change.target = change.target.take().or(target);
            change.after = change.after.take().or(after);
        });
    }

    /// Everything that was taken down.
    pub(super) fn take(&self) -> Change {
        std::mem::take(&mut *self.noted.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(&self, write: impl FnOnce(&mut Change)) {
        write(&mut self.noted.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl FromRequest for Changes {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(req.extensions().get::<Self>().cloned().unwrap_or_default()))
    }
}
