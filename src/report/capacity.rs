//! What a system takes, as text.

use super::number::{count, difference, latency, percent, rate};
use super::table::{Paint, lay_out};
use crate::compare::{Capacity, Estimate, Holds, Probe, Validity};

/// Levels shown; all are in `summary.json`.
const SHOWN: usize = 14;

/// Everything there is to say.
#[must_use]
pub fn render(capacity: &Capacity, paint: Paint) -> String {
    let mut text = paint.bold(&headline(capacity)) + "\n\n";
    text.push_str(&curve(capacity, paint));
    if let Some(knee) = capacity.model.knee {
        text.push_str(&format!(
            "  knee at {}: goodput over mean latency is largest there\n",
            level(knee, &capacity.unit)
        ));
    }
    if !capacity.live.is_empty() {
        text.push_str(&format!("\n{}", live(capacity, paint)));
    }
    text + "\n"
}

/// `at most 312/s hold p99 < 300ms and errors < 0.1% (model: 308/s surely, 316/s surely not)`.
#[must_use]
pub fn headline(capacity: &Capacity) -> String {
    let slos = capacity.slos.join(" and ");
    let of = |value: f64| level(value, &capacity.unit);
    let Some(answer) = capacity.model.answer else {
        return format!("{}: no level that was tried holds {slos}", capacity.scenario);
    };
    let found = if capacity.fewest {
        format!("{} at least, for {slos}", of(answer))
    } else {
        format!("{} at most hold {slos}", of(answer))
    };
    let sure = match (capacity.model.low, capacity.model.high) {
        (Some(low), Some(high)) if low == high => "95 % sure".to_owned(),
        (Some(low), Some(high)) => format!("95 % sure: {} to {}", of(low), of(high)),
        (Some(low), None) => format!("95 % sure: {} or more", of(low)),
        (None, Some(high)) => format!("95 % sure: {} or less", of(high)),
        (None, None) => "not sure: run longer".to_owned(),
    };
    format!("{}: {found} ({sure})", capacity.scenario)
}

fn level(value: f64, unit: &str) -> String {
    match unit {
        "requests/s" => rate(value),
        unit => format!("{} {unit}", count(value.round() as u64)),
    }
}

fn curve(capacity: &Capacity, paint: Paint) -> String {
    let heading = ["model", "p50", "p99", "goodput", "errors", "holds"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    let points = &capacity.model.curve;
    // Those nearest to the answer, as the others are there for the picture.
    let answer = capacity.model.answer.unwrap_or(0.0);
    let mut near: Vec<usize> = (0..points.len()).collect();
    near.sort_by(|a, b| {
        (points[*a].level - answer).abs().total_cmp(&(points[*b].level - answer).abs())
    });
    near.truncate(SHOWN);
    near.sort_unstable();
    for point in near.into_iter().map(|i| &points[i]) {
        let holds = match point.holds {
            Holds::Surely => paint.good("yes"),
            Holds::Likely => "likely".to_owned(),
            Holds::Unlikely => "unlikely".to_owned(),
            Holds::Not => paint.bad("no"),
        };
        rows.push(vec![
            level(point.level, &capacity.unit),
            latency(point.p50.value),
            estimate(point.p99),
            rate(point.goodput),
            percent(point.errors.value),
            holds,
        ]);
    }
    lay_out(&rows, paint)
}

fn estimate(estimate: Estimate) -> String {
    match (estimate.low, estimate.high) {
        (Some(low), Some(high)) => {
            format!("{} ± {}", latency(estimate.value), latency((high - low) / 2.0))
        }
        _ => latency(estimate.value),
    }
}

fn live(capacity: &Capacity, paint: Paint) -> String {
    let heading =
        ["live", "p50", "p99", "goodput", "model p50", "model p99", "holds", "model holds"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    let told = |holds: Option<bool>| match holds {
        Some(true) => paint.good("yes"),
        Some(false) => paint.bad("no"),
        None => "–".to_owned(),
    };
    for probe in &capacity.live {
        rows.push(vec![
            level(probe.level, &capacity.unit),
            latency(probe.p50_ns),
            latency(probe.p99_ns),
            rate(probe.goodput),
            apart(probe, "p50"),
            apart(probe, "p99"),
            told(probe.holds),
            told(probe.model_holds),
        ]);
    }
    let verdict = match capacity.confirmed() {
        Some(true) => paint.good("  the live world agrees"),
        Some(false) => paint.bad("  the live world disagrees"),
        None => paint.warning("  too few valid live measurements to confirm it"),
    };
    let invalid = capacity.live.iter().filter_map(|probe| {
        let broken = probe.validity.as_ref()?.items.iter().find(|item| !item.held)?;
        Some(format!(
            "  not valid at {}: {} {} (limit {})\n",
            level(probe.level, &capacity.unit),
            broken.name,
            broken.measured,
            broken.limit
        ))
    });
    let invalid: String = invalid.collect();
    format!("{}{verdict}\n{}", lay_out(&rows, paint), paint.warning(&invalid))
}

fn apart(probe: &Probe, quantile: &str) -> String {
    let found = probe.apart.iter().find(|it| it.name == quantile);
    found.map_or_else(|| "–".to_owned(), |it| difference(it.relative))
}

/// Whether every live probe may be believed.
#[must_use]
pub fn valid(capacity: &Capacity) -> bool {
    capacity.live.iter().all(|probe| probe.validity.as_ref().is_none_or(Validity::valid))
}
