//! What a backend counts, and the Prometheus text format of it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::queue::Depth;
use crate::exposition::{Kind, Page, process};
use crate::units::Span;

/// Upper bounds of the service histogram, in seconds: 1, 2.5, 5 per decade.
const BOUNDS: [f64; 13] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// Counters since the start.
#[derive(Debug, Default)]
pub struct Metrics {
    in_flight: AtomicU64,
    body_bytes: AtomicU64,
    service_ns: AtomicU64,
    /// One more than bounds: the last is for everything above.
    service: [AtomicU64; BOUNDS.len() + 1],
    responses: Mutex<BTreeMap<u16, u64>>,
    health: [AtomicU64; 2],
}

impl Metrics {
    /// The head of a request was read.
    pub(super) fn began(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// So was its body of `bytes`.
    pub(super) fn body_read(&self, bytes: u64) {
        self.body_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// It was answered, or its client went away (status 0).
    pub(super) fn ended(&self, status: u16) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        let mut responses = self.responses.lock().unwrap_or_else(PoisonError::into_inner);
        *responses.entry(status).or_default() += 1;
    }

    /// A worker was held for `service`.
    pub(super) fn served(&self, service: Span) {
        let seconds = service.as_secs_f64();
        let place = BOUNDS.partition_point(|&bound| bound < seconds);
        self.service[place].fetch_add(1, Ordering::Relaxed);
        self.service_ns.fetch_add(service.0, Ordering::Relaxed);
    }

    /// A health check was answered.
    pub(super) fn health_checked(&self, passed: bool) {
        self.health[usize::from(passed)].fetch_add(1, Ordering::Relaxed);
    }

    /// All of it as Prometheus text, version 0.0.4.
    pub(super) fn exposition(&self, depth: Depth, occupied: Span, workers: u32) -> String {
        let mut page = Page::new(false);
        page.family("lab_backend_build", Kind::Info, "The program.")
            .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
        let help = "Requests by status; 0 is a client that went away.";
        page.family("lab_backend_requests", Kind::Counter, help);
        for (status, count) in self.responses.lock().unwrap_or_else(PoisonError::into_inner).iter()
        {
            page.sample(&[("status", &status.to_string())], count);
        }
        page.family("lab_backend_health_checks", Kind::Counter, "Health checks by result.");
        for (result, counter) in ["failed", "passed"].iter().zip(&self.health) {
            page.sample(&[("result", result)], read(counter));
        }
        page.family("lab_backend_request_body_bytes", Kind::Counter, "Request body bytes read.")
            .sample(&[], read(&self.body_bytes));
        page.family("lab_backend_in_flight", Kind::Gauge, "Requests read and not yet answered.")
            .sample(&[], read(&self.in_flight));
        page.family("lab_backend_queue_depth", Kind::Gauge, "Requests waiting for a worker.")
            .sample(&[], depth.waiting);
        page.family("lab_backend_busy_workers", Kind::Gauge, "Workers that are occupied.")
            .sample(&[], depth.busy);
        let help =
            "Time that workers were occupied, all together, also by requests still in service.";
        page.family("lab_backend_busy_seconds", Kind::Counter, help)
            .sample(&[], occupied.as_secs_f64());
        page.family("lab_backend_workers", Kind::Gauge, "Workers.").sample(&[], workers);
        let service: Vec<u64> = self.service.iter().map(read).collect();
        let sum = Span(read(&self.service_ns)).as_secs_f64();
        let help = "How long requests held a worker.";
        page.family("lab_backend_service_seconds", Kind::Histogram, help).histogram(
            &[],
            &BOUNDS,
            &service,
            sum,
        );
        process(&mut page);
        page.finish()
    }
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_cumulative_and_end_with_the_count() {
        let metrics = Metrics::default();
        [1, 10, 10_000].into_iter().for_each(|ms| metrics.served(Span::from_millis(ms)));
        metrics.began();
        metrics.body_read(7);
        metrics.ended(200);
        let text = metrics.exposition(Depth { waiting: 2, busy: 1 }, Span::from_millis(10_250), 1);
        for line in [
            "lab_backend_requests_total{status=\"200\"} 1",
            "lab_backend_service_seconds_bucket{le=\"0.001\"} 1",
            "lab_backend_service_seconds_bucket{le=\"0.01\"} 2",
            "lab_backend_service_seconds_bucket{le=\"5\"} 2",
            "lab_backend_service_seconds_bucket{le=\"+Inf\"} 3",
            "lab_backend_service_seconds_count 3",
            "lab_backend_service_seconds_sum 10.011",
            "lab_backend_queue_depth 2",
            "lab_backend_busy_seconds_total 10.25",
            "lab_backend_request_body_bytes_total 7",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
