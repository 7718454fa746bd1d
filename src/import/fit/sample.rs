//! Durations as a fit sees them: sorted, in seconds, and rounded to a step that is known.

use crate::units::Span;

/// Sorted durations.
pub(super) struct Sample {
    /// In seconds. One that was rounded to zero stands in the middle of those that are.
    pub(super) seconds: Vec<f64>,
    /// What they were rounded to, in seconds.
    pub(super) step: f64,
}

impl Sample {
    pub(super) fn new(durations: &[Span], step: Span) -> Self {
        let step = step.as_secs_f64();
        // Zero stands for 0 to half a step.
        let positive = |value: &Span| if value.0 == 0 { step / 4.0 } else { value.as_secs_f64() };
        let mut seconds: Vec<f64> = durations.iter().map(positive).collect();
        seconds.sort_by(f64::total_cmp);
        Self { seconds, step }
    }

    pub(super) fn len(&self) -> f64 {
        self.seconds.len() as f64
    }

    pub(super) fn mean(&self) -> f64 {
        self.seconds.iter().sum::<f64>() / self.len()
    }

    /// Standard deviation over mean.
    pub(super) fn variation(&self) -> f64 {
        let mean = self.mean();
        let squares: f64 = self.seconds.iter().map(|x| (x - mean) * (x - mean)).sum();
        (squares / self.len()).sqrt() / mean
    }

    pub(super) fn least(&self) -> f64 {
        self.seconds.first().copied().unwrap_or_default()
    }

    pub(super) fn most(&self) -> f64 {
        self.seconds.last().copied().unwrap_or_default()
    }

    /// The smallest duration that a share `u` does not exceed.
    pub(super) fn quantile(&self, u: f64) -> f64 {
        let rank = (u * self.len()).ceil().max(1.0) as usize;
        self.seconds[rank.min(self.seconds.len()) - 1]
    }

    /// The largest distance between the data's distribution function and `below`. All that is
    /// known of a rounded value is between which halves of a step it lay, so the two are compared
    /// there.
    pub(super) fn distance(&self, below: impl Fn(f64) -> f64) -> f64 {
        let (mut worst, mut done) = (0.0_f64, 0.0);
        let half = if self.step > 1e-9 { self.step / 2.0 } else { 0.0 };
        for same in self.seconds.chunk_by(|a, b| a == b) {
            let value = if same[0] < half { 0.0 } else { same[0] };
            let before = done / self.len();
            done += same.len() as f64;
            let after = done / self.len();
            worst = worst.max((below(value - half) - before).abs());
            worst = worst.max((below(value + half) - after).abs());
        }
        worst
    }
}
