//! Runs of scheduled jobs in memory, with failures on demand.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::MemoryStore;
use crate::ports::{Jobs, StoreError};

/// When jobs last ran, and what was asked of retention.
#[derive(Default)]
pub(super) struct Runs {
    last: HashMap<String, DateTime<Utc>>,
    purges: Vec<DateTime<Utc>>,
    purges_to_fail: u32,
    full_purges: VecDeque<Duration>,
}

impl MemoryStore {
    /// The time before which each purge so far was to delete, failed ones included.
    #[must_use]
    pub fn purges(&self) -> Vec<DateTime<Utc>> {
        self.peek().jobs.purges.clone()
    }

    /// The next purges fail, so many of them.
    pub fn fail_purges(&self, count: u32) {
        self.peek().jobs.purges_to_fail = count;
    }

    /// The next purges find as much as they may delete, and take so long each.
    pub fn full_purges(&self, times: impl IntoIterator<Item = Duration>) {
        self.peek().jobs.full_purges.extend(times);
    }
}

#[async_trait]
impl Jobs for MemoryStore {
    async fn last_run(&self, job: &str) -> Result<Option<DateTime<Utc>>, StoreError> {
        Ok(self.lock()?.jobs.last.get(job).copied())
    }

    async fn ran(&self, job: &str, at: DateTime<Utc>) -> Result<(), StoreError> {
        self.lock()?.jobs.last.insert(job.to_owned(), at);
        Ok(())
    }

    async fn purge(&self, before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError> {
        let full = self.lock()?.jobs.full_purges.pop_front();
        if let Some(time) = full {
            tokio::time::sleep(time).await;
            return Ok(u64::from(limit));
        }
        let mut state = self.lock()?;
        state.jobs.purges.push(before);
        match state.jobs.purges_to_fail.checked_sub(1) {
            None => Ok(0),
            Some(left) => {
                state.jobs.purges_to_fail = left;
                Err(StoreError::Failed("told so by the test".to_owned()))
            }
        }
    }
}
