//! Section `log`: how much is logged, and in which form.

use serde::Deserialize;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::check::Check;

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// A line for people.
    Text,
    /// A JSON object per line.
    Json,
}

/// Logs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// The form.
    pub format: LogFormat,
    /// The level, or directives as in `info,switchyard=debug`.
    pub level: String,
}

impl LogConfig {
    pub(super) fn check(&self, check: &mut Check<'_>) {
        // A filter takes a misspelt level for the name of a target: each directive must end in a level.
        let level =
            |directive: &str| directive.rsplit('=').next().map(str::trim).map(str::parse::<LevelFilter>);
        let sound = self.level.split(',').all(|directive| matches!(level(directive), Some(Ok(_))))
            && EnvFilter::try_new(&self.level).is_ok();
        check.refuse_if(
            !sound,
            "log.level",
            "it must be a level (error, warn, info, debug, trace) or directives such as \"info,switchyard=debug\"",
        );
    }
}
