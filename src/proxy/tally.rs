//! What a driver counts for `/metrics`. Kept under the driver's lock: no atomics on the data path.

use std::collections::BTreeMap;

use super::count::{DurationTotals, Totals, add};
use crate::policy::health::outlier::OutlierCounts;
use crate::policy::{RefusalReason, ResilienceCounts};
use crate::record::AttemptOutcome;
use crate::units::Span;

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
    /// What came of load probes.
    pub(super) load_probes: LoadProbes,
    /// Ended attempts at each peer.
    peers: Vec<PeerTally>,
}

/// Load probes by what came of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LoadProbes {
    /// Answered in time.
    pub(super) answered: u64,
    /// Not answered in time.
    pub(super) late: u64,
    /// Not sent, or answered by something that tells no load.
    pub(super) failed: u64,
}

/// Ended attempts at a peer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PeerTally {
    /// By outcome.
    pub(super) outcomes: [u64; AttemptOutcome::ALL.len()],
    /// From the pick to the last byte, of those that responded.
    pub(super) time: DurationTotals,
}

impl Tally {
    pub(super) fn refuse(&mut self, reason: RefusalReason) {
        let position = REASONS.iter().position(|known| *known == reason);
        self.refused[position.unwrap_or(0)] += 1;
    }

    pub(super) fn attempt(&mut self, peer: usize, outcome: AttemptOutcome) {
        self.of(peer).outcomes[outcome as usize] += 1;
    }

    /// A peer has responded after this time.
    pub(super) fn responded(&mut self, peer: usize, took: Span) {
        self.of(peer).time.record(took);
    }

    fn of(&mut self, peer: usize) -> &mut PeerTally {
        if self.peers.len() <= peer {
            self.peers.resize(peer + 1, PeerTally::default());
        }
        &mut self.peers[peer]
    }
}

/// Counts by the names of peers, which outlive the views that numbered them.
#[derive(Clone, Debug, Default)]
pub(super) struct Past {
    /// What workers have counted.
    pub(super) totals: Totals,
    /// As in [`Tally`].
    pub(super) requests: u64,
    pub(super) refused: [u64; REASONS.len()],
    pub(super) load_probes: LoadProbes,
    pub(super) peers: BTreeMap<String, PeerTally>,
    /// What the machines of the views have counted.
    pub(super) resilience: ResilienceCounts,
    pub(super) outlier: OutlierCounts,
}

impl Past {
    /// Adds the counts of a view whose peer `i` is called as the `i`th of `names`.
    pub(super) fn take_in<'a>(&mut self, tally: &Tally, names: impl Iterator<Item = &'a str>) {
        self.requests += tally.requests;
        add(&mut self.refused, &tally.refused);
        self.load_probes.answered += tally.load_probes.answered;
        self.load_probes.late += tally.load_probes.late;
        self.load_probes.failed += tally.load_probes.failed;
        for (name, theirs) in names.zip(&tally.peers) {
            let mine = match self.peers.get_mut(name) {
                Some(mine) => mine,
                None => self.peers.entry(name.to_owned()).or_default(),
            };
            add(&mut mine.outcomes, &theirs.outcomes);
            mine.time.merge(&theirs.time);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_views_add_up_by_the_names_of_peers() {
        let (mut first, mut second) = (Tally::default(), Tally::default());
        first.attempt(0, AttemptOutcome::Passed);
        first.responded(0, Span::from_millis(3));
        second.attempt(2, AttemptOutcome::Closed);
        second.attempt(1, AttemptOutcome::Passed);
        second.refuse(RefusalReason::QueueFull);
        let mut past = Past::default();
        past.take_in(&first, ["a"].into_iter());
        past.take_in(&second, ["c", "a", "b"].into_iter());
        let outcomes = |name: &str, outcome| past.peers[name].outcomes[outcome as usize];
        assert_eq!(outcomes("a", AttemptOutcome::Passed), 2);
        assert_eq!(outcomes("b", AttemptOutcome::Closed), 1);
        assert_eq!(past.peers["a"].time.nanos, 3_000_000);
        assert_eq!(past.refused[1], 1);
    }
}
