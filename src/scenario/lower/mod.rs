//! From the file as written to the scenario as meant: defaults are applied, names resolved, and
//! what cannot be meant is refused.
//!
//! Where something was refused a harmless stand-in takes its place and the lowering goes on, so
//! that all problems are found at once; with a problem reported the result is thrown away.

mod adaptive;
mod algorithm;
mod autoscaler;
mod backend;
mod balancer;
mod check;
mod edge;
mod elsewhere;
mod fault;
mod law;
mod metric;
mod resilience;
mod rule;
mod source;
mod stage;
mod sweep;
mod traffic;

use std::path::{Path, PathBuf};

pub(super) use autoscaler::lower as autoscaler;
pub(super) use backend::addresses;
pub(super) use law::law;

use super::checked::{Backend, BalancerFacts, HostFacts, Scenario};
use super::diagnostic::{Place, Problems, suggestion};
use super::file::{RunSection, ScenarioFile, WarmUp};
use super::precision::Precision;
use super::reader::Written;
use crate::traffic::{Fault, TrafficConfig};
use crate::units::{Ratio, Span};

/// The value of a field, or its default.
fn or<T: Clone>(field: Option<&Written<T>>, default: T) -> T {
    field.map_or(default, |written| written.value.clone())
}

/// What surrounds the file.
pub(super) struct Surroundings<'a> {
    /// Where it is.
    pub(super) path: &'a Path,
    /// Its text.
    pub(super) text: &'a str,
    /// Overrides, as written.
    pub(super) overrides: &'a [(String, String)],
}

impl Surroundings<'_> {
    /// A file named in the scenario, relative to the folder of the scenario.
    fn beside(&self, name: &str) -> PathBuf {
        self.path.parent().unwrap_or(self.path).join(name)
    }
}

/// Lowers a whole scenario.
pub(super) fn scenario(
    file: &ScenarioFile,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Scenario {
    check_version(file, problems);
    let default_run = RunSection::default();
    let run = file.scenario.as_ref().map_or(&default_run, |section| &section.value);
    let (traffic, duration) = traffic::lower(file, around, problems);
    check_sessions(file, &traffic, problems);
    let backends = backend::lower(file, problems);
    let faults = fault::lower(file, &backends, duration, problems);
    let checks = check::lower(file, &traffic, &faults, &backends, around.text, problems);
    let autoscaler = autoscaler::lower(file, &checks, problems);
    elsewhere::check(file, &backends, problems);
    let sweep = sweep::lower(file, seed(file), problems);
    Scenario {
        name: name(run, around.path, problems),
        path: around.path.to_owned(),
        text: around.text.to_owned(),
        overrides: around.overrides.to_vec(),
        seed: seed(file),
        duration,
        warm_up: warm_up(run, duration, problems),
        auto_warm_up: matches!(&run.warm_up, Some(written) if written.value == WarmUp::Auto),
        replications: run.replications.as_ref().map_or(1, |count| count.value.0),
        precision: run.precision.as_ref().map(|written| written.value.clone()),
        max_replications: run.max_replications.as_ref().map_or(200, |count| count.value.0),
        until: until(run, &traffic, &faults, problems),
        traffic,
        balancer: balancer::facts(file, around, problems),
        backends,
        autoscaler,
        host: host(file, around),
        faults,
        checks,
        sweep,
    }
}

/// Seed of all draws.
pub(super) fn seed(file: &ScenarioFile) -> u64 {
    or(file.scenario.as_ref().and_then(|section| section.value.seed.as_ref()), 1)
}

/// Lowers the backends alone.
pub(super) fn backends(file: &ScenarioFile, problems: &mut Problems) -> Vec<Backend> {
    check_version(file, problems);
    backend::lower(file, problems)
}

/// Lowers the balancer and its peers alone.
pub(super) fn balancer(
    file: &ScenarioFile,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> BalancerFacts {
    check_version(file, problems);
    balancer::facts(file, around, problems)
}

/// Affinity needs sessions.
fn check_sessions(file: &ScenarioFile, traffic: &TrafficConfig, problems: &mut Problems) {
    let balancer = file.balancer.as_ref();
    if let (None, Some(affinity)) =
        (&traffic.keys, balancer.and_then(|balancer| balancer.value.affinity.as_ref()))
    {
        let help = "sessions are the keys of the traffic: add keys = { count = 1000 } to [traffic]";
        problems.report_with(&affinity.place, "there are no sessions", help);
    }
}

fn check_version(file: &ScenarioFile, problems: &mut Problems) {
    let Some(version) = &file.schema_version else { return };
    if version.value != super::SCHEMA_VERSION {
        let help = format!("this lab reads version {}", super::SCHEMA_VERSION);
        let message = format!("unknown version {} of the format", version.value);
        problems.report_with(&version.place, message, help);
    }
}

fn name(run: &RunSection, path: &Path, problems: &mut Problems) -> String {
    if let Some(name) = &run.name {
        check_name(name, problems);
        return name.value.clone();
    }
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let stem = stem.unwrap_or_else(|| "scenario".to_owned());
    stem.chars().map(|c| if allowed_in_name(c) { c } else { '-' }).collect()
}

fn warm_up(run: &RunSection, duration: Span, problems: &mut Problems) -> Span {
    let Some(written) = &run.warm_up else { return Span::ZERO };
    let WarmUp::Given(warm_up) = written.value else { return Span::ZERO };
    if warm_up >= duration && duration > Span::ZERO {
        let message = format!("a warm-up of {warm_up} leaves nothing of the run");
        problems.report_with(&written.place, message, format!("less than {duration}"));
    }
    warm_up
}

/// A run can end early only where its end is like its beginning.
fn until(
    run: &RunSection,
    traffic: &TrafficConfig,
    faults: &[Fault],
    problems: &mut Problems,
) -> Option<Precision> {
    let written = run.until.as_ref()?;
    let changes = match traffic.stages() {
        [] => false,
        [stage] => stage.rate_from != stage.rate_until,
        _ => true,
    };
    if changes || !faults.is_empty() {
        let message = "a run with stages or faults cannot end before they are over";
        let help = "`precision` runs it again and again";
        problems.report_with(&written.place, message, help);
    }
    Some(written.value.clone())
}

fn host(file: &ScenarioFile, around: &Surroundings<'_>) -> HostFacts {
    let calibration = file.host.as_ref().and_then(|host| host.value.calibration.as_ref());
    HostFacts { calibration: calibration.map(|name| around.beside(&name.value)) }
}

const fn allowed_in_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

fn check_name(name: &Written<String>, problems: &mut Problems) {
    if name.value.is_empty() {
        problems.report(&name.place, "the name is empty");
    } else if let Some(bad) = name.value.chars().find(|c| !allowed_in_name(*c)) {
        let message = format!("`{}` cannot stand in a name", bad.escape_default());
        problems.report_with(&name.place, message, "letters, digits, `-` and `_`");
    }
}

/// Checks the names of a list: their letters, and that none comes twice.
fn check_names<'a>(
    what: &str,
    names: impl Iterator<Item = &'a Written<String>>,
    problems: &mut Problems,
) {
    let mut seen: Vec<&str> = Vec::new();
    for name in names {
        check_name(name, problems);
        if seen.contains(&name.value.as_str()) {
            problems.report(&name.place, format!("there is another {what} named `{}`", name.value));
        }
        seen.push(&name.value);
    }
}

/// Reports a share above 100 %; what it gives is within bounds.
fn probability(share: &Written<Ratio>, problems: &mut Problems) -> Ratio {
    if share.value.0 > 1.0 {
        problems.report(&share.place, format!("{} is more than 100%", share.value));
    }
    Ratio(share.value.0.min(1.0))
}

/// Reports a duration of zero where that has no meaning.
fn positive(span: &Written<Span>, problems: &mut Problems) -> Span {
    if span.value == Span::ZERO {
        problems.report(&span.place, "must be longer than 0s");
    }
    span.value
}

/// Reports a number that is not above `bound`.
fn above(number: &Written<f64>, bound: f64, problems: &mut Problems) -> f64 {
    if number.value <= bound {
        problems.report(&number.place, format!("{} is not above {bound}", number.value));
        return bound + 1.0;
    }
    number.value
}

/// Reports a name that stands for nothing.
fn unknown_name<'a>(
    what: &str,
    name: &str,
    place: &Place,
    known: impl IntoIterator<Item = &'a str>,
    problems: &mut Problems,
) {
    let help = suggestion(name, known, &format!("{what}s here"));
    problems.report_with(place, format!("there is no {what} named `{name}`"), help);
}
