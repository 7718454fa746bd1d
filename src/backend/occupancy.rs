//! How long the workers of a queue were occupied, all of them together.
//!
//! What is still being served counts up to the instant of reading: services may be longer than the
//! time between two readings, and a counter that only knew of ended ones would show an idle worker
//! first and more than one worker's time afterwards.

use crate::units::{Nanos, Span};

/// The time that workers were occupied; never falls.
#[derive(Debug, Default)]
pub(super) struct Occupancy {
    /// Of services that ended, in nanoseconds.
    ended: u128,
    /// Services that last.
    lasting: u64,
    /// Sum of their beginnings, in nanoseconds.
    beginnings: u128,
    shown: Span,
}

impl Occupancy {
    /// A worker is occupied from `start`.
    pub(super) fn begins(&mut self, start: Nanos) {
        self.lasting += 1;
        self.beginnings += u128::from(start.0);
    }

    /// The worker that was occupied at `start` is free from `end`.
    pub(super) fn ends(&mut self, start: Nanos, end: Nanos) {
        self.lasting -= 1;
        self.beginnings -= u128::from(start.0);
        self.ended += u128::from(end.since(start).0);
    }

    /// The time until `now`. A worker that woke late gives back what it had not worked, so the sum
    /// may be smaller than the one shown before by that; then that is shown again.
    pub(super) fn until(&mut self, now: Nanos) -> Span {
        let lasting = u128::from(self.lasting) * u128::from(now.0);
        let sum = self.ended + lasting.saturating_sub(self.beginnings);
        self.shown = self.shown.max(Span(u64::try_from(sum).unwrap_or(u64::MAX)));
        self.shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lasts_counts_up_to_the_reading() {
        let mut occupancy = Occupancy::default();
        occupancy.begins(Nanos(100));
        occupancy.begins(Nanos(150));
        assert_eq!(occupancy.until(Nanos(200)), Span(150));
        occupancy.ends(Nanos(100), Nanos(220));
        assert_eq!(occupancy.until(Nanos(250)), Span(120 + 100));
        occupancy.ends(Nanos(150), Nanos(260));
        assert_eq!(occupancy.until(Nanos(900)), Span(120 + 110));
    }

    #[test]
    fn a_late_worker_does_not_let_the_counter_fall() {
        let mut occupancy = Occupancy::default();
        occupancy.begins(Nanos(100));
        assert_eq!(occupancy.until(Nanos(205)), Span(105));
        occupancy.ends(Nanos(100), Nanos(200));
        assert_eq!(occupancy.until(Nanos(210)), Span(105));
    }
}
