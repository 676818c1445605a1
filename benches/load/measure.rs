//! Times and what is said of them.

use std::time::Duration;

use tokio::time::Instant;

/// The present moment, as far as a measurement is concerned: nothing here sets tokio's clock.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Times of one thing.
#[derive(Default)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    /// One more.
    pub(crate) fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// Those of another.
    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// How many there are.
    pub(crate) const fn count(&self) -> usize {
        self.0.len()
    }

    /// The time that this share of all, in hundredths, does not exceed.
    pub(crate) fn at(&self, hundredth: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        sorted[(sorted.len() - 1) * hundredth / 100]
    }

    /// A line of a table: count, p50, p99, the worst.
    pub(crate) fn line(&self, name: &str) -> String {
        let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
        format!(
            "{name:34} {:7} {:10.2} {:10.2} {:10.2}",
            self.count(),
            ms(self.at(50)),
            ms(self.at(99)),
            ms(self.at(100))
        )
    }
}

/// The head of such a table.
pub(crate) fn head(title: &str) {
    println!("\n{title}");
    println!("{:34} {:>7} {:>10} {:>10} {:>10}", "", "count", "p50 ms", "p99 ms", "max ms");
}

/// How a p99 stands to what is aimed at: below one is good.
pub(crate) fn against(times: &Times, target: Duration) {
    let ratio = times.at(99).as_secs_f64() / target.as_secs_f64();
    println!("p99 / target of {} ms: {ratio:.3}", target.as_millis());
}
