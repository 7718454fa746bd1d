//! Where a difference comes from, and how much of it is the live world's own.

use super::distance::{difference, named_quantiles, quantile_differences};
use super::summary::{Attribution, QuantileDifference, WorldSummary};

/// A way to run the model beside a live run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelMode {
    /// Demands of the plan, no costs of the host.
    Planned,
    /// Demands of the plan, and the costs of the host as measured apart from this run.
    Calibrated,
    /// The service times that this very live run measured.
    Driven,
}

impl ModelMode {
    /// Its name in results.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Calibrated => "calibrated",
            Self::Driven => "driven by measured service times",
        }
    }

    /// What its difference from the live world tests.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Planned => {
                "the prediction from the scenario alone; all that the host adds is missing"
            }
            Self::Calibrated => {
                "the prediction with the host's costs, which were measured apart from this run"
            }
            Self::Driven => {
                "the queueing and the policy, not the prediction: service times are those measured \
                 in this run, and hops those of the calibration, if there is one"
            }
        }
    }
}

/// How `model`, run as `mode` says, differs from `live`.
#[must_use]
pub fn attribution(mode: ModelMode, model: &WorldSummary, live: &WorldSummary) -> Attribution {
    Attribution {
        model: mode.name().to_owned(),
        meaning: mode.meaning().to_owned(),
        differences: quantile_differences(&model.latency, &live.latency),
    }
}

/// For each quantile the two rounds of the live world that differ most: the larger value as
/// `sim`, the smaller as `live`. Empty with fewer than two rounds.
#[must_use]
pub fn repeatability(rounds: &[WorldSummary]) -> Vec<QuantileDifference> {
    if rounds.len() < 2 {
        return Vec::new();
    }
    let quantiles: Vec<_> = rounds.iter().map(|round| named_quantiles(&round.latency)).collect();
    quantiles[0]
        .iter()
        .enumerate()
        .map(|(i, (name, _))| {
            let values = || quantiles.iter().map(|round| round[i].1);
            let (low, high) = (values().fold(f64::MAX, f64::min), values().fold(0.0, f64::max));
            // Of all pairs, the extremes differ most, and most of all relative to the smaller.
            difference(name, high, low)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::digest::tests::row;
    use super::super::layout::tests::steady;
    use super::*;
    use crate::compare::Digest;
    use crate::record::Sink;
    use crate::units::World;

    fn round(latency: u64) -> WorldSummary {
        let mut digest = Digest::new(&steady(60), World::Live);
        (0..1000).for_each(|i| digest.request(&row(i, i * 1_000_000, latency + i)));
        digest.summary()
    }

    #[test]
    fn repeatability_is_the_largest_difference_of_any_two_rounds() {
        let found = repeatability(&[round(100_000_000), round(110_000_000), round(105_000_000)]);
        let p50 = &found[0];
        assert_eq!(p50.name, "p50");
        assert!((p50.relative - 0.1).abs() < 0.001, "{p50:?}");
        assert!(repeatability(&[round(5)]).is_empty());
    }

    #[test]
    fn a_model_is_held_against_the_live_world() {
        let found = attribution(ModelMode::Driven, &round(99_000_000), &round(110_000_000));
        assert_eq!(found.differences.len(), 5);
        assert!((found.differences[0].relative + 0.1).abs() < 0.001);
        assert!(found.meaning.contains("not the prediction"));
    }
}
