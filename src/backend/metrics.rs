//! What a backend counts, and the Prometheus text format of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::queue::Depth;
use crate::host::usage;
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
        let mut text = String::with_capacity(2048);
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        family(
            &mut text,
            "lab_backend_requests_total",
            "counter",
            "Requests by status; 0 is a client that went away.",
        );
        for (status, count) in self.responses.lock().unwrap_or_else(PoisonError::into_inner).iter()
        {
            sample(
                &mut text,
                format_args!("lab_backend_requests_total{{status=\"{status}\"}} {count}"),
            );
        }
        family(&mut text, "lab_backend_health_checks_total", "counter", "Health checks by result.");
        for (result, counter) in ["failed", "passed"].iter().zip(&self.health) {
            sample(
                &mut text,
                format_args!(
                    "lab_backend_health_checks_total{{result=\"{result}\"}} {}",
                    read(counter)
                ),
            );
        }
        single(
            &mut text,
            "lab_backend_request_body_bytes_total",
            "counter",
            "Request body bytes read.",
            read(&self.body_bytes),
        );
        single(
            &mut text,
            "lab_backend_in_flight",
            "gauge",
            "Requests read and not yet answered.",
            read(&self.in_flight),
        );
        single(
            &mut text,
            "lab_backend_queue_depth",
            "gauge",
            "Requests waiting for a worker.",
            depth.waiting as u64,
        );
        single(
            &mut text,
            "lab_backend_busy_workers",
            "gauge",
            "Workers that are occupied.",
            depth.busy as u64,
        );
        family(
            &mut text,
            "lab_backend_busy_seconds_total",
            "counter",
            "Time that workers were occupied, all together, also by requests still in service.",
        );
        let occupied = occupied.as_secs_f64();
        sample(&mut text, format_args!("lab_backend_busy_seconds_total {occupied}"));
        single(&mut text, "lab_backend_workers", "gauge", "Workers.", u64::from(workers));
        self.service_histogram(&mut text);
        family(
            &mut text,
            "process_cpu_seconds_total",
            "counter",
            "CPU time of the process, user and system.",
        );
        let cpu = usage::cpu_time(std::process::id()).unwrap_or_default().as_secs_f64();
        sample(&mut text, format_args!("process_cpu_seconds_total {cpu}"));
        text
    }

    fn service_histogram(&self, text: &mut String) {
        const NAME: &str = "lab_backend_service_seconds";
        family(text, NAME, "histogram", "How long requests held a worker.");
        let mut below = 0;
        for (place, counter) in self.service.iter().enumerate() {
            below += counter.load(Ordering::Relaxed);
            match BOUNDS.get(place) {
                Some(bound) => {
                    sample(text, format_args!("{NAME}_bucket{{le=\"{bound}\"}} {below}"))
                }
                None => sample(text, format_args!("{NAME}_bucket{{le=\"+Inf\"}} {below}")),
            }
        }
        let sum = Span(self.service_ns.load(Ordering::Relaxed)).as_secs_f64();
        sample(text, format_args!("{NAME}_sum {sum}"));
        sample(text, format_args!("{NAME}_count {below}"));
    }
}

fn family(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn single(text: &mut String, name: &str, kind: &str, help: &str, value: u64) {
    family(text, name, kind, help);
    sample(text, format_args!("{name} {value}"));
}

fn sample(text: &mut String, line: std::fmt::Arguments<'_>) {
    let _ = text.write_fmt(line);
    text.push('\n');
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
