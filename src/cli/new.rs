//! `lab new`: the beginning of something of one's own, or of a scenario from what is there already.

mod from;
mod template;

use std::fs::File;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;

use super::exit::Exit;
use super::terminal::{complain, print};
use crate::policy::Policy;
use crate::policy::balance::check_names;

/// The worked example, of which a new policy is a copy under another name.
const EXAMPLE: &str = include_str!("../../examples/quickest_of_two.rs");
const EXAMPLE_SCENARIO: &str = include_str!("../../examples/quickest_of_two.toml");
const EXAMPLE_NAME: &str = "quickest_of_two";

/// Arguments of `lab new`.
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true).args(["name", "policy", "from"]))]
pub(super) struct NewArgs {
    /// Name of the scenario; with --from it may be left out
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// What the scenario begins as
    #[arg(long, value_enum, default_value = "start", conflicts_with_all = ["from", "policy"])]
    template: template::Template,
    /// Write a balancing policy with this name, its test, and a scenario for it
    #[arg(long, value_name = "NAME", conflicts_with_all = ["from", "name"])]
    policy: Option<String>,
    #[command(flatten)]
    from: from::FromArgs,
    /// The folder to write into; for a policy a checkout of lab
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    into: PathBuf,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
enum NewError {
    #[error("`{0}` is no name for a scenario: letters, digits, `-` and `_`; --into names a folder")]
    ScenarioName(String),
    #[error(transparent)]
    Name(#[from] crate::policy::RegisterError),
    #[error(
        "{} is no checkout of lab: name one with --into, or run this in one",
        .0.display()
    )]
    NoCheckout(PathBuf),
    #[error("{} is there already, and stays as it is", .0.display())]
    Exists(PathBuf),
    #[error("cannot write {}: {error}", .path.display())]
    Write { path: PathBuf, error: io::Error },
    #[error("cannot read {}: {error}", .path.display())]
    Read { path: PathBuf, error: io::Error },
    #[error(transparent)]
    Import(#[from] crate::import::ImportError),
    #[error("what was written would be no right scenario; please report this:\n{0}")]
    Wrong(crate::scenario::Diagnostics),
}

/// Writes the files and tells what to do next.
pub(super) fn run(args: &NewArgs) -> Exit {
    let written = match (&args.policy, &args.name) {
        (Some(name), _) => write(name, args).map(|()| next_steps(name)),
        (None, Some(name)) if !args.from.is_given() => {
            template::write(name, args.template, &args.into)
        }
        (None, name) => from::write(&args.from, name.as_deref(), &args.into),
    };
    match written {
        Ok(text) => {
            print(&text);
            Exit::Held
        }
        Err(error) => {
            complain(&error);
            let failed = matches!(error, NewError::Write { .. } | NewError::Wrong(_));
            if failed { Exit::Failed } else { Exit::Usage }
        }
    }
}

fn write(name: &str, args: &NewArgs) -> Result<(), NewError> {
    // The name lives as long as the program, which ends with this command.
    let leaked: &'static str = Box::leak(name.to_owned().into_boxed_str());
    check_names(&[Policy { name: leaked, make: || unreachable!("it is not made here") }])?;
    if !is_checkout(&args.into) {
        return Err(NewError::NoCheckout(args.into.clone()));
    }
    let folder = args.into.join("examples");
    std::fs::create_dir_all(&folder)
        .map_err(|error| NewError::Write { path: folder.clone(), error })?;
    let files = [("rs", EXAMPLE), ("toml", EXAMPLE_SCENARIO)]
        .map(|(extension, text)| (folder.join(format!("{name}.{extension}")), renamed(text, name)));
    // Both or none.
    if let Some((path, _)) = files.iter().find(|(path, _)| path.exists()) {
        return Err(NewError::Exists(path.clone()));
    }
    files.into_iter().try_for_each(|(path, text)| write_new(path, &text))
}

/// Never over a file that is there.
fn write_new(path: PathBuf, text: &str) -> Result<(), NewError> {
    let written = File::create_new(&path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => NewError::Exists(path),
        _ => NewError::Write { path, error },
    })
}

/// Whether `folder` holds the package this program was built from.
fn is_checkout(folder: &Path) -> bool {
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
    let table: Option<toml::Table> = manifest.parse().ok();
    let name = table.as_ref().and_then(|table| table.get("package")?.get("name")?.as_str());
    name == Some(env!("CARGO_PKG_NAME"))
}

/// The example's text with its name, and the name of its type, replaced.
fn renamed(text: &str, name: &str) -> String {
    text.replace(EXAMPLE_NAME, name).replace(&type_name(EXAMPLE_NAME), &type_name(name))
}

/// `quickest_of_two` as the name of a type.
fn type_name(name: &str) -> String {
    let capital = |word: &str| word[..1].to_ascii_uppercase() + &word[1..];
    name.split('_').filter(|word| !word.is_empty()).map(capital).collect()
}

fn next_steps(name: &str) -> String {
    format!(
        "wrote examples/{name}.rs, a policy that works, and examples/{name}.toml; make it yours, \
         then\n  cargo test --no-default-features --example {name}\n  cargo run --release --example \
         {name} -- run examples/{name}.toml\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_itself_is_what_is_written() {
        assert_eq!(renamed(EXAMPLE, EXAMPLE_NAME), EXAMPLE);
        let text = renamed(EXAMPLE, "my_own2");
        assert!(text.contains("name: \"my_own2\"") && text.contains("struct MyOwn2 {"));
        assert!(!text.contains("uickest"), "a name was left over");
    }
}
