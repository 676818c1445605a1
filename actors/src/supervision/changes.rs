//! Which children changed: what a monitor has to look at, without looking at everybody again and again.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::Notify;

use super::{node::lock, path::ChildPath};

/// What one feed has not been asked for yet: a path once, also of a child that is gone again.
#[derive(Debug, Default)]
struct Changed {
    paths: Mutex<BTreeSet<ChildPath>>,
    told: Notify,
}

/// Tells which children came, went, or changed their state or what they show of themselves.
#[derive(Debug)]
pub struct ChangeFeed(Arc<Changed>);

impl ChangeFeed {
    /// Waits until something changed since the last answer; answers what, each child once.
    pub async fn next(&mut self) -> BTreeSet<ChildPath> {
        loop {
            let told = self.0.told.notified();
            let changed = std::mem::take(&mut *lock(&self.0.paths));
            if !changed.is_empty() {
                return changed;
            }
            told.await;
        }
    }
}

/// The feeds of one runtime. Without any, a change costs one look at a flag.
#[derive(Debug, Default)]
pub(crate) struct Feeds {
    any: AtomicBool,
    feeds: Mutex<Vec<Weak<Changed>>>,
}

impl Feeds {
    /// A new feed, whose first answer is `all`.
    pub(crate) fn open(&self, all: impl FnOnce() -> BTreeSet<ChildPath>) -> ChangeFeed {
        let feed = Arc::new(Changed::default());
        lock(&self.feeds).push(Arc::downgrade(&feed));
        self.any.store(true, Ordering::Release);
        // Only now, so that nothing falls between the two.
        let all = all();
        lock(&feed.paths).extend(all);
        feed.told.notify_one();
        ChangeFeed(feed)
    }

    /// A child changed.
    pub(crate) fn mark(&self, path: &ChildPath) {
        if !self.any.load(Ordering::Acquire) {
            return;
        }
        let mut feeds = lock(&self.feeds);
        feeds.retain(|feed| {
            let Some(feed) = feed.upgrade() else { return false };
            lock(&feed.paths).insert(path.clone());
            feed.told.notify_one();
            true
        });
        if feeds.is_empty() {
            self.any.store(false, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn path(text: &str) -> ChildPath {
        ChildPath::parse(text).unwrap()
    }

    #[test]
    fn a_feed_tells_each_change_once_and_everything_at_first() {
        let feeds = Feeds::default();
        feeds.mark(&path("a"));
        let mut feed = feeds.open(|| BTreeSet::from([path("a"), path("b")]));
        assert_eq!(feed.next().now_or_never().unwrap().len(), 2);
        assert!(feed.next().now_or_never().is_none());
        for _ in 0..3 {
            feeds.mark(&path("b"));
        }
        assert_eq!(feed.next().now_or_never().unwrap(), BTreeSet::from([path("b")]));
        assert!(feed.next().now_or_never().is_none());
    }

    #[test]
    fn a_feed_that_is_gone_costs_nothing() {
        let feeds = Feeds::default();
        drop(feeds.open(BTreeSet::new));
        feeds.mark(&path("a"));
        assert!(!feeds.any.load(Ordering::Acquire));
        assert!(lock(&feeds.feeds).is_empty());
    }
}
