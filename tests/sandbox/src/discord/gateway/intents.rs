//! Gateway intents: what a session asked to be told (discord.com/developers/docs/events/gateway#gateway-intents).

const GUILDS: u64 = 1 << 0;
pub(crate) const GUILD_MEMBERS: u64 = 1 << 1;
const GUILD_WEBHOOKS: u64 = 1 << 5;
pub(crate) const GUILD_PRESENCES: u64 = 1 << 8;
const GUILD_MESSAGES: u64 = 1 << 9;
/// Needed for what others write.
pub(crate) const MESSAGE_CONTENT: u64 = 1 << 15;
/// What a bot must be given before it may ask for it.
const PRIVILEGED: u64 = GUILD_MEMBERS | GUILD_PRESENCES | MESSAGE_CONTENT;
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
    /// Reads what a bot asks for that was given some of the privileged intents.
    pub(crate) const fn parse(bits: u64, given: u64) -> Result<Self, IntentsError> {
        if bits & !KNOWN != 0 {
            return Err(IntentsError::Unknown);
        }
        if bits & PRIVILEGED & !given != 0 {
            return Err(IntentsError::Disallowed);
        }
        Ok(Self(bits))
    }

    pub(crate) const fn guilds(self) -> bool {
        self.0 & GUILDS != 0
    }

    pub(crate) const fn guild_webhooks(self) -> bool {
        self.0 & GUILD_WEBHOOKS != 0
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
        let parse = |bits| Intents::parse(bits, MESSAGE_CONTENT);
        assert_eq!(parse(1 << 1), Err(IntentsError::Disallowed));
        assert_eq!(parse(1 << 8), Err(IntentsError::Disallowed));
        assert_eq!(parse(1 << 17), Err(IntentsError::Unknown));
        assert_eq!(parse(1 << 40), Err(IntentsError::Unknown));
        let all = parse(1 | (1 << 9) | (1 << 15)).unwrap();
        assert!(all.guilds() && all.guild_messages() && all.message_content());
        assert!(!parse(0).unwrap().message_content());
        assert_eq!(Intents::parse(MESSAGE_CONTENT, 0), Err(IntentsError::Disallowed));
        assert!(Intents::parse(GUILD_MEMBERS, GUILD_MEMBERS).is_ok());
    }
}
