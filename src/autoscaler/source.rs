//! Where the measured values come from.

use std::future::Future;
use std::net::SocketAddr;

use super::Instance;
use super::prometheus::Prometheus;
use super::scrape::{self, Scraper};
use crate::policy::scale::{MetricsError, Usage};
use crate::units::Nanos;

/// Who knows what the instances do.
pub trait Source {
    /// When it wishes to look at the instances next, since zero; `None` if it never does.
    fn next_look(&self) -> Option<Nanos>;

    /// Looks at `instances`, for the instant `at`.
    fn look(&mut self, at: Nanos, instances: &[&Instance]) -> impl Future<Output = ()>;

    /// What is known at `at` about `instances`, by slot; those without a fresh value are left out.
    ///
    /// # Errors
    /// When nothing can be known about any of them, and why.
    fn usages(
        &mut self,
        at: Nanos,
        instances: &[&Instance],
    ) -> impl Future<Output = Result<Vec<(u32, Usage)>, MetricsError>>;

    /// Forgets what it knows about the instance in `slot`: it is gone, or another one.
    fn forget(&mut self, slot: u32);

    /// Requests in flight at the instance whose `/metrics` are there, by its own count; `None` if it
    /// does not say.
    fn in_flight(&mut self, metrics: SocketAddr) -> impl Future<Output = Option<u64>> {
        scrape::in_flight(metrics)
    }
}

/// Either source.
#[derive(Debug)]
pub enum Measuring {
    /// The instances' own `/metrics`.
    Scrape(Scraper),
    /// A Prometheus server.
    Prometheus(Prometheus),
}

impl Source for Measuring {
    fn next_look(&self) -> Option<Nanos> {
        match self {
            Self::Scrape(scraper) => scraper.next_look(),
            Self::Prometheus(prometheus) => prometheus.next_look(),
        }
    }

    async fn look(&mut self, at: Nanos, instances: &[&Instance]) {
        match self {
            Self::Scrape(scraper) => scraper.look(at, instances).await,
            Self::Prometheus(prometheus) => prometheus.look(at, instances).await,
        }
    }

    async fn usages(
        &mut self,
        at: Nanos,
        instances: &[&Instance],
    ) -> Result<Vec<(u32, Usage)>, MetricsError> {
        match self {
            Self::Scrape(scraper) => scraper.usages(at, instances).await,
            Self::Prometheus(prometheus) => prometheus.usages(at, instances).await,
        }
    }

    fn forget(&mut self, slot: u32) {
        match self {
            Self::Scrape(scraper) => scraper.forget(slot),
            Self::Prometheus(prometheus) => prometheus.forget(slot),
        }
    }
}
