//! Names of children: one path segment, and the path from the root.

use std::{fmt, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::spec::SpecError;

/// Longest accepted segment, in bytes.
const LONGEST_SEGMENT: usize = 120;

/// One segment of a path: printable ASCII without `/`, 1 to 120 bytes, never `root`.
///
/// Made only by [`Segment::parse`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Segment(String);

impl Segment {
    /// Checks a name.
    ///
    /// # Errors
    /// [`SpecError::BadId`] when the name is empty, too long, reserved, or holds a character outside printable ASCII or `/`.
    pub fn parse(name: impl Into<String>) -> Result<Self, SpecError> {
        let name = name.into();
        let fits = (1..=LONGEST_SEGMENT).contains(&name.len());
        if fits && name != ROOT && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/') {
            Ok(Self(name))
        } else {
            Err(SpecError::BadId(name.chars().take(LONGEST_SEGMENT).collect()))
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How the root is written.
const ROOT: &str = "root";

/// Where a child stands in the tree, for example `pairs/42`; the root itself is `root` and is no part of other paths.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct ChildPath(
    // All clones share one text.
    Arc<str>,
);

impl ChildPath {
    /// The path of the root supervisor.
    #[must_use]
    pub fn root() -> Self {
        Self(Arc::from(ROOT))
    }

    /// Checks a path as an operator writes it.
    ///
    /// # Errors
    /// [`SpecError::BadId`] naming the segment at fault.
    pub fn parse(path: &str) -> Result<Self, SpecError> {
        if path != ROOT {
            for segment in path.split('/') {
                Segment::parse(segment)?;
            }
        }
        Ok(Self(Arc::from(path)))
    }

    /// The path of a child of this node.
    #[must_use]
    pub fn child(&self, segment: &Segment) -> Self {
        self.join(segment.as_str())
    }

    /// As [`child`](Self::child), for text that is only looked for.
    pub(crate) fn join(&self, id: &str) -> Self {
        Self(if self.is_root() { Arc::from(id) } else { Arc::from([self.as_str(), "/", id].concat()) })
    }

    /// True for the root supervisor's own path.
    #[must_use]
    pub fn is_root(&self) -> bool {
        &*self.0 == ROOT
    }

    /// True when this path is `branch` or lies below it; everything lies below the root.
    #[must_use]
    pub fn is_within(&self, branch: &Self) -> bool {
        branch.is_root()
            || self.0.strip_prefix(&*branch.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The last segment.
    #[must_use]
    pub fn id(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text itself, which clones share.
    pub(crate) fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl fmt::Display for ChildPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for ChildPath {
    type Error = SpecError;

    fn try_from(path: String) -> Result<Self, Self::Error> {
        Self::parse(&path)
    }
}

impl From<ChildPath> for String {
    fn from(path: ChildPath) -> Self {
        path.as_str().to_owned()
    }
}
