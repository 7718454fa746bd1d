//! The random words and gaps of some consecutive requests, made together: the steps of one request
//! wait for each other, while those of different requests overlap in the processor. Each value
//! still depends on its request's number alone.

use crate::traffic::ArrivalConfig;
use crate::traffic::arrival::{pareto, poisson};
use crate::units::{Purpose, Seed};

/// Requests per block: few enough to stay in the nearest cache beside everything else.
pub(super) const LENGTH: usize = 32;

/// A block of requests.
#[derive(Clone, Debug)]
pub(super) struct Block {
    demand_words: [u64; LENGTH],
    gaps: [f64; LENGTH],
}

impl Block {
    /// A block to be filled.
    pub(super) const fn new() -> Self {
        Self { demand_words: [0; LENGTH], gaps: [0.0; LENGTH] }
    }

    /// Fills it for the requests from number `first` on.
    #[inline(never)]
    pub(super) fn fill(&mut self, seed: Seed, arrival: &ArrivalConfig, first: u64) {
        let mut gap_words = [0; LENGTH];
        let words = gap_words.iter_mut().zip(&mut self.demand_words);
        for ((gap_word, demand_word), id) in words.zip(first..) {
            [*gap_word, *demand_word] = seed.words(Purpose::Request, id);
        }
        let gaps = self.gaps.iter_mut().zip(&gap_words);
        match arrival {
            ArrivalConfig::Poisson | ArrivalConfig::Mmpp { .. } => {
                gaps.for_each(|(gap, word)| *gap = poisson::gap(*word));
            }
            ArrivalConfig::Pareto { alpha } => {
                gaps.for_each(|(gap, word)| *gap = pareto::gap(*alpha, *word));
            }
            ArrivalConfig::Uniform | ArrivalConfig::Trace { .. } => {}
        }
    }

    /// The gap in operational time before the request at `place`, if its process has gaps, and
    /// the word of its demand.
    #[inline]
    pub(super) const fn at(&self, place: usize) -> (f64, u64) {
        (self.gaps[place], self.demand_words[place])
    }
}
