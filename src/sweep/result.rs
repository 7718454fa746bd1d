//! What the points of a sweep came to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::best::Ranking;
use super::design::Setting;
use crate::compare::interval::{self, REPLICATIONS_AT_LEAST};
use crate::compare::{CheckResult, Digest, Estimate, Verdict, WorldSummary, summary_of};
use crate::scenario::SweepFacts;
use crate::scenario::sweep::Measure;

/// Version of what a point's file holds.
pub const POINT_SCHEMA_VERSION: u32 = 2;
/// Version of a sweep's files.
pub const SWEEP_SCHEMA_VERSION: u32 = 2;

/// A statistic of a point: of all replications together, with its 95 % interval where one can be
/// given, and of each alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Of all replications together; a latency is in ns.
    #[serde(flatten)]
    pub estimate: Estimate,
    /// Of each replication.
    pub replications: Vec<f64>,
}

/// What a point came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PointResult {
    /// Version of this format.
    pub schema_version: u32,
    /// Its sweep.
    pub sweep: String,
    /// Its place in the sweep, from 0.
    pub index: u32,
    /// What it gave to each axis.
    pub settings: Vec<Setting>,
    /// How many replications ran.
    pub replications: u32,
    /// Requests in all replications, the warm-up aside.
    pub requests: u64,
    /// Of these, those that failed.
    pub failed: u64,
    /// Of these, those with more than one attempt.
    pub retried: u64,
    /// Requests that arrived per second.
    pub offered: f64,
    /// The largest latency, ns.
    pub max_ns: f64,
    /// Jain's index of requests per weight over the primaries.
    pub jain: f64,
    /// Every [`Measure`] by its name.
    pub measures: BTreeMap<String, Measured>,
    /// Every check of the scenario.
    pub checks: Vec<CheckResult>,
    /// What to know before believing its numbers.
    pub warnings: Vec<String>,
}

/// What ran at a point.
#[derive(Debug)]
pub struct Replications<'a> {
    /// In order.
    pub digests: &'a [Digest],
    /// What to know before believing them.
    pub warnings: Vec<String>,
    /// The checks of the scenario on them.
    pub checks: Vec<CheckResult>,
}

impl PointResult {
    /// What the replications of a point came to; `None` without any.
    #[must_use]
    pub fn new(
        sweep: &str,
        index: u32,
        settings: Vec<Setting>,
        ran: Replications<'_>,
    ) -> Option<Self> {
        let Replications { digests, mut warnings, checks } = ran;
        let all = summary_of(digests)?;
        let each: Vec<WorldSummary> = match digests {
            [_] => vec![all.clone()],
            several => several.iter().map(Digest::summary).collect(),
        };
        let measures = Measure::ALL.map(|measure| {
            let replications: Vec<f64> = each.iter().map(|one| value(one, measure).value).collect();
            let estimate = value(&all, measure);
            let independent = interval::of_independent(&replications);
            let estimate = match (measure.is_latency(), independent.low, independent.high) {
                (false, Some(low), Some(high)) if replications.len() >= REPLICATIONS_AT_LEAST => {
                    let half = (high - low) / 2.0;
                    let low = (estimate.value - half).max(0.0);
                    Estimate { low: Some(low), high: Some(estimate.value + half), ..estimate }
                }
                _ => estimate,
            };
            (measure.name().to_owned(), Measured { estimate, replications })
        });
        warnings.extend(all.warnings.iter().cloned());
        warnings.dedup();
        Some(Self {
            schema_version: POINT_SCHEMA_VERSION,
            sweep: sweep.to_owned(),
            index,
            settings,
            replications: digests.len() as u32,
            requests: all.requests,
            failed: all.failed,
            retried: all.retried,
            offered: all.offered,
            max_ns: all.latency.max.value,
            jain: all.jain,
            measures: BTreeMap::from(measures),
            checks,
            warnings,
        })
    }

    /// One of its statistics.
    #[must_use]
    pub fn measured(&self, measure: Measure) -> &Measured {
        static NONE: Measured = Measured {
            estimate: Estimate { value: f64::NAN, low: None, high: None },
            replications: Vec::new(),
        };
        self.measures.get(measure.name()).unwrap_or(&NONE)
    }

    /// How many of its checks came out so.
    #[must_use]
    pub fn count(&self, verdict: Verdict) -> u64 {
        self.checks.iter().filter(|check| check.verdict == verdict).count() as u64
    }

    /// Its checks that failed, in words.
    pub fn failed_checks(&self) -> impl Iterator<Item = &str> {
        let failed = self.checks.iter().filter(|check| check.verdict == Verdict::Failed);
        failed.map(|check| check.text.as_str())
    }

    /// The value it gave to the axis of `key`.
    #[must_use]
    pub fn setting(&self, key: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.key == key)
    }
}

fn value(summary: &WorldSummary, measure: Measure) -> Estimate {
    let plain = |value: f64| Estimate { value, low: None, high: None };
    let share = |count: u64| plain(count as f64 / summary.requests.max(1) as f64);
    match measure {
        Measure::Mean => summary.latency.mean,
        Measure::P50 => summary.latency.p50,
        Measure::P90 => summary.latency.p90,
        Measure::P99 => summary.latency.p99,
        Measure::P999 => summary.latency.p999,
        Measure::Errors => share(summary.failed),
        Measure::Goodput => plain(summary.goodput),
        Measure::Retries => share(summary.retried),
    }
}

/// A check of the scenario over all points.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckTally {
    /// As it is written.
    pub text: String,
    /// Points at which it held.
    pub held: u32,
    /// Points at which it failed.
    pub failed: u32,
    /// Points at which it could not be decided.
    pub undecided: u32,
}

/// The checks of all points, in order of the scenario.
#[must_use]
pub fn tally(points: &[PointResult]) -> Vec<CheckTally> {
    let mut tallies: Vec<CheckTally> = Vec::new();
    for check in points.iter().flat_map(|point| &point.checks) {
        let known = tallies.iter().position(|tally| tally.text == check.text);
        let place = known.unwrap_or_else(|| {
            let text = check.text.clone();
            tallies.push(CheckTally { text, held: 0, failed: 0, undecided: 0 });
            tallies.len() - 1
        });
        let tally = &mut tallies[place];
        *match check.verdict {
            Verdict::Held => &mut tally.held,
            Verdict::Failed => &mut tally.failed,
            Verdict::Undecided => &mut tally.undecided,
        } += 1;
    }
    tallies
}

/// A sweep whose points are done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SweepResults {
    /// Version of this format.
    pub schema_version: u32,
    /// Name of the scenario.
    pub scenario: String,
    /// The sweep: the first digits of the hash of everything that its points depend on.
    pub sweep: String,
    /// Seed of the requests.
    pub seed: u64,
    /// Replications that the scenario asks for; a precision may take more, see the points.
    pub replications: u32,
    /// What was swept.
    pub facts: SweepFacts,
    /// What is best under which condition.
    pub ranking: Ranking,
    /// What came of the scenario's checks.
    pub checks: Vec<CheckTally>,
    /// Every point, in order.
    pub points: Vec<PointResult>,
}
