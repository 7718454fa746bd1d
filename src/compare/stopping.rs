//! When one long run knows a latency well enough: sequential batch means.
//!
//! Requests are kept in batches of time, 32 to 64 of them; when there are more, neighbours are
//! joined, so batches grow with the run and memory does not (Yarberry and Fishman's LBATCH; Law,
//! *Simulation Modeling and Analysis*, 9.5.3). From 32 on the interval is looked at each time that a
//! sixteenth more has passed, all requests due before having ended; neighbours that are correlated
//! are joined for it (see [`interval`]). An interval that is narrow by chance would end the run too
//! early, so it must be narrow twice in succession (Heidelberger and Welch, "A spectral method for
//! confidence interval generation and run length control in simulations", CACM 24, 1981, discuss the
//! loss of coverage of such rules; a test measures that of this one).

use std::sync::atomic::{AtomicBool, Ordering};

use super::interval::{self, Batch};
use super::summary::Estimate;
use crate::record::histogram::Histogram;
use crate::record::{RequestError, RequestRow, Sink};
use crate::scenario::{Measure, Precision};
use crate::units::{Nanos, Span};

/// Batches from which on an interval is looked at; twice as many are joined.
const BATCHES: usize = 32;
/// Batches between two looks.
const BETWEEN_LOOKS: usize = 2;
/// Looks in succession at which the interval must be narrow enough.
const LOOKS: u32 = 2;
/// Requests in a batch at first, about.
const REQUESTS_PER_BATCH: f64 = 100.0;

/// Watches a run, and says when it may end.
#[derive(Debug)]
pub struct Stopping<'a> {
    precision: Precision,
    warm_up: Nanos,
    /// The client gives up after this, so no request is out longer.
    timeout: Span,
    length: Span,
    batches: Vec<Histogram>,
    look_at: usize,
    narrow: u32,
    end: Option<Nanos>,
    /// Set when the run may end.
    stop: &'a AtomicBool,
    /// Set from outside when it must.
    interrupted: &'a AtomicBool,
}

impl<'a> Stopping<'a> {
    /// For a run that measures from `warm_up` on, with about `rate` requests per second (where that
    /// is not finite, batches begin at 1/4096 of `longest`).
    #[must_use]
    pub fn new(
        precision: Precision,
        warm_up: Nanos,
        timeout: Span,
        (rate, longest): (f64, Span),
        [stop, interrupted]: [&'a AtomicBool; 2],
    ) -> Self {
        let length = if rate.is_finite() && rate > 0.0 {
            Span::from_nanos_f64(REQUESTS_PER_BATCH / rate * 1e9)
        } else {
            longest / 4096
        };
        let length = length.max(Span(1));
        let (batches, look_at, narrow, end) = (Vec::new(), BATCHES, 0, None);
        Self {
            precision,
            warm_up,
            timeout,
            length,
            batches,
            look_at,
            narrow,
            end,
            stop,
            interrupted,
        }
    }

    /// Where the run may end: requests due from then on are not needed; `None` if the precision was
    /// not reached.
    #[must_use]
    pub const fn end(&self) -> Option<Nanos> {
        self.end
    }

    fn border(&self, batch: usize) -> Nanos {
        self.warm_up + self.length * batch as u64
    }

    /// Looks at the batches before the next border, now that all of their requests have ended.
    #[cold]
    fn look(&mut self) {
        let estimate = estimate(&self.precision.measure, &self.batches[..self.look_at]);
        let narrow =
            relative_half_width(estimate).is_some_and(|half| half <= self.precision.within);
        self.narrow = if narrow { self.narrow + 1 } else { 0 };
        if self.narrow >= LOOKS {
            self.end = Some(self.border(self.look_at));
        }
        if self.end.is_some() || self.interrupted.load(Ordering::Relaxed) {
            self.stop.store(true, Ordering::Relaxed);
        }
        self.look_at += BETWEEN_LOOKS;
        if self.look_at > 2 * BATCHES {
            self.join();
        }
    }

    fn join(&mut self) {
        self.batches = self
            .batches
            .chunks(2)
            .map(|pair| {
                let mut joined = pair[0].clone();
                pair[1..].iter().for_each(|other| joined.merge(other));
                joined
            })
            .collect();
        self.length = self.length * 2;
        self.look_at = self.look_at / 2 + 1;
    }
}

impl Sink for Stopping<'_> {
    const ATTEMPTS: bool = false;
    const TIMELINE: bool = false;

    #[inline]
    fn request(&mut self, row: &RequestRow) {
        let due = Nanos(row.scheduled_ns);
        if due < self.warm_up || self.end.is_some() || row.error == RequestError::Interrupted {
            return;
        }
        while due >= self.border(self.look_at) + self.timeout && self.end.is_none() {
            self.batches.resize_with(self.batches.len().max(self.look_at), Histogram::new);
            self.look();
        }
        let batch = (due.since(self.warm_up).0 / self.length.0) as usize;
        if batch >= self.batches.len() {
            self.batches.resize_with(batch + 1, Histogram::new);
        }
        self.batches[batch].record(row.latency_ns());
    }
}

/// The larger side of an interval over its value; `None` without one.
#[must_use]
pub fn relative_half_width(estimate: Estimate) -> Option<f64> {
    let side = (estimate.high? - estimate.value).max(estimate.value - estimate.low?);
    (estimate.value > 0.0).then(|| side / estimate.value)
}

/// A latency with its interval by batch means.
#[must_use]
pub fn estimate(measure: &Measure, batches: &[Histogram]) -> Estimate {
    let mut all = Histogram::new();
    batches.iter().for_each(|batch| all.merge(batch));
    let sums = |of: &dyn Fn(&Histogram) -> f64| -> Vec<Batch> {
        batches
            .iter()
            .map(|part| Batch { stratum: 0, count: part.count() as f64, sum: of(part) })
            .collect()
    };
    match measure {
        Measure::Quantile(order) if *order < 1.0 => interval::quantile(&all, *order, |bound| {
            sums(&|part| part.count_at_or_below(bound) as f64)
        }),
        _ => {
            let half = interval::ratio_half_width(&sums(&|part| part.sum() as f64));
            interval::around(all.mean(), half)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{Purpose, Seed};

    /// Independent exponential latencies of 10 ms, 1000 per second.
    fn run(within: f64, seed: u32) -> (f64, Estimate) {
        let (stop, interrupted) = (AtomicBool::new(false), AtomicBool::new(false));
        let precision = Precision { measure: Measure::Quantile(0.9), within };
        let timeout = Span::from_millis(500);
        let longest = Span::from_secs(10_000);
        let mut stopping =
            Stopping::new(precision, Nanos(0), timeout, (1000.0, longest), [&stop, &interrupted]);
        let mut draw = Seed::new(3, seed).draw(Purpose::Pick, 0, 0);
        let mut due = 0;
        while !stop.load(Ordering::Relaxed) {
            let latency = (-libm::log(draw.uniform()) * 1e7) as u64;
            let row =
                RequestRow { scheduled_ns: due, finished_ns: due + latency, ..RequestRow::BLANK };
            stopping.request(&row);
            due += 1_000_000;
        }
        let end = stopping.end().unwrap();
        let whole = (end.0 / stopping.length.0) as usize;
        (end.0 as f64 / 1e9, estimate(&Measure::Quantile(0.9), &stopping.batches[..whole]))
    }

    /// The error of a quantile is sqrt(p (1 - p) / n) over the density there, which is 0.1 of the
    /// reciprocal mean at p90; so the relative half width is 1.96 · 3 / sqrt(n) / 2.303.
    #[test]
    fn it_ends_about_where_arithmetic_says() {
        let root = |within: f64| 1.96 * 3.0 / std::f64::consts::LN_10 / within;
        let expected = |within: f64| root(within) * root(within) / 1000.0;
        for within in [0.05, 0.02] {
            let (seconds, found) = run(within, 1);
            let ratio = seconds / expected(within);
            assert!((0.4..2.5).contains(&ratio), "{seconds} s, {} expected", expected(within));
            assert!(relative_half_width(found).unwrap() <= within);
            assert!((found.value / 23.026e6 - 1.0).abs() < 2.0 * within);
        }
    }

    #[test]
    fn memory_does_not_grow() {
        let (stop, interrupted) = (AtomicBool::new(false), AtomicBool::new(false));
        let precision = Precision { measure: Measure::Mean, within: 1e-9 };
        let mut stopping = Stopping::new(
            precision,
            Nanos(0),
            Span::from_millis(1),
            (1000.0, Span::from_secs(1)),
            [&stop, &interrupted],
        );
        for i in 0..200_000u64 {
            let due = i * 1_000_000;
            let row =
                RequestRow { scheduled_ns: due, finished_ns: due + i % 7, ..RequestRow::BLANK };
            stopping.request(&row);
        }
        assert!(stopping.batches.len() <= 2 * BATCHES + 2, "{}", stopping.batches.len());
        let kept: u64 = stopping.batches.iter().map(Histogram::count).sum();
        assert_eq!(kept, 200_000);
        assert!(!stop.load(Ordering::Relaxed));
        interrupted.store(true, Ordering::Relaxed);
        for i in 200_000..230_000u64 {
            let due = i * 1_000_000;
            stopping.request(&RequestRow {
                scheduled_ns: due,
                finished_ns: due,
                ..RequestRow::BLANK
            });
        }
        assert!(stop.load(Ordering::Relaxed) && stopping.end().is_none());
    }
}
