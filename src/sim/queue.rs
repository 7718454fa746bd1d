//! The event queue: by time, then by insertion.
//!
//! A model of a few servers keeps a handful of events, a model of thousands keeps thousands. Up
//! to [`SORTED_MAX`] events stand in an array sorted latest first, where the next one is popped
//! off the end and a new one is shifted into place: at these sizes that beats any heap, since
//! nothing is mispredicted but the length of one shift. Beyond that a heap of four children per
//! node takes over; only there the order of insertion must be written down.

use super::event::{Event, Packed};
use crate::units::Nanos;

/// Largest number of events kept sorted.
const SORTED_MAX: usize = 32;
/// The heap is sorted again when it has shrunk to this; far below the other bound, so that a
/// queue about that long does not change its form all the time.
const SORTED_AGAIN: usize = 8;
const CHILDREN: usize = 4;

/// Events in order of time; those of the same instant in order of insertion.
#[derive(Clone, Debug)]
pub(super) struct EventQueue {
    /// Latest first; empty while the heap is in use.
    sorted: Vec<(Nanos, Packed)>,
    heap: Vec<Node>,
    /// Numbers the insertions into the heap.
    insertions: u64,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    at: Nanos,
    insertion: u64,
    event: Packed,
}

impl Node {
    #[inline]
    fn before(&self, other: &Self) -> bool {
        (self.at, self.insertion) < (other.at, other.insertion)
    }
}

impl EventQueue {
    /// An empty queue.
    pub(super) fn new() -> Self {
        Self { sorted: Vec::with_capacity(SORTED_MAX + 1), heap: Vec::new(), insertions: 0 }
    }

    /// When the next event is due; [`Nanos::MAX`] without one.
    #[inline]
    pub(super) fn next_at(&self) -> Nanos {
        match self.sorted.last() {
            Some((at, _)) => *at,
            None => self.heap.first().map_or(Nanos::MAX, |node| node.at),
        }
    }

    /// Adds an event.
    #[inline(always)]
    pub(super) fn push(&mut self, at: Nanos, event: Event) {
        let event = Packed::from(event);
        if self.heap.is_empty() && self.sorted.len() < SORTED_MAX {
            self.insert_sorted(at, event);
        } else {
            self.push_heap(at, event);
        }
    }

    /// Takes the next event.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<(Nanos, Packed)> {
        match self.sorted.pop() {
            Some(next) => Some(next),
            None => self.pop_heap(),
        }
    }

    #[inline(always)]
    fn insert_sorted(&mut self, at: Nanos, event: Packed) {
        // The newest of an instant goes in front of (is popped after) those already there.
        self.sorted.push((at, event));
        let entries = self.sorted.as_mut_slice();
        let mut place = entries.len() - 1;
        while let Some(before) = place.checked_sub(1)
            && entries[before].0 <= at
        {
            entries[place] = entries[before];
            place = before;
        }
        entries[place] = (at, event);
    }

    #[inline(never)]
    fn push_heap(&mut self, at: Nanos, event: Packed) {
        if self.heap.is_empty() {
            // Earliest first, the array is a heap already.
            for (at, event) in self.sorted.drain(..).rev() {
                self.heap.push(Node { at, insertion: self.insertions, event });
                self.insertions += 1;
            }
        }
        self.heap.push(Node { at, insertion: self.insertions, event });
        self.insertions += 1;
        self.sift_up(self.heap.len() - 1);
    }

    #[inline(never)]
    fn pop_heap(&mut self) -> Option<(Nanos, Packed)> {
        let last = self.heap.pop()?;
        let next = match self.heap.first_mut() {
            Some(root) => std::mem::replace(root, last),
            None => last,
        };
        self.sift_down();
        if self.heap.len() <= SORTED_AGAIN {
            self.heap.sort_unstable_by_key(|node| std::cmp::Reverse((node.at, node.insertion)));
            self.sorted.extend(self.heap.drain(..).map(|node| (node.at, node.event)));
        }
        Some((next.at, next.event))
    }

    fn sift_up(&mut self, mut place: usize) {
        let entry = self.heap[place];
        while place > 0 {
            let parent = (place - 1) / CHILDREN;
            if !entry.before(&self.heap[parent]) {
                break;
            }
            self.heap[place] = self.heap[parent];
            place = parent;
        }
        self.heap[place] = entry;
    }

    fn sift_down(&mut self) {
        let Some(&entry) = self.heap.first() else { return };
        let mut place = 0;
        loop {
            let first = place * CHILDREN + 1;
            let last = (first + CHILDREN).min(self.heap.len());
            let Some(least) = (first..last).reduce(|least, child| {
                if self.heap[child].before(&self.heap[least]) { child } else { least }
            }) else {
                break;
            };
            if !self.heap[least].before(&entry) {
                break;
            }
            self.heap[place] = self.heap[least];
            place = least;
        }
        self.heap[place] = entry;
    }
}

/// The hold model by which event queues are compared (Jones, "An empirical comparison of
/// priority-queue and event-set implementations", Communications of the ACM 29, 1986): with `events`
/// in the queue, takes the next and adds one that is later by the next of `gaps` (ns, in turn),
/// `times` over. For benches; returns the last instant.
#[doc(hidden)]
#[must_use]
pub fn hold(events: u32, times: u64, gaps: &[u64]) -> Nanos {
    let mut queue = EventQueue::new();
    let mut gaps = gaps.iter().copied().cycle();
    let mut gap = || gaps.next().unwrap_or(1);
    for number in 0..events {
        queue.push(Nanos(gap()), Event::User(number));
    }
    let mut last = Nanos::ZERO;
    for _ in 0..times {
        let Some((at, event)) = queue.pop() else { break };
        last = at;
        queue.push(Nanos(at.0 + gap()), event.into());
    }
    last
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
                queue.push(Nanos(at), Event::User(number));
                list.push((at, number));
            } else {
                let (at, number) = list.iter().copied().min().expect("the list is not empty");
                assert_eq!(queue.pop(), Some((Nanos(at), Event::User(number).into())));
                list.retain(|entry| *entry != (at, number));
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
