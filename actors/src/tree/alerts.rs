//! Turns supervision events into alerts: what parks, un-parks or escalates is told to people.

use std::sync::{Arc, Weak};

use crate::model::{AlertSeverity, IdSource};
use crate::ports::Clock;
use crate::supervision::{Happening, ParkCause, SupervisionEvent, SupervisionSink, Unparker};
use crate::tree::deps::{Deps, alert};
use crate::tree::links::Links;

/// True for the kinds of alerts that are made here.
pub(super) fn is_of_supervision(kind: &str) -> bool {
    kind.starts_with("actor.") || kind.starts_with("branch.")
}

/// Hands the events that concern people to the notifier.
pub(super) struct AlertSink {
    ids: IdSource,
    clock: Arc<dyn Clock>,
    /// Weak: links hold references to children, children their runtime, and the runtime this sink.
    links: Weak<Links>,
}

impl AlertSink {
    /// A sink over the tree's notifier.
    #[must_use]
    pub(super) fn new(deps: &Deps) -> Self {
        let (ids, clock) = (deps.ids.clone(), Arc::clone(&deps.clock));
        Self { ids, clock, links: Arc::downgrade(&deps.links) }
    }
}

impl SupervisionSink for AlertSink {
    fn record(&self, event: &SupervisionEvent) {
        let path = event.path.as_str();
        let (severity, kind, text) = match &event.what {
            // It was told when it was parked; a probe that starts it and fails is nothing new.
            Happening::Parked { cause: ParkCause::Probe, .. }
            | Happening::Unparked { by: Unparker::Probe } => return,
            Happening::Parked { reason, .. } => {
                (AlertSeverity::Critical, "actor.parked", format!("{path} is parked: {reason}"))
            }
            Happening::Unparked { by } => (
                AlertSeverity::Info,
                "actor.unparked",
                format!("{path} is started again by {by:?}").to_lowercase(),
            ),
            Happening::Escalated { chain } => {
                (AlertSeverity::Critical, "branch.escalated", format!("{path} escalated: {chain}"))
            }
            Happening::Storm { restarts_in_window } => (
                AlertSeverity::Warning,
                "branch.storm",
                format!("{path} starts its children slower: {restarts_in_window} restarts in its window"),
            ),
            Happening::Stalled { shard, .. } => (
                AlertSeverity::Critical,
                "actor.stalled",
                format!("{path} blocks thread {shard}: everything on it waits"),
            ),
            Happening::StallOver { .. } => {
                (AlertSeverity::Info, "actor.stall_over", format!("{path} gave its thread back"))
            }
            Happening::Started { .. }
            | Happening::Restarting { .. }
            | Happening::StormOver
            | Happening::Stopped { .. }
            | Happening::Contained { .. } => return,
        };
        // Without links the tree is gone, and nobody is left to tell.
        if let Some(links) = self.links.upgrade() {
            links.alert(alert(&self.ids, self.clock.as_ref(), severity, kind, path, None, text));
        }
    }
}
