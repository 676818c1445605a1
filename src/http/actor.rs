//! The HTTP actor: hosts the server in the tree. A restart serves on the same socket, which the process keeps.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use serde_json::{Value, json};
use switchyard_actors::supervision::{Child, Cx, LoadEnv, LoadError, Loaded};

use crate::config::HttpConfig;

use super::server::{HttpHandle, HttpServer, Sockets, serve};
use super::state::HttpState;
use super::tls::ServerTls;

/// What the server is put together from.
#[derive(Clone)]
pub struct HttpArgs {
    /// The socket; kept here so that connections wait in its backlog while the actor restarts.
    pub listener: Arc<TcpListener>,
    /// The socket of the metrics, where they are served.
    pub metrics: Option<Arc<TcpListener>>,
    /// What it serves.
    pub state: Arc<HttpState>,
    /// Its bounds.
    pub config: HttpConfig,
}

/// The HTTP actor.
pub struct HttpActor {
    address: SocketAddr,
    metrics: Option<SocketAddr>,
    handle: HttpHandle,
    server: Option<HttpServer>,
    state: Arc<HttpState>,
    tls: Option<Arc<ServerTls>>,
}

impl Child for HttpActor {
    type Args = HttpArgs;

    const KIND: &'static str = "http";

    fn load(args: HttpArgs, _: LoadEnv) -> LocalBoxFuture<'static, Result<Loaded<Self>, LoadError>> {
        async move {
            let retry =
                |error: std::io::Error| LoadError::Retry(format!("HTTP server cannot start: {error}"));
            let api = args.listener.try_clone().map_err(retry)?;
            let metrics =
                args.metrics.as_ref().map(|socket| socket.try_clone()).transpose().map_err(retry)?;
            let metrics_address = metrics.as_ref().map(TcpListener::local_addr).transpose().map_err(retry)?;
            let sockets = Sockets { api, metrics };
            let server = serve(sockets, Arc::clone(&args.state), &args.config).map_err(retry)?;
            let (address, handle) = (server.address(), server.handle());
            Ok(Loaded::Ready(Self {
                address,
                metrics: metrics_address,
                handle,
                server: Some(server),
                tls: args.state.tls().cloned(),
                state: args.state,
            }))
        }
        .boxed_local()
    }

    fn started(&mut self, cx: &mut Cx<'_, Self>) {
        let Some(server) = self.server.take() else { return };
        // A task of its own: futures of this child are gone when it drains, and the server must still finish its requests.
        let running = tokio::spawn(server.run());
        cx.serve(running, |_, ended, cx| match ended {
            Ok(Ok(())) => cx.fail("HTTP server ended"),
            Ok(Err(error)) => cx.fail(format!("HTTP server failed: {error}")),
            Err(error) => cx.fail(format!("HTTP server broke: {error}")),
        });
        if let Some(tls) = self.tls.clone() {
            cx.serve(tls.watch(), |_, ended, cx| cx.fail(format!("certificates are not watched: {ended}")));
        }
    }

    fn drain(&mut self, _: &mut Cx<'_, Self>) -> LocalBoxFuture<'static, ()> {
        let handle = self.handle.clone();
        // A stream has no end of its own: the server would wait for it in vain.
        if let Ok(services) = self.state.services() {
            services.events.end_all();
        }
        async move { handle.stop().await }.boxed_local()
    }

    fn snapshot(&self) -> Value {
        let metrics = self.metrics.map(|address| address.to_string());
        json!({ "listen": self.address.to_string(), "metrics": metrics })
    }
}

impl Drop for HttpActor {
    /// However this instance ended, its workers must not go on beside those of the next. The order is given by the call;
    /// after a good stop there is nobody left to take it.
    fn drop(&mut self) {
        drop(self.handle.cut());
    }
}
