//! `lab sandbox`: holds a container's network namespace while the program in it comes and goes.

use std::process::ExitCode;

use super::exit::Exit;
use super::terminal::{fail, print};
use crate::host::child::{die_with_parent, told_to_stop};

/// Does nothing until it is told to stop or its standard input closes.
#[must_use]
pub(super) fn run() -> ExitCode {
    die_with_parent();
    print("holding\n");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.and_then(|runtime| runtime.block_on(told_to_stop())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(Exit::Failed, &error),
    }
}
