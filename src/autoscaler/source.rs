//! Where the measured values come from.

use std::future::Future;
use std::net::SocketAddr;

use super::Instance;
use super::balancers::Balancers;
use super::prometheus::{Prometheus, QueryError};
use super::scrape::{self, Scraper};
use crate::policy::scale::{External, Metric, MetricsError, Reading};
use crate::units::{Nanos, Span};

/// Who knows what the instances do.
pub trait Source {
    /// When it wishes to look at the instances next, since zero; `None` if it never does.
    fn next_look(&self) -> Option<Nanos>;

    /// Looks at `instances`, for the instant `at`.
    fn look(&mut self, at: Nanos, instances: &[&Instance]) -> impl Future<Output = ()>;

    /// What is known at `at`, one reading for each metric of the autoscaler; of instances those
    /// without a fresh value are left out, and an error says why nothing can be known.
    fn readings(
        &mut self,
        at: Nanos,
        instances: &[&Instance],
    ) -> impl Future<Output = Vec<Result<Reading, MetricsError>>>;

    /// Forgets what it knows about the instance in `slot`: it is gone, or another one.
    fn forget(&mut self, slot: u32);

    /// Requests in flight at the instance whose `/metrics` are there, by its own count; `None` if it
    /// does not say.
    fn in_flight(&mut self, metrics: SocketAddr) -> impl Future<Output = Option<u64>> {
        scrape::in_flight(metrics)
    }
}

/// What there is to ask.
#[derive(Clone, Debug, Default)]
pub struct Around {
    /// Name of the group of instances.
    pub group: String,
    /// Time between two looks.
    pub scrape_interval: Span,
    /// The window over which values are taken.
    pub rate_window: Span,
    /// The URL of a Prometheus server, which is asked instead of instances and balancers.
    pub prometheus: Option<String>,
    /// What it is asked for the first metric, in place of the usual query.
    pub query: Option<String>,
    /// Instances and balancers are looked at all the same: Prometheus is asked for what is external.
    pub scrapes: bool,
    /// The admin interfaces of lab's proxies in front of the group, and the token they ask for.
    pub admins: Vec<SocketAddr>,
    /// See `admins`.
    pub token: Option<String>,
}

/// Why a metric cannot be measured.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// There is nobody to be asked for an external one.
    #[error(
        "the metric `{0}` is asked of Prometheus: say where that is, or write a `series` for it"
    )]
    NoPrometheus(String),
    /// Its query cannot be put.
    #[error(transparent)]
    Query(#[from] QueryError),
}

/// Each metric from where it is to be had.
#[derive(Debug)]
pub struct Measuring {
    meters: Vec<Meter>,
    scraper: Scraper,
    balancers: Balancers,
}

/// Where one metric comes from.
#[derive(Debug)]
enum Meter {
    /// The instances' own `/metrics`, as this one of theirs.
    Instances(usize),
    /// Those of the balancers, as this one of theirs.
    Balancers(usize),
    /// A Prometheus server.
    Asked(Box<Prometheus>, bool),
    /// The scenario.
    Given(External),
}

impl Measuring {
    /// Measures `metrics`, with what is `around`.
    ///
    /// # Errors
    /// When one of them cannot be had.
    pub fn new(metrics: &[Metric], around: &Around) -> Result<Self, SourceError> {
        let (mut of_instances, mut of_balancers) = (Vec::new(), Vec::new());
        let mut meters = Vec::new();
        for (place, metric) in metrics.iter().enumerate() {
            let own = around.query.clone().filter(|_| place == 0);
            let query = own.or_else(|| Prometheus::query_for(metric, around.rate_window));
            let is_asked = !around.scrapes || matches!(metric, Metric::External(_));
            let prometheus = around.prometheus.as_ref().filter(|_| is_asked);
            meters.push(match (metric, prometheus, query) {
                (_, Some(url), Some(query)) => {
                    let asked = Prometheus::new(url, query, &around.group, around.rate_window)?;
                    Meter::Asked(Box::new(asked), metric.of_instances().is_some())
                }
                (Metric::External(external), ..) if external.series.is_empty() => {
                    return Err(SourceError::NoPrometheus(external.name.clone()));
                }
                (Metric::External(external), ..) => Meter::Given(external.clone()),
                (Metric::Instances(metric), ..) => {
                    of_instances.push(*metric);
                    Meter::Instances(of_instances.len() - 1)
                }
                (Metric::Balancer(metric), ..) => {
                    of_balancers.push(*metric);
                    Meter::Balancers(of_balancers.len() - 1)
                }
            });
        }
        let Around { scrape_interval, rate_window, .. } = *around;
        let scraper = Scraper::new(of_instances, scrape_interval, rate_window);
        let at = (around.admins.clone(), around.token.clone());
        let balancers = Balancers::new(of_balancers, at, (scrape_interval, rate_window));
        Ok(Self { meters, scraper, balancers })
    }

    /// What Prometheus is asked for each metric; `None` if one of them comes from elsewhere.
    #[must_use]
    pub fn asked(&self) -> Option<Vec<&Prometheus>> {
        let mut asked = Vec::new();
        for meter in &self.meters {
            let Meter::Asked(prometheus, _) = meter else { return None };
            asked.push(prometheus.as_ref());
        }
        Some(asked)
    }
}

impl Source for Measuring {
    fn next_look(&self) -> Option<Nanos> {
        let (one, other) = (self.scraper.next_look(), self.balancers.next_look());
        one.into_iter().chain(other).min()
    }

    async fn look(&mut self, at: Nanos, instances: &[&Instance]) {
        tokio::join!(self.scraper.look(at, instances), self.balancers.look(at));
    }

    async fn readings(
        &mut self,
        at: Nanos,
        instances: &[&Instance],
    ) -> Vec<Result<Reading, MetricsError>> {
        let mut readings = Vec::new();
        for meter in &self.meters {
            readings.push(match meter {
                Meter::Instances(place) => {
                    self.scraper.usages(*place, at, instances).map(Reading::Instances)
                }
                Meter::Balancers(place) => self.balancers.value(*place, at).map(Reading::Whole),
                Meter::Asked(prometheus, true) => {
                    prometheus.usages(at, instances).await.map(Reading::Instances)
                }
                Meter::Asked(prometheus, false) => prometheus.sum().await.map(Reading::Whole),
                Meter::Given(external) => {
                    let none = || MetricsError("its series begins later".to_owned());
                    external.given(at).map(Reading::Whole).ok_or_else(none)
                }
            });
        }
        readings
    }

    fn forget(&mut self, slot: u32) {
        self.scraper.forget(slot);
    }
}
