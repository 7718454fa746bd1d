//! What the autoscaler did, as text.

use super::number::{difference, latency, signed};
use super::table::{Paint, lay_out};
use super::terminal::Columns;
use crate::compare::{LoadStep, ScalingAgreement, ScalingSummary, WorldSummary};

/// More events than this would bury the rest; all of them are in `summary.json`.
const SHOWN_EVENTS: usize = 12;

type Cell = fn(&ScalingSummary) -> f64;

/// The section, if there is an autoscaler.
pub(super) fn section(columns: &Columns<'_>, paint: Paint) -> String {
    let scaling = |world: &WorldSummary| world.scaling.clone();
    let summaries: Option<Vec<ScalingSummary>> =
        columns.summaries.iter().map(|world| scaling(world)).collect();
    let Some(summaries) = summaries.filter(|summaries| !summaries.is_empty()) else {
        return String::new();
    };
    let mut text = numbers(columns, &summaries, paint);
    text.push_str(&steps(columns, &summaries, paint));
    text.push_str(&events(columns, &summaries, paint));
    text + "\n"
}

fn numbers(columns: &Columns<'_>, summaries: &[ScalingSummary], paint: Paint) -> String {
    let mut table = vec![columns.heading("autoscaling")];
    let rows: [(&str, Cell, usize, &str); 4] = [
        ("scaling events", |s| s.scale_events, 0, ""),
        ("flaps", |s| s.flaps_per_hour, 1, "/h"),
        ("instance-seconds", |s| s.instance_seconds, 1, ""),
        ("instance-hours", |s| s.instance_hours, 4, ""),
    ];
    for (name, value, decimals, unit) in rows {
        let mut row = vec![name.to_owned()];
        row.extend(summaries.iter().map(|s| format!("{:.decimals$}{unit}", value(s))));
        if let [one, other] = summaries {
            row.push(signed(value(one) - value(other), decimals, unit));
        }
        table.push(row);
    }
    if let Some(slo) = summaries.first().and_then(|summary| summary.slo.as_ref()) {
        let mut row = vec![format!("seconds without {slo}")];
        let seconds = |s: &ScalingSummary| s.slo_violated_seconds.unwrap_or(0);
        row.extend(summaries.iter().map(|summary| seconds(summary).to_string()));
        if let [one, other] = summaries {
            row.push(signed(f64::from(seconds(one)) - f64::from(seconds(other)), 0, ""));
        }
        table.push(row);
    }
    lay_out(&table, paint)
}

/// From each step of the load to capacity.
fn steps(columns: &Columns<'_>, summaries: &[ScalingSummary], paint: Paint) -> String {
    let mut table: Vec<Vec<String>> = vec![
        ["from a step to capacity", "world", "metric lag", "decisions", "start-up", "all"]
            .map(str::to_owned)
            .into(),
    ];
    for (label, summary) in columns.labels.iter().zip(summaries) {
        for step in &summary.steps {
            table.push(step_row(label, step));
        }
    }
    if table.len() == 1 { String::new() } else { lay_out(&table, paint) }
}

fn step_row(label: &str, step: &LoadStep) -> Vec<String> {
    let time = |ns: u64| latency(ns as f64);
    vec![
        format!("stage {}, at {}", step.stage, time(step.at_ns)),
        label.to_owned(),
        step.metric_lag_ns.map_or_else(|| "–".to_owned(), time),
        time(step.decision_ns),
        time(step.start_up_ns),
        time(step.to_capacity_ns()),
    ]
}

fn events(columns: &Columns<'_>, summaries: &[ScalingSummary], paint: Paint) -> String {
    let mut text = String::new();
    for (label, summary) in columns.labels.iter().zip(summaries) {
        for event in summary.events.iter().take(SHOWN_EVENTS) {
            let flap = if event.flap { paint.warning("  flap") } else { String::new() };
            text.push_str(&format!(
                "  {label:>4} {:>8}  {} → {}  {}{flap}\n",
                format!("{:.1}s", event.at_ns as f64 / 1e9),
                event.from,
                event.to,
                event.reason
            ));
        }
        if summary.events.len() > SHOWN_EVENTS {
            let more = summary.events.len() - SHOWN_EVENTS;
            text.push_str(&format!("  {label:>4}  … and {more} more events\n"));
        }
    }
    text
}

/// Whether the model's autoscaler is as near to the live one as it should be.
pub(super) fn agreement(agreement: &ScalingAgreement, paint: Paint) -> String {
    let word = |held: bool| if held { paint.good("held     ") } else { paint.bad("FAILED   ") };
    let mut text = format!("{}\n", paint.bold("autoscaling, model against live"));
    let mut line = |held: bool, what: String| {
        text.push_str(&format!("  {}  {what}\n", word(held)));
    };
    let (sim, live) = agreement.events;
    line(agreement.events_held, format!("scaling events: sim {sim}, live {live} (± 1)"));
    let farthest = match agreement.farthest_ns {
        u64::MAX => "some go different ways".to_owned(),
        ns => format!("at most {} apart", latency(ns as f64)),
    };
    let poll = latency(agreement.poll_ns as f64);
    line(agreement.times_held, format!("their times: {farthest} (one poll interval, {poll})"));
    let (sim, live) = agreement.instance_seconds;
    let apart = difference(agreement.instance_seconds_apart);
    line(
        agreement.instance_seconds_held,
        format!("instance-seconds: sim {sim:.1}, live {live:.1}, {apart} (± 5 %)"),
    );
    for stage in &agreement.stages {
        let (sim, live) = (latency(stage.sim_ns), latency(stage.live_ns));
        let apart = difference(stage.apart);
        let name = &stage.name;
        line(stage.held, format!("p99 of stage {name}: sim {sim}, live {live}, {apart} (± 10 %)"));
    }
    text + "\n"
}
