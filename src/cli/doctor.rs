//! `doctor`: its flags, and how it ends.

use clap::Args;

use super::args::ConfigArgs;
use super::exit::ExitCode;
use crate::config::Flag;
use crate::services::doctor::Class;

/// `doctor`
#[derive(Args, Clone, Debug)]
pub struct DoctorArgs {
    /// Configuration and data folder.
    #[command(flatten)]
    pub base: ConfigArgs,
    /// Look at a daemon that works against a sandbox: inside it, or the one whose control API is at URL.
    #[arg(long, value_name = "URL", num_args = 0..=1, require_equals = true, default_missing_value = "embedded")]
    pub sandbox: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

impl DoctorArgs {
    /// The flags as the topmost layer.
    #[must_use]
    pub fn flags(&self) -> Vec<Flag> {
        let flag = |mode: &String| Flag { name: "--sandbox", key: "sandbox.mode", value: mode.clone() };
        self.sandbox.iter().map(flag).collect()
    }
}

impl From<Option<Class>> for ExitCode {
    fn from(gravest: Option<Class>) -> Self {
        match gravest {
            None => Self::Ok,
            Some(Class::Platform) => Self::Unavailable,
            Some(Class::Locked) => Self::TryAgain,
            Some(Class::Store) => Self::Io,
            Some(Class::Config) => Self::Config,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_has_its_code() {
        let code = |class| ExitCode::from(class).code();
        let classes = [Class::Config, Class::Store, Class::Locked, Class::Platform].map(Some);
        assert_eq!(classes.map(code), [78, 74, 75, 69]);
        assert_eq!(code(None), 0);
    }
}
