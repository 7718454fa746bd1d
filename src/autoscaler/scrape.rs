//! Values from the instances' own `/metrics`, scraped as Prometheus would.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use hyper::Method;

use super::Instance;
use crate::exposition::read::{Sample, samples};
use crate::host::call;
use crate::policy::scale::{MetricsError, ScaleMetric, Series, Usage};
use crate::units::{Nanos, Span};

/// The longest that instances are waited for; half the scrape interval, if that is less.
const LIMIT: Duration = Duration::from_secs(1);

/// Looks at the instances once in an interval, and keeps what it saw for a window.
#[derive(Debug)]
pub struct Scraper {
    metrics: Vec<ScaleMetric>,
    interval: Span,
    window: Span,
    next: Nanos,
    /// By slot, for each metric.
    known: BTreeMap<u32, Vec<Series>>,
    /// Why the last scrape of a slot failed.
    troubles: BTreeMap<u32, String>,
}

/// How long an answer is waited for, where looks are `interval` apart.
pub(super) fn limit(interval: Span) -> Duration {
    LIMIT.min((interval / 2).to_std())
}

impl Scraper {
    /// Scrapes at multiples of `interval` since zero; the value at an instant is that over the
    /// `window` before it.
    #[must_use]
    pub fn new(metrics: Vec<ScaleMetric>, interval: Span, window: Span) -> Self {
        let (known, troubles) = (BTreeMap::new(), BTreeMap::new());
        Self { metrics, interval, window, next: Nanos::ZERO, known, troubles }
    }

    /// When it wishes to look next, since zero; `None` if it never does.
    #[must_use]
    pub fn next_look(&self) -> Option<Nanos> {
        (!self.metrics.is_empty()).then_some(self.next)
    }

    /// Looks at `instances`, for the instant `at`, if that is due.
    pub async fn look(&mut self, at: Nanos, instances: &[&Instance]) {
        if self.metrics.is_empty() || at < self.next {
            return;
        }
        self.next = Nanos((at.0 / self.interval.0 + 1) * self.interval.0);
        let limit = limit(self.interval);
        let mut asked = Vec::new();
        for instance in instances {
            let Some(metrics) = instance.metrics else { continue };
            let page = tokio::spawn(async move { page(None, metrics, limit).await });
            asked.push((instance.slot, instance.cpus, page));
        }
        for (slot, cpus, page) in asked {
            let page = page.await.unwrap_or_else(|error| Err(error.to_string()));
            let values = page.and_then(|page| {
                let value = |metric: &ScaleMetric| read(&page, *metric, cpus);
                self.metrics.iter().map(value).collect::<Result<Vec<_>, _>>()
            });
            match values {
                Ok(values) => {
                    self.troubles.remove(&slot);
                    let fresh = || values.iter().map(|_| Series::new(self.window)).collect();
                    let known = self.known.entry(slot).or_insert_with(fresh);
                    known.iter_mut().zip(&values).for_each(|(one, value)| one.push(at, *value));
                }
                Err(trouble) => {
                    if let Some(known) = self.known.get_mut(&slot) {
                        known.iter_mut().for_each(|series| series.end(at));
                    }
                    self.troubles.insert(slot, trouble);
                }
            }
        }
    }

    /// The metric in this place at `at`, of those of `instances` of which enough is known.
    ///
    /// # Errors
    /// When that is none, since they could not be asked.
    pub fn usages(
        &self,
        place: usize,
        at: Nanos,
        instances: &[&Instance],
    ) -> Result<Vec<(u32, Usage)>, MetricsError> {
        let is_rate = self.metrics.get(place).is_some_and(|metric| metric.is_rate());
        let usage = |instance: &&Instance| {
            let series = self.known.get(&instance.slot)?.get(place)?;
            Some((instance.slot, series.value(at, self.window, is_rate)?))
        };
        let usages: Vec<_> = instances.iter().filter_map(usage).collect();
        match self.troubles.values().next() {
            Some(trouble) if usages.is_empty() => Err(MetricsError(trouble.clone())),
            _ => Ok(usages),
        }
    }

    /// Forgets the instance in `slot`.
    pub fn forget(&mut self, slot: u32) {
        self.known.remove(&slot);
        self.troubles.remove(&slot);
    }
}

/// The `/metrics` at `address`, which asks for `token` or for none.
pub(super) async fn page(
    token: Option<&str>,
    address: SocketAddr,
    limit: Duration,
) -> Result<String, String> {
    match call::call_as(token, address, Method::GET, "/metrics", None, limit).await {
        Ok((200, body)) => String::from_utf8(body.into())
            .map_err(|_| format!("the metrics of {address} are no text")),
        Ok((status, _)) => Err(format!("{address} answered {status} when asked for its metrics")),
        Err(error) => Err(error.to_string()),
    }
}

/// Requests in flight by the count of the instance itself.
pub(super) async fn in_flight(address: SocketAddr) -> Option<u64> {
    let page = page(None, address, LIMIT).await.ok()?;
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
