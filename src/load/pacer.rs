//! Waits for the instants of the schedule.

use std::io;

use super::alarm::Alarm;
use super::config::Pace;
use crate::host::clock;
use crate::host::timer::Timer;
use crate::units::{Nanos, Span};

/// Requests that may go out behind the schedule before responses get a turn.
const STREAK: u32 = 16;
/// A turn of the runtime that took no longer served nobody.
const EMPTY_TURN: Span = Span::from_micros(10);

/// The timer of the schedule.
#[derive(Debug)]
pub(super) struct Pacer {
    timer: Timer,
    pace: Pace,
    /// To meet instants exactly.
    alarm: Option<Alarm>,
    streak: u32,
}

impl Pacer {
    pub(super) fn new(pace: Pace) -> io::Result<Self> {
        let alarm = (pace == Pace::Exact).then(Alarm::new);
        Ok(Self { timer: Timer::new()?, pace, alarm, streak: 0 })
    }

    /// CPU time that went into spinning.
    pub(super) fn spun(&self) -> Span {
        self.alarm.map_or(Span::ZERO, |alarm| alarm.cost())
    }

    /// Returns when a request that is due at `due` may go out. May be dropped and called again.
    pub(super) async fn until(&mut self, due: Nanos) -> io::Result<()> {
        let wake = match self.pace {
            Pace::Exact | Pace::Timer => due,
            Pace::Batch(Span(grid)) => Nanos(due.0.div_ceil(grid.max(1)).saturating_mul(grid)),
        };
        let now = clock::now();
        if now < wake {
            self.streak = 0;
            let Some(alarm) = &mut self.alarm else { return self.timer.until(wake).await };
            let early = alarm.before(wake);
            if now < early {
                self.timer.until(early).await?;
                alarm.rang(early, clock::now());
            }
            // Each turn looks after the sockets.
            let mut before = clock::now();
            while before < wake {
                tokio::task::yield_now().await;
                let now = clock::now();
                let took = now.since(before);
                alarm.spun(if took <= EMPTY_TURN { took } else { Span::ZERO });
                before = now;
            }
            return Ok(());
        }
        // Behind the schedule the timer is never awaited, so sockets would never be read.
        self.streak += 1;
        if self.streak.is_multiple_of(STREAK) {
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}
