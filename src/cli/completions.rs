//! `lab completions`: completion scripts. They ask lab itself at each tab, so that they also offer
//! files of scenarios, and keys and words for `--set`, and never grow old.

use clap::Args;
use clap_complete::Shell;
use clap_complete::env::Shells;

use super::exit::Exit;
use super::terminal::{complain, print};

/// The variable by which a script asks.
const VARIABLE: &str = "COMPLETE";
/// `clap_complete` does not know that bash cuts `KEY=VALUE` in two.
const BASH: &str = include_str!("completions/lab.bash");
/// `clap_complete` puts a space behind `KEY=`.
const ZSH: &str = include_str!("completions/lab.zsh");

/// Arguments of `lab completions`.
#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Answers a completion script, if that is who asks: then the program ends here.
pub(super) fn answer() {
    clap_complete::CompleteEnv::with_factory(super::command).var(VARIABLE).complete();
}

/// Prints the script.
pub(super) fn run(args: &CompletionsArgs) -> Exit {
    let own = match args.shell {
        Shell::Bash => Some(BASH),
        Shell::Zsh => Some(ZSH),
        _ => None,
    };
    if let Some(own) = own {
        print(own);
        return Exit::Held;
    }
    let shells = Shells::builtins();
    let Some(shell) = shells.completer(&args.shell.to_string()) else {
        complain(&format!("there is no completion for {}", args.shell));
        return Exit::Usage;
    };
    let mut script = Vec::new();
    match shell.write_registration(VARIABLE, "lab", "lab", "lab", &mut script) {
        Ok(()) => {
            print(&String::from_utf8_lossy(&script));
            Exit::Held
        }
        Err(error) => {
            complain(&error);
            Exit::Failed
        }
    }
}
