//! One page of the tree, read without stopping anybody: the directory is locked for a few microseconds at a time.

use std::{collections::BTreeMap, num::NonZeroUsize};

use super::{
    path::ChildPath,
    reference::AnyChild,
    scan::Scan,
    state::NodeState,
    tree::{NodeView, Tree},
};

/// Which page of the tree is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageQuery {
    /// Only children at or below this path.
    pub prefix: ChildPath,
    /// Only children in this state.
    pub state: Option<NodeState>,
    /// At most this many.
    pub limit: NonZeroUsize,
    /// Only children after this one: the last path of the page before. It need not exist any more.
    pub after: Option<ChildPath>,
}

impl PageQuery {
    /// The first page of the whole tree.
    #[must_use]
    pub fn first(limit: NonZeroUsize) -> Self {
        Self { prefix: ChildPath::root(), state: None, limit, after: None }
    }
}

/// One page of the tree. Children that come, go or change while it is read may be in it or not; nothing else is missing,
/// and each item is in the state that was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// The children, the root first, then in order of paths.
    pub items: Vec<NodeView>,
    /// The last path of this page, where there may be more after it.
    pub next: Option<ChildPath>,
}

/// Messages in the mailboxes of one kind of child.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MailboxLoad {
    /// In all of them together.
    pub messages: usize,
    /// In the fullest of them.
    pub deepest: usize,
}

impl Tree {
    /// One page. Its cost grows with the page, and with one number for each 128 children that it passes over, not with
    /// the tree; no lock is held for longer than a look at 512 of either.
    #[must_use]
    pub fn page(&self, query: &PageQuery) -> Page {
        let mut scan = Scan::new(&query.prefix, query.state, query.after.as_ref());
        let limit = query.limit.get();
        let mut items: Vec<NodeView> = Vec::new();
        loop {
            // One more than was asked for says that there are more.
            let wanted = limit.saturating_add(1).saturating_sub(items.len());
            let mut found: Vec<AnyChild> = Vec::new();
            let more = self.world.slice(&mut scan, &mut |listed| {
                found.push(listed.clone());
                found.len() < wanted
            });
            let views = found.iter().map(Self::view_of);
            items.extend(views.filter(|view| query.state.is_none_or(|state| state == view.state)));
            if !more || items.len() > limit {
                break;
            }
        }
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(|view| view.path.clone());
        Page { items, next }
    }

    /// How full the mailboxes of each kind are. Looks at every child, a few at a time: for a monitor's interval, not for
    /// every request.
    #[must_use]
    pub fn mailboxes(&self) -> BTreeMap<&'static str, MailboxLoad> {
        let mut loads: BTreeMap<&'static str, MailboxLoad> = BTreeMap::new();
        self.world.walk(&ChildPath::root(), |listed| {
            let (load, depth) = (loads.entry(listed.node().kind()).or_default(), listed.node().depth());
            load.messages = load.messages.saturating_add(depth);
            load.deepest = load.deepest.max(depth);
        });
        loads
    }
}
