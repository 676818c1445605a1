//! Discord's ids: milliseconds since 2015 in the upper bits (discord.com/developers/docs/reference#snowflakes).

use chrono::{DateTime, Utc};

/// 2015-01-01T00:00:00Z.
const EPOCH_MS: u64 = 1_420_070_400_000;

/// Makes ids that are strictly increasing, whatever the clock does.
#[derive(Debug, Default)]
pub(super) struct Snowflakes {
    last: u64,
}

impl Snowflakes {
    pub(super) fn next(&mut self, now_ms: u64) -> u64 {
        let earliest = now_ms.saturating_sub(EPOCH_MS) << 22;
        self.last = earliest.max(self.last.saturating_add(1));
        self.last
    }

    /// Makes sure that later ids are greater than one that was seen in a journal.
    pub(super) fn seen(&mut self, id: u64) {
        self.last = self.last.max(id);
    }
}

/// When an id was made.
pub(super) fn time(id: u64) -> Option<DateTime<Utc>> {
    let ms = i64::try_from((id >> 22).saturating_add(EPOCH_MS)).ok()?;
    DateTime::from_timestamp_millis(ms)
}

/// Reads an id as it stands in a path, a query or a JSON string.
pub(super) fn parse(text: &str) -> Option<u64> {
    let digits = (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_increase_when_the_clock_stands_still_or_goes_back() {
        let mut ids = Snowflakes::default();
        let made: Vec<_> = [2_000, 2_000, 1_000, 3_000].map(|ms| ids.next(EPOCH_MS + ms)).into();
        assert_eq!(made[0] >> 22, 2_000);
        assert!(made.is_sorted_by(|a, b| a < b), "{made:?}");
        assert_eq!(made[3] >> 22, 3_000);
        ids.seen(u64::MAX - 1);
        assert_eq!(ids.next(EPOCH_MS), u64::MAX);
    }

    #[test]
    fn only_plain_digits_are_ids() {
        assert_eq!(parse("123456789012345678"), Some(123_456_789_012_345_678));
        for wrong in ["", "+1", "-1", "1a", "99999999999999999999", "000000000000000000001"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
