//! The store as one life of one node reaches it: calls take time, fail, hang, and stop with the process.

mod calls;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;

use super::Sabotage;
use super::book::Life;
use super::weather::{Failure, Trip, Weather};
use crate::model::Fence;
use crate::ports::StoreError;
use crate::testkit::MemoryStore;

tokio::task_local! {
    /// Set while an operator's order or a start runs: no actor would catch a panic there.
    pub(super) static UNSUPERVISED: ();
}

/// See the module.
#[derive(Clone)]
pub(super) struct NodeStore {
    inner: MemoryStore,
    weather: Arc<Weather>,
    life: Life,
    /// Whether the process still runs.
    alive: Arc<AtomicBool>,
}

impl NodeStore {
    /// The store of a new life. The flag is set to false when the process dies.
    pub(super) fn new(inner: MemoryStore, weather: Arc<Weather>, life: Life, alive: Arc<AtomicBool>) -> Self {
        Self { inner, weather, life, alive }
    }

    /// Ends when the call arrives: whether it may be carried out; nothing in a process that is dead by then.
    async fn set_out(&self, trip: Trip) -> Option<Result<(), StoreError>> {
        self.weather.running(self.life.node).await;
        pause(trip.there).await;
        if !self.alive.load(Ordering::Relaxed) {
            return None;
        }
        Some(match trip.failure {
            Failure::Before => Err(StoreError::Unavailable("the store is away".to_owned())),
            Failure::None | Failure::After | Failure::Panic => Ok(()),
        })
    }

    /// A call from its beginning to its answer; none in a process that is dead by then.
    async fn call<T>(
        &self,
        trip: Trip,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Option<Result<T, StoreError>> {
        if let Err(error) = self.set_out(trip).await? {
            return Some(Err(error));
        }
        let answer = work.await;
        Some(self.come_back(trip, answer).await)
    }

    async fn come_back<T>(&self, trip: Trip, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        pause(trip.back).await;
        self.weather.running(self.life.node).await;
        match trip.failure {
            Failure::After => {
                answer.and(Err(StoreError::Unavailable("connection lost at commit".to_owned())))
            }
            Failure::None | Failure::Before | Failure::Panic => answer,
        }
    }

    fn trip(&self, writes: bool) -> Trip {
        let trip = self.weather.trip(self.life.node, writes);
        if trip.failure != Failure::Panic {
            return trip;
        }
        if UNSUPERVISED.try_with(|()| ()).is_ok() {
            return Trip::default();
        }
        self.weather.book.log.note(&format!("node {}: a call of the store panics", self.life.node));
        self.weather.book.blow(None);
        panics()
    }

    async fn read<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let trip = self.trip(false);
        match self.call(trip, work).await {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }

    /// A write that is under way is done also when nobody waits for it any more, unless the process dies.
    async fn write<T, F>(&self, work: impl FnOnce(Self) -> F + Send + 'static) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let (trip, store) = (self.trip(true), self.clone());
        let (reply, answer) = oneshot::channel();
        let done = async move {
            if let Some(answer) = store.call(trip, work(store.clone())).await {
                // Whoever asked may be gone.
                let _ = reply.send(answer);
            }
        };
        if trip.there.is_zero() && !self.weather.is_frozen(self.life.node) {
            // Done at the first poll: nobody can go away before that.
            done.await;
        } else {
            tokio::spawn(done);
        }
        match answer.await {
            Ok(answer) => answer,
            Err(_) => std::future::pending().await,
        }
    }

    fn is(&self, sabotage: Sabotage) -> bool {
        self.weather.sabotage == Some(sabotage)
    }

    /// The fence as the store sees it: with a sabotage, whatever counts now.
    fn fence(&self, fence: Fence) -> Fence {
        let current = || self.inner.owner(fence.account);
        if self.is(Sabotage::NoFences) { current().unwrap_or(fence) } else { fence }
    }
}

async fn pause(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

#[expect(clippy::panic, reason = "a caller is to panic")]
fn panics() -> ! {
    panic!("a call of the store panics")
}
