//! The random words and gaps of some consecutive requests, made together: the steps of one request
//! wait for each other, while those of different requests overlap in the processor. Each value
//! still depends on its request's number alone.

use crate::traffic::ArrivalConfig;
use crate::traffic::arrival::{pareto, poisson};
use crate::traffic::logarithm::LANES;
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
        let places = self.gaps.as_chunks_mut::<LANES>().0.iter_mut();
        let places = places.zip(self.demand_words.as_chunks_mut::<LANES>().0);
        for ((gaps, demand_words), id) in places.zip((first..).step_by(LANES)) {
            let gap_words;
            [gap_words, *demand_words] = words(seed, id);
            match arrival {
                ArrivalConfig::Poisson | ArrivalConfig::Mmpp { .. } => {
                    *gaps = poisson::gaps(gap_words);
                }
                ArrivalConfig::Pareto { alpha } => {
                    *gaps = gap_words.map(|word| pareto::gap(*alpha, word));
                }
                ArrivalConfig::Uniform | ArrivalConfig::Trace { .. } => {}
            }
        }
    }

    /// The gap in operational time before the request at `place`, if its process has gaps, and
    /// the word of its demand.
    #[inline]
    pub(super) const fn at(&self, place: usize) -> (f64, u64) {
        (self.gaps[place], self.demand_words[place])
    }
}

/// The words of as many requests as there are lanes, four at a time: more blocks need more registers
/// than there are.
#[inline(always)]
fn words(seed: Seed, first: u64) -> [[u64; LANES]; 2] {
    const HALF: usize = LANES / 2;
    let mut words = [[0; LANES]; 2];
    let halves = [first, first + HALF as u64].map(|id| seed.words_from(Purpose::Request, id));
    for (place, half) in halves.into_iter().enumerate() {
        for (words, half) in words.iter_mut().zip::<[[u64; HALF]; 2]>(half) {
            words[place * HALF..][..HALF].copy_from_slice(&half);
        }
    }
    words
}
