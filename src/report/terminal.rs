//! The table that one would paste into a ticket.

use super::number::{count, difference, latency, percent, rate, signed};
use super::table::{Paint, lay_out};
use crate::compare::{
    CheckResult, Comparison, Estimate, GroupKind, Latency, Results, Verdict, WorldSummary,
};
use crate::units::World;

/// Everything a run found out, as text.
#[must_use]
pub fn render(results: &Results, paint: Paint) -> String {
    let mut text = heading(results, paint);
    text.push_str(&overview(results, paint));
    text.push_str(&latencies(results, paint));
    text.push_str(&spread(results, paint));
    text.push_str(&faults(results, paint));
    text.push_str(&groups(results, paint));
    if let Some(comparison) = &results.comparison {
        text.push_str(&truth(comparison, paint));
    }
    text.push_str(&checks(&results.checks, paint));
    text.push_str(&warnings(results, paint));
    text.push_str(&validity(results, paint));
    text
}

fn heading(results: &Results, paint: Paint) -> String {
    let partial = if results.partial {
        paint.bad("  PARTIAL: interrupted before its end")
    } else {
        String::new()
    };
    let title = format!("{}  seed {}  run {}", results.scenario, results.seed, results.run);
    format!("{}{partial}\n\n", paint.bold(&title))
}

/// A table with a column per world, and one for the difference if there are two.
fn per_world(
    results: &Results,
    title: &str,
    paint: Paint,
    rows: &[(
        &str,
        &dyn Fn(&WorldSummary) -> String,
        &dyn Fn(&WorldSummary, &WorldSummary) -> String,
    )],
) -> String {
    let mut table = vec![world_heading(results, title)];
    for (name, value, apart) in rows {
        let mut row = vec![(*name).to_owned()];
        row.extend(results.worlds.iter().map(value));
        if let [sim, live] = &results.worlds[..] {
            row.push(apart(sim, live));
        }
        table.push(row);
    }
    lay_out(&table, paint) + "\n"
}

fn world_heading(results: &Results, title: &str) -> Vec<String> {
    let mut row = vec![title.to_owned()];
    row.extend(results.worlds.iter().map(|world| world.world.to_string()));
    if results.worlds.len() == 2 {
        row.push("sim − live".to_owned());
    }
    row
}

fn overview(results: &Results, paint: Paint) -> String {
    let minus = |a: u64, b: u64| signed(a as f64 - b as f64, 0, "");
    per_world(
        results,
        "",
        paint,
        &[
            ("requests", &|w| count(w.requests), &|s, l| minus(s.requests, l.requests)),
            ("offered", &|w| rate(w.offered), &|s, l| difference(s.offered / l.offered - 1.0)),
            ("goodput", &|w| rate(w.goodput), &|s, l| difference(s.goodput / l.goodput - 1.0)),
            ("failed", &|w| count(w.failed), &|s, l| {
                per_replication_difference(s, l, |w| w.failed)
            }),
            ("retried", &|w| count(w.retried), &|s, l| {
                per_replication_difference(s, l, |w| w.retried)
            }),
        ],
    )
}

/// Counts are of all replications together, so their difference is taken per replication.
fn per_replication_difference(
    sim: &WorldSummary,
    live: &WorldSummary,
    what: impl Fn(&WorldSummary) -> u64,
) -> String {
    let mean = |world: &WorldSummary| what(world) as f64 / f64::from(world.replications.max(1));
    let decimals = usize::from(sim.replications > 1 || live.replications > 1);
    signed(mean(sim) - mean(live), decimals, "")
}

type PickLatency = fn(&Latency) -> Estimate;

const LATENCIES: [(&str, PickLatency); 6] = [
    ("mean", |l| l.mean),
    ("p50", |l| l.p50),
    ("p90", |l| l.p90),
    ("p99", |l| l.p99),
    ("p99.9", |l| l.p999),
    ("max", |l| l.max),
];

fn latencies(results: &Results, paint: Paint) -> String {
    let due = latency_table(results, "latency from the scheduled instant", paint, |w| &w.latency);
    let sent = latency_table(results, "latency from the sent instant", paint, |w| &w.latency_sent);
    due + &sent
}

fn latency_table(
    results: &Results,
    title: &str,
    paint: Paint,
    pick: fn(&WorldSummary) -> &Latency,
) -> String {
    let mut table = vec![world_heading(results, title)];
    for (name, statistic) in LATENCIES {
        let mut row = vec![name.to_owned()];
        row.extend(results.worlds.iter().map(|world| estimate(statistic(pick(world)))));
        if let [sim, live] = &results.worlds[..] {
            row.push(difference(statistic(pick(sim)).value / statistic(pick(live)).value - 1.0));
        }
        table.push(row);
    }
    lay_out(&table, paint) + "\n"
}

fn estimate(estimate: Estimate) -> String {
    match (estimate.low, estimate.high) {
        (Some(low), Some(high)) => {
            format!("{} ± {}", latency(estimate.value), latency((high - low) / 2.0))
        }
        _ => latency(estimate.value),
    }
}

fn spread(results: &Results, paint: Paint) -> String {
    let Some(first) = results.worlds.first() else { return String::new() };
    let mut heading: Vec<String> = ["server", "weight", "expected"].map(str::to_owned).into();
    heading.extend(results.worlds.iter().map(|world| world.world.to_string()));
    if results.worlds.len() == 2 {
        heading.push("sim − live".to_owned());
    }
    heading.extend(results.worlds.iter().map(|world| format!("{} busy", world.world)));
    let mut table = vec![heading];
    for (place, peer) in first.shares.iter().enumerate().take(SHOWN_SERVERS) {
        let shares = || results.worlds.iter().filter_map(|world| world.shares.get(place));
        let weight =
            if peer.backup { format!("{} backup", peer.weight) } else { peer.weight.to_string() };
        let mut row = vec![peer.name.clone(), weight, percent(peer.expected)];
        row.extend(shares().map(|share| percent(share.share)));
        if let [sim, live] = &shares().collect::<Vec<_>>()[..] {
            row.push(signed((sim.share - live.share) * 100.0, 1, " pt"));
        }
        row.extend(shares().map(|share| percent(share.utilisation)));
        table.push(row);
    }
    let mut text = lay_out(&table, paint);
    if first.shares.len() > SHOWN_SERVERS {
        text.push_str(&format!("  … and {} more servers\n", first.shares.len() - SHOWN_SERVERS));
    }
    for world in &results.worlds {
        text.push_str(&format!(
            "  {}: Jain's index {:.4}, utilisation max/mean {:.2}, p95/mean {:.2}\n",
            world.world,
            world.jain,
            world.utilisation_max_over_mean,
            world.utilisation_p95_over_mean
        ));
    }
    text + "\n"
}

/// A fleet of hundreds would bury the rest; all of it is in `summary.json`.
const SHOWN_SERVERS: usize = 12;

fn faults(results: &Results, paint: Paint) -> String {
    let Some(first) = results.worlds.first().filter(|world| !world.faults.is_empty()) else {
        return String::new();
    };
    let mut heading = vec!["fault".to_owned(), "from".to_owned(), "to".to_owned()];
    for world in &results.worlds {
        heading.push(format!("{} failed", world.world));
        heading.push(format!("{} failover", world.world));
    }
    let mut table = vec![heading];
    for (place, fault) in first.faults.iter().enumerate() {
        let mut row =
            vec![fault.fault.clone(), latency(fault.at_ns as f64), latency(fault.until_ns as f64)];
        for world in &results.worlds {
            let Some(effect) = world.faults.get(place) else { continue };
            row.push(count(effect.failed));
            row.push(effect.failover_ns.map_or_else(|| "–".to_owned(), |ns| latency(ns as f64)));
        }
        table.push(row);
    }
    lay_out(&table, paint) + "\n"
}

fn groups(results: &Results, paint: Paint) -> String {
    let Some(first) = results.worlds.first() else { return String::new() };
    let several = |kind| first.groups.iter().filter(|group| group.kind == kind).count() > 1;
    let mut heading = vec!["part".to_owned()];
    for world in &results.worlds {
        heading.extend(
            ["requests", "failed", "p50", "p99"].map(|name| format!("{} {name}", world.world)),
        );
    }
    let mut table = vec![heading];
    for (place, group) in first.groups.iter().enumerate() {
        let label = match group.kind {
            GroupKind::Class if several(GroupKind::Class) => format!("class {}", group.name),
            GroupKind::Stage if several(GroupKind::Stage) => format!("stage {}", group.name),
            // One class or one stage is the whole run.
            GroupKind::Class | GroupKind::Stage => continue,
            GroupKind::Before => format!("before {}", group.name),
            GroupKind::During => format!("during {}", group.name),
            GroupKind::After => format!("after {}", group.name),
        };
        let mut row = vec![label];
        for world in &results.worlds {
            let Some(group) = world.groups.get(place) else { continue };
            row.extend([
                count(group.requests),
                count(group.failed),
                latency(group.latency.p50.value),
                latency(group.latency.p99.value),
            ]);
        }
        table.push(row);
    }
    if table.len() == 1 { String::new() } else { lay_out(&table, paint) + "\n" }
}

/// How far the model is from reality, and why.
fn truth(comparison: &Comparison, paint: Paint) -> String {
    let mut heading = vec!["model against live".to_owned()];
    heading.extend(comparison.quantiles.iter().map(|quantile| quantile.name.clone()));
    let mut table = vec![heading];
    for attribution in &comparison.attribution {
        let mut row = vec![attribution.model.clone()];
        row.extend(attribution.differences.iter().map(|apart| difference(apart.relative)));
        table.push(row);
    }
    if !comparison.repeatability.is_empty() {
        let mut row = vec!["live against itself".to_owned()];
        row.extend(comparison.repeatability.iter().map(|apart| difference(apart.relative)));
        table.push(row);
    }
    let mut text = lay_out(&table, paint);
    text.push_str(&format!(
        "  distance of the distributions: Kolmogorov-Smirnov {:.4}, Wasserstein {}; shares at most {:.1} points apart\n",
        comparison.kolmogorov_smirnov,
        latency(comparison.wasserstein_ns),
        comparison.share_points
    ));
    if let Some(paired) = &comparison.paired {
        text.push_str(&format!(
            "  {} pairs of the same request: live − sim {} in the mean, {} in the median; {} at the same server\n",
            count(paired.pairs),
            estimate(paired.mean_ns),
            latency(paired.p50_ns),
            percent(paired.same_peer)
        ));
    }
    text + "\n"
}

fn checks(checks: &[CheckResult], paint: Paint) -> String {
    if checks.is_empty() {
        return String::new();
    }
    let mut text = format!("{}\n", paint.bold("checks"));
    for check in checks {
        let verdict = match check.verdict {
            Verdict::Held => paint.good("held     "),
            Verdict::Failed => paint.bad("FAILED   "),
            Verdict::Undecided => paint.warning("undecided"),
        };
        let world = check.world.map_or(String::new(), |world: World| format!("{world}: "));
        text.push_str(&format!("  {verdict}  {}  ({world}{})\n", check.text, check.measured));
    }
    text + "\n"
}

fn warnings(results: &Results, paint: Paint) -> String {
    let mut text = String::new();
    for world in &results.worlds {
        for warning in &world.warnings {
            text.push_str(&paint.warning(&format!("warning ({}): {warning}", world.world)));
            text.push('\n');
        }
    }
    if text.is_empty() { text } else { text + "\n" }
}

fn validity(results: &Results, paint: Paint) -> String {
    let Some(validity) = &results.validity else { return String::new() };
    let broken: Vec<_> = validity.items.iter().filter(|item| !item.held).collect();
    if broken.is_empty() {
        let measured: Vec<_> = validity
            .items
            .iter()
            .take(3)
            .map(|item| format!("{} {} (limit {})", item.name, item.measured, item.limit))
            .collect();
        let more = validity.items.len().saturating_sub(measured.len());
        return format!(
            "{} {}, and {more} more\n",
            paint.good("valid measurement:"),
            measured.join(", ")
        );
    }
    let mut text = format!("{}\n", paint.bad("NOT A VALID MEASUREMENT"));
    for item in broken {
        text.push_str(&format!("  {}: {} (limit {})\n", item.name, item.measured, item.limit));
    }
    text
}
