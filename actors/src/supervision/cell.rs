//! A supervisor at work: its decision core, its children's entries, and the execution of what the core decides.

use std::{
    any::Any,
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, OnceLock, Weak, atomic::Ordering},
    time::Duration,
};

use tokio::sync::oneshot;

use super::{
    backoff::jitter_key,
    child::Child,
    command::Command,
    core::{Action, Core, CorePolicy, EndHow, Event, Exit, Key, SlotPolicy, SlotView},
    directory::Listed,
    event::Happening,
    failure::{Failure, Phase},
    node::{Node, lock},
    path::ChildPath,
    reference::ChildRef,
    runner::Runner,
    spec::{ChildSpec, Policy, SpecError},
    state::{Counts, NodeState, Refusal},
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

/// Why an instance ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Because<'a> {
    Nothing,
    /// What it said.
    Said(&'a str),
    Failed(&'a Failure),
}

impl<'a> Because<'a> {
    const fn failure(self) -> Option<&'a Failure> {
        match self {
            Self::Failed(failure) => Some(failure),
            Self::Nothing | Self::Said(_) => None,
        }
    }
}

impl fmt::Display for Because<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("ended normally"),
            Self::Said(text) => f.write_str(text),
            Self::Failed(failure) => failure.fmt(f),
        }
    }
}

#[derive(Clone)]
struct Entry {
    node: Arc<Node>,
    /// Set when the child is itself a supervisor.
    branch: Option<Arc<BranchCell>>,
    reference: Arc<dyn Any + Send + Sync>,
}

struct Inner {
    core: Core,
    entries: BTreeMap<Key, Entry>,
    ids: HashMap<String, Key>,
    next: Key,
    /// Why the branch is giving up.
    chain: Option<String>,
    settled: Vec<oneshot::Sender<()>>,
    ended: Vec<oneshot::Sender<()>>,
    removed: HashMap<Key, Vec<oneshot::Sender<()>>>,
}

/// See the module. No foreign code runs inside its lock, and no two cells are ever locked at once.
pub(crate) struct BranchCell {
    pub(crate) world: Arc<World>,
    pub(crate) path: ChildPath,
    inner: Mutex<Inner>,
    counts: Arc<Counts>,
    own: OnceLock<(Weak<BranchCell>, Key, Weak<Node>)>,
}

impl fmt::Debug for BranchCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BranchCell({})", self.path)
    }
}

impl BranchCell {
    pub(crate) fn new(world: &Arc<World>, path: ChildPath, policy: CorePolicy) -> Arc<Self> {
        Arc::new(Self {
            world: Arc::clone(world),
            path,
            inner: Mutex::new(Inner {
                core: Core::new(policy),
                entries: BTreeMap::new(),
                ids: HashMap::new(),
                next: 0,
                chain: None,
                settled: Vec::new(),
                ended: Vec::new(),
                removed: HashMap::new(),
            }),
            counts: Arc::default(),
            own: OnceLock::new(),
        })
    }

    /// Tells the core what happened and does what it says.
    pub(crate) fn step(&self, event: Event) {
        self.step_because(event, Because::Nothing);
    }

    /// An instance of a child ended.
    pub(crate) fn exited(&self, key: Key, exit: Exit, because: Because<'_>) {
        self.step_because(Event::Exited { key, exit }, because);
    }

    fn step_because(&self, event: Event, because: Because<'_>) {
        let now = self.world.now();
        let (up, work) = {
            let mut inner = lock(&self.inner);
            let actions = inner.core.step(event, now);
            let up = match event {
                Event::Up { key } => inner.entries.get(&key).cloned(),
                _ => None,
            };
            let work: Vec<_> = actions
                .into_iter()
                .map(|action| {
                    let entry = key_of(action).and_then(|key| inner.entries.get(&key).cloned());
                    if let Action::Forget { key } = action {
                        inner.forget(key);
                    }
                    (action, entry)
                })
                .collect();
            (up, work)
        };
        if let Some(entry) = up {
            self.world.emit(&entry.node, Happening::Started { epoch: entry.node.epoch() });
        }
        for (action, entry) in work {
            match entry {
                Some(entry) => self.act_on_child(action, &entry, because),
                None => self.act_on_self(action),
            }
        }
    }

    fn act_on_child(&self, action: Action, entry: &Entry, because: Because<'_>) {
        let node = &entry.node;
        match action {
            Action::Start { .. } => {
                node.set_state(NodeState::Starting);
                node.command(Command::Start);
            }
            Action::Restart { key, delay } => self.restart_child(node, key, delay, because),
            Action::Park { cause, probe_in, .. } => {
                let reason = because.to_string();
                node.set_state(NodeState::Parked);
                node.plan(probe_in, Some(reason.clone()));
                node.command(Command::Park { probe_in });
                if let Some(branch) = &entry.branch {
                    branch.step(Event::Shelve);
                }
                self.world.emit(node, Happening::Parked { cause, reason, probe_in });
            }
            Action::Unparked { by, .. } => self.world.emit(node, Happening::Unparked { by }),
            Action::Halt { deadline, .. } => {
                node.command(Command::Halt { deadline: deadline.map(|at| self.world.instant(at)) })
            }
            Action::Hold { .. } => {
                node.set_state(NodeState::Starting);
                node.command(Command::Hold);
            }
            Action::Shelve { .. } => {
                node.set_state(NodeState::Parked);
                node.plan(None, Some(format!("branch {} is parked", self.path)));
                node.command(Command::Hold);
                if let Some(branch) = &entry.branch {
                    branch.step(Event::Shelve);
                }
            }
            Action::Rest { .. } => {
                node.set_state(NodeState::Stopped);
                node.command(Command::Hold);
                self.world.emit(node, Happening::Stopped { clean: true });
            }
            Action::Stop { deadline, .. } => {
                node.command(Command::Stop { deadline: deadline.map(|at| self.world.instant(at)) })
            }
            Action::Retire { .. } => node.command(Command::End),
            Action::Forget { .. } => {
                node.command(Command::End);
                self.world.unlist(node);
            }
            Action::Kill { .. } => {
                node.command(Command::Kill);
                if let Some(branch) = &entry.branch {
                    branch.step(Event::Abandon);
                }
            }
            Action::Escalating { .. } => self.escalating(node, because),
            Action::Fail { .. } | Action::Settled | Action::Ended => self.act_on_self(action),
        }
    }

    fn restart_child(&self, node: &Arc<Node>, key: Key, delay: Duration, because: Because<'_>) {
        node.set_state(NodeState::Backoff);
        node.plan(Some(delay), None);
        node.count_restart();
        node.command(Command::Restart { delay });
        let restarts_in_window = self.slot(key).map_or(0, |slot| slot.restarts_in_window);
        let failure = because.failure().cloned();
        self.world.emit(node, Happening::Restarting { failure, delay, restarts_in_window });
    }

    fn act_on_self(&self, action: Action) {
        match action {
            Action::Settled => {
                if let Some((parent, key, node)) = self.own() {
                    node.set_state(NodeState::Running);
                    parent.step(Event::Up { key });
                }
                let settled = std::mem::take(&mut lock(&self.inner).settled);
                settled.into_iter().for_each(tell);
            }
            Action::Ended => {
                let ended = std::mem::take(&mut lock(&self.inner).ended);
                ended.into_iter().for_each(tell);
            }
            Action::Fail { .. } => self.fail(),
            _ => {}
        }
    }

    /// The branch gives up: the chain of causes, leaf last, goes with its own failure.
    fn escalating(&self, culprit: &Node, because: Because<'_>) {
        let chain = format!("{} gave up: too many restarts, last of {}: {because}", self.path, culprit.path);
        lock(&self.inner).chain = Some(chain.clone());
        if let Some((_, _, node)) = self.own() {
            self.world.emit(&node, Happening::Escalated { chain });
        }
    }

    /// All children are down after giving up.
    fn fail(&self) {
        let chain = lock(&self.inner).chain.take().unwrap_or_default();
        if let Some((_, _, node)) = self.own() {
            node.command(Command::Fail(Failure::new(Phase::Escalation, chain)));
        }
    }

    fn own(&self) -> Option<(Arc<Self>, Key, Arc<Node>)> {
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
        let policy = spec.policy.clone();
        let (key, reference) = {
            let mut inner = lock(&self.inner);
            if !inner.core.accepts() || self.world.draining.load(Ordering::Acquire) {
                return Err(AddError::Stopping);
            }
            if inner.ids.contains_key(path.id()) {
                return Err(AddError::Duplicate(path));
            }
            let family = (&self.counts, branch.as_ref().map(|cell| Arc::clone(&cell.counts)));
            let node = Node::new(&self.world, path.clone(), C::KIND, family, policy.mailbox.get());
            let key = inner.next;
            inner.next = key.saturating_add(1);
            if let Some(cell) = &branch {
                let _first = cell.own.set((Arc::downgrade(self), key, Arc::downgrade(&node)));
            }
            let reference = Runner::launch(self, key, node, spec)?;
            let entry =
                Entry { node: Arc::clone(reference.node()), branch, reference: Arc::new(reference.clone()) };
            inner.ids.insert(path.id().to_owned(), key);
            inner.entries.insert(key, entry.clone());
            let listed =
                Listed { node: entry.node, parent: Arc::downgrade(self), key, reference: entry.reference };
            self.world.list(listed);
            (key, reference)
        };
        let policy = slot_policy(&policy, self.world.config.seed, &path);
        self.step(Event::Added { key, policy });
        Ok(reference)
    }

    /// Removes a child; the receiver hears once it is gone.
    pub(crate) fn remove(&self, id: &str) -> Option<oneshot::Receiver<()>> {
        let key = self.key(id)?;
        let (gone, receiver) = oneshot::channel();
        lock(&self.inner).removed.entry(key).or_default().push(gone);
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
            inner.settled.push(done)
        }
        receiver
    }

    /// A branch below was ended by force: so is everything in it.
    pub(crate) fn abandon(&self, key: Key) {
        let branch = lock(&self.inner).entries.get(&key).and_then(|entry| entry.branch.clone());
        if let Some(branch) = branch {
            branch.step(Event::Abandon);
        }
    }

    /// An admin restarts a child.
    pub(crate) fn restart(&self, key: Key) -> Result<(), Refusal> {
        if !lock(&self.inner).core.is_live() {
            return Err(Refusal::Stopped);
        }
        self.step(Event::Restart { key });
        Ok(())
    }

    pub(crate) fn slot(&self, key: Key) -> Option<SlotView> {
        lock(&self.inner).core.slot(key, self.world.now())
    }

    fn key(&self, id: &str) -> Option<Key> {
        lock(&self.inner).ids.get(id).copied()
    }

    pub(crate) fn get<C: Child>(&self, id: &str) -> Option<ChildRef<C>> {
        let key = self.key(id)?;
        lock(&self.inner).entries.get(&key)?.reference.downcast_ref::<ChildRef<C>>().cloned()
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        let inner = lock(&self.inner);
        let mut ids: Vec<_> = inner.ids.iter().map(|(id, key)| (*key, id.clone())).collect();
        ids.sort_unstable();
        ids.into_iter().map(|(_, id)| id).collect()
    }
}

impl Inner {
    fn forget(&mut self, key: Key) {
        if let Some(entry) = self.entries.remove(&key) {
            self.ids.remove(entry.node.path.id());
        }
        for waiter in self.removed.remove(&key).unwrap_or_default() {
            tell(waiter);
        }
    }
}

fn tell(waiter: oneshot::Sender<()>) {
    let _gone = waiter.send(());
}

fn slot_policy(policy: &Policy, seed: u64, path: &ChildPath) -> SlotPolicy {
    SlotPolicy {
        restart: policy.restart,
        backoff: policy.backoff,
        intensity: policy.intensity,
        probe: policy.probe,
        jitter_key: jitter_key(seed, path.as_str()),
    }
}

/// The child an action is about.
const fn key_of(action: Action) -> Option<Key> {
    match action {
        Action::Start { key }
        | Action::Restart { key, .. }
        | Action::Park { key, .. }
        | Action::Unparked { key, .. }
        | Action::Halt { key, .. }
        | Action::Hold { key }
        | Action::Shelve { key }
        | Action::Rest { key }
        | Action::Stop { key, .. }
        | Action::Retire { key }
        | Action::Forget { key }
        | Action::Kill { key } => Some(key),
        Action::Escalating { culprit } => Some(culprit),
        Action::Fail { .. } | Action::Settled | Action::Ended => None,
    }
}
