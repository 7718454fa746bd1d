//! The event queue: by time, then by insertion.
//!
//! A model of a few servers keeps a handful of events, a model of thousands keeps thousands. Up
//! to [`SORTED_MAX`] events stand in an array sorted latest first, where the next one is popped
//! off the end and a new one is shifted into place: at these sizes that beats any heap, since
//! nothing is mispredicted but the length of one shift. Beyond that the same array becomes a heap
//! of four children per node.

use crate::units::Nanos;

/// Largest number of events kept sorted; found by measurement, flat between 16 and 64.
const SORTED_MAX: usize = 32;
/// The array is sorted again when a heap has shrunk to this; far below the other bound, so that
/// a queue about that long does not change its form all the time.
const SORTED_AGAIN: usize = 8;
const CHILDREN: usize = 4;

#[derive(Clone, Copy, Debug)]
struct Entry<E> {
    at: Nanos,
    insertion: u64,
    event: E,
}

impl<E> Entry<E> {
    fn before(&self, other: &Self) -> bool {
        (self.at, self.insertion) < (other.at, other.insertion)
    }
}

/// Events in order of time; those of the same instant in order of insertion.
#[derive(Clone, Debug)]
pub(super) struct EventQueue<E> {
    entries: Vec<Entry<E>>,
    insertions: u64,
    heap: bool,
}

impl<E: Copy> EventQueue<E> {
    /// An empty queue.
    pub(super) fn new() -> Self {
        Self { entries: Vec::with_capacity(2 * SORTED_MAX), insertions: 0, heap: false }
    }

    /// When the next event is due; [`Nanos::MAX`] without one.
    #[inline]
    pub(super) fn next_at(&self) -> Nanos {
        let next = if self.heap { self.entries.first() } else { self.entries.last() };
        next.map_or(Nanos::MAX, |entry| entry.at)
    }

    /// Adds an event.
    #[inline]
    pub(super) fn push(&mut self, at: Nanos, event: E) {
        let entry = Entry { at, insertion: self.insertions, event };
        self.insertions += 1;
        if self.heap {
            self.entries.push(entry);
            self.sift_up(self.entries.len() - 1);
        } else {
            self.insert_sorted(entry);
        }
    }

    /// Takes the next event.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<(Nanos, E)> {
        if self.heap {
            return self.pop_heap();
        }
        self.entries.pop().map(|entry| (entry.at, entry.event))
    }

    #[inline]
    fn insert_sorted(&mut self, entry: Entry<E>) {
        // The newest of an instant goes in front of (is popped after) those already there, so
        // only strictly later entries keep their place.
        let mut place = self.entries.len();
        self.entries.push(entry);
        while place > 0 && self.entries[place - 1].at <= entry.at {
            self.entries[place] = self.entries[place - 1];
            place -= 1;
        }
        self.entries[place] = entry;
        if self.entries.len() > SORTED_MAX {
            self.entries.reverse();
            self.heap = true;
        }
    }

    fn pop_heap(&mut self) -> Option<(Nanos, E)> {
        let last = self.entries.pop()?;
        let next = match self.entries.first_mut() {
            Some(root) => std::mem::replace(root, last),
            None => last,
        };
        self.sift_down();
        if self.entries.len() <= SORTED_AGAIN {
            self.entries
                .sort_unstable_by_key(|entry| std::cmp::Reverse((entry.at, entry.insertion)));
            self.heap = false;
        }
        Some((next.at, next.event))
    }

    fn sift_up(&mut self, mut place: usize) {
        let entry = self.entries[place];
        while place > 0 {
            let parent = (place - 1) / CHILDREN;
            if !entry.before(&self.entries[parent]) {
                break;
            }
            self.entries[place] = self.entries[parent];
            place = parent;
        }
        self.entries[place] = entry;
    }

    fn sift_down(&mut self) {
        let Some(&entry) = self.entries.first() else { return };
        let mut place = 0;
        loop {
            let first = place * CHILDREN + 1;
            let last = (first + CHILDREN).min(self.entries.len());
            let Some(least) = (first..last).reduce(|least, child| {
                if self.entries[child].before(&self.entries[least]) { child } else { least }
            }) else {
                break;
            };
            if !self.entries[least].before(&entry) {
                break;
            }
            self.entries[place] = self.entries[least];
            place = least;
        }
        self.entries[place] = entry;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{Purpose, Seed};

    /// Pushes and pops at random and checks each pop against a plain list.
    fn check_against_a_list(longest: usize, range: u64) {
        let mut queue = EventQueue::new();
        let mut list: Vec<(u64, u32)> = Vec::new();
        let mut draw = Seed::new(3, 0).draw(Purpose::Pick, longest as u64, 0);
        for number in 0..20_000u32 {
            let grow = list.len() < longest && draw.below(100) < 55;
            if grow || list.is_empty() {
                let at = draw.below(range);
                queue.push(Nanos(at), number);
                list.push((at, number));
            } else {
                let (at, event) = queue.pop().expect("the list is not empty");
                let first = list.iter().copied().min().expect("the list is not empty");
                assert_eq!((at.0, event), first);
                list.retain(|entry| *entry != first);
            }
            let first = list.iter().min().map_or(Nanos::MAX, |entry| Nanos(entry.0));
            assert_eq!(queue.next_at(), first);
        }
    }

    #[test]
    fn pops_by_time_then_by_insertion_while_sorted() {
        check_against_a_list(20, 10);
        check_against_a_list(20, 1_000_000);
    }

    #[test]
    fn pops_by_time_then_by_insertion_as_a_heap_and_across_the_change() {
        check_against_a_list(200, 50);
        check_against_a_list(200, 1_000_000);
        check_against_a_list(40, 1_000);
    }
}
