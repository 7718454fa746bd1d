//! Do two distributions of latency differ anywhere?
//!
//! The test of Kolmogorov and Smirnov asks for independent requests, which those of a queue are not:
//! on 30 000 of them it calls any two runs different. So pairs of whole runs are permuted: if A and
//! B do the same, either of a pair could have been the other, and exchanging them in some of the
//! pairs changes nothing but chance. The statistic is the distance of Anderson and Darling between
//! the mean distribution functions, which weighs the tails as much as the middle (Pettitt, "A
//! two-sample Anderson-Darling rank statistic", Biometrika 63, 1976); its law is that over all
//! exchanges, or over many drawn ones (Edgington and Onghena, *Randomization Tests*, 4; the value p
//! counts what was seen as one of them: Phipson and Smyth, "Permutation P-values should never be
//! zero", 2010).

use serde::{Deserialize, Serialize};

use crate::compare::block::Block;
use crate::compare::distance;
use crate::units::{Purpose, Seed};

/// Up to as many pairs, every exchange is tried.
const ALL_UP_TO: usize = 12;
/// Else as many drawn ones.
const DRAWN: u32 = 4095;
/// Fewest pairs of which a test at 5 % can tell anything: 2 of 2^6 exchanges are 3 %.
const PAIRS_AT_LEAST: usize = 6;
/// Orders of the quantiles at which the functions are held against each other.
const ORDERS: usize = 200;

/// Whether two distributions differ.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DistributionTest {
    /// Probability of a distance as large as this if both were the same; `None` with fewer than
    /// six pairs.
    pub p: Option<f64>,
    /// Exchanges behind it.
    pub exchanges: u32,
    /// Anderson and Darling's distance of the mean distribution functions, 0 if they are equal.
    pub anderson_darling: f64,
    /// The largest distance of the distribution functions of all requests.
    pub kolmogorov_smirnov: f64,
    /// The area between them, ns.
    pub wasserstein_ns: f64,
}

impl DistributionTest {
    /// Whether they differ at 5 %.
    #[must_use]
    pub fn differ(&self) -> bool {
        self.p.is_some_and(|p| p <= 0.05)
    }
}

/// Tests pairs of blocks, which are `all` together; `None` without requests.
pub(super) fn test(a: &[Block], b: &[Block], all: &[Block; 2]) -> Option<DistributionTest> {
    if all.iter().any(|side| side.latency.is_empty()) {
        return None;
    }
    let pairs = differences(a, b, all);
    let seen = distance_of(&pairs, |_| 1.0);
    let (p, exchanges) = significance(&pairs, seen);
    Some(DistributionTest {
        p,
        exchanges,
        anderson_darling: seen,
        kolmogorov_smirnov: distance::kolmogorov_smirnov(&all[0].latency, &all[1].latency),
        wasserstein_ns: distance::wasserstein(&all[0].latency, &all[1].latency),
    })
}

/// For each pair the difference of its distribution functions at the quantiles of all requests,
/// weighed so that the sum of squares is the distance.
fn differences(a: &[Block], b: &[Block], all: &[Block; 2]) -> Vec<Vec<f64>> {
    let together = Block::together(all);
    let points: Vec<(u64, f64)> = (1..ORDERS)
        .map(|i| {
            let order = i as f64 / ORDERS as f64;
            (together.latency.quantile(order), (order * (1.0 - order) * ORDERS as f64).sqrt())
        })
        .collect();
    let shares = |block: &Block| block.shares_at_or_below(points.iter().map(|(at, _)| *at));
    let of_pair = |(a, b): (&Block, &Block)| -> Vec<f64> {
        let both = shares(a).into_iter().zip(shares(b));
        both.zip(&points).map(|((a, b), (_, weight))| (a - b) / weight).collect()
    };
    a.iter().zip(b).map(of_pair).collect()
}

fn distance_of(pairs: &[Vec<f64>], sign: impl Fn(usize) -> f64) -> f64 {
    let points = pairs.first().map_or(0, Vec::len);
    let mut sums = vec![0.0; points];
    for (number, pair) in pairs.iter().enumerate() {
        let sign = sign(number);
        sums.iter_mut().zip(pair).for_each(|(sum, apart)| *sum += sign * apart);
    }
    let count = pairs.len() as f64;
    sums.iter().map(|sum| (sum / count) * (sum / count)).sum()
}

fn significance(pairs: &[Vec<f64>], seen: f64) -> (Option<f64>, u32) {
    if pairs.len() < PAIRS_AT_LEAST {
        return (None, 0);
    }
    // Sums in another order differ in their last digits.
    let as_far = |distance: f64| distance >= seen * (1.0 - 1e-9);
    let flipped =
        |flips: u64| move |pair: usize| if (flips >> (pair % 64)) & 1 == 1 { -1.0 } else { 1.0 };
    if pairs.len() <= ALL_UP_TO {
        // Exchanging all pairs gives the same distance again: half of the exchanges suffice.
        let all = 1u32 << (pairs.len() - 1);
        let far = (0..all).filter(|flips| as_far(distance_of(pairs, flipped(u64::from(*flips)))));
        return (Some(far.count() as f64 / f64::from(all)), all);
    }
    let drawn = |number: &u32| {
        let seed = Seed::new(0, *number);
        let words: Vec<u64> = (0..pairs.len().div_ceil(64))
            .map(|word| seed.words(Purpose::Resample, word as u64)[0])
            .collect();
        as_far(distance_of(pairs, |pair| flipped(words[pair / 64])(pair)))
    };
    let far = (0..DRAWN).filter(drawn).count();
    (Some((far + 1) as f64 / f64::from(DRAWN + 1)), DRAWN + 1)
}
