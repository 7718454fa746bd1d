//! `lab completions`: completion scripts, from the same definition as the arguments themselves.

use clap::Args;
use clap_complete::Shell;

use super::exit::Exit;
use super::terminal::print;

/// Arguments of `lab completions`.
#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Prints the script.
pub(super) fn run(args: &CompletionsArgs, mut command: clap::Command) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "lab", &mut script);
    print(&String::from_utf8_lossy(&script));
    Exit::Held
}
