//! Reads of the store that overlap: an answer counts only where none that was asked for later has come before it.
//!
//! What is read later holds at least as much, but need not come later: connections are several.

/// The reads of one thing.
#[derive(Debug, Default)]
pub(super) struct Latest {
    asked: u64,
    taken: u64,
}

impl Latest {
    /// A read begins; its number.
    pub(super) const fn ask(&mut self) -> u64 {
        self.asked = self.asked.saturating_add(1);
        self.asked
    }

    /// Whether the answer to this read counts; from then on none that was asked for before it does.
    pub(super) const fn take(&mut self, number: u64) -> bool {
        if number < self.taken {
            return false;
        }
        self.taken = number;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_was_overtaken_does_not_count() {
        let mut reads = Latest::default();
        let (first, second, third) = (reads.ask(), reads.ask(), reads.ask());
        assert!(reads.take(first));
        assert!(reads.take(third));
        assert!(!reads.take(second), "what was asked for later has come");
    }
}
