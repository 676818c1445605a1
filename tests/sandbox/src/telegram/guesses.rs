//! Wrong codes and passwords, counted against guessing.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

/// How long wrong guesses count, in seconds.
const WINDOW: i64 = 3600;
/// Names kept; ended windows go first.
const KEPT: usize = 16_384;

/// Wrong guesses by whom they are about.
#[derive(Debug)]
pub(super) struct Guesses<K> {
    /// Wrong guesses in a window.
    limit: u32,
    /// How many, and until when they count (Unix seconds).
    wrong: HashMap<K, (u32, i64)>,
}

impl<K: Hash + Eq> Guesses<K> {
    pub(super) fn new(limit: u32) -> Self {
        Self { limit, wrong: HashMap::new() }
    }

    /// How long nothing more is tried.
    pub(super) fn wait(&self, about: &K, now: i64) -> Option<Duration> {
        let (count, until) = self.wrong.get(about)?;
        let left = u64::try_from(until.saturating_sub(now)).ok()?;
        (*count >= self.limit && left > 0).then_some(Duration::from_secs(left))
    }

    /// Counts a wrong guess.
    pub(super) fn count(&mut self, about: K, now: i64) {
        if self.wrong.len() >= KEPT {
            self.wrong.retain(|_, (_, until)| *until > now);
        }
        let (count, until) = self.wrong.entry(about).or_insert((0, 0));
        if *until <= now {
            (*count, *until) = (0, now.saturating_add(WINDOW));
        }
        *count = count.saturating_add(1);
    }

    /// Forgets the wrong guesses after a right one.
    pub(super) fn forget(&mut self, about: &K) {
        self.wrong.remove(about);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_wrong_guesses_end_guessing_for_a_while() {
        let mut guesses = Guesses::new(2);
        guesses.count("one", 100);
        assert_eq!(guesses.wait(&"one", 100), None);
        guesses.count("one", 200);
        assert_eq!(guesses.wait(&"one", 200), Some(Duration::from_secs(3500)));
        assert_eq!(guesses.wait(&"two", 200), None);
        assert_eq!(guesses.wait(&"one", 3700), None);
        guesses.count("one", 3700);
        assert_eq!(guesses.wait(&"one", 3700), None, "a new window");
    }
}
