//! The HTTP surface: thin, on actix-web. It checks the request, calls a service and shows the answer; errors are problem
//! documents, every one.

mod actor;
mod address;
pub mod api;
mod changes;
mod extract;
mod middleware;
mod operator;
pub mod problem;
mod routes;
mod server;
mod state;
mod strict;
mod tls;
mod transport;
mod wire;

pub use actor::{HttpActor, HttpArgs};
pub use routes::{
    Accepted, AccountOrder, AdminList, HealthStatus, LoginAnswerOrder, LoginMethod, LoginOrder, PlanOrder,
    QueuesOrder, RemoveQuery, RemovedPair, RestartOrder, SessionsOrder, SupervisionPage, SuspendOrder, Taken,
    table,
};
pub use server::{HttpHandle, HttpServer, Sockets, serve};
pub use state::{HttpState, Services};
pub use tls::{ServerTls, TlsError};
