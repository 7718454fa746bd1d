//! The samples of one metric of one instance, as a scraper keeps them, and what PromQL makes of them.
//!
//! `rate` and `avg_over_time` are those of Prometheus 2 (`extrapolatedRate` and `funcAvgOverTime` in
//! `promql/functions.go`), with its times in whole milliseconds and its range that contains both of
//! its ends. Prometheus 3 leaves the beginning of the range out, and looks for the zero of a counter
//! only where the series covers the range; both differ at a series' first samples alone.

use std::collections::VecDeque;

use super::instance::Usage;
use crate::units::{Nanos, Span};

/// How far back the last sample of a series counts as its present value (`--query.lookback-delta`).
pub const LOOKBACK: Span = Span::from_secs(300);

/// Samples of a counter or gauge, in order of time.
#[derive(Clone, Debug)]
pub struct Series {
    samples: VecDeque<Sample>,
    keep: Span,
}

/// What one scrape brought.
#[derive(Clone, Copy, Debug)]
struct Sample {
    /// Whole milliseconds, as Prometheus has them.
    at_ms: u64,
    /// `None` marks the end of the series: the scrape failed, or did not show it.
    value: Option<f64>,
}

impl Series {
    /// No samples yet; those older than `keep` are forgotten as new ones come.
    #[must_use]
    pub const fn new(keep: Span) -> Self {
        Self { samples: VecDeque::new(), keep }
    }

    /// A scrape at `at` found this value. One that is not later than the last is ignored.
    pub fn push(&mut self, at: Nanos, value: f64) {
        self.add(at, Some(value));
    }

    /// A scrape at `at` did not find it (a stale marker). It counts again with the next value.
    pub fn end(&mut self, at: Nanos) {
        self.add(at, None);
    }

    fn add(&mut self, at: Nanos, value: Option<f64>) {
        let at_ms = millis(at.0);
        if self.samples.back().is_some_and(|last| at_ms <= last.at_ms) {
            return;
        }
        self.samples.push_back(Sample { at_ms, value });
        let oldest = at_ms.saturating_sub(millis(self.keep.0));
        while self.samples.front().is_some_and(|first| first.at_ms < oldest) {
            self.samples.pop_front();
        }
    }

    /// Its present value: the last within [`LOOKBACK`], unless the series has ended since.
    #[must_use]
    pub fn last(&self, now: Nanos) -> Option<Usage> {
        let (now, lookback) = (millis(now.0), millis(LOOKBACK.0));
        let last = self.samples.iter().rev().find(|sample| sample.at_ms <= now)?;
        let value = last.value.filter(|_| now - last.at_ms <= lookback)?;
        Some(Usage { value, from: at(last.at_ms), until: at(last.at_ms) })
    }

    /// `rate(x[window])` at `now`: what a counter grew by per second, resets counted, extrapolated to
    /// the ends of the window where its samples come near them. `None` with fewer than two samples.
    #[must_use]
    pub fn rate(&self, now: Nanos, window: Span) -> Option<Usage> {
        let (start, end) = range(now, window);
        let samples = || self.between(start, end);
        let (first_ms, first) = samples().next()?;
        let (last_ms, last) = samples().last()?;
        let gaps = samples().count() - 1;
        if gaps == 0 {
            return None;
        }
        let mut before = 0.0;
        let mut growth = last - first;
        for (_, value) in samples() {
            if value < before {
                growth += before;
            }
            before = value;
        }
        let seconds = |from: i64, to: i64| (to - from) as f64 / 1000.0;
        let sampled = seconds(first_ms, last_ms);
        let gap = sampled / gaps as f64;
        let mut to_start = seconds(start, first_ms);
        if growth > 0.0 && first >= 0.0 {
            // A counter was never below zero.
            to_start = to_start.min(sampled * (first / growth));
        }
        let near = gap * 1.1;
        let mut covered = sampled;
        for to_end in [to_start, seconds(last_ms, end)] {
            covered += if to_end < near { to_end } else { gap / 2.0 };
        }
        let value = growth * (covered / sampled / window.as_secs_f64());
        Some(Usage { value, from: at(first_ms as u64), until: at(last_ms as u64) })
    }

    /// What an autoscaler goes by at `now`: the rate of a counter, or the mean of a gauge.
    #[must_use]
    pub fn value(&self, now: Nanos, window: Span, is_counter: bool) -> Option<Usage> {
        if is_counter { self.rate(now, window) } else { self.avg_over_time(now, window) }
    }

    /// `avg_over_time(x[window])` at `now`: the mean of a gauge's samples. `None` without any.
    #[must_use]
    pub fn avg_over_time(&self, now: Nanos, window: Span) -> Option<Usage> {
        let (start, end) = range(now, window);
        let samples = || self.between(start, end);
        let (first, last) = (samples().next()?, samples().last()?);
        let value = samples().map(|(_, value)| value).sum::<f64>() / samples().count() as f64;
        Some(Usage { value, from: at(first.0 as u64), until: at(last.0 as u64) })
    }

    /// Values from `start` to `end`, both included, without the marks of its ends.
    fn between(&self, start: i64, end: i64) -> impl Iterator<Item = (i64, f64)> {
        let within = self.samples.iter().filter_map(|s| Some((s.at_ms as i64, s.value?)));
        within.filter(move |(at, _)| (start..=end).contains(at))
    }
}

/// A window that ends at `now`, in milliseconds; it may begin before the zero of the run.
fn range(now: Nanos, window: Span) -> (i64, i64) {
    let end = millis(now.0) as i64;
    (end - millis(window.0) as i64, end)
}

const fn millis(nanos: u64) -> u64 {
    nanos / 1_000_000
}

fn at(millis: u64) -> Nanos {
    Nanos::ZERO + Span::from_millis(millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Span = Span::from_secs(60);

    fn series(every: u64, values: &[f64]) -> Series {
        let mut series = Series::new(Span::from_secs(600));
        for (place, value) in values.iter().enumerate() {
            let time = Nanos::ZERO + Span::from_secs(every * place as u64);
            if value.is_nan() { series.end(time) } else { series.push(time, *value) }
        }
        series
    }

    fn seconds(seconds: f64) -> Nanos {
        Nanos::from_secs_f64(seconds)
    }

    #[test]
    fn one_sample_has_no_rate_and_two_have() {
        let busy = series(15, &[3.0, 15.0]);
        assert_eq!(busy.rate(seconds(14.0), MINUTE), None);
        // 12 in 15 s; at the front by the 3.75 s to its zero, at the back to the end: 22.5 of 60 s.
        let rate = busy.rate(seconds(18.75), MINUTE).unwrap();
        assert!((rate.value - 12.0 * 22.5 / 15.0 / 60.0).abs() < 1e-12, "{rate:?}");
        assert_eq!((rate.from, rate.until), (Nanos::ZERO, seconds(15.0)));
    }

    #[test]
    fn a_reset_is_not_a_fall() {
        let requests = series(15, &[100.0, 115.0, 5.0, 20.0, 35.0]);
        let rate = requests.rate(seconds(60.0), MINUTE).unwrap().value;
        assert!((rate - 50.0 / 60.0).abs() < 1e-12, "{rate}");
    }

    #[test]
    fn what_is_gone_is_gone_until_it_comes_back() {
        let queue = series(15, &[4.0, 6.0, f64::NAN, 9.0]);
        let last = |at| queue.last(seconds(at)).map(|usage| usage.value);
        assert_eq!(
            [last(0.0), last(20.0), last(31.0), last(46.0)],
            [Some(4.0), Some(6.0), None, Some(9.0)]
        );
        assert_eq!(last(345.0), Some(9.0));
        assert_eq!(last(345.1), None, "older than the lookback");
        assert_eq!(queue.avg_over_time(seconds(45.0), MINUTE).unwrap().value, 19.0 / 3.0);
    }

    #[test]
    fn old_samples_are_forgotten() {
        let mut series = Series::new(MINUTE);
        (0..1000).for_each(|second| series.push(seconds(f64::from(second)), 1.0));
        assert_eq!(series.samples.len(), 61);
        series.push(seconds(10.0), 7.0);
        assert_eq!(series.samples.len(), 61, "one out of order is ignored");
    }
}
