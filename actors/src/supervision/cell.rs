//! A supervisor at work: its decision core and its children's entries.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, OnceLock, Weak, atomic::Ordering},
    time::Duration,
};

use tokio::sync::oneshot;

use super::{
    child::Child,
    core::{Action, AutoShutdown, Core, CorePolicy, EndHow, Event, Key, SlotView},
    directory::Taken,
    execute::{Because, Outbox},
    node::{Node, Place, lock},
    path::ChildPath,
    reference::{AnyChild, ChildRef},
    runner::{Limits, Runner, mailbox},
    spec::{ChildSpec, SpecError},
    state::{Counts, Refusal},
    world::World,
};

/// Why a child was not added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddError {
    /// The spec itself is wrong.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// There is a child of this name, or it has not ended yet.
    #[error("{0} is already there")]
    Duplicate(ChildPath),
    /// The branch or the whole runtime is stopping.
    #[error("the branch is stopping")]
    Stopping,
    /// The actors' thread is gone.
    #[error("the actors' thread is gone")]
    Gone,
}

pub(crate) struct Inner {
    pub(crate) core: Core,
    pub(crate) entries: BTreeMap<Key, AnyChild>,
    next: Key,
    /// Those of the child that was added last.
    limits: Option<Arc<Limits>>,
    pub(crate) outbox: Outbox,
    /// Room for what the core decides; empty between two events.
    pub(crate) actions: Vec<Action>,
    /// Why the branch is giving up.
    pub(crate) chain: Option<String>,
    pub(crate) settled: Vec<oneshot::Sender<()>>,
    pub(crate) ended: Vec<oneshot::Sender<()>>,
    removed: HashMap<Key, Vec<oneshot::Sender<()>>>,
}

/// See the module. No foreign code runs inside its lock, and no two cells are ever locked at once.
pub(crate) struct BranchCell {
    pub(crate) world: Arc<World>,
    pub(crate) path: ChildPath,
    pub(crate) inner: Mutex<Inner>,
    pub(crate) counts: Arc<Counts>,
    own: OnceLock<(Weak<BranchCell>, Key, Weak<Node>)>,
    pub(crate) me: Weak<BranchCell>,
}

impl fmt::Debug for BranchCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BranchCell({})", self.path)
    }
}

impl BranchCell {
    pub(crate) fn new(world: &Arc<World>, path: ChildPath, policy: CorePolicy) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            world: Arc::clone(world),
            path,
            inner: Mutex::new(Inner {
                core: Core::new(policy),
                entries: BTreeMap::new(),
                next: 0,
                limits: None,
                outbox: Outbox::default(),
                actions: Vec::new(),
                chain: None,
                settled: Vec::new(),
                ended: Vec::new(),
                removed: HashMap::new(),
            }),
            counts: Arc::default(),
            own: OnceLock::new(),
            me: Weak::clone(me),
        })
    }

    /// The supervisor of this one, its key there, and its own node.
    pub(crate) fn own(&self) -> Option<(Arc<Self>, Key, Arc<Node>)> {
        let (parent, key, node) = self.own.get()?;
        Some((parent.upgrade()?, *key, node.upgrade()?))
    }

    /// Adds a child and, when the branch is up, starts it.
    pub(crate) fn add<C: Child>(
        self: &Arc<Self>,
        path: ChildPath,
        spec: ChildSpec<C>,
        branch: Option<Arc<Self>>,
    ) -> Result<ChildRef<C>, AddError> {
        spec.policy.check()?;
        let ChildSpec { args, policy, shard_key, .. } = spec;
        let slot_policy = self.world.slot_policy(&policy, &path);
        let (now, since) = (self.world.now(), self.world.wall());
        // Foreign code may run in its drop: outside of the lock.
        let _before;
        let (reference, found_nobody) = {
            let mut inner = lock(&self.inner);
            if !inner.core.accepts() || self.world.draining.load(Ordering::Acquire) {
                return Err(AddError::Stopping);
            }
            if policy.significant && inner.core.policy().auto_shutdown == AutoShutdown::Never {
                return Err(SpecError::SignificantForNothing.into());
            }
            let key = inner.next;
            inner.next = key.saturating_add(1);
            let shard = self.world.shards.of(shard_key);
            let place = Place { parent: Arc::downgrade(self), key, shard, since };
            let family = (&self.counts, branch);
            let node = Node::new(&self.world, path.clone(), C::KIND, place, family, policy.mailbox.get());
            if let Some(cell) = &node.branch {
                let _first = cell.own.set((Arc::downgrade(self), key, Arc::downgrade(&node)));
            }
            let limits = inner.share(Limits::new(&policy, node.is_branch()));
            let (reference, mailbox) = mailbox(node);
            _before = match self.world.list(reference.untyped(), &|there| inner.has(there)) {
                Ok(before) => before,
                Err(Taken) => return Err(AddError::Duplicate(path)),
            };
            if !Runner::launch(self, &reference, mailbox, limits, args) {
                self.world.unlist(reference.node());
                return Err(AddError::Gone);
            }
            inner.entries.insert(key, reference.untyped());
            // In the same breath, so that no order finds a child of which the core does not know.
            let added = Event::Added { key, policy: slot_policy };
            (reference, inner.decide(added, Because::Nothing, now))
        };
        if found_nobody {
            self.carry_out();
        }
        Ok(reference)
    }

    /// Removes a child; the receiver hears once it is gone.
    pub(crate) fn remove(&self, id: &str) -> Option<oneshot::Receiver<()>> {
        let (gone, receiver) = oneshot::channel();
        let key = {
            let mut inner = lock(&self.inner);
            let key = self.find(&inner, &self.path.join(id))?.node().key;
            inner.removed.entry(key).or_default().push(gone);
            key
        };
        self.step(Event::Remove { key, deadline: None });
        Some(receiver)
    }

    /// Begins to end the branch; the receiver hears once it ended.
    pub(crate) fn end(&self, how: EndHow, deadline: Option<Duration>) -> oneshot::Receiver<()> {
        let (done, receiver) = oneshot::channel();
        lock(&self.inner).ended.push(done);
        self.step(Event::End { how, deadline });
        receiver
    }

    /// The receiver hears once every child had its first attempt.
    pub(crate) fn settled(&self) -> oneshot::Receiver<()> {
        let (done, receiver) = oneshot::channel();
        let mut inner = lock(&self.inner);
        if inner.core.is_settled() {
            tell(done)
        } else {
            inner.settled.retain(|waiter| !waiter.is_closed());
            inner.settled.push(done)
        }
        receiver
    }

    /// A branch below was ended by force: so is everything in it.
    pub(crate) fn abandon(&self, key: Key) {
        if let Some(branch) = self.branch(key) {
            branch.step(Event::Abandon);
        }
    }

    /// An admin's order for a child.
    pub(crate) fn order(&self, event: Event) -> Result<(), Refusal> {
        if !self.is_live() {
            return Err(Refusal::Stopped);
        }
        self.step(event);
        Ok(())
    }

    /// True when the branch is up or coming up.
    pub(crate) fn is_live(&self) -> bool {
        lock(&self.inner).core.is_live()
    }

    pub(crate) fn slot(&self, key: Key) -> Option<SlotView> {
        lock(&self.inner).core.slot(key, self.world.now())
    }

    /// The supervisor that a child is.
    pub(crate) fn branch(&self, key: Key) -> Option<Arc<Self>> {
        lock(&self.inner).entries.get(&key)?.branch().cloned()
    }

    /// A child of this supervisor that is not forgotten. The directory knows paths; it may still list one that is.
    fn find(&self, inner: &Inner, path: &ChildPath) -> Option<AnyChild> {
        self.world.find(path).filter(|child| inner.has(child))
    }

    pub(crate) fn key(&self, id: &str) -> Option<Key> {
        let found = self.find(&lock(&self.inner), &self.path.join(id));
        found.map(|child| child.node().key)
    }

    pub(crate) fn get<C: Child>(&self, id: &str) -> Option<ChildRef<C>> {
        let found = self.find(&lock(&self.inner), &self.path.join(id));
        found?.typed()
    }

    /// In order of start, which is the order of keys.
    pub(crate) fn ids(&self) -> Vec<String> {
        lock(&self.inner).entries.values().map(|child| child.node().path.id().to_owned()).collect()
    }
}

impl Inner {
    /// The same limits as the child before, if they are equal: in a dynamic branch nearly all are.
    fn share(&mut self, limits: Limits) -> Arc<Limits> {
        match &self.limits {
            Some(before) if **before == limits => Arc::clone(before),
            _ => Arc::clone(self.limits.insert(Arc::new(limits))),
        }
    }

    /// True for a child of this supervisor that is not forgotten.
    fn has(&self, child: &AnyChild) -> bool {
        let node = child.node();
        self.entries.get(&node.key).is_some_and(|entry| Arc::ptr_eq(entry.node(), node))
    }

    pub(crate) fn forget(&mut self, key: Key) {
        self.entries.remove(&key);
        for waiter in self.removed.remove(&key).unwrap_or_default() {
            tell(waiter);
        }
    }
}

pub(crate) fn tell(waiter: oneshot::Sender<()>) {
    let _gone = waiter.send(());
}
