//! M/M/1/K: one exponential server with room for `K` requests, the one in service included;
//! who finds it full is refused.
//!
//! Symbols: `ρ = λ / μ`, `p_n` the share of time with `n` requests present,
//! `p_n = ρ^n (1 - ρ) / (1 - ρ^(K+1))`, or `1 / (K + 1)` at `ρ = 1`. Poisson arrivals see these
//! shares, so `p_K` is the loss. An accepted request that finds `n` others stays for `n + 1`
//! exponential services, an Erlang law. Source: Gross et al., "Fundamentals of Queueing Theory",
//! 4th ed., 2008, sections 2.4 and 2.5.

use super::{Prediction, Statistic, root};

/// M/M/1/K.
#[derive(Clone, Debug, PartialEq)]
pub struct Loss {
    arrival_rate: f64,
    service_rate: f64,
    /// `p_0` to `p_K`.
    shares: Vec<f64>,
}

impl Loss {
    /// The system with `places` places, at least 1; it is stable at any load. Rates are positive.
    #[must_use]
    pub fn new(arrival_rate: f64, service_rate: f64, places: u32) -> Option<Self> {
        let load = arrival_rate / service_rate;
        if !(load > 0.0 && load.is_finite() && service_rate > 0.0) || places == 0 {
            return None;
        }
        // Relative to the larger end, so that no power overflows.
        let exponent =
            |n: u32| if load > 1.0 { f64::from(n) - f64::from(places) } else { n.into() };
        let weights = (0..=places).map(|n| libm::pow(load, exponent(n)));
        let sum: f64 = weights.clone().sum();
        let shares = weights.map(|weight| weight / sum).collect();
        Some(Self { arrival_rate, service_rate, shares })
    }

    /// Share of requests refused.
    #[must_use]
    pub fn loss(&self) -> f64 {
        self.shares.last().copied().unwrap_or(1.0)
    }

    /// Accepted requests per second.
    #[must_use]
    pub fn throughput(&self) -> f64 {
        self.service_rate * (1.0 - self.shares[0])
    }

    /// Mean response time of an accepted request, by Little's law.
    #[must_use]
    pub fn mean_response(&self) -> f64 {
        let present: f64 = self.shares.iter().zip(0..).map(|(p, n)| p * f64::from(n)).sum();
        present / (self.arrival_rate * (1.0 - self.loss()))
    }

    /// Share of accepted requests whose response time is above `t`.
    #[must_use]
    pub fn response_above(&self, t: f64) -> f64 {
        let places = self.shares.len() - 1;
        let accepted: f64 = self.shares[..places].iter().sum();
        // The Erlang law with n + 1 stages is above t if a Poisson count is n or less.
        let mut term = libm::exp(-self.service_rate * t);
        let (mut at_most, mut above) = (0.0, 0.0);
        for (n, share) in (0_u32..).zip(&self.shares[..places]) {
            at_most += term;
            above += share / accepted * at_most;
            term *= self.service_rate * t / f64::from(n + 1);
        }
        above
    }

    /// Response time that a share `p` of the accepted requests does not exceed.
    #[must_use]
    pub fn response_quantile(&self, p: f64) -> Option<f64> {
        root::falling(|t| self.response_above(t), 1.0 - p, 1e-3 / self.service_rate)
    }

    /// The loss, and mean and quantiles of the response time of accepted requests.
    #[must_use]
    pub fn predictions(&self) -> Vec<Prediction> {
        let source = "M/M/1/K: truncated geometric law (Gross et al. 2008, 2.4)";
        let loss = Prediction { statistic: Statistic::Loss, value: self.loss(), source };
        let mean = Some(self.mean_response());
        let response = super::response(mean, |p| self.response_quantile(p), source);
        std::iter::once(loss).chain(response).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64, relative: f64) {
        assert!((a - b).abs() <= relative * b.abs(), "{a} is not {b}");
    }

    #[test]
    fn small_systems_are_those_counted_by_hand() {
        // One place: Erlang B with one server, 1 of 3 lost at load 1/2; the response is the service.
        let one = Loss::new(1.0, 2.0, 1).unwrap();
        near(one.loss(), 1.0 / 3.0, 1e-14);
        near(one.mean_response(), 0.5, 1e-14);
        near(one.response_above(1.0), libm::exp(-2.0), 1e-14);
        // At load 1 all K + 1 states are equally likely.
        let even = Loss::new(3.0, 3.0, 4).unwrap();
        near(even.loss(), 0.2, 1e-14);
        near(even.mean_response(), 2.0 / (3.0 * 0.8), 1e-14);
        // Load 2, two places: shares 1/7, 2/7, 4/7.
        near(Loss::new(2.0, 1.0, 2).unwrap().loss(), 4.0 / 7.0, 1e-14);
    }

    #[test]
    fn what_is_not_lost_is_served() {
        for load in [0.3, 0.9, 1.0, 1.7, 50.0] {
            let system = Loss::new(load * 4.0, 4.0, 12).unwrap();
            near(system.throughput(), load * 4.0 * (1.0 - system.loss()), 1e-9);
        }
    }

    #[test]
    fn many_places_are_a_queue_without_a_limit() {
        let system = Loss::new(8.0, 10.0, 400).unwrap();
        near(system.mean_response(), 0.5, 1e-9);
        near(system.response_quantile(0.99).unwrap(), libm::log(100.0) / 2.0, 1e-9);
        assert!(Loss::new(1e9, 1e-9, 1000).unwrap().loss() > 0.999);
        assert_eq!(Loss::new(1.0, 1.0, 0), None);
    }
}
