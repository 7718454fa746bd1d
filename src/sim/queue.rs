//! The event queue: by time, then by insertion.
//!
//! A model of a few servers keeps a handful of events, a model of thousands keeps thousands. Up
//! to [`SORTED_MAX`] events stand in an array sorted latest first, where the next one is popped
//! off the end and a new one is shifted into place: at these sizes that beats any heap, since
//! nothing is mispredicted, not even the length of the shift. Beyond that a heap of four children per
//! node takes over; only there the order of insertion must be written down.

mod heap;

use self::heap::Heap;
use super::event::{Event, Packed};
use crate::units::Nanos;

/// Largest number of events kept sorted.
const SORTED_MAX: usize = 32;
/// The heap is sorted again when it has shrunk to this; far below the other bound, so that a
/// queue about that long does not change its form all the time.
const SORTED_AGAIN: usize = 8;
/// Largest number of events among which one is searched that has become void.
const SEARCHED_MAX: usize = 128;

/// Entries that an insertion looks at and moves, always all of them: a loop that ends where the new
/// event belongs ends somewhere else each time, and what the processor guessed wrong costs more.
const STEP: usize = 8;
/// Those that it looks at and moves if the first were too few; so many are before the first event.
const MARGIN: usize = 2 * STEP;
/// Length of the array. The entries with a margin on either side fill at most half of it, so that a
/// place of which the compiler knows no more than that it is in the first half needs no check.
const ROOM: usize = 128;
const _: () = assert!(2 * MARGIN + SORTED_MAX <= ROOM / 2 && ROOM.is_power_of_two());

/// The end of the array while the heap is in use.
const IN_HEAP: usize = ROOM;

/// An event and when it is due.
type Entry = (Nanos, Packed);

/// Events in order of time; those of the same instant in order of insertion.
#[derive(Clone, Debug)]
pub(super) struct EventQueue {
    /// Those from [`MARGIN`] to `end`, latest first. What stands before them is never due, what stands
    /// behind them is over.
    sorted: [Entry; ROOM],
    /// [`IN_HEAP`] while the heap is in use; then the entry before it has the time of the heap's
    /// first, so that whoever asks for the next time looks before the end whatever the form.
    end: usize,
    heap: Heap,
}

impl EventQueue {
    /// An empty queue.
    pub(super) fn new() -> Self {
        let never = (Nanos::MAX, Packed::from(Event::Second));
        Self { sorted: [never; ROOM], end: MARGIN, heap: Heap::default() }
    }

    /// When the next event is due; [`Nanos::MAX`] without one.
    #[inline(always)]
    pub(super) fn next_at(&self) -> Nanos {
        self.sorted[(self.end - 1) % ROOM].0
    }

    /// Adds an event.
    #[inline(always)]
    pub(super) fn push(&mut self, at: Nanos, event: Event) {
        let event = Packed::from(event);
        if self.end < MARGIN + SORTED_MAX {
            self.insert_sorted(at, event);
        } else {
            self.push_heap(at, event);
        }
    }

    /// Takes the next event.
    #[inline(always)]
    pub(super) fn pop(&mut self) -> Option<Entry> {
        // One comparison: below the margin the difference is a very large number.
        let last = self.end.wrapping_sub(1);
        if last.wrapping_sub(MARGIN) >= SORTED_MAX {
            return self.pop_heap();
        }
        self.end = last;
        Some(self.sorted[last % ROOM])
    }

    /// The next event and those of which the one after it is one, if there are so many that they stand
    /// in the heap; else none.
    #[inline(always)]
    pub(super) fn crowd(&self) -> Option<(Packed, impl Iterator<Item = Packed>)> {
        if self.end != IN_HEAP {
            return None;
        }
        self.heap.front()
    }

    /// Takes back an event that has become void; when it was due. Not from among very many events,
    /// since they are searched one by one; whoever takes a void event sees that it is.
    pub(super) fn withdraw(&mut self, event: Event) -> Option<Nanos> {
        let event = Packed::from(event);
        if self.end == IN_HEAP {
            return self.withdraw_from_heap(event);
        }
        let queued = &self.sorted[MARGIN..self.end];
        let place = MARGIN + queued.iter().rposition(|entry| entry.1 == event)?;
        let (at, _) = self.sorted[place];
        self.sorted.copy_within(place + 1..self.end, place);
        self.end -= 1;
        Some(at)
    }

    #[inline(never)]
    fn withdraw_from_heap(&mut self, event: Packed) -> Option<Nanos> {
        if self.heap.len() > SEARCHED_MAX {
            return None;
        }
        let at = self.heap.remove(event)?;
        self.sort_again();
        Some(at)
    }

    #[inline(always)]
    fn insert_sorted(&mut self, at: Nanos, event: Packed) {
        self.end += 1;
        if !self.insert_among::<STEP>(at, event) {
            self.insert_far(at, event);
        }
    }

    /// Inserts an event if fewer than `N` others are due before it; whether they are. The end is
    /// behind the room for it already.
    #[inline(always)]
    fn insert_among<const N: usize>(&mut self, at: Nanos, event: Packed) -> bool {
        // The newest of an instant goes in front of (is popped after) those already there.
        let from = (self.end - 1 - N) % (ROOM / 2);
        let mut place = from + N;
        for entry in &self.sorted[from..from + N] {
            place -= usize::from(entry.0 <= at);
        }
        if place == from {
            return false;
        }
        // What is never due may have been counted with those of the same instant.
        let place = place.max(MARGIN) % (ROOM / 2);
        let mut moved = [(Nanos::MAX, event); N];
        moved.copy_from_slice(&self.sorted[place..place + N]);
        self.sorted[place + 1..place + 1 + N].copy_from_slice(&moved);
        self.sorted[place] = (at, event);
        true
    }

    /// Inserts an event before which at least [`STEP`] others are due.
    #[inline(never)]
    fn insert_far(&mut self, at: Nanos, event: Packed) {
        if self.insert_among::<MARGIN>(at, event) {
            return;
        }
        let mut place = self.end - 1;
        while place > MARGIN && self.sorted[place - 1].0 <= at {
            self.sorted[place] = self.sorted[place - 1];
            place -= 1;
        }
        self.sorted[place] = (at, event);
    }

    #[inline(never)]
    fn push_heap(&mut self, at: Nanos, event: Packed) {
        if self.end != IN_HEAP {
            // Earliest first, so that each stays where it is put.
            for &(at, event) in self.sorted[MARGIN..self.end].iter().rev() {
                self.heap.push(at, event);
            }
            self.end = IN_HEAP;
        }
        self.heap.push(at, event);
        self.show_first();
    }

    #[inline(never)]
    fn pop_heap(&mut self) -> Option<Entry> {
        let next = self.heap.pop()?;
        self.sort_again();
        Some(next)
    }

    /// The heap has become shorter: it may be short enough for the array again.
    #[inline]
    fn sort_again(&mut self) {
        if self.heap.len() <= SORTED_AGAIN {
            self.end = MARGIN;
            for entry in self.heap.drain() {
                self.sorted[self.end] = entry;
                self.end += 1;
            }
        }
        self.show_first();
    }

    /// Keeps the time of the first in the heap where [`Self::next_at`] looks.
    #[inline]
    fn show_first(&mut self) {
        self.sorted[IN_HEAP - 1].0 = self.heap.next_at();
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
    fn what_is_withdrawn_is_never_popped() {
        [20, 60, 120].into_iter().for_each(check_withdrawn);
    }

    fn check_withdrawn(events: u32) {
        let mut queue = EventQueue::new();
        let push = |number| queue.push(Nanos(u64::from(number / 3)), Event::User(number));
        (0..events).for_each(push);
        for number in (0..events).filter(|number| number % 2 == 0) {
            let at = Nanos(u64::from(number / 3));
            assert_eq!(queue.withdraw(Event::User(number)), Some(at));
            assert_eq!(queue.withdraw(Event::User(number)), None);
        }
        for number in (0..events).filter(|number| number % 2 == 1) {
            let at = Nanos(u64::from(number / 3));
            assert_eq!(queue.pop(), Some((at, Event::User(number).into())));
        }
        assert_eq!(queue.next_at(), Nanos::MAX);
        assert_eq!(queue.pop(), None);
    }

    #[test]
    fn pops_by_time_then_by_insertion_as_a_heap_and_across_the_change() {
        check_against_a_list(200, 50);
        check_against_a_list(200, 1_000_000);
        check_against_a_list(40, 1_000);
    }
}
