//! One replication second by second.
//!
//! Latencies of a second are kept until no more can come: rows arrive in order of completion or
//! of arrival, and no request is out for longer than the client's time-out, so a second is closed
//! when a request is seen that was due a time-out later. Memory is thus that of one time-out.

use std::collections::VecDeque;

use super::summary::Second;
use crate::record::RequestRow;
use crate::units::Span;
use crate::units::time::NANOS_PER_SECOND;

/// However long the time-out is, latencies are not kept for longer than this many seconds; what
/// finishes later still counts, but not in the quantiles of its second.
const KEPT_SECONDS: u64 = 120;
/// Rows that claim to be later than this many seconds (some eleven days) are damaged, and must
/// not fill the memory.
const SECONDS_AT_MOST: u64 = 1_000_000;

/// Collects [`Second`]s.
#[derive(Clone, Debug)]
pub(super) struct Seconds {
    seconds: Vec<Second>,
    /// Latencies of the seconds that are still open; the first belongs to `closed`.
    open: VecDeque<Vec<u64>>,
    closed: usize,
    kept: usize,
}

impl Seconds {
    pub(super) fn new(timeout: Span) -> Self {
        let kept = (timeout.0 / NANOS_PER_SECOND).min(KEPT_SECONDS) as usize + 2;
        Self { seconds: Vec::new(), open: VecDeque::new(), closed: 0, kept }
    }

    #[inline]
    pub(super) fn add(&mut self, row: &RequestRow) {
        let (due, finished) =
            (row.scheduled_ns / NANOS_PER_SECOND, row.finished_ns / NANOS_PER_SECOND);
        if due.max(finished) >= SECONDS_AT_MOST {
            return;
        }
        let due = due as usize;
        self.reach(due.max(finished as usize));
        self.seconds[due].offered += 1;
        let ended = &mut self.seconds[finished as usize];
        if row.failed() {
            ended.failed += 1;
        } else {
            ended.succeeded += 1;
        }
        self.close_before(due.saturating_sub(self.kept));
        if let Some(index) = due.checked_sub(self.closed) {
            if self.open.len() <= index {
                self.open.resize_with(index + 1, Vec::new);
            }
            self.open[index].push(row.latency_ns());
        }
    }

    /// The seconds so far.
    pub(super) fn finish(&self) -> Vec<Second> {
        let mut all = self.clone();
        all.close_before(all.closed + all.open.len());
        all.seconds
    }

    fn reach(&mut self, second: usize) {
        for next in self.seconds.len()..=second {
            self.seconds.push(Second { second: next as u32, ..Second::default() });
        }
    }

    fn close_before(&mut self, second: usize) {
        while self.closed < second {
            let mut latencies = self.open.pop_front().unwrap_or_default();
            let at = &mut self.seconds[self.closed];
            (at.p50_ns, at.p99_ns) = (nearest(&mut latencies, 0.5), nearest(&mut latencies, 0.99));
            self.closed += 1;
        }
    }
}

fn nearest(values: &mut [u64], q: f64) -> u64 {
    if values.is_empty() {
        return 0;
    }
    let rank = ((q * values.len() as f64).ceil() as usize).clamp(1, values.len());
    *values.select_nth_unstable(rank - 1).1
}

#[cfg(test)]
mod tests {
    use super::super::digest::tests::row;
    use super::*;

    #[test]
    fn a_second_has_the_quantiles_of_the_requests_due_in_it() {
        let mut seconds = Seconds::new(Span::from_secs(1));
        for i in 0..1000u64 {
            let mut row = row(i, i * 10_000_000, 1_000_000 + i % 100);
            row.status = if i % 100 == 7 { 503 } else { 200 };
            seconds.add(&row);
        }
        let found = seconds.finish();
        assert_eq!(found.len(), 10);
        for second in &found {
            assert_eq!((second.offered, second.succeeded, second.failed), (100, 99, 1));
            assert_eq!((second.p50_ns, second.p99_ns), (1_000_049, 1_000_098));
        }
        assert!(seconds.open.len() <= 4, "closed seconds keep no latencies");
    }

    #[test]
    fn a_damaged_instant_does_not_fill_the_memory() {
        let mut seconds = Seconds::new(Span::MAX);
        seconds.add(&row(0, u64::MAX, 0));
        assert!(seconds.finish().is_empty());
    }
}
