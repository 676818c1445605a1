//! The threads of a process: the actors' own, and those on which platforms' clients do their work.

use std::future::Future;
use std::io;

use tokio::runtime::Builder;

/// Runs a future on an actix system of this thread, until it ends. What it and its actors start by `tokio::spawn`, and
/// their timers and sockets, belong to a runtime with threads of its own.
///
/// This thread is parked by a runtime of its own, which has nothing else to do. A thread that waits in the `block_on` of a
/// multi-thread runtime is parked by the same thread-local token that `mpsc::Receiver::try_recv` of tokio waits with while a
/// send is half done (`CachedParkThread`, tokio 1.54 `sync/mpsc/chan.rs`): a wake that comes within that moment is used up
/// there, and no actor runs ever again.
///
/// # Errors
/// The system gives no threads.
pub fn run_system<F: Future>(future: F) -> io::Result<F::Output> {
    let work = Builder::new_multi_thread().enable_all().build()?;
    let parking = Builder::new_current_thread().build()?;
    let system = actix::System::with_tokio_rt(move || parking);
    Ok(system.block_on(async {
        let _entered = work.enter();
        future.await
    }))
}
