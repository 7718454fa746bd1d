//! `lab man`: manual pages, from the same definition as the arguments themselves.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use super::exit::Exit;
use super::terminal::{complain, print};

/// Print a manual page, or write all of them
#[derive(Args, Debug)]
pub(super) struct ManArgs {
    /// The command whose page is printed; without it that of lab
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
    /// Write every page into this folder, made if need be, and print nothing
    #[arg(long, value_name = "FOLDER", conflicts_with = "command")]
    into: Option<PathBuf>,
}

/// What holds for all commands.
const EXIT_STATUS: &[(&str, &str)] = &[
    ("0", "everything held"),
    ("1", "the run failed"),
    ("2", "wrong usage, or a wrong scenario"),
    ("3", "a check or a threshold failed"),
    ("4", "the live measurement is not valid"),
    ("130", "interrupted; what was measured is kept, and marked partial"),
];
const ENVIRONMENT: &[(&str, &str)] = &[
    ("NO_COLOR", "no colour, whatever the terminal can do"),
    ("CLICOLOR_FORCE", "colour also where the output is no terminal, unless it is 0"),
    ("ENVOY", "the program of Envoy, where it is not on PATH"),
    ("DOCKER_HOST", "the socket of Docker's daemon"),
    ("COMPLETE", "set by completion scripts alone"),
];

/// Prints or writes.
pub(super) fn run(args: &ManArgs) -> Exit {
    // Built, every command knows its whole name.
    let mut command = super::command().disable_help_subcommand(true);
    command.build();
    let done = match &args.into {
        Some(folder) => write(&command, folder),
        None => match named(&command, &args.command) {
            Some(command) => page(command).map(|page| print(&String::from_utf8_lossy(&page))),
            None => {
                complain(&format!("there is no command `{}`", args.command.join(" ")));
                return Exit::Usage;
            }
        },
    };
    match done {
        Ok(()) => Exit::Held,
        Err(error) => {
            complain(&format!("cannot write the manual: {error}"));
            Exit::Failed
        }
    }
}

fn named<'a>(command: &'a Command, names: &[String]) -> Option<&'a Command> {
    names.iter().try_fold(command, |command, name| command.find_subcommand(name))
}

/// The page of each command that is shown, and of those below it.
fn write(command: &Command, folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let name = Man::new(command.clone()).get_filename();
    let partial = folder.join(format!(".{name}"));
    fs::write(&partial, page(command)?)?;
    fs::rename(&partial, folder.join(name))?;
    command
        .get_subcommands()
        .filter(|sub| !sub.is_hide_set())
        .try_for_each(|sub| write(sub, folder))
}

fn page(command: &Command) -> io::Result<Vec<u8>> {
    let man = Man::new(command.clone());
    let mut page = title(command).into_bytes();
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    if command.get_arguments().any(|arg| !arg.is_hide_set()) {
        man.render_options_section(&mut page)?;
    }
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    if let Some(after) = command.get_after_long_help().or_else(|| command.get_after_help()) {
        page.write_all(as_written("EXAMPLES", &after.to_string()).as_bytes())?;
    }
    if command.get_bin_name().is_none_or(|name| !name.contains(' ')) {
        page.write_all(list("EXIT STATUS", EXIT_STATUS).as_bytes())?;
        page.write_all(list("ENVIRONMENT", ENVIRONMENT).as_bytes())?;
    }
    man.render_version_section(&mut page)?;
    Ok(page)
}

/// Without a date, so that the same lab writes the same page. (`roff` leaves an empty argument out.)
fn title(command: &Command) -> String {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    let version = env!("CARGO_PKG_VERSION");
    format!(".TH {name} 1 \"\" \"lab {version}\" \"Manual of lab\"\n")
}

/// A section whose lines stay as they are.
fn as_written(heading: &str, text: &str) -> String {
    let mut roff = Roff::new();
    roff.control("SH", [heading]);
    roff.control("nf", []);
    for line in text.lines().filter(|line| !matches!(*line, "Examples:" | "Example:" | "")) {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
    roff.render()
}

fn list(heading: &str, items: &[(&str, &str)]) -> String {
    let mut roff = Roff::new();
    roff.control("SH", [heading]);
    for (name, about) in items {
        roff.control("TP", []);
        roff.text([roman(*name)]);
        roff.text([roman(*about)]);
    }
    roff.render()
}
