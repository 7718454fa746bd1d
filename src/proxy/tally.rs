//! What a driver counts for `/metrics`. Kept under the driver's lock: no atomics on the data path.

use crate::policy::RefusalReason;
use crate::record::AttemptOutcome;
use crate::units::Span;

/// Upper bounds of the latency histogram's buckets, in microseconds.
pub(super) const BOUNDS_MICROS: [u64; 16] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000,
];

/// Reasons in the order in which they are counted.
pub(super) const REASONS: [RefusalReason; 5] = [
    RefusalReason::NoLiveUpstream,
    RefusalReason::QueueFull,
    RefusalReason::QueueTimedOut,
    RefusalReason::AttemptFailed,
    RefusalReason::AttemptTimedOut,
];

/// Counts of one view of the peers.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// Requests that asked for a peer.
    pub(super) requests: u64,
    /// Of these, refused, by reason.
    pub(super) refused: [u64; REASONS.len()],
    /// Ended attempts of each peer, by outcome.
    pub(super) attempts: Vec<[u64; AttemptOutcome::ALL.len()]>,
    /// Time from admission to the last byte; one bucket more than bounds.
    pub(super) latency: [u64; BOUNDS_MICROS.len() + 1],
    /// Sum of these times.
    pub(super) latency_sum: Span,
}

impl Tally {
    pub(super) fn refuse(&mut self, reason: RefusalReason) {
        let position = REASONS.iter().position(|known| *known == reason);
        self.refused[position.unwrap_or(0)] += 1;
    }

    pub(super) fn attempt(&mut self, peer: usize, outcome: AttemptOutcome) {
        if self.attempts.len() <= peer {
            self.attempts.resize(peer + 1, [0; AttemptOutcome::ALL.len()]);
        }
        self.attempts[peer][outcome as usize] += 1;
    }

    pub(super) fn done(&mut self, took: Span) {
        let micros = took.0 / 1_000;
        let bucket = BOUNDS_MICROS.partition_point(|bound| *bound < micros);
        self.latency[bucket] += 1;
        self.latency_sum += took;
    }

    /// Adds the counts of another view.
    pub(super) fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.latency_sum += other.latency_sum;
        add(&mut self.refused, &other.refused);
        add(&mut self.latency, &other.latency);
        let peers = self.attempts.len().max(other.attempts.len());
        self.attempts.resize(peers, [0; AttemptOutcome::ALL.len()]);
        for (mine, theirs) in self.attempts.iter_mut().zip(&other.attempts) {
            add(mine, theirs);
        }
    }
}

fn add(mine: &mut [u64], theirs: &[u64]) {
    mine.iter_mut().zip(theirs).for_each(|(mine, theirs)| *mine += theirs);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_on_a_bound_belongs_to_it() {
        let mut tally = Tally::default();
        tally.done(Span::from_micros(100));
        tally.done(Span::from_micros(101));
        tally.done(Span::from_secs(60));
        assert_eq!((tally.latency[0], tally.latency[1]), (1, 1));
        assert_eq!(tally.latency[BOUNDS_MICROS.len()], 1);
    }

    #[test]
    fn merging_adds_peers_that_one_side_has_not_seen() {
        let (mut first, mut second) = (Tally::default(), Tally::default());
        first.attempt(0, AttemptOutcome::Passed);
        second.attempt(2, AttemptOutcome::Closed);
        second.refuse(RefusalReason::QueueFull);
        first.merge(&second);
        assert_eq!(first.attempts[0][AttemptOutcome::Passed as usize], 1);
        assert_eq!(first.attempts[2][AttemptOutcome::Closed as usize], 1);
        assert_eq!(first.refused[1], 1);
    }
}
