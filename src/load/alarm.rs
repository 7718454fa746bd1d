//! When to wake for an instant that is to be met exactly.
//!
//! A timer fires on time, but the thread it wakes runs only some tens of microseconds later: the core
//! leaves its idle state, the kernel switches. How long that takes differs between hosts by a factor of
//! ten, and on one host from minute to minute, so it is measured: the thread asks to be woken ahead of
//! the instant by a high quantile of how late the last wake-ups were, and spins for what is left of it.

use crate::units::{Nanos, Span};

/// Share of wake-ups that are to come before their instant.
const IN_TIME: f64 = 0.98;
/// What a wake-up that came too late changes, in nanoseconds. A stall of milliseconds changes no more
/// than any other.
const STEP: f64 = 1_000.0;
/// Before anything was measured.
const FIRST: f64 = 40_000.0;
/// Spinning costs a core: never ahead by more than this, in nanoseconds.
const MOST: f64 = 150_000.0;

/// How far ahead of an instant a thread asks to be woken, by what its wake-ups have shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Alarm {
    /// A running quantile of the lateness (Robbins and Monro): each wake-up moves it by [`STEP`], up
    /// or down, in such parts that it rests where [`IN_TIME`] of them are below.
    ahead: f64,
    spun: Span,
}

impl Alarm {
    pub(super) const fn new() -> Self {
        Self { ahead: FIRST, spun: Span::ZERO }
    }

    /// When to be woken for `due`.
    pub(super) const fn before(&self, due: Nanos) -> Nanos {
        // Between 0 and `MOST`.
        Nanos(due.0.saturating_sub(self.ahead as u64))
    }

    /// It was set to `set`, and the thread ran at `now`.
    pub(super) fn rang(&mut self, set: Nanos, now: Nanos) {
        let late = now.since(set).0 as f64;
        let change = if late > self.ahead { IN_TIME } else { IN_TIME - 1.0 };
        self.ahead = STEP.mul_add(change, self.ahead).clamp(0.0, MOST);
    }

    /// The thread spun for so long, and did nothing else.
    pub(super) fn spun(&mut self, time: Span) {
        self.spun += time;
    }

    /// CPU time that went into it.
    pub(super) const fn cost(&self) -> Span {
        self.spun
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ahead(alarm: &Alarm) -> u64 {
        let due = Nanos(1_000_000_000);
        due.since(alarm.before(due)).0
    }

    /// Wake-ups that are late by the numbers of `late`, in turn.
    fn after(alarm: &mut Alarm, late: impl IntoIterator<Item = u64>) -> u64 {
        late.into_iter().for_each(|late| alarm.rang(Nanos(7), Nanos(7 + late)));
        ahead(alarm)
    }

    #[test]
    fn it_settles_where_few_wake_ups_come_too_late() {
        // Every number from 0 to 99,999 once, in no order.
        let mixed = |count: u64| (0..count).map(|i| i * 48_271 % 100_000);
        let mut alarm = Alarm::new();
        let settled = after(&mut alarm, mixed(100_000));
        assert!((92_000..=100_000).contains(&settled), "{settled}");
        // A quicker host: it comes down again.
        let settled = after(&mut alarm, mixed(100_000).map(|late| late / 10));
        assert!((8_000..=13_000).contains(&settled), "{settled}");
    }

    #[test]
    fn neither_a_stall_nor_a_bad_host_makes_it_spin_for_long() {
        let mut alarm = Alarm::new();
        let before = ahead(&alarm);
        assert!(after(&mut alarm, [30_000_000]) - before <= 1_000, "one stall");
        assert_eq!(after(&mut alarm, vec![1_000_000; 10_000]), 150_000);
        // Never behind the instant.
        assert_eq!(after(&mut alarm, vec![0; 100_000]), 0);
        assert_eq!(alarm.before(Nanos(3)), Nanos(3));
    }
}
