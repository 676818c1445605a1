//! Supervisors as the composition root and the domain see them: handles to add and remove children.

use std::{future::Future, mem, sync::Arc, time::Duration};

use futures_util::future::{self, LocalBoxFuture};

use super::{
    cell::{AddError, BranchCell},
    child::{Child, LoadEnv, LoadError, Loaded},
    context::Cx,
    core::{CorePolicy, EndHow, Event},
    host::Ending,
    path::{ChildPath, Segment},
    reference::ChildRef,
    spec::{BranchSpec, ChildSpec},
};

/// How much earlier than a branch its children have to be gone.
const HEAD_START: Duration = Duration::from_millis(20);

/// A handle to a supervisor; usable from any thread.
#[derive(Clone, Debug)]
pub struct Branch {
    pub(crate) cell: Arc<BranchCell>,
}

impl Branch {
    /// Adds a child. Before the branch is started it only takes its place in the order; afterwards it starts at once.
    /// The handle works right away: messages wait until the child is up.
    ///
    /// # Errors
    /// [`AddError`]: a bad spec, an id that is taken, or a branch that is stopping.
    pub fn add<C: Child>(&self, mut spec: ChildSpec<C>) -> Result<ChildRef<C>, AddError> {
        let path = self.cell.path.child(&Segment::parse(mem::take(&mut spec.id))?);
        self.cell.add(path, spec, None)
    }

    /// Adds a supervisor below this one.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn add_branch(&self, spec: BranchSpec) -> Result<Self, AddError> {
        let path = self.cell.path.child(&spec.check()?);
        Self::add_at(&self.cell, path, spec, false)
    }

    pub(crate) fn add_at(
        parent: &Arc<BranchCell>,
        path: ChildPath,
        spec: BranchSpec,
        root: bool,
    ) -> Result<Self, AddError> {
        let policy = CorePolicy { parks_escalated: root, ..spec.core };
        let cell = BranchCell::new(&parent.world, path.clone(), policy);
        let child = ChildSpec::<Supervisor>::new(spec.id, Arc::clone(&cell)).policy(spec.policy);
        parent.add(path, child, Some(Arc::clone(&cell)))?;
        Ok(Self { cell })
    }

    /// Stops a child in good order and forgets its spec. The request is made by the call itself; the future is there
    /// to wait for the end. False when there is no such child.
    pub fn remove(&self, id: &str) -> impl Future<Output = bool> + Send + use<> {
        let gone = self.cell.remove(id);
        async move {
            let Some(gone) = gone else { return false };
            // The waiter is dropped when the whole runtime goes: the child is gone either way.
            let _told_or_dropped = gone.await;
            true
        }
    }

    /// The child of this id, if it is of this type.
    #[must_use]
    pub fn get<C: Child>(&self, id: &str) -> Option<ChildRef<C>> {
        self.cell.get(id)
    }

    /// The supervisor of this id below this one.
    #[must_use]
    pub fn branch(&self, id: &str) -> Option<Self> {
        Some(Self { cell: self.cell.branch(self.cell.key(id)?)? })
    }

    /// Ids of all children, in order of start.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        self.cell.ids()
    }

    /// Where this supervisor stands.
    #[must_use]
    pub fn path(&self) -> &ChildPath {
        &self.cell.path
    }

    /// Waits until every child had its first attempt to start.
    pub fn settled(&self) -> impl Future<Output = ()> + Send + use<> {
        let settled = self.cell.settled();
        async move {
            let _gone = settled.await;
        }
    }
}

/// The child that stands for a supervisor in the tree.
pub(crate) struct Supervisor {
    cell: Arc<BranchCell>,
}

impl Child for Supervisor {
    type Args = Arc<BranchCell>;

    const KIND: &'static str = "supervisor";

    fn load(cell: Self::Args, _env: LoadEnv) -> LocalBoxFuture<'static, Result<Loaded<Self>, LoadError>> {
        Box::pin(future::ready(Ok(Loaded::Ready(Self { cell }))))
    }

    fn started(&mut self, _cx: &mut Cx<'_, Self>) {
        self.cell.step(Event::Begin);
    }

    fn drain(&mut self, cx: &mut Cx<'_, Self>) -> LocalBoxFuture<'static, ()> {
        let (ending, deadline) = cx.ending().unwrap_or((Ending::Stop, None));
        let how = if ending == Ending::Restart { EndHow::Halt } else { EndHow::Stop };
        let world = &self.cell.world;
        // Its children are to be gone before it is: at the same moment either could come first.
        let ended = self.cell.end(how, deadline.map(|at| world.moment(at).saturating_sub(HEAD_START)));
        Box::pin(async move {
            let _gone = ended.await;
        })
    }
}
