//! How a command ends, as the shell and a service manager read it (sysexits.h).

/// Exit code of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitCode {
    /// Done.
    Ok,
    /// The command line is wrong, or names what is not there (EX_USAGE).
    Usage,
    /// A port is taken, or the daemon or a platform does not answer or refuses (EX_UNAVAILABLE).
    Unavailable,
    /// The drain was cut short, or something broke inside (EX_SOFTWARE).
    Software,
    /// The disk is full at start, or the store was lost (EX_IOERR).
    Io,
    /// The database is locked, or a second daemon wants the data folder: try again later (EX_TEMPFAIL).
    TryAgain,
    /// The configuration is wrong (EX_CONFIG).
    Config,
}

impl ExitCode {
    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Usage => 64,
            Self::Unavailable => 69,
            Self::Software => 70,
            Self::Io => 74,
            Self::TryAgain => 75,
            Self::Config => 78,
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.code())
    }
}
