//! When requests in flight have waited long enough.

use std::collections::VecDeque;

use super::connection::Place;
use crate::units::Nanos;

/// Deadlines in order. All requests have the same time-out, so a new one nearly always comes last;
/// one that ended is forgotten once it stands in front.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    queue: VecDeque<(Nanos, Place)>,
}

impl Deadlines {
    /// `place` is to be looked at by `at`. `is_over` tells what no longer matters.
    pub(super) fn add(&mut self, at: Nanos, place: Place, is_over: impl Fn(Place) -> bool) {
        while self.queue.front().is_some_and(|&(_, place)| is_over(place)) {
            self.queue.pop_front();
        }
        let behind = self.queue.iter().rev().take_while(|(other, _)| *other > at).count();
        self.queue.insert(self.queue.len() - behind, (at, place));
    }

    /// The next one to look at.
    pub(super) fn next(&self) -> Option<Nanos> {
        self.queue.front().map(|&(at, _)| at)
    }

    /// Takes the next one that is not behind `now`.
    pub(super) fn pop(&mut self, now: Nanos) -> Option<Place> {
        if self.next()? > now {
            return None;
        }
        self.queue.pop_front().map(|(_, place)| place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_come_in_order_and_those_that_ended_are_forgotten() {
        let place = |slot| Place { slot, generation: 0 };
        let mut deadlines = Deadlines::default();
        for (at, slot) in [(5, 1), (7, 2), (6, 3), (9, 4)] {
            deadlines.add(Nanos(at), place(slot), |_| false);
        }
        deadlines.add(Nanos(10), place(5), |over| over.slot == 1);
        assert_eq!(deadlines.next(), Some(Nanos(6)));
        assert_eq!(deadlines.pop(Nanos(5)), None);
        let taken: Vec<u32> =
            std::iter::from_fn(|| deadlines.pop(Nanos(9))).map(|place| place.slot).collect();
        assert_eq!(taken, [3, 2, 4]);
    }
}
