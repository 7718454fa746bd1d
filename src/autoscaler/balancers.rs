//! What lab's proxies in front of a group get together, by their own `/metrics`.

use std::net::SocketAddr;

use super::scrape::{self, page};
use crate::exposition::read::samples;
use crate::policy::scale::{MetricsError, ScaleMetric, Series};
use crate::units::{Nanos, Span};

/// Looks at the proxies once in an interval, and keeps what it saw for a window.
#[derive(Debug)]
pub struct Balancers {
    metrics: Vec<ScaleMetric>,
    proxies: Vec<Proxy>,
    token: Option<String>,
    interval: Span,
    window: Span,
    next: Nanos,
}

#[derive(Debug)]
struct Proxy {
    admin: SocketAddr,
    /// One for each metric.
    series: Vec<Series>,
    /// Why the last look failed.
    trouble: Option<String>,
}

impl Balancers {
    /// Those with their admin interfaces at `admins`, which ask for `token` or for none. Looks at
    /// multiples of `interval` since zero; a value is that over the `window` before it.
    #[must_use]
    pub fn new(
        metrics: Vec<ScaleMetric>,
        (admins, token): (Vec<SocketAddr>, Option<String>),
        (interval, window): (Span, Span),
    ) -> Self {
        let series = vec![Series::new(window); metrics.len()];
        let proxy = |admin| Proxy { admin, series: series.clone(), trouble: None };
        let proxies = admins.into_iter().map(proxy).collect();
        Self { metrics, proxies, token, interval, window, next: Nanos::ZERO }
    }

    /// When it wishes to look next, since zero; `None` if it never does.
    #[must_use]
    pub fn next_look(&self) -> Option<Nanos> {
        (!self.metrics.is_empty()).then_some(self.next)
    }

    /// Looks at them, for the instant `at`, if that is due.
    pub async fn look(&mut self, at: Nanos) {
        if self.metrics.is_empty() || at < self.next {
            return;
        }
        self.next = Nanos((at.0 / self.interval.0 + 1) * self.interval.0);
        let limit = scrape::limit(self.interval);
        let mut asked = Vec::new();
        for proxy in &self.proxies {
            let (admin, token) = (proxy.admin, self.token.clone());
            asked.push(tokio::spawn(async move { page(token.as_deref(), admin, limit).await }));
        }
        for (proxy, page) in self.proxies.iter_mut().zip(asked) {
            let page = page.await.unwrap_or_else(|error| Err(error.to_string()));
            let values = page.and_then(|page| {
                self.metrics
                    .iter()
                    .map(|metric| read(&page, *metric))
                    .collect::<Result<Vec<_>, _>>()
            });
            match values {
                Ok(values) => {
                    proxy.trouble = None;
                    for (series, value) in proxy.series.iter_mut().zip(values) {
                        series.push(at, value);
                    }
                }
                Err(trouble) => {
                    proxy.series.iter_mut().for_each(|series| series.end(at));
                    proxy.trouble = Some(trouble);
                }
            }
        }
    }

    /// The metric in this place at `at`, of all proxies together. If one of them does not answer,
    /// nobody knows.
    ///
    /// # Errors
    /// Why it is not known.
    pub fn value(&self, place: usize, at: Nanos) -> Result<f64, MetricsError> {
        let is_rate = self.metrics.get(place).is_some_and(|metric| metric.is_rate());
        let mut sum = 0.0;
        for proxy in &self.proxies {
            if let Some(trouble) = &proxy.trouble {
                return Err(MetricsError(trouble.clone()));
            }
            let value = proxy.series.get(place).and_then(|s| s.value(at, self.window, is_rate));
            let early = || MetricsError(format!("{} was not looked at twice yet", proxy.admin));
            sum += value.ok_or_else(early)?.value;
        }
        if self.proxies.is_empty() {
            return Err(MetricsError("there is no proxy to be asked".to_owned()));
        }
        Ok(sum)
    }
}

/// What is kept of a page for `metric`.
fn read(page: &str, metric: ScaleMetric) -> Result<f64, String> {
    let samples = samples(page).map_err(|error| format!("the metrics cannot be read: {error}"))?;
    let name = match metric {
        ScaleMetric::InFlight => "lab_proxy_in_flight",
        ScaleMetric::Queue => "lab_proxy_waiting",
        _ => "lab_proxy_admitted_total",
    };
    let values = || samples.iter().filter(|sample| sample.name == name).map(|sample| sample.value);
    // With no upstream there is none in flight.
    if values().next().is_none() && metric != ScaleMetric::InFlight {
        return Err(format!("`{name}` is not among the metrics"));
    }
    Ok(values().sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "lab_proxy_admitted_total 120\nlab_proxy_waiting 3\n\
        lab_proxy_in_flight{upstream=\"a\"} 4\nlab_proxy_in_flight{upstream=\"b\"} 5\n";

    #[test]
    fn each_metric_is_found() {
        let value = |metric| read(PAGE, metric).unwrap();
        assert_eq!(value(ScaleMetric::Requests), 120.0);
        assert_eq!(value(ScaleMetric::InFlight), 9.0);
        assert_eq!(value(ScaleMetric::Queue), 3.0);
        let wrong = read("up 1\n", ScaleMetric::Requests).unwrap_err();
        assert_eq!(wrong, "`lab_proxy_admitted_total` is not among the metrics");
    }

    #[test]
    fn what_one_of_them_does_not_say_nobody_knows() {
        let second = Span::from_secs(1);
        let admins = [1, 2].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let metrics = vec![ScaleMetric::Queue];
        let mut balancers = Balancers::new(metrics, (admins.to_vec(), None), (second, second * 2));
        let at = Nanos::ZERO + second;
        balancers.proxies[0].series[0].push(at, 3.0);
        let early = balancers.value(0, at).unwrap_err();
        assert_eq!(early.to_string(), "127.0.0.1:2 was not looked at twice yet");
        balancers.proxies[1].series[0].push(at, 4.0);
        assert_eq!(balancers.value(0, at), Ok(7.0));
        balancers.proxies[0].trouble = Some("refused".to_owned());
        assert_eq!(balancers.value(0, at), Err(MetricsError("refused".to_owned())));
    }
}
