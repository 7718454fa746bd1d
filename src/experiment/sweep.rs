//! A sweep run in the model: its points on all cores, each written whole when it is done, so that
//! a run that was killed goes on where it stopped, and several runs of parts of it, on one host or
//! many, make one sweep.
//!
//! The folder is `<out>/<scenario>/sweep-<id>`, where the id is a hash of everything that the
//! points depend on: the text of the scenario and what replaces it, the axes, a recorded trace, a
//! calibration, and lab's version. So a changed sweep is another folder, and whoever runs a part of
//! the same sweep finds the same one.

mod files;
mod work;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use serde::{Deserialize, Serialize};

pub use files::open;

use super::run::calibration_of;
use crate::record::manifest::sha256_hex;
use crate::record::{Calibration, RecordError};
use crate::scenario::{self, Diagnostics, Scenario, SweepFacts};
use crate::sweep::{
    DesignError, Point, PointResult, SWEEP_SCHEMA_VERSION, Shard, SweepResults, points, rank, tally,
};
use crate::traffic::{ArrivalConfig, Source};

/// Digits of the hash in the name of the folder.
const ID_DIGITS: usize = 12;

/// Why a sweep cannot be run or read.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The scenario is wrong.
    #[error(transparent)]
    Scenario(#[from] Diagnostics),
    /// The scenario is wrong at a point.
    #[error("{}\nat the point {point} of the sweep", wrong)]
    Point {
        /// The point.
        point: String,
        /// What is wrong.
        wrong: Box<Diagnostics>,
    },
    /// Nothing is swept.
    #[error(
        "{}: nothing to sweep: add [[sweep.axis]] tables, or give values on the command line, \
         such as --set balancer.algorithm=least_conn,random_two", .0.display()
    )]
    NoAxis(PathBuf),
    /// A folder that is no sweep's.
    #[error(
        "{}: no folder of a sweep, which has a sweep.json: give a scenario file, or what          `lab sweep` named as its results", .0.display()
    )]
    NoSweep(PathBuf),
    /// The axes make no points.
    #[error(transparent)]
    Design(#[from] DesignError),
    /// Points with several calibrations.
    #[error(
        "host.calibration is no axis: a sweep has one calibration, that of --calibration or of the \
         scenario"
    )]
    Calibrations,
    /// The offered load cannot follow from the servers.
    #[error("at the point {0}: `load` needs servers whose service takes time")]
    Capacity(String),
    /// Files could not be written or read.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// What is swept, whoever runs it.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// What the points depend on, as the folder keeps it.
    pub(super) manifest: SweepManifest,
    /// The scenario as it stands.
    base: Scenario,
    points: Vec<Point>,
    folder: PathBuf,
}

/// `sweep.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct SweepManifest {
    pub(super) schema_version: u32,
    /// Version of lab.
    lab: String,
    scenario: String,
    text: String,
    overrides: Vec<(String, String)>,
    seed: u64,
    replications: u32,
    facts: SweepFacts,
    /// Hash of the recorded arrivals, if the scenario has a trace.
    trace_sha256: Option<String>,
    calibration: Option<Calibration>,
    points: usize,
}

impl SweepManifest {
    fn id(&self) -> String {
        let text = serde_json::to_string(self).unwrap_or_default();
        sha256_hex(text.as_bytes()).chars().take(ID_DIGITS).collect()
    }
}

impl Sweep {
    /// The sweep of the scenario at `path` with `overrides`, and with `change` applied to what it
    /// sweeps itself. Its calibration is that in the file `calibration`, or else that of the scenario.
    ///
    /// # Errors
    /// When the scenario or a point is wrong, or nothing is swept.
    pub fn prepare(
        path: &Path,
        overrides: &[(String, String)],
        calibration: Option<&Path>,
        out: &Path,
        change: impl FnOnce(&mut SweepFacts),
    ) -> Result<Self, SweepError> {
        let base = scenario::load_with(path, overrides)?;
        let mut facts = base.sweep.clone().unwrap_or_else(|| SweepFacts {
            axes: Vec::new(),
            samples: None,
            seed: base.seed,
            measure: Default::default(),
            compare: None,
        });
        change(&mut facts);
        if facts.axes.is_empty() {
            return Err(SweepError::NoAxis(path.to_owned()));
        }
        if facts.axes.iter().any(|axis| axis.key == "host.calibration") {
            return Err(SweepError::Calibrations);
        }
        let points = points(&facts)?;
        let calibration = calibration_of(calibration, &base)?;
        let manifest = SweepManifest {
            schema_version: SWEEP_SCHEMA_VERSION,
            lab: env!("CARGO_PKG_VERSION").to_owned(),
            scenario: base.name.clone(),
            text: base.text.clone(),
            overrides: overrides.to_vec(),
            seed: base.seed,
            replications: base.replications,
            facts,
            trace_sha256: trace_hash(&base),
            calibration,
            points: points.len(),
        };
        let folder = out.join(&base.name).join(format!("sweep-{}", manifest.id()));
        Ok(Self { manifest, base, points, folder })
    }

    /// Whether it has an axis of `key`.
    #[must_use]
    pub fn compares(&self, key: &str) -> bool {
        self.manifest.facts.axes.iter().any(|axis| axis.key == key)
    }

    /// Where its results are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Number of its points.
    #[must_use]
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// Whether it has no points, which none has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// Name of the scenario, and the sweep's id.
    #[must_use]
    pub fn name(&self) -> (String, String) {
        (self.manifest.scenario.clone(), self.manifest.id())
    }

    /// Checks every point and counts those of `shard` that are done.
    ///
    /// # Errors
    /// When a point's scenario is wrong.
    pub fn check(&self, shard: Shard) -> Result<Pending, SweepError> {
        let mut pending = Pending::default();
        for point in &self.points {
            let scenario = self.at(point)?;
            if !shard.has(point) {
                continue;
            }
            pending.of += 1;
            if self.path(point).is_file() {
                pending.done += 1;
            } else {
                let requests = scenario.traffic.mean_rate() * scenario.duration.as_secs_f64();
                let requests = if requests.is_finite() { requests } else { 1e6 };
                let weight = (requests * f64::from(scenario.replications)).max(1.0);
                pending.todo.push((point.index, weight as u64));
            }
        }
        Ok(pending)
    }

    /// Runs what is pending on up to `threads` threads until `stop` is set; each point that is done
    /// is told to `watcher` with its weight. Returns how many were done.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn run(
        &self,
        pending: &Pending,
        threads: usize,
        stop: &AtomicBool,
        watcher: &(dyn Fn(u64) + Sync),
    ) -> Result<usize, SweepError> {
        self.write_manifest()?;
        work::run(self, pending, threads, stop, watcher)
    }

    /// What the points that are done came to, in order, read from their files.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn results(&self) -> Result<SweepResults, SweepError> {
        let mut found: Vec<PointResult> = Vec::new();
        for point in self.points.iter().filter(|point| self.path(point).is_file()) {
            found.push(files::read_point(&self.path(point))?);
        }
        let manifest = &self.manifest;
        Ok(SweepResults {
            schema_version: SWEEP_SCHEMA_VERSION,
            scenario: manifest.scenario.clone(),
            sweep: manifest.id(),
            seed: manifest.seed,
            replications: manifest.replications,
            facts: manifest.facts.clone(),
            ranking: rank(&manifest.facts, &found),
            checks: tally(&found),
            points: found,
        })
    }

    fn wrong_at(point: &Point, wrong: Diagnostics) -> SweepError {
        SweepError::Point { point: point.words(), wrong: Box::new(wrong) }
    }

    /// The scenario of a point. Its seed is that of all: the points share their requests.
    fn at(&self, point: &Point) -> Result<Scenario, SweepError> {
        let mut overrides = self.manifest.overrides.clone();
        overrides.extend(point.overrides());
        let parse = |overrides: &[(String, String)]| {
            scenario::parse_with(&self.base.text, &self.base.path, overrides)
                .map_err(|wrong| Self::wrong_at(point, wrong))
        };
        let Some(load) = point.load() else { return parse(&overrides) };
        let capacity = parse(&overrides)?.capacity();
        if !capacity.is_finite() {
            return Err(SweepError::Capacity(point.words()));
        }
        let rate = format!("\"{:.6}/s\"", load.0 * capacity);
        overrides.push(("traffic.rate".to_owned(), rate));
        parse(&overrides)
    }
}

/// What of a share is done, and what is left.
#[derive(Clone, Debug, Default)]
pub struct Pending {
    /// Points of the share.
    pub of: usize,
    /// Those that are done.
    pub done: usize,
    /// The others: index, and requests to be run.
    pub todo: Vec<(u32, u64)>,
}

fn trace_hash(scenario: &Scenario) -> Option<String> {
    let Source::Open { arrival: ArrivalConfig::Trace { entries, .. }, .. } =
        &scenario.traffic.source
    else {
        return None;
    };
    Some(sha256_hex(format!("{entries:?}").as_bytes()))
}
