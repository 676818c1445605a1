//! Who is where: every child by its path.

use std::{
    any::Any,
    collections::BTreeMap,
    sync::{Arc, Weak},
};

use super::{cell::BranchCell, core::Key, node::Node, path::ChildPath};

/// A child in the directory.
#[derive(Clone)]
pub(crate) struct Listed {
    pub(crate) node: Arc<Node>,
    pub(crate) parent: Weak<BranchCell>,
    pub(crate) key: Key,
    pub(crate) reference: Arc<dyn Any + Send + Sync>,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Directory {
    all: BTreeMap<ChildPath, Listed>,
    /// Supervisors and direct children of the root: few, and looked at often.
    pillars: BTreeMap<ChildPath, Listed>,
}

impl Directory {
    pub(crate) fn insert(&mut self, listed: Listed) {
        let path = listed.node.path.clone();
        if listed.node.is_branch() || !path.as_str().contains('/') {
            self.pillars.insert(path.clone(), listed.clone());
        }
        self.all.insert(path, listed);
    }

    /// Takes this very child and everything below it out; a newer one of the same path stays.
    pub(crate) fn remove(&mut self, node: &Node) {
        if self.all.get(&node.path).is_none_or(|listed| listed.node.id != node.id) {
            return;
        }
        let gone: Vec<_> = self.range(&node.path).map(|(path, _)| path.clone()).collect();
        for path in gone {
            self.all.remove(&path);
            self.pillars.remove(&path);
        }
    }

    pub(crate) fn find(&self, path: &ChildPath) -> Option<Listed> {
        self.all.get(path).cloned()
    }

    pub(crate) fn pillars(&self) -> Vec<Listed> {
        self.pillars.values().cloned().collect()
    }

    /// Everything at or below a path, in order of paths; the root comes first.
    pub(crate) fn within(&self, branch: &ChildPath) -> Vec<Listed> {
        if !branch.is_root() {
            return self.range(branch).map(|(_, listed)| listed.clone()).collect();
        }
        let root = self.all.get(branch);
        let others = self.all.values().filter(|listed| !listed.node.path.is_root());
        root.into_iter().chain(others).cloned().collect()
    }

    fn range(&self, branch: &ChildPath) -> impl Iterator<Item = (&ChildPath, &Listed)> {
        self.all
            .range(branch.clone()..)
            .take_while(move |(path, _)| path.as_str().starts_with(branch.as_str()))
            .filter(move |(path, _)| path.is_within(branch))
    }
}
