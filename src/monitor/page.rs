//! The run as metrics.

use super::board::{Round, State};
use super::series::{BOUNDS, Series};
use crate::exposition::{Kind, Page, process};
use crate::record::EventKind;
use crate::traffic::FaultKind;
use crate::units::Nanos;

/// The phases of a run, each by the word that its description has.
const PHASES: [&str; 6] = ["model", "starting", "running", "stopping", "interrupted", "comparing"];

pub(super) fn write(state: &State, page: &mut Page) {
    page.family("lab_build", Kind::Info, "The program.")
        .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    phase(page, &state.phase);
    if let Some(round) = &state.round {
        plan(page, round);
        faults(page, round);
        worlds(page, round);
    }
    process(page);
}

fn phase(page: &mut Page, now: &str) {
    page.family("lab_run_phase", Kind::Gauge, "1 for the phase that the run is in.");
    for phase in PHASES {
        page.sample(&[("phase", phase)], u8::from(now.contains(phase)));
    }
}

fn plan(page: &mut Page, round: &Round) {
    let scenario = &round.scenario;
    let (engine, seed) = (scenario.balancer.engine.name(), scenario.seed.to_string());
    let algorithm = scenario.balancer.upstream.algorithm.name();
    page.family("lab_run", Kind::Info, "What is run.").sample(
        &[
            ("scenario", &scenario.name),
            ("seed", &seed),
            ("engine", &engine),
            ("algorithm", algorithm),
        ],
        1,
    );
    page.family("lab_run_round", Kind::Gauge, "Round of the live world, from 1.")
        .sample(&[], round.number + 1);
    page.family("lab_run_planned_seconds", Kind::Gauge, "For so long requests are sent.")
        .sample(&[], scenario.duration.as_secs_f64());
    let Some(passed) = round.passed() else { return };
    page.family("lab_run_passed_seconds", Kind::Gauge, "Time since the first request was due.")
        .sample(&[], passed.0 as f64 / 1e9);
    let help = "Seconds of the run that both worlds are shown up to.";
    page.family("lab_run_shown_seconds", Kind::Gauge, help).sample(&[], round.known);
    if let Some(rate) = offered(round, passed) {
        let help = "Requests per second that the scenario offers now.";
        page.family("lab_run_offered_requests_per_second", Kind::Gauge, help).sample(&[], rate);
    }
}

/// The rate of the stage at `at`; nothing in a closed loop, which has no rate of its own.
fn offered(round: &Round, at: Nanos) -> Option<f64> {
    let stages = round.scenario.traffic.stages();
    if stages.is_empty() {
        return None;
    }
    let Some(stage) = stages.iter().find(|stage| stage.from <= at && at < stage.until) else {
        return Some(0.0);
    };
    let share = at.since(stage.from).as_secs_f64() / stage.length().as_secs_f64();
    Some(stage.rate_from.0 + (stage.rate_until.0 - stage.rate_from.0) * share)
}

fn faults(page: &mut Page, round: &Round) {
    let (scenario, passed) = (&round.scenario, round.passed());
    page.family("lab_run_fault_active", Kind::Gauge, "1 while the scenario has this fault.");
    for fault in &scenario.faults {
        let active = passed.is_some_and(|now| fault.at <= now && now < fault.until);
        for target in &fault.targets {
            let Some(backend) = scenario.backends.get(*target) else { continue };
            page.sample(
                &[("fault", &fault.name), ("kind", word(fault.kind)), ("upstream", &backend.name)],
                u8::from(active && round.ended.is_none()),
            );
        }
    }
}

const fn word(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::Crash => "crash",
        FaultKind::Hang => "hang",
        FaultKind::Slow(_) => "slow",
        FaultKind::ErrorRate(_) => "error-rate",
        FaultKind::HealthFlap(_) => "health-flap",
        FaultKind::Partition => "partition",
        FaultKind::Drain => "drain",
    }
}

fn worlds(page: &mut Page, round: &Round) {
    let known = round.known;
    let worlds: Vec<(&str, &Series)> = round
        .sim
        .iter()
        .map(|sim| ("sim", sim))
        .chain(std::iter::once(("live", &round.live)))
        .collect();
    let totals: Vec<_> = worlds.iter().map(|(world, it)| (*world, it.until(known))).collect();
    let help = "Requests that ended, as the client saw them.";
    page.family("lab_run_requests", Kind::Counter, help);
    for (world, sum) in &totals {
        page.sample(&[("world", world), ("result", "success")], sum.succeeded)
            .sample(&[("world", world), ("result", "failure")], sum.failed);
    }
    let help = "Latency from the instant when a request was due, as the client saw it.";
    page.family("lab_run_request_duration_seconds", Kind::Histogram, help);
    for (world, sum) in &totals {
        page.histogram(&[("world", world)], &BOUNDS, &sum.buckets, sum.latency_seconds);
    }
    let name = |index: usize| round.scenario.backends[index].name.as_str();
    let help = "Requests that ended, by the upstream of their last attempt.";
    page.family("lab_run_upstream_requests", Kind::Counter, help);
    for (world, sum) in &totals {
        for (index, (succeeded, failed)) in sum.upstreams.iter().enumerate() {
            let labels = [("world", *world), ("upstream", name(index)), ("result", "success")];
            page.sample(&labels, succeeded);
            let labels = [("world", *world), ("upstream", name(index)), ("result", "failure")];
            page.sample(&labels, failed);
        }
    }
    gauges(page, &worlds, known, &name);
    let help = "Rare events: what was ejected, restored, drained, scaled, reloaded.";
    page.family("lab_run_events", Kind::Counter, help);
    for (world, sum) in &totals {
        for kind in EventKind::ALL {
            let count = sum.events.get(&kind).copied().unwrap_or(0);
            page.sample(&[("world", world), ("kind", &words(kind))], count);
        }
    }
}

fn gauges<'a>(
    page: &mut Page,
    worlds: &[(&str, &Series)],
    known: u32,
    name: &impl Fn(usize) -> &'a str,
) {
    let mut family =
        |metric: &str, help: &str, value: &dyn Fn(&super::series::Gauges) -> Option<f64>| {
            page.family(metric, Kind::Gauge, help);
            for (world, series) in worlds {
                for (index, gauges) in series.at(known) {
                    if let Some(value) = value(&gauges) {
                        page.sample(&[("world", world), ("upstream", name(index))], value);
                    }
                }
            }
        };
    family("lab_run_upstream_in_flight", "Requests in flight at an upstream.", &|now| {
        Some(f64::from(now.in_flight))
    });
    family("lab_run_upstream_queue", "Requests that wait for a worker of an upstream.", &|now| {
        Some(f64::from(now.queue))
    });
    let help = "Share of the last second that the workers of an upstream were busy.";
    family("lab_run_upstream_utilization_ratio", help, &|now| now.utilization);
    let help = "Whether the balancer sends requests to an upstream.";
    family("lab_run_upstream_up", help, &|now| Some(f64::from(u8::from(now.up))));
    page.family("lab_run_instances", Kind::Gauge, "Backends that are ready.");
    for (world, series) in worlds {
        if let Some(count) = series.instances(known) {
            page.sample(&[("world", world)], count);
        }
    }
}

/// The kind's name in `events.parquet`, which is its name here too.
fn words(kind: EventKind) -> String {
    match serde_json::to_value(kind) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}
