//! Faults on demand: named places at which a test or an operator of a sandbox makes an actor panic, fail or block its thread.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use thiserror::Error;

/// For how long `block` keeps the thread: far longer than any deadline that such a test is about.
const BLOCK: Duration = Duration::from_secs(900);

/// What happens at a failpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Panic,
    Fail,
    Block,
}

#[derive(Clone, Copy, Debug)]
struct Armed {
    action: Action,
    /// Hits left; `None` for ever.
    left: Option<u32>,
}

/// A failpoint that could not be read.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum FailpointError {
    /// Not of the form `name[@key]=panic|fail|block[*count]`.
    #[error("failpoint {0:?} is not of the form name[@key]=panic|fail|block[*count]")]
    Syntax(String),
    /// No place in the code has this name.
    #[error("failpoint {0:?} does not exist; known are {known}", known = KNOWN.join(", "))]
    Unknown(String),
    /// Built without the feature.
    #[error("this build has no failpoints")]
    NotBuilt,
}

/// The places that exist.
pub(super) const KNOWN: [&str; 5] =
    ["pair.plan", "queue.attempt", "session.intake", "throttle.poll", "notifier.raise"];

/// The armed failpoints of one system. Empty outside tests and sandboxes.
#[derive(Debug, Default)]
pub struct Failpoints {
    armed: Mutex<HashMap<(String, String), Armed>>,
}

impl Failpoints {
    /// Reads a list such as `pair.plan@ID=panic*3;queue.attempt=fail`. Without `@key` a place fails for everybody.
    ///
    /// # Errors
    /// [`FailpointError`] names the entry that is wrong.
    pub fn parse(text: &str) -> Result<Self, FailpointError> {
        let points = Self::default();
        points.arm(text)?;
        Ok(points)
    }

    /// Arms more of them while the system runs, written as in [`Failpoints::parse`]; what was armed at the same place for the
    /// same key before is replaced.
    ///
    /// # Errors
    /// [`FailpointError`] names the entry that is wrong; then nothing is armed.
    pub fn arm(&self, text: &str) -> Result<(), FailpointError> {
        let entries = text.split(';').map(str::trim).filter(|entry| !entry.is_empty());
        let mut armed = HashMap::new();
        for entry in entries {
            if !cfg!(feature = "failpoints") {
                return Err(FailpointError::NotBuilt);
            }
            let wrong = || FailpointError::Syntax(entry.to_owned());
            let (place, action) = entry.split_once('=').ok_or_else(wrong)?;
            let (name, key) = place.split_once('@').unwrap_or((place, ""));
            if !KNOWN.contains(&name) {
                return Err(FailpointError::Unknown(name.to_owned()));
            }
            let (verb, count) =
                action.split_once('*').map_or((action, None), |(verb, count)| (verb, Some(count)));
            let left = count.map(str::parse).transpose().map_err(|_| wrong())?;
            let action = match verb {
                "panic" => Action::Panic,
                "fail" => Action::Fail,
                "block" => Action::Block,
                _ => return Err(wrong()),
            };
            armed.insert((name.to_owned(), key.to_owned()), Armed { action, left });
        }
        self.armed.lock().unwrap_or_else(PoisonError::into_inner).extend(armed);
        Ok(())
    }

    /// Disarms all of them.
    pub fn disarm(&self) {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// No failpoint is armed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Passes a place: does nothing, answers an error, panics or keeps the thread, as armed for this name and key.
    ///
    /// # Errors
    /// A text that names the failpoint, when it is armed with `fail`.
    pub fn hit(&self, name: &str, key: &str) -> Result<(), String> {
        let Some(action) = self.take(name, key) else { return Ok(()) };
        match action {
            Action::Fail => Err(format!("failpoint {name}")),
            #[expect(clippy::panic, reason = "a failpoint armed with `panic` is there to panic")]
            Action::Panic => panic!("failpoint {name}"),
            Action::Block => {
                block();
                Ok(())
            }
        }
    }

    fn take(&self, name: &str, key: &str) -> Option<Action> {
        let mut armed = self.armed.lock().unwrap_or_else(PoisonError::into_inner);
        if armed.is_empty() {
            return None;
        }
        let exact = (name.to_owned(), key.to_owned());
        let slot = if armed.contains_key(&exact) { exact } else { (name.to_owned(), String::new()) };
        let entry = armed.get_mut(&slot)?;
        let action = entry.action;
        if let Some(left) = entry.left.as_mut() {
            *left = left.saturating_sub(1);
            if *left == 0 {
                armed.remove(&slot);
            }
        }
        Some(action)
    }
}

#[expect(clippy::disallowed_methods, reason = "a failpoint armed with `block` is there to block its thread")]
fn block() {
    thread::sleep(BLOCK);
}

#[cfg(all(test, feature = "failpoints"))]
mod tests {
    use super::*;

    #[test]
    fn a_counted_failpoint_fails_its_key_that_often() {
        let points = Failpoints::parse("pair.plan@a=fail*2; queue.attempt=fail").unwrap();
        assert!(points.hit("pair.plan", "b").is_ok());
        assert!(points.hit("pair.plan", "a").is_err());
        assert!(points.hit("pair.plan", "a").is_err());
        assert!(points.hit("pair.plan", "a").is_ok());
        assert!(points.hit("queue.attempt", "anything").is_err());
    }

    #[test]
    fn points_are_armed_while_others_are() {
        let points = Failpoints::parse("pair.plan@a=fail*2").unwrap();
        points.arm("pair.plan@a=fail;pair.plan@b=fail*1").unwrap();
        assert!(points.arm("pair.plan@b=fail; queue.nothing=fail").is_err());
        assert!((0..9).all(|_| points.hit("pair.plan", "a").is_err()));
        assert!(points.hit("pair.plan", "b").is_err() && points.hit("pair.plan", "b").is_ok());
        points.disarm();
        assert!(points.hit("pair.plan", "a").is_ok() && points.is_empty());
    }

    #[test]
    fn a_wrong_entry_is_named() {
        let error = Failpoints::parse("pair.plam=panic").unwrap_err();
        assert_eq!(error, FailpointError::Unknown("pair.plam".to_owned()));
        assert_eq!(
            Failpoints::parse("pair.plan").unwrap_err(),
            FailpointError::Syntax("pair.plan".to_owned())
        );
        assert!(Failpoints::parse("pair.plan=panic*x").is_err());
    }
}
