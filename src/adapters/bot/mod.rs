//! The bot's platform: Telegram's Bot API over HTTP (core.telegram.org/bots/api).

mod answer;
mod client;

pub use client::BotApi;
