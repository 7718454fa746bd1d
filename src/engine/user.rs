//! A configuration that the user wrote, run as it is: only what binds it to its surroundings (where
//! it listens, where its servers are, its files) is replaced, and the difference is shown.

use std::ops::Range;

use super::diff::unified;
use super::{ConfigFile, Configuration};

/// A user's configuration, ready to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserConfiguration {
    /// As it is run.
    pub configuration: Configuration,
    /// What was replaced, as a unified diff from the user's text to what is run.
    pub diff: String,
    /// What else a reader should know, one sentence each, such as a server that stands for no
    /// backend.
    pub notes: Vec<String>,
}

/// A place in the user's text, and what comes there instead.
pub(super) type Edit = (Range<usize>, String);

impl UserConfiguration {
    /// `text` after `edits`, in any order and apart from each other, which is started as the file
    /// `name`.
    pub(super) fn edited(name: &str, text: &str, edits: Vec<Edit>, notes: Vec<String>) -> Self {
        Self::new(name, text, edited(text, edits), notes)
    }

    /// `text`, rewritten to `run`, which is started as the file `name`.
    #[must_use]
    pub fn new(name: &str, text: &str, run: String, notes: Vec<String>) -> Self {
        let diff = unified((&format!("{name} (yours)"), &format!("{name} (as run)")), text, &run);
        let files = vec![ConfigFile { name: name.to_owned(), text: run }];
        Self { configuration: Configuration { files }, diff, notes }
    }
}

/// How an engine's file calls its servers and backends where it is explained which stands for which.
pub(super) struct Words<'a> {
    /// Line of the group of servers, and what it is called there, such as "upstream `app`".
    pub(super) group: (usize, String),
    /// What stands in front of a backend's name in a comment, such as `server …; # `.
    pub(super) example: &'a str,
}

/// The backend of each server, out of those called `names`: by the name that it gives, if all do,
/// else by its place. `servers` are their lines, and the names that they may mean.
///
/// # Errors
/// When two servers mean the same backend, or their numbers differ.
pub(super) fn assignment(
    words: &Words<'_>,
    servers: &[(usize, Vec<&str>)],
    names: &[&str],
) -> Result<Vec<usize>, UserConfigurationError> {
    let place = |word: &&str| names.iter().position(|name| name == word);
    let of = |server: &(usize, Vec<&str>)| server.1.iter().find_map(place);
    let named: Vec<usize> = servers.iter().filter_map(of).collect();
    if !named.is_empty() && named.len() == servers.len() {
        let twice = (1..named.len()).find(|place| named[..*place].contains(&named[*place]));
        return match twice {
            Some(place) => Err(UserConfigurationError::Syntax {
                line: servers[place].0,
                what: format!("a second server here stands for {}", names[named[place]]),
            }),
            None => Ok(named),
        };
    }
    if servers.len() == names.len() {
        return Ok((0..servers.len()).collect());
    }
    Err(UserConfigurationError::Misfit(format!(
        "line {}: {} has {} servers, and the scenario has {} backends ({}): make them as many, or \
         name each server's backend in a comment behind it (`{}{}`)",
        words.group.0,
        words.group.1,
        servers.len(),
        names.len(),
        names.join(", "),
        words.example,
        names.first().unwrap_or(&"b1"),
    )))
}

/// Why a user's configuration cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserConfigurationError {
    /// The engine has no configuration of this kind.
    #[error(
        "{engine} takes no configuration of your own: one for nginx, haproxy or envoy can be given"
    )]
    NoFile {
        /// Its name.
        engine: String,
    },
    /// The text cannot be read.
    #[error("line {line}: {what}")]
    Syntax {
        /// Counted from 1.
        line: usize,
        /// What is wrong there, and what would be right.
        what: String,
    },
    /// It cannot stand for the scenario, such as with other numbers of servers and backends.
    #[error("{0}")]
    Misfit(String),
}

impl UserConfigurationError {
    pub(super) fn misfit(what: &str) -> Self {
        Self::Misfit(what.to_owned())
    }
}

fn edited(text: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|(place, _)| (place.start, place.end));
    let (mut run, mut at) = (String::new(), 0);
    for (place, new) in &edits {
        run.push_str(&text[at..place.start]);
        run.push_str(new);
        at = place.end;
    }
    run.push_str(&text[at..]);
    run
}
