//! The law of service times.

use serde::Serialize;

use super::law::{below, candidates};
use super::sample::Sample;
use super::{DISTANCE_MOST, QUANTILE_ERROR_MOST, QUANTILES, resolution};
use crate::import::toml_text::span;
use crate::traffic::Law;
use crate::units::Span;

/// A law with the parameters that make the data most likely.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LawFit {
    /// The law, as a scenario writes it.
    pub toml: String,
    /// The law itself.
    #[serde(skip)]
    pub law: Law,
    /// Akaike's criterion: the less, the better.
    pub aic: f64,
    /// Kolmogorov-Smirnov distance, 0 to 1.
    pub distance: f64,
    /// Its p50, p90 and p99 over those of the data, less 1.
    pub quantile_errors: [f64; 3],
    /// Whether distance and errors are within [`DISTANCE_MOST`] and [`QUANTILE_ERROR_MOST`].
    pub fits: bool,
}

/// Service times, and the laws nearest to them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ServiceFit {
    /// How many there are.
    pub count: u64,
    /// Mean in seconds.
    pub mean_s: f64,
    /// Standard deviation over mean.
    pub variation: f64,
    /// p50, p90 and p99 in seconds.
    pub quantiles_s: [f64; 3],
    /// What the log rounds durations to, in seconds.
    pub resolution_s: f64,
    /// The laws, the one of least AIC first.
    pub laws: Vec<LawFit>,
}

impl ServiceFit {
    /// The fit of `durations`; `None` where there are fewer than ten, of which nothing can be said.
    #[must_use]
    pub fn of(durations: &[Span]) -> Option<Self> {
        if durations.len() < 10 {
            return None;
        }
        let step = resolution(durations);
        let sample = Sample::new(durations, step);
        let mut laws: Vec<LawFit> = candidates(&sample)
            .into_iter()
            .map(|(law, likelihood, parameters)| {
                fit(&sample, law, 2.0 * f64::from(parameters) - 2.0 * likelihood)
            })
            .collect();
        laws.sort_by(|a, b| a.aic.total_cmp(&b.aic));
        Some(Self {
            count: durations.len() as u64,
            mean_s: sample.mean(),
            variation: sample.variation(),
            quantiles_s: QUANTILES.map(|u| sample.quantile(u)),
            resolution_s: sample.step,
            laws,
        })
    }

    /// The most likely law, whether it fits or not.
    #[must_use]
    pub fn best(&self) -> &LawFit {
        // One law is there always: an exponential, or a constant.
        &self.laws[0]
    }
}

fn fit(sample: &Sample, law: Law, aic: f64) -> LawFit {
    let distance = match law {
        // Within the rounding all are the same.
        Law::Constant(_) => 0.0,
        _ => sample.distance(|x| below(&law, x)),
    };
    let error = |u: f64| {
        let known = sample.quantile(u);
        let off = law.quantile(u).as_secs_f64() - known;
        // Half a step is no error of the law.
        let off = if off.abs() <= sample.step / 2.0 { 0.0 } else { off };
        if known > 0.0 { off / known } else { 0.0 }
    };
    let quantile_errors = QUANTILES.map(error);
    let fits = distance <= DISTANCE_MOST
        && quantile_errors.iter().all(|error| error.abs() <= QUANTILE_ERROR_MOST);
    LawFit { toml: toml(&law), law, aic, distance, quantile_errors, fits }
}

/// The law as a scenario writes it, with four digits: data tell no more.
fn toml(law: &Law) -> String {
    let rounded = |duration: &Span| {
        let digits = duration.0.checked_ilog10().unwrap_or(0).saturating_sub(3);
        let unit = 10_u64.pow(digits);
        span(Span((duration.0 + unit / 2) / unit * unit))
    };
    match law {
        Law::Constant(value) => format!("{{ law = \"constant\", value = {} }}", rounded(value)),
        Law::Uniform { low, high } => {
            format!("{{ law = \"uniform\", low = {}, high = {} }}", rounded(low), rounded(high))
        }
        Law::Exponential { mean } => {
            format!("{{ law = \"exponential\", mean = {} }}", rounded(mean))
        }
        Law::LogNormal { mean, sigma } => {
            format!("{{ law = \"log_normal\", mean = {}, sigma = {sigma:.4} }}", rounded(mean))
        }
        Law::Pareto { mean, alpha } => {
            format!("{{ law = \"pareto\", mean = {}, alpha = {alpha:.4} }}", rounded(mean))
        }
        Law::Bimodal { .. } | Law::Empirical { .. } => String::new(),
    }
}
