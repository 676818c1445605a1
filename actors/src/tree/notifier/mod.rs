//! Writes the alert stream to the store and the log, and works off the bot's outbox. E-mail joins it with a later feature.

use std::collections::VecDeque;

use futures_util::future::LocalBoxFuture;
use serde_json::{Value, json};

mod pace;
mod post;

use super::{alerts, deps::Deps};
use crate::model::{Alert, AlertSeverity};
use crate::supervision::{Child, Cx, Handle, LoadEnv, LoadError, Loaded, Message};

use post::Desk;

pub use pace::{PaceLimits, Window};
pub use post::{Post, PostConfig};

/// Write this alert.
pub struct Raise(pub Alert);

impl Message for Raise {
    type Reply = ();
}

/// Something new is in the bot's outbox.
pub struct Posted;

impl Message for Posted {
    type Reply = ();
}

/// The actor of the alert stream and of the bot.
pub struct Notifier {
    deps: Deps,
    backlog: VecDeque<Alert>,
    writing: bool,
    failures: u32,
    written: u64,
    dropped: u64,
    /// The bot; none where there is no bot.
    desk: Option<Desk>,
}

impl Child for Notifier {
    type Args = Deps;

    const KIND: &'static str = "notifier";

    fn load(deps: Deps, _env: LoadEnv) -> LocalBoxFuture<'static, Result<Loaded<Self>, LoadError>> {
        let desk = deps.post.clone().map(Desk::new);
        let backlog = VecDeque::new();
        let fresh = Self { deps, backlog, writing: false, failures: 0, written: 0, dropped: 0, desk };
        Box::pin(async move { Ok(Loaded::Ready(fresh)) })
    }

    fn snapshot(&self) -> Value {
        let bot = self.desk.as_ref().map(|desk| {
            json!({
                "active": desk.is_held(), "sent": desk.sent, "failed": desk.failed,
                "under_way": desk.under_way(),
            })
        });
        json!({"written": self.written, "waiting": self.backlog.len(), "dropped": self.dropped, "bot": bot})
    }

    fn started(&mut self, cx: &mut Cx<'_, Self>) {
        self.begin_post(cx);
    }
}

impl Handle<Raise> for Notifier {
    fn handle(&mut self, Raise(alert): Raise, cx: &mut Cx<'_, Self>) {
        log(&alert);
        if self.backlog.len() >= self.deps.config.alert_backlog {
            // The oldest is in the log; the newest tells more about now.
            self.backlog.pop_front();
            self.dropped += 1;
            self.deps.links.lose_alert();
        }
        self.backlog.push_back(alert);
        self.write(cx);
    }
}

impl Handle<Posted> for Notifier {
    fn handle(&mut self, Posted: Posted, cx: &mut Cx<'_, Self>) {
        self.look(cx);
    }
}

impl Notifier {
    fn write(&mut self, cx: &mut Cx<'_, Self>) {
        if self.writing {
            return;
        }
        let Some(alert) = self.backlog.pop_front() else { return };
        self.writing = true;
        let deps = self.deps.clone();
        let write = async move {
            if let Err(text) = deps.failpoints.hit("notifier.raise", "") {
                return Err((alert, text));
            }
            let result = deps.store.raise(&alert).await;
            result.map_err(|error| (alert, error.to_string()))
        };
        cx.spawn(write, |notifier: &mut Self, result, cx| notifier.wrote(result, cx));
    }

    fn wrote(&mut self, result: Result<(), (Alert, String)>, cx: &mut Cx<'_, Self>) {
        match result {
            Ok(()) => {
                self.writing = false;
                self.failures = 0;
                self.written += 1;
                self.write(cx);
            }
            Err((alert, error)) => {
                self.failures = self.failures.saturating_add(1);
                tracing::warn!(error, waiting = self.backlog.len(), "alert waits for the store");
                if self.backlog.len() < self.deps.config.alert_backlog {
                    self.backlog.push_front(alert);
                } else {
                    // It is the oldest of all, and in the log.
                    self.dropped += 1;
                }
                let wait = self.deps.config.retry.delay(self.failures, self.deps.rng.next_u64());
                cx.after(wait, |notifier: &mut Self, cx| {
                    notifier.writing = false;
                    notifier.write(cx);
                });
            }
        }
    }
}

/// What supervision did is in the log already, the same things once in a while.
fn log(alert: &Alert) {
    let (kind, subject, text) = (&alert.kind, &alert.subject, &alert.text);
    if alerts::is_of_supervision(kind) {
        return tracing::debug!(%kind, %subject, %text, "alert");
    }
    match alert.severity {
        AlertSeverity::Info => tracing::info!(%kind, %subject, %text, "alert"),
        AlertSeverity::Warning => tracing::warn!(%kind, %subject, %text, "alert"),
        AlertSeverity::Critical => tracing::error!(%kind, %subject, %text, "alert"),
    }
}
