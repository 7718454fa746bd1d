//! E_n/M/1: one server behind a round robin over `n`, fed by Poisson arrivals.
//!
//! Round robin gives each server every `n`-th arrival, so the gaps at a server are sums of `n`
//! exponential gaps: an Erlang law, more regular than Poisson. With `σ` the root in 0..1 of
//! `σ = A*(μ (1 - σ))`, `A*(s) = (λ / (λ + s))^n`, where `λ` is the rate of all arrivals together,
//! the response time is exponential with rate `μ (1 - σ)`. Source: L. Kleinrock, "Queueing
//! Systems", vol. 1, 1975, section 6.4 (G/M/1).

use super::{Prediction, root};

/// E_n/M/1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ErlangArrivals {
    /// Rate of the exponential response time.
    response_rate: f64,
    /// Share of requests that wait.
    waiting: f64,
}

impl ErlangArrivals {
    /// One of `servers` servers, each of `service_rate`, that share arrivals of rate
    /// `arrival_rate` in turn; if it is stable.
    #[must_use]
    pub fn new(arrival_rate: f64, service_rate: f64, servers: u32) -> Option<Self> {
        let load = arrival_rate / (f64::from(servers) * service_rate);
        if !(load > 0.0 && load < 1.0 && service_rate > 0.0) {
            return None;
        }
        let transform = |s: f64| libm::pow(arrival_rate / (arrival_rate + s), servers.into());
        // The transform minus σ is convex, positive at 0, and zero at 1, before which it is
        // negative: one root lies between.
        let below = |sigma: f64| transform(service_rate * (1.0 - sigma)) < sigma;
        let waiting = root::bisect(below, 0.0, 1.0 - f64::EPSILON);
        Some(Self { response_rate: service_rate * (1.0 - waiting), waiting })
    }

    /// Share of requests that wait, `σ`.
    #[must_use]
    pub const fn waiting_share(&self) -> f64 {
        self.waiting
    }

    /// Mean response time.
    #[must_use]
    pub fn mean_response(&self) -> f64 {
        1.0 / self.response_rate
    }

    /// Response time that a share `p` of requests does not exceed; `p` in 0..1.
    #[must_use]
    pub fn response_quantile(&self, p: f64) -> Option<f64> {
        (p < 1.0).then(|| -libm::log1p(-p) / self.response_rate)
    }

    /// Mean and quantiles of the response time.
    #[must_use]
    pub fn predictions(&self) -> Vec<Prediction> {
        let source = "E_n/M/1: root of σ = A*(μ(1 - σ)) (Kleinrock 1975, 6.4)";
        super::response(Some(self.mean_response()), |p| self.response_quantile(p), source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_server_is_m_m_1() {
        let system = ErlangArrivals::new(8.0, 10.0, 1).unwrap();
        assert!((system.waiting_share() - 0.8).abs() < 1e-12);
        assert!((system.mean_response() - 0.5).abs() < 1e-11);
    }

    #[test]
    fn two_stages_have_a_root_in_closed_form() {
        // With n = 2 and per-server load r the cubic divides by (σ - 1); what is left gives
        // σ = (1 + 4r - sqrt(1 + 8r)) / 2.
        for load in [0.1, 0.5, 0.8, 0.99] {
            let system = ErlangArrivals::new(2.0 * load, 1.0, 2).unwrap();
            let sigma = (1.0 + 4.0 * load - (1.0 + 8.0 * load).sqrt()) / 2.0;
            assert!((system.waiting_share() - sigma).abs() < 1e-12, "load {load}");
        }
    }

    #[test]
    fn regular_arrivals_wait_less_but_never_vanish() {
        let mean =
            |n: u32| ErlangArrivals::new(0.8 * f64::from(n), 1.0, n).unwrap().mean_response();
        assert!(mean(1) > mean(2) && mean(2) > mean(4) && mean(4) > mean(1000));
        // D/M/1 at load 0.8: σ = e^(-(1 - σ) / 0.8) = 0.6286.
        assert!((1.0 - 1.0 / mean(100_000) - 0.6286).abs() < 1e-3);
        assert_eq!(ErlangArrivals::new(1.0, 1.0, 1), None);
        assert_eq!(ErlangArrivals::new(1.0, 1.0, 0), None);
    }
}
