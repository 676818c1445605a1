//! How the tree's children and branches are supervised, and how that changes while they run.

use std::sync::{Arc, PoisonError, RwLock};

use thiserror::Error;

use crate::supervision::{
    AddError, Branch, BranchLimits, Change, Child, ChildRef, ChildSpec, Policy, ReloadError, SpecError, Tree,
};

/// What all children of one tree go by, and all branches in which children come and go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Supervision {
    /// Of each child.
    pub child: Policy,
    /// Of the branches of throttles, queues, pairs and sessions, each by itself.
    pub branch: BranchLimits,
}

impl From<Policy> for Supervision {
    /// Branches that never exceed: each child is judged alone.
    fn from(child: Policy) -> Self {
        Self { child, branch: BranchLimits::default() }
    }
}

/// Why nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SuperviseError {
    /// The values do not go together.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A branch refuses them.
    #[error(transparent)]
    Branch(#[from] ReloadError),
}

/// What is in force. Cheap to clone; may be used from any thread.
#[derive(Clone)]
pub(super) struct InForce(Arc<RwLock<Supervision>>);

impl InForce {
    pub(super) fn new(supervision: Supervision) -> Self {
        Self(Arc::new(RwLock::new(supervision)))
    }

    /// Adds a child that goes by it. Nothing else comes into force between the two, so that no child is forgotten then.
    pub(super) fn add<C: Child>(&self, branch: &Branch, spec: ChildSpec<C>) -> Result<ChildRef<C>, AddError> {
        let now = self.0.read().unwrap_or_else(PoisonError::into_inner);
        branch.add(spec.policy(now.child.clone()))
    }

    /// From now on all children and these branches go by something else.
    pub(super) fn replace(
        &self,
        next: Supervision,
        tree: &Tree,
        branches: &[&Branch],
    ) -> Result<(), SuperviseError> {
        next.child.check()?;
        next.branch.check()?;
        let Supervision { child, branch } = next.clone();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = next;
        let limits: Vec<_> = branches.iter().map(|of| (of.path().clone(), Change::Limits(branch))).collect();
        tree.reload(&limits)?;
        tree.reload_children(&child)?;
        Ok(())
    }
}
