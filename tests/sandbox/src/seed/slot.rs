//! Which end of which pair a seeded chat is.

use crate::config::PairCounts;
use crate::platform::Platform;

/// From which platform to which a pair goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From Telegram to Discord.
    TelegramToDiscord,
    /// From Telegram to Telegram.
    TelegramToTelegram,
    /// From Discord to Telegram.
    DiscordToTelegram,
    /// From Discord to Discord.
    DiscordToDiscord,
}

/// An end of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// Where messages come from.
    Source,
    /// Where they go.
    Target,
}

/// One end of one pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    /// The pair's direction.
    pub direction: Direction,
    /// Number of the pair among those of its direction, from 0.
    pub index: u16,
    /// The end.
    pub end: End,
}

impl Direction {
    pub(super) const ALL: [Self; 4] =
        [Self::TelegramToDiscord, Self::TelegramToTelegram, Self::DiscordToTelegram, Self::DiscordToDiscord];

    pub(super) const fn count(self, counts: PairCounts) -> u16 {
        match self {
            Self::TelegramToDiscord => counts.telegram_to_discord,
            Self::TelegramToTelegram => counts.telegram_to_telegram,
            Self::DiscordToTelegram => counts.discord_to_telegram,
            Self::DiscordToDiscord => counts.discord_to_discord,
        }
    }

    /// The platform of an end.
    #[must_use]
    pub const fn platform(self, end: End) -> Platform {
        match (self, end) {
            (Self::TelegramToDiscord | Self::TelegramToTelegram, End::Source)
            | (Self::DiscordToTelegram | Self::TelegramToTelegram, End::Target) => Platform::Telegram,
            (Self::DiscordToTelegram | Self::DiscordToDiscord, End::Source)
            | (Self::TelegramToDiscord | Self::DiscordToDiscord, End::Target) => Platform::Discord,
        }
    }

    /// The label under which the pairs' ids are derived.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::TelegramToDiscord => "pair",
            Self::TelegramToTelegram => "pair telegram to telegram",
            Self::DiscordToTelegram => "pair discord to telegram",
            Self::DiscordToDiscord => "pair discord to discord",
        }
    }
}

/// Every end that lies on a platform, by direction, sources before targets.
pub(super) fn slots(platform: Platform, counts: PairCounts) -> impl Iterator<Item = Slot> {
    let ends = Direction::ALL
        .into_iter()
        .flat_map(|direction| [End::Source, End::Target].into_iter().map(move |end| (direction, end)));
    ends.filter(move |(direction, end)| direction.platform(*end) == platform).flat_map(
        move |(direction, end)| (0..direction.count(counts)).map(move |index| Slot { direction, index, end }),
    )
}
