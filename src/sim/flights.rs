//! All requests in flight, in slots that are used again.
//!
//! A slot holds a whole [`Flight`], or in short a [`Plain`] one. Whoever asks for the flight in a
//! slot gets the whole one, and the program stops if it is still plain: nobody acts on a flight that
//! he believes to be as he left it last. Plain ones are shown by [`Flights::find`], which the event of
//! an answer asks, and [`Flights::plain`], which `World::unfold` asks to make them whole.

use std::ops::{Index, IndexMut};

use super::flight::{Flight, NO_TWIN, Phase};
use super::plain::Plain;
use super::prefetch;
use super::station::Owner;
use crate::policy::{Attempt, PeerId};
use crate::units::Nanos;

/// All flights.
#[derive(Debug)]
pub(super) struct Flights {
    slots: Vec<Slot>,
    /// The whole flight of each slot, if it holds one.
    whole: Vec<Option<Flight>>,
    /// The slot that was given back last, from which the other free ones follow.
    free: u32,
    /// Slots in use.
    taken: usize,
    /// Flights that are the second of a request.
    twins: usize,
}

/// No slot is free.
const NONE_FREE: u32 = u32::MAX;

/// What the event of an answer must know of a slot. Apart from the whole flights, so that those in
/// use lie side by side, each in one line of the processor's cache.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Slot {
    /// The flight, if it is plain.
    plain: Option<Plain>,
    /// Number of the newest plan; counts on over the slot's flights, so that no old event fits.
    plan: u32,
    /// While it is free, the one that was given back before it.
    before: u32,
}

const _: () = assert!(size_of::<Slot>() == 64, "a slot fills one line");

/// What an event finds in its slot.
pub(super) enum Found<'f> {
    /// Another plan than its own.
    Nothing,
    /// A plain flight, whose answer it is.
    Plain(&'f Plain),
    /// A whole flight, or none any more.
    Whole,
}

impl Flights {
    /// None.
    pub(super) const fn new() -> Self {
        Self { slots: Vec::new(), whole: Vec::new(), free: NONE_FREE, taken: 0, twins: 0 }
    }

    /// A free slot, to be taken at once by [`Self::fill`] or [`Self::launch`].
    #[inline]
    pub(super) fn reserve(&mut self) -> u32 {
        self.taken += 1;
        let slot = self.free;
        match self.slots.get(slot as usize) {
            Some(free) => {
                self.free = free.before;
                slot
            }
            None => self.add_slot(),
        }
    }

    #[inline(always)]
    fn release(&mut self, slot: u32) {
        self.slots[slot as usize].before = std::mem::replace(&mut self.free, slot);
        self.taken -= 1;
    }

    /// A free slot for the second attempt of a request.
    pub(super) fn reserve_twin(&mut self) -> u32 {
        self.twins += 1;
        self.reserve()
    }

    #[cold]
    fn add_slot(&mut self) -> u32 {
        self.slots.push(Slot::default());
        self.whole.push(None);
        self.slots.len() as u32 - 1
    }

    /// Puts a plain flight into a slot that was reserved; the number of its plan, which is its
    /// answer.
    #[inline(always)]
    pub(super) fn launch(&mut self, slot: u32, plain: Plain) -> u32 {
        let slot = &mut self.slots[slot as usize];
        slot.plan = slot.plan.wrapping_add(1);
        slot.plain = Some(plain);
        slot.plan
    }

    /// A slot that was reserved is not needed.
    pub(super) fn give_back(&mut self, slot: u32) {
        self.release(slot);
    }

    /// Puts a whole flight into a slot, where none or the same in short is; the plan stays.
    pub(super) fn fill(&mut self, slot: u32, flight: Flight) {
        self.slots[slot as usize].plain = None;
        self.whole[slot as usize] = Some(flight);
    }

    /// What plan number `plan` finds.
    #[inline(always)]
    pub(super) fn find(&self, slot: u32, plan: u32) -> Found<'_> {
        let slot = &self.slots[slot as usize];
        match &slot.plain {
            _ if slot.plan != plan => Found::Nothing,
            Some(plain) => Found::Plain(plain),
            None => Found::Whole,
        }
    }

    /// Has the processor fetch what the event of an answer in this slot reads first.
    #[inline(always)]
    pub(super) fn fetch(&self, slot: u32) {
        prefetch::line_of(self.slots.get(slot as usize));
    }

    /// The flight in a slot, if it is plain.
    #[inline]
    pub(super) fn plain(&self, slot: u32) -> Option<&Plain> {
        self.slots[slot as usize].plain.as_ref()
    }

    /// The slots of the plain flights that `peer` has.
    pub(super) fn plain_at(&self, peer: PeerId) -> Vec<u32> {
        let plain = |slot: &Slot| slot.plain.is_some_and(|plain| plain.first.peer() == peer);
        let slots = self.slots.iter().enumerate();
        slots.filter(|(_, slot)| plain(slot)).map(|(number, _)| number as u32).collect()
    }

    /// The number of the newest plan of a flight.
    pub(super) fn plan_of(&self, slot: u32) -> u32 {
        self.slots[slot as usize].plan
    }

    /// The number of the next plan of a flight; those before it are void.
    #[inline]
    pub(super) fn plan_anew(&mut self, slot: u32) -> u32 {
        let slot = &mut self.slots[slot as usize];
        slot.plan = slot.plan.wrapping_add(1);
        slot.plan
    }

    /// A plain flight is over, by its plan.
    #[inline(always)]
    pub(super) fn land(&mut self, slot: u32) {
        self.slots[slot as usize].plain = None;
        self.release(slot);
    }

    /// Frees the slot of a whole flight; whatever was planned for it is void.
    pub(super) fn remove(&mut self, slot: u32) {
        debug_assert!(self.whole[slot as usize].is_some(), "a flight ends once");
        self.plan_anew(slot);
        self.whole[slot as usize] = None;
        self.release(slot);
    }

    /// Frees the slot of one of two attempts of a request; the other is alone then.
    pub(super) fn part(&mut self, slot: u32) {
        let twin = std::mem::replace(&mut self[slot].twin, NO_TWIN);
        self[twin].twin = NO_TWIN;
        self.twins -= 1;
        self.remove(slot);
    }

    /// Takes the attempt out of a flight, to be given back to its upstream machine.
    #[inline]
    pub(super) fn take_attempt(&mut self, slot: u32) -> Option<Attempt> {
        let flight = &mut self[slot];
        flight.phase = Phase::Moving;
        flight.attempt.take()
    }

    /// How many requests there are.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.taken - self.twins
    }

    /// The slots of all of them.
    pub(super) fn all(&self) -> Vec<u32> {
        (0..self.slots.len() as u32).filter(|slot| self.holds(*slot)).collect()
    }

    /// Whether there is a flight in a slot.
    pub(super) fn holds(&self, slot: u32) -> bool {
        self.plain(slot).is_some() || self.whole[slot as usize].is_some()
    }

    /// The flight that `owner` speaks of, if its attempt is still going on and it is whole.
    pub(super) fn of(&mut self, owner: Owner) -> Option<&mut Flight> {
        let flight = self.whole[owner.slot as usize].as_mut()?;
        let same = flight.request.id == owner.id
            && flight.attempts == owner.number
            && flight.attempt.is_some();
        same.then_some(flight)
    }

    /// What the balancer of `view` has in hand is from now on in the hands of `to`.
    pub(super) fn hand_over(&mut self, view: u32, to: u32) {
        let plain = self.slots.iter_mut().filter_map(|slot| slot.plain.as_mut());
        plain.filter(|plain| plain.view == view).for_each(|plain| plain.view = to);
        for flight in self.whole.iter_mut().flatten().filter(|flight| flight.view == view) {
            if flight.attempt.is_some() || matches!(flight.phase, Phase::Waiting(_)) {
                flight.view = to;
            }
        }
    }

    /// The whole flights that try `peer`, in order of the beginning of their attempts.
    pub(super) fn trying(&self, peer: PeerId) -> Vec<u32> {
        let mut found: Vec<(Nanos, u64, u32)> = Vec::new();
        for (slot, flight) in self.whole.iter().enumerate() {
            if let Some(flight) = flight
                && let Some(attempt) = &flight.attempt
                && attempt.peer == peer
            {
                found.push((attempt.started, flight.request.id, slot as u32));
            }
        }
        found.sort_unstable();
        found.into_iter().map(|(.., slot)| slot).collect()
    }
}

const NOT_WHOLE: &str = "a flight is made whole before anything but its answer is done to it";

impl Index<u32> for Flights {
    type Output = Flight;
    #[inline]
    fn index(&self, slot: u32) -> &Flight {
        self.whole[slot as usize].as_ref().expect(NOT_WHOLE)
    }
}

impl IndexMut<u32> for Flights {
    #[inline]
    fn index_mut(&mut self, slot: u32) -> &mut Flight {
        self.whole[slot as usize].as_mut().expect(NOT_WHOLE)
    }
}
