//! What is there already, as scenarios and traces: configurations of NGINX and HAProxy, autoscalers
//! of Kubernetes, and access logs.
//!
//! Text goes in, and the text of a scenario comes out: nothing here reads a file or a clock, so what
//! was read can be tested and fuzzed as it is. What a configuration says
//! and a scenario cannot is a [`NotTaken`], with its file and line, so that nobody takes the
//! scenario for more than it is; what a scenario needs and a configuration does not know is a
//! placeholder, marked as such.

mod draft;
mod error;
pub mod fit;
mod glob;
pub mod haproxy;
pub mod hpa;
pub mod log;
pub mod nginx;
pub mod series;
mod toml_text;

pub use draft::{Draft, DraftBackend, NotTaken, Setting};
pub use error::{ImportError, Origin};
pub use glob::glob_matches;

use std::collections::BTreeMap;

/// A file of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Its name, as messages show it.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// What surrounds a configuration and only the caller can reach.
pub trait Surroundings {
    /// The files that `include PATTERN;` stands for, in order; a pattern with `*`, `?` or `[` may
    /// stand for none.
    ///
    /// # Errors
    /// A sentence, where a file cannot be read.
    fn include(&self, pattern: &str) -> Result<Vec<SourceFile>, String>;
    /// The variable `name` of the environment.
    fn variable(&self, name: &str) -> Option<String>;
}

/// Surroundings held in memory: files by the pattern that includes them, and no variables.
impl Surroundings for BTreeMap<String, Vec<SourceFile>> {
    fn include(&self, pattern: &str) -> Result<Vec<SourceFile>, String> {
        self.get(pattern).cloned().ok_or_else(|| "there is no such file".to_owned())
    }
    fn variable(&self, _: &str) -> Option<String> {
        None
    }
}

/// Whose configuration a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigKind {
    /// `nginx.conf`.
    Nginx,
    /// `haproxy.cfg`.
    Haproxy,
}

impl ConfigKind {
    /// Recognises a text: HAProxy's sections begin with a word on a line of its own, NGINX's blocks
    /// with a brace.
    #[must_use]
    pub fn of(text: &str) -> Self {
        const SECTIONS: [&str; 5] = ["global", "defaults", "frontend", "backend", "listen"];
        let begins_section = |line: &str| {
            let line = line.split('#').next().unwrap_or("");
            let first = line.split_whitespace().next();
            first.is_some_and(|word| SECTIONS.contains(&word)) && !line.contains(['{', ';'])
        };
        if text.lines().any(begins_section) { Self::Haproxy } else { Self::Nginx }
    }
}

/// The draft of a scenario from a configuration of either kind.
///
/// # Errors
/// See [`nginx::draft`] and [`haproxy::draft`].
pub fn draft(
    kind: ConfigKind,
    file: &SourceFile,
    around: &dyn Surroundings,
    upstream: Option<&str>,
) -> Result<Draft, ImportError> {
    match kind {
        ConfigKind::Nginx => nginx::draft(file, around, upstream),
        ConfigKind::Haproxy => haproxy::draft(file, around, upstream),
    }
}
