//! Where requests come from: an open loop by rate, stages or trace, or a closed loop of users.

use super::{Surroundings, above, law, positive, stage};
use crate::scenario::diagnostic::Problems;
use crate::scenario::file::{ArrivalForm, MmppForm, ScenarioFile, TraceForm, TrafficSection};
use crate::scenario::reader::{Count, Written};
use crate::traffic::arrival::{TraceEntry, trace};
use crate::traffic::{ArrivalConfig, ClassConfig, Law, Source, Stage};
use crate::units::{Nanos, Rate, Span};

/// The source of requests, and how long they arrive.
pub(super) fn lower(
    section: &TrafficSection,
    file: &ScenarioFile,
    classes: &[ClassConfig],
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> (Source, Span) {
    match &section.users {
        Some(users) => closed(users, section, file, problems),
        None => open(section, file, classes, around, problems),
    }
}

/// `scenario.duration`, if it was written.
fn written_duration(file: &ScenarioFile) -> Option<&Written<Span>> {
    file.scenario.as_ref()?.value.duration.as_ref()
}

/// `scenario.duration` where nothing else tells how long the run is.
fn needed_duration(file: &ScenarioFile, problems: &mut Problems) -> Span {
    if let Some(written) = written_duration(file) {
        return positive(written, problems);
    }
    let broken = file.scenario.is_none() && problems.mentions("scenario");
    if !broken && !problems.mentions("scenario.duration") {
        let place = file.scenario.as_ref().map(|section| section.place.clone()).unwrap_or_default();
        let help = "such as duration = \"30s\" in [scenario]";
        problems.report_with(&place, "the key `scenario.duration` is missing", help);
    }
    Span::ZERO
}

fn closed(
    users: &Written<Count>,
    section: &TrafficSection,
    file: &ScenarioFile,
    problems: &mut Problems,
) -> (Source, Span) {
    let open_only = [
        ("rate", section.rate.as_ref().map(|w| &w.place)),
        ("arrival", section.arrival.as_ref().map(|w| &w.place)),
        ("stage", section.stage.as_ref().map(|w| &w.place)),
    ];
    for (key, place) in open_only {
        if let Some(place) = place {
            let help = "leave out one of them";
            let message = format!("`{key}` belongs to an open loop, `users` to a closed one");
            problems.report_with(place, message, help);
        }
    }
    let think = section.think.as_ref().map_or(Law::Constant(Span::ZERO), |t| law(t, problems));
    (Source::Closed { users: users.value.0, think }, needed_duration(file, problems))
}

fn open(
    section: &TrafficSection,
    file: &ScenarioFile,
    classes: &[ClassConfig],
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> (Source, Span) {
    if let Some(think) = &section.think {
        problems.report(&think.place, "`think` belongs to a closed loop, which needs `users`");
    }
    if let Some(Written { value: ArrivalForm::Trace(form), .. }) = &section.arrival {
        return recorded(form, section, file, classes, around, problems);
    }
    let form = section.arrival.as_ref().map(|arrival| &arrival.value);
    let arrival = form.and_then(|form| arrival(form, problems)).unwrap_or(ArrivalConfig::Poisson);
    let (stages, duration) = offered(section, file, problems);
    (Source::Open { arrival, stages }, duration)
}

/// The load over time: stages, or one rate throughout.
fn offered(
    section: &TrafficSection,
    file: &ScenarioFile,
    problems: &mut Problems,
) -> (Vec<Stage>, Span) {
    if let (Some(_), Some(rate)) = (&section.stage, &section.rate) {
        let message = "`rate` and stages exclude each other";
        problems.report_with(&rate.place, message, "write the rate into the stages");
    }
    if let Some(sections) = &section.stage {
        return stage::lower(sections, written_duration(file), problems);
    }
    let duration = needed_duration(file, problems);
    let rate = section.rate.as_ref().map_or(Rate(0.0), |rate| {
        check_rate(rate, problems);
        rate.value
    });
    if section.rate.is_none() {
        check_offered(file, problems);
    }
    (vec![whole_run(rate, duration)], duration)
}

/// Reports traffic of which nothing says how much, unless what should say it was wrong already.
fn check_offered(file: &ScenarioFile, problems: &mut Problems) {
    let Some(traffic) = &file.traffic else { return };
    let keys = ["traffic.rate", "traffic.stage", "traffic.arrival", "traffic.users"];
    if !keys.iter().any(|key| problems.mentions(key)) {
        let help = "one of `rate`, [[traffic.stage]], a trace, or `users`";
        problems.report_with(&traffic.place, "nothing says how many requests come", help);
    }
}

fn whole_run(rate: Rate, duration: Span) -> Stage {
    let until = Nanos::ZERO + duration;
    Stage { name: "run".to_owned(), from: Nanos::ZERO, until, rate_from: rate, rate_until: rate }
}

fn check_rate(rate: &Written<Rate>, problems: &mut Problems) {
    if rate.value.0 == 0.0 {
        problems.report(&rate.place, "no request would ever come");
    } else if rate.value.0 > 1e8 {
        problems.report(&rate.place, "more than 100000000/s");
    }
}

fn arrival(form: &ArrivalForm, problems: &mut Problems) -> Option<ArrivalConfig> {
    Some(match form {
        ArrivalForm::Poisson(_) => ArrivalConfig::Poisson,
        ArrivalForm::Uniform(_) => ArrivalConfig::Uniform,
        ArrivalForm::Mmpp(form) => mmpp(form, problems)?,
        ArrivalForm::Pareto(form) => {
            ArrivalConfig::Pareto { alpha: above(form.alpha.as_ref()?, 1.0, problems) }
        }
        // Read by `recorded`, since it brings its own duration.
        ArrivalForm::Trace(_) => return None,
    })
}

fn mmpp(form: &MmppForm, problems: &mut Problems) -> Option<ArrivalConfig> {
    let ratio = form.burst_ratio.as_ref()?;
    if ratio.value < 1.0 {
        let message = format!("{} is below 1: a burst would be the quieter time", ratio.value);
        problems.report(&ratio.place, message);
    }
    Some(ArrivalConfig::Mmpp {
        burst_ratio: ratio.value.max(1.0),
        burst: positive(form.burst.as_ref()?, problems),
        quiet: positive(form.quiet.as_ref()?, problems),
    })
}

fn recorded(
    form: &TraceForm,
    section: &TrafficSection,
    file: &ScenarioFile,
    classes: &[ClassConfig],
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> (Source, Span) {
    let (rate, stage) = (section.rate.as_ref(), section.stage.as_ref());
    for place in rate.map(|w| &w.place).into_iter().chain(stage.map(|w| &w.place)) {
        problems.report(place, "a trace has its own rate; change it with `speed`");
    }
    let speed = form.speed.as_ref().map_or(1.0, |speed| above(speed, 0.0, problems));
    let entries = entries(form, classes, around, problems);
    let length = entries.last().map_or(Span::ZERO, |last| last.at.since(Nanos::ZERO));
    let length = Span::from_nanos_f64(length.0 as f64 / speed);
    // The last request is due within the run, not at its end.
    let duration = written_duration(file)
        .map_or(Span(length.0.saturating_add(1)), |written| positive(written, problems));
    let rate = Rate(entries.len() as f64 / length.as_secs_f64().max(1e-9));
    let arrival = ArrivalConfig::Trace { entries: entries.into(), speed };
    (Source::Open { arrival, stages: vec![whole_run(rate, duration)] }, duration)
}

/// The entries of the trace file; none where it cannot be used.
fn entries(
    form: &TraceForm,
    classes: &[ClassConfig],
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Vec<TraceEntry> {
    let Some(file) = &form.file else { return Vec::new() };
    let names: Vec<String> = classes.iter().map(|class| class.name.clone()).collect();
    trace::read(&around.beside(&file.value), &names).unwrap_or_else(|error| {
        problems.report(&file.place, error.to_string());
        Vec::new()
    })
}
