//! How much load a system takes: the levels that were tried, what was found, and whether the live
//! world agrees.

use serde::{Deserialize, Serialize};

use super::summary::{Estimate, QuantileDifference, Validity};
use crate::scenario::{Relation, Tolerance};

/// Version of what a search for the capacity leaves.
pub const CAPACITY_SCHEMA_VERSION: u32 = 1;

/// Whether the service level holds at a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holds {
    /// All measures are on the right side of their bounds, with their intervals.
    Surely,
    /// All are, but an interval reaches across a bound.
    Likely,
    /// One is not, but its interval reaches across the bound.
    Unlikely,
    /// One is not, with its interval.
    Not,
}

impl Holds {
    /// By the estimates.
    #[must_use]
    pub const fn holds(self) -> bool {
        matches!(self, Self::Surely | Self::Likely)
    }

    /// Whether it is on one side with its intervals.
    #[must_use]
    pub const fn is_sure(self) -> bool {
        matches!(self, Self::Surely | Self::Not)
    }
}

/// The model at one level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CapacityPoint {
    /// Requests per second, users, or servers.
    pub level: f64,
    /// Replications.
    pub replications: u32,
    /// Whether the service level holds.
    pub holds: Holds,
    /// Median latency, ns.
    pub p50: Estimate,
    /// 99th percentile, ns.
    pub p99: Estimate,
    /// Mean latency, ns.
    pub mean: Estimate,
    /// Successful requests per second.
    pub goodput: f64,
    /// Share of the requests that failed.
    pub errors: Estimate,
}

/// What the model found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// The highest load that holds, or the fewest servers that do; `None` if no level does.
    pub answer: Option<f64>,
    /// The lower end of what it may be, 95 % sure at each end; `None` where nothing is sure.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
    /// Where goodput over mean latency is largest; `None` for servers.
    pub knee: Option<f64>,
    /// Every level that was tried, rising, and those of the curve.
    pub curve: Vec<CapacityPoint>,
}

/// A level in the live world, and the model under the same requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// Requests per second, users, or servers.
    pub level: f64,
    /// Whether the service level holds live; `None` if it cannot be told.
    pub holds: Option<bool>,
    /// Whether it holds in the model's replication with the same requests.
    pub model_holds: Option<bool>,
    /// Latencies of the live world: median, and 99th percentile, ns.
    pub p50_ns: f64,
    /// See `p50_ns`.
    pub p99_ns: f64,
    /// Successful requests per second.
    pub goodput: f64,
    /// How far the model is from the live world, per quantile.
    pub apart: Vec<QuantileDifference>,
    /// Whether the measurement may be believed.
    pub validity: Option<Validity>,
    /// The folder of the run, in that of the capacity.
    pub folder: String,
}

/// How much a system takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Capacity {
    /// Version of this format.
    pub schema_version: u32,
    /// Name of the scenario.
    pub scenario: String,
    /// Id of the run.
    pub run: String,
    /// The seed.
    pub seed: u64,
    /// What must hold.
    pub slos: Vec<String>,
    /// What a level is: `requests/s`, `users` or `servers`.
    pub unit: String,
    /// Whether few of it are wanted, as of servers.
    pub fewest: bool,
    /// What the model says.
    pub model: Found,
    /// What the live world says, rising.
    pub live: Vec<Probe>,
    /// Interrupted before its end.
    pub partial: bool,
}

impl Capacity {
    /// Whether the live world agrees: what is on the safe side of the answer holds, and what is beyond
    /// it does not; `None` without two valid probes. At the answer itself either may be.
    #[must_use]
    pub fn confirmed(&self) -> Option<bool> {
        let answer = self.model.answer?;
        let told = self.live.iter().filter(|probe| {
            probe.level != answer && probe.validity.as_ref().is_none_or(Validity::valid)
        });
        let agrees: Vec<bool> = told
            .filter_map(|probe| {
                let safe = (probe.level > answer) == self.fewest;
                Some(probe.holds? == safe)
            })
            .collect();
        (agrees.len() > 1).then(|| agrees.iter().all(|agrees| *agrees))
    }
}

/// Where goodput over mean latency is largest.
#[must_use]
pub fn knee(points: &[CapacityPoint]) -> Option<f64> {
    let power = |point: &CapacityPoint| point.goodput / point.mean.value;
    let busy = points.iter().filter(|point| point.mean.value > 0.0);
    Some(busy.max_by(|a, b| power(a).total_cmp(&power(b)))?.level)
}

/// On which side of its bound an estimate is.
#[must_use]
pub fn side(relation: &Relation, Estimate { value, low, high }: Estimate) -> Holds {
    let (low, high) = (low.unwrap_or(value), high.unwrap_or(value));
    let of = |right: &dyn Fn(f64) -> bool| match (right(value), right(low) && right(high)) {
        (true, true) => Holds::Surely,
        (true, false) => Holds::Likely,
        (false, _) if right(low) || right(high) => Holds::Unlikely,
        (false, _) => Holds::Not,
    };
    match relation {
        Relation::Below(bound) => of(&|value| value < *bound),
        Relation::AtMost(bound) => of(&|value| value <= *bound),
        Relation::Above(bound) => of(&|value| value > *bound),
        Relation::AtLeast(bound) => of(&|value| value >= *bound),
        Relation::Within(centre, tolerance) => {
            let room = match tolerance {
                Tolerance::Absolute(room) => *room,
                Tolerance::Relative(share) => share * centre.abs(),
            };
            of(&|value| (value - centre).abs() <= room * (1.0 + 1e-12))
        }
        Relation::Agrees(..) => Holds::Surely,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(level: f64, mean: f64) -> CapacityPoint {
        let value = |value| Estimate { value, low: None, high: None };
        CapacityPoint {
            level,
            replications: 5,
            holds: Holds::Surely,
            p50: value(mean),
            p99: value(mean),
            mean: value(mean),
            goodput: level,
            errors: value(0.0),
        }
    }

    /// An M/M/1 with a service rate of 100: power is load (100 - load), largest at 50.
    #[test]
    fn the_knee_of_a_single_server_is_at_half_its_capacity() {
        let points: Vec<CapacityPoint> = (1..20)
            .map(|i| f64::from(i) * 5.0)
            .map(|load| point(load, 1.0 / (100.0 - load)))
            .collect();
        assert_eq!(knee(&points), Some(50.0));
        assert_eq!(knee(&[]), None);
    }

    #[test]
    fn an_interval_across_the_bound_leaves_it_open() {
        let at = |low: f64, value: f64, high: f64| {
            let estimate = Estimate { value, low: Some(low), high: Some(high) };
            side(&Relation::Below(10.0), estimate)
        };
        assert_eq!(at(7.0, 8.0, 9.0), Holds::Surely);
        assert_eq!(at(8.0, 9.0, 11.0), Holds::Likely);
        assert_eq!(at(9.0, 11.0, 12.0), Holds::Unlikely);
        assert_eq!(at(11.0, 12.0, 13.0), Holds::Not);
        let share = Estimate { value: 0.25, low: None, high: None };
        let within = Relation::Within(0.25, Tolerance::Absolute(0.0));
        assert_eq!(side(&within, share), Holds::Surely);
    }
}
