//! Section `mail`: how letters leave.

use std::num::NonZeroUsize;

use serde::Deserialize;

use super::check::Check;

/// Letters.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailConfig {
    /// Sender, as `Name <address>` or the bare address.
    pub from: String,
    /// Letters kept in the folder `mail` of the data folder.
    pub letters_max: NonZeroUsize,
}

impl MailConfig {
    pub(super) fn check(&self, check: &mut Check<'_>) {
        check.refuse_if(!self.from.contains('@'), "mail.from", "it must be an e-mail address");
    }
}
