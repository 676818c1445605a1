//! Reads the outbox of domain events and passes what is new on to the streams of this node: one reader for all of them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::future::LocalBoxFuture;
use serde_json::{Value, json};
use switchyard_actors::model::DomainEvent;
use switchyard_actors::ports::StoreError;
use switchyard_actors::supervision::{Child, Cx, LoadEnv, LoadError, Loaded};

use super::Events;
use crate::store::EventQuery;

/// What the relay is given.
#[derive(Clone)]
pub struct RelayArgs {
    /// The streams.
    pub events: Arc<Events>,
}

/// The actor that reads the outbox.
pub struct Relay {
    events: Arc<Events>,
    reading: bool,
    passed_on: u64,
    failures: u64,
}

impl Child for Relay {
    type Args = RelayArgs;

    const KIND: &'static str = "relay";

    fn load(args: RelayArgs, _: LoadEnv) -> LocalBoxFuture<'static, Result<Loaded<Self>, LoadError>> {
        Box::pin(async move {
            let events = args.events;
            // After a restart of this actor it goes on where it was; what is older, streams read for themselves.
            if events.newest() == 0 {
                let bounds = events.store.event_bounds().await;
                let bounds = bounds.map_err(|error| LoadError::Retry(error.to_string()))?;
                events.newest.store(bounds.newest, Ordering::Release);
            }
            Ok(Loaded::Ready(Self { events, reading: false, passed_on: 0, failures: 0 }))
        })
    }

    fn started(&mut self, cx: &mut Cx<'_, Self>) {
        cx.every(self.events.config.poll_interval, |relay: &mut Self, cx| relay.read(cx));
    }

    fn snapshot(&self) -> Value {
        json!({
            "newest": self.events.newest(), "streams": self.events.streams(), "passed_on": self.passed_on,
            "failures": self.failures,
        })
    }
}

impl Relay {
    fn read(&mut self, cx: &mut Cx<'_, Self>) {
        if self.reading {
            return;
        }
        self.reading = true;
        let events = Arc::clone(&self.events);
        let page = events.config.page;
        let read =
            async move { events.store.events_after(&EventQuery::default(), events.newest(), page).await };
        // Served, not spawned: a drain need not wait for it.
        cx.serve(read, Self::passed);
    }

    fn passed(&mut self, read: Result<Vec<DomainEvent>, StoreError>, cx: &mut Cx<'_, Self>) {
        self.reading = false;
        match read {
            Ok(found) => {
                let full = u64::try_from(found.len()).is_ok_and(|found| found >= self.events.config.page);
                self.passed_on = self.passed_on.saturating_add(u64::try_from(found.len()).unwrap_or(0));
                self.events.pass_on(found);
                if full {
                    self.read(cx);
                }
            }
            Err(error) => {
                // The next look finds what this one did not.
                self.failures = self.failures.saturating_add(1);
                tracing::warn!(%error, "outbox of events cannot be read");
            }
        }
    }
}
