//! The bounded log of one event sequence: what happened at which pts (core.telegram.org/api/updates).

use std::collections::VecDeque;

/// What happened to messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Happening {
    /// A message appeared. With the account and its own id for the send, if a client sent it.
    New(i32),
    /// A message was changed.
    Edit(i32),
    /// Messages were deleted.
    Delete(Vec<i32>),
}

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The sequence's pts after this.
    pub(crate) pts: i32,
    /// By how much this raised the pts.
    pub(crate) count: i32,
    /// What happened.
    pub(crate) what: Happening,
}

/// The sequence's state and its latest entries.
#[derive(Debug, Clone)]
pub(crate) struct UpdateLog {
    pts: i32,
    entries: VecDeque<Entry>,
    capacity: usize,
}

impl UpdateLog {
    /// A sequence at pts 1 that keeps `capacity` entries.
    pub(crate) const fn new(capacity: usize) -> Self {
        Self { pts: 1, entries: VecDeque::new(), capacity }
    }

    /// The current pts.
    pub(crate) const fn pts(&self) -> i32 {
        self.pts
    }

    /// Logs what happened and returns the entry.
    pub(crate) fn push(&mut self, what: Happening) -> Entry {
        let count = match &what {
            Happening::New(_) | Happening::Edit(_) => 1,
            Happening::Delete(ids) => i32::try_from(ids.len()).unwrap_or(i32::MAX),
        };
        self.pts = self.pts.saturating_add(count);
        let entry = Entry { pts: self.pts, count, what };
        if self.entries.len() >= self.capacity {
            self.entries.pop_front();
        }
        self.entries.push_back(entry.clone());
        entry
    }

    /// The entries after `pts`, oldest first; `None` if some of them are no longer kept.
    pub(crate) fn since(&self, pts: i32) -> Option<impl Iterator<Item = &Entry>> {
        let floor = self.entries.front().map_or(self.pts, |first| first.pts.saturating_sub(first.count));
        if pts < floor {
            return None;
        }
        let from = self.entries.partition_point(|entry| entry.pts <= pts);
        Some(self.entries.range(from..))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delete_of_many_counts_as_many_and_an_old_pts_is_too_long_ago() {
        let mut log = UpdateLog::new(3);
        assert_eq!(log.since(1).unwrap().count(), 0);
        log.push(Happening::New(1));
        log.push(Happening::New(2));
        let entry = log.push(Happening::Delete(vec![1, 2]));
        assert_eq!((entry.pts, entry.count), (5, 2));
        assert_eq!(log.since(1).unwrap().count(), 3);
        assert_eq!(log.since(3).unwrap().count(), 1);
        log.push(Happening::New(3));
        assert!(log.since(1).is_none(), "the first entry is gone");
        assert_eq!(log.since(2).unwrap().count(), 3);
        assert_eq!(log.since(6).unwrap().count(), 0);
    }
}
