//! A scenario in the making: settings in the scenario's own words, each with the place it came from.

mod write;

use std::net::{IpAddr, SocketAddr};

use super::Origin;
use super::toml_text::name_of;

/// A key of the scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The key within its section.
    pub key: &'static str,
    /// The value, as TOML.
    pub value: String,
    /// What stands behind it as a comment.
    pub comment: String,
}

/// Something in the configuration that the scenario does not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotTaken {
    /// Where it stands.
    pub origin: Origin,
    /// What stands there.
    pub what: String,
    /// Why it was left out, and what the scenario says instead if it says anything.
    pub why: String,
}

impl std::fmt::Display for NotTaken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}: {}", self.origin, self.what, self.why)
    }
}

/// A backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DraftBackend {
    /// Its name, allowed in scenarios and unlike all others.
    pub name: String,
    /// Its settings, except for what a configuration cannot know.
    pub settings: Vec<Setting>,
    /// Where it was found.
    pub origin: Origin,
}

impl DraftBackend {
    /// Whether `key` is `true`.
    pub(super) fn is(&self, key: &str) -> bool {
        self.settings.iter().any(|setting| setting.key == key && setting.value == "true")
    }
}

/// What was found, ready to be written as a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The word for `balancer.engine`.
    pub engine: &'static str,
    /// The file that was read.
    pub file: String,
    /// The upstream or backend that was taken.
    pub upstream: String,
    /// The others there are, in the order of the file.
    pub others: Vec<String>,
    /// Keys of sections, such as (`balancer.retry`, its settings); sections without any are left out.
    pub sections: Vec<(&'static str, Vec<Setting>)>,
    /// The backends.
    pub backends: Vec<DraftBackend>,
    /// What was not taken over, in the order of files and lines.
    pub not_taken: Vec<NotTaken>,
}

impl Draft {
    /// An empty one.
    pub(super) fn new(engine: &'static str, file: &str) -> Self {
        Self {
            engine,
            file: file.to_owned(),
            upstream: String::new(),
            others: Vec::new(),
            sections: Vec::new(),
            backends: Vec::new(),
            not_taken: Vec::new(),
        }
    }

    /// A name for the scenario's file: that of the upstream, as far as it says something.
    #[must_use]
    pub fn file_name(&self) -> String {
        let name = name_of(&self.upstream);
        let says = name.contains(|c: char| c.is_ascii_alphabetic());
        if says { name } else { format!("from-{}", self.engine) }
    }

    /// Adds a key; one that is there already is replaced.
    pub(super) fn set(
        &mut self,
        section: &'static str,
        key: &'static str,
        value: impl Into<String>,
        comment: impl Into<String>,
    ) {
        let setting = Setting { key, value: value.into(), comment: comment.into() };
        let place = self.sections.iter().position(|(name, _)| *name == section);
        let place = place.unwrap_or_else(|| {
            self.sections.push((section, Vec::new()));
            self.sections.len() - 1
        });
        let settings = &mut self.sections[place].1;
        match settings.iter_mut().find(|known| known.key == key) {
            Some(known) => *known = setting,
            None => settings.push(setting),
        }
    }

    /// The settings of a section.
    pub(super) fn section(&self, section: &str) -> &[Setting] {
        let found = self.sections.iter().find(|(name, _)| *name == section);
        found.map_or(&[], |(_, settings)| settings)
    }

    /// Notes what is not taken over.
    pub(super) fn leave(
        &mut self,
        origin: &Origin,
        what: impl Into<String>,
        why: impl Into<String>,
    ) {
        let note = NotTaken { origin: origin.clone(), what: what.into(), why: why.into() };
        if !self.not_taken.contains(&note) {
            self.not_taken.push(note);
        }
    }

    /// A name for a backend that is like `wanted` and not taken yet; addresses say nothing to
    /// people, so they become `b1`, `b2`, ….
    pub(super) fn backend_name(&self, wanted: &str) -> String {
        let number = self.backends.len() + 1;
        let plain = name_of(wanted);
        let is_address = wanted.parse::<IpAddr>().is_ok()
            || wanted.parse::<SocketAddr>().is_ok()
            || wanted == "localhost"
            || plain.is_empty();
        let base = if is_address { format!("b{number}") } else { plain };
        let taken = |name: &str| self.backends.iter().any(|backend| backend.name == name);
        if !taken(&base) {
            return base;
        }
        let numbered = (number..).map(|number| format!("{base}-{number}"));
        numbered.into_iter().find(|name| !taken(name)).unwrap_or(base)
    }

    /// Leaves out slow start where the algorithm has none; the programs themselves take the
    /// setting without a word, or refuse it.
    pub(super) fn drop_slow_start(&mut self) {
        let algorithm = self.section("balancer").iter().find(|setting| setting.key == "algorithm");
        let slow = ["\"round_robin\"", "\"least_conn\""];
        let Some(other) = algorithm.filter(|setting| !slow.contains(&setting.value.as_str()))
        else {
            return;
        };
        let why = format!("the algorithm {} has no slow start", other.value.trim_matches('"'));
        for place in 0..self.backends.len() {
            let backend = &mut self.backends[place];
            let count = backend.settings.len();
            backend.settings.retain(|setting| setting.key != "slow_start");
            if backend.settings.len() < count {
                let origin = backend.origin.clone();
                self.leave(&origin, "slow start", why.clone());
            }
        }
    }

    /// Refuses what no scenario can say: nobody serves.
    pub(super) fn check_backends(&self, origin: &Origin) -> Result<(), super::ImportError> {
        let name = &self.upstream;
        if self.backends.is_empty() {
            return Err(
                origin.error(format!("`{name}` has no servers, so there is nothing to balance"))
            );
        }
        if self.backends.iter().all(|backend| backend.is("backup")) {
            let message =
                format!("every server of `{name}` is a backup; one must serve ordinarily");
            return Err(origin.error(message));
        }
        if self.backends.iter().all(|backend| backend.is("down")) {
            return Err(origin.error(format!("every server of `{name}` is out of service")));
        }
        if self.backends.len() > 10_000 {
            return Err(origin.error(format!("`{name}` has more than 10000 servers")));
        }
        Ok(())
    }
}
