//! What a daemon stands on before it has a store: its folder, its keys, its sandbox, and a port that already answers.

use std::net::SocketAddr;
use std::sync::Arc;

use switchyard_actors::model::IdSource;
use switchyard_actors::ports::{Clock, Rng};

use super::{Embedded, StartError, embed, io, listen, serve_early, surface};
use crate::config::{Config, SandboxMode};
use crate::crypto::{KeySources, Keyring};
use crate::http::{HttpArgs, HttpHandle, HttpState};
use crate::services::operator::OperatorAccess;
use crate::store::DataDir;

/// See the module.
pub(super) struct Ground {
    pub(super) data_dir: DataDir,
    pub(super) keyring: Keyring,
    pub(super) embedded: Option<Embedded>,
    pub(super) http: Arc<HttpState>,
    pub(super) server: HttpArgs,
    /// Answers 503 until the tree's own server takes the port.
    pub(super) early: HttpHandle,
    pub(super) address: SocketAddr,
    /// Where metrics are served.
    pub(super) metrics: Option<SocketAddr>,
}

impl Ground {
    /// Takes all of it, or nothing.
    pub(super) async fn take(
        config: &Config,
        sources: &KeySources,
        (clock, rng, ids): (&Arc<dyn Clock>, &Arc<dyn Rng>, &IdSource),
    ) -> Result<Self, StartError> {
        if config.sandbox.mode == SandboxMode::Off {
            // Before a data folder is made: without a key there is nothing to put into it.
            sources.load()?;
        }
        // Before the port: of two daemons on one folder the second is told that, also where they share a port.
        let data_dir = DataDir::lock(&config.data_dir, ids)?;
        let (socket, address) = listen(config.http.listen)?;
        let (metrics_socket, metrics) = match config.http.metrics_listen {
            Some(address) => listen(address).map(|(socket, bound)| (Some(Arc::new(socket)), Some(bound)))?,
            None => (None, None),
        };
        let keyring = sources.load()?;
        let embedded = embed(config, &keyring).await?;
        let access = OperatorAccess::generate(address, rng.as_ref());
        let http = surface(config, &access, clock, rng)?;
        let server = HttpArgs {
            listener: Arc::new(socket),
            metrics: metrics_socket,
            state: Arc::clone(&http),
            config: config.http.clone(),
        };
        let early = serve_early(&server).map_err(|source| StartError::Listen { address, source })?;
        access
            .publish(data_dir.path())
            .map_err(|error| io("the operator's token cannot be written", error))?;
        Ok(Self { data_dir, keyring, embedded, http, server, early, address, metrics })
    }
}
