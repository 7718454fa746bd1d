//! Reading a scenario from a file.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::autoscaler::AutoscalerFacts;
use super::checked::{Backend, BalancerFacts, Scenario};
use super::diagnostic::{Diagnostics, Place, Problems};
use super::file::{LawForm, ScenarioFile};
use super::lower::{self, Surroundings};
use super::reader::{Read, Written};
use super::tree;
use crate::traffic::Law;

/// A file that is larger than this is not a scenario.
const MAX_BYTES: u64 = 16 << 20;

/// What `lab proxy` needs of a file: the balancer, and where its peers are.
#[derive(Clone, Debug, PartialEq)]
pub struct BalancerFile {
    /// The file it came from.
    pub path: PathBuf,
    /// The file's text.
    pub text: String,
    /// Seed of the draws of policies that draw: `scenario.seed`, or 1.
    pub seed: u64,
    /// The balancer; its peers are in `balancer.upstream.peers`.
    pub balancer: BalancerFacts,
    /// `address` of each peer, in the same order; `None` where the file gives none.
    pub addresses: Vec<Option<SocketAddr>>,
    /// Who changes the number of instances of a group, for `lab autoscale`.
    pub autoscaler: Option<AutoscalerFacts>,
}

/// What `lab backend` needs of a file: the backends.
#[derive(Clone, Debug, PartialEq)]
pub struct BackendsFile {
    /// Seed of all draws: `scenario.seed`, or 1.
    pub seed: u64,
    /// Every backend, as in a whole scenario.
    pub backends: Vec<Backend>,
}

/// Loads a scenario.
///
/// # Errors
/// Everything that is wrong with it, in one go; also if it cannot be read or is no UTF-8.
pub fn load(path: impl AsRef<Path>) -> Result<Scenario, Diagnostics> {
    load_with(path, &[])
}

/// Loads a scenario with some values replaced, such as `("balancer.algorithm", "random")`. The key
/// is a path; in a list the step is an index from 0 or the name of a member
/// (`backend.b1.weight`). The value is TOML, or a string without quotes. Later ones win.
///
/// # Errors
/// As [`load`]; a problem that an override brought names the override.
pub fn load_with(
    path: impl AsRef<Path>,
    overrides: &[(String, String)],
) -> Result<Scenario, Diagnostics> {
    let path = path.as_ref();
    parse_with(&read(path)?, path, overrides)
}

/// Reads a scenario from its text; `path` is where it came from, to which other files are relative.
///
/// # Errors
/// Everything that is wrong with it, in one go.
pub fn parse(text: &str, path: impl AsRef<Path>) -> Result<Scenario, Diagnostics> {
    parse_with(text, path.as_ref(), &[])
}

/// [`parse`] with some values replaced, as [`load_with`] takes them.
///
/// # Errors
/// As [`load_with`].
pub fn parse_with(
    text: &str,
    path: &Path,
    overrides: &[(String, String)],
) -> Result<Scenario, Diagnostics> {
    let around = Surroundings { path, text, overrides };
    read_file(text, path, overrides, |file, problems| lower::scenario(file, &around, problems))
}

/// [`parse_with`] without the checks of the file, which may name servers that are not there with
/// these `overrides`.
///
/// # Errors
/// As [`load_with`], but for the checks.
pub fn parse_unchecked(
    text: &str,
    path: &Path,
    overrides: &[(String, String)],
) -> Result<Scenario, Diagnostics> {
    let around = Surroundings { path, text, overrides };
    read_file(text, path, overrides, |file, problems| {
        file.check = None;
        lower::scenario(file, &around, problems)
    })
}

/// Loads the sections `[balancer]` and `[[backend]]` of a file, which need not be a whole
/// scenario; the other sections are read, and must be right where they are there, but not used.
///
/// # Errors
/// As [`load`].
pub fn load_balancer(path: impl AsRef<Path>) -> Result<BalancerFile, Diagnostics> {
    load_balancer_with(path, &[])
}

/// [`load_balancer`] with overrides, as [`load_with`] takes them.
///
/// # Errors
/// As [`load_with`].
pub fn load_balancer_with(
    path: impl AsRef<Path>,
    overrides: &[(String, String)],
) -> Result<BalancerFile, Diagnostics> {
    let path = path.as_ref();
    parse_balancer(&read(path)?, path, overrides)
}

/// [`load_balancer_with`] from the file's text; `path` is where it came from.
///
/// # Errors
/// As [`load`].
pub fn parse_balancer(
    text: &str,
    path: &Path,
    overrides: &[(String, String)],
) -> Result<BalancerFile, Diagnostics> {
    let around = Surroundings { path, text, overrides };
    read_file(text, path, overrides, |file, problems| BalancerFile {
        path: path.to_owned(),
        text: text.to_owned(),
        seed: lower::seed(file),
        balancer: lower::balancer(file, &around, problems),
        addresses: lower::addresses(file, problems),
        autoscaler: lower::autoscaler(file, &[], problems),
    })
}

/// Loads the sections `[[backend]]` and `[autoscaler]` of a file, which need not be a whole scenario,
/// with overrides as [`load_with`] takes them.
///
/// # Errors
/// As [`load_with`].
pub fn load_backends_with(
    path: impl AsRef<Path>,
    overrides: &[(String, String)],
) -> Result<BackendsFile, Diagnostics> {
    let path = path.as_ref();
    let text = read(path)?;
    read_file(&text, path, overrides, |file, problems| BackendsFile {
        seed: lower::seed(file),
        backends: lower::backends(file, problems),
    })
}

fn read_file<T>(
    text: &str,
    path: &Path,
    overrides: &[(String, String)],
    lower: impl FnOnce(&mut ScenarioFile, &mut Problems) -> T,
) -> Result<T, Diagnostics> {
    let mut problems = Problems::default();
    let lowered = tree::parse(text, &mut problems).and_then(|mut root| {
        for (number, (key, value)) in overrides.iter().enumerate() {
            tree::graft(&mut root, number, key, value, &mut problems);
        }
        let mut file = ScenarioFile::read(&root, &mut problems)?;
        Some(lower(&mut file, &mut problems))
    });
    match lowered {
        Some(lowered) if problems.is_empty() => Ok(lowered),
        _ => Err(problems.into_diagnostics(path, text, overrides)),
    }
}

/// A law of durations as one would write it on a command line: `exponential,mean=10ms` or
/// `uniform,low=100ms,high=500ms`, with the names and keys of the scenario file.
///
/// # Errors
/// A sentence for each thing that is wrong.
pub fn parse_law(text: &str) -> Result<Law, String> {
    let mut problems = Problems::default();
    let node = tree::inline_table("law", text);
    let law = LawForm::read(&node, &mut problems)
        .map(|value| lower::law(&Written { value, place: Place::default() }, &mut problems));
    match law {
        Some(law) if problems.is_empty() => Ok(law),
        _ => Err(problems.into_sentences()),
    }
}

fn read(path: &Path) -> Result<String, Diagnostics> {
    let fail = |message: String, help: Option<&str>| {
        Diagnostics::whole_file(path, message, help.map(str::to_owned))
    };
    let metadata = std::fs::metadata(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => fail("there is no such file".to_owned(), None),
        _ => fail(format!("cannot be read: {error}"), None),
    })?;
    if metadata.is_dir() {
        return Err(fail("is a folder, not a file".to_owned(), Some("name a scenario file in it")));
    }
    if metadata.len() > MAX_BYTES {
        return Err(fail(format!("is larger than {} MiB", MAX_BYTES >> 20), None));
    }
    let bytes =
        std::fs::read(path).map_err(|error| fail(format!("cannot be read: {error}"), None))?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        fail(format!("is not UTF-8 text: the byte at offset {at} is wrong"), None)
    })
}
