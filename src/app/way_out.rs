//! The way out while the actors' thread is blocked: a thread of its own that hears the same signals and ends the process.
//!
//! Signals, the drain and its deadline are polled on the actors' thread. A handler that blocks there holds up all of them,
//! and without this nothing but kill -9 would end the daemon.

use std::io;
use std::process;
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use switchyard_actors::supervision::{NodeState, Tree};
use tokio::runtime::Builder;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::signals::Signals;
use crate::cli::ExitCode;

/// What a daemon in good order may need beyond the deadline of its drain, each part for up to a second or so: threads that
/// are left behind, the store, the embedded sandbox. With the default deadline all of it is less than the 30 s after which
/// managers of containers kill.
const SLACK: Duration = Duration::from_secs(4);
/// The same after a second signal.
const HURRY: Duration = Duration::from_secs(3);
/// How long the last words may take: who blocks the actors' thread may hold the log as well.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The watching thread. It lasts as long as the process: whoever comes out in time takes it along.
pub(super) struct WayOut(Arc<Shared>);

#[derive(Default)]
struct Shared {
    tree: OnceLock<Tree>,
    begun: Notify,
}

impl WayOut {
    /// Hears signals from now on.
    ///
    /// # Errors
    /// The system gives no thread, or no signals.
    pub(super) fn watch(drain_deadline: Duration) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let mut signals = {
            let _entered = runtime.enter();
            Signals::new()?
        };
        let shared = Arc::new(Shared::default());
        let watched = Arc::clone(&shared);
        thread::Builder::new().name("way out".to_owned()).spawn(move || {
            runtime.block_on(overdue(&mut signals, &watched.begun, drain_deadline));
            leave(watched)
        })?;
        Ok(Self(shared))
    }

    /// From now on it can say who is left behind.
    pub(super) fn knows(&self, tree: Tree) {
        let _one_daemon_has_one_tree = self.0.tree.set(tree);
    }

    /// The drain begins, whether or not by a signal.
    pub(super) fn drain_begins(&self) {
        self.0.begun.notify_one();
    }
}

/// Ends when the ordinary way out has had its time.
async fn overdue(signals: &mut Signals, begun: &Notify, drain_deadline: Duration) {
    tokio::select! {
        () = signals.stop() => {}
        () = begun.notified() => {}
    }
    let second = timeout(drain_deadline.saturating_add(SLACK), signals.stop()).await;
    if second.is_ok() {
        sleep(HURRY).await;
    }
}

/// Ends the process, whatever becomes of the last words.
fn leave(shared: Arc<Shared>) -> ! {
    let (said, heard) = mpsc::channel();
    let _without_a_thread_nothing_is_said =
        thread::Builder::new().name("last words".to_owned()).spawn(move || {
            last_words(shared.tree.get());
            let _in_vain_when_it_took_too_long = said.send(());
        });
    let _said_or_not = heard.recv_timeout(LAST_WORDS);
    process::exit(ExitCode::Software.code().into())
}

fn last_words(tree: Option<&Tree>) {
    let at_work: Vec<String> =
        tree.iter().flat_map(|tree| tree.at_work()).map(|path| path.to_string()).collect();
    let blocked_by = if at_work.is_empty() { "no actor".to_owned() } else { at_work.join(", ") };
    let unfinished = tree.map_or(0, in_service);
    tracing::error!(
        blocked_by,
        unfinished,
        "the way out was blocked and the process ends; work waits in the store"
    );
}

/// How many children are still up, branches included.
fn in_service(tree: &Tree) -> usize {
    let counts = tree.counts();
    counts
        .iter()
        .filter(|(state, _)| !matches!(state, NodeState::Parked | NodeState::Stopped))
        .map(|(_, n)| n)
        .sum()
}
