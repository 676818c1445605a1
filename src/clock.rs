//! The time of day as the operating system tells it: the product's one adapter that reads the real clock.

use chrono::{DateTime, Utc};
use switchyard_actors::ports::Clock;

/// The operating system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one adapter that reads the real clock")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}
