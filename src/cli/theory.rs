//! `lab theory`: the model held against closed forms.

use clap::Args;

use super::exit::Exit;
use super::terminal::{paint, print};
use crate::compare::WorldSummary;
use crate::experiment::theory::{self, TheoryRow};
use crate::report::number::{difference, significant};
use crate::report::table::lay_out;
use crate::theory::{Prediction, Statistic};

/// Arguments of `lab theory`.
#[derive(Debug, Args)]
pub(super) struct TheoryArgs {
    /// Seed of the model's draws
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Threads; all cores by default
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// Print the rows as JSON
    #[arg(long)]
    json: bool,
}

/// Runs the battery; 3 if the model disagrees with theory.
pub(super) fn run(args: &TheoryArgs) -> Exit {
    let threads = args.threads.map_or_else(super::run::all_cores, usize::from);
    let rows = theory::battery(args.seed, threads);
    let holds = theory::family_holds(&rows);
    if args.json {
        print(&(serde_json::to_string_pretty(&rows).unwrap_or_default() + "\n"));
    } else {
        print(&table(&rows, holds));
    }
    if holds { Exit::Held } else { Exit::CheckFailed }
}

fn table(rows: &[TheoryRow], holds: bool) -> String {
    let paint = paint();
    let heading = ["system", "", "theory", "model", "99 % interval", "", "source"];
    let mut shown = vec![heading.map(str::to_owned).to_vec()];
    for row in rows {
        let unit = unit(&row.statistic);
        shown.push(vec![
            row.system.clone(),
            row.statistic.clone(),
            unit(row.formula),
            unit(row.model),
            format!("{} to {}", unit(row.low), unit(row.high)),
            if row.inside { "inside" } else { "OUTSIDE" }.to_owned(),
            row.source.to_owned(),
        ]);
    }
    let inside = rows.iter().filter(|row| row.inside).count();
    let verdict = format!(
        "{inside} of {} inside their own 99 % interval; all together {}\n",
        rows.len(),
        if holds { "agree with theory" } else { "DISAGREE with theory" }
    );
    let verdict = if holds { paint.good(&verdict) } else { paint.bad(&verdict) };
    lay_out(&shown, paint) + "\n" + &verdict
}

/// How a statistic's values are shown: response times in seconds as milliseconds.
fn unit(statistic: &str) -> fn(f64) -> String {
    match statistic {
        "loss" => |value| format!("{:.3}%", value * 100.0),
        "throughput" => |value| format!("{}/s", significant(value)),
        _ => |value| format!("{}ms", significant(value * 1e3)),
    }
}

/// What theory says of a scenario beside what the model found, for `lab run --theory`.
pub(super) fn beside(predictions: Option<&[Prediction]>, model: Option<&WorldSummary>) -> String {
    let (Some(predictions), Some(model)) = (predictions, model) else {
        return "theory: no formula for this system (there is one for a lone backend, first in first out, \
                with Poisson arrivals at a constant rate)\n\n"
            .to_owned();
    };
    let mut rows =
        vec![["theory", "formula", "model", "difference", "source"].map(str::to_owned).to_vec()];
    for prediction in predictions {
        let Some(value) = found(prediction.statistic, model) else { continue };
        let name = prediction.statistic.to_string();
        let unit = unit(&name);
        rows.push(vec![
            name,
            unit(prediction.value),
            unit(value),
            difference(value / prediction.value - 1.0),
            prediction.source.to_owned(),
        ]);
    }
    lay_out(&rows, paint()) + "\n"
}

/// The model's value of a statistic, in the unit of the statistic.
fn found(statistic: Statistic, model: &WorldSummary) -> Option<f64> {
    let seconds = |nanos: f64| Some(nanos / 1e9);
    match statistic {
        Statistic::Mean => seconds(model.latency.mean.value),
        Statistic::Quantile(0.5) => seconds(model.latency.p50.value),
        Statistic::Quantile(0.9) => seconds(model.latency.p90.value),
        Statistic::Quantile(0.99) => seconds(model.latency.p99.value),
        Statistic::Quantile(_) => None,
        Statistic::Loss => Some(model.failed as f64 / model.requests.max(1) as f64),
        Statistic::Throughput => Some(model.goodput),
    }
}
