//! A sweep as text: a table with a row for each condition and a column for each contender.

use super::number::{latency, percent, rate};
use super::table::{Paint, lay_out};
use crate::compare::Estimate;
use crate::scenario::sweep::Measure;
use crate::sweep::{Condition, Contender, SweepResults};

/// More conditions than this are left to the files.
const MOST_ROWS: usize = 24;

/// The whole report.
#[must_use]
pub fn render(results: &SweepResults, paint: Paint) -> String {
    let ranking = &results.ranking;
    let plural = |count: u32| if count == 1 { "" } else { "s" };
    let mut text = format!(
        "{}  sweep {}  seed {}  {} points, {} replication{} each, all with the same random numbers\n\n",
        paint.bold(&results.scenario),
        results.sweep,
        results.seed,
        results.points.len(),
        results.replications,
        plural(results.replications),
    );
    let by = ranking.compare.as_ref().map_or_else(String::new, |key| format!(" by {key}"));
    text.push_str(&paint.bold(&format!("{}{by}", ranking.measure.name())));
    text.push('\n');
    text.push_str(&table(results, paint));
    let hidden = ranking.conditions.len().saturating_sub(MOST_ROWS);
    if hidden > 0 {
        text.push_str(&format!("  … and {hidden} more conditions, in summary.json and points/\n"));
    }
    text.push_str(&verdict(results, paint));
    text.push_str(&checks(results, paint));
    text.push_str(&warnings(results, paint));
    text
}

fn table(results: &SweepResults, paint: Paint) -> String {
    let ranking = &results.ranking;
    let Some(first) = ranking.conditions.first() else { return String::new() };
    // The first column names all of a condition, so that it stays to the left.
    let keys: Vec<&str> = first.settings.iter().map(|setting| short(&setting.key)).collect();
    let mut heading = vec![keys.join(", ")];
    if ranking.compare.is_some() {
        heading.extend(first.contenders.iter().map(|one| one.label.clone()));
        heading.push("best".to_owned());
    } else {
        heading.push(ranking.measure.name().to_owned());
    }
    let mut rows = vec![heading];
    for condition in ranking.conditions.iter().take(MOST_ROWS) {
        let labels: Vec<&str> =
            condition.settings.iter().map(|setting| setting.label.as_str()).collect();
        let mut row = vec![labels.join(", ")];
        for one in &condition.contenders {
            let shown = format!("{}{}", shown(ranking.measure, one.estimate), marks(one));
            row.push(if one.best { paint.good(&shown) } else { shown });
        }
        if ranking.compare.is_some() {
            row.push(best(condition));
        }
        rows.push(row);
    }
    lay_out(&rows, paint)
}

/// `!` where a check fails, `*` where there is a warning.
fn marks(one: &Contender) -> String {
    let mark = |is: bool, mark: &'static str| if is { mark } else { "" };
    [mark(one.failed_checks > 0, "!"), mark(one.warned, "*")].concat()
}

/// The best one, or those that cannot be told apart from it.
fn best(condition: &Condition) -> String {
    let level = |one: &&Contender| one.best || one.level;
    let names: Vec<&str> =
        condition.contenders.iter().filter(level).map(|one| one.label.as_str()).collect();
    match names.len() {
        0 => "–".to_owned(),
        n if n == condition.contenders.len() && n > 1 => "no difference".to_owned(),
        _ => names.join(" or "),
    }
}

/// How often each is best alone.
fn verdict(results: &SweepResults, paint: Paint) -> String {
    let ranking = &results.ranking;
    if ranking.compare.is_none() || ranking.conditions.iter().all(|it| it.contenders.len() < 2) {
        return String::new();
    }
    let mut wins: Vec<(&str, usize)> = Vec::new();
    let mut open = 0;
    for condition in &ranking.conditions {
        let Some(best) = condition.contenders.iter().find(|one| one.best) else { continue };
        if condition.contenders.iter().any(|one| one.level) {
            open += 1;
            continue;
        }
        match wins.iter_mut().find(|(label, _)| *label == best.label) {
            Some((_, count)) => *count += 1,
            None => wins.push((&best.label, 1)),
        }
    }
    wins.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    let of = ranking.conditions.len();
    let mut parts: Vec<String> =
        wins.iter().map(|(label, count)| format!("{label} in {count}")).collect();
    if open > 0 {
        parts.push(format!("not to be told in {open}"));
    }
    let how = if results.replications > 1 {
        "by the differences of replications that share their random numbers"
    } else {
        "by intervals that do not meet; more replications tell more"
    };
    format!("\n{} of {of} conditions: {} (95 %, {how})\n", paint.bold("best"), parts.join(", "))
}

/// Which checks fail, and where.
fn checks(results: &SweepResults, paint: Paint) -> String {
    let of = results.points.len();
    let failing = results.checks.iter().filter(|check| check.failed > 0);
    let open = results.checks.iter().filter(|check| check.undecided > 0);
    let failing = failing.map(|check| format!("{} at {}", check.text, check.failed));
    let failing: Vec<String> = failing.collect();
    let mut text = String::new();
    if !failing.is_empty() {
        let told = format!("! of {of} points checks fail: {}", failing.join(", "));
        text.push_str(&(paint.bad(&told) + "\n"));
    } else if results.checks.iter().any(|check| check.held > 0) {
        text.push_str(&(paint.good("no check fails at any point") + "\n"));
    }
    for check in open {
        text.push_str(&format!("  {} is undecided at {} points\n", check.text, check.undecided));
    }
    text
}

fn warnings(results: &SweepResults, paint: Paint) -> String {
    let mut warned: Vec<(&str, usize)> = Vec::new();
    let warned_points = results.points.iter().filter(|point| !point.warnings.is_empty());
    let count = warned_points.clone().count();
    for warning in warned_points.flat_map(|point| point.warnings.first()) {
        match warned.iter_mut().find(|(text, _)| text == warning) {
            Some((_, count)) => *count += 1,
            None => warned.push((warning, 1)),
        }
    }
    let Some((first, _)) = warned.iter().max_by_key(|(_, count)| *count) else {
        return String::new();
    };
    let text =
        format!("* {count} of {} points have a warning, such as: {first}", results.points.len());
    paint.warning(&text) + "\n"
}

/// The last part of a key that says something: `speed` of `backend.slow.speed` with its group.
fn short(key: &str) -> &str {
    key.split_once('.').map_or(key, |(_, rest)| rest)
}

/// A statistic with half the width of its interval.
fn shown(measure: Measure, estimate: Estimate) -> String {
    let number = |value: f64| match measure {
        latency_of if latency_of.is_latency() => latency(value),
        Measure::Goodput => rate(value),
        _ => percent(value),
    };
    match (estimate.low, estimate.high) {
        (Some(low), Some(high)) => {
            format!("{} ± {}", number(estimate.value), number((high - low) / 2.0))
        }
        _ => number(estimate.value),
    }
}
