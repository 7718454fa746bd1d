//! The results of a run as numbers: what the terminal, JSON, charts and checks all read.

use serde::{Deserialize, Serialize};

use super::scaling::{ScalingAgreement, ScalingSummary};
use crate::units::World;

/// A statistic with its 95 % confidence interval, where one can be given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The statistic.
    pub value: f64,
    /// Lower end of the interval.
    pub low: Option<f64>,
    /// Upper end of the interval.
    pub high: Option<f64>,
}

/// Latency of answered and failed requests alike, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Mean.
    pub mean: Estimate,
    /// Median.
    pub p50: Estimate,
    /// 90th percentile.
    pub p90: Estimate,
    /// 99th percentile.
    pub p99: Estimate,
    /// 99.9th percentile.
    pub p999: Estimate,
    /// Largest.
    pub max: Estimate,
}

/// A peer's part of the work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeerShare {
    /// Its name.
    pub name: String,
    /// Its weight.
    pub weight: u32,
    /// Whether it is a backup.
    pub backup: bool,
    /// Share of the measured time for which it was there; less than 1 only for an instance that an
    /// autoscaler starts or stops, 0 for one that never was ready.
    #[serde(default = "whole", skip_serializing_if = "is_whole")]
    pub present: f64,
    /// Share by weight among the primaries that were there when the requests were due; 0 for a
    /// backup.
    pub expected: f64,
    /// Requests whose last attempt went there.
    pub requests: u64,
    /// Their share of all requests that reached a peer.
    pub share: f64,
    /// Share of its workers' time that was busy, of the time it was there.
    pub utilisation: f64,
}

impl PeerShare {
    /// Whether it was there at all, or got something.
    #[must_use]
    pub fn was_there(&self) -> bool {
        self.present > 0.0 || self.requests > 0
    }
}

const fn whole() -> f64 {
    1.0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_whole(share: &f64) -> bool {
    *share >= 1.0
}

/// One second of the run, over all peers, by the second in which requests finished (offered: due).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Second {
    /// The second.
    pub second: u32,
    /// Requests due.
    pub offered: u64,
    /// Requests finished without failure.
    pub succeeded: u64,
    /// Requests failed.
    pub failed: u64,
    /// Median latency of the requests due in this second, ns; 0 without any.
    pub p50_ns: u64,
    /// 99th percentile of the same.
    pub p99_ns: u64,
}

/// Effect of a fault on clients.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaultEffect {
    /// The fault's name.
    pub fault: String,
    /// Where it began, ns.
    pub at_ns: u64,
    /// Where it ended, ns.
    pub until_ns: u64,
    /// Requests due from its beginning on (up to the next fault) that failed.
    pub failed: u64,
    /// From its beginning to the end of the last of them, ns; `None` if none failed.
    pub failover_ns: Option<u64>,
}

/// What a group of requests has in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupKind {
    /// Their class.
    Class,
    /// The stage in which they were due.
    Stage,
    /// Due before a fault.
    Before,
    /// Due during a fault.
    During,
    /// Due after a fault.
    After,
}

/// Statistics of a group of requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// What they have in common.
    pub kind: GroupKind,
    /// Name of the class, stage or fault.
    pub name: String,
    /// How many.
    pub requests: u64,
    /// Of them failed.
    pub failed: u64,
    /// Of them with more than one attempt.
    pub retried: u64,
    /// Successful ones per second.
    pub goodput: f64,
    /// Share of the requests that failed.
    #[serde(default)]
    pub errors: Estimate,
    /// From the instant they were due.
    pub latency: Latency,
    /// From the instant they were sent.
    pub latency_sent: Latency,
    /// Share per peer.
    pub shares: Vec<PeerShare>,
}

/// The results of one world.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorldSummary {
    /// Which.
    pub world: World,
    /// Replications or rounds in it.
    pub replications: u32,
    /// Requests due after the warm-up, of all replications.
    pub requests: u64,
    /// Of them failed.
    pub failed: u64,
    /// Of them with more than one attempt.
    pub retried: u64,
    /// Failed ones by cause, such as `timeout` or `status 503`; most first.
    pub failures: Vec<(String, u64)>,
    /// Offered load, requests per second of one replication.
    pub offered: f64,
    /// Successful requests per second of one replication.
    pub goodput: f64,
    /// Share of the requests that failed.
    #[serde(default)]
    pub errors: Estimate,
    /// From the instant they were due.
    pub latency: Latency,
    /// From the instant they were sent.
    pub latency_sent: Latency,
    /// Quantile function for charts: (quantile, latency ns), rising, dense towards 1.
    pub curve: Vec<(f64, u64)>,
    /// Per peer, in configuration order.
    pub shares: Vec<PeerShare>,
    /// Jain's index of requests over what each primary that was there should have got; 1 is
    /// perfectly even.
    pub jain: f64,
    /// Largest utilisation of a primary over their mean.
    pub utilisation_max_over_mean: f64,
    /// 95th percentile of the primaries' utilisation over their mean.
    pub utilisation_p95_over_mean: f64,
    /// Per second, first replication.
    pub seconds: Vec<Second>,
    /// Requests in flight per peer and second, first replication: `in_flight[peer][second]`.
    pub in_flight: Vec<Vec<u32>>,
    /// Per fault.
    pub faults: Vec<FaultEffect>,
    /// Per class, stage, and before, during and after each fault.
    pub groups: Vec<Group>,
    /// What the autoscaler did, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling: Option<ScalingSummary>,
    /// Loud warnings: a queue that grows through the run, a law without a third moment, ….
    pub warnings: Vec<String>,
}

/// One quantile in both worlds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuantileDifference {
    /// `p50`, `p90`, ….
    pub name: String,
    /// Latency of the model, ns.
    pub sim: f64,
    /// Latency of the live world, ns.
    pub live: f64,
    /// `(sim - live) / live`.
    pub relative: f64,
}

/// One way to run the model beside the live world.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attribution {
    /// `planned`, `calibrated`, or `driven by measured service times`.
    pub model: String,
    /// What it tests, in a sentence.
    pub meaning: String,
    /// Its differences from the live world.
    pub differences: Vec<QuantileDifference>,
}

/// Differences of requests with the same id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Paired {
    /// Pairs.
    pub pairs: u64,
    /// Mean of live minus sim, ns, with its interval.
    pub mean_ns: Estimate,
    /// Median of live minus sim, ns.
    pub p50_ns: f64,
    /// 5th percentile.
    pub p05_ns: f64,
    /// 95th percentile.
    pub p95_ns: f64,
    /// Correlation of the two latencies.
    pub correlation: f64,
    /// Share of pairs served by the same peer.
    pub same_peer: f64,
}

/// Model and live world side by side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// p50, p90, p99, p99.9, max.
    pub quantiles: Vec<QuantileDifference>,
    /// Largest distance of the two distribution functions (Kolmogorov-Smirnov), 0 to 1.
    pub kolmogorov_smirnov: f64,
    /// Area between the two quantile functions (Wasserstein-1), ns.
    pub wasserstein_ns: f64,
    /// Largest difference of a peer's share, in points (0 to 100).
    pub share_points: f64,
    /// Live minus sim.
    pub failed_difference: i64,
    /// Live minus sim.
    pub retried_difference: i64,
    /// Pair by pair.
    pub paired: Option<Paired>,
    /// The two autoscalers, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling: Option<ScalingAgreement>,
    /// Where the difference comes from.
    pub attribution: Vec<Attribution>,
    /// The live world's own repeatability: largest relative difference between rounds, per
    /// quantile of `quantiles`; empty with one round.
    pub repeatability: Vec<QuantileDifference>,
}

/// A check and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckResult {
    /// As written.
    pub text: String,
    /// The world it was tried in; `None` where it compares two.
    pub world: Option<World>,
    /// Held, failed, or not decidable.
    pub verdict: Verdict,
    /// What was measured, in words.
    pub measured: String,
}

/// Whether something held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It held.
    Held,
    /// It did not.
    Failed,
    /// It cannot be told, such as a check of a world that did not run.
    Undecided,
}

/// One condition under which a live measurement may be believed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValidityItem {
    /// Short name, such as `schedule error p99`.
    pub name: String,
    /// What was measured, with its unit.
    pub measured: String,
    /// The limit, with its unit.
    pub limit: String,
    /// Whether it is within.
    pub held: bool,
}

/// May the live measurement be believed?
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Validity {
    /// All of them must hold.
    pub items: Vec<ValidityItem>,
}

impl Validity {
    /// Whether every item held.
    #[must_use]
    pub fn valid(&self) -> bool {
        self.items.iter().all(|item| item.held)
    }

    /// Over several rounds or generators, each of which must be valid: every item that one of them
    /// has, from the first in which it does not hold, or else from the first that has it. `None`
    /// without any.
    #[must_use]
    pub fn worst(judged: impl IntoIterator<Item = Self>) -> Option<Self> {
        judged.into_iter().reduce(|mut worst, next| {
            for item in next.items {
                match worst.items.iter_mut().find(|known| known.name == item.name) {
                    Some(known) if known.held && !item.held => *known = item,
                    Some(_) => {}
                    None => worst.items.push(item),
                }
            }
            worst
        })
    }
}

/// Everything that `summary.json` holds and the reports show.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// Version of this format.
    pub schema_version: u32,
    /// Name of the scenario.
    pub scenario: String,
    /// Id of the run: the name of its folder.
    pub run: String,
    /// The seed.
    pub seed: u64,
    /// Interrupted before its end.
    pub partial: bool,
    /// One per world that ran, the model first.
    pub worlds: Vec<WorldSummary>,
    /// If both ran.
    pub comparison: Option<Comparison>,
    /// Of the live world, if it ran.
    pub validity: Option<Validity>,
    /// In order of the scenario.
    pub checks: Vec<CheckResult>,
    /// Changes against a baseline, if there is one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regressions: Vec<CheckResult>,
}

/// Version of `summary.json`.
pub const SUMMARY_SCHEMA_VERSION: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(items: &[(&str, bool)]) -> Validity {
        let item = |(place, (name, held)): (usize, &(&str, bool))| ValidityItem {
            name: (*name).to_owned(),
            measured: place.to_string(),
            limit: String::new(),
            held: *held,
        };
        Validity { items: items.iter().enumerate().map(item).collect() }
    }

    /// A round that was cut short has fewer items, and none is taken for its neighbour.
    #[test]
    fn the_worst_of_several_judgements_is_that_of_each_item() {
        let rounds = [
            judged(&[("clock", true), ("processes", true)]),
            judged(&[("clock", true), ("fault", false), ("processes", true)]),
            judged(&[("clock", false), ("fault", true), ("processes", true)]),
        ];
        let worst = Validity::worst(rounds).unwrap();
        let held: Vec<(&str, bool)> =
            worst.items.iter().map(|item| (item.name.as_str(), item.held)).collect();
        assert_eq!(held, [("clock", false), ("processes", true), ("fault", false)]);
        assert_eq!(Validity::worst([]), None);
        assert!(Validity::worst([judged(&[("clock", true)])]).unwrap().valid());
    }
}
