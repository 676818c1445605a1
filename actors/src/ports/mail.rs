//! Letters to people, by whatever carries them.

use std::fmt;

use async_trait::async_trait;
use secrecy::SecretString;
use thiserror::Error;

/// A letter in plain text. Its text may hold a token: it is in no log.
#[derive(Clone)]
pub struct Letter {
    /// To which address.
    pub to: String,
    /// Subject, without line breaks.
    pub subject: String,
    /// Text.
    pub text: SecretString,
}

impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Letter").field("subject", &self.subject).finish_non_exhaustive()
    }
}

/// Why a letter did not leave.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MailError {
    /// It never will: the address or the text cannot be used.
    #[error("letter cannot be sent: {0}")]
    Refused(String),
    /// Another try may succeed.
    #[error("letter could not be sent: {0}")]
    Unavailable(String),
}

/// Sends letters.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Hands a letter over.
    ///
    /// # Errors
    /// [`MailError`].
    async fn send(&self, letter: &Letter) -> Result<(), MailError>;
}
