//! The one thread on which serenity's gateway clients run.
//!
//! serenity starts a task per event; only on a single thread do they keep their order.

use std::io;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// A current-thread runtime on a thread of its own. Dropping it ends the thread and every task on it.
pub(super) struct GatewayRuntime {
    handle: Handle,
    /// Dropped with the runtime: the thread waits for that.
    _alive: oneshot::Sender<()>,
}

impl GatewayRuntime {
    /// Starts the thread.
    ///
    /// # Errors
    /// [`io::Error`] if the system gives no thread or no event queue.
    pub(super) fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (alive, ended) = oneshot::channel::<()>();
        std::thread::Builder::new().name("discord-gateway".to_owned()).spawn(move || {
            // The sender is never used: an error is how its end looks.
            let _ = runtime.block_on(ended);
            runtime.shutdown_background();
        })?;
        Ok(Self { handle, _alive: alive })
    }

    /// Where to spawn.
    pub(super) const fn handle(&self) -> &Handle {
        &self.handle
    }
}
