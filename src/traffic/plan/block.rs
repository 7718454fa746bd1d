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
    /// How many of the instants come before the end of the plan.
    timed: usize,
}

/// What says when requests are due.
pub(super) struct Timing<'t, 'p> {
    pub(super) clock: &'t mut Clock<'p>,
    /// Operational time of the request before the first; becomes that of the last.
    pub(super) operational: &'t mut f64,
    /// When the request before the first was due.
    pub(super) last: Nanos,
    /// The end of the plan.
    pub(super) end: Nanos,
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

    /// Fills it for the requests from number `first` on: their words and gaps, and where there is a
    /// `timing`, also when they are due.
    #[inline(never)]
    pub(super) fn fill(
        &mut self,
        seed: Seed,
        arrival: &ArrivalConfig,
        first: u64,
        timing: Option<Timing<'_, '_>>,
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
        timing: Option<Timing<'_, '_>>,
    ) {
        self.fill_with(seed, arrival, first, timing);
    }

    #[inline(always)]
    fn fill_with(
        &mut self,
        seed: Seed,
        arrival: &ArrivalConfig,
        first: u64,
        timing: Option<Timing<'_, '_>>,
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
        if let Some(timing) = timing {
            self.time(arrival, first, timing);
        }
    }

    /// Finds when its requests are due.
    #[inline(always)]
    fn time(&mut self, arrival: &ArrivalConfig, first: u64, timing: Timing<'_, '_>) {
        let Timing { clock, operational, mut last, end } = timing;
        let mut targets = self.gaps;
        for (target, id) in targets.iter_mut().zip(first..) {
            *operational = arrival.operational(id, *operational, *target);
            *target = *operational;
        }
        self.timed = 0;
        let targets = targets.as_chunks::<TOGETHER>().0.iter();
        for (targets, instants) in targets.zip(self.instants.as_chunks_mut::<TOGETHER>().0) {
            let mut reached = TOGETHER;
            if clock.reaches_all(targets) {
                *instants = clock.reach_all(*targets);
            } else {
                reached = reach_each(clock, targets, instants);
            }
            for instant in &mut *instants {
                // Rounding at the border of two stages must not turn the order round.
                last = last.max(*instant);
                *instant = last;
            }
            if reached < TOGETHER || last >= end {
                let in_time = |at: &&Nanos| **at < end;
                self.timed += instants[..reached].iter().take_while(in_time).count();
                return;
            }
            self.timed += TOGETHER;
        }
    }

    /// When the requests from `place` on are due, and the words of their demands, up to the end of
    /// the block or of the plan.
    #[inline]
    pub(super) fn rest(&self, place: usize) -> impl ExactSizeIterator<Item = (Nanos, u64)> {
        let places = place.min(self.timed)..self.timed;
        let words = self.demand_words[places.clone()].iter();
        self.instants[places].iter().zip(words).map(|(at, word)| (*at, *word))
    }

    /// When the request at `place` is due, if that is before the end of the plan.
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

/// One after the other: when the load reaches these operational times, and how many it reaches.
#[inline(never)]
fn reach_each(
    clock: &mut Clock<'_>,
    targets: &[f64; TOGETHER],
    instants: &mut [Nanos; TOGETHER],
) -> usize {
    for (place, (target, instant)) in targets.iter().zip(instants).enumerate() {
        let Some(at) = clock.reach(*target) else { return place };
        *instant = at;
    }
    TOGETHER
}

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
