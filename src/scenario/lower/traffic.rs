//! Traffic: where requests come from, their classes and keys, and the client.

use super::{Surroundings, above, check_names, law, or, positive, probability, unknown_name};
use crate::scenario::diagnostic::Problems;
use crate::scenario::file::{
    ArrivalForm, ClassSection, ClientSection, KeysSection, MmppForm, ScenarioFile, StageSection,
    TraceForm, TrafficSection,
};
use crate::scenario::reader::{Count, Written};
use crate::traffic::arrival::trace;
use crate::traffic::{
    ArrivalConfig, ClassConfig, ClientConfig, KeyConfig, Law, Source, Stage, TrafficConfig,
};
use crate::units::{Bytes, Nanos, Rate, Ratio, Span};

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
        problems.report_with(&super::Place::default(), "the section [traffic] is missing", help);
    }
    let classes = classes(section, problems);
    let (source, duration) = match &section.users {
        Some(users) => closed(users, section, file, problems),
        None => open(section, file, &classes, around, problems),
    };
    let traffic = TrafficConfig {
        source,
        classes,
        keys: section.keys.as_ref().and_then(|keys| self::keys(&keys.value, problems)),
        client: client(section.client.as_ref().map(|client| &client.value), problems),
    };
    (traffic, duration)
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
    let arrival = section
        .arrival
        .as_ref()
        .and_then(|arrival| self::arrival(&arrival.value, problems))
        .unwrap_or(ArrivalConfig::Poisson);
    let (stages, duration) = match (&section.stage, &section.rate) {
        (Some(stages), rate) => {
            if let Some(rate) = rate {
                let message = "`rate` and stages exclude each other";
                problems.report_with(&rate.place, message, "write the rate into the stages");
            }
            self::stages(&stages.value, file, problems)
        }
        (None, Some(rate)) => {
            let duration = needed_duration(file, problems);
            check_rate(rate, problems);
            (vec![whole_run(rate.value, duration)], duration)
        }
        (None, None) => {
            if let Some(traffic) = &file.traffic
                && !["rate", "stage", "arrival", "users"]
                    .iter()
                    .any(|key| problems.mentions(&format!("traffic.{key}")))
            {
                let help = "one of `rate`, [[traffic.stage]], a trace, or `users`";
                problems.report_with(&traffic.place, "nothing says how many requests come", help);
            }
            let duration = needed_duration(file, problems);
            (vec![whole_run(Rate(0.0), duration)], duration)
        }
    };
    (Source::Open { arrival, stages }, duration)
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
    for place in [section.rate.as_ref().map(|w| &w.place), section.stage.as_ref().map(|w| &w.place)]
        .into_iter()
        .flatten()
    {
        problems.report(place, "a trace has its own rate; change it with `speed`");
    }
    let speed = form.speed.as_ref().map_or(1.0, |speed| above(speed, 0.0, problems));
    let names: Vec<String> = classes.iter().map(|class| class.name.clone()).collect();
    let entries = form.file.as_ref().map_or_else(Vec::new, |name| {
        let path = around.path.parent().unwrap_or(around.path).join(&name.value);
        trace::read(&path, &names).unwrap_or_else(|error| {
            problems.report(&name.place, error.to_string());
            Vec::new()
        })
    });
    let length = entries.last().map_or(Span::ZERO, |last| last.at.since(Nanos::ZERO));
    let length = Span::from_nanos_f64(length.0 as f64 / speed);
    // The last request is due within the run, not at its end.
    let duration = match written_duration(file) {
        Some(written) => positive(written, problems),
        None => Span(length.0.saturating_add(1)),
    };
    let rate = entries.len() as f64 / length.as_secs_f64().max(1e-9);
    let arrival = ArrivalConfig::Trace { entries: entries.into(), speed };
    (Source::Open { arrival, stages: vec![whole_run(Rate(rate), duration)] }, duration)
}

fn stages(
    sections: &[Written<StageSection>],
    file: &ScenarioFile,
    problems: &mut Problems,
) -> (Vec<Stage>, Span) {
    check_names("stage", sections.iter().filter_map(|s| s.value.name.as_ref()), problems);
    let total = written_duration(file);
    let mut from = Nanos::ZERO;
    let mut stages = Vec::new();
    for (i, section) in sections.iter().enumerate() {
        let last = i + 1 == sections.len();
        let rest = total.filter(|_| last).map(|total| (Nanos::ZERO + total.value).since(from));
        let until = from + stage_length(section, rest, problems);
        let (rate_from, rate_until) = stage_rates(section, problems);
        let name = or(section.value.name.as_ref(), String::new());
        stages.push(Stage { name, from, until, rate_from, rate_until });
        from = until;
    }
    let sum = from.since(Nanos::ZERO);
    if let Some(total) = total
        && total.value != sum
        && !problems.mentions("traffic.stage")
    {
        let message = format!("the stages take {sum}, the scenario {}", total.value);
        let help = "leave out `scenario.duration`, or the duration of the last stage";
        problems.report_with(&total.place, message, help);
    }
    if let (None, Some(list)) = (stages.first(), file.traffic.as_ref()) {
        problems.report(&list.place, "the list of stages is empty");
    }
    if stages.iter().all(|stage| stage.mean_rate().0 == 0.0)
        && let Some(first) = sections.first()
        && !problems.mentions("traffic.stage")
    {
        problems.report(&first.place, "no request would ever come: every stage has a rate of 0/s");
    }
    (stages, sum)
}

fn stage_length(
    section: &Written<StageSection>,
    rest: Option<Span>,
    problems: &mut Problems,
) -> Span {
    match (&section.value.duration, rest) {
        (Some(written), _) => positive(written, problems),
        (None, Some(rest)) => rest,
        (None, None) => {
            if !problems.mentions(&format!("{}.duration", section.place.key)) {
                problems.report(&section.place, "the key `duration` is missing");
            }
            Span::ZERO
        }
    }
}

fn stage_rates(section: &Written<StageSection>, problems: &mut Problems) -> (Rate, Rate) {
    let StageSection { rate, from, to, .. } = &section.value;
    match (rate, from, to) {
        (Some(rate), None, None) => (rate.value, rate.value),
        (None, Some(from), Some(to)) => (from.value, to.value),
        _ => {
            if !problems.mentions(&section.place.key) {
                let message = "a stage has either `rate`, or both `from` and `to`";
                problems.report(&section.place, message);
            }
            (Rate(0.0), Rate(0.0))
        }
    }
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
        let place = &sections[sections.len() - 1].value.share.as_ref().map(|share| &share.place);
        let place = place.unwrap_or(&sections[0].place);
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
