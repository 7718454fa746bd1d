//! A run as a folder that one commits: its pictures, and a README.md that shows and explains them.

use super::number::{count, difference, latency, rate};
use crate::compare::{EnginesResults, Latency, Results, Verdict, WorldSummary};
use crate::record::Manifest;
use crate::units::World;

/// What each picture shows, by the name of its file.
const CAPTIONS: [(&str, &str); 10] = [
    ("latency-percentiles.png", "Latency by percentile"),
    ("latency-over-time.png", "Latency over time"),
    ("latency-distribution.png", "Distribution of latency"),
    ("throughput-and-errors.png", "Throughput and errors"),
    ("share-per-server.png", "Share of the requests per server"),
    ("in-flight-per-server.png", "Requests in flight per server"),
    ("autoscaling.png", "What the autoscaler did"),
    ("comparison.png", "Percentiles of each engine"),
    ("comparison-shares.png", "Share of the requests per server, of each engine"),
    ("comparison-over-time.png", "Latency over time, of each engine"),
];

/// The index of a run's pictures, in Markdown.
#[must_use]
pub fn index(results: &Results, manifest: &Manifest, pictures: &[String]) -> String {
    let mut text = format!("# {}\n\n{}\n\n", results.scenario, belief(results));
    text.push_str(&how(manifest, results));
    text.push_str(&numbers(results));
    text.push_str(&checks(results));
    text + &shown(pictures)
}

/// The index of a comparison of engines.
#[must_use]
pub fn index_of_engines(
    results: &EnginesResults,
    manifest: Option<&Manifest>,
    pictures: &[String],
) -> String {
    let labels: Vec<&str> = results.engines.iter().map(|engine| engine.label.as_str()).collect();
    let mut text = format!("# {}: {}\n\n", results.scenario, labels.join(", "));
    for engine in &results.engines {
        text.push_str(&format!("- {}: {}\n", engine.label, belief(&engine.results)));
    }
    text.push('\n');
    if let (Some(manifest), Some(first)) = (manifest, results.engines.first()) {
        text.push_str(&how(manifest, &first.results));
    }
    for engine in &results.engines {
        text.push_str(&format!("## {}\n\n{}", engine.label, numbers(&engine.results)));
        text.push_str(&checks(&engine.results));
    }
    text + &shown(pictures)
}

/// Whether it may be believed, in a sentence.
fn belief(results: &Results) -> String {
    let mut words = Vec::new();
    if results.partial {
        words.push("**Partial: interrupted before its end.**".to_owned());
    }
    match &results.validity {
        None => words.push("The model ran alone: nothing here was measured.".to_owned()),
        Some(validity) if validity.valid() => {
            words.push(format!(
                "A valid measurement: all {} conditions hold.",
                validity.items.len()
            ));
        }
        Some(validity) => {
            let broken = validity.items.iter().filter(|item| !item.held);
            let broken: Vec<String> = broken
                .map(|item| format!("{} {} (limit {})", item.name, item.measured, item.limit))
                .collect();
            words.push(format!("**Not a valid measurement:** {}.", broken.join("; ")));
        }
    }
    if let Some(comparison) = &results.comparison {
        let apart: Vec<String> = comparison
            .quantiles
            .iter()
            .filter(|quantile| ["p50", "p90", "p99"].contains(&quantile.name.as_str()))
            .map(|quantile| format!("{} {}", quantile.name, difference(quantile.relative)))
            .collect();
        words.push(format!("The model from the live world: {}.", apart.join(", ")));
    }
    let failed = results.checks.iter().filter(|check| check.verdict == Verdict::Failed).count();
    if failed > 0 {
        words.push(format!("**{failed} of {} checks failed.**", results.checks.len()));
    } else if !results.checks.is_empty() {
        words.push(format!("No check of {} failed.", results.checks.len()));
    }
    words.join(" ")
}

/// How it was made, so that it can be made again.
fn how(manifest: &Manifest, results: &Results) -> String {
    let sets: String = manifest
        .scenario
        .overrides
        .iter()
        .map(|(key, value)| format!(" --set '{key}={value}'"))
        .collect();
    let host = &manifest.host;
    let engine = format!("{} {}", manifest.engine.name, manifest.engine.version);
    format!(
        "```sh\nlab run {}{sets} --seed {}\n```\n\nRun {} of {} with lab {}; balancer {}; {} cores of {}, {}. \
         SHA-256 of the scenario: `{}`.\n\n",
        manifest.scenario.path.display(),
        results.seed,
        results.run,
        manifest.started,
        manifest.version,
        engine.trim(),
        host.cores,
        host.cpu_model,
        host.kernel,
        manifest.scenario.sha256
    )
}

fn numbers(results: &Results) -> String {
    let name = |world: &WorldSummary| match world.world {
        World::Sim => "model",
        World::Live => "live",
    };
    let mut heading = vec![String::new()];
    heading.extend(results.worlds.iter().map(|world| name(world).to_owned()));
    let row = |name: &str, of: &dyn Fn(&WorldSummary) -> String| {
        let mut row = vec![name.to_owned()];
        row.extend(results.worlds.iter().map(of));
        row
    };
    let quantile =
        |pick: fn(&Latency) -> f64| move |world: &WorldSummary| latency(pick(&world.latency));
    let rows = [
        row("requests", &|world| count(world.requests)),
        row("failed", &|world| count(world.failed)),
        row("retried", &|world| count(world.retried)),
        row("goodput", &|world| rate(world.goodput)),
        row("p50", &quantile(|latency| latency.p50.value)),
        row("p90", &quantile(|latency| latency.p90.value)),
        row("p99", &quantile(|latency| latency.p99.value)),
        row("p99.9", &quantile(|latency| latency.p999.value)),
        row("max", &quantile(|latency| latency.max.value)),
    ];
    let right = vec!["---:".to_owned(); results.worlds.len()];
    let mut text = line(&heading) + &line(&[vec!["---".to_owned()], right].concat());
    rows.iter().for_each(|row| text.push_str(&line(row)));
    text + "\n"
}

fn checks(results: &Results) -> String {
    if results.checks.is_empty() {
        return String::new();
    }
    let mut text = "| check | world | verdict | measured |\n|---|---|---|---|\n".to_owned();
    for check in &results.checks {
        let verdict = match check.verdict {
            Verdict::Held => "held",
            Verdict::Failed => "**failed**",
            Verdict::Undecided => "undecided",
        };
        let world = check.world.map_or_else(|| "both".to_owned(), |world| world.to_string());
        let cells =
            [format!("`{}`", check.text), world, verdict.to_owned(), check.measured.clone()];
        text.push_str(&line(&cells));
    }
    text + "\n"
}

fn line(cells: &[String]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    format!("| {} |\n", cells.join(" | "))
}

fn shown(pictures: &[String]) -> String {
    let caption = |name: &String| {
        let found = CAPTIONS.iter().find(|(picture, _)| picture == name);
        found.map_or(name.as_str(), |(_, caption)| *caption).to_owned()
    };
    let all = pictures.iter().map(|name| {
        let caption = caption(name);
        format!("## {caption}\n\n![{caption}]({name})\n\n")
    });
    let text = all.collect::<String>();
    text.trim_end().to_owned() + "\n"
}
