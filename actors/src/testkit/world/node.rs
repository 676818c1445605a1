//! One node: a whole tree over the shared store and platform, which starts, dies, is drained and stands still.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::task::JoinHandle;

use super::Sabotage;
use super::book::{Book, Life};
use super::dice::Dice;
use super::plan::node_id;
use super::promise::Promise;
use super::store::{NodeStore, UNSUPERVISED};
use super::weather::Weather;
use crate::model::{AccountId, IdSource, PairId};
use crate::ports::{Clock, ConnectionError};
use crate::supervision::{ChildPath, DrainReport, NodeState, NodeView, RuntimeConfig, Tree};
use crate::testkit::SeededRng;
use crate::tree::{Assignments, Deps, Failpoints, Links, Operator, Root};

/// A start that takes longer is given up and tried again.
const START_LIMIT: Duration = Duration::from_secs(40);

/// The mark that a process runs; dropping it is its death.
struct Process(Arc<AtomicBool>);

impl Drop for Process {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// A tree that runs. Fields are dropped in this order: first the process is dead, then its tree goes.
struct Up {
    _process: Process,
    watcher: JoinHandle<()>,
    root: Root,
    failpoints: Arc<Failpoints>,
}

impl Drop for Up {
    fn drop(&mut self) {
        self.watcher.abort();
    }
}

#[derive(Default)]
struct Slot {
    up: Option<Up>,
    starting: Option<JoinHandle<()>>,
    /// The stores of all lives so far: none may outlive its life.
    stores: Vec<(Life, Weak<NodeStore>)>,
    /// Children that were removed in this life.
    removed: Vec<String>,
    /// What a sabotage keeps of the stores.
    kept: Vec<Arc<NodeStore>>,
}

/// See the module. Clones are the same node.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) index: usize,
    weather: Arc<Weather>,
    clock: Arc<dyn Clock>,
    dice: Rc<Dice>,
    slot: Rc<RefCell<Slot>>,
}

impl Node {
    /// A node that does not run yet.
    pub(super) fn new(index: usize, seed: u64, weather: Arc<Weather>, clock: Arc<dyn Clock>) -> Self {
        let dice = Rc::new(Dice::new(seed, &format!("node {index}")));
        Self { index, weather, clock, dice, slot: Rc::default() }
    }

    fn book(&self) -> &Arc<Book> {
        &self.weather.book
    }

    /// Begins to start, unless it runs or starts already.
    pub(super) fn start(&self) {
        let mut slot = self.slot.borrow_mut();
        if slot.up.is_some() || slot.starting.is_some() {
            return;
        }
        let node = self.clone();
        slot.starting = Some(actix_rt::spawn(async move { node.bring_up().await }));
    }

    async fn bring_up(self) {
        loop {
            let started = tokio::time::timeout(START_LIMIT, UNSUPERVISED.scope((), self.attempt())).await;
            match started {
                Ok(Ok(up)) => {
                    self.book().log.note(&format!("node {} is up", self.index));
                    let mut slot = self.slot.borrow_mut();
                    (slot.up, slot.starting) = (Some(up), None);
                    return;
                }
                Ok(Err(error)) => {
                    self.book().log.note(&format!("node {} cannot start: {error}", self.index));
                }
                Err(_) => self.book().log.note(&format!("node {} does not come up", self.index)),
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    async fn attempt(&self) -> Result<Up, String> {
        let life = self.book().born(self.index);
        self.book().log.note(&format!("node {} starts, life {}", self.index, life.number));
        let view = self.weather.views.get(self.index).ok_or("no such node")?;
        let alive = Arc::new(AtomicBool::new(true));
        let process = Process(Arc::clone(&alive));
        let store = Arc::new(NodeStore::new(view.store.clone(), Arc::clone(&self.weather), life, alive));
        self.remember(life, &store);
        let rng = Arc::new(SeededRng::new(self.dice.seed()));
        let failpoints = Arc::new(Failpoints::default());
        let plan = &self.book().plan;
        let deps = Deps {
            store,
            connector: Arc::new(self.weather.platform.clone()),
            clock: Arc::clone(&self.clock),
            rng: rng.clone(),
            ids: IdSource::new(Arc::clone(&self.clock), rng),
            config: Arc::new(plan.config.clone()),
            failpoints: Arc::clone(&failpoints),
            links: Arc::new(Links::default()),
            assignments: Arc::new(Assignments::default()),
            post: None,
        };
        let config = RuntimeConfig { seed: self.dice.seed(), ..RuntimeConfig::default() };
        let root = Root::build(deps, plan.supervision(), config).map_err(|error| error.to_string())?;
        let watch = Watch { node: self.clone(), tree: root.tree(), known: BTreeMap::new() };
        let watcher = actix_rt::spawn(watch.run());
        let up = Up { _process: process, watcher, root, failpoints };
        up.root.fill().await.map_err(|error| error.to_string())?;
        up.root.start().await;
        Ok(up)
    }

    fn remember(&self, life: Life, store: &Arc<NodeStore>) {
        let mut slot = self.slot.borrow_mut();
        slot.removed.clear();
        slot.stores.push((life, Arc::downgrade(store)));
        if self.weather.sabotage == Some(Sabotage::StoresAreKept) {
            slot.kept.push(Arc::clone(store));
        }
    }

    /// Dies at once: what is in memory is gone, what is in the store stays, and the platform sees its connections end.
    pub(super) fn kill(&self) {
        let (up, starting) = {
            let mut slot = self.slot.borrow_mut();
            (slot.up.take(), slot.starting.take())
        };
        if let Some(starting) = starting {
            starting.abort();
        }
        drop(up);
        self.weather.freeze(self.index, false);
        self.book().blow(None);
        self.book().crash_all();
        let gone = ConnectionError::Unreachable("its process is gone".to_owned());
        self.weather.platform.hang_up(|caller| caller.node == node_id(self.index), &gone);
    }

    /// Drains for at most `limit`, then is gone; what was unfinished. None when it does not run.
    pub(super) async fn drain(&self, limit: Duration) -> Option<DrainReport> {
        let drained = self.slot.borrow().up.as_ref().map(|up| up.root.drain(limit));
        let report = drained?.await;
        // It may have been killed meanwhile.
        self.kill();
        Some(report)
    }

    /// An operator's way in, while it runs.
    pub(super) fn operator(&self) -> Option<Operator> {
        self.slot.borrow().up.as_ref().map(|up| up.root.operator())
    }

    /// Arms a failpoint of the life that runs now.
    pub(super) fn arm(&self, failpoint: &str) {
        if let Some(up) = self.slot.borrow().up.as_ref()
            && let Err(error) = up.failpoints.arm(failpoint)
        {
            self.book().breaks(Promise::Upright, &format!("failpoint {failpoint} is refused: {error}"));
        }
    }

    /// Disarms every failpoint of the life that runs now.
    pub(super) fn disarm(&self) {
        if let Some(up) = self.slot.borrow().up.as_ref() {
            up.failpoints.disarm();
        }
    }

    /// Ends when it runs.
    pub(super) async fn until_up(&self) {
        while !self.is_up() {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// Whether it neither runs nor starts.
    pub(super) fn is_idle(&self) -> bool {
        let slot = self.slot.borrow();
        slot.up.is_none() && slot.starting.is_none()
    }

    /// Whether it runs.
    pub(super) fn is_up(&self) -> bool {
        self.slot.borrow().up.is_some()
    }

    /// A child was removed.
    pub(super) fn removes(&self, path: String) {
        self.slot.borrow_mut().removed.push(path);
    }

    /// The children that were removed in this life.
    pub(super) fn removed(&self) -> Vec<String> {
        self.slot.borrow().removed.clone()
    }

    /// All children, while it runs.
    pub(super) fn children(&self) -> Vec<NodeView> {
        let tree = self.slot.borrow().up.as_ref().map(|up| up.root.tree());
        tree.map(|tree| tree.snapshot(&ChildPath::root())).unwrap_or_default()
    }

    /// The lives of which something is left.
    pub(super) fn leftovers(&self) -> Vec<Life> {
        let slot = self.slot.borrow();
        slot.stores.iter().filter(|(_, store)| store.strong_count() > 0).map(|(life, _)| *life).collect()
    }
}

/// Follows what becomes of a tree's children: for the log, and for what senders may have lost.
struct Watch {
    node: Node,
    tree: Tree,
    known: BTreeMap<ChildPath, (NodeState, u64)>,
}

impl Watch {
    async fn run(mut self) {
        let mut changes = self.tree.changes();
        loop {
            for path in changes.next().await {
                if let Some(view) = self.tree.view(&path) {
                    self.look(&path, &view);
                }
            }
        }
    }

    fn look(&mut self, path: &ChildPath, view: &NodeView) {
        let (book, index) = (self.node.book(), self.node.index);
        let bound = book.plan.mailbox.get();
        if view.depth > bound {
            let how = format!("{path} on node {index} holds {} messages of {bound}", view.depth);
            book.breaks(Promise::Bounds, &how);
        }
        let before = self.known.insert(path.clone(), (view.state, view.epoch));
        if before == Some((view.state, view.epoch)) {
            return;
        }
        if let Some((state, epoch)) = before
            && (state == NodeState::Running || epoch < view.epoch)
        {
            self.lost(path, view.epoch.saturating_sub(epoch).max(1));
        }
        // Everybody starts; that is no news.
        if before.is_none() || view.state == NodeState::Starting {
            return;
        }
        let why =
            view.reason.clone().or_else(|| view.last_failure.as_ref().map(|last| last.failure.text.clone()));
        let why = if view.state == NodeState::Running { None } else { why };
        let why = why.map_or_else(String::new, |why| format!(": {why}"));
        book.log.note(&format!("node {index} {path} is {:?}, epoch {}{why}", view.state, view.epoch));
        book.count(match view.state {
            NodeState::Parked => "children parked",
            NodeState::Backoff => "children failed",
            NodeState::Suspended => "children suspended",
            _ => "children otherwise",
        });
    }

    /// Instances ended: what they knew and had not written is lost.
    fn lost(&self, path: &ChildPath, times: u64) {
        let id = path.as_str().split_once('/').map(|(kind, id)| (kind, id.to_owned()));
        let book = self.node.book();
        match id {
            Some(("pairs", id)) => {
                if let Ok(pair) = id.parse::<PairId>() {
                    book.crashed(pair, times);
                }
            }
            Some(("queues" | "sessions" | "throttles", id)) => {
                book.blow(id.parse::<AccountId>().ok());
            }
            _ => {}
        }
    }
}
