//! Faults: targets resolved to instances, instants to the run.

use super::{above, check_names, probability, unknown_name};
use crate::scenario::checked::Backend;
use crate::scenario::diagnostic::Problems;
use crate::scenario::file::{FaultKindWord, FaultSection, ScenarioFile, Target};
use crate::scenario::reader::Written;
use crate::traffic::{Fault, FaultKind};
use crate::units::{Nanos, Span};

/// The faults in order of their beginning.
pub(super) fn lower(
    file: &ScenarioFile,
    backends: &[Backend],
    duration: Span,
    problems: &mut Problems,
) -> Vec<Fault> {
    let sections = file.fault.as_ref().map_or(&[][..], |list| &list.value);
    check_names("fault", sections.iter().filter_map(|s| s.value.name.as_ref()), problems);
    let mut faults: Vec<(Fault, &Written<FaultSection>)> = Vec::new();
    for section in sections {
        // A missing key was reported by the reader.
        if let Some(fault) = fault(section, file, backends, duration, problems) {
            faults.push((fault, section));
        }
    }
    faults.sort_by_key(|(fault, _)| fault.at);
    check_overlaps(&faults, backends, problems);
    faults.into_iter().map(|(fault, _)| fault).collect()
}

fn fault(
    written: &Written<FaultSection>,
    file: &ScenarioFile,
    backends: &[Backend],
    duration: Span,
    problems: &mut Problems,
) -> Option<Fault> {
    let section = &written.value;
    let targets = section.target.as_ref().map(|t| targets(&t.value, backends, problems));
    let kind = section.kind.as_ref().and_then(|kind| self::kind(kind, written, file, problems));
    let name = section.name.as_ref()?.value.clone();
    let (at, lasts) = (section.at.as_ref()?, section.lasts.as_ref()?);
    check_window(at, lasts, duration, problems);
    let begin = Nanos::ZERO + at.value;
    Some(Fault { name, at: begin, until: begin + lasts.value, targets: targets?, kind: kind? })
}

fn targets(target: &Target, backends: &[Backend], problems: &mut Problems) -> Vec<usize> {
    let mut found = Vec::new();
    for name in &target.0 {
        let meant = |backend: &Backend| backend.name == name.value || backend.group == name.value;
        let before = found.len();
        found.extend(backends.iter().enumerate().filter(|(_, b)| meant(b)).map(|(i, _)| i));
        if found.len() == before {
            let known = backends.iter().flat_map(|b| [b.group.as_str(), b.name.as_str()]);
            let mut known: Vec<&str> = known.collect();
            known.dedup();
            unknown_name("backend", &name.value, &name.place, known, problems);
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

fn kind(
    kind: &Written<FaultKindWord>,
    written: &Written<FaultSection>,
    file: &ScenarioFile,
    problems: &mut Problems,
) -> Option<FaultKind> {
    check_factor(kind, written, problems);
    check_rate(kind, written, problems);
    let section = &written.value;
    let no_checks = file.balancer.as_ref().is_none_or(|b| b.value.health.is_none());
    if kind.value == FaultKindWord::HealthFlap && no_checks {
        let message = "health checks cannot fail, since the balancer makes none";
        problems.report_with(&kind.place, message, "add [balancer.health]");
    }
    Some(match kind.value {
        FaultKindWord::Crash => FaultKind::Crash,
        FaultKindWord::Hang => FaultKind::Hang,
        FaultKindWord::Partition => FaultKind::Partition,
        FaultKindWord::Drain => FaultKind::Drain,
        FaultKindWord::Slow => FaultKind::Slow(above(section.factor.as_ref()?, 0.0, problems)),
        FaultKindWord::ErrorRate => {
            FaultKind::ErrorRate(probability(section.rate.as_ref()?, problems))
        }
        FaultKindWord::HealthFlap => {
            FaultKind::HealthFlap(probability(section.rate.as_ref()?, problems))
        }
    })
}

fn check_factor(
    kind: &Written<FaultKindWord>,
    section: &Written<FaultSection>,
    problems: &mut Problems,
) {
    let wanted = kind.value == FaultKindWord::Slow;
    match &section.value.factor {
        Some(factor) if !wanted => {
            problems.report(&factor.place, "only a fault of kind `slow` has a factor");
        }
        None if wanted && !problems.mentions(&format!("{}.factor", section.place.key)) => {
            let help = "such as factor = 4: service takes four times as long";
            problems.report_with(&kind.place, "a slow fault needs the key `factor`", help);
        }
        _ => {}
    }
}

fn check_rate(
    kind: &Written<FaultKindWord>,
    section: &Written<FaultSection>,
    problems: &mut Problems,
) {
    let wanted = matches!(kind.value, FaultKindWord::ErrorRate | FaultKindWord::HealthFlap);
    match &section.value.rate {
        Some(rate) if !wanted => {
            let message = "only faults of kind `error_rate` and `health_flap` have a rate";
            problems.report(&rate.place, message);
        }
        None if wanted && !problems.mentions(&format!("{}.rate", section.place.key)) => {
            let message = "this kind of fault needs the key `rate`";
            problems.report_with(&kind.place, message, "such as rate = \"50%\"");
        }
        _ => {}
    }
}

fn check_window(at: &Written<Span>, lasts: &Written<Span>, run: Span, problems: &mut Problems) {
    if run == Span::ZERO {
        return;
    }
    let end = Nanos::ZERO + at.value + lasts.value;
    if at.value >= run {
        problems.report(&at.place, format!("begins when the run of {run} is over"));
    } else if end.0 > run.0 {
        let message = format!("ends at {}, after the run of {run}", Span(end.0));
        let longest = Span(run.0 - at.value.0);
        problems.report_with(&lasts.place, message, format!("at most {longest}"));
    }
    if lasts.value == Span::ZERO {
        problems.report(&lasts.place, "must be longer than 0s");
    }
}

/// Two faults that cannot be told apart, or of which one hides the other, may not overlap.
fn check_overlaps(
    faults: &[(Fault, &Written<FaultSection>)],
    backends: &[Backend],
    problems: &mut Problems,
) {
    for (i, (later, section)) in faults.iter().enumerate() {
        for (earlier, _) in &faults[..i] {
            let shared = later.targets.iter().find(|target| earlier.targets.contains(target));
            let (Some(shared), true) = (shared, later.at < earlier.until) else { continue };
            if !conflict(later.kind, earlier.kind) {
                continue;
            }
            let place = section.value.at.as_ref().map_or(&section.place, |at| &at.place);
            let message = format!(
                "`{}` begins while `{}` still lasts on `{}`",
                later.name, earlier.name, backends[*shared].name
            );
            problems.report(place, message);
        }
    }
}

fn conflict(one: FaultKind, other: FaultKind) -> bool {
    let stops = |kind| matches!(kind, FaultKind::Crash | FaultKind::Hang);
    std::mem::discriminant(&one) == std::mem::discriminant(&other) || (stops(one) && stops(other))
}
