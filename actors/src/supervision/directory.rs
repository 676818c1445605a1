//! Who is where: every child by its path, in shelves of neighbours that know how many of theirs are in which state.
//!
//! A shelf is a short run of children in order of paths. A page of the tree by state passes over a shelf that has none
//! in that state without looking into it, so that the one parked child among 100,000 is found by looking at a thousand
//! numbers. The price is paid by a change of state alone: two more additions to counters that nobody else touches.

use std::{collections::BTreeMap, ops::Bound, sync::Arc};

use super::{node::Node, path::ChildPath, reference::AnyChild, scan::Scan, state::Counts};

/// Most children on one shelf: few enough that putting one between others moves little, and that a look into a shelf is
/// short; enough that there are few shelves.
const SHELF: usize = 128;

/// Most children looked at, and shelves passed over, while the directory is locked once.
pub(crate) const SLICE: usize = 512;

/// Neighbours in order of paths.
#[derive(Default)]
struct Shelf {
    items: Vec<AnyChild>,
    counts: Arc<Counts>,
}

impl Shelf {
    fn first(&self) -> Option<Arc<str>> {
        self.items.first().map(|listed| listed.node().path.shared())
    }

    fn search(&self, path: &str) -> Result<usize, usize> {
        // Children are mostly added in order.
        if self.items.last().is_none_or(|last| last.path() < path) {
            return Err(self.items.len());
        }
        self.items.binary_search_by(|listed| listed.path().cmp(path))
    }

    fn put(&mut self, at: usize, listed: AnyChild) {
        listed.node().shelve(&self.counts);
        self.items.insert(at.min(self.items.len()), listed);
    }

    /// Takes the children from `at` on to a shelf of their own.
    fn split_off(&mut self, at: usize) -> Self {
        let items = self.items.split_off(at.min(self.items.len()));
        let counts = Arc::<Counts>::default();
        for listed in &items {
            listed.node().shelve(&counts);
        }
        Self { items, counts }
    }

    fn take(&mut self, first: usize, last: usize) -> Vec<AnyChild> {
        let gone: Vec<_> = self.items.drain(first..last).collect();
        for listed in &gone {
            listed.node().unlisted();
        }
        gone
    }
}

/// Another child of that path is there, and stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken;

/// See the module.
pub(crate) struct Directory {
    root: Option<AnyChild>,
    /// By a text that is not after the path of its first child; the first shelf's is empty, so that every path has one.
    shelves: BTreeMap<Arc<str>, Shelf>,
    /// Supervisors and direct children of the root: few, and looked at often.
    pillars: BTreeMap<ChildPath, AnyChild>,
}

impl Default for Directory {
    fn default() -> Self {
        let shelves = BTreeMap::from([(Arc::from(""), Shelf::default())]);
        Self { root: None, shelves, pillars: BTreeMap::new() }
    }
}

impl Directory {
    /// Puts a child in, unless one stands there under the same path that `stays`. One that does not goes, with everything
    /// below it: the answer, for the caller to drop.
    pub(crate) fn insert(
        &mut self,
        listed: AnyChild,
        stays: &dyn Fn(&AnyChild) -> bool,
    ) -> Result<Vec<AnyChild>, Taken> {
        let path = listed.node().path.clone();
        if path.is_root() {
            if self.root.as_ref().is_some_and(stays) {
                return Err(Taken);
            }
            listed.node().listed();
            self.pillars.insert(path, listed.clone());
            return Ok(self.root.replace(listed).into_iter().collect());
        }
        let shelf = self.shelves.range_mut::<str, _>(up_to(path.as_str())).next_back();
        let Some((_, shelf)) = shelf else { return Ok(Vec::new()) };
        let at = match shelf.search(path.as_str()) {
            Err(at) => at,
            Ok(at) => {
                let Some(there) = shelf.items.get(at).cloned() else { return Ok(Vec::new()) };
                if stays(&there) {
                    return Err(Taken);
                }
                let gone = self.remove(there.node());
                return self.insert(listed, &|_| true).map(|_nobody| gone);
            }
        };
        listed.node().listed();
        if listed.node().is_branch() || !path.as_str().contains('/') {
            self.pillars.insert(path.clone(), listed.clone());
        }
        if shelf.items.len() < SHELF {
            shelf.put(at, listed);
            return Ok(Vec::new());
        }
        // Where children are added in order the shelf before stays full.
        let mut next = shelf.split_off(if at == 0 { SHELF / 2 } else { at });
        let key = if at > 0 && !next.items.is_empty() {
            shelf.put(at, listed);
            next.first()
        } else if at > 0 {
            next.put(0, listed);
            Some(path.shared())
        } else {
            shelf.put(0, listed);
            next.first()
        };
        if let Some(key) = key {
            self.shelves.insert(key, next);
        }
        Ok(Vec::new())
    }

    /// Takes this very child and everything below it out, for the caller to drop; a newer one of the same path stays.
    pub(crate) fn remove(&mut self, node: &Node) -> Vec<AnyChild> {
        if self.get(&node.path).is_none_or(|listed| listed.node().id != node.id) {
            return Vec::new();
        }
        if node.path.is_root() {
            self.pillars.clear();
            let root = self.root.take();
            let shelves = std::mem::take(&mut self.shelves);
            self.shelves.insert(Arc::from(""), Shelf::default());
            let mut gone: Vec<_> = shelves.into_values().flat_map(|shelf| shelf.items).collect();
            gone.extend(root);
            gone.iter().for_each(|listed| listed.node().unlisted());
            return gone;
        }
        let path = node.path.as_str();
        let mut gone = self.cut(path, Bound::Included(path));
        let (below, behind) = (format!("{path}/"), format!("{path}0"));
        if self.pillars.contains_key(&node.path) {
            gone.extend(self.cut(&below, Bound::Excluded(behind.as_str())));
            self.pillars.retain(|pillar, _| !pillar.is_within(&node.path));
        }
        gone
    }

    /// Takes out what lies from a text to another.
    fn cut(&mut self, from: &str, until: Bound<&str>) -> Vec<AnyChild> {
        let (mut gone, mut empty) = (Vec::new(), Vec::new());
        let start = self.shelf_key(from);
        for (key, shelf) in self.shelves.range_mut::<str, _>((Bound::Included(&*start), until)) {
            let first = shelf.items.partition_point(|listed| listed.path() < from);
            let last = shelf.items.partition_point(|listed| match until {
                Bound::Included(until) => listed.path() <= until,
                Bound::Excluded(until) => listed.path() < until,
                Bound::Unbounded => true,
            });
            if first < last {
                gone.extend(shelf.take(first, last));
            }
            if shelf.items.is_empty() && !key.is_empty() {
                empty.push(Arc::clone(key));
            }
        }
        for key in empty {
            self.shelves.remove(&key);
        }
        gone
    }

    /// The key of the shelf on which a path is or would be.
    fn shelf_key(&self, path: &str) -> Arc<str> {
        self.shelves
            .range::<str, _>(up_to(path))
            .next_back()
            .map_or_else(|| Arc::from(""), |(key, _)| Arc::clone(key))
    }

    fn get(&self, path: &ChildPath) -> Option<&AnyChild> {
        if path.is_root() {
            return self.root.as_ref();
        }
        let (_, shelf) = self.shelves.range::<str, _>(up_to(path.as_str())).next_back()?;
        shelf.items.get(shelf.search(path.as_str()).ok()?)
    }

    pub(crate) fn find(&self, path: &ChildPath) -> Option<AnyChild> {
        self.get(path).cloned()
    }

    pub(crate) fn pillars(&self) -> Vec<AnyChild> {
        self.pillars.values().cloned().collect()
    }

    /// Shows `visit` the next children of a scan, until it has enough, the scan is at its end, or [`SLICE`] were looked
    /// at. Answers whether there may be more.
    pub(crate) fn slice(&self, scan: &mut Scan, visit: &mut dyn FnMut(&AnyChild) -> bool) -> bool {
        if let Some(head) = scan.head() {
            let listed = self.get(&head).filter(|listed| scan.wants(listed.node().state()));
            if listed.is_some_and(|listed| !visit(listed)) {
                return true;
            }
        }
        let Some(from) = scan.from() else { return false };
        let start = self.shelf_key(bound_text(&from));
        let mut steps = 0_usize;
        for (key, shelf) in self.shelves.range::<str, _>((Bound::Included(&*start), Bound::Unbounded)) {
            if scan.is_behind(key) {
                break;
            }
            if steps >= SLICE {
                scan.go_on(Bound::Included(Arc::clone(key)));
                return true;
            }
            look(&mut steps);
            if scan.state().is_some_and(|state| !shelf.counts.any(state)) {
                continue;
            }
            let first = shelf.items.partition_point(|listed| is_before(listed.path(), &from));
            for listed in shelf.items.get(first..).unwrap_or_default() {
                if scan.is_behind(listed.path()) {
                    break;
                }
                look(&mut steps);
                let enough = scan.wants(listed.node().state()) && !visit(listed);
                if enough || steps >= SLICE {
                    scan.go_on(Bound::Excluded(listed.node().path.shared()));
                    return true;
                }
            }
        }
        scan.end();
        false
    }
}

/// One more child looked at, or shelf come to; tests count them.
fn look(steps: &mut usize) {
    *steps = steps.saturating_add(1);
    #[cfg(test)]
    tests::looked();
}

fn up_to(path: &str) -> (Bound<&str>, Bound<&str>) {
    (Bound::Unbounded, Bound::Included(path))
}

fn bound_text(bound: &Bound<Arc<str>>) -> &str {
    match bound {
        Bound::Included(text) | Bound::Excluded(text) => text,
        Bound::Unbounded => "",
    }
}

fn is_before(path: &str, bound: &Bound<Arc<str>>) -> bool {
    match bound {
        Bound::Included(from) => path < &**from,
        Bound::Excluded(from) => path <= &**from,
        Bound::Unbounded => false,
    }
}

#[cfg(test)]
mod tests;
