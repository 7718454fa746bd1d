//! `lab calibrate`: what this host adds to each request, measured apart from any compared run.
//!
//! Short live runs under loads of their own, with constant service: what a request took beyond
//! queueing and service is the hop, what opening its connection took is the connection, and by
//! how much its worker was held longer than asked is the occupation. Measured under load, since an
//! idle host answers otherwise than the one that is compared later, and behind each engine, since
//! each has its own ways.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use super::engines::Labelled;
use super::identity;
use super::run::RunError;
use crate::engine;
use crate::host::{date, priority};
use crate::live::{self, LiveOptions, Watcher};
use crate::record::calibration::{CALIBRATION_SCHEMA_VERSION, Measured};
use crate::record::{Calibration, Cost, RequestRow, spool};
use crate::scenario::{self, Engine, Scenario};

/// What is run. The service law is none of those of the shipped scenarios.
const SCENARIO: &str = include_str!("calibrate.toml");
/// Offered load and service of each run: four workers that are busy 60 % of the time.
const LOADS: [(&str, &str); 3] = [("80/s", "30ms"), ("300/s", "8ms"), ("1500/s", "1.6ms")];
/// How long the traffic of one run takes.
pub const CALIBRATION_SECONDS: u64 = 8;

/// Measures this host behind each of `engines`. Scratch files go to a folder below `root` that is
/// removed again.
///
/// # Errors
/// When the live world cannot be run, or too little was measured. An engine that is not installed
/// is found before anything starts.
pub fn calibrate(
    engines: &[Engine],
    root: &Path,
    watcher: &dyn Watcher,
    stop: &AtomicBool,
) -> Result<Calibration, RunError> {
    engines.iter().try_for_each(live::check_installed)?;
    let scratch = Scratch::create(root)?;
    let file = scratch.0.join("scenario.toml");
    std::fs::write(&file, SCENARIO)
        .map_err(|error| RunError::Scratch { path: file.clone(), error })?;
    let mut measured = Vec::new();
    for engine in engines {
        for (rate, service) in LOADS {
            let overrides = vec![
                ("traffic.rate".to_owned(), rate.to_owned()),
                ("backend.c.service.value".to_owned(), service.to_owned()),
            ];
            let scenario = engine::adapted(&scenario::load_with(&file, &overrides)?, engine);
            let folder = scratch.0.join(format!("run-{}", measured.len()));
            let watcher = Labelled { label: format!("{engine} at {rate}"), inner: watcher };
            let costs = measure(&scenario, &file, &folder, &watcher, stop)?;
            measured.push(costs.measured(engine, scenario.traffic.mean_rate())?);
        }
    }
    Ok(Calibration {
        schema_version: CALIBRATION_SCHEMA_VERSION,
        host: identity::host_facts().name,
        date: date::rfc3339(identity::wall()),
        measured,
    })
}

/// One run.
fn measure(
    scenario: &Scenario,
    file: &Path,
    folder: &Path,
    watcher: &dyn Watcher,
    stop: &AtomicBool,
) -> Result<Samples, RunError> {
    std::fs::create_dir_all(folder)
        .map_err(|error| RunError::Scratch { path: folder.to_owned(), error })?;
    let options = LiveOptions {
        scenario_file: file.to_owned(),
        engine_config: None,
        provider: live::ProviderOptions::default(),
        overrides: scenario.overrides.clone(),
        real_time: priority::real_time_permitted(),
        scratch: folder.to_owned(),
        seed: scenario.seed,
        round: 0,
        board: None,
        prometheus: None,
    };
    let run = live::run(scenario, &options, watcher, stop)?;
    if run.interrupted.is_some() {
        return Err(RunError::Interrupted);
    }
    let mut samples = Samples::default();
    spool::read_spool(&run.requests, |row: RequestRow| {
        if row.scheduled_ns >= scenario.warm_up.0 {
            samples.take(&row);
        }
    })?;
    Ok(samples)
}

/// Samples of each cost, in nanoseconds.
#[derive(Default)]
struct Samples {
    connection: Vec<u64>,
    hop: Vec<u64>,
    occupation: Vec<u64>,
}

impl Samples {
    fn take(&mut self, row: &RequestRow) {
        if row.failed() || row.attempts != 1 || row.service_ns == 0 {
            return;
        }
        let connecting = row.connected_ns.saturating_sub(row.sent_ns);
        if connecting > 0 {
            self.connection.push(connecting);
        }
        let inside = connecting + row.queued_ns + row.service_ns;
        self.hop.push(row.latency_sent_ns().saturating_sub(inside));
        self.occupation.push(row.service_ns.saturating_sub(row.demand_ns));
    }

    fn measured(self, engine: &Engine, rate: f64) -> Result<Measured, RunError> {
        let (connection, hop, occupation) =
            (cost(self.connection), cost(self.hop), cost(self.occupation));
        let (Some(hop), Some(occupation)) = (hop, occupation) else {
            return Err(RunError::TooLittle);
        };
        let connection = connection.unwrap_or_default();
        Ok(Measured { engine: engine.name(), rate, connection, hop, occupation })
    }
}

/// Fewer samples give no quantiles worth having.
const FEWEST: usize = 20;

fn cost(mut samples: Vec<u64>) -> Option<Cost> {
    if samples.len() < FEWEST {
        return None;
    }
    samples.sort_unstable();
    let at = |step: usize| samples[(samples.len() - 1) * step / 20];
    let mut quantiles_ns = std::array::from_fn(at);
    quantiles_ns[20] = end_of_tail(&samples, quantiles_ns[19]);
    Some(Cost { median_ns: at(10), quantiles_ns, samples: samples.len() as u64 })
}

/// The model draws evenly between the last two quantiles. Between the 95 % quantile and the
/// maximum, which may be one wake-up of milliseconds, that would make a twentieth of all requests
/// far too dear: the last value is the one with which that twentieth keeps its mean.
fn end_of_tail(sorted: &[u64], from: u64) -> u64 {
    let tail = &sorted[(sorted.len() - 1) * 19 / 20..];
    let mean = tail.iter().sum::<u64>() / tail.len() as u64;
    (2 * mean).saturating_sub(from).max(from)
}

/// A folder that goes when it is dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn create(root: &Path) -> Result<Self, RunError> {
        let path = root.join(format!(".calibrate-{}", std::process::id()));
        std::fs::create_dir_all(&path)
            .map_err(|error| RunError::Scratch { path: path.clone(), error })?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_late_wake_up_does_not_make_a_twentieth_of_the_requests_late() {
        let mut samples: Vec<u64> = (0..1000).map(|n| 20_000 + n).collect();
        samples.push(5_000_000);
        let cost = cost(samples).unwrap();
        let tail_mean = (cost.quantiles_ns[19] + cost.quantiles_ns[20]) / 2;
        assert!((100_000..140_000).contains(&tail_mean), "{tail_mean}");
        assert_eq!(cost.median_ns, 20_500);
    }
}
