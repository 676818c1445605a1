//! Puts the work of platforms' clients on threads of its own: what an actor asks of a client is carried out there, and the
//! actor's thread only waits for the answer.

mod bot;
mod login;

use std::future::Future;
use std::panic::resume_unwind;
use std::sync::Arc;

use async_trait::async_trait;
use switchyard_actors::model::{Place, SendOutcome};
use switchyard_actors::ports::{
    ChatDirectory, ConnectRequest, Connection, ConnectionError, KnownChat, Look, MessageSender, Need,
    PlatformConnector, SendReport, SendRequest,
};
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;

/// Runs a platform's client on a runtime: a connector and all that it connects, sign-ins, the bot's transport.
pub struct OnThreads<C> {
    inner: Arc<C>,
    runtime: Handle,
}

impl<C> OnThreads<C> {
    /// A client whose work is done on the threads of `runtime`.
    pub fn new(inner: C, runtime: Handle) -> Self {
        Self { inner: Arc::new(inner), runtime }
    }
}

/// Carries out some work on the runtime's threads; `None` when that is shutting down. The work ends with whoever waits for
/// it, and so does its panic.
async fn there<T: Send + 'static>(
    runtime: &Handle,
    work: impl Future<Output = T> + Send + 'static,
) -> Option<T> {
    match AbortOnDropHandle::new(runtime.spawn(work)).await {
        Ok(answer) => Some(answer),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            Err(_cancelled) => None,
        },
    }
}

fn shutting_down() -> ConnectionError {
    ConnectionError::Unreachable("the process is shutting down".to_owned())
}

#[async_trait]
impl<C: PlatformConnector + 'static> PlatformConnector for OnThreads<C> {
    async fn connect(&self, request: ConnectRequest) -> Result<Connection, ConnectionError> {
        let inner = Arc::clone(&self.inner);
        let connected = there(&self.runtime, async move { inner.connect(request).await }).await;
        let connection = connected.unwrap_or_else(|| Err(shutting_down()))?;
        let runtime = &self.runtime;
        let sender = connection
            .sender
            .map(|inner| -> Arc<dyn MessageSender> { Arc::new(Sender { inner, runtime: runtime.clone() }) });
        let chats = connection
            .chats
            .map(|inner| -> Arc<dyn ChatDirectory> { Arc::new(Chats { inner, runtime: runtime.clone() }) });
        // The connection lives where it was made: a source only hands over what came.
        Ok(Connection { sender, chats, ..connection })
    }
}

struct Sender {
    inner: Arc<dyn MessageSender>,
    runtime: Handle,
}

#[async_trait]
impl MessageSender for Sender {
    async fn send(&self, request: SendRequest) -> SendReport {
        let inner = Arc::clone(&self.inner);
        let sent = there(&self.runtime, async move { inner.send(request).await }).await;
        let error = || "the process is shutting down".to_owned();
        sent.unwrap_or_else(|| SendReport { outcome: SendOutcome::Unclear { error: error() }, hint: None })
    }

    fn knows_repeats(&self) -> bool {
        self.inner.knows_repeats()
    }

    async fn look(&self, place: Place, need: Need) -> Look {
        let inner = Arc::clone(&self.inner);
        let seen = there(&self.runtime, async move { inner.look(place, need).await }).await;
        seen.unwrap_or_else(|| Look::Unknown("the process is shutting down".to_owned()))
    }
}

struct Chats {
    inner: Arc<dyn ChatDirectory>,
    runtime: Handle,
}

#[async_trait]
impl ChatDirectory for Chats {
    async fn chats(&self) -> Result<Arc<Vec<KnownChat>>, ConnectionError> {
        let inner = Arc::clone(&self.inner);
        let named = there(&self.runtime, async move { inner.chats().await }).await;
        named.unwrap_or_else(|| Err(shutting_down()))
    }
}
