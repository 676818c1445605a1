//! Durations, sizes and optional texts as people write them: `"30s"`, `"64KiB"`, `""` for nothing.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected};

const DURATION_UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

const SIZE_UNITS: [(&str, u64); 4] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("B", 1)];

const DURATION_EXPECTED: &str = "a whole number with its unit (ms, s, m, h, d), such as \"30s\"";
const SIZE_EXPECTED: &str = "a whole number with its unit (B, KiB, MiB, GiB), such as \"64KiB\"";

/// A number of bytes, at least one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(u64);

impl ByteSize {
    /// The number.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The number as a length in memory; more than fits becomes the longest there is.
    #[must_use]
    pub fn len(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    /// Never: zero is refused when it is read.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        false
    }
}

impl fmt::Debug for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} B", self.0)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match quantity(&text, &SIZE_UNITS) {
            Some(0) => Err(D::Error::custom("0 would switch the bound off: it must be at least \"1B\"")),
            Some(bytes) => Ok(Self(bytes)),
            None => Err(D::Error::invalid_value(Unexpected::Str(&text), &SIZE_EXPECTED)),
        }
    }
}

/// For `deserialize_with`: a duration of at least a millisecond.
pub(super) fn positive<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    match maybe(deserializer)? {
        Some(duration) => Ok(duration),
        None => Err(D::Error::custom("0 would switch the bound off: it must be at least \"1ms\"")),
    }
}

/// Ten years: added to any time of day, it is one still.
const DURATION_MAX_MS: u64 = 3_650 * 86_400 * 1_000;

/// For `deserialize_with`: a duration, of which `"0s"` means that there is none.
pub(super) fn maybe<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    match quantity(&text, &DURATION_UNITS) {
        Some(0) => Ok(None),
        Some(millis) if millis > DURATION_MAX_MS => {
            Err(D::Error::custom(format!("{text} is longer than any bound: at most \"3650d\"")))
        }
        Some(millis) => Ok(Some(Duration::from_millis(millis))),
        None => Err(D::Error::invalid_value(Unexpected::Str(&text), &DURATION_EXPECTED)),
    }
}

/// For `deserialize_with`: a path, of which `""` means that there is none.
pub(super) fn path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok((!text.is_empty()).then(|| PathBuf::from(text)))
}

/// For `deserialize_with`: an address with its port, of which `""` means that there is none.
pub(super) fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        return Ok(None);
    }
    let expected = "an address with its port, such as \"127.0.0.1:9464\", or \"\" for none";
    text.parse().map(Some).map_err(|_| D::Error::invalid_value(Unexpected::Str(&text), &expected))
}

/// For `deserialize_with`: a text, of which `""` means that there is none.
pub(super) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok((!text.is_empty()).then_some(text))
}

/// A duration as people write it, zero included.
///
/// # Errors
/// What is expected, for people.
pub fn duration(text: &str) -> Result<Duration, String> {
    let millis = quantity(text, &DURATION_UNITS).ok_or_else(|| format!("expected {DURATION_EXPECTED}"))?;
    Ok(Duration::from_millis(millis))
}

fn quantity(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(split)?;
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_carry_their_unit() {
        let cases =
            [("0s", Some(0)), ("250ms", Some(250)), ("2 m", Some(120_000)), ("7d", Some(604_800_000))];
        for (text, millis) in cases {
            assert_eq!(quantity(text, &DURATION_UNITS), millis, "{text}");
        }
        assert_eq!(quantity("64KiB", &SIZE_UNITS), Some(65_536));
        assert_eq!(quantity("1 B", &SIZE_UNITS), Some(1));
    }

    #[test]
    fn numbers_without_a_known_unit_are_refused() {
        for text in
            ["", "30", "s", "1.5s", "-1s", "30 parsecs", "s30", "99999999999999999999s", "999999999999999d"]
        {
            assert_eq!(quantity(text, &DURATION_UNITS), None, "{text}");
        }
        assert_eq!(quantity("64kb", &SIZE_UNITS), None);
    }
}
