//! The bot's transport on the threads of platforms' clients.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use switchyard_actors::model::ChatId;
use switchyard_actors::ports::{BotChannel, BotFault, BotIdentity, BotOutcome, BotUpdate};

use super::{OnThreads, there};

const ENDING: &str = "the process is shutting down";

#[async_trait]
impl<B: BotChannel + 'static> BotChannel for OnThreads<B> {
    async fn me(&self) -> Result<BotIdentity, BotFault> {
        let inner = Arc::clone(&self.inner);
        let told = there(&self.runtime, async move { inner.me().await }).await;
        told.unwrap_or_else(|| Err(BotFault::Unreachable(ENDING.to_owned())))
    }

    async fn send(&self, chat: ChatId, html: &str) -> BotOutcome {
        let (inner, html) = (Arc::clone(&self.inner), html.to_owned());
        let sent = there(&self.runtime, async move { inner.send(chat, &html).await }).await;
        sent.unwrap_or_else(|| BotOutcome::Unclear { error: ENDING.to_owned() })
    }

    async fn updates(&self, from: i64, wait: Duration) -> Result<Vec<BotUpdate>, BotFault> {
        let inner = Arc::clone(&self.inner);
        let seen = there(&self.runtime, async move { inner.updates(from, wait).await }).await;
        seen.unwrap_or_else(|| Err(BotFault::Unreachable(ENDING.to_owned())))
    }
}
