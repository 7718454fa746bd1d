//! The random words, gaps and instants of some consecutive requests, made together: the steps of one
//! request wait for each other, while those of different requests overlap in the processor. Each
//! word and gap still depends on its request's number alone, and an instant on the gaps before it.

use crate::traffic::ArrivalConfig;
use crate::traffic::arrival::clock::Clock;
use crate::traffic::arrival::{pareto, poisson};
use crate::traffic::logarithm::LANES;
#[cfg(target_arch = "x86_64")]
use crate::traffic::wide;
use crate::units::{Nanos, Purpose, Seed};

/// Requests per block: as many logarithms as are best made at a time.
pub(super) const LENGTH: usize = LANES;

/// A block of requests.
#[derive(Clone, Debug)]
pub(super) struct Block {
    demand_words: [u64; LENGTH],
    gaps: [f64; LENGTH],
    instants: [Nanos; LENGTH],
    /// How many of the instants come before the end of the last stage.
    timed: usize,
}

impl Block {
    /// A block to be filled.
    pub(super) const fn new() -> Self {
        Self {
            demand_words: [0; LENGTH],
            gaps: [0.0; LENGTH],
            instants: [Nanos::ZERO; LENGTH],
            timed: 0,
        }
    }

    /// Fills it for the requests from number `first` on: their words and gaps, and where `timing` has
    /// a clock and the operational time of the request before them, which becomes that of the last,
    /// also when they are due.
    #[inline(never)]
    pub(super) fn fill(
        &mut self,
        seed: Seed,
        arrival: &ArrivalConfig,
        first: u64,
        timing: Option<(&mut Clock<'_>, &mut f64)>,
    ) {
        #[cfg(target_arch = "x86_64")]
        if wide::is_at_hand() {
            // SAFETY: the processor has what `fill_wide` is compiled for: it was just asked.
            return unsafe { self.fill_wide(seed, arrival, first, timing) };
        }
        self.fill_with(seed, arrival, first, timing);
    }

    /// The same, with twice as many lanes in a register.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,bmi2")]
    fn fill_wide(
        &mut self,
        seed: Seed,
        arrival: &ArrivalConfig,
        first: u64,
        timing: Option<(&mut Clock<'_>, &mut f64)>,
    ) {
        self.fill_with(seed, arrival, first, timing);
    }

    #[inline(always)]
    fn fill_with(
        &mut self,
        seed: Seed,
        arrival: &ArrivalConfig,
        first: u64,
        timing: Option<(&mut Clock<'_>, &mut f64)>,
    ) {
        let gap_words;
        [gap_words, self.demand_words] = words(seed, first);
        match arrival {
            ArrivalConfig::Poisson | ArrivalConfig::Mmpp { .. } => {
                self.gaps = poisson::gaps(gap_words);
            }
            ArrivalConfig::Pareto { alpha } => {
                self.gaps = gap_words.map(|word| pareto::gap(*alpha, word));
            }
            ArrivalConfig::Uniform | ArrivalConfig::Trace { .. } => {}
        }
        if let Some((clock, operational)) = timing {
            self.time(arrival, clock, operational, first);
        }
    }

    /// Finds when its requests are due.
    #[inline(always)]
    fn time(
        &mut self,
        arrival: &ArrivalConfig,
        clock: &mut Clock<'_>,
        operational: &mut f64,
        first: u64,
    ) {
        let mut targets = self.gaps;
        for (target, id) in targets.iter_mut().zip(first..) {
            *operational = arrival.operational(id, *operational, *target);
            *target = *operational;
        }
        self.timed = LENGTH;
        let targets = targets.as_chunks::<TOGETHER>().0.iter();
        let instants = self.instants.as_chunks_mut::<TOGETHER>().0;
        for (number, (targets, instants)) in targets.zip(instants).enumerate() {
            if clock.reaches_all(targets) {
                *instants = clock.reach_all(*targets);
                continue;
            }
            for (place, (target, instant)) in targets.iter().zip(instants).enumerate() {
                let Some(at) = clock.reach(*target) else {
                    self.timed = number * TOGETHER + place;
                    return;
                };
                *instant = at;
            }
        }
    }

    /// When the request at `place` is due, if that is before the end of the last stage.
    #[inline]
    pub(super) fn instant(&self, place: usize) -> Option<Nanos> {
        (place < self.timed).then(|| self.instants[place % LENGTH])
    }

    /// The word of the demand of the request at `place`.
    #[inline]
    pub(super) const fn demand_word(&self, place: usize) -> u64 {
        self.demand_words[place % LENGTH]
    }
}

/// Requests that are timed together if they fall into one piece of the offered load.
const TOGETHER: usize = 8;

/// The words of the requests of a block, four requests at a time: more need more registers than there
/// are.
#[inline(always)]
fn words(seed: Seed, first: u64) -> [[u64; LENGTH]; 2] {
    const STEP: usize = 4;
    let [mut gap_words, mut demand_words] = [[0; LENGTH]; 2];
    let places = gap_words.as_chunks_mut::<STEP>().0.iter_mut();
    let places = places.zip(demand_words.as_chunks_mut::<STEP>().0);
    for ((gap_words, demand_words), id) in places.zip((first..).step_by(STEP)) {
        [*gap_words, *demand_words] = seed.words_from(Purpose::Request, id);
    }
    [gap_words, demand_words]
}
