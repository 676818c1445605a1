//! Gateway intents: what a session asked to be told (discord.com/developers/docs/events/gateway#gateway-intents).

const GUILDS: u64 = 1 << 0;
const GUILD_MEMBERS: u64 = 1 << 1;
const GUILD_PRESENCES: u64 = 1 << 8;
const GUILD_MESSAGES: u64 = 1 << 9;
const MESSAGE_CONTENT: u64 = 1 << 15;
/// Bits 0 to 16, 20, 21, 24 and 25 have a meaning.
const KNOWN: u64 = 0x1_ffff | (0b11 << 20) | (0b11 << 24);

/// Why intents are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IntentsError {
    /// A bit without a meaning.
    Unknown,
    /// A privileged intent that the bot was not given.
    Disallowed,
}

/// A valid set of intents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Intents(u64);

impl Intents {
    /// Bots of the sandbox have the message content intent, and not the other two privileged ones.
    pub(crate) const fn parse(bits: u64) -> Result<Self, IntentsError> {
        if bits & !KNOWN != 0 {
            return Err(IntentsError::Unknown);
        }
        if bits & (GUILD_MEMBERS | GUILD_PRESENCES) != 0 {
            return Err(IntentsError::Disallowed);
        }
        Ok(Self(bits))
    }

    pub(crate) const fn guilds(self) -> bool {
        self.0 & GUILDS != 0
    }

    pub(crate) const fn guild_messages(self) -> bool {
        self.0 & GUILD_MESSAGES != 0
    }

    pub(crate) const fn message_content(self) -> bool {
        self.0 & MESSAGE_CONTENT != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn privileged_and_unknown_bits_are_refused() {
        assert_eq!(Intents::parse(1 << 1), Err(IntentsError::Disallowed));
        assert_eq!(Intents::parse(1 << 8), Err(IntentsError::Disallowed));
        assert_eq!(Intents::parse(1 << 17), Err(IntentsError::Unknown));
        assert_eq!(Intents::parse(1 << 40), Err(IntentsError::Unknown));
        let all = Intents::parse(1 | (1 << 9) | (1 << 15)).unwrap();
        assert!(all.guilds() && all.guild_messages() && all.message_content());
        assert!(!Intents::parse(0).unwrap().message_content());
    }
}
