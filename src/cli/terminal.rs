//! What the terminal can do: colour, and whether anyone is looking.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use super::exit::Exit;
use crate::report::Paint;

/// Whether to colour stdout: on a terminal that can, or anywhere with `CLICOLOR_FORCE`
/// (<https://bixense.com/clicolors>); never with `NO_COLOR` (<https://no-color.org>).
pub(super) fn paint() -> Paint {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if set("NO_COLOR").is_some() {
        return Paint::Plain;
    }
    let forced = set("CLICOLOR_FORCE").is_some_and(|value| value != "0");
    let can = std::io::stdout().is_terminal() && set("TERM").is_none_or(|term| term != "dumb");
    if forced || can { Paint::Ansi } else { Paint::Plain }
}

/// Writes to stdout. A reader that has closed its end has what it wanted, so that is no error.
pub(super) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// An error, as every command shows it on stderr.
pub(super) fn complain(error: &dyn std::fmt::Display) {
    eprintln!("error: {error}");
}

/// Complains, and gives the exit code that goes with it.
pub(super) fn fail(exit: Exit, error: &dyn std::fmt::Display) -> ExitCode {
    complain(error);
    exit.into()
}
