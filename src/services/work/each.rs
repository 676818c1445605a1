//! Work that does the same to each of a list of items, one after the other.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;

use super::{Portion, Work};
use crate::services::fault::Fault;
use crate::store::{JobProgress, JobState, WorkJob};

/// What is done to one item.
#[async_trait]
pub trait Item: Send + Sync {
    /// Does it; doing it again changes nothing more.
    ///
    /// # Errors
    /// [`Fault::Unavailable`] when all must wait; any other fault is this item's.
    async fn carry_out(&self, item: &str) -> Result<(), Fault>;
}

/// The order as it is kept.
#[derive(Deserialize)]
struct Task {
    items: Vec<String>,
}

/// Does it to `portion` items at a time, with `pace` between two.
pub struct Each {
    item: Arc<dyn Item>,
    portion: usize,
    pace: Duration,
}

impl Each {
    /// See the type.
    #[must_use]
    pub const fn new(item: Arc<dyn Item>, portion: usize, pace: Duration) -> Self {
        Self { item, portion, pace }
    }
}

#[async_trait]
impl Work for Each {
    async fn portion(&self, job: &WorkJob) -> Result<Portion, Fault> {
        let unreadable =
            |error: &dyn std::fmt::Display| Fault::Conflict(format!("job cannot be read: {error}"));
        let task: Task = serde_json::from_value(job.task.clone()).map_err(|error| unreadable(&error))?;
        let from = job.cursor.as_deref().map_or(Ok(0), str::parse::<usize>);
        let from = from.map_err(|error| unreadable(&error))?;
        let mut progress = JobProgress::default();
        let mut reached = from;
        for item in task.items.iter().skip(from).take(self.portion.max(1)) {
            if reached > from && !self.pace.is_zero() {
                tokio::time::sleep(self.pace).await;
            }
            match self.item.carry_out(item).await {
                Ok(()) => progress.done += 1,
                // What was done so far is kept; the item is tried again.
                Err(Fault::Unavailable(_)) if reached > from => break,
                Err(fault @ Fault::Unavailable(_)) => return Err(fault),
                Err(fault) => {
                    progress.failed += 1;
                    progress.error = Some(format!("{item}: {fault}"));
                }
            }
            reached += 1;
        }
        progress.cursor = Some(reached.to_string());
        progress.ended = (reached >= task.items.len()).then_some(JobState::Done);
        Ok(Portion::Progress(progress))
    }
}
