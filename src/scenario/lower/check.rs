//! Checks: parsed, and their names resolved.

use std::ops::Range;

use super::unknown_name;
use crate::scenario::check::{Check, Measure, Relation, Subject, parse};
use crate::scenario::checked::Backend;
use crate::scenario::diagnostic::{Origin, Place, Problems};
use crate::scenario::file::ScenarioFile;
use crate::scenario::reader::Written;
use crate::traffic::{Fault, Source, TrafficConfig};

/// What checks may name.
struct Names<'a> {
    classes: Vec<&'a str>,
    stages: Vec<&'a str>,
    faults: Vec<&'a str>,
    backends: Vec<&'a str>,
    /// Whether there is an autoscaler.
    scales: bool,
}

/// The checks in order.
pub(super) fn lower(
    file: &ScenarioFile,
    traffic: &TrafficConfig,
    faults: &[Fault],
    backends: &[Backend],
    text: &str,
    problems: &mut Problems,
) -> Vec<Check> {
    let stages = match &traffic.source {
        Source::Open { stages, .. } => stages.iter().map(|stage| stage.name.as_str()).collect(),
        Source::Closed { .. } => Vec::new(),
    };
    let mut servers: Vec<&str> =
        backends.iter().flat_map(|b| [b.group.as_str(), b.name.as_str()]).collect();
    servers.dedup();
    let names = Names {
        classes: traffic.classes.iter().map(|class| class.name.as_str()).collect(),
        stages,
        faults: faults.iter().map(|fault| fault.name.as_str()).collect(),
        backends: servers,
        scales: file.autoscaler.is_some(),
    };
    let sections = file.check.as_ref().map_or(&[][..], |list| &list.value);
    sections
        .iter()
        .filter_map(|section| check(section.value.that.as_ref()?, &names, text, problems))
        .collect()
}

fn check(
    that: &Written<String>,
    names: &Names<'_>,
    text: &str,
    problems: &mut Problems,
) -> Option<Check> {
    match parse(&that.value) {
        Ok(mut check) => {
            resolve(&mut check.subject, names, that, text, problems);
            if let Relation::Agrees(other, _) = &mut check.relation {
                resolve(other, names, that, text, problems);
            }
            Some(check)
        }
        Err(error) => {
            let place = within(&that.place, &that.value, error.at..error.until, text);
            problems.report_with(&place, error.message, error.help);
            None
        }
    }
}

/// The place of some bytes of a string; of all of it where it was written with escapes.
fn within(place: &Place, value: &str, bytes: Range<usize>, text: &str) -> Place {
    let span = place.span.clone();
    let written = match place.origin {
        Origin::File => text.get(span.clone()).unwrap_or_default(),
        Origin::Override(_) => "",
    };
    match written.find(value) {
        Some(start) if !value.is_empty() => {
            let start = span.start + start;
            Place { span: start + bytes.start..start + bytes.end, ..place.clone() }
        }
        _ => place.clone(),
    }
}

/// The bytes of a name that stands as a whole word in a check.
fn bytes_of(name: &str, check: &str) -> Range<usize> {
    let part_of_word = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    check
        .match_indices(name)
        .map(|(at, _)| at..at + name.len())
        .find(|bytes| {
            !check[..bytes.start].ends_with(part_of_word)
                && !check[bytes.end..].starts_with(part_of_word)
        })
        .unwrap_or(0..check.len())
}

fn resolve(
    subject: &mut Subject,
    names: &Names<'_>,
    that: &Written<String>,
    text: &str,
    problems: &mut Problems,
) {
    if subject.measure == Measure::Failover && subject.during.is_none() {
        match names.faults.as_slice() {
            [only] => subject.during = Some((*only).to_owned()),
            _ => problems.report_with(
                &that.place,
                "`failover` needs the name of a fault",
                format!("such as failover({})", names.faults.first().unwrap_or(&"crash-b")),
            ),
        }
    }
    if subject.measure.is_of_scaling() {
        let restrictions =
            [&subject.class, &subject.stage, &subject.during, &subject.before, &subject.after];
        if !names.scales {
            let help = "add [autoscaler]";
            problems.report_with(&that.place, "there is no autoscaler", help);
        } else if restrictions.iter().any(|name| name.is_some()) {
            let message = "what the autoscaler did is told of the whole run alone";
            problems.report(&that.place, message);
        }
    }
    let mut known = |what, name: Option<&String>, valid: &[&str]| {
        if let Some(name) = name.filter(|name| !valid.contains(&name.as_str())) {
            let place = within(&that.place, &that.value, bytes_of(name, &that.value), text);
            unknown_name(what, name, &place, valid.iter().copied(), problems);
        }
    };
    known("class", subject.class.as_ref(), &names.classes);
    known("stage", subject.stage.as_ref(), &names.stages);
    for fault in [&subject.during, &subject.before, &subject.after] {
        known("fault", fault.as_ref(), &names.faults);
    }
    if let Measure::Spread(backend) = &subject.measure {
        known("backend", Some(backend), &names.backends);
    }
}
