//! What is wrong with a scenario: where, what, and what would be right.
//!
//! Reading never stops at the first problem. It reports each to `Problems` with the `Place` it
//! was found at, goes on with what it has, and all of them are shown together.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Where a value was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// Path of keys, such as `balancer.retry.tries`; empty for the whole file.
    pub(crate) key: String,
    /// The text that holds it.
    pub(crate) origin: Origin,
    /// Bytes of that text.
    pub(crate) span: Range<usize>,
}

/// The text a value came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// The file.
    #[default]
    File,
    /// The override of this number.
    Override(usize),
}

/// A problem as found, not yet located in lines and columns.
#[derive(Clone, Debug)]
struct Problem {
    place: Place,
    message: String,
    help: Option<String>,
}

/// Collects problems.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    list: Vec<Problem>,
}

impl Problems {
    /// Reports what is wrong at `place`.
    pub(crate) fn report(&mut self, place: &Place, message: impl Into<String>) {
        self.add(place, message.into(), None);
    }

    /// Reports what is wrong at `place`, and what would be right.
    pub(crate) fn report_with(
        &mut self,
        place: &Place,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.add(place, message.into(), Some(help.into()).filter(|help| !help.is_empty()));
    }

    fn add(&mut self, place: &Place, message: String, help: Option<String>) {
        self.list.push(Problem { place: place.clone(), message, help });
    }

    /// Whether something was reported at `key` or below it, so that what follows from
    /// it need not be said.
    pub(crate) fn mentions(&self, key: &str) -> bool {
        let below = |at: &str| {
            at.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        self.list.iter().any(|problem| below(&problem.place.key))
    }

    /// Whether nothing was reported.
    pub(crate) const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Everything as sentences, for a value that stands in no file.
    pub(crate) fn into_sentences(self) -> String {
        let sentence = |problem: Problem| {
            let key = if problem.place.key.is_empty() {
                String::new()
            } else {
                format!("{}: ", problem.place.key)
            };
            let help = problem.help.map_or_else(String::new, |help| format!(" ({help})"));
            format!("{key}{}{help}", problem.message)
        };
        self.list.into_iter().map(sentence).collect::<Vec<_>>().join("; ")
    }

    /// Locates everything in the texts it came from, in order of place.
    pub(crate) fn into_diagnostics(
        mut self,
        path: &Path,
        text: &str,
        overrides: &[(String, String)],
    ) -> Diagnostics {
        self.list.sort_by_key(|p| (p.place.origin, p.place.span.start));
        let list = self
            .list
            .into_iter()
            .map(|problem| Diagnostic {
                location: locate(&problem.place, path, text, overrides),
                key: problem.place.key,
                message: problem.message,
                help: problem.help,
            })
            .collect();
        Diagnostics { path: path.to_owned(), list }
    }
}

/// The names in `valid` that `wrong` may have been meant to be, as a sentence; or all of them.
pub(crate) fn suggestion<'a>(
    wrong: &str,
    valid: impl IntoIterator<Item = &'a str>,
    all: &str,
) -> String {
    let valid: Vec<&str> = valid.into_iter().collect();
    match nearest(wrong, &valid) {
        Some(name) => format!("did you mean `{name}`?"),
        None if valid.is_empty() => format!("{all}: none"),
        None => format!("{all}: {}", valid.join(", ")),
    }
}

/// The name that `wrong` most likely was meant to be, if any is near.
fn nearest<'a>(wrong: &str, valid: &[&'a str]) -> Option<&'a str> {
    let plain = |name: &str| name.to_lowercase().replace(['-', ' '], "_");
    let wrong = plain(wrong);
    valid
        .iter()
        .map(|name| {
            let name_plain = plain(name);
            let edits = strsim::normalized_damerau_levenshtein(&wrong, &name_plain);
            let start = strsim::jaro_winkler(&wrong, &name_plain);
            (edits.max(if start >= 0.84 { start * 0.9 } else { 0.0 }), *name)
        })
        .filter(|(score, _)| *score >= 0.6)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// Everything that is wrong with a scenario file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostics {
    path: PathBuf,
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// One problem with the file as a whole, such as that it cannot be read.
    pub(crate) fn whole_file(path: &Path, message: String, help: Option<String>) -> Self {
        let location = Location::Whole { path: path.to_owned() };
        let diagnostic = Diagnostic { location, key: String::new(), message, help };
        Self { path: path.to_owned(), list: vec![diagnostic] }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Each problem, in order of place; never empty.
    #[must_use]
    pub fn list(&self) -> &[Diagnostic] {
        &self.list
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for diagnostic in &self.list {
            writeln!(f, "{diagnostic}")?;
        }
        let plural = if self.list.len() == 1 { "" } else { "s" };
        write!(f, "{} error{plural} in {}", self.list.len(), self.path.display())
    }
}

impl std::error::Error for Diagnostics {}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Where it is.
    pub location: Location,
    /// Path of keys, such as `balancer.retry.tries`; empty for the whole file.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
}

/// Where a problem is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// In a line of the file.
    Line {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// In characters, from 1.
        column: usize,
        /// The line as written, without its end.
        source: String,
        /// Number of characters that are wrong, at least 1.
        width: usize,
    },
    /// In the file as a whole.
    Whole {
        /// The file.
        path: PathBuf,
    },
    /// In an override from the command line.
    Override {
        /// As written, `key=value`.
        text: String,
    },
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.location {
            Location::Line { path, line, column, .. } => {
                write!(f, "{}:{line}:{column}: ", path.display())?;
            }
            Location::Whole { path } => write!(f, "{}: ", path.display())?,
            Location::Override { text } => write!(f, "--set {text}: ")?,
        }
        // An override begins with its key.
        let said = matches!(&self.location, Location::Override { text }
            if text.strip_prefix(&self.key).is_some_and(|rest| rest.starts_with('=')));
        if !self.key.is_empty() && !said {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)?;
        match (&self.location, &self.help) {
            (Location::Line { line, column, source, width, .. }, help) => {
                write_source(f, *line, *column, source, *width, help.as_deref())
            }
            (_, Some(help)) => write!(f, "\n    {help}"),
            (_, None) => Ok(()),
        }
    }
}

fn write_source(
    f: &mut fmt::Formatter<'_>,
    line: usize,
    column: usize,
    source: &str,
    width: usize,
    help: Option<&str>,
) -> fmt::Result {
    // A tab stays a tab, so that the caret stands below what it points at.
    let before: String =
        source.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    write!(f, "\n{line:>6} | {source}\n       | {before}{}", "^".repeat(width))?;
    match help {
        Some(help) => write!(f, " {help}"),
        None => Ok(()),
    }
}

fn locate(place: &Place, path: &Path, text: &str, overrides: &[(String, String)]) -> Location {
    if let Origin::Override(number) = place.origin {
        let (key, value) = &overrides[number];
        return Location::Override { text: format!("{key}={value}") };
    }
    if place.span.is_empty() && place.key.is_empty() {
        return Location::Whole { path: path.to_owned() };
    }
    let boundary = |at: usize| (0..=at.min(text.len())).rev().find(|i| text.is_char_boundary(*i));
    let start = boundary(place.span.start).unwrap_or(0);
    let end = boundary(place.span.end).unwrap_or(0).max(start);
    let line_start = text[..start].rfind('\n').map_or(0, |i| i + 1);
    let line_end = text[start..].find('\n').map_or(text.len(), |i| start + i);
    Location::Line {
        path: path.to_owned(),
        line: text[..start].matches('\n').count() + 1,
        column: text[line_start..start].chars().count() + 1,
        source: text[line_start..line_end].trim_end_matches('\r').to_owned(),
        width: text[start..end.min(line_end)].trim_end().chars().count().max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_traced_to_what_was_meant() {
        let keys = ["on", "tries", "timeout", "algorithm", "warm_up", "keepalive"];
        for (wrong, meant) in [
            ("trys", Some("tries")),
            ("time_out", Some("timeout")),
            ("algo", Some("algorithm")),
            ("warmup", Some("warm_up")),
            ("warm-up", Some("warm_up")),
            ("Keepalive", Some("keepalive")),
            ("colour", None),
        ] {
            assert_eq!(nearest(wrong, &keys), meant, "{wrong}");
        }
    }

    #[test]
    fn columns_count_characters_and_tabs_keep_the_caret_in_place() {
        let mut problems = Problems::default();
        let text = "a = 1\n\tµ = \"x\"\r\n";
        let start = text.find('"').unwrap();
        let place = Place { key: "µ".into(), origin: Origin::File, span: start..start + 3 };
        problems.report_with(&place, "wrong", "right");
        let shown = problems.into_diagnostics(Path::new("f.toml"), text, &[]).to_string();
        assert_eq!(
            shown,
            "f.toml:2:6: µ: wrong\n     2 | \tµ = \"x\"\n       | \t    ^^^ right\n1 error in f.toml"
        );
    }
}
