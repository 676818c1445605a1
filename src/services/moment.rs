//! Times as callers give them: RFC 3339, whose years have four digits. What lies beyond has no text that others could read.

use chrono::{DateTime, Datelike, Utc};
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// The last year that RFC 3339 can write (section 5.6).
const YEAR_MAX: i32 = 9_999;

/// A time that may be left out: for `#[serde(default, deserialize_with = "…")]`.
///
/// # Errors
/// For what is no time, or lies before year 0 or after year 9999.
pub(crate) fn given<'de, D: Deserializer<'de>>(field: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    let time = Option::<DateTime<Utc>>::deserialize(field)?;
    match time {
        Some(time) if !(0..=YEAR_MAX).contains(&time.year()) => {
            Err(D::Error::custom("it must be a time of the years 0000 to 9999"))
        }
        time => Ok(time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Order {
        #[serde(default, deserialize_with = "given")]
        at: Option<DateTime<Utc>>,
    }

    #[test]
    fn years_have_four_digits() {
        let read =
            |text: &str| serde_json::from_str::<Order>(&format!("{{\"at\":{text}}}")).map(|order| order.at);
        assert!(read("\"9999-12-31T23:59:59Z\"").unwrap().is_some() && read("null").unwrap().is_none());
        assert!(serde_json::from_str::<Order>("{}").unwrap().at.is_none());
        for beyond in ["+262142-12-31T23:59:59Z", "+10000-01-01T00:00:00Z", "-0001-12-31T23:59:59Z"] {
            let error = read(&format!("\"{beyond}\"")).unwrap_err().to_string();
            assert!(error.contains("0000 to 9999"), "{beyond}: {error}");
        }
    }
}
