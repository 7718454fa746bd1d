//! `/metrics` in the text format of Prometheus, version 0.0.4.

use std::fmt::Write;
use std::sync::Arc;

use super::driver::{Driver, PeerView};
use super::journal::word;
use super::tally::{BOUNDS_MICROS, REASONS, Tally};
use crate::policy::PeerState;
use crate::record::AttemptOutcome;

const STATES: [PeerState; 5] =
    [PeerState::Up, PeerState::Failed, PeerState::Unhealthy, PeerState::Draining, PeerState::Down];

/// Everything that is counted, all views together, and the state of each peer in each view.
pub(super) fn text(drivers: &[Arc<Driver>]) -> String {
    let mut sum = Tally::default();
    let mut waiting = 0;
    for driver in drivers {
        let (tally, waits) = driver.tally();
        sum.merge(&tally);
        waiting += waits;
    }
    let mut out = String::with_capacity(4096);
    family(&mut out, "requests_total", "counter", "Requests that asked for an upstream.");
    sample(&mut out, "requests_total", "", sum.requests);
    family(&mut out, "refused_total", "counter", "Requests answered by the proxy itself.");
    for (reason, count) in REASONS.iter().zip(sum.refused) {
        sample(&mut out, "refused_total", &format!("reason=\"{}\"", name(reason)), count);
    }
    family(&mut out, "waiting", "gauge", "Requests waiting for an upstream.");
    sample(&mut out, "waiting", "", waiting as u64);
    latency(&mut out, &sum);
    if let Some(first) = drivers.first() {
        attempts(&mut out, &first.peers(), &sum);
    }
    peers(&mut out, drivers);
    out
}

fn latency(out: &mut String, sum: &Tally) {
    let metric = "request_duration_seconds";
    family(out, metric, "histogram", "Time from admission to the last byte, if a peer responded.");
    let mut below = 0;
    for (bound, count) in BOUNDS_MICROS.iter().zip(sum.latency) {
        below += count;
        let label = format!("le=\"{}\"", *bound as f64 / 1e6);
        sample(out, "request_duration_seconds_bucket", &label, below);
    }
    below += sum.latency[BOUNDS_MICROS.len()];
    sample(out, "request_duration_seconds_bucket", "le=\"+Inf\"", below);
    sample_f64(out, "request_duration_seconds_sum", sum.latency_sum.as_secs_f64());
    sample(out, "request_duration_seconds_count", "", below);
}

fn attempts(out: &mut String, peers: &[PeerView], sum: &Tally) {
    family(out, "attempts_total", "counter", "Attempts at an upstream, by how they ended.");
    for peer in peers {
        let Some(counts) = sum.attempts.get(peer.endpoint.id.index()) else { continue };
        for (outcome, count) in AttemptOutcome::ALL.iter().zip(counts) {
            if *count > 0 {
                let label = format!("{},outcome=\"{}\"", upstream(peer), name(outcome));
                sample(out, "attempts_total", &label, *count);
            }
        }
    }
}

fn peers(out: &mut String, drivers: &[Arc<Driver>]) {
    let views: Vec<_> =
        drivers.iter().map(|driver| (driver.journal().view, driver.peers())).collect();
    family(out, "in_flight", "gauge", "Requests now assigned to an upstream.");
    for (view, peers) in &views {
        for peer in peers {
            let label = format!("{},view=\"{view}\"", upstream(peer));
            sample(out, "in_flight", &label, u64::from(peer.in_flight));
        }
    }
    family(out, "upstream_state", "gauge", "1 for the state that an upstream is in.");
    for (view, peers) in &views {
        for peer in peers {
            for state in STATES {
                let label = format!("{},view=\"{view}\",state=\"{}\"", upstream(peer), word(state));
                sample(out, "upstream_state", &label, u64::from(peer.state == state));
            }
        }
    }
}

fn upstream(peer: &PeerView) -> String {
    let escaped =
        peer.endpoint.name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("upstream=\"{escaped}\"")
}

/// The name of an enum's value in records, which is its name here too.
fn name(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        _ => String::new(),
    }
}

fn family(out: &mut String, metric: &str, kind: &str, help: &str) {
    line(out, format_args!("# HELP lab_proxy_{metric} {help}"));
    line(out, format_args!("# TYPE lab_proxy_{metric} {kind}"));
}

fn sample(out: &mut String, metric: &str, labels: &str, value: u64) {
    match labels {
        "" => line(out, format_args!("lab_proxy_{metric} {value}")),
        _ => line(out, format_args!("lab_proxy_{metric}{{{labels}}} {value}")),
    }
}

fn sample_f64(out: &mut String, metric: &str, value: f64) {
    line(out, format_args!("lab_proxy_{metric} {value}"));
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(out, "{text}").unwrap_or_else(|_| unreachable!("a string takes everything"));
}
