//! Keys by a Zipf law, and classes by share.
//!
//! Keys are sampled by rejection-inversion (W. Hörmann, G. Derflinger: "Rejection-inversion to
//! generate variates from monotone discrete distributions", ACM TOMACS 6(3), 1996), which needs no
//! table, whatever the number of keys, and takes about 1.1 words per key.

use super::request::{ClassConfig, KeyConfig};
use crate::units::Draw;
use crate::units::draw::unit_open;

/// Draws ranks `1..=count` with probability proportional to `rank^-exponent`.
#[derive(Clone, Debug)]
pub struct Zipf {
    count: f64,
    exponent: f64,
    /// Area under the hat up to the first rank, and up to the last.
    area_first: f64,
    area_last: f64,
    /// Ranks this close above the inverse are accepted without evaluating the law.
    shortcut: f64,
}

impl Zipf {
    /// Prepares the sampler. A count of 0 is read as 1; an exponent that is not a number or
    /// negative as 0.
    #[must_use]
    pub fn new(keys: KeyConfig) -> Self {
        let exponent = keys.exponent.clamp(0.0, 100.0).max(0.0);
        let count = keys.count.max(1) as f64;
        Self {
            count,
            exponent,
            area_first: integral(1.5, exponent) - 1.0,
            area_last: integral(count + 0.5, exponent),
            shortcut: 2.0
                - integral_inverse(integral(2.5, exponent) - density(2.0, exponent), exponent),
        }
    }

    /// The next rank.
    #[must_use]
    pub fn sample(&self, draw: &mut Draw) -> u64 {
        // Each round accepts with a probability above 1/2; the bound only guards against
        // parameters at the edge of what floating point can hold.
        for _ in 0..128 {
            let area = self.area_last + draw.uniform() * (self.area_first - self.area_last);
            let x = integral_inverse(area, self.exponent);
            let rank = (x + 0.5).floor().clamp(1.0, self.count);
            if rank - x <= self.shortcut
                || area >= integral(rank + 0.5, self.exponent) - density(rank, self.exponent)
            {
                return rank as u64;
            }
        }
        1
    }
}

/// `x^-exponent`.
fn density(x: f64, exponent: f64) -> f64 {
    libm::exp(-exponent * libm::log(x))
}

/// Integral of the density from 1 to `x`, also at an exponent of 1, where it is the logarithm.
fn integral(x: f64, exponent: f64) -> f64 {
    let log = libm::log(x);
    log * ratio(libm::expm1, (1.0 - exponent) * log)
}

fn integral_inverse(area: f64, exponent: f64) -> f64 {
    let scaled = (area * (1.0 - exponent)).max(-1.0);
    libm::exp(ratio(libm::log1p, scaled) * area)
}

/// `function(x) / x`, by its series near zero; for `expm1` and `log1p` the limit is 1.
fn ratio(function: fn(f64) -> f64, x: f64) -> f64 {
    if x.abs() > 1e-8 { function(x) / x } else { 1.0 }
}

/// Draws classes by their shares.
#[derive(Clone, Debug)]
pub struct Shares {
    /// Upper ends of the classes' parts of 0..1; the last class takes what rounding leaves.
    ends: Box<[f64]>,
}

impl Shares {
    /// Prepares the shares of `classes`, which need not add up to exactly 1.
    #[must_use]
    pub fn new(classes: &[ClassConfig]) -> Self {
        let sum: f64 = classes.iter().map(|class| class.share.0).sum();
        let ends = classes.iter().scan(0.0, |end, class| {
            *end += class.share.0;
            Some(*end / sum)
        });
        Self { ends: ends.collect() }
    }

    /// Whether a draw is needed at all.
    #[must_use]
    pub fn is_choice(&self) -> bool {
        self.ends.len() > 1
    }

    /// The class that `word` stands for.
    #[must_use]
    pub fn class(&self, word: u64) -> u16 {
        let u = unit_open(word);
        let last = self.ends.len().saturating_sub(1);
        self.ends.iter().take(last).position(|end| u < *end).unwrap_or(last) as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{Bytes, Purpose, Ratio, Seed};
    use rand_distr::Distribution;

    fn counts(count: u64, exponent: f64, samples: u64) -> Vec<f64> {
        let zipf = Zipf::new(KeyConfig { count, exponent });
        let seed = Seed::new(3, 0);
        let mut seen = vec![0.0; count as usize];
        for i in 0..samples {
            seen[zipf.sample(&mut seed.draw(Purpose::Key, i, 0)) as usize - 1] += 1.0;
        }
        seen
    }

    /// Chi-squared against the exact probabilities, 19 degrees of freedom; 43.8 is the 0.999 quantile.
    #[test]
    fn ranks_follow_the_law_at_every_exponent() {
        for exponent in [0.0, 0.5, 0.99, 1.0, 1.01, 1.5, 3.0] {
            let seen = counts(20, exponent, 50_000);
            let weights: Vec<f64> = (1..=20).map(|k| libm::pow(f64::from(k), -exponent)).collect();
            let total: f64 = weights.iter().sum();
            let chi: f64 = seen
                .iter()
                .zip(&weights)
                .map(|(seen, weight)| (seen, 50_000.0 * weight / total))
                .map(|(seen, expected)| (seen - expected) * (seen - expected) / expected)
                .sum();
            assert!(chi < 43.8, "exponent {exponent}: {chi}");
        }
    }

    #[test]
    fn the_mean_rank_is_that_of_rand_distr() {
        let (count, exponent, samples) = (1000_u64, 1.1, 100_000_u64);
        let theirs = rand_distr::Zipf::new(count as f64, exponent).unwrap();
        let seed = Seed::new(4, 0);
        let reference: f64 = (0..samples)
            .map(|i| theirs.sample(&mut seed.draw(Purpose::Resample, i, 0)))
            .sum::<f64>()
            / samples as f64;
        let ours: f64 = counts(count, exponent, samples)
            .iter()
            .enumerate()
            .map(|(i, n)| (i + 1) as f64 * n)
            .sum::<f64>()
            / samples as f64;
        // The standard deviation of a rank is about 190, that of a mean of 100,000 about 0.6.
        assert!((ours - reference).abs() < 4.0, "{ours} {reference}");
    }

    #[test]
    fn edges_of_the_parameters_stay_in_range() {
        let seed = Seed::new(1, 0);
        for count in [0, 1, 2, u64::MAX] {
            for exponent in [f64::NAN, -1.0, 0.0, 1.0, 50.0, f64::INFINITY] {
                let zipf = Zipf::new(KeyConfig { count, exponent });
                for i in 0..200 {
                    let rank = zipf.sample(&mut seed.draw(Purpose::Key, i, 0));
                    assert!((1..=count.max(1)).contains(&rank), "{count} {exponent} {rank}");
                }
            }
        }
    }

    #[test]
    fn classes_come_by_their_shares() {
        let class = |name: &str, share| ClassConfig {
            name: name.to_owned(),
            path: "/".to_owned(),
            method: "GET".to_owned(),
            share: Ratio(share),
            body: Bytes(0),
        };
        let shares = Shares::new(&[class("a", 0.25), class("b", 0.75)]);
        let seed = Seed::new(2, 0);
        let first =
            (0..20_000).filter(|&i| shares.class(seed.words(Purpose::Class, i)[0]) == 0).count();
        assert!((4750..5250).contains(&first), "{first}");
        assert_eq!([shares.class(0), shares.class(u64::MAX)], [0, 1]);
        assert_eq!(Shares::new(&[]).class(7), 0);
    }
}
