//! May a live measurement be believed? Limits, and what was measured against them.

use super::digest::Little;
use super::summary::{Validity, ValidityItem};
use crate::units::{Ratio, Span};

/// Share of the median latency that the schedule error may reach at p99: latency counts from the
/// scheduled instant, so the error is a part of it.
const SCHEDULE_ERROR_SHARE: f64 = 0.1;
/// Less cannot be asked of a timer on a shared host.
const DELAY_LEAST: Span = Span::from_micros(200);
/// More would turn steady arrivals into bursts, however slow the service.
const DELAY_MOST: Span = Span::from_millis(5);
/// Above this share of a core the generator itself queues.
const GENERATOR_CPU: f64 = 0.8;
/// Above this share of the CPU time, the host above this one decides the tail.
const STOLEN_CPU: f64 = 0.05;
/// Share of the median latency that a request's programs may wait for a core: what a busy host adds
/// to it, and queueing multiplies. Some is part of every wake-up, hence the bounds.
const CORE_WAIT_SHARE: f64 = 0.02;
/// Share of a supply (descriptors, ports) that may be used.
const SUPPLY: f64 = 0.9;
/// How far wall clock and monotonic clock may move apart in a run.
const CLOCK_DRIFT: Span = Span::from_millis(50);
/// How far the two sides of Little's law may be apart.
const LITTLE: f64 = 0.05;
/// A mean number in the system below this is too small to compare in relative terms.
const LITTLE_LEAST: f64 = 1.0;

/// What a live run measured about itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LiveFacts {
    /// 99th percentile of the time from the instant a request was due to its sending, ns.
    pub schedule_error_p99_ns: u64,
    /// Median latency, ns.
    pub latency_p50_ns: u64,
    /// CPU time of the load generator over the time it ran, in cores; the busiest thread's if
    /// it has several.
    pub generator_cpu: f64,
    /// Share of the host's CPU time that a hypervisor gave to others, 0 to 1.
    pub stolen_cpu: f64,
    /// Time that all programs together were ready to run and had no core, over the requests, ns.
    pub waited_for_core_ns: u64,
    /// Requests never sent, since the in-flight cap was reached.
    pub dropped: u64,
    /// Most file descriptors open in any process of the run.
    pub descriptors_used: u64,
    /// The limit of that process.
    pub descriptors_limit: u64,
    /// Client connections opened.
    pub connections_opened: u64,
    /// Local ports that the kernel gives to outgoing connections.
    pub ports: u64,
    /// How much more the wall clock moved than the monotonic clock, ns.
    pub clock_drift_ns: i64,
    /// Mean number of requests in flight, counted by the generator as it sends and receives, over
    /// the measured time.
    pub in_flight_mean: f64,
    /// What the record says: [`super::Digest::little`].
    pub little: Little,
    /// Every fault of the scenario.
    pub faults: Vec<FaultProof>,
    /// Every process that was started.
    pub exits: Vec<ProcessExit>,
}

/// Whether a fault bit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultProof {
    /// Its name.
    pub name: String,
    /// Its effect was observed.
    pub proved: bool,
    /// What was observed, in words.
    pub observed: String,
}

/// How a process of the run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessExit {
    /// Such as `proxy` or `backend b-1`.
    pub name: String,
    /// Such as `exit status 0` or `signal 9`.
    pub status: String,
    /// It ended as it should: by itself with status 0, or killed by a fault.
    pub expected: bool,
}

/// Judges a live run. Every item must hold; what is not a number does not.
#[must_use]
pub fn judge(facts: &LiveFacts) -> Validity {
    let mut items = vec![
        schedule_error(facts),
        share("generator CPU", facts.generator_cpu, GENERATOR_CPU, " of a core"),
        share("stolen CPU", facts.stolen_cpu, STOLEN_CPU, ""),
        core_wait(facts),
        dropped(facts.dropped),
        supply("file descriptors", facts.descriptors_used, facts.descriptors_limit),
        supply("local ports", facts.connections_opened, facts.ports),
        clock(facts.clock_drift_ns),
        little(facts),
    ];
    items.extend(facts.faults.iter().map(fault));
    items.push(exits(&facts.exits));
    Validity { items }
}

fn schedule_error(facts: &LiveFacts) -> ValidityItem {
    delay("schedule error p99", facts.schedule_error_p99_ns, SCHEDULE_ERROR_SHARE, facts)
}

fn core_wait(facts: &LiveFacts) -> ValidityItem {
    delay("waiting for a core, per request", facts.waited_for_core_ns, CORE_WAIT_SHARE, facts)
}

/// A delay in nanoseconds that is part of the latency, and may be `share` of its median.
fn delay(name: &str, ns: u64, share: f64, facts: &LiveFacts) -> ValidityItem {
    let limit = Span(facts.latency_p50_ns).scaled(share).clamp(DELAY_LEAST, DELAY_MOST);
    let measured = Span(ns);
    item(name, measured.to_string(), format!("at most {limit}"), measured <= limit)
}

fn share(name: &str, value: f64, limit: f64, of: &str) -> ValidityItem {
    let measured =
        if value.is_finite() { format!("{}{of}", Ratio(value)) } else { "unknown".to_owned() };
    item(name, measured, format!("below {}{of}", Ratio(limit)), value < limit)
}

fn dropped(dropped: u64) -> ValidityItem {
    item("dropped by the in-flight cap", dropped.to_string(), "0".to_owned(), dropped == 0)
}

fn supply(name: &str, used: u64, supply: u64) -> ValidityItem {
    let limit = format!("below {} of {supply}", Ratio(SUPPLY));
    item(name, used.to_string(), limit, (used as f64) < SUPPLY * supply as f64)
}

fn clock(drift_ns: i64) -> ValidityItem {
    let drift = Span(drift_ns.unsigned_abs());
    let limit = format!("below {CLOCK_DRIFT}");
    item("clock steps", drift.to_string(), limit, drift < CLOCK_DRIFT)
}

fn little(facts: &LiveFacts) -> ValidityItem {
    let counted = facts.in_flight_mean;
    let recorded = facts.little.throughput * facts.little.response_s;
    let apart = (counted - recorded).abs() / counted.max(recorded).max(LITTLE_LEAST);
    let measured = format!("{counted:.3} counted, {recorded:.3} recorded");
    item("Little's law N = X·R", measured, format!("within {}", Ratio(LITTLE)), apart < LITTLE)
}

fn fault(fault: &FaultProof) -> ValidityItem {
    let name = format!("fault {} bit", fault.name);
    item(&name, fault.observed.clone(), "its effect observed".to_owned(), fault.proved)
}

fn exits(exits: &[ProcessExit]) -> ValidityItem {
    let wrong: Vec<String> = exits
        .iter()
        .filter(|exit| !exit.expected)
        .map(|exit| format!("{}: {}", exit.name, exit.status))
        .collect();
    let measured = if wrong.is_empty() { "as they should".to_owned() } else { wrong.join(", ") };
    item("processes ended", measured, "as they should".to_owned(), wrong.is_empty())
}

fn item(name: &str, measured: String, limit: String, held: bool) -> ValidityItem {
    ValidityItem { name: name.to_owned(), measured, limit, held }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> LiveFacts {
        LiveFacts {
            schedule_error_p99_ns: 150_000,
            latency_p50_ns: 20_000_000,
            generator_cpu: 0.3,
            stolen_cpu: 0.0,
            waited_for_core_ns: 90_000,
            descriptors_used: 100,
            descriptors_limit: 1024,
            connections_opened: 50,
            ports: 28_232,
            clock_drift_ns: -3_000,
            in_flight_mean: 2.02,
            little: Little { throughput: 100.0, response_s: 0.02 },
            faults: vec![FaultProof {
                name: "crash".into(),
                proved: true,
                observed: "connection refused".into(),
            }],
            exits: vec![ProcessExit {
                name: "proxy".into(),
                status: "exit status 0".into(),
                expected: true,
            }],
            ..LiveFacts::default()
        }
    }

    #[test]
    fn a_good_run_is_valid() {
        let validity = judge(&good());
        assert!(validity.valid(), "{validity:?}");
        assert_eq!(validity.items.len(), 11);
    }

    #[test]
    fn each_limit_makes_its_own_item_fail() {
        type Damage = fn(&mut LiveFacts);
        let damages: &[(&str, Damage)] = &[
            ("schedule error p99", |facts| facts.schedule_error_p99_ns = 2_000_001),
            ("schedule error p99", |facts| {
                (facts.latency_p50_ns, facts.schedule_error_p99_ns) = (300_000_000, 5_000_001);
            }),
            ("generator CPU", |facts| facts.generator_cpu = 0.8),
            ("generator CPU", |facts| facts.generator_cpu = f64::NAN),
            ("stolen CPU", |facts| facts.stolen_cpu = 0.06),
            ("waiting for a core, per request", |facts| facts.waited_for_core_ns = 1_000_001),
            ("dropped by the in-flight cap", |facts| facts.dropped = 1),
            ("file descriptors", |facts| facts.descriptors_used = 950),
            ("local ports", |facts| facts.connections_opened = 28_000),
            ("clock steps", |facts| facts.clock_drift_ns = -60_000_000),
            ("Little's law N = X·R", |facts| facts.in_flight_mean = 2.2),
            ("Little's law N = X·R", |facts| facts.in_flight_mean = f64::NAN),
            ("fault crash bit", |facts| facts.faults[0].proved = false),
            ("processes ended", |facts| facts.exits[0].expected = false),
        ];
        for (name, damage) in damages {
            let mut facts = good();
            damage(&mut facts);
            let failed: Vec<ValidityItem> =
                judge(&facts).items.into_iter().filter(|item| !item.held).collect();
            assert_eq!(failed.len(), 1, "{name}: {failed:?}");
            assert_eq!(failed[0].name, *name);
        }
    }
}
