//! What a handler changed, for the audit log: handlers of changing routes take [`Changes`] and say how things were before
//! and how they are from then on. Any serialisable view will do; secrets in it are hashed on their way into the log.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use futures_util::future::{Ready, ready};
use serde::Serialize;

use super::problem::Problem;
use crate::services::audit::Change;

/// Takes down what changed. What a user changes goes nowhere: the log is about staff.
#[derive(Clone, Default)]
pub(crate) struct Changes(Arc<Mutex<Change>>);

impl Changes {
    /// What it was about, where the path's parameters do not say.
    pub(crate) fn about(&self, target: impl fmt::Display) {
        self.note(|change| change.target = Some(target.to_string()));
    }

    /// How it was before.
    pub(crate) fn before(&self, view: &impl Serialize) {
        let view = serde_json::to_value(view).ok();
        self.note(|change| change.before = view);
    }

    /// How it is from then on.
    pub(crate) fn after(&self, view: &impl Serialize) {
        let view = serde_json::to_value(view).ok();
        self.note(|change| change.after = view);
    }

    /// Everything that was taken down.
    pub(super) fn take(&self) -> Change {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(&self, write: impl FnOnce(&mut Change)) {
        write(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl FromRequest for Changes {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(req.extensions().get::<Self>().cloned().unwrap_or_default()))
    }
}
