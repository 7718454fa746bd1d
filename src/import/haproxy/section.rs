//! Sections and their lines, and what a proxy inherits from `defaults`.

use std::sync::Arc;

use super::words::words;
use crate::import::{Draft, ImportError, Origin, SourceFile, Surroundings};

/// Words that begin a section.
const SECTIONS: [&str; 20] = [
    "global",
    "defaults",
    "frontend",
    "backend",
    "listen",
    "peers",
    "userlist",
    "resolvers",
    "cache",
    "mailers",
    "ring",
    "http-errors",
    "fcgi-app",
    "program",
    "log-forward",
    "crt-store",
    "traces",
    "acme",
    "log-profile",
    "healthcheck",
];

/// A line within a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Its words, without a `no` or `default` before them.
    pub(super) words: Vec<String>,
    /// Whether `no` or `default` stood before them, so that they take something back.
    pub(super) takes_back: bool,
    pub(super) origin: Origin,
}

impl Line {
    /// The word at `place`, or nothing.
    pub(super) fn word(&self, place: usize) -> &str {
        self.words.get(place).map_or("", String::as_str)
    }

    /// Whether its first words are these.
    pub(super) fn begins(&self, words: &[&str]) -> bool {
        self.words.len() >= words.len() && words.iter().zip(&self.words).all(|(a, b)| a == b)
    }

    pub(super) fn text(&self) -> String {
        self.words.join(" ")
    }
}

/// A section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) kind: String,
    pub(super) name: String,
    /// Place of the `defaults` it inherits from.
    defaults: Option<usize>,
    pub(super) lines: Vec<Line>,
    pub(super) origin: Origin,
}

/// A whole file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sections(pub(super) Vec<Section>);

impl Sections {
    pub(super) fn read(
        file: &SourceFile,
        around: &dyn Surroundings,
        draft: &mut Draft,
    ) -> Result<Self, ImportError> {
        let name: Arc<str> = Arc::from(file.name.as_str());
        let mut sections = Self(Vec::new());
        // Depth of conditional blocks whose lines are not read, and where the outermost began.
        let mut conditions: Vec<Origin> = Vec::new();
        for (number, text) in (1..).zip(file.text.lines()) {
            let origin = Origin::new(&name, number);
            let words = words(text, &origin, &|name| around.variable(name))?;
            let Some(first) = words.first() else { continue };
            match first.as_str() {
                ".if" => {
                    draft.leave(
                        &origin,
                        words.join(" "),
                        "conditions are not judged; its lines are left out",
                    );
                    conditions.push(origin);
                }
                ".endif" if conditions.pop().is_none() => {
                    return Err(origin.error("`.endif` without `.if`"));
                }
                word if word.starts_with('.') => {}
                _ if !conditions.is_empty() => {}
                word if SECTIONS.contains(&word) => sections.begin(&words, origin)?,
                _ => sections.line(words, origin)?,
            }
        }
        match conditions.first() {
            Some(origin) => Err(origin.error("`.if` without `.endif`")),
            None => Ok(sections),
        }
    }

    fn begin(&mut self, words: &[String], origin: Origin) -> Result<(), ImportError> {
        let kind = words[0].clone();
        let needs_name = matches!(kind.as_str(), "frontend" | "backend" | "listen");
        let named = words.get(1).filter(|word| *word != "from");
        if needs_name && named.is_none() {
            return Err(origin.error(format!("`{kind}` needs a name")));
        }
        let name = named.cloned().unwrap_or_default();
        let proxy = |section: &&Section| {
            section.name == name && matches!(section.kind.as_str(), "backend" | "listen")
        };
        if matches!(kind.as_str(), "backend" | "listen") && self.0.iter().any(|s| proxy(&s)) {
            return Err(origin.error(format!("there is another proxy named `{name}`")));
        }
        let from = words.iter().position(|word| word == "from").and_then(|at| words.get(at + 1));
        let is_defaults = |section: &Section| section.kind == "defaults";
        let defaults = match from {
            Some(from) => {
                let place = self.0.iter().rposition(|s| is_defaults(s) && s.name == *from);
                let message = format!("there is no `defaults {from}` above");
                Some(place.ok_or_else(|| origin.error(message))?)
            }
            // A new `defaults` begins afresh; a proxy takes the last one.
            None if kind == "defaults" => None,
            None => self.0.iter().rposition(is_defaults),
        };
        self.0.push(Section { kind, name, defaults, lines: Vec::new(), origin });
        Ok(())
    }

    fn line(&mut self, mut words: Vec<String>, origin: Origin) -> Result<(), ImportError> {
        let Some(section) = self.0.last_mut() else {
            let known = ["global", "defaults", "frontend", "backend", "listen"].join(", ");
            return Err(origin.error(format!(
                "`{}` stands outside a section, and begins none of: {known}",
                words[0]
            )));
        };
        let takes_back = matches!(words[0].as_str(), "no" | "default");
        if takes_back {
            words.remove(0);
        }
        if words.is_empty() {
            return Err(origin.error("there is nothing behind `no`"));
        }
        section.lines.push(Line { words, takes_back, origin });
        Ok(())
    }

    /// The lines that hold for `section`: those of its defaults, then its own.
    pub(super) fn lines<'a>(&'a self, section: &'a Section) -> Vec<&'a Line> {
        let mut chain = vec![section];
        // `from` names a section above, so this ends.
        while let Some(place) = chain.last().and_then(|section| section.defaults) {
            chain.push(&self.0[place]);
        }
        chain.iter().rev().flat_map(|section| &section.lines).collect()
    }
}

/// The last line that begins with `words`, unless a later one takes it back.
pub(super) fn last<'a>(lines: &[&'a Line], words: &[&str]) -> Option<&'a Line> {
    lines.iter().rev().find(|line| line.begins(words)).filter(|line| !line.takes_back).copied()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn read(text: &str) -> Result<Sections, String> {
        let file = SourceFile { name: "h".to_owned(), text: text.to_owned() };
        let none = BTreeMap::new();
        Sections::read(&file, &none, &mut Draft::new("haproxy", "h")).map_err(|e| e.to_string())
    }

    #[test]
    fn a_proxy_inherits_from_the_last_defaults_or_those_it_names() {
        let text = "defaults a\n timeout connect 1s\n option redispatch\ndefaults b from a\n no \
                    option redispatch\ndefaults\n timeout connect 3s\nbackend x from b\nbackend y\n";
        let sections = read(text).unwrap();
        let lines =
            |name: &str| sections.lines(sections.0.iter().find(|s| s.name == name).unwrap());
        assert_eq!(last(&lines("x"), &["timeout", "connect"]).unwrap().word(2), "1s");
        assert_eq!(last(&lines("x"), &["option", "redispatch"]), None);
        assert_eq!(last(&lines("y"), &["timeout", "connect"]).unwrap().word(2), "3s");
    }

    #[test]
    fn what_stands_nowhere_is_refused_with_its_line() {
        for (text, expected) in [
            ("\nmode http", "h:2: `mode` stands outside a section"),
            ("backend", "h:1: `backend` needs a name"),
            ("backend a\nbackend a", "h:2: there is another proxy named `a`"),
            ("backend a from d", "h:1: there is no `defaults d` above"),
            ("global\n no", "h:2: there is nothing behind `no`"),
            (".if defined(X)\nglobal", "h:1: `.if` without `.endif`"),
            (".endif", "h:1: `.endif` without `.if`"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
