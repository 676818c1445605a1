//! What the tests of this adapter share.

use crate::config::{Config, DiscordConfig, Sources};

/// The section `discord` as it is compiled in.
pub(super) fn config() -> DiscordConfig {
    Config::load(&Sources::default()).unwrap().discord
}
