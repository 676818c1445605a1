//! What went wrong in a child, where, and how an instance of a child ends.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a child was doing when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Reading its state: `Child::load`.
    Load,
    /// `Child::started`.
    Started,
    /// Handling a message.
    Handler,
    /// A timer's callback.
    Timer,
    /// A future it runs, or that future's continuation.
    Future,
    /// `Child::closing` or `Child::drain`.
    Drain,
    /// `Child::stopped`.
    Stopped,
    /// Dropping its state, a future or a message.
    Drop,
    /// `Child::snapshot`.
    Snapshot,
    /// Some of its work in flight made no progress for its stuck limit.
    Stuck,
    /// It declared itself failed through its context.
    Declared,
    /// It is a supervisor and one of its children exceeded its intensity.
    Escalation,
}

impl Phase {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Load,
        Self::Started,
        Self::Handler,
        Self::Timer,
        Self::Future,
        Self::Drain,
        Self::Stopped,
        Self::Drop,
        Self::Snapshot,
        Self::Stuck,
        Self::Declared,
        Self::Escalation,
    ];

    /// Those of failures that change nothing by themselves.
    pub const CONTAINED: [Self; 4] = [Self::Drain, Self::Stopped, Self::Drop, Self::Snapshot];

    /// The word for it, as in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Started => "started",
            Self::Handler => "handler",
            Self::Timer => "timer",
            Self::Future => "future",
            Self::Drain => "drain",
            Self::Stopped => "stopped",
            Self::Drop => "drop",
            Self::Snapshot => "snapshot",
            Self::Stuck => "stuck",
            Self::Declared => "declared",
            Self::Escalation => "escalation",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Longest kept failure text, in characters.
const LONGEST_TEXT: usize = 400;

/// A text as it is kept.
pub(crate) fn cut(text: &str) -> String {
    // Bytes are no fewer than characters: what is short enough needs no counting.
    let short = text.len() <= LONGEST_TEXT;
    if short { text.to_owned() } else { text.chars().take(LONGEST_TEXT).collect() }
}

/// One failure of a child.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// What the child was doing.
    pub phase: Phase,
    /// Type of the message being handled, when there was one.
    pub message: Option<String>,
    /// The panic's or the error's text, cut at 400 characters; the causes of an escalation are whole.
    pub text: String,
    /// `file:line` of a panic.
    pub location: Option<String>,
}

impl Failure {
    /// A failure without a message or a place.
    #[must_use]
    pub fn new(phase: Phase, text: impl AsRef<str>) -> Self {
        Self { phase, message: None, text: cut(text.as_ref()), location: None }
    }

    /// A failure whose text is kept whole: the causes of an escalation, of which the last says most.
    pub(crate) fn whole(phase: Phase, text: String) -> Self {
        Self { phase, message: None, text, location: None }
    }

    /// True when both failures have the same phase, message type and place (and, without a place, the same text).
    #[must_use]
    pub fn same_signature(&self, other: &Self) -> bool {
        self.phase == other.phase
            && self.message == other.message
            && self.location == other.location
            && (self.location.is_some() || self.text == other.text)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.phase == Phase::Escalation {
            // The chain of causes says all of it.
            return f.write_str(&self.text);
        }
        write!(f, "{} in {}", self.text, self.phase)?;
        if let Some(message) = &self.message {
            write!(f, " of {message}")?;
        }
        if let Some(location) = &self.location {
            write!(f, " at {location}")?;
        }
        Ok(())
    }
}

/// Why an instance of a child ends; told to `Child::stopped`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExitReason {
    /// The child asked for it.
    Normal,
    /// Its supervisor stops it for good: drain, removal.
    Shutdown,
    /// Its supervisor ends this instance and will start another: admin restart, restart of the branch.
    Restart,
    /// It asked to be parked.
    Parked(String),
    /// It failed.
    Failed(Failure),
}

/// The last segment of a type's name, generics cut off: `Wake` for `switchyard::tree::Wake`.
pub(crate) fn short_type_name<T>() -> &'static str {
    let name = std::any::type_name::<T>();
    let head = name.split('<').next().unwrap_or(name);
    head.rsplit("::").next().unwrap_or(head)
}
