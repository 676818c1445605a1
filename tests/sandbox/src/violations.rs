//! Counters of what clients did that the real platforms forbid.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A rule of a platform that a client broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// A call over a route's published budget.
    DiscordRateLimit,
    /// A call over the bot's 50 requests a second.
    DiscordGlobalRateLimit,
    /// More than 30 messages a minute by the webhooks of one channel.
    DiscordWebhookChannelLimit,
    /// A call for a webhook after the answer that there is none.
    DiscordWebhookGone,
    /// A call made while an earlier 429 still forbade it.
    DiscordCallDuringWait,
    /// An answer that counts against the address: 401, 403, or a 429 that the client brought on itself.
    DiscordInvalidRequest,
    /// A request body that is not what the route takes.
    DiscordMalformedRequest,
    /// A gateway payload that is not JSON of the right shape, or an unknown opcode.
    DiscordGatewayMalformed,
    /// A payload before IDENTIFY, or a second IDENTIFY on one connection.
    DiscordGatewayOrder,
    /// More than 120 gateway payloads in 60 seconds on one connection.
    DiscordGatewayRateLimit,
    /// IDENTIFY more often than once in five seconds.
    DiscordIdentifyRate,
    /// IDENTIFY more than 1,000 times in a day.
    DiscordIdentifyBudget,
    /// A gateway connection that stopped sending heartbeats.
    DiscordHeartbeatMissed,
    /// Bytes that no Telegram transport sends, or a packet over the bound.
    TelegramTransport,
    /// A message in plain text: a key exchange, for which clients must not ask this server.
    TelegramPlaintext,
    /// A packet that does not decrypt, or whose content does not follow the schema.
    TelegramMalformed,
    /// A message id or sequence number that the protocol forbids.
    TelegramBadMessage,
    /// A call before `invokeWithLayer(initConnection(…))` was ever made with the key.
    TelegramNotInited,
    /// A call over a published limit.
    TelegramRateLimit,
    /// A call made while an earlier FLOOD_WAIT still forbade it.
    TelegramCallDuringWait,
    /// A client that does not read what it is sent.
    TelegramSlowReader,
    /// A message of the bot over a published limit.
    BotRateLimit,
    /// A message of the bot while an earlier 429 still forbade it.
    BotCallDuringWait,
    /// A call of the bot whose parameters cannot be read.
    BotMalformedRequest,
}

impl Rule {
    /// The name under which the control API shows the counter.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DiscordRateLimit => "discord.rate_limit",
            Self::DiscordGlobalRateLimit => "discord.global_rate_limit",
            Self::DiscordWebhookChannelLimit => "discord.webhook_channel_limit",
            Self::DiscordWebhookGone => "discord.webhook_gone",
            Self::DiscordCallDuringWait => "discord.call_during_wait",
            Self::DiscordInvalidRequest => "discord.invalid_request",
            Self::DiscordMalformedRequest => "discord.malformed_request",
            Self::DiscordGatewayMalformed => "discord.gateway_malformed",
            Self::DiscordGatewayOrder => "discord.gateway_order",
            Self::DiscordGatewayRateLimit => "discord.gateway_rate_limit",
            Self::DiscordIdentifyRate => "discord.identify_rate",
            Self::DiscordIdentifyBudget => "discord.identify_budget",
            Self::DiscordHeartbeatMissed => "discord.heartbeat_missed",
            Self::TelegramTransport => "telegram.transport",
            Self::TelegramPlaintext => "telegram.plaintext",
            Self::TelegramMalformed => "telegram.malformed",
            Self::TelegramBadMessage => "telegram.bad_message",
            Self::TelegramNotInited => "telegram.not_inited",
            Self::TelegramRateLimit => "telegram.rate_limit",
            Self::TelegramCallDuringWait => "telegram.call_during_wait",
            Self::TelegramSlowReader => "telegram.slow_reader",
            Self::BotRateLimit => "bot.rate_limit",
            Self::BotCallDuringWait => "bot.call_during_wait",
            Self::BotMalformedRequest => "bot.malformed_request",
        }
    }
}

/// Counts by rule. Clones share the counters.
#[derive(Clone, Debug, Default)]
pub struct Violations {
    counts: Arc<Mutex<BTreeMap<&'static str, u64>>>,
}

impl Violations {
    /// Counts one violation of a rule.
    pub fn count(&self, rule: Rule) {
        tracing::warn!(rule = rule.as_str(), "a client broke a rule of its platform");
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = counts.entry(rule.as_str()).or_default();
        *slot = slot.saturating_add(1);
    }

    /// All counters that are not zero, by name.
    #[must_use]
    pub fn snapshot(&self) -> BTreeMap<&'static str, u64> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_rule_through_clones() {
        let violations = Violations::default();
        let handle = violations.clone();
        handle.count(Rule::DiscordRateLimit);
        handle.count(Rule::DiscordRateLimit);
        handle.count(Rule::DiscordGatewayOrder);
        let seen = violations.snapshot();
        assert_eq!(seen.get("discord.rate_limit"), Some(&2));
        assert_eq!(seen.get("discord.gateway_order"), Some(&1));
        assert_eq!(seen.len(), 2);
    }
}
