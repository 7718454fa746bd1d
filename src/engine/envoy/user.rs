//! A bootstrap that the user wrote: its listener, hosts and admin interface get lab's addresses.
//!
//! The text is rewritten line by line and not read as YAML, so that comments and order stay as they
//! are. Understood are pairs of `address:` and `port_value:`, in one line or in two that follow
//! each other, below `admin`, `static_resources.listeners` and `static_resources.clusters`.

use std::net::SocketAddr;

use crate::engine::{UserConfiguration, UserConfigurationError, Wiring};
use crate::scenario::Scenario;

/// Where a line stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Admin,
    Listeners,
    Clusters,
    Elsewhere,
}

/// The user's own `envoy.yaml` with the addresses of `wiring`. It must have one listener, and as
/// many hosts in its clusters as the scenario has backends, in the same order; an admin interface
/// is added if it has none.
///
/// # Errors
/// When a line with an address is of another form, or the numbers differ.
pub(in crate::engine) fn user_configuration(
    text: &str,
    scenario: &Scenario,
    wiring: &Wiring,
) -> Result<UserConfiguration, UserConfigurationError> {
    let mut places = Places::default();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let mut address: Option<usize> = None;
    for place in 0..lines.len() {
        let line = code(&lines[place]).to_owned();
        let part = places.enter(&line, place + 1)?;
        if value(&line, "address:").is_some_and(|found| !found.text.is_empty()) {
            address = Some(place);
        }
        let Some(port) = value(&line, "port_value:") else { continue };
        let syntax =
            |what: &str| UserConfigurationError::Syntax { line: place + 1, what: what.to_owned() };
        if port.text.parse::<u16>().is_err() {
            return Err(syntax("`port_value` is no number below 65536"));
        }
        let near = address.take().filter(|at| place - at <= 1);
        let at = near.ok_or_else(|| syntax("`port_value` needs its `address` in front of it"))?;
        let Some(new) = places.next(part, wiring) else { continue };
        // The port first: it stands behind the address in the same line.
        replace(&mut lines[place], "port_value:", &new.port().to_string());
        replace(&mut lines[at], "address:", &new.ip().to_string());
    }
    places.check(scenario)?;
    let mut notes = Vec::new();
    if places.admins == 0 {
        notes.push("the configuration had no admin interface; one was added".to_owned());
        lines.push("admin:".to_owned());
        let admin = super::bootstrap::socket_address(wiring.admin);
        lines.push(format!("  address: {admin}"));
    }
    let run = lines.join("\n") + "\n";
    Ok(UserConfiguration::new("envoy.yaml", text, run, notes))
}

/// Which part of the file a line belongs to, and how many addresses each had.
#[derive(Debug, Default)]
struct Places {
    top: String,
    /// Indentation of the keys of `static_resources`.
    indent: Option<usize>,
    second: String,
    admins: usize,
    listeners: usize,
    hosts: usize,
}

impl Places {
    fn enter(&mut self, line: &str, number: usize) -> Result<Part, UserConfigurationError> {
        let syntax = |what: &str| {
            Err(UserConfigurationError::Syntax { line: number, what: what.to_owned() })
        };
        if line.contains('\t') {
            return syntax("YAML knows no tabs");
        }
        let words = line.trim_start();
        let indent = line.len() - words.len();
        let key = words.split(':').next().unwrap_or_default();
        if words.is_empty() {
            return Ok(self.part());
        }
        if indent == 0 && !words.starts_with('-') {
            if key == "dynamic_resources" || words.starts_with('{') {
                return syntax(
                    "only a bootstrap in block style with static_resources is understood",
                );
            }
            (self.top, self.indent, self.second) = (key.to_owned(), None, String::new());
        } else if self.top == "static_resources"
            && indent <= *self.indent.get_or_insert(indent)
            && !words.starts_with('-')
        {
            self.second = key.to_owned();
        }
        if self.part() == Part::Clusters && words.contains("type: EDS") {
            return syntax("hosts from elsewhere (EDS) are not understood: write them here");
        }
        Ok(self.part())
    }

    fn part(&self) -> Part {
        match (self.top.as_str(), self.second.as_str()) {
            ("admin", _) => Part::Admin,
            ("static_resources", "listeners") => Part::Listeners,
            ("static_resources", "clusters") => Part::Clusters,
            _ => Part::Elsewhere,
        }
    }

    /// The address that stands for the next one of `part`, if there is one.
    fn next(&mut self, part: Part, wiring: &Wiring) -> Option<SocketAddr> {
        let count = match part {
            Part::Admin => &mut self.admins,
            Part::Listeners => &mut self.listeners,
            Part::Clusters => &mut self.hosts,
            Part::Elsewhere => return None,
        };
        *count += 1;
        match part {
            Part::Admin => Some(wiring.admin),
            Part::Listeners => Some(wiring.listen),
            _ => wiring.backends.get(*count - 1).copied(),
        }
    }

    fn check(&self, scenario: &Scenario) -> Result<(), UserConfigurationError> {
        let misfit = |what: String| Err(UserConfigurationError::Misfit(what));
        if self.listeners != 1 {
            return misfit(format!(
                "the configuration has {} listeners with an address; one is needed",
                self.listeners
            ));
        }
        let backends = scenario.backends.len();
        if self.hosts != backends {
            return misfit(format!(
                "the clusters of the configuration have {} hosts, but the scenario has {backends} \
                 backends",
                self.hosts
            ));
        }
        Ok(())
    }
}

/// A line without its comment.
fn code(line: &str) -> &str {
    if line.trim_start().starts_with('#') {
        return "";
    }
    line.split(" #").next().unwrap_or_default().trim_end()
}

/// The scalar behind a key: its text without quotes, and its bytes in the line.
struct Scalar<'a> {
    text: &'a str,
    range: std::ops::Range<usize>,
}

/// The last scalar behind `key` in a line; `None` if there is no such key, or a map behind it.
fn value<'a>(line: &'a str, key: &str) -> Option<Scalar<'a>> {
    let is_key = |at: &usize| {
        let before = line[..*at].chars().next_back();
        before.is_none_or(|c| c == ' ' || c == '{' || c == ',')
    };
    let at = line.rmatch_indices(key).map(|(at, _)| at).find(is_key)?;
    let rest = &line[at + key.len()..];
    let from = at + key.len() + (rest.len() - rest.trim_start().len());
    let length = line[from..].find([',', '}', ' ']).unwrap_or(line.len() - from);
    let text = &line[from..from + length];
    if text.starts_with('{') {
        return None;
    }
    Some(Scalar { text: text.trim_matches(['"', '\'']), range: from..from + length })
}

fn replace(line: &mut String, key: &str, new: &str) {
    let range = value(code(line), key).map(|found| found.range);
    if let Some(range) = range {
        line.replace_range(range, new);
    }
}
