//! The server's side of Prequal: what a peer says of itself when it is asked for its load.
//!
//! The answer is the number of requests in flight (RIF) and the latency that a request may expect
//! which comes now: the median of recent ones that found about as many in flight when they came
//! (Wydrowski et al., NSDI 2024). Waiting in the application counts, the network does not.
//! The same code answers for the real backend and for the modelled one.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::units::{Nanos, Span};

/// What a peer answers to a load probe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadReport {
    /// Requests in flight.
    pub rif: u32,
    /// Latency to expect, in nanoseconds; zero if none ended lately, so that somebody tries.
    #[serde(rename = "latency_ns")]
    pub latency: Span,
}

/// Requests that are remembered.
const REMEMBERED: usize = 64;
/// Of these, those nearest in requests in flight that the median is taken of.
const NEAREST: usize = 15;
/// What ended longer ago says nothing of now; without this a peer that was slow once, and is not
/// chosen for it, would call itself slow for ever.
const LATELY: Span = Span::from_secs(5);

/// The requests of one peer that ended lately.
#[derive(Clone, Debug, Default)]
pub struct LatencyByLoad {
    ended: VecDeque<Ended>,
}

#[derive(Clone, Copy, Debug)]
struct Ended {
    at: Nanos,
    /// How many others were in flight when it came.
    found: u32,
    latency: Span,
}

impl LatencyByLoad {
    /// A request ended that had found `found` others in flight when it came.
    pub fn record(&mut self, at: Nanos, found: u32, latency: Span) {
        if self.ended.len() == REMEMBERED {
            self.ended.pop_front();
        }
        self.ended.push_back(Ended { at, found, latency });
    }

    /// The answer to a load probe with `rif` requests in flight.
    #[must_use]
    pub fn report(&self, now: Nanos, rif: u32) -> LoadReport {
        LoadReport { rif, latency: self.expected(now, rif) }
    }

    fn expected(&self, now: Nanos, rif: u32) -> Span {
        let mut near = [(0, 0, Span::ZERO); REMEMBERED];
        let mut count = 0;
        // The newest first, to be preferred among equally near ones.
        for ended in self.ended.iter().rev().take_while(|ended| now.since(ended.at) <= LATELY) {
            near[count] = (ended.found.abs_diff(rif), count, ended.latency);
            count += 1;
        }
        let mut near = &mut near[..count];
        if near.len() > NEAREST {
            near.select_nth_unstable(NEAREST - 1);
            near = &mut near[..NEAREST];
        }
        if near.is_empty() {
            return Span::ZERO;
        }
        let middle = (near.len() - 1) / 2;
        near.select_nth_unstable_by_key(middle, |(.., latency)| *latency).1.2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Nanos {
        Nanos(millis * 1_000_000)
    }

    #[test]
    fn latency_is_that_of_requests_that_found_as_many() {
        let mut known = LatencyByLoad::default();
        assert_eq!(known.report(at(0), 3), LoadReport { rif: 3, latency: Span::ZERO });
        for n in 0..60 {
            let found = n % 3;
            known.record(at(n), found as u32, Span::from_millis(10 + 10 * found));
        }
        let expected = |rif| known.report(at(60), rif).latency;
        assert_eq!([0, 1, 2, 9].map(expected), [10, 20, 30, 30].map(Span::from_millis));
    }

    #[test]
    fn what_is_long_over_is_forgotten() {
        let mut known = LatencyByLoad::default();
        known.record(at(0), 0, Span::from_secs(3));
        assert_eq!(known.report(at(5_000), 0).latency, Span::from_secs(3));
        assert_eq!(known.report(at(5_001), 0).latency, Span::ZERO);
    }

    #[test]
    fn only_the_last_are_remembered_and_the_newest_preferred() {
        let mut known = LatencyByLoad::default();
        (0..200).for_each(|n| known.record(at(n), 1, Span::from_millis(n)));
        assert_eq!(known.ended.len(), REMEMBERED);
        assert_eq!(known.report(at(200), 1).latency, Span::from_millis(192), "of 185 to 199");
    }
}
