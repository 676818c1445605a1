//! Other limits for what runs already: checked as a whole, then applied to all.

use std::collections::BTreeMap;

use thiserror::Error;

use super::{
    cell::BranchCell,
    core::{AutoShutdown, Event, OnExceed},
    node::lock,
    path::ChildPath,
    reference::AnyChild,
    runner::Limits,
    spec::{Policy, SpecError, check_limits},
    tree::Tree,
    window::Intensity,
};

/// The limits of a branch that may change while it runs; its strategy and its order may not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BranchLimits {
    /// Restarts of all its children together before `on_exceed`; `None` never exceeds.
    pub intensity: Option<Intensity>,
    /// What follows then.
    pub on_exceed: OnExceed,
    /// Whether it ends with its significant children.
    pub auto_shutdown: AutoShutdown,
}

impl BranchLimits {
    /// Whether they go together.
    ///
    /// # Errors
    /// The [`SpecError`] naming what is at fault.
    pub fn check(&self) -> Result<(), SpecError> {
        check_limits(self.intensity, self.on_exceed)
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A child, or a branch as a child of its supervisor, goes by another policy.
    Policy(Box<Policy>),
    /// A branch goes by other limits.
    Limits(BranchLimits),
}

/// Why nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{path}: {fault}")]
pub struct ReloadError {
    /// Whose change it was.
    pub path: ChildPath,
    /// What is wrong with it.
    pub fault: ReloadFault,
}

/// What is wrong with a change.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReloadFault {
    /// No child of that path.
    #[error("no such child")]
    NotFound,
    /// Only a branch has them.
    #[error("limits of a branch for a child that is none")]
    NoBranch,
    /// The values do not go together.
    #[error(transparent)]
    Spec(#[from] SpecError),
}

impl Tree {
    /// Changes policies and limits. The next decision goes by them: what runs is not disturbed, a backoff that has begun
    /// keeps its length, messages over a smaller mailbox stay in it.
    ///
    /// # Errors
    /// [`ReloadError`] naming the first change at fault; then nothing is changed.
    pub fn reload(&self, changes: &[(ChildPath, Change)]) -> Result<(), ReloadError> {
        let shutdowns: BTreeMap<&ChildPath, AutoShutdown> = changes
            .iter()
            .filter_map(|(path, change)| match change {
                Change::Limits(limits) => Some((path, limits.auto_shutdown)),
                Change::Policy(_) => None,
            })
            .collect();
        for (path, change) in changes {
            self.check(path, change, &shutdowns)
                .map_err(|fault| ReloadError { path: path.clone(), fault })?;
        }
        for (path, change) in changes {
            self.apply(path, change);
        }
        Ok(())
    }

    /// Gives every child that is no branch this policy, as [`reload`](Self::reload) does. Children that come or go meanwhile
    /// are no error. Answers how many there were.
    ///
    /// # Errors
    /// [`SpecError`]; then nothing is changed. Significance is said of single children, never of all.
    pub fn reload_children(&self, policy: &Policy) -> Result<usize, SpecError> {
        policy.check()?;
        if policy.significant {
            return Err(SpecError::SignificantForNothing);
        }
        let mut children = Vec::new();
        self.world.walk(&ChildPath::root(), |listed| {
            if !listed.node().is_branch() {
                children.push(listed.clone());
            }
        });
        children.iter().for_each(|listed| self.repolicy(listed, policy));
        Ok(children.len())
    }

    fn repolicy(&self, listed: &AnyChild, policy: &Policy) {
        let node = listed.node();
        let Some(parent) = node.parent.upgrade() else { return };
        let policy_of_slot = self.world.slot_policy(policy, &node.path);
        parent.step(Event::Repolicy { key: node.key, policy: policy_of_slot });
        node.set_limits(Limits::new(policy, node.is_branch()), policy.mailbox.get());
    }

    /// `shutdowns` are what branches of the same list will have.
    fn check(
        &self,
        path: &ChildPath,
        change: &Change,
        shutdowns: &BTreeMap<&ChildPath, AutoShutdown>,
    ) -> Result<(), ReloadFault> {
        let listed = self.world.find(path).ok_or(ReloadFault::NotFound)?;
        match change {
            Change::Policy(policy) => {
                policy.check()?;
                let parent = listed.node().parent.upgrade().ok_or(ReloadFault::NotFound)?;
                let shutdown = shutdowns.get(&parent.path).copied().unwrap_or_else(|| parent.auto_shutdown());
                if policy.significant && shutdown == AutoShutdown::Never {
                    return Err(SpecError::SignificantForNothing.into());
                }
            }
            Change::Limits(limits) => {
                limits.check()?;
                if !listed.node().is_branch() {
                    return Err(ReloadFault::NoBranch);
                }
            }
        }
        Ok(())
    }

    fn apply(&self, path: &ChildPath, change: &Change) {
        // Gone since the check: there is nothing to change any more.
        let Some(listed) = self.world.find(path) else { return };
        match change {
            Change::Policy(policy) => self.repolicy(&listed, policy),
            Change::Limits(BranchLimits { intensity, on_exceed, auto_shutdown }) => {
                let Some(parent) = listed.node().parent.upgrade() else { return };
                let (intensity, on_exceed, auto_shutdown) = (*intensity, *on_exceed, *auto_shutdown);
                if let Some(branch) = parent.branch(listed.node().key) {
                    branch.step(Event::Reconfigure { intensity, on_exceed, auto_shutdown });
                }
            }
        }
    }
}

impl BranchCell {
    fn auto_shutdown(&self) -> AutoShutdown {
        lock(&self.inner).core.policy().auto_shutdown
    }
}
