//! Traffic: where requests come from, their classes and keys, and the client.

use super::{Place, Surroundings, check_names, or, positive, probability, source, unknown_name};
use crate::scenario::diagnostic::Problems;
use crate::scenario::file::{
    ClassSection, ClientSection, KeysSection, ScenarioFile, TrafficSection,
};
use crate::scenario::reader::Written;
use crate::traffic::{ClassConfig, ClientConfig, KeyConfig, TrafficConfig};
use crate::units::{Bytes, Ratio, Span};

/// The traffic, and how long requests arrive.
pub(super) fn lower(
    file: &ScenarioFile,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> (TrafficConfig, Span) {
    let default = TrafficSection::default();
    let section = file.traffic.as_ref().map_or(&default, |section| &section.value);
    if file.traffic.is_none() && !problems.mentions("traffic") {
        let help = "add [traffic] with `rate = \"100/s\"`, stages, or `users = 10`";
        problems.report_with(&Place::default(), "the section [traffic] is missing", help);
    }
    let classes = classes(section, problems);
    let (source, duration) = source::lower(section, file, &classes, around, problems);
    let traffic = TrafficConfig {
        source,
        classes,
        keys: section.keys.as_ref().and_then(|keys| self::keys(&keys.value, problems)),
        client: client(section.client.as_ref().map(|client| &client.value), problems),
    };
    (traffic, duration)
}

fn classes(section: &TrafficSection, problems: &mut Problems) -> Vec<ClassConfig> {
    let sections = section.class.as_ref().map_or(&[][..], |list| &list.value);
    check_names("class", sections.iter().filter_map(|s| s.value.name.as_ref()), problems);
    let single = sections.len() <= 1;
    let classes: Vec<ClassConfig> =
        sections.iter().map(|section| class(section, single, problems)).collect();
    if classes.is_empty() {
        return vec![default_class()];
    }
    let sum: f64 = classes.iter().map(|class| class.share.0).sum();
    if (sum - 1.0).abs() > 1e-6 && !problems.mentions("traffic.class") {
        let last = &sections[sections.len() - 1];
        let place = last.value.share.as_ref().map_or(&last.place, |share| &share.place);
        problems.report(place, format!("the shares of the classes add up to {}", Ratio(sum)));
    }
    classes
}

fn default_class() -> ClassConfig {
    ClassConfig {
        name: "default".to_owned(),
        path: "/".to_owned(),
        method: "GET".to_owned(),
        share: Ratio(1.0),
        body: Bytes(0),
    }
}

fn class(section: &Written<ClassSection>, single: bool, problems: &mut Problems) -> ClassConfig {
    let default = default_class();
    let class = &section.value;
    let share = match &class.share {
        Some(share) => probability(share, problems),
        None => {
            if !single && !problems.mentions(&format!("{}.share", section.place.key)) {
                let message = "with several classes each needs a `share`";
                problems.report_with(&section.place, message, "such as share = \"25%\"");
            }
            Ratio(1.0)
        }
    };
    if let Some(path) = &class.path {
        check_path(path, problems);
    }
    if let Some(method) = &class.method {
        check_method(method, problems);
    }
    ClassConfig {
        name: or(class.name.as_ref(), String::new()),
        path: or(class.path.as_ref(), default.path),
        method: or(class.method.as_ref(), default.method),
        share,
        body: or(class.body.as_ref(), default.body),
    }
}

/// A path as it may stand in a request line.
pub(super) fn check_path(path: &Written<String>, problems: &mut Problems) {
    if !path.value.starts_with('/') {
        problems.report(&path.place, "a path begins with `/`");
    } else if let Some(bad) = path.value.chars().find(|c| !c.is_ascii_graphic() || *c == '#') {
        let message = format!("`{}` cannot stand in a path", bad.escape_default());
        problems.report_with(&path.place, message, "percent-encode it");
    }
}

fn check_method(method: &Written<String>, problems: &mut Problems) {
    const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    if !METHODS.contains(&method.value.as_str()) {
        unknown_name("method", &method.value, &method.place, METHODS, problems);
    }
}

fn keys(section: &KeysSection, problems: &mut Problems) -> Option<KeyConfig> {
    let count = section.count.as_ref()?;
    if count.value == 0 {
        problems.report(&count.place, "there must be at least 1 key");
    }
    let exponent = section.exponent.as_ref().map_or(1.0, |exponent| {
        if exponent.value < 0.0 {
            problems.report(&exponent.place, format!("{} is negative", exponent.value));
        }
        exponent.value.max(0.0)
    });
    Some(KeyConfig { count: count.value.max(1), exponent })
}

fn client(section: Option<&ClientSection>, problems: &mut Problems) -> ClientConfig {
    let default = ClientSection::default();
    let section = section.unwrap_or(&default);
    ClientConfig {
        connections: or(section.connections.as_ref(), 0),
        requests_per_connection: or(section.requests_per_connection.as_ref(), 0),
        timeout: section.timeout.as_ref().map_or(Span::from_secs(10), |t| positive(t, problems)),
        in_flight_cap: or(section.in_flight_cap.as_ref(), 0),
    }
}
