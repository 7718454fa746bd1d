//! Stages: parts of the run with a rate of their own.

use super::{check_names, or, positive};
use crate::scenario::diagnostic::Problems;
use crate::scenario::file::StageSection;
use crate::scenario::reader::Written;
use crate::traffic::Stage;
use crate::units::{Nanos, Rate, Span};

/// The stages in order, and how long they take together. `total` is `scenario.duration`.
pub(super) fn lower(
    list: &Written<Vec<Written<StageSection>>>,
    total: Option<&Written<Span>>,
    problems: &mut Problems,
) -> (Vec<Stage>, Span) {
    let sections = &list.value;
    check_names("stage", sections.iter().filter_map(|s| s.value.name.as_ref()), problems);
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
    check_sum(sum, total, problems);
    check_load(list, &stages, problems);
    (stages, sum)
}

fn check_sum(sum: Span, total: Option<&Written<Span>>, problems: &mut Problems) {
    if let Some(total) = total
        && total.value != sum
        && !problems.mentions("traffic.stage")
    {
        let message = format!("the stages take {sum}, the scenario {}", total.value);
        let help = "leave out `scenario.duration`, or the duration of the last stage";
        problems.report_with(&total.place, message, help);
    }
}

fn check_load(
    list: &Written<Vec<Written<StageSection>>>,
    stages: &[Stage],
    problems: &mut Problems,
) {
    if problems.mentions("traffic.stage") {
        return;
    }
    if stages.is_empty() {
        problems.report(&list.place, "the list of stages is empty");
    } else if stages.iter().all(|stage| stage.mean_rate().0 == 0.0) {
        problems.report(&list.place, "no request would ever come: every stage has a rate of 0/s");
    }
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
