//! The form of a bot's token. Tokens of people are refused by their look, before anything is asked of Discord.

use secrecy::SecretString;

/// Not a bot's token.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("this is not a bot's token; user tokens are refused")]
pub(super) struct NoBotToken;

/// The bare token, with or without `Bot ` before it.
///
/// # Errors
/// [`NoBotToken`]: tokens are words of base64, and those of people with a second factor begin with `mfa.`.
pub(super) fn parse(text: &str) -> Result<SecretString, NoBotToken> {
    let token = text.trim_start();
    let token = token.strip_prefix("Bot ").unwrap_or(token).trim();
    let sound = token.chars().all(|char| char.is_ascii_graphic());
    if token.is_empty() || token.starts_with("mfa.") || !sound {
        return Err(NoBotToken);
    }
    Ok(SecretString::from(token))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_bots_token_is_taken_with_and_without_its_scheme() {
        for text in ["MTA.b.c", " Bot MTA.b.c\n"] {
            assert_eq!(parse(text).unwrap().expose_secret(), "MTA.b.c");
        }
        for text in ["", "Bot ", "mfa.secret", "Bot mfa.secret", "two words", "MTA\u{e9}.b.c", "a\u{7}"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
