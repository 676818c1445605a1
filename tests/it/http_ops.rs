//! Streams, jobs, queues and ledger that are out of order, for the tests of the HTTP surface: each asks to come back later.

use async_trait::async_trait;
use switchyard::services::bulk::{Bulk, PairVerb};
use switchyard::services::caller::Caller;
use switchyard::services::deliveries::{Deliveries, DeliveryFilter, DeliveryView, ReplayOrder};
use switchyard::services::events::{Listening, StreamOrder, Streams};
use switchyard::services::fault::Fault;
use switchyard::services::monitor::{HealthSnapshot, Monitor};
use switchyard::services::page::{Listed, Page};
use switchyard::services::queues::{QueueSort, QueueView, Queues};
use switchyard::services::states::{QueueStanding, SessionStanding};
use switchyard::services::work::{JobView, Jobs};
use switchyard_actors::model::{AccountId, DeliveryId, JobId, UserId};

/// Is out of order.
pub(crate) struct OutOfOrder;

fn later<T>() -> Result<T, Fault> {
    Err(Fault::Unavailable("out of order".to_owned()))
}

impl Streams for OutOfOrder {
    fn open(&self, _: StreamOrder) -> Result<Listening, Fault> {
        later()
    }

    fn end_all(&self) {}
}

#[async_trait]
impl Jobs for OutOfOrder {
    async fn get(&self, _: JobId) -> Result<JobView, Fault> {
        later()
    }

    async fn list(&self, _: Page<JobId>) -> Result<Listed<JobView, JobId>, Fault> {
        later()
    }
}

#[async_trait]
impl Queues for OutOfOrder {
    async fn list(
        &self,
        _: Option<QueueStanding>,
        _: QueueSort,
        _: Page<String>,
    ) -> Result<Listed<QueueView, String>, Fault> {
        later()
    }

    async fn get(&self, _: AccountId) -> Result<QueueView, Fault> {
        later()
    }

    async fn pause(&self, _: AccountId, _: bool) -> Result<QueueView, Fault> {
        later()
    }

    async fn restart(&self, _: AccountId) -> Result<QueueView, Fault> {
        later()
    }

    async fn restart_all(&self, _: Caller, _: QueueStanding) -> Result<JobView, Fault> {
        later()
    }

    async fn reconnect_all(&self, _: Caller, _: SessionStanding) -> Result<JobView, Fault> {
        later()
    }
}

#[async_trait]
impl Deliveries for OutOfOrder {
    async fn list(
        &self,
        _: Caller,
        _: DeliveryFilter,
        _: Page<String>,
    ) -> Result<Listed<DeliveryView, String>, Fault> {
        later()
    }

    async fn replay(&self, _: Caller, _: DeliveryId) -> Result<DeliveryView, Fault> {
        later()
    }

    async fn replay_many(&self, _: Caller, _: ReplayOrder) -> Result<JobView, Fault> {
        later()
    }
}

#[async_trait]
impl Monitor for OutOfOrder {
    async fn snapshot(&self) -> Result<HealthSnapshot, Fault> {
        later()
    }
}

#[async_trait]
impl Bulk for OutOfOrder {
    async fn all_pairs(&self, _: Caller, _: UserId, _: PairVerb) -> Result<JobView, Fault> {
        later()
    }
}
