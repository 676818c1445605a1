//! How the sandbox's HTTP servers are run: bound, told apart from signals, stopped at once.

use std::net::{Shutdown, SocketAddr};
use std::num::NonZeroUsize;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::rt::net::TcpStream;
use actix_web::web::ServiceConfig;
use actix_web::{App, HttpServer};
use tokio_util::task::TaskTracker;

/// Longer than the 90 s for which HTTP clients keep idle connections, so that it is them who close.
const KEEP_ALIVE: Duration = Duration::from_secs(120);

/// A running HTTP server.
#[derive(Debug)]
pub(crate) struct HttpHandle {
    pub(crate) address: SocketAddr,
    handle: ServerHandle,
    task: TaskTracker,
}

impl HttpHandle {
    /// Cuts every connection and waits until the server's threads are told to end.
    pub(crate) async fn stop(&self) {
        self.handle.stop(false).await;
        self.task.close();
        self.task.wait().await;
    }
}

/// What is kept of an accepted connection: a second handle to its socket, with which a fault can cut it.
#[derive(Clone, Debug)]
pub(crate) struct Cut(Arc<OwnedFd>);

impl Cut {
    /// Ends the connection in both directions; whatever is still written to it goes nowhere.
    pub(crate) fn now(&self) {
        let Ok(socket) = self.0.try_clone().map(std::net::TcpStream::from) else { return };
        if let Err(error) = socket.shutdown(Shutdown::Both) {
            tracing::debug!(%error, "the connection to be cut was already gone");
        }
    }
}

/// Binds an address and serves an application on it.
pub(crate) fn serve<F>(
    address: SocketAddr,
    workers: NonZeroUsize,
    configure: F,
) -> std::io::Result<HttpHandle>
where
    F: Fn(&mut ServiceConfig) + Send + Clone + 'static,
{
    let server = HttpServer::new(move || App::new().configure(configure.clone()))
        .workers(workers.get())
        .keep_alive(KEEP_ALIVE)
        .disable_signals()
        .on_connect(|connection, extensions| {
            let Some(stream) = connection.downcast_ref::<TcpStream>() else { return };
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "a connection was gone before it was served");
            }
            if let Ok(socket) = stream.as_fd().try_clone_to_owned() {
                extensions.insert(Cut(Arc::new(socket)));
            }
        })
        .bind(address)?;
    let address = server.addrs().first().copied().ok_or(std::io::ErrorKind::AddrNotAvailable)?;
    let server = server.run();
    let handle = server.handle();
    let task = TaskTracker::new();
    task.spawn(async move {
        if let Err(error) = server.await {
            tracing::error!(%error, "an HTTP server of the sandbox ended with an error");
        }
    });
    Ok(HttpHandle { address, handle, task })
}
