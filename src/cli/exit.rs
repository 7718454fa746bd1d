//! The exit codes of every subcommand.

use std::process::ExitCode;

/// How a command ended, as its exit code says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything held.
    Held = 0,
    /// The run failed.
    Failed = 1,
    /// Wrong usage or a wrong scenario.
    Usage = 2,
    /// A check failed.
    CheckFailed = 3,
    /// The measurement is not valid.
    Invalid = 4,
    /// Interrupted; what was measured is kept.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
