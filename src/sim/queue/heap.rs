//! A heap of four children per node for thousands of events, by time, then by insertion.
//!
//! What is compared lies apart from what is carried: the four times of a node's children fill half a
//! line of the processor's cache. The way down takes no branch that could be guessed wrong: whoever
//! is the earliest of four goes up until the hole is at the bottom, and the last event, which is
//! nearly always one of the latest, is put there and rises as far as it must (Wegener,
//! "Bottom-up-heapsort", Theoretical Computer Science 118, 1993).

use std::hint::select_unpredictable;

use crate::sim::event::Packed;
use crate::units::Nanos;

const CHILDREN: usize = 4;
/// Place of the first event: the last of the first brood, so that the children of the node at `place`
/// are the brood `place - 2`, whole.
const ROOT: usize = CHILDREN - 1;

/// What is carried: the number of the insertion, and the event.
type Load = (u64, Packed);

/// Times of the four children of a node; those that are not there are never due.
#[derive(Clone, Copy, Debug)]
#[repr(align(32))]
struct Brood([u64; CHILDREN]);

/// After every number of an insertion.
const NOBODY: u64 = u64::MAX;

/// The heap.
#[derive(Clone, Debug, Default)]
pub(super) struct Heap {
    times: Vec<Brood>,
    loads: Vec<[Load; CHILDREN]>,
    len: usize,
    /// Numbers the insertions.
    insertions: u64,
}

impl Heap {
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// When the next event is due; [`Nanos::MAX`] without one.
    pub(super) fn next_at(&self) -> Nanos {
        Nanos(self.times.first().map_or(u64::MAX, |brood| brood.0[ROOT]))
    }

    /// The next event, and the candidates for the one after it.
    #[inline(always)]
    pub(super) fn front(&self) -> Option<(Packed, impl Iterator<Item = Packed>)> {
        let second = self.loads.get(1).filter(|_| self.len > CHILDREN)?;
        Some((self.loads[0][ROOT].1, second.iter().map(|load| load.1)))
    }

    pub(super) fn push(&mut self, at: Nanos, event: Packed) {
        let place = ROOT + self.len;
        if place / CHILDREN == self.times.len() {
            self.times.push(Brood([u64::MAX; CHILDREN]));
            self.loads.push([(NOBODY, event); CHILDREN]);
        }
        self.len += 1;
        let load = (self.insertions, event);
        self.insertions += 1;
        self.rise(place, at.0, load);
    }

    pub(super) fn pop(&mut self) -> Option<(Nanos, Packed)> {
        if self.len == 0 {
            return None;
        }
        Some(self.take(ROOT))
    }

    /// Takes an event out of the middle; when it was due.
    pub(super) fn remove(&mut self, event: Packed) -> Option<Nanos> {
        let places = ROOT..ROOT + self.len;
        let place = places.into_iter().find(|place| self.load(*place).1 == event)?;
        Some(self.take(place).0)
    }

    /// Takes all events out, in order.
    pub(super) fn drain(&mut self) -> Vec<(Nanos, Packed)> {
        let mut all: Vec<(u64, Load)> =
            (ROOT..ROOT + self.len).map(|place| (self.time(place), self.load(place))).collect();
        all.sort_unstable_by_key(|(at, load)| (*at, load.0));
        self.times.clear();
        self.loads.clear();
        self.len = 0;
        all.into_iter().map(|(at, load)| (Nanos(at), load.1)).collect()
    }

    fn time(&self, place: usize) -> u64 {
        self.times[place / CHILDREN].0[place % CHILDREN]
    }

    fn load(&self, place: usize) -> Load {
        self.loads[place / CHILDREN][place % CHILDREN]
    }

    fn set(&mut self, place: usize, at: u64, load: Load) {
        self.times[place / CHILDREN].0[place % CHILDREN] = at;
        self.loads[place / CHILDREN][place % CHILDREN] = load;
    }

    /// Takes out what is at `place`.
    fn take(&mut self, place: usize) -> (Nanos, Packed) {
        let (at, (_, event)) = (self.time(place), self.load(place));
        self.len -= 1;
        let last = ROOT + self.len;
        let (last_at, last_load) = (self.time(last), self.load(last));
        if last.is_multiple_of(CHILDREN) || last == ROOT {
            self.times.pop();
            self.loads.pop();
        } else {
            self.set(last, u64::MAX, (NOBODY, event));
        }
        if place != last {
            let bottom = self.sink(place);
            self.rise(bottom, last_at, last_load);
        }
        (Nanos(at), event)
    }

    /// Lets the hole at `place` sink to the bottom; where it comes to rest.
    #[inline(always)]
    fn sink(&mut self, place: usize) -> usize {
        let mut hole = place;
        while let Some(Brood(times)) = self.times.get(hole - 2).copied() {
            let [a, b, c, d] = times;
            let left = select_unpredictable(b < a, 1, 0);
            let right = select_unpredictable(d < c, 3, 2);
            let (on_left, on_right) = (a.min(b), c.min(d));
            let mut first = select_unpredictable(on_right < on_left, right, left);
            if (a == b) | (c == d) | (on_left == on_right) {
                first = self.first_inserted(hole - 2);
            }
            let load = self.loads[hole - 2][first];
            self.set(hole, on_left.min(on_right), load);
            hole = CHILDREN * (hole - 2) + first;
        }
        hole
    }

    /// Which of a brood is first when two are due at once; nobody is after everybody.
    #[cold]
    fn first_inserted(&self, brood: usize) -> usize {
        let key = |child: &usize| (self.times[brood].0[*child], self.loads[brood][*child].0);
        (0..CHILDREN).min_by_key(key).unwrap_or(0)
    }

    /// Puts an event into the hole at `place`, or as far above as it must.
    fn rise(&mut self, place: usize, at: u64, load: Load) {
        let mut hole = place;
        while hole > ROOT {
            let parent = hole / CHILDREN + 2;
            let above = (self.time(parent), self.load(parent));
            if (above.0, above.1.0) < (at, load.0) {
                break;
            }
            self.set(hole, above.0, above.1);
            hole = parent;
        }
        self.set(hole, at, load);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::event::Event;
    use crate::units::{Purpose, Seed};

    #[test]
    fn few_events_leave_in_order_whoever_is_removed() {
        let mut draw = Seed::new(9, 0).draw(Purpose::Pick, 0, 0);
        for round in 0..4_000 {
            let mut heap = Heap::default();
            let mut list: Vec<(u64, u32)> = Vec::new();
            for number in 0..1 + round % 14 {
                let at = if draw.below(9) == 0 { u64::MAX } else { draw.below(6) };
                heap.push(Nanos(at), Event::User(number).into());
                list.push((at, number));
            }
            while list.len() > 1 && draw.below(3) > 0 {
                let (at, number) = list.remove(draw.below(list.len() as u64) as usize);
                assert_eq!(heap.remove(Event::User(number).into()), Some(Nanos(at)));
                assert_eq!(heap.remove(Event::User(number).into()), None);
            }
            list.sort_unstable();
            let expected = |&(at, number): &(u64, u32)| (Nanos(at), Event::User(number).into());
            let expected: Vec<(Nanos, Packed)> = list.iter().map(expected).collect();
            assert_eq!(heap.clone().drain(), expected);
            let popped: Vec<(Nanos, Packed)> = std::iter::from_fn(|| heap.pop()).collect();
            assert_eq!(popped, expected);
            assert_eq!((heap.len(), heap.next_at()), (0, Nanos::MAX));
        }
    }
}
