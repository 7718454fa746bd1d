//! `lab calibrate`: what this host adds to each request, measured apart from any compared run.
//!
//! A short live run under load of its own, with constant service: what a request took beyond
//! queueing and service is the hop, what opening its connection took is the connection, and by
//! how much its worker was held longer than asked is the occupation. Measured under load, since an
//! idle host answers faster than the one that is compared later.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use super::identity;
use super::run::RunError;
use crate::host::{date, priority};
use crate::live::{self, LiveOptions, Watcher};
use crate::record::calibration::CALIBRATION_SCHEMA_VERSION;
use crate::record::{Calibration, Cost, RequestRow, spool};
use crate::scenario;

/// What is run. The service law is none of those of the shipped scenarios.
const SCENARIO: &str = include_str!("calibrate.toml");
/// How long it takes, start-up apart.
pub const CALIBRATION_SECONDS: u64 = 12;

/// Measures this host. Scratch files go to a folder below `root` that is removed again.
///
/// # Errors
/// When the live world cannot be run, or too little was measured.
pub fn calibrate(
    root: &Path,
    watcher: &dyn Watcher,
    stop: &AtomicBool,
) -> Result<Calibration, RunError> {
    let scratch = Scratch::create(root)?;
    let file = scratch.0.join("scenario.toml");
    std::fs::write(&file, SCENARIO)
        .map_err(|error| RunError::Scratch { path: file.clone(), error })?;
    let scenario = scenario::load(&file)?;
    let options = LiveOptions {
        scenario_file: file,
        overrides: Vec::new(),
        real_time: priority::real_time_permitted(),
        engine_config: None,
        scratch: scratch.0.clone(),
        seed: scenario.seed,
        round: 0,
    };
    let run = live::run(&scenario, &options, watcher, stop)?;
    if run.interrupted.is_some() {
        return Err(RunError::Interrupted);
    }
    let mut costs = Costs::default();
    spool::read_spool(&run.requests, |row: RequestRow| {
        if row.scheduled_ns >= scenario.warm_up.0 {
            costs.take(&row);
        }
    })?;
    costs.calibration()
}

/// Samples of each cost, in nanoseconds.
#[derive(Default)]
struct Costs {
    connection: Vec<u64>,
    hop: Vec<u64>,
    occupation: Vec<u64>,
}

impl Costs {
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

    fn calibration(self) -> Result<Calibration, RunError> {
        let (connection, hop, occupation) =
            (cost(self.connection), cost(self.hop), cost(self.occupation));
        let (Some(hop), Some(occupation)) = (hop, occupation) else {
            return Err(RunError::TooLittle);
        };
        Ok(Calibration {
            schema_version: CALIBRATION_SCHEMA_VERSION,
            host: identity::host_facts().name,
            date: date::rfc3339(identity::wall()),
            connection: connection.unwrap_or_default(),
            hop,
            occupation,
        })
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
