//! The autoscaler: the group it scales, its rule, and the lags that make it what it is.

use super::rule::{self, Size};
use super::{backend, metric, or, positive, unknown_name};
use crate::policy::scale::Metric;
use crate::scenario::autoscaler::{AutoscalerFacts, MetricSource};
use crate::scenario::check::{Check, Measure, Relation, parse};
use crate::scenario::checked::Engine;
use crate::scenario::diagnostic::Problems;
use crate::scenario::file::{
    AutoscalerSection, BackendSection, FaultKindWord, ScenarioFile, Target,
};
use crate::scenario::reader::Written;
use crate::units::Span;

/// What is there without a word of the scenario: Prometheus' and Kubernetes' 15 s.
const DEFAULT_POLL: Span = Span::from_secs(15);
const DEFAULT_WINDOW: Span = Span::from_secs(60);
const DEFAULT_DRAIN: Span = Span::from_secs(30);

/// The place of the group that is scaled, if there is an autoscaler and it can be told.
pub(super) fn scaled_group(file: &ScenarioFile) -> Option<usize> {
    let section = &file.autoscaler.as_ref()?.value;
    let groups = groups(file);
    match &section.backend {
        Some(name) => groups.iter().position(|group| is_named(&group.value, &name.value)),
        None => {
            let mut primaries = groups.iter().enumerate().filter(|(_, group)| !is_backup(group));
            let (place, _) = primaries.next()?;
            primaries.next().is_none().then_some(place)
        }
    }
}

/// How many instances of its group there are at the start, and at most.
pub(super) fn size(file: &ScenarioFile, group: &BackendSection) -> (u32, u32) {
    let section = file.autoscaler.as_ref().map(|section| &section.value);
    let count = |field: Option<&Written<_>>, default| field.map_or(default, count);
    let min = count(section.and_then(|section| section.min.as_ref()), 1);
    let max = count(section.and_then(|section| section.max.as_ref()), min).max(min);
    (count(group.count.as_ref(), min).clamp(min, max), max)
}

const fn count(written: &Written<crate::scenario::reader::Count>) -> u32 {
    written.value.0
}

fn groups(file: &ScenarioFile) -> &[Written<BackendSection>] {
    file.backend.as_ref().map_or(&[], |list| &list.value)
}

fn is_named(group: &BackendSection, name: &str) -> bool {
    group.name.as_ref().is_some_and(|own| own.value == name)
}

fn is_backup(group: &Written<BackendSection>) -> bool {
    or(group.value.backup.as_ref(), false)
}

/// The autoscaler, if the scenario has one.
pub(in crate::scenario) fn lower(
    file: &ScenarioFile,
    checks: &[Check],
    problems: &mut Problems,
) -> Option<AutoscalerFacts> {
    let written = file.autoscaler.as_ref()?;
    let section = &written.value;
    let Some(place) = scaled_group(file) else {
        unknown_group(file, written, problems);
        return None;
    };
    let group = &groups(file)[place];
    check_bounds(section, group, problems);
    check_group(file, group, problems);
    check_faults(file, group, problems);
    let metrics = metric::lower(file, section, problems);
    let timing = Timing::lower(section, &metrics.metrics, problems);
    let (initial, max) = size(file, &group.value);
    let min = section.min.as_ref().map_or(1, count);
    Some(AutoscalerFacts {
        group: or(group.value.name.as_ref(), String::new()),
        slots: backend::places(file, place),
        scale: rule::lower(section, Size { min, max, initial }, metrics, timing, problems),
        source: or(section.source.as_ref(), MetricSource::default()),
        scrape_interval: timing.scrape_interval,
        rate_window: timing.rate_window,
        start_up: or(section.start_up.as_ref(), Span::ZERO),
        drain_timeout: or(section.drain_timeout.as_ref(), DEFAULT_DRAIN),
        slo: slo(section, checks, problems),
    })
}

fn unknown_group(
    file: &ScenarioFile,
    written: &Written<AutoscalerSection>,
    problems: &mut Problems,
) {
    let names = groups(file).iter().filter_map(|group| group.value.name.as_ref());
    let names: Vec<&str> = names.map(|name| name.value.as_str()).collect();
    match &written.value.backend {
        Some(name) => unknown_name("backend", &name.value, &name.place, names, problems),
        // Other problems of the list are said elsewhere.
        None if groups(file).iter().filter(|group| !is_backup(group)).count() > 1 => {
            let help = format!("such as backend = \"{}\"", names.first().unwrap_or(&"api"));
            let message = "there are several groups: the key `backend` must say which is scaled";
            problems.report_with(&written.place, message, help);
        }
        None => {}
    }
}

/// min ≤ count ≤ max.
fn check_bounds(
    section: &AutoscalerSection,
    group: &Written<BackendSection>,
    problems: &mut Problems,
) {
    let min = section.min.as_ref().map_or(1, count);
    let Some(max) = &section.max else { return };
    let most = count(max);
    if most < min {
        let message = format!("at most {most} instances, but at least {min}");
        return problems.report_with(&max.place, message, format!("{min} or more"));
    }
    if u64::from(most) > backend::MAX_INSTANCES {
        problems.report(&max.place, format!("more than {} instances", backend::MAX_INSTANCES));
    }
    if let Some(written) = &group.value.count
        && !(min..=most).contains(&count(written))
    {
        let message = format!("the autoscaler keeps from {min} to {most} instances of this group");
        problems.report(&written.place, message);
    }
}

/// What the group must be for its instances to come and go.
fn check_group(file: &ScenarioFile, group: &Written<BackendSection>, problems: &mut Problems) {
    if let Some(address) = &group.value.address {
        let message = "the instances of a scaled group get their addresses when they start";
        problems.report(&address.place, message);
    }
    if let Some(down) = group.value.down.as_ref().filter(|down| down.value) {
        problems.report(&down.place, "a group that is out of service cannot be scaled");
    }
    let engine = file.balancer.as_ref().and_then(|balancer| balancer.value.engine.as_ref());
    if let Some(written) = engine
        && let Engine::Elsewhere(url) = &written.value
    {
        let message = format!("the balancer at {url} takes no orders from lab");
        problems.report_with(&written.place, message, "so its backends cannot be scaled");
    }
}

/// The autoscaler drains the instances of its group, and replaces those that die.
fn check_faults(file: &ScenarioFile, group: &Written<BackendSection>, problems: &mut Problems) {
    let Some(name) = &group.value.name else { return };
    let of_group = |target: &Target| {
        target.0.iter().any(|one| {
            let number = one.value.strip_prefix(name.value.as_str());
            number.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        })
    };
    let faults = file.fault.as_ref().map_or(&[][..], |list| &list.value);
    for fault in
        faults.iter().filter(|f| f.value.target.as_ref().is_some_and(|t| of_group(&t.value)))
    {
        if let Some(kind) = &fault.value.kind
            && kind.value == FaultKindWord::Drain
        {
            let message =
                format!("`{}` is scaled: the autoscaler drains its instances", name.value);
            problems.report_with(&kind.place, message, "a crash, hang or slow backend is possible");
        }
    }
}

/// When things are looked at and decided.
#[derive(Clone, Copy)]
pub(super) struct Timing {
    pub(super) poll: Span,
    pub(super) scrape_interval: Span,
    pub(super) rate_window: Span,
}

impl Timing {
    fn lower(section: &AutoscalerSection, metrics: &[Metric], problems: &mut Problems) -> Self {
        let mut span = |field: &Option<Written<Span>>, default| {
            field.as_ref().map_or(default, |written| positive(written, problems))
        };
        let scrape_interval = span(&section.scrape_interval, DEFAULT_POLL);
        let timing = Self {
            poll: span(&section.poll, DEFAULT_POLL),
            scrape_interval,
            rate_window: span(&section.rate_window, DEFAULT_WINDOW.max(scrape_interval * 4)),
        };
        timing.check_window(section, metrics, problems);
        timing
    }

    /// A rate needs two samples in every window, a mean of a gauge one.
    fn check_window(
        &self,
        section: &AutoscalerSection,
        metrics: &[Metric],
        problems: &mut Problems,
    ) {
        let any_rate = metrics.iter().any(|metric| metric.unit().is_rate());
        let (factor, needs) = if any_rate { (2, "two samples") } else { (1, "samples") };
        let least = self.scrape_interval * factor;
        if let Some(window) = &section.rate_window
            && window.value < least
            && window.value > Span::ZERO
        {
            let every = self.scrape_interval;
            let message = format!("too short: it must hold {needs}, which come every {every}");
            problems.report_with(&window.place, message, format!("at least {least}"));
        }
    }
}

/// What each second should hold: as written, or the first check of the kind.
fn slo(section: &AutoscalerSection, checks: &[Check], problems: &mut Problems) -> Option<Check> {
    let Some(written) = &section.slo else {
        return checks.iter().find(|check| bounds_every_second(check)).cloned();
    };
    match parse(&written.value) {
        Ok(check) if bounds_every_second(&check) => Some(check),
        Ok(_) => {
            let message = "this cannot be told of every second";
            let help = "such as p50 < 20ms, p99 < 300ms or errors < 1%, of all requests";
            problems.report_with(&written.place, message, help);
            None
        }
        Err(error) => {
            problems.report_with(&written.place, error.message, error.help);
            None
        }
    }
}

/// An upper bound on something that is known of each second, of all requests.
fn bounds_every_second(check: &Check) -> bool {
    let subject = &check.subject;
    let restrictions =
        [&subject.class, &subject.stage, &subject.during, &subject.before, &subject.after];
    let known = match subject.measure {
        Measure::Quantile(order) => order == 0.5 || order == 0.99,
        Measure::Errors => true,
        _ => false,
    };
    let upper = matches!(check.relation, Relation::Below(_) | Relation::AtMost(_));
    known && upper && restrictions.iter().all(|name| name.is_none())
}
