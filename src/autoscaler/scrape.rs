//! Values from the instances' own `/metrics`, scraped as Prometheus would.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use hyper::Method;

use super::Instance;
use super::source::Source;
use crate::exposition::read::{Sample, samples};
use crate::host::call;
use crate::policy::scale::{MetricsError, ScaleMetric, Series, Usage};
use crate::units::{Nanos, Span};

/// The longest that instances are waited for; half the scrape interval, if that is less.
const LIMIT: Duration = Duration::from_secs(1);

/// Looks at the instances once in an interval, and keeps what it saw for a window.
#[derive(Debug)]
pub struct Scraper {
    metric: ScaleMetric,
    interval: Span,
    window: Span,
    next: Nanos,
    known: BTreeMap<u32, Series>,
    /// Why the last scrape of a slot failed.
    troubles: BTreeMap<u32, String>,
}

impl Scraper {
    /// Scrapes at multiples of `interval` since zero; the value at an instant is that over the
    /// `window` before it.
    #[must_use]
    pub const fn new(metric: ScaleMetric, interval: Span, window: Span) -> Self {
        Self {
            metric,
            interval,
            window,
            next: Nanos::ZERO,
            known: BTreeMap::new(),
            troubles: BTreeMap::new(),
        }
    }

    fn limit(&self) -> Duration {
        LIMIT.min((self.interval / 2).to_std())
    }

    /// The measured value at `at`, if enough of it is known.
    fn usage(&self, slot: u32, at: Nanos) -> Option<Usage> {
        let series = self.known.get(&slot)?;
        match self.metric {
            ScaleMetric::Utilization | ScaleMetric::Cpu | ScaleMetric::Requests => {
                series.rate(at, self.window)
            }
            ScaleMetric::InFlight | ScaleMetric::Queue => series.avg_over_time(at, self.window),
        }
    }
}

impl Source for Scraper {
    fn next_look(&self) -> Option<Nanos> {
        Some(self.next)
    }

    async fn look(&mut self, at: Nanos, instances: &[&Instance]) {
        self.next = Nanos((at.0 / self.interval.0 + 1) * self.interval.0);
        let mut asked = Vec::new();
        for instance in instances {
            let Some(metrics) = instance.metrics else { continue };
            let page = tokio::spawn(page(metrics, self.limit()));
            asked.push((instance.slot, instance.cpus, page));
        }
        for (slot, cpus, page) in asked {
            let page = page.await.unwrap_or_else(|error| Err(error.to_string()));
            match page.and_then(|page| read(&page, self.metric, cpus)) {
                Ok(value) => {
                    self.troubles.remove(&slot);
                    let series = self.known.entry(slot);
                    series.or_insert_with(|| Series::new(self.window)).push(at, value);
                }
                Err(trouble) => {
                    if let Some(series) = self.known.get_mut(&slot) {
                        series.end(at);
                    }
                    self.troubles.insert(slot, trouble);
                }
            }
        }
    }

    async fn usages(
        &mut self,
        at: Nanos,
        instances: &[&Instance],
    ) -> Result<Vec<(u32, Usage)>, MetricsError> {
        let usage = |instance: &&Instance| Some((instance.slot, self.usage(instance.slot, at)?));
        let usages: Vec<_> = instances.iter().filter_map(usage).collect();
        match self.troubles.values().next() {
            Some(trouble) if usages.is_empty() => Err(MetricsError(trouble.clone())),
            _ => Ok(usages),
        }
    }

    fn forget(&mut self, slot: u32) {
        self.known.remove(&slot);
        self.troubles.remove(&slot);
    }
}

/// The `/metrics` at `address`.
async fn page(address: SocketAddr, limit: Duration) -> Result<String, String> {
    match call::call(address, Method::GET, "/metrics", None, limit).await {
        Ok((200, body)) => String::from_utf8(body.into())
            .map_err(|_| format!("the metrics of {address} are no text")),
        Ok((status, _)) => Err(format!("{address} answered {status} when asked for its metrics")),
        Err(error) => Err(error.to_string()),
    }
}

/// Requests in flight by the count of the instance itself.
pub(super) async fn in_flight(address: SocketAddr) -> Option<u64> {
    let page = page(address, LIMIT).await.ok()?;
    let samples = samples(&page).ok()?;
    single(&samples, "lab_backend_in_flight").map(|value| value as u64)
}

/// What is kept of a page for `metric`, so that a utilization is per worker and CPU time per CPU.
fn read(page: &str, metric: ScaleMetric, cpus: f64) -> Result<f64, String> {
    let samples = samples(page).map_err(|error| format!("the metrics cannot be read: {error}"))?;
    let of = |name: &'static str| {
        single(&samples, name).ok_or_else(|| format!("`{name}` is not among the metrics"))
    };
    match metric {
        ScaleMetric::Utilization => {
            Ok(of("lab_backend_busy_seconds_total")? / of("lab_backend_workers")?.max(1.0))
        }
        ScaleMetric::Cpu => Ok(of("process_cpu_seconds_total")? / cpus),
        ScaleMetric::InFlight => of("lab_backend_in_flight"),
        ScaleMetric::Queue => of("lab_backend_queue_depth"),
        ScaleMetric::Requests => {
            // There is none before the first request.
            let of_name = samples.iter().filter(|one| one.name == "lab_backend_requests_total");
            Ok(of_name.map(|one| one.value).sum())
        }
    }
}

fn single(samples: &[Sample<'_>], name: &str) -> Option<f64> {
    samples.iter().find(|sample| sample.name == name).map(|sample| sample.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "lab_backend_busy_seconds_total 12.5\nlab_backend_workers 2\n\
        lab_backend_in_flight 7\nlab_backend_queue_depth 5\nprocess_cpu_seconds_total 3\n\
        lab_backend_requests_total{status=\"200\"} 90\nlab_backend_requests_total{status=\"503\"} 10\n";

    #[test]
    fn each_metric_is_found() {
        let value = |metric| read(PAGE, metric, 0.5).unwrap();
        assert_eq!(value(ScaleMetric::Utilization), 6.25);
        assert_eq!(value(ScaleMetric::Cpu), 6.0);
        assert_eq!(value(ScaleMetric::InFlight), 7.0);
        assert_eq!(value(ScaleMetric::Queue), 5.0);
        assert_eq!(value(ScaleMetric::Requests), 100.0);
    }

    #[test]
    fn what_is_missing_is_named() {
        let wrong = read("up 1\n", ScaleMetric::InFlight, 1.0).unwrap_err();
        assert_eq!(wrong, "`lab_backend_in_flight` is not among the metrics");
        let cut = read("lab_backend_in_flight 1", ScaleMetric::InFlight, 1.0).unwrap_err();
        assert_eq!(cut, "the metrics cannot be read: line 1: it is cut off");
    }
}
