//! A run as Markdown, for comments on a change and job summaries.

use super::number::{count, latency, percent, rate};
use super::verdicts::cases;
use crate::compare::{Estimate, Results, Verdict, Versus, WorldSummary};

/// Everything that one reads first: verdicts, and the latencies of each world.
#[must_use]
pub fn render(results: &Results) -> String {
    let mut text = format!("### {}: {}\n\n", escape(&results.scenario), verdict(results));
    text.push_str(&format!("seed {}, run `{}`\n\n", results.seed, results.run));
    text.push_str(&worlds(results));
    let cases = cases(results);
    let told: Vec<_> = cases
        .iter()
        .filter(|case| case.suite != "validity" || case.verdict != Verdict::Held)
        .collect();
    if !told.is_empty() {
        text.push_str("\n| | | measured |\n|---|---|---|\n");
        for case in told {
            let mark = match case.verdict {
                Verdict::Held => "✅ held",
                Verdict::Failed => "❌ failed",
                Verdict::Undecided => "⚠️ undecided",
            };
            text.push_str(&format!(
                "| {mark} | `{}` | {} |\n",
                case.name.replace('|', "\\|"),
                escape(&case.measured)
            ));
        }
    }
    for warning in results.worlds.iter().flat_map(|world| &world.warnings) {
        text.push_str(&format!("\n> ⚠️ {}\n", escape(warning)));
    }
    text
}

/// A held against B.
#[must_use]
pub fn render_versus(labels: [&str; 2], versus: &Versus) -> String {
    let mut text = format!(
        "### {}\n\nA is `{}`, B is `{}`; {} pairs\n\n| | A | B | A against B | 95 % interval |\n\
         |---|--:|--:|--:|--:|\n",
        super::versus::headline(versus),
        labels[0],
        labels[1],
        versus.pairs,
    );
    for row in super::versus::rows(versus) {
        text.push_str(&format!("| {} |\n", row.join(" | ")));
    }
    text
}

fn verdict(results: &Results) -> &'static str {
    let failed = |suite: &str| {
        cases(results).iter().any(|it| it.suite == suite && it.verdict == Verdict::Failed)
    };
    if results.partial {
        "interrupted"
    } else if failed("validity") {
        "not a valid measurement"
    } else if failed("baseline") {
        "worse than its baseline"
    } else if failed("checks") {
        "a check failed"
    } else if cases(results).iter().any(|it| it.verdict == Verdict::Undecided) {
        "nothing failed, but not everything could be told"
    } else {
        "everything held"
    }
}

fn worlds(results: &Results) -> String {
    type Row = (&'static str, fn(&WorldSummary) -> String);
    const ROWS: [Row; 8] = [
        ("requests", |w| count(w.requests)),
        ("failed", |w| {
            format!("{} ({})", count(w.failed), percent(w.failed as f64 / w.requests.max(1) as f64))
        }),
        ("goodput", |w| rate(w.goodput)),
        ("mean", |w| estimate(w.latency.mean)),
        ("p50", |w| estimate(w.latency.p50)),
        ("p90", |w| estimate(w.latency.p90)),
        ("p99", |w| estimate(w.latency.p99)),
        ("p99.9", |w| estimate(w.latency.p999)),
    ];
    let mut text = String::from("| |");
    results.worlds.iter().for_each(|world| text.push_str(&format!(" {} |", world.world)));
    text.push_str("\n|---|");
    results.worlds.iter().for_each(|_| text.push_str("--:|"));
    for (name, of) in ROWS {
        text.push_str(&format!("\n| {name} |"));
        results.worlds.iter().for_each(|world| text.push_str(&format!(" {} |", of(world))));
    }
    text + "\n"
}

fn estimate(estimate: Estimate) -> String {
    match (estimate.low, estimate.high) {
        (Some(low), Some(high)) => {
            format!("{} ± {}", latency(estimate.value), latency((high - low) / 2.0))
        }
        _ => latency(estimate.value),
    }
}

/// What Markdown would take for a sign of its own.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '|' | '*' | '_' | '`' | '<' | '~' | '#' | '[' | ']' | '\\') {
            escaped.push('\\');
        }
        escaped.push(if c == '\n' { ' ' } else { c });
    }
    escaped
}
