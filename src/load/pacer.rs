//! Waits for the instants of the schedule.

use std::io;

use super::config::Pace;
use crate::host::clock;
use crate::host::timer::Timer;
use crate::units::{Nanos, Span};

/// Requests that may go out behind the schedule before responses get a turn.
const STREAK: u32 = 16;

/// The timer of the schedule.
#[derive(Debug)]
pub(super) struct Pacer {
    timer: Timer,
    pace: Pace,
    streak: u32,
}

impl Pacer {
    pub(super) fn new(pace: Pace) -> io::Result<Self> {
        Ok(Self { timer: Timer::new()?, pace, streak: 0 })
    }

    /// Returns when a request that is due at `due` may go out. May be dropped and called again.
    pub(super) async fn until(&mut self, due: Nanos) -> io::Result<()> {
        let wake = match self.pace {
            Pace::Exact => due,
            Pace::Batch(Span(grid)) => Nanos(due.0.div_ceil(grid.max(1)).saturating_mul(grid)),
        };
        if clock::now() < wake {
            self.streak = 0;
            return self.timer.until(wake).await;
        }
        // Behind the schedule the timer is never awaited, so sockets would never be read.
        self.streak += 1;
        if self.streak.is_multiple_of(STREAK) {
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}
