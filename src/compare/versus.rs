//! Is A faster than B, by how much, and how sure is that?
//!
//! A and B are run in turn or on the same draws, so what is compared are pairs: replication i of
//! both, which share their seed (common random numbers; Law, *Simulation Modeling and Analysis*,
//! 11.2), or round i of both, which follow one another. Requests within a run depend on each other,
//! pairs do not, so pairs alone are counted: a run of a million requests is one.
//!
//! A latency is compared by its ratio. Of replications the estimate is that of all requests
//! together, and its interval Student's, from the spread of the pairs around it (sectioning:
//! Asmussen and Glynn, *Stochastic Simulation*, III.5a; Nakayama, "Confidence intervals for
//! quantiles using sectioning when applying variance-reduction techniques", ACM TOMACS 24(4),
//! 2014). Rounds of the live world meet disturbances, so their estimate is the median of the pairs,
//! with the interval of the sign test, which needs six. A single replication of each is cut into
//! pieces of time (batch means, Law 9.5.3).
//!
//! That the whole distribution differs is tested beside the quantile asked for, by
//! [`flips`]: without it, two that differ in the tail alone would pass as equal.

pub mod flips;

use serde::{Deserialize, Serialize};

use super::block::Block;
use super::digest::Digest;
use super::interval::{self, MEDIAN_AT_LEAST, REPLICATIONS_AT_LEAST};
use super::student;
use super::summary::Estimate;
use crate::scenario::Measure;
use crate::units::World;
use flips::DistributionTest;

/// Requests beyond a quantile, on average, that a part must have to count as one.
const TAIL_OF_A_PART: f64 = 5.0;
/// Pieces of a single run that are paired.
const PIECES: usize = 10;
/// Probability with which the rounds said to be needed tell the difference.
const POWER: f64 = 0.8;

/// What is paired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Replications of the model.
    Replications,
    /// Rounds of the live world.
    Rounds,
    /// Pieces of time of one run of the model each.
    Pieces,
}

/// One measure of A and B.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// `p99`, `mean`, `errors`, `goodput`, ….
    pub name: String,
    /// Of A: ns, a share, or requests per second.
    pub a: f64,
    /// Of B.
    pub b: f64,
    /// `A / B - 1`; of errors `A - B`.
    pub difference: Estimate,
    /// Pairs that would tell a difference of this size with a probability of 80 %; `None` if it is
    /// told already, or no number would.
    pub needed: Option<u32>,
}

/// What can be said of A and B.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// A is below B.
    Less,
    /// A is above B.
    More,
    /// They differ by less than matters.
    Same,
    /// It cannot be told.
    Unknown,
}

/// A held against B.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Versus {
    /// The world in which both ran.
    pub world: World,
    /// What is paired.
    pub unit: Unit,
    /// Pairs.
    pub pairs: u32,
    /// What can be said of the first of `differences`.
    pub finding: Finding,
    /// Difference that does not matter, a share of B.
    pub margin: f64,
    /// The measure asked for, then all others.
    pub differences: Vec<Difference>,
    /// Whether the distributions of latency differ at all.
    pub distribution: Option<DistributionTest>,
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// By what A and B are told apart.
    pub measure: Measure,
    /// Difference that does not matter, a share of B.
    pub margin: f64,
    /// How often the question is asked as data grow; the risk of 5 % is shared between the times
    /// (Bonferroni), as otherwise each look would be another chance to find what is not there.
    pub looks: u32,
}

impl Default for Question {
    fn default() -> Self {
        Self { measure: Measure::Quantile(0.99), margin: 0.01, looks: 1 }
    }
}

/// Holds the first replications or rounds of A against those of B; `None` if either has none.
#[must_use]
pub fn versus(question: &Question, world: World, a: &[Block], b: &[Block]) -> Option<Versus> {
    let unit = if world == World::Live { Unit::Rounds } else { Unit::Replications };
    of_pairs(question, world, unit, &a[..a.len().min(b.len())], &b[..a.len().min(b.len())])
}

/// The same of digests; few replications of the model are cut into pieces of time.
#[must_use]
pub fn versus_of_digests(question: &Question, a: &[Digest], b: &[Digest]) -> Option<Versus> {
    let world = a.first()?.world();
    let pairs = a.len().min(b.len());
    if world == World::Sim && pairs < REPLICATIONS_AT_LEAST {
        let pieces = |digests: &[Digest]| -> Vec<Block> {
            digests[..pairs].iter().flat_map(Block::pieces_of).collect()
        };
        let (a, b) = (pieces(a), pieces(b));
        if a.len() == b.len() {
            let (a, b) = (joined(&a, PIECES), joined(&b, PIECES));
            return of_pairs(question, world, Unit::Pieces, &a, &b);
        }
    }
    let whole = |digests: &[Digest]| digests.iter().map(Block::of).collect::<Vec<_>>();
    versus(question, world, &whole(a), &whole(b))
}

fn of_pairs(
    question: &Question,
    world: World,
    unit: Unit,
    a: &[Block],
    b: &[Block],
) -> Option<Versus> {
    let all = [Block::together(a), Block::together(b)];
    let mut measures = vec![question.measure.clone()];
    measures.extend(usual().into_iter().filter(|measure| *measure != question.measure));
    let compared: Vec<Compared> =
        measures.iter().filter_map(|measure| compare(measure, unit, a, b, &all)).collect();
    let first = compared.first().filter(|first| first.measure == question.measure)?;
    Some(Versus {
        world,
        unit,
        pairs: a.len() as u32,
        finding: first.finding(question),
        margin: question.margin,
        distribution: flips::test(a, b, &all),
        differences: compared.into_iter().map(Compared::into_difference).collect(),
    })
}

fn usual() -> [Measure; 7] {
    [
        Measure::Mean,
        Measure::Quantile(0.5),
        Measure::Quantile(0.9),
        Measure::Quantile(0.99),
        Measure::Quantile(0.999),
        Measure::Errors,
        Measure::Goodput,
    ]
}

/// `p99`, `mean`, ….
#[must_use]
pub fn name_of(measure: &Measure) -> String {
    match measure {
        Measure::Quantile(order) if *order >= 1.0 => "max".to_owned(),
        // Rounded, since 0.999 * 100 is not 99.9.
        Measure::Quantile(order) => format!("p{}", (order * 1e7).round() / 1e5),
        Measure::Mean => "mean".to_owned(),
        Measure::Errors => "errors".to_owned(),
        Measure::Goodput => "goodput".to_owned(),
        other => format!("{other:?}").to_lowercase(),
    }
}

/// A measure of A and B, on the scale on which differences add up.
struct Compared {
    measure: Measure,
    a: f64,
    b: f64,
    /// On the scale.
    difference: Estimate,
    /// Standard error and degrees of freedom, where there are any.
    error: Option<(f64, f64)>,
    unit: Unit,
    parts: usize,
    pairs: usize,
}

fn compare(
    measure: &Measure,
    unit: Unit,
    a: &[Block],
    b: &[Block],
    all: &[Block; 2],
) -> Option<Compared> {
    let (of_a, of_b) = (all[0].value(measure)?, all[1].value(measure)?);
    let scale = |a: f64, b: f64| match measure {
        Measure::Errors => Some(a - b),
        _ if a > 0.0 && b > 0.0 => Some(libm::log(a / b)),
        _ => None,
    };
    let pooled = scale(of_a, of_b)?;
    let parts = parts_of(measure, unit, a, b);
    let (a_parts, b_parts) = (joined(a, parts), joined(b, parts));
    let values: Vec<f64> = a_parts
        .iter()
        .zip(&b_parts)
        .filter_map(|(a, b)| scale(a.value(measure)?, b.value(measure)?))
        .collect();
    let least = if unit == Unit::Rounds { MEDIAN_AT_LEAST } else { REPLICATIONS_AT_LEAST };
    let enough = values.len() >= least && values.len() == parts;
    let count = values.len() as f64;
    let centre = if unit == Unit::Rounds { interval::of_median(&values).value } else { pooled };
    let squares = values.iter().map(|value| (value - centre) * (value - centre)).sum::<f64>();
    let error = enough.then(|| ((squares / (count - 1.0) / count).sqrt(), count - 1.0));
    let difference = match (unit, error) {
        (Unit::Rounds, _) if !values.is_empty() => interval::of_median(&values),
        (_, Some((error, degrees))) => {
            interval::around(pooled, Some(student::quantile(0.975, degrees) * error))
        }
        _ => interval::around(pooled, None),
    };
    Some(Compared {
        measure: measure.clone(),
        a: of_a,
        b: of_b,
        difference,
        error,
        unit,
        parts,
        pairs: a.len(),
    })
}

/// How many parts of equal size the pairs are joined into, so that each has requests beyond the
/// quantile. Rounds are not joined: each is one try.
fn parts_of(measure: &Measure, unit: Unit, a: &[Block], b: &[Block]) -> usize {
    let Measure::Quantile(order) = measure else { return a.len() };
    if unit == Unit::Rounds || *order >= 1.0 {
        return a.len();
    }
    let requests = |blocks: &[Block]| blocks.iter().map(|block| block.requests).sum::<u64>();
    let tail = requests(a).min(requests(b)) as f64 * order.min(1.0 - order);
    ((tail / TAIL_OF_A_PART) as usize).min(a.len())
}

/// Neighbours joined so that at most `parts` remain.
fn joined(blocks: &[Block], parts: usize) -> Vec<Block> {
    if parts == 0 || blocks.is_empty() {
        return Vec::new();
    }
    let parts = parts.min(blocks.len());
    let border = |part: usize| part * blocks.len() / parts;
    (0..parts).map(|part| Block::together(&blocks[border(part)..border(part + 1)])).collect()
}

impl Compared {
    /// What the interval says at the confidence that the number of looks leaves.
    fn finding(&self, question: &Question) -> Finding {
        let Some((low, high)) = self.ends(question.looks) else { return Finding::Unknown };
        if high < 0.0 || low > 0.0 {
            let same = self.shown(low).abs().max(self.shown(high).abs()) < question.margin;
            return match (same, high < 0.0) {
                (true, _) => Finding::Same,
                (false, true) => Finding::Less,
                (false, false) => Finding::More,
            };
        }
        let within = self.shown(low) > -question.margin && self.shown(high) < question.margin;
        // Nothing failed in either, say.
        let equal = low == 0.0 && high == 0.0;
        if within || equal { Finding::Same } else { Finding::Unknown }
    }

    fn ends(&self, looks: u32) -> Option<(f64, f64)> {
        let (low, high) = (self.difference.low?, self.difference.high?);
        let Some((error, degrees)) = self.error.filter(|_| looks > 1) else {
            return Some((low, high));
        };
        let half = student::quantile(1.0 - 0.025 / f64::from(looks), degrees) * error;
        Some((self.difference.value - half, self.difference.value + half))
    }

    /// From the scale to what people read.
    fn shown(&self, difference: f64) -> f64 {
        match self.measure {
            Measure::Errors => difference,
            _ => libm::expm1(difference),
        }
    }

    /// Pairs whose interval would leave zero out with the probability of [`POWER`] (Cohen,
    /// *Statistical Power Analysis*, 2.4, by the normal law); for a median as many more as it is
    /// less efficient than a mean, by pi / 2 for a normal law.
    fn needed(&self) -> Option<u32> {
        let least = if self.unit == Unit::Rounds { MEDIAN_AT_LEAST } else { REPLICATIONS_AT_LEAST };
        if self.pairs < least && self.error.is_none() {
            return Some(least as u32);
        }
        let Estimate { value, low, high } = self.difference;
        let told = low.zip(high).is_some_and(|(low, high)| low > 0.0 || high < 0.0);
        let Some((error, _)) = self.error else {
            // Joined parts were too few: as many pairs as give enough of them.
            return Some((least * self.pairs.max(1)).div_ceil(self.parts.max(1)) as u32);
        };
        if told || value == 0.0 {
            return None;
        }
        let normal = |p: f64| student::quantile(p, 1e6);
        let factor = normal(0.975) + normal(POWER);
        let efficiency = if self.unit == Unit::Rounds { std::f64::consts::FRAC_PI_2 } else { 1.0 };
        let ratio = factor * error / value;
        let needed = efficiency * ratio * ratio * self.pairs as f64;
        (needed < 1e6).then(|| (needed.ceil() as u32).max(self.pairs as u32 + 1))
    }

    fn into_difference(self) -> Difference {
        let shown = |value: f64| self.shown(value);
        Difference {
            name: name_of(&self.measure),
            a: self.a,
            b: self.b,
            difference: Estimate {
                value: shown(self.difference.value),
                low: self.difference.low.map(shown),
                high: self.difference.high.map(shown),
            },
            needed: self.needed(),
        }
    }
}

#[cfg(test)]
#[path = "versus/tests.rs"]
mod tests;
