//! Whether the number of requests in the system grew through a stage, which makes every mean of
//! the run a matter of how long it lasted.
//!
//! Arrivals sample the number in the system; a stage is cut into equal parts, and their means are
//! tested for a trend by Mann and Kendall's rank statistic, which needs no law and no scale. A
//! queue far from its limit moves slowly up and down as well, so the growth must also be large.

use crate::scenario::Scenario;
use crate::traffic::Source;
use crate::units::Nanos;

/// Parts per stage.
const PARTS: usize = 24;
/// Standard deviations of Mann and Kendall's statistic that count as a trend. Neighbouring parts
/// are correlated, so the usual 2 or 3 would cry wolf.
const SIGNIFICANT: f64 = 4.0;

/// Samples of the number in the system.
#[derive(Clone, Debug)]
pub(super) struct Trend {
    stages: Vec<Watched>,
    /// Sum of the samples of the part that is being sampled.
    sum: u64,
    /// How many there were before that part.
    before: u64,
    /// Where that part ends.
    part_ends: Nanos,
    /// Below this number in the system nothing is said: every worker may have one.
    workers: f64,
}

#[derive(Clone, Debug)]
struct Watched {
    stage: String,
    from: Nanos,
    until: Nanos,
    /// Means of the parts that are over; a part without an arrival has none.
    means: Vec<f64>,
}

/// A stage in which the number in the system grew.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Growth {
    /// Name of the stage.
    pub(super) stage: String,
    /// Mean number in the system in its first third.
    pub(super) first: f64,
    /// And in its last.
    pub(super) last: f64,
}

impl Trend {
    /// Nothing sampled yet. A closed loop has a bounded number in the system, and a stage that
    /// ramps up must grow: neither is watched.
    pub(super) fn new(scenario: &Scenario) -> Self {
        let stages = match &scenario.traffic.source {
            Source::Closed { .. } => Vec::new(),
            Source::Open { stages, .. } => stages
                .iter()
                .filter(|stage| stage.rate_from == stage.rate_until)
                .map(|stage| Watched {
                    stage: stage.name.clone(),
                    from: stage.from,
                    until: stage.until.min(scenario.end()),
                    means: Vec::with_capacity(PARTS),
                })
                .collect(),
        };
        let workers = scenario.backends.iter().map(|backend| f64::from(backend.workers)).sum();
        Self { stages, sum: 0, before: 0, part_ends: Nanos::ZERO, workers }
    }

    /// An arrival at `at` found `in_system` requests, after so many `earlier` arrivals; instants never
    /// decrease.
    #[inline]
    pub(super) fn sample(&mut self, at: Nanos, in_system: usize, earlier: u64) {
        if at >= self.part_ends {
            self.close_part(at, earlier);
        }
        self.sum += in_system as u64;
    }

    /// The stages in which the number in the system grew; there were so many `arrivals`.
    pub(super) fn growth(&mut self, arrivals: u64) -> Vec<Growth> {
        self.close_part(Nanos::MAX, arrivals);
        let workers = self.workers;
        self.stages.iter().filter_map(|stage| stage.growth(workers)).collect()
    }

    /// Puts what was sampled where it belongs, and finds where the part that holds `at` ends.
    #[cold]
    fn close_part(&mut self, at: Nanos, arrivals: u64) {
        let sum = std::mem::take(&mut self.sum);
        let count = arrivals - std::mem::replace(&mut self.before, arrivals);
        let ended = self.part_ends;
        if let Some(stage) = self.stages.iter_mut().find(|s| s.from < ended && ended <= s.until)
            && count > 0
        {
            stage.means.push(sum as f64 / count as f64);
        }
        let holds = self.stages.iter().find(|s| s.from <= at && at < s.until);
        let next = self.stages.iter().map(|s| s.from).filter(|from| *from > at).min();
        self.part_ends = match holds {
            Some(stage) => stage.end_of_part(at),
            None => next.unwrap_or(Nanos::MAX),
        };
    }
}

impl Watched {
    fn end_of_part(&self, at: Nanos) -> Nanos {
        let length = u128::from(self.until.since(self.from).0);
        let ends = (1..=PARTS as u128)
            .map(|part| Nanos(self.from.0 + (length * part / PARTS as u128) as u64));
        ends.into_iter().find(|end| *end > at).unwrap_or(self.until)
    }

    fn growth(&self, workers: f64) -> Option<Growth> {
        // The first part holds the filling of an empty system.
        let means = self.means.get(1..)?;
        let third = means.len() / 3;
        if third < 3 {
            return None;
        }
        let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
        let (first, last) = (mean(&means[..third]), mean(&means[means.len() - third..]));
        let large = last > 2.0 * first && last > workers;
        let grew = large && mann_kendall(means) > SIGNIFICANT;
        grew.then(|| Growth { stage: self.stage.clone(), first, last })
    }
}

/// Mann and Kendall's statistic in standard deviations: how many later values are larger than
/// earlier ones, less those that are smaller (Kendall 1975, without the correction for ties).
fn mann_kendall(values: &[f64]) -> f64 {
    let mut sum = 0i64;
    for (place, earlier) in values.iter().enumerate() {
        for later in &values[place + 1..] {
            sum += i64::from(later > earlier) - i64::from(later < earlier);
        }
    }
    let n = values.len() as f64;
    sum as f64 / (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(in_system: impl Fn(u64) -> usize) -> Trend {
        let stage = |name: &str, from, until| Watched {
            stage: name.into(),
            from: Nanos(from),
            until: Nanos(until),
            means: Vec::new(),
        };
        let stages = vec![stage("calm", 0, 10_000), stage("rush", 20_000, 30_000)];
        let mut trend = Trend { stages, sum: 0, before: 0, part_ends: Nanos::ZERO, workers: 4.0 };
        (0..30_000).for_each(|at| trend.sample(Nanos(at), in_system(at), at));
        trend
    }

    #[test]
    fn a_stage_whose_queue_grows_is_named() {
        let mut trend = watched(|at| if at < 20_000 { 3 } else { (at as usize - 20_000) / 10 });
        let growth = trend.growth(30_000);
        assert_eq!(growth.len(), 1);
        assert_eq!(growth[0].stage, "rush");
        assert!((growth[0].last - 854.0).abs() < 30.0, "{growth:?}");
        assert_eq!(trend.stages[0].means.len(), PARTS);
    }

    #[test]
    fn a_queue_that_comes_and_goes_is_not() {
        assert_eq!(watched(|at| (at as usize / 700 % 2) * 50).growth(30_000), []);
        assert_eq!(watched(|at| at as usize / 10_000).growth(30_000), []);
    }

    #[test]
    fn the_statistic_knows_up_from_down() {
        let up: Vec<f64> = (0..10).map(f64::from).collect();
        let down: Vec<f64> = up.iter().rev().copied().collect();
        assert!((mann_kendall(&up) - 45.0 / 125.0f64.sqrt()).abs() < 1e-12);
        assert!((mann_kendall(&up) + mann_kendall(&down)).abs() < 1e-12);
    }
}
