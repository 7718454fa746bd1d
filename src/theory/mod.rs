//! What queueing theory says exactly, to hold the model against: closed forms and small exact
//! chains, one file each, with their sources.
//!
//! Times are in seconds, rates per second, shares from 0 to 1. A system that has no stationary
//! state (a load of 1 or more), or parameters that make none, gives `None`, not infinity.

pub mod constant_service;
pub mod erlang;
pub mod erlang_arrivals;
pub mod limited_mean;
pub mod loss;
pub mod mean_value_analysis;
pub mod pollaczek_khinchine;
mod root;
pub mod two_choices;

use std::fmt;

/// One number that theory gives for a system.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction {
    /// Of what.
    pub statistic: Statistic,
    /// Its value, in the unit of the statistic.
    pub value: f64,
    /// The formula and where it is from.
    pub source: &'static str,
}

/// What a prediction is of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Statistic {
    /// Mean response time (wait and service), seconds.
    Mean,
    /// Quantile of the response time, from 0 to 1, seconds.
    Quantile(f64),
    /// Share of the requests that are refused.
    Loss,
    /// Requests served per second.
    Throughput,
}

impl Statistic {
    /// The quantiles that every table shows.
    pub const QUANTILES: [Self; 3] =
        [Self::Quantile(0.5), Self::Quantile(0.9), Self::Quantile(0.99)];
}

/// `mean`, `p50`, `loss`, `throughput`.
impl fmt::Display for Statistic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mean => f.pad("mean"),
            // Rounded, since 0.999 * 100 is not 99.9.
            Self::Quantile(p) => f.pad(&format!("p{}", (p * 1e5).round() / 1e3)),
            Self::Loss => f.pad("loss"),
            Self::Throughput => f.pad("throughput"),
        }
    }
}

/// The mean and the usual quantiles of a response time, each with the same source.
fn response(
    mean: Option<f64>,
    quantile: impl Fn(f64) -> Option<f64>,
    source: &'static str,
) -> Vec<Prediction> {
    let mean = mean.map(|value| Prediction { statistic: Statistic::Mean, value, source });
    let quantiles = Statistic::QUANTILES.into_iter().filter_map(|statistic| {
        let Statistic::Quantile(p) = statistic else { return None };
        quantile(p).map(|value| Prediction { statistic, value, source })
    });
    mean.into_iter().chain(quantiles).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_have_their_usual_names() {
        let all = [Statistic::Mean, Statistic::Quantile(0.999), Statistic::Quantile(0.5)];
        assert_eq!(all.map(|s| s.to_string()), ["mean", "p99.9", "p50"]);
    }
}
