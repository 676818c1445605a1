//! One connector for accounts of every kind: it hands each to its platform's.

use std::sync::Arc;

use async_trait::async_trait;
use switchyard_actors::model::Platform;
use switchyard_actors::ports::{ConnectRequest, Connection, ConnectionError, PlatformConnector};

/// Connects accounts of both platforms.
#[derive(Clone)]
pub struct Connectors {
    telegram: Arc<dyn PlatformConnector>,
    discord: Arc<dyn PlatformConnector>,
}

impl Connectors {
    /// Joins the platforms' connectors.
    #[must_use]
    pub fn new(telegram: Arc<dyn PlatformConnector>, discord: Arc<dyn PlatformConnector>) -> Self {
        Self { telegram, discord }
    }
}

#[async_trait]
impl PlatformConnector for Connectors {
    async fn connect(&self, request: ConnectRequest) -> Result<Connection, ConnectionError> {
        let connector = match request.account.kind.platform() {
            Platform::Telegram => &self.telegram,
            Platform::Discord => &self.discord,
        };
        connector.connect(request).await
    }
}
