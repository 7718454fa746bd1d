//! The event queue: by time, then by insertion.
//!
//! A model of a few servers keeps a handful of events, a model of thousands keeps thousands. A few
//! stand in an array in order of time, where the next one is taken off the front. A new one is nearly
//! always one of the latest, and shifted into place from the end, or where others are due much later
//! (faults to come, users who think) one of the earliest, and shifted into place from the front: at
//! these sizes that beats any heap, since nothing is mispredicted, not even the length of the shift.
//! The events move through the array and are moved back when they reach its end; if they are many by
//! then a heap takes over. Only there the order of insertion must be written down.

mod heap;

use self::heap::Heap;
use super::event::{Event, Packed};
use crate::units::Nanos;

/// Most events that stay in the array when its end is reached.
const SORTED_MAX: usize = 32;
/// The heap is sorted again when it has shrunk to this; far below the other bound, so that a
/// queue about that long does not change its form all the time.
const SORTED_AGAIN: usize = 8;
/// Largest number of events among which one is searched that has become void.
const SEARCHED_MAX: usize = 128;

/// Entries that an insertion looks at and moves, always all of them: a loop that ends where the new
/// event belongs ends somewhere else each time, and what the processor guessed wrong costs more.
const STEP: usize = 6;
/// The same from the front. So many places before the first event hold what is no later than anything.
const FRONT_STEP: usize = 8;
/// Where the first event stands when the events have been moved back; what is before it is room for
/// insertions at the front.
const START: usize = 3 * FRONT_STEP;
/// Places that the events pass through on their way; the more, the less often they are moved back.
const ROOM: usize = 128;
/// One insertion looks at entries before the first event, and moves entries behind the last.
const LENGTH: usize = ROOM + FRONT_STEP + 1;
const _: () = assert!(STEP < FRONT_STEP && FRONT_STEP < START && ROOM.is_power_of_two());
const _: () = assert!(START + SORTED_MAX <= ROOM / 2);

/// An event and when it is due.
type Entry = (Nanos, Packed);

/// Events in order of time; those of the same instant in order of insertion.
#[derive(Clone, Debug)]
pub(super) struct EventQueue {
    /// Those from `first` to `end`, and behind them one that is never due. What stands before them is
    /// over, and no later than anything.
    sorted: [Entry; LENGTH],
    /// While the heap is in use both are [`IN_HEAP`], where the time of the heap's first stands, so
    /// that whoever asks for the next time looks at the first place whatever the form. An array that
    /// becomes empty there is an empty heap.
    first: usize,
    end: usize,
    heap: Heap,
}

const IN_HEAP: usize = ROOM - 1;

impl EventQueue {
    /// An empty queue.
    pub(super) fn new() -> Self {
        let mut sorted = [NEVER; LENGTH];
        sorted[..START].fill((Nanos::ZERO, NEVER.1));
        Self { sorted, first: START, end: START, heap: Heap::default() }
    }

    /// When the next event is due; [`Nanos::MAX`] without one.
    #[inline(always)]
    pub(super) fn next_at(&self) -> Nanos {
        self.sorted[self.first % ROOM].0
    }

    /// Adds an event.
    #[inline(always)]
    pub(super) fn push(&mut self, at: Nanos, event: Event) {
        let event = Packed::from(event);
        if self.end >= IN_HEAP {
            return self.push_otherwise(at, event);
        }
        let from = (self.end - STEP) % ROOM;
        self.end += 1;
        let mut later = 0;
        for entry in &self.sorted[from..from + STEP] {
            later += usize::from(entry.0 > at);
        }
        if later == STEP {
            return self.insert_early(at, event);
        }
        // The newest of an instant goes behind those already there.
        let place = from + STEP - later;
        let mut moved = [NEVER; STEP];
        moved.copy_from_slice(&self.sorted[place..place + STEP]);
        self.sorted[place + 1..place + 1 + STEP].copy_from_slice(&moved);
        self.sorted[place] = (at, event);
        self.sorted[self.end].0 = Nanos::MAX;
    }

    /// Takes the next event.
    #[inline(always)]
    pub(super) fn pop(&mut self) -> Option<Entry> {
        if self.first >= self.end {
            return self.pop_heap();
        }
        let place = self.first % ROOM;
        let next = self.sorted[place];
        self.sorted[place].0 = Nanos::ZERO;
        self.first += 1;
        Some(next)
    }

    /// The next event, and the candidates for the one after it, if there are so many events that they
    /// stand in the heap.
    #[inline(always)]
    pub(super) fn crowd(&self) -> Option<(Packed, impl Iterator<Item = Packed>)> {
        if self.first != IN_HEAP {
            return None;
        }
        self.heap.front()
    }

    /// Takes back an event that has become void; when it was due. Not from among very many events,
    /// since they are searched one by one; whoever takes a void event sees that it is.
    pub(super) fn withdraw(&mut self, event: Event) -> Option<Nanos> {
        let event = Packed::from(event);
        if self.first == IN_HEAP {
            return self.withdraw_from_heap(event);
        }
        let queued = &self.sorted[self.first..self.end];
        let place = self.first + queued.iter().position(|entry| entry.1 == event)?;
        let (at, _) = self.sorted[place];
        // With the entry behind the last, which is never due.
        self.sorted.copy_within(place + 1..=self.end, place);
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

    /// Inserts an event that is due before [`STEP`] others at least; the end is behind the room for it
    /// already.
    #[inline(never)]
    fn insert_early(&mut self, at: Nanos, event: Packed) {
        if self.insert_from_front(at, event) {
            self.end -= 1;
            return;
        }
        let mut place = self.end - 1;
        while place > self.first && self.sorted[place - 1].0 > at {
            self.sorted[place] = self.sorted[place - 1];
            place -= 1;
        }
        self.sorted[place] = (at, event);
        self.sorted[self.end].0 = Nanos::MAX;
    }

    /// Inserts an event where at least [`FRONT_STEP`] stand and fewer of them are due no later than it,
    /// if there is room before the first; whether it did.
    #[inline(always)]
    fn insert_from_front(&mut self, at: Nanos, event: Packed) -> bool {
        let from = self.first % ROOM;
        if self.end - 1 - from < FRONT_STEP || from <= FRONT_STEP {
            return false;
        }
        let mut earlier = 0;
        for entry in &self.sorted[from..from + FRONT_STEP] {
            earlier += usize::from(entry.0 <= at);
        }
        if earlier == FRONT_STEP {
            return false;
        }
        // The places before the first are zero, and stay so.
        let place = from - 1 + earlier;
        let window = place - FRONT_STEP;
        let mut moved = [NEVER; FRONT_STEP];
        moved.copy_from_slice(&self.sorted[window + 1..=place]);
        self.sorted[window..place].copy_from_slice(&moved);
        self.sorted[place] = (at, event);
        self.first -= 1;
        true
    }

    /// Adds an event where the end of the array is reached, or the heap in use.
    #[inline(never)]
    fn push_otherwise(&mut self, at: Nanos, event: Packed) {
        if self.first != IN_HEAP {
            let queued = self.first..self.end;
            if queued.len() <= SORTED_MAX {
                self.sorted.copy_within(queued.clone(), START);
                (self.first, self.end) = (START, START + queued.len());
                self.sorted[..START].fill((Nanos::ZERO, NEVER.1));
                self.sorted[self.end].0 = Nanos::MAX;
                return self.push(at, event.into());
            }
            // Earliest first, so that each stays where it is put.
            for &(at, event) in &self.sorted[queued] {
                self.heap.push(at, event);
            }
            (self.first, self.end) = (IN_HEAP, IN_HEAP);
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
        if self.heap.len() > SORTED_AGAIN {
            return self.show_first();
        }
        (self.first, self.end) = (START, START);
        self.sorted[..START].fill((Nanos::ZERO, NEVER.1));
        for entry in self.heap.drain() {
            self.sorted[self.end] = entry;
            self.end += 1;
        }
        self.sorted[self.end].0 = Nanos::MAX;
    }

    /// Keeps the time of the first in the heap where [`Self::next_at`] looks.
    #[inline]
    fn show_first(&mut self) {
        self.sorted[IN_HEAP].0 = self.heap.next_at();
    }
}

/// What stands behind the last event.
const NEVER: Entry = (Nanos::MAX, Packed::NONE);

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
        for range in [1, 10, 1_000_000] {
            (1..=20).for_each(|longest| check_against_a_list(longest, range));
        }
    }

    /// Pushes near and far events, some never due, withdraws some, and checks all against a list.
    #[test]
    fn what_is_due_late_or_withdrawn_puts_nothing_out_of_order() {
        for longest in [3, 10, 30, 60, 200] {
            let mut queue = EventQueue::new();
            let mut list: Vec<(u64, u32)> = Vec::new();
            let mut draw = Seed::new(5, 0).draw(Purpose::Pick, longest, 0);
            let mut now = 0;
            for number in 0..20_000u32 {
                // Now and then all of them are taken.
                let what = if number % 500 < 450 { draw.below(100) } else { 99 };
                if list.is_empty() || (what < 52 && (list.len() as u64) < longest) {
                    let at = match draw.below(50) {
                        0 => u64::MAX,
                        1..25 => now + 1_000 + draw.below(1_000),
                        _ => now + draw.below(20),
                    };
                    queue.push(Nanos(at), Event::User(number));
                    list.push((at, number));
                } else if what < 60 {
                    let place = draw.below(list.len() as u64) as usize;
                    let (at, number) = list[place];
                    if let Some(found) = queue.withdraw(Event::User(number)) {
                        assert_eq!(found, Nanos(at));
                        list.remove(place);
                    }
                } else {
                    let (at, number) = list.iter().copied().min().expect("there are some");
                    assert_eq!(queue.pop(), Some((Nanos(at), Event::User(number).into())));
                    list.retain(|entry| entry.1 != number);
                    now = if at == u64::MAX { now } else { at };
                }
                let first = list.iter().min().map_or(Nanos::MAX, |entry| Nanos(entry.0));
                assert_eq!(queue.next_at(), first);
            }
        }
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
