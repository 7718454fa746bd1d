//! Whether this host is fit to measure: each fact with what it means and what would help.

use std::path::Path;

use serde::Serialize;

use crate::host::fitness::Fitness;
use crate::record::Calibration;
use crate::units::{Nanos, Span};

/// The proxy and the backends ask for a backlog of this many connections.
const BACKLOG: u64 = 4096;
/// A run of some thousand connections has as many descriptors in one process.
const DESCRIPTORS: u64 = 16_384;
/// The kernel's default range of ports.
const PORTS: u64 = 28_232;
/// Above this share of the CPU time the run itself would be invalid.
const STOLEN: f64 = 0.05;
/// Threads that are ready to run, for each core: others would be in the way of a measurement.
const BUSY: f64 = 0.25;
/// The generator's schedule error may be 5 ms at most; a host that wakes this late is near it.
const LATE: Span = Span::from_millis(1);
/// Memory for a run and what it starts.
const MEMORY: u64 = 1 << 30;
/// Kernels and neighbours change: an older calibration is worth measuring again.
const OLD: Span = Span::from_secs(30 * 86_400);

/// How a fact is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// Fine.
    Good,
    /// Measurements are possible, and worse for it.
    Fair,
    /// Measurements are likely to be invalid.
    Bad,
}

/// One fact about the host.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Fact {
    pub(super) name: &'static str,
    pub(super) value: String,
    pub(super) verdict: Verdict,
    /// What it means and what would help; empty if it is good.
    pub(super) advice: String,
}

fn fact(name: &'static str, value: impl ToString, verdict: Verdict, advice: &str) -> Fact {
    let advice = if verdict == Verdict::Good { "" } else { advice };
    Fact { name, value: value.to_string(), verdict, advice: advice.to_owned() }
}

/// Good, unless `bad` or `fair`.
const fn verdict(bad: bool, fair: bool) -> Verdict {
    match (bad, fair) {
        (true, _) => Verdict::Bad,
        (false, true) => Verdict::Fair,
        (false, false) => Verdict::Good,
    }
}

/// What is to be said of a host.
pub(super) fn judge(host: &Fitness) -> Vec<Fact> {
    let mut facts = scheduling(host);
    facts.extend(limits(host));
    facts.extend(neighbours(host));
    facts
}

fn scheduling(host: &Fitness) -> Vec<Fact> {
    let (median, late) = host.wake_up;
    let mut facts = vec![fact(
        "cores",
        host.cores,
        verdict(false, host.cores < 2),
        "generator, proxy and backends share one core and delay each other: keep rates low",
    )];
    let powersave = host.governors.iter().any(|governor| governor != "performance");
    let governors = if host.governors.is_empty() {
        "none shown (a virtual machine's host decides)".to_owned()
    } else {
        host.governors.join(", ")
    };
    facts.push(fact(
        "CPU governor",
        governors,
        verdict(false, powersave),
        "the clock rate follows the load, so an idle host is slower: cpupower frequency-set -g performance",
    ));
    if let Some(source) = &host.clock_source {
        let slow = matches!(source.as_str(), "hpet" | "acpi_pm" | "jiffies" | "refined-jiffies");
        facts.push(fact(
            "clock source",
            source,
            verdict(false, slow),
            "each look at the clock costs a microsecond or more: boot with clocksource=tsc where it is stable",
        ));
    }
    if let Some(slack) = host.timer_slack {
        // lab's own threads set 1 ns, so that this is of no harm to them.
        facts.push(fact(
            "timer slack",
            format!("{slack} (lab sets 1ns for itself)"),
            Verdict::Good,
            "",
        ));
    }
    facts.push(fact(
        "wake-up",
        format!("{median} late at p50, {late} at p99"),
        verdict(late >= Span::from_millis(5), late >= LATE),
        "requests are sent late by as much: stop what else runs here, and permit real-time priority",
    ));
    facts.push(fact(
        "real-time priority",
        if host.real_time { "permitted" } else { "not permitted" },
        verdict(false, !host.real_time),
        "busy neighbours delay the generator: run as root, or setcap cap_sys_nice+ep on lab",
    ));
    if let Some(autogroup) = host.autogroup {
        facts.push(fact(
            "autogroup",
            if autogroup { "on" } else { "off" },
            verdict(false, autogroup),
            "each session gets the same share of a core, however many threads it has: sysctl kernel.sched_autogroup_enabled=0",
        ));
    }
    facts
}

fn limits(host: &Fitness) -> Vec<Fact> {
    let (soft, hard) = host.descriptors;
    let mut facts = Vec::new();
    if let Some(somaxconn) = host.somaxconn {
        facts.push(fact(
            "somaxconn",
            somaxconn,
            verdict(false, somaxconn < BACKLOG),
            "bursts of new connections beyond it are dropped and come a second late: sysctl net.core.somaxconn=4096",
        ));
    }
    facts.push(fact(
        "descriptors",
        format!("{soft}, lab may raise it to {hard}"),
        verdict(hard < 1024, hard < DESCRIPTORS),
        "each connection takes one in every program it passes: ulimit -Hn 1048576",
    ));
    facts.push(fact(
        "ephemeral ports",
        host.local_ports,
        verdict(host.local_ports < 1024, host.local_ports < PORTS),
        "a connection per request uses one for a minute: sysctl net.ipv4.ip_local_port_range=\"10240 65535\"",
    ));
    facts
}

fn neighbours(host: &Fitness) -> Vec<Fact> {
    let mut facts = Vec::new();
    if let Some(stolen) = host.stolen {
        facts.push(fact(
            "stolen CPU",
            format!("{:.1}% just now", stolen * 100.0),
            verdict(stolen > STOLEN, stolen > STOLEN / 5.0),
            "the hypervisor gives the cores to others: use a quieter machine, or dedicated cores",
        ));
    }
    if let Some(load) = host.load {
        let busy = load / host.cores as f64;
        facts.push(fact(
            "load",
            format!("{load:.2} over the last minute"),
            verdict(busy >= 1.0, busy > BUSY),
            "other programs are busy here: wait for them, or stop them",
        ));
    }
    if let Some(available) = host.memory_available {
        let gibibytes = available as f64 / f64::from(1 << 30);
        facts.push(fact(
            "memory",
            format!("{gibibytes:.1} GiB to be had"),
            verdict(false, available < MEMORY),
            "programs may be swapped out or killed in a run",
        ));
    }
    if let Some(swapped) = host.swapped {
        facts.push(fact(
            "swap",
            if swapped == 0 {
                "none in use".to_owned()
            } else {
                format!("{} MiB in use", swapped >> 20)
            },
            verdict(false, swapped > 0),
            "a page that comes back from disk takes milliseconds: swapoff -a for the run",
        ));
    }
    facts
}

/// What is to be said of the calibration at `path`, on the host `name`, at the wall time `now`.
pub(super) fn calibration(path: &Path, name: &str, now: Nanos) -> Fact {
    let shown = path.display();
    if !path.exists() {
        let advice = "the model does not know what this host adds to a request: lab calibrate";
        return fact("calibration", format!("no {shown}"), Verdict::Fair, advice);
    }
    let found = match Calibration::load(path) {
        Ok(found) => found,
        Err(error) => {
            return fact("calibration", error, Verdict::Fair, "measure it again: lab calibrate");
        }
    };
    let mut engines: Vec<&str> = found.measured.iter().map(|it| it.engine.as_str()).collect();
    engines.dedup();
    let age = crate::host::date::parse_rfc3339(&found.date).map(|date| now.since(date));
    let told =
        age.map_or_else(|| format!("of {}", found.date), |age| format!("{} old", words(age)));
    let value = format!("{shown}: {}, {told}", engines.join(", "));
    if found.host != name {
        let advice = format!("it is of another host, {}: lab calibrate", found.host);
        return fact("calibration", value, Verdict::Fair, &advice);
    }
    let advice = "kernel, programs and neighbours change: lab calibrate";
    fact("calibration", value, verdict(false, age.is_none_or(|age| age > OLD)), advice)
}

/// An age as a person says it.
fn words(age: Span) -> String {
    match age.0 / 1_000_000_000 {
        seconds if seconds < 120 => format!("{seconds} s"),
        seconds if seconds < 7200 => format!("{} min", seconds / 60),
        seconds if seconds < 2 * 86_400 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Fitness {
        Fitness {
            cores: 8,
            governors: vec!["performance".to_owned()],
            clock_source: Some("tsc".to_owned()),
            timer_slack: Some(Span::from_micros(50)),
            wake_up: (Span::from_micros(5), Span::from_micros(60)),
            real_time: true,
            autogroup: Some(false),
            somaxconn: Some(4096),
            descriptors: (1024, 1 << 20),
            local_ports: 28_232,
            stolen: Some(0.0),
            load: Some(0.1),
            memory_available: Some(8 << 30),
            swapped: Some(0),
        }
    }

    fn found(host: &Fitness, name: &str) -> Fact {
        judge(host).into_iter().find(|fact| fact.name == name).unwrap()
    }

    #[test]
    fn a_quiet_host_is_good_in_everything() {
        for fact in judge(&good()) {
            assert_eq!((fact.verdict, fact.advice.as_str()), (Verdict::Good, ""), "{}", fact.name);
        }
    }

    #[test]
    fn each_fault_is_told_with_what_helps() {
        type Case = (&'static str, Verdict, &'static str, fn(&mut Fitness));
        let cases: [Case; 9] = [
            ("cores", Verdict::Fair, "share", |it| it.cores = 1),
            ("CPU governor", Verdict::Fair, "cpupower", |it| it.governors.push("powersave".into())),
            ("clock source", Verdict::Fair, "tsc", |it| it.clock_source = Some("hpet".into())),
            ("wake-up", Verdict::Bad, "late", |it| it.wake_up.1 = Span::from_millis(7)),
            ("real-time priority", Verdict::Fair, "setcap", |it| it.real_time = false),
            ("descriptors", Verdict::Fair, "ulimit", |it| it.descriptors = (1024, 4096)),
            ("stolen CPU", Verdict::Bad, "hypervisor", |it| it.stolen = Some(0.2)),
            ("load", Verdict::Bad, "busy", |it| it.load = Some(9.0)),
            ("swap", Verdict::Fair, "swapoff", |it| it.swapped = Some(1 << 20)),
        ];
        for (name, verdict, said, spoil) in cases {
            let mut host = good();
            spoil(&mut host);
            let fact = found(&host, name);
            assert_eq!(fact.verdict, verdict, "{name}");
            assert!(fact.advice.contains(said), "{name}: {}", fact.advice);
            let others = judge(&host).iter().filter(|it| it.verdict != Verdict::Good).count();
            assert_eq!(others, 1, "{name} alone");
        }
    }

    #[test]
    fn a_calibration_has_an_age_and_a_host() {
        let path = std::env::temp_dir().join(format!("lab-doctor-{}.json", std::process::id()));
        let now = crate::host::date::parse_rfc3339("2026-11-30T00:00:00Z").unwrap();
        assert!(calibration(&path, "here", now).value.starts_with("no "));
        for (host, date, verdict, said) in [
            ("here", "2026-11-29T22:00:00Z", Verdict::Good, "2 h old"),
            ("here", "2026-09-01T00:00:00Z", Verdict::Fair, "90 days old"),
            ("there", "2026-11-29T22:00:00Z", Verdict::Fair, "own"),
        ] {
            let mut it = Calibration {
                schema_version: crate::record::calibration::CALIBRATION_SCHEMA_VERSION,
                host: host.to_owned(),
                date: date.to_owned(),
                ..Calibration::default()
            };
            it.measured.push(crate::record::calibration::Measured {
                engine: "own".to_owned(),
                ..Default::default()
            });
            it.save(&path).unwrap();
            let fact = calibration(&path, "here", now);
            assert_eq!(fact.verdict, verdict, "{fact:?}");
            assert!(fact.value.contains(said), "{fact:?}");
        }
        std::fs::remove_file(&path).unwrap();
    }
}
