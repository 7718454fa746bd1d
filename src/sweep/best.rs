//! Which value of one axis is best, under each condition that the others make.
//!
//! The contenders of a condition ran the same requests, replication by replication, so they are
//! compared by the differences of their replications (common random numbers; Law, *Simulation
//! Modeling and Analysis*, 11.2), each with the best one, at 95 %. With one replication their own
//! intervals must not overlap.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::design::Setting;
use super::result::{Measured, PointResult};
use crate::compare::{Estimate, interval};
use crate::scenario::SweepFacts;
use crate::scenario::sweep::{AxisValues, Measure, SweepAxis};

/// The axis that is compared where a scenario does not say.
const ALGORITHM: &str = "balancer.algorithm";

/// What is best under which condition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ranking {
    /// By which statistic.
    pub measure: Measure,
    /// Key of the axis whose values compete; `None` if none does.
    pub compare: Option<String>,
    /// In order of the points.
    pub conditions: Vec<Condition>,
}

/// The contenders under one condition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    /// What the other axes have.
    pub settings: Vec<Setting>,
    /// In order of the compared axis.
    pub contenders: Vec<Contender>,
}

/// A value of the compared axis under a condition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contender {
    /// The value; empty where nothing is compared.
    pub label: String,
    /// Its point.
    pub point: u32,
    /// The statistic.
    pub estimate: Estimate,
    /// How much more it has than the best one, over the replications, a latency as a share of the
    /// best one's; `None` for the best, and with one replication.
    pub difference: Option<Estimate>,
    /// The best by its value.
    pub best: bool,
    /// Not told apart from the best.
    pub level: bool,
    /// Whether the point has warnings, such as a queue that grows.
    pub warned: bool,
    /// How many of the scenario's checks failed at the point.
    pub failed_checks: u32,
}

/// The axis whose values are compared: the one that the sweep names, the algorithm, or the first
/// list of words.
fn compared(facts: &SweepFacts) -> Option<String> {
    let numeric = |label: &str| label.starts_with(|c: char| c.is_ascii_digit() || c == '-');
    let words = |axis: &&SweepAxis| match &axis.values {
        AxisValues::List(list) => list.len() > 1 && !list.iter().all(|it| numeric(&it.label)),
        AxisValues::Range(_) => false,
    };
    let algorithm = facts.axes.iter().find(|axis| axis.key == ALGORITHM);
    let chosen = || algorithm.or_else(|| facts.axes.iter().find(words));
    facts.compare.clone().or_else(|| chosen().map(|axis| axis.key.clone()))
}

/// Ranks the points of a sweep.
#[must_use]
pub fn rank(facts: &SweepFacts, points: &[PointResult]) -> Ranking {
    let compare = compared(facts).map(|key| key.replace('[', ".").replace(']', ""));
    let mut conditions: Vec<(Vec<Setting>, Vec<&PointResult>)> = Vec::new();
    let key = |settings: &[Setting]| -> Vec<String> {
        settings.iter().map(|setting| setting.toml.clone()).collect()
    };
    // By their words, so that a large sweep is not searched for each point.
    let mut places = BTreeMap::new();
    for point in points {
        let others: Vec<Setting> = point
            .settings
            .iter()
            .filter(|setting| Some(&setting.key) != compare.as_ref())
            .cloned()
            .collect();
        let place = *places.entry(key(&others)).or_insert_with(|| {
            conditions.push((others, Vec::new()));
            conditions.len() - 1
        });
        conditions[place].1.push(point);
    }
    let conditions = conditions
        .into_iter()
        .map(|(settings, points)| Condition {
            settings,
            contenders: contenders(&points, compare.as_deref(), facts.measure),
        })
        .collect();
    Ranking { measure: facts.measure, compare, conditions }
}

fn contenders(points: &[&PointResult], compare: Option<&str>, measure: Measure) -> Vec<Contender> {
    let sign = if measure.more_is_better() { -1.0 } else { 1.0 };
    let cost = |point: &PointResult| sign * point.measured(measure).estimate.value;
    let best = (0..points.len()).min_by(|a, b| cost(points[*a]).total_cmp(&cost(points[*b])));
    let alone = points.len() < 2;
    points
        .iter()
        .enumerate()
        .map(|(place, point)| {
            let measured = point.measured(measure);
            let leader = best.map(|best| points[best].measured(measure));
            let is_best = best == Some(place);
            let (difference, apart) = match leader {
                Some(leader) if !is_best => told_apart(measured, leader, measure, sign),
                _ => (None, true),
            };
            Contender {
                label: compare
                    .and_then(|key| point.setting(key))
                    .map_or_else(String::new, |setting| setting.label.clone()),
                point: point.index,
                estimate: measured.estimate,
                difference,
                best: is_best && !alone,
                level: !apart,
                warned: !point.warnings.is_empty(),
                failed_checks: point.failed_checks().count() as u32,
            }
        })
        .collect()
}

/// How far `one` is from `best`, and whether that is a difference at 95 %. Latencies by their ratios,
/// since they vary in proportion to themselves.
fn told_apart(
    one: &Measured,
    best: &Measured,
    measure: Measure,
    sign: f64,
) -> (Option<Estimate>, bool) {
    // A precision may take more replications of one than of the other: those of both are compared.
    let both = one.replications.len().min(best.replications.len());
    let (ones, bests) = (&one.replications[..both], &best.replications[..both]);
    if both > 1 {
        let positive = ones.iter().chain(bests).all(|value| *value > 0.0);
        let difference = if measure.is_latency() && positive {
            let logs = |values: &[f64]| values.iter().map(|v| libm::log(*v)).collect::<Vec<_>>();
            let apart = interval::of_paired_differences(&logs(ones), &logs(bests));
            let share = |log: f64| libm::expm1(log);
            Estimate {
                value: share(apart.value),
                low: apart.low.map(share),
                high: apart.high.map(share),
            }
        } else {
            interval::of_paired_differences(ones, bests)
        };
        let apart = match (difference.low, difference.high) {
            (Some(low), _) if sign > 0.0 => low > 0.0,
            (_, Some(high)) => high < 0.0,
            _ => false,
        };
        return (Some(difference), apart);
    }
    let (one, best) = (one.estimate, best.estimate);
    let apart = match (one.low, one.high, best.low, best.high) {
        (Some(low), _, _, Some(best_high)) if sign > 0.0 => low > best_high,
        (_, Some(high), Some(best_low), _) if sign < 0.0 => high < best_low,
        _ => false,
    };
    (None, apart)
}

#[cfg(test)]
mod tests {
    use super::super::design::tests::{facts, list};
    use super::super::{POINT_SCHEMA_VERSION, points};
    use super::*;

    /// Points of policies by loads, whose p99 is as given, replication by replication.
    fn results(replications: &[&[f64]]) -> (SweepFacts, Vec<PointResult>) {
        let axes =
            vec![list("balancer.algorithm", &["a", "b", "c"]), list("load", &["0.5", "0.8"])];
        let facts = facts(axes, None);
        let result = |point: super::super::Point| {
            let replications = replications[point.index as usize].to_vec();
            let estimate = interval::of_independent(&replications);
            let measures =
                BTreeMap::from([("p99".to_owned(), Measured { estimate, replications })]);
            PointResult {
                schema_version: POINT_SCHEMA_VERSION,
                sweep: String::new(),
                index: point.index,
                settings: point.settings,
                replications: 3,
                requests: 0,
                failed: 0,
                retried: 0,
                offered: 0.0,
                max_ns: 0.0,
                jain: 1.0,
                measures,
                checks: Vec::new(),
                warnings: Vec::new(),
            }
        };
        let results = points(&facts).unwrap().into_iter().map(result).collect();
        (facts, results)
    }

    #[test]
    fn what_is_shared_cancels_and_what_is_noise_does_not_decide() {
        // Under load 0.5 b is a tenth above a in every replication, though both vary by far more, and
        // c is as often below a as above. Under 0.8 c is best by far.
        let (facts, results) = results(&[
            &[10.0, 200.0, 3000.0],
            &[50.0, 60.0, 55.0],
            &[11.0, 221.1, 3299.0],
            &[51.0, 61.0, 54.0],
            &[12.0, 190.0, 3010.0],
            &[5.0, 6.0, 5.5],
        ]);
        let ranking = rank(&facts, &results);
        assert_eq!(ranking.compare.as_deref(), Some("balancer.algorithm"));
        assert_eq!(ranking.conditions.len(), 2);
        let low = &ranking.conditions[0];
        assert_eq!(low.settings[0].label, "0.5");
        let words: Vec<_> =
            low.contenders.iter().map(|one| (&*one.label, one.best, one.level)).collect();
        assert_eq!(words, [("a", true, false), ("b", false, false), ("c", false, true)]);
        let high = &ranking.conditions[1].contenders;
        assert!(high[2].best && !high[0].level && !high[1].level);
        let more = high[0].difference.unwrap();
        assert!(more.low.unwrap() > 4.0 && (8.0..10.0).contains(&more.value), "{more:?}");
    }

    #[test]
    fn one_replication_needs_intervals_that_do_not_meet() {
        let (facts, mut results) = results(&[&[10.0], &[1.0], &[12.0], &[2.0], &[20.0], &[3.0]]);
        for point in &mut results {
            let measured = point.measures.get_mut("p99").unwrap();
            let value = measured.estimate.value;
            measured.estimate = Estimate { value, low: Some(value - 1.5), high: Some(value + 1.5) };
        }
        let ranking = rank(&facts, &results);
        let level: Vec<bool> =
            ranking.conditions[0].contenders.iter().map(|one| one.level).collect();
        assert_eq!(level, [false, true, false]);
    }

    #[test]
    fn without_words_nothing_competes() {
        let facts = facts(vec![list("traffic.rate", &["10/s", "20/s"])], None);
        assert_eq!(compared(&facts), None);
        assert!(rank(&facts, &[]).conditions.is_empty());
    }
}
