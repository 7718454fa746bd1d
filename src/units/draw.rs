//! Counter-based randomness: a draw is a function of (seed, purpose, index), never of order.
//!
//! Philox2x64-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3",
//! SC 2011) turns a 128-bit counter and a 64-bit key into two random words. The counter holds
//! what is being drawn, the key the seed, so request `i` has the same draws in both worlds, on
//! any thread, and whatever was drawn before. One uniform per quantity keeps pairs monotone.

use std::convert::Infallible;

use serde::{Deserialize, Serialize};

const MULTIPLIER: u64 = 0xD2B7_4407_B1CE_6E93;
const WEYL: u64 = 0x9E37_79B9_7F4A_7C15;
const ROUNDS: usize = 10;

/// What a draw is for; draws for different purposes are independent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Purpose {
    /// First word: the gap before request `i`; second word: the demand of its first attempt.
    Request = 1,
    /// The demand of a later attempt.
    RetryDemand = 2,
    /// The class of a request.
    Class = 3,
    /// The key of a request.
    Key = 4,
    /// The think time before a turn of a closed-loop user.
    Think = 5,
    /// Choices of a balancing policy.
    Pick = 6,
    /// Whether a health check of a backend fails.
    Health = 7,
    /// Whether an attempt is answered with an error by fault injection.
    Error = 8,
    /// Which balancer a request or connection reaches.
    View = 9,
    /// State changes of a modulated arrival process.
    Modulation = 10,
    /// Jitter of back-off and health intervals.
    Jitter = 11,
    /// The resampling of a bootstrap.
    Resample = 12,
    /// Costs that the host adds, drawn from its calibration.
    HostCost = 13,
    /// The way of a load probe to a backend and back.
    LoadProbe = 14,
    /// Whether an outlier is ejected, and the jitter of its ejection.
    Outlier = 15,
    /// The order in which a round of the live world runs the engines.
    EngineOrder = 16,
    /// Where within its second a request of a log ended that was stamped in whole seconds.
    LogSecond = 17,
    /// The pauses of an autoscaler after failures.
    Scaling = 18,
    /// The points of a sweep.
    Sweep = 19,
}

/// The key of all draws of one replication.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seed(u64);

impl Seed {
    /// Hashes the scenario's seed and the replication's number into a key, since neighbouring
    /// seeds must not give related streams.
    #[must_use]
    pub fn new(seed: u64, replication: u32) -> Self {
        Self(philox([seed, u64::from(replication)], 0x6C61_6200_5345_4544)[0])
    }

    /// The two random words of (purpose, index).
    #[must_use]
    #[inline]
    pub fn words(self, purpose: Purpose, index: u64) -> [u64; 2] {
        philox([index, (purpose as u64) << 48], self.0)
    }

    /// The two random words of each of some consecutive indices: as [`Self::words`] gives them, in
    /// two thirds of the time, since the rounds of different blocks overlap in the processor.
    #[inline(always)]
    pub fn words_from<const N: usize>(self, purpose: Purpose, first: u64) -> [[u64; N]; 2] {
        let mut counters = [[0; N], [(purpose as u64) << 48; N]];
        for (counter, index) in counters[0].iter_mut().zip(first..) {
            *counter = index;
        }
        philox_of(counters, self.0)
    }

    /// A generator for (purpose, index, sub-index), for draws of unknown number. It costs nothing
    /// until the first word is taken.
    #[must_use]
    #[inline]
    pub const fn draw(self, purpose: Purpose, index: u64, sub: u16) -> Draw {
        Draw {
            key: self.0,
            index,
            counter: ((purpose as u64) << 48) | ((sub as u64) << 32),
            spare: None,
        }
    }
}

/// A generator of the words of one (purpose, index, sub-index).
#[derive(Clone, Debug)]
pub struct Draw {
    key: u64,
    index: u64,
    counter: u64,
    spare: Option<u64>,
}

impl Draw {
    /// The next random word.
    #[inline]
    pub fn word(&mut self) -> u64 {
        if let Some(word) = self.spare.take() {
            return word;
        }
        let [first, second] = philox([self.index, self.counter], self.key);
        self.counter += 1;
        self.spare = Some(second);
        first
    }

    /// Uniform in the open interval (0, 1).
    #[inline]
    pub fn uniform(&mut self) -> f64 {
        unit_open(self.word())
    }

    /// Uniform in `0..bound`; zero for a bound of zero. Lemire's multiplication without the
    /// rejection: the bias is below `bound / 2^64`.
    #[inline]
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.word()) * u128::from(bound)) >> 64) as u64
    }
}

/// Maps a random word to the open interval (0, 1), on a grid of 2^-52 shifted by half a step, so
/// that neither end is ever reached.
#[must_use]
#[inline(always)]
pub fn unit_open(word: u64) -> f64 {
    // The bits of a number from 1 to 2, on a grid of 2^-52; the difference is exact.
    f64::from_bits(1.0f64.to_bits() | word >> 12) - (1.0 - f64::EPSILON / 2.0)
}

/// Lets the samplers of `rand_distr` use a [`Draw`].
impl rand::TryRng for Draw {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.word() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.word())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            let word = self.word().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
        Ok(())
    }
}

#[inline]
fn philox(counter: [u64; 2], key: u64) -> [u64; 2] {
    philox_of(counter.map(|word| [word]), key).map(|[word]| word)
}

/// Several blocks, round by round: the multiplications of one wait for each other.
#[inline(always)]
fn philox_of<const N: usize>([mut high, mut low]: [[u64; N]; 2], mut key: u64) -> [[u64; N]; 2] {
    for _ in 0..ROUNDS {
        for (high, low) in high.iter_mut().zip(&mut low) {
            let product = u128::from(MULTIPLIER) * u128::from(*high);
            (*high, *low) = ((product >> 64) as u64 ^ key ^ *low, product as u64);
        }
        key = key.wrapping_add(WEYL);
    }
    [high, low]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known answers of Random123 1.09 (`kat_vectors`, philox2x64 with 10 rounds).
    #[test]
    fn philox_gives_the_published_words() {
        assert_eq!(philox([0, 0], 0), [0xca00_a045_9843_d731, 0x66c2_4222_c9a8_45b5]);
        assert_eq!(
            philox([u64::MAX, u64::MAX], u64::MAX),
            [0x65b0_21d6_0cd8_310f, 0x4d02_f322_2f86_df20]
        );
        assert_eq!(
            philox([0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344], 0xa409_3822_299f_31d0),
            [0x0a5e_742c_2997_341c, 0xb0f8_83d3_8000_de5d]
        );
    }

    #[test]
    fn a_draw_depends_on_its_address_alone() {
        let seed = Seed::new(7, 0);
        let mut forwards: Vec<u64> =
            (0..50).map(|i| seed.draw(Purpose::Pick, i, 0).word()).collect();
        let backwards: Vec<u64> =
            (0..50).rev().map(|i| seed.draw(Purpose::Pick, i, 0).word()).collect();
        forwards.reverse();
        assert_eq!(forwards, backwards);
        assert_ne!(seed.draw(Purpose::Pick, 1, 0).word(), seed.draw(Purpose::Pick, 1, 1).word());
        assert_ne!(seed.draw(Purpose::Pick, 1, 0).word(), seed.draw(Purpose::Health, 1, 0).word());
        assert_ne!(Seed::new(7, 0), Seed::new(7, 1));
    }

    #[test]
    fn blocks_made_together_are_those_made_one_by_one() {
        let seed = Seed::new(7, 0);
        let from = 1_u64 << 40;
        let [first, second] = seed.words_from::<5>(Purpose::Class, from);
        for (place, index) in (from..from + 5).enumerate() {
            assert_eq!(seed.words(Purpose::Class, index), [first[place], second[place]]);
        }
    }

    #[test]
    fn uniforms_fill_the_open_interval() {
        for word in [0, 4095, 4096, 1 << 63, 0x0123_4567_89ab_cdef, u64::MAX] {
            let on_the_grid = ((word >> 12) as f64 + 0.5) * (1.0 / (1u64 << 52) as f64);
            assert_eq!(unit_open(word), on_the_grid);
        }
        assert!(unit_open(0) > 0.0 && unit_open(u64::MAX) < 1.0);
        let mut draw = Seed::new(1, 0).draw(Purpose::Pick, 0, 0);
        let mean = (0..20_000).map(|_| draw.uniform()).sum::<f64>() / 20_000.0;
        assert!((mean - 0.5).abs() < 0.01, "{mean}");
        let mut seen = [0u32; 3];
        (0..3000).for_each(|_| seen[draw.below(3) as usize] += 1);
        assert!(seen.iter().all(|n| (900..1100).contains(n)), "{seen:?}");
    }
}
