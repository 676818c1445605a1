//! The budgets of routes, as headers show them (discord.com/developers/docs/topics/rate-limits).

use crate::config::Limits;

/// What shares a counter, together with the caller and the channel or guild.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Bucket {
    CreateMessage,
    EditMessage,
    DeleteMessage,
    BulkDelete,
    ReadMessages,
    Gateway,
    ExecuteWebhook,
    EditWebhookMessage,
    DeleteWebhookMessage,
    ReadWebhook,
    Other,
}

#[derive(Clone, Copy)]
pub(super) struct Budget {
    pub(super) limit: u64,
    pub(super) window_ms: u64,
}

impl Bucket {
    pub(super) const fn budget(self, limits: Limits) -> Budget {
        let (limit, window_ms) = match (limits, self) {
            (Limits::None, _) => (1_000_000, 1_000),
            (Limits::Published, Self::CreateMessage | Self::EditMessage) => (5, 5_000),
            (Limits::Published, Self::DeleteMessage | Self::ReadMessages) => (5, 1_000),
            (Limits::Published, Self::BulkDelete) => (1, 1_000),
            (Limits::Published, Self::Gateway) => (2, 5_000),
            (
                Limits::Published,
                Self::ExecuteWebhook
                | Self::EditWebhookMessage
                | Self::DeleteWebhookMessage
                | Self::ReadWebhook,
            ) => (5, 2_000),
            (Limits::Published, Self::Other) => (10, 10_000),
        };
        Budget { limit, window_ms }
    }

    /// The bucket's name in headers. Writing, editing and deleting share a name, yet count apart: a trap that the real
    /// server sets as well.
    pub(super) const fn hash(self) -> &'static str {
        match self {
            Self::CreateMessage | Self::EditMessage | Self::DeleteMessage => {
                "80c17d2f203122d936070c88c8d10f33"
            }
            Self::ReadMessages => "5a06aca6b91ea3a06ac14e0d7aea5bc1",
            Self::BulkDelete => "b05c0d8c2ab83895085006a8eae073a3",
            Self::ExecuteWebhook | Self::EditWebhookMessage | Self::DeleteWebhookMessage => {
                "6c1ca20bb4f2d3ab4bcd1e0dfd3a4ebc"
            }
            Self::ReadWebhook => "2f1c8a5b7e6d4c3b9a80f1e2d3c4b5a6",
            Self::Gateway => "41f9cd5d28af77da04563bcb1d67fdfd",
            Self::Other => "a8c1d3f0c5e64b9a8a1a2f60b1e0a2d7",
        }
    }
}
