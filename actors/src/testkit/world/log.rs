//! What happened in a run, with virtual times: the same seed writes the same log, byte for byte.

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The log of one run.
#[derive(Debug)]
pub(super) struct Log {
    origin: Instant,
    /// Ids as they are written in paths and texts, and what they are called here.
    names: Vec<(String, String)>,
    lines: Mutex<Vec<String>>,
}

impl Log {
    /// An empty log that begins now.
    pub(super) fn new(names: Vec<(String, String)>) -> Self {
        Self { origin: Instant::now(), names, lines: Mutex::new(Vec::new()) }
    }

    /// Time since the run began.
    pub(super) fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    /// Adds a line.
    pub(super) fn note(&self, text: &str) {
        let text = self.named(text);
        let mut line = String::new();
        // Writing to a string cannot fail.
        let _ = write!(line, "{:>10.3} {text}", self.now().as_secs_f64());
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    /// A text in which things are called by their names.
    pub(super) fn named(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (id, name) in &self.names {
            if text.contains(id.as_str()) {
                text = text.replace(id.as_str(), name);
            }
        }
        text
    }

    /// All of it.
    pub(super) fn text(&self) -> String {
        let mut text = self.lines.lock().unwrap_or_else(PoisonError::into_inner).join("\n");
        text.push('\n');
        text
    }
}
