//! Pages of lists: at most so many items after a cursor.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Most items of one page.
pub const PAGE_MAX: usize = 200;

/// Which page is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Page<K> {
    /// At most this many items, 1 to [`PAGE_MAX`].
    pub limit: usize,
    /// Only items after this one.
    pub cursor: Option<K>,
}

impl<K> Default for Page<K> {
    fn default() -> Self {
        Self { limit: PAGE_MAX, cursor: None }
    }
}

/// One page.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ListOf{T}")]
pub struct Listed<T, K> {
    /// The items, oldest first.
    pub items: Vec<T>,
    /// Where the next page begins; none after the last.
    pub next_cursor: Option<K>,
}

impl<K: Ord + Copy> Page<K> {
    /// Cuts the page out of everything, which is in order of its keys.
    pub(super) fn cut<T>(&self, all: Vec<T>, key: impl Fn(&T) -> K) -> Listed<T, K> {
        let mut items: Vec<T> =
            all.into_iter().filter(|item| self.cursor.is_none_or(|cursor| key(item) > cursor)).collect();
        let more = items.len() > self.limit;
        items.truncate(self.limit);
        let next_cursor = items.last().filter(|_| more).map(&key);
        Listed { items, next_cursor }
    }
}

impl<K> Page<K> {
    /// Makes the page of what was fetched in its order: one item more than the page takes, where there are more.
    pub(super) fn fetched<T>(&self, mut items: Vec<T>, key: impl Fn(&T) -> K) -> Listed<T, K> {
        let more = items.len() > self.limit;
        items.truncate(self.limit);
        let next_cursor = items.last().filter(|_| more).map(key);
        Listed { items, next_cursor }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_without_gap_or_repeat() {
        let all = || (1..=7).collect::<Vec<i32>>();
        let first = Page { limit: 3, cursor: None }.cut(all(), |n| *n);
        assert_eq!((first.items.as_slice(), first.next_cursor), ([1, 2, 3].as_slice(), Some(3)));
        let last = Page { limit: 4, cursor: first.next_cursor }.cut(all(), |n| *n);
        assert_eq!((last.items.as_slice(), last.next_cursor), ([4, 5, 6, 7].as_slice(), None));
    }
}
