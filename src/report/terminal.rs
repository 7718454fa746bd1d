//! The table that one would paste into a ticket.

use super::autoscaling;
use super::number::{count, difference, latency, percent, rate, signed};
use super::table::{Paint, lay_out};
use crate::compare::{
    CheckResult, Comparison, Estimate, GroupKind, Latency, PeerShare, Results, Verdict,
    WorldSummary,
};
use crate::units::World;

/// Everything a run found out, as text.
#[must_use]
pub fn render(results: &Results, paint: Paint) -> String {
    let columns = Columns::worlds(results);
    let mut text = heading(results, paint);
    text.push_str(&statistics(&columns, paint));
    if let Some(comparison) = &results.comparison {
        text.push_str(&truth(comparison, paint));
        if let Some(agreement) = &comparison.scaling {
            text.push_str(&autoscaling::agreement(agreement, paint));
        }
    }
    text.push_str(&checks("checks", &results.checks, paint));
    text.push_str(&checks("against the baseline", &results.regressions, paint));
    text.push_str(&warnings(results, paint));
    text.push_str(&validity(results, paint));
    text
}

/// Two runs of the same world side by side, `names` above their columns.
#[must_use]
pub fn render_two(
    names: [&str; 2],
    runs: [&WorldSummary; 2],
    comparison: &Comparison,
    paint: Paint,
) -> String {
    let columns = Columns {
        labels: names.map(str::to_owned).into(),
        summaries: runs.into(),
        apart: format!("{} − {}", names[0], names[1]),
    };
    let title = format!("{} world: {} against {}", runs[0].world, names[0], names[1]);
    let mut text = format!("{}\n\n", paint.bold(&title));
    text.push_str(&statistics(&columns, paint));
    text.push_str(&distances(comparison, names));
    text + "\n"
}

/// What is shown side by side.
pub(super) struct Columns<'a> {
    pub(super) labels: Vec<String>,
    pub(super) summaries: Vec<&'a WorldSummary>,
    /// Above the column of differences.
    apart: String,
}

impl<'a> Columns<'a> {
    fn worlds(results: &'a Results) -> Self {
        Self {
            labels: results.worlds.iter().map(|world| world.world.to_string()).collect(),
            summaries: results.worlds.iter().collect(),
            apart: "sim − live".to_owned(),
        }
    }

    /// The first row of a table with a column each, and one for the difference if there are two.
    pub(super) fn heading(&self, title: &str) -> Vec<String> {
        let mut row = vec![title.to_owned()];
        row.extend(self.labels.iter().cloned());
        if self.summaries.len() == 2 {
            row.push(self.apart.clone());
        }
        row
    }

    fn labelled(&self) -> impl Iterator<Item = (&str, &WorldSummary)> {
        self.labels.iter().map(String::as_str).zip(self.summaries.iter().copied())
    }
}

fn statistics(columns: &Columns<'_>, paint: Paint) -> String {
    let parts = [overview, latencies, spread, faults, autoscaling::section, groups];
    parts.iter().map(|part| part(columns, paint)).collect()
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

type Cell<'a> = &'a dyn Fn(&WorldSummary) -> String;
type Apart<'a> = &'a dyn Fn(&WorldSummary, &WorldSummary) -> String;

fn side_by_side(
    columns: &Columns<'_>,
    title: &str,
    paint: Paint,
    rows: &[(&str, Cell<'_>, Apart<'_>)],
) -> String {
    let mut table = vec![columns.heading(title)];
    for (name, value, apart) in rows {
        let mut row = vec![(*name).to_owned()];
        row.extend(columns.summaries.iter().map(|summary| value(summary)));
        if let [one, other] = columns.summaries[..] {
            row.push(apart(one, other));
        }
        table.push(row);
    }
    lay_out(&table, paint) + "\n"
}

fn overview(columns: &Columns<'_>, paint: Paint) -> String {
    side_by_side(
        columns,
        "",
        paint,
        &[
            ("requests", &|w| count(w.requests), &|s, l| {
                per_replication_difference(s, l, |w| w.requests)
            }),
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

fn latencies(columns: &Columns<'_>, paint: Paint) -> String {
    let due = latency_table(columns, "latency from the scheduled instant", paint, |w| &w.latency);
    let sent = latency_table(columns, "latency from the sent instant", paint, |w| &w.latency_sent);
    due + &sent
}

fn latency_table(
    columns: &Columns<'_>,
    title: &str,
    paint: Paint,
    pick: fn(&WorldSummary) -> &Latency,
) -> String {
    let mut table = vec![columns.heading(title)];
    for (name, statistic) in LATENCIES {
        let mut row = vec![name.to_owned()];
        row.extend(columns.summaries.iter().map(|world| estimate(statistic(pick(world)))));
        if let [one, other] = columns.summaries[..] {
            row.push(difference(statistic(pick(one)).value / statistic(pick(other)).value - 1.0));
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

fn spread(columns: &Columns<'_>, paint: Paint) -> String {
    let Some(first) = columns.summaries.first() else { return String::new() };
    let mut heading: Vec<String> = ["server", "weight", "expected"].map(str::to_owned).into();
    heading.extend(columns.heading("").into_iter().skip(1));
    heading.extend(columns.labels.iter().map(|label| format!("{label} busy")));
    let of = |place: usize| columns.summaries.iter().filter_map(move |it| it.shares.get(place));
    let partly = columns.summaries.iter().flat_map(|it| &it.shares).any(|it| it.present < 1.0);
    if partly {
        heading.extend(columns.labels.iter().map(|label| format!("{label} there")));
    }
    let mut table = vec![heading];
    // An autoscaler's slot in which there never was an instance is no server.
    let servers = first.shares.iter().enumerate();
    let servers: Vec<_> =
        servers.filter(|(place, _)| of(*place).any(PeerShare::was_there)).collect();
    for (place, peer) in servers.iter().copied().take(SHOWN_SERVERS) {
        let shares = || of(place);
        let weight =
            if peer.backup { format!("{} backup", peer.weight) } else { peer.weight.to_string() };
        let mut row = vec![peer.name.clone(), weight, percent(peer.expected)];
        row.extend(shares().map(|share| percent(share.share)));
        if let [one, other] = &shares().collect::<Vec<_>>()[..] {
            row.push(signed((one.share - other.share) * 100.0, 1, " pt"));
        }
        row.extend(shares().map(|share| percent(share.utilisation)));
        if partly {
            row.extend(shares().map(|share| percent(share.present)));
        }
        table.push(row);
    }
    let mut text = lay_out(&table, paint);
    if servers.len() > SHOWN_SERVERS {
        text.push_str(&format!("  … and {} more servers\n", servers.len() - SHOWN_SERVERS));
    }
    if partly {
        text.push_str(
            "  expected: by weight over the servers there when requests were due; busy: of that time\n",
        );
    }
    for (label, world) in columns.labelled() {
        text.push_str(&format!(
            "  {label}: Jain's index {:.4}, utilisation max/mean {:.2}, p95/mean {:.2}\n",
            world.jain, world.utilisation_max_over_mean, world.utilisation_p95_over_mean
        ));
    }
    text + "\n"
}

/// A fleet of hundreds would bury the rest; all of it is in `summary.json`.
const SHOWN_SERVERS: usize = 12;

fn faults(columns: &Columns<'_>, paint: Paint) -> String {
    let Some(first) = columns.summaries.first().filter(|world| !world.faults.is_empty()) else {
        return String::new();
    };
    let mut heading = vec!["fault".to_owned(), "from".to_owned(), "to".to_owned()];
    for label in &columns.labels {
        heading.push(format!("{label} failed"));
        heading.push(format!("{label} failover"));
    }
    let mut table = vec![heading];
    for (place, fault) in first.faults.iter().enumerate() {
        let mut row =
            vec![fault.fault.clone(), latency(fault.at_ns as f64), latency(fault.until_ns as f64)];
        for world in &columns.summaries {
            let Some(effect) = world.faults.get(place) else { continue };
            row.push(count(effect.failed));
            row.push(effect.failover_ns.map_or_else(|| "–".to_owned(), |ns| latency(ns as f64)));
        }
        table.push(row);
    }
    lay_out(&table, paint) + "\n"
}

fn groups(columns: &Columns<'_>, paint: Paint) -> String {
    let Some(first) = columns.summaries.first() else { return String::new() };
    let several = |kind| first.groups.iter().filter(|group| group.kind == kind).count() > 1;
    let mut heading = vec!["part".to_owned()];
    for label in &columns.labels {
        heading.extend(["requests", "failed", "p50", "p99"].map(|name| format!("{label} {name}")));
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
        for world in &columns.summaries {
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
    text.push_str(&distances(comparison, ["sim", "live"]));
    text + "\n"
}

fn distances(comparison: &Comparison, [one, other]: [&str; 2]) -> String {
    let mut text = format!(
        "  distance of the distributions: Kolmogorov-Smirnov {:.4}, Wasserstein {}; \
         shares at most {:.1} points apart\n",
        comparison.kolmogorov_smirnov,
        latency(comparison.wasserstein_ns),
        comparison.share_points
    );
    if let Some(paired) = &comparison.paired {
        text.push_str(&format!(
            "  {} pairs of the same request: {other} − {one} {} in the mean, {} in the median; \
             {} at the same server\n",
            count(paired.pairs),
            estimate(paired.mean_ns),
            latency(paired.p50_ns),
            percent(paired.same_peer)
        ));
    }
    text
}

fn checks(title: &str, checks: &[CheckResult], paint: Paint) -> String {
    if checks.is_empty() {
        return String::new();
    }
    format!("{}\n{}\n", paint.bold(title), check_lines(checks, paint))
}

/// A line for each check.
pub(super) fn check_lines(checks: &[CheckResult], paint: Paint) -> String {
    let mut text = String::new();
    for check in checks {
        let verdict = match check.verdict {
            Verdict::Held => paint.good("held     "),
            Verdict::Failed => paint.bad("FAILED   "),
            Verdict::Undecided => paint.warning("undecided"),
        };
        let world = check.world.map_or(String::new(), |world: World| format!("{world}: "));
        text.push_str(&format!("  {verdict}  {}  ({world}{})\n", check.text, check.measured));
    }
    text
}

fn warnings(results: &Results, paint: Paint) -> String {
    let text = warning_lines(results, paint);
    if text.is_empty() { text } else { text + "\n" }
}

/// A line for each warning.
pub(super) fn warning_lines(results: &Results, paint: Paint) -> String {
    let mut text = String::new();
    for world in &results.worlds {
        for warning in &world.warnings {
            text.push_str(&paint.warning(&format!("warning ({}): {warning}", world.world)));
            text.push('\n');
        }
    }
    text
}

/// Whether the live measurement may be believed; empty if there is none.
#[must_use]
pub fn validity(results: &Results, paint: Paint) -> String {
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
