//! A walk over a part of the tree in order of paths, in slices: where it stands between two of them.

use std::{ops::Bound, sync::Arc};

use super::{path::ChildPath, state::NodeState};

/// Where a walk stands.
enum At {
    /// Before the branch itself.
    Head,
    /// Among what lies below it.
    Below(Bound<Arc<str>>),
    End,
}

/// A walk: the branch itself first, then everything below it.
pub(crate) struct Scan {
    branch: ChildPath,
    state: Option<NodeState>,
    /// What lies below the branch begins with this text,
    first: Bound<Arc<str>>,
    /// and ends before this one.
    behind: Option<String>,
    at: At,
}

impl Scan {
    /// Everything at or below a branch that is in a state, after a path: behind the branch itself where that path is the
    /// root's or the branch's own.
    pub(crate) fn new(branch: &ChildPath, state: Option<NodeState>, after: Option<&ChildPath>) -> Self {
        let (first, behind) = if branch.is_root() {
            (Bound::Unbounded, None)
        } else {
            // '0' is the sign after '/'.
            (Bound::Included(format!("{branch}/").into()), Some(format!("{branch}0")))
        };
        let at = match after {
            None => At::Head,
            Some(after) if after == branch => At::Below(first.clone()),
            Some(after) if is_earlier(after, branch) => At::Head,
            Some(after) if first_is_later(&first, after) => At::Below(first.clone()),
            Some(after) => At::Below(Bound::Excluded(after.shared())),
        };
        Self { branch: branch.clone(), state, first, behind, at }
    }

    /// The branch, when the walk has not passed it yet; from now on it has.
    pub(super) fn head(&mut self) -> Option<ChildPath> {
        if !matches!(self.at, At::Head) {
            return None;
        }
        self.at = At::Below(self.first.clone());
        Some(self.branch.clone())
    }

    /// From where it goes on below the branch.
    pub(super) fn from(&self) -> Option<Bound<Arc<str>>> {
        match &self.at {
            At::Below(from) => Some(from.clone()),
            At::Head | At::End => None,
        }
    }

    pub(super) const fn state(&self) -> Option<NodeState> {
        self.state
    }

    pub(super) fn wants(&self, state: NodeState) -> bool {
        self.state.is_none_or(|wanted| wanted == state)
    }

    /// True for what lies behind everything below the branch.
    pub(super) fn is_behind(&self, text: &str) -> bool {
        self.behind.as_deref().is_some_and(|behind| text >= behind)
    }

    pub(super) fn go_on(&mut self, from: Bound<Arc<str>>) {
        self.at = At::Below(from);
    }

    pub(super) fn end(&mut self) {
        self.at = At::End;
    }
}

/// The root stands before everything else.
fn is_earlier(path: &ChildPath, other: &ChildPath) -> bool {
    match (path.is_root(), other.is_root()) {
        (true, is_root) => !is_root,
        (false, true) => false,
        (false, false) => path < other,
    }
}

fn first_is_later(first: &Bound<Arc<str>>, path: &ChildPath) -> bool {
    matches!(first, Bound::Included(first) if path.as_str() < &**first)
}
