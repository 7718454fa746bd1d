//! From operational time to real time: the inverse of the integral of the offered load.
//!
//! The load is a sequence of pieces on which it is linear: the stages, cut at the changes of a
//! modulation if there is one. On a piece that begins at real time `f` with load `r`, ends with
//! load `s` after `L`, and before which the integral was `B`, operational time `B + x` is reached
//! `t` after `f`, where `r t + (s - r) t^2 / (2 L) = x`. The root is taken as
//! `2 x / (r + sqrt(r^2 + 2 x (s - r) / L))`, which does not cancel and holds for `r = 0` too.

use super::mmpp::Modulation;
use crate::traffic::Stage;
use crate::units::time::NANOS_PER_SECOND;
use crate::units::{Nanos, Span};

/// Reads operational times in rising order and gives the real ones.
#[derive(Clone, Debug)]
pub struct Clock<'a> {
    stages: &'a [Stage],
    /// The stage that the next piece begins in.
    stage: usize,
    modulation: Option<Modulation>,
    piece: Piece,
    /// Where the piece ends, in both times.
    until: Nanos,
    integral_until: f64,
}

/// A part of the run on which the offered load is linear.
#[derive(Clone, Copy, Debug)]
struct Piece {
    from: Nanos,
    /// Operational time at its beginning.
    integral: f64,
    /// Load at its beginning, per second.
    rate: f64,
    /// Change of the load, per square second.
    slope: f64,
}

impl<'a> Clock<'a> {
    /// The clock of `stages`, which follow one another; between and after them no time passes.
    #[must_use]
    pub const fn new(stages: &'a [Stage], modulation: Option<Modulation>) -> Self {
        let piece = Piece { from: Nanos::ZERO, integral: 0.0, rate: 0.0, slope: 0.0 };
        Self { stages, stage: 0, modulation, piece, until: Nanos::ZERO, integral_until: 0.0 }
    }

    /// When operational time `target` is reached; `None` after the last stage.
    #[inline]
    pub fn reach(&mut self, target: f64) -> Option<Nanos> {
        while target >= self.integral_until {
            self.next_piece()?;
        }
        Some(self.piece.reach(target).min(self.until))
    }

    /// Whether all of these operational times, which do not fall, are reached in the present piece,
    /// and in it the load does not change.
    #[inline(always)]
    pub(in crate::traffic) fn reaches_all<const N: usize>(&self, targets: &[f64; N]) -> bool {
        self.piece.slope == 0.0 && targets.iter().all(|target| *target < self.integral_until)
    }

    /// When these operational times are reached, each as [`Self::reach`] says, if
    /// [`Self::reaches_all`] says yes: several at a time, so that the divisions overlap.
    #[inline(always)]
    pub(in crate::traffic) fn reach_all<const N: usize>(&self, targets: [f64; N]) -> [Nanos; N] {
        let mut nanos = targets;
        for nanos in &mut nanos {
            *nanos = self.piece.steady(*nanos);
        }
        let mut instants = [Nanos::ZERO; N];
        for (instant, span) in instants.iter_mut().zip(Span::from_nanos_of(nanos)) {
            *instant = (self.piece.from + span).min(self.until);
        }
        instants
    }

    fn next_piece(&mut self) -> Option<()> {
        let stage = self.stages.get(self.stage)?;
        let from = self.until.max(stage.from);
        let (mut until, mut factor) = (stage.until, 1.0);
        if let Some(chain) = &mut self.modulation {
            while chain.until() <= from {
                chain.advance();
            }
            until = until.min(chain.until());
            factor = chain.factor();
        }
        if until == stage.until {
            self.stage += 1;
        }
        self.begin(stage, from, until, factor);
        Some(())
    }

    fn begin(&mut self, stage: &Stage, from: Nanos, until: Nanos, factor: f64) {
        let slope = match stage.length().as_secs_f64() {
            0.0 => 0.0,
            length => (stage.rate_until.0 - stage.rate_from.0) / length * factor,
        };
        let rate = stage.rate_from.0 * factor + slope * from.since(stage.from).as_secs_f64();
        self.piece = Piece { from, integral: self.integral_until, rate, slope };
        let length = until.since(from).as_secs_f64();
        self.integral_until += (rate + 0.5 * slope * length).max(0.0) * length;
        self.until = self.until.max(until);
    }
}

impl Piece {
    #[inline]
    fn reach(&self, target: f64) -> Nanos {
        let nanos = if self.slope == 0.0 {
            self.steady(target)
        } else {
            self.ramp(target - self.integral) * NANOS_PER_SECOND as f64
        };
        self.from + Span::from_nanos_f64(nanos)
    }

    /// Nanoseconds into a piece without a slope after which operational time `target` is reached.
    #[inline(always)]
    fn steady(&self, target: f64) -> f64 {
        // Scaled before the division, so that request `i` is due at the rounded `i / rate`.
        (target - self.integral) * NANOS_PER_SECOND as f64 / self.rate
    }

    /// Seconds into a piece with a slope after which the integral has grown by `ahead`.
    fn ramp(&self, ahead: f64) -> f64 {
        if ahead <= 0.0 {
            return 0.0;
        }
        let root = (self.rate * self.rate + 2.0 * ahead * self.slope).max(0.0).sqrt();
        2.0 * ahead / (self.rate + root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Rate;

    fn stage(from: u64, until: u64, rate_from: f64, rate_until: f64) -> Stage {
        Stage {
            name: String::new(),
            from: Nanos(from * NANOS_PER_SECOND),
            until: Nanos(until * NANOS_PER_SECOND),
            rate_from: Rate(rate_from),
            rate_until: Rate(rate_until),
        }
    }

    fn seconds(stages: &[Stage], targets: &[f64]) -> Vec<Option<f64>> {
        let mut clock = Clock::new(stages, None);
        targets.iter().map(|x| clock.reach(*x).map(Nanos::as_secs_f64)).collect()
    }

    #[test]
    fn steps_and_pauses_are_exact() {
        let stages = [stage(0, 10, 4.0, 4.0), stage(10, 20, 0.0, 0.0), stage(20, 30, 2.0, 2.0)];
        assert_eq!(
            seconds(&stages, &[0.0, 1.0, 39.0, 40.0, 59.0, 60.0]),
            [Some(0.0), Some(0.25), Some(9.75), Some(20.0), Some(29.5), None]
        );
    }

    #[test]
    fn ramps_follow_the_square_root() {
        // Up from nothing: t^2 / 2 = x. Down to nothing: 10 t - t^2 / 2 = x - 50.
        let stages = [stage(0, 10, 0.0, 10.0), stage(10, 20, 10.0, 0.0)];
        let got = seconds(&stages, &[0.0, 8.0, 32.0, 50.0, 82.0, 100.0]);
        assert_eq!(got, [Some(0.0), Some(4.0), Some(8.0), Some(10.0), Some(14.0), None]);
    }

    #[test]
    fn time_never_runs_backwards_and_senseless_stages_end_the_plan() {
        let stages = [
            stage(0, 3, 1e3, 1.0),
            stage(2, 4, f64::NAN, 1.0),
            stage(5, 5, 1.0, 9.0),
            stage(6, 5, 1.0, 1.0),
            stage(7, 8, -5.0, 3.0),
        ];
        let mut clock = Clock::new(&stages, None);
        let mut last = Nanos::ZERO;
        for i in 0..5000 {
            let Some(at) = clock.reach(f64::from(i)) else { return };
            assert!(at >= last, "{i}: {at} after {last}");
            last = at;
        }
        panic!("the plan should have ended");
    }
}
