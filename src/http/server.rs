//! The server: actix-web on a socket that the caller owns, within bounds, stopped by a handle.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use actix_http::error::DispatchError;
use actix_http::{HttpService, Protocol};
use actix_server::{Server, ServerBuilder, ServerHandle};
use actix_service::{IntoServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::AppConfig;
use actix_web::middleware::from_fn;
use actix_web::{App, rt, web};

use crate::config::HttpConfig;

use super::address::TrustedProxies;
use super::middleware::{Edge, edge, from_allowed_networks, when_serving};
use super::routes;
use super::state::{Bounds, HttpState};
use super::transport::Door;
use super::wire::WireStream;

/// A server that was put together and not yet run.
pub struct HttpServer {
    address: SocketAddr,
    server: Server,
}

/// Stops a server.
#[derive(Clone)]
pub struct HttpHandle(ServerHandle);

impl HttpHandle {
    /// Takes no more connections and ends when running requests are done, or after `http.stop_deadline`.
    pub async fn stop(&self) {
        self.0.stop(true).await;
    }

    /// Ends at once, with the running requests. The order is given by the call itself.
    pub fn cut(&self) -> impl Future<Output = ()> + use<> {
        self.0.stop(false)
    }
}

impl HttpServer {
    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What stops it.
    #[must_use]
    pub fn handle(&self) -> HttpHandle {
        HttpHandle(self.server.handle())
    }

    /// Serves until it is stopped. Signals are the program's affair, not the server's.
    ///
    /// # Errors
    /// What the sockets say.
    pub async fn run(self) -> io::Result<()> {
        self.server.await
    }
}

/// The sockets of a server, which already listen.
#[derive(Debug)]
pub struct Sockets {
    /// Of the API.
    pub api: TcpListener,
    /// Of the metrics, on this machine only.
    pub metrics: Option<TcpListener>,
}

impl From<TcpListener> for Sockets {
    /// The API alone.
    fn from(api: TcpListener) -> Self {
        Self { api, metrics: None }
    }
}

/// Puts a server together. Metrics have a socket of their own and the same workers.
///
/// # Errors
/// What the sockets say.
pub fn serve(
    sockets: impl Into<Sockets>,
    state: Arc<HttpState>,
    config: &HttpConfig,
) -> io::Result<HttpServer> {
    let sockets = sockets.into();
    let address = sockets.api.local_addr()?;
    let builder = Server::build()
        .workers(config.workers.get())
        .max_concurrent_connections(config.connections_max.get().div_ceil(config.workers.get()))
        .backlog(config.backlog.get())
        .shutdown_timeout(config.stop_deadline.as_secs().max(1))
        .disable_signals();
    let stopping = builder.graceful_shutdown_signal();
    let builder = match sockets.metrics {
        Some(listener) => serve_metrics(builder, listener, Arc::clone(&state), config)?,
        None => builder,
    };
    let config = config.clone();
    let server = builder
        .listen("http", sockets.api, move || {
            let (state, stopping, bounds) = (Arc::clone(&state), stopping.clone(), Bounds::from(&config));
            let app = App::new()
                .app_data(web::Data::from(Arc::clone(&state)))
                .app_data(web::Data::new(bounds))
                .app_data(web::Data::new(TrustedProxies::from(&config)))
                .app_data(web::Data::new(Edge::new(&config, state.tls().is_some())))
                .configure(routes::configure)
                .wrap(from_fn(from_allowed_networks))
                .wrap(from_fn(when_serving))
                .wrap(from_fn(edge))
                .into_factory()
                .map_err(|error: actix_web::Error| error.error_response());
            let http = HttpService::build()
                .graceful_shutdown_signal(move || {
                    let stopping = stopping.clone();
                    async move { stopping.notified().await }
                })
                .keep_alive(config.keep_alive)
                .client_request_timeout(config.head_timeout)
                .local_addr(address)
                .finish(map_config(app, |()| AppConfig::default()));
            let door = Door::new(&state, &config.tls);
            fn_service(move |stream: rt::net::TcpStream| {
                let (state, door) = (Arc::clone(&state), door.clone());
                async move {
                    let peer = stream.peer_addr().ok();
                    let stream = door.open(stream, peer, &state).await.map_err(DispatchError::Io)?;
                    Ok((WireStream::new(stream, state), Protocol::Http1, peer))
                }
            })
            .and_then(http)
        })?
        .run();
    Ok(HttpServer { address, server })
}

/// Metrics are asked for on this machine: in plain text, whatever the API speaks.
fn serve_metrics(
    builder: ServerBuilder,
    listener: TcpListener,
    state: Arc<HttpState>,
    config: &HttpConfig,
) -> io::Result<ServerBuilder> {
    let (address, config) = (listener.local_addr()?, config.clone());
    let stopping = builder.graceful_shutdown_signal();
    builder.listen("metrics", listener, move || {
        let (state, stopping, bounds) = (Arc::clone(&state), stopping.clone(), Bounds::from(&config));
        let app = App::new()
            .app_data(web::Data::from(Arc::clone(&state)))
            .app_data(web::Data::new(bounds))
            .app_data(web::Data::new(TrustedProxies::from(&config)))
            .app_data(web::Data::new(Edge::new(&config, false)))
            .configure(routes::configure_metrics)
            .wrap(from_fn(edge))
            .into_factory()
            .map_err(|error: actix_web::Error| error.error_response());
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .keep_alive(config.keep_alive)
            .client_request_timeout(config.head_timeout)
            .local_addr(address)
            .finish(map_config(app, |()| AppConfig::default()));
        fn_service(move |stream: rt::net::TcpStream| {
            let state = Arc::clone(&state);
            async move {
                let peer = stream.peer_addr().ok();
                Ok::<_, DispatchError>((WireStream::new(stream, state), Protocol::Http1, peer))
            }
        })
        .and_then(http)
    })
}
