//! The process of arrivals.

use serde::Serialize;

use super::law::below;
use super::resolution;
use super::sample::Sample;
use crate::traffic::Law;
use crate::units::{Nanos, Span};

/// The processes of lab that a log is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Process {
    /// Independent arrivals.
    Poisson,
    /// Equal gaps.
    Uniform,
    /// Independent gaps with a heavy tail.
    Pareto,
    /// A rate that changes: bursts and quiet periods, or a day's rise and fall.
    Mmpp,
}

/// Arrivals, and the process nearest to them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ArrivalFit {
    /// How many there are.
    pub count: u64,
    /// Arrivals per second.
    pub rate: f64,
    /// Standard deviation of the gaps over their mean: 1 for a Poisson process, 0 for equal gaps.
    pub variation: f64,
    /// Variance of the arrivals per second over their mean: 1 for a Poisson process at any rate,
    /// more where the rate changes. `None` with fewer than ten whole seconds.
    pub dispersion: Option<f64>,
    /// Within which the dispersion of a Poisson process of this length lies in 99.7 % of all cases.
    pub dispersion_of_poisson: Option<[f64; 2]>,
    /// Kolmogorov-Smirnov distance of the gaps to exponential ones. `None` where arrivals within a
    /// second were drawn, so that gaps say nothing.
    pub distance_to_exponential: Option<f64>,
    /// The tail index of Pareto gaps, and their distance to it.
    pub pareto: Option<[f64; 2]>,
    /// The nearest process.
    pub nearest: Process,
}

impl ArrivalFit {
    /// The fit of sorted arrivals; `None` with fewer than ten, or all at once. `drawn` says that
    /// only the second of each is known.
    #[must_use]
    pub fn of(arrivals: &[Nanos], drawn: bool) -> Option<Self> {
        let (first, last) = (arrivals.first()?, arrivals.last()?);
        let length = last.since(*first).as_secs_f64();
        if arrivals.len() < 10 || length <= 0.0 {
            return None;
        }
        let gaps: Vec<Span> = arrivals.windows(2).map(|pair| pair[1].since(pair[0])).collect();
        let sample = Sample::new(&gaps, resolution(&gaps));
        let counts = per_second(arrivals);
        let dispersion = dispersion(&counts);
        let spread = 3.0 * (2.0 / (counts.len().max(2) as f64 - 1.0)).sqrt();
        let exponential = Law::Exponential { mean: Span::from_secs_f64(sample.mean()) };
        let distance = (!drawn).then(|| sample.distance(|x| below(&exponential, x)));
        let pareto = if drawn { None } else { pareto(&sample) };
        let mut fit = Self {
            count: arrivals.len() as u64,
            rate: gaps.len() as f64 / length,
            variation: sample.variation(),
            dispersion,
            dispersion_of_poisson: dispersion.map(|_| [(1.0 - spread).max(0.0), 1.0 + spread]),
            distance_to_exponential: distance,
            pareto,
            nearest: Process::Poisson,
        };
        fit.nearest = fit.judge();
        Some(fit)
    }

    /// The rule, in this order: gaps that hardly differ; a Pareto law that is nearer to the gaps
    /// than an exponential and near enough; counts or gaps that vary more than those of a Poisson
    /// process, which is what a changing rate does; else Poisson.
    fn judge(&self) -> Process {
        let bounds = self.dispersion_of_poisson.unwrap_or([0.0, f64::INFINITY]);
        let counts = self.dispersion.unwrap_or(1.0);
        let distance = self.distance_to_exponential.unwrap_or(0.0);
        if distance > super::DISTANCE_MOST && self.variation < 0.5 {
            return Process::Uniform;
        }
        if let Some([_, near]) = self.pareto
            && near < distance
            && near <= super::DISTANCE_MOST
        {
            return Process::Pareto;
        }
        if counts > bounds[1] || (distance > super::DISTANCE_MOST && self.variation > 1.2) {
            return Process::Mmpp;
        }
        Process::Poisson
    }

    /// Whether the counts and gaps are those of a Poisson process.
    #[must_use]
    pub fn is_poisson(&self) -> bool {
        let within = match (self.dispersion, self.dispersion_of_poisson) {
            (Some(counts), Some([low, high])) => (low..=high).contains(&counts),
            _ => true,
        };
        let near = |distance: f64| distance <= super::DISTANCE_MOST;
        within && self.distance_to_exponential.is_none_or(near)
    }
}

/// Arrivals in each whole second from the first on.
fn per_second(arrivals: &[Nanos]) -> Vec<u64> {
    let (first, last) = (arrivals[0], arrivals[arrivals.len() - 1]);
    let seconds = usize::try_from(last.since(first).0 / 1_000_000_000).unwrap_or(0);
    // A log of years with hardly a request has no use for this.
    let mut counts = vec![0; seconds.min(10_000_000)];
    for arrival in arrivals {
        let second = usize::try_from(arrival.since(first).0 / 1_000_000_000).unwrap_or(usize::MAX);
        if let Some(count) = counts.get_mut(second) {
            *count += 1;
        }
    }
    counts
}

/// Variance over mean.
fn dispersion(counts: &[u64]) -> Option<f64> {
    let n = counts.len() as f64;
    let mean = counts.iter().sum::<u64>() as f64 / n;
    if counts.len() < 10 || mean <= 0.0 {
        return None;
    }
    let squares: f64 = counts.iter().map(|count| *count as f64 - mean).map(|off| off * off).sum();
    Some(squares / (n - 1.0) / mean)
}

/// Tail index of maximum likelihood, and the distance of the gaps to that law.
fn pareto(sample: &Sample) -> Option<[f64; 2]> {
    let least = sample.least();
    let above: f64 = sample.seconds.iter().map(|x| libm::log(x / least)).sum();
    let alpha = sample.len() / above;
    if !(alpha > 1.0 && alpha.is_finite()) {
        return None;
    }
    let mean = Span::from_secs_f64(least * alpha / (alpha - 1.0));
    let law = Law::Pareto { mean, alpha };
    Some([alpha, sample.distance(|x| below(&law, x))])
}
