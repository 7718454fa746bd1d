//! Earliest deadline first: Envoy's weighted scheduler (`source/common/upstream/edf_scheduler.h`).
//!
//! Each member has a deadline; the smallest is served and gets a new one, `1 / weight` later in
//! virtual time. Equal deadlines come in the order of their insertion, so that weights 5, 1, 1 give
//! `aaaaabc`: bursts, where smooth weighted round robin gives `aabacaa`.
//!
//! Envoy keeps a heap of healthy hosts; here a pass over a list serves as well, skips whom a
//! request may not be given, and needs no rebuilding when one of them goes out for a moment.

/// A scheduler of members numbered from 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Edf {
    /// Virtual time.
    now: f64,
    insertions: u64,
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Entry {
    deadline: f64,
    insertion: u64,
}

impl Edf {
    /// Members with these positive weights, as if `picks` picks had been made before
    /// (`EdfScheduler::createWithPicks`): first every member's whole number of its share of them,
    /// then one by one what is left.
    #[must_use]
    pub fn start(weights: &[f64], picks: u64) -> Self {
        let total: f64 = weights.iter().sum();
        let mut edf = Self::default();
        let mut left = picks;
        for weight in weights {
            let whole = libm::floor(picks as f64 * weight / total);
            left = left.saturating_sub(whole as u64);
            edf.now = edf.now.max(whole / weight);
            let insertion = edf.next_insertion();
            edf.entries.push(Entry { deadline: (whole + 1.0) / weight, insertion });
        }
        for _ in 0..left {
            if let Some(member) = edf.first(|_| true) {
                edf.serve(member, weights[member]);
            }
        }
        edf
    }

    /// The member with the earliest deadline among those that `may` be served.
    #[must_use]
    pub fn first(&self, may: impl Fn(usize) -> bool) -> Option<usize> {
        let allowed = self.entries.iter().enumerate().filter(|(member, _)| may(*member));
        let order = |entry: &Entry, other: &Entry| {
            entry.deadline.total_cmp(&other.deadline).then(entry.insertion.cmp(&other.insertion))
        };
        allowed.min_by(|(_, one), (_, other)| order(one, other)).map(|(member, _)| member)
    }

    /// Serves `member`, whose weight is now `weight`. One that was passed over for a while does
    /// not make up for it.
    pub fn serve(&mut self, member: usize, weight: f64) {
        let insertion = self.next_insertion();
        let Some(entry) = self.entries.get_mut(member) else { return };
        self.now = self.now.max(entry.deadline);
        *entry = Entry { deadline: self.now + 1.0 / weight, insertion };
    }

    /// When `member` is due, in virtual time.
    #[must_use]
    pub fn deadline(&self, member: usize) -> Option<f64> {
        self.entries.get(member).map(|entry| entry.deadline)
    }

    const fn next_insertion(&mut self) -> u64 {
        self.insertions += 1;
        self.insertions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picks(weights: &[f64], start: u64, count: usize) -> String {
        let mut edf = Edf::start(weights, start);
        let mut next = || {
            let member = edf.first(|_| true).unwrap();
            edf.serve(member, weights[member]);
            char::from(b'a' + member as u8)
        };
        (0..count).map(|_| next()).collect()
    }

    // Weights whose fractions are exact: elsewhere rounding decides ties, here as in Envoy.
    #[test]
    fn equal_deadlines_make_bursts() {
        assert_eq!(picks(&[4.0, 1.0, 1.0], 0, 12), "aaabcaaaabca");
    }

    /// Which of the tied comes first depends on the start, as in Envoy; the shares do not.
    #[test]
    fn from_any_start_picks_share_by_weight() {
        for start in 0..50 {
            let picked = picks(&[4.0, 2.0, 1.0], start, 70);
            let count = |name| picked.matches(name).count();
            for (found, share) in ["a", "b", "c"].map(count).into_iter().zip([40, 20, 10]) {
                assert!(share - 1 <= found && found <= share + 1, "{start} {picked}");
            }
        }
    }

    #[test]
    fn who_was_passed_over_is_served_once_and_does_not_catch_up() {
        let mut edf = Edf::start(&[1.0, 1.0], 0);
        (0..10).for_each(|_| edf.serve(1, 1.0));
        assert_eq!(edf.first(|_| true), Some(0));
        edf.serve(0, 1.0);
        assert_eq!(edf.first(|_| true), Some(1));
    }
}
