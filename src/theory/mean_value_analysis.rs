//! A closed network: `N` users who think, and one station of `k` servers.
//!
//! Mean value analysis builds up the population one user at a time: an arriving user sees the
//! network as it is with one user less. With `p_n(j)` the probability of `j` users at the station
//! among `n`, service mean `S`, think time `Z` and `a(j) = min(j, k)`:
//! `R_n = S Σ_j j / a(j) p_{n-1}(j - 1)`, `X_n = n / (Z + R_n)`, `p_n(j) = X_n S / a(j) p_{n-1}(j - 1)`.
//! For `p_n(0)` the textbook takes `1 - Σ p_n(j)`, which cancels badly near saturation; here it is
//! `p_{n-1}(0) X_n Z / n`, from the throughput of the network without the station, and everything
//! stays positive. Exact for exponential service in order of arrival, and any law of think times.
//! Sources: M. Reiser, S. Lavenberg, "Mean-value analysis of closed multichain queuing networks",
//! JACM 27(2), 1980; G. Bolch et al., "Queueing Networks and Markov Chains", 2nd ed., 2006, 8.2.

use super::{Prediction, Statistic};

/// What a closed network does in the long run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClosedNetwork {
    throughput: f64,
    response: f64,
}

impl ClosedNetwork {
    /// `users` users with a mean think time of `think` seconds, and `servers` servers with a mean
    /// service of `service` seconds. `None` without users, servers or service.
    #[must_use]
    pub fn new(users: u32, think: f64, service: f64, servers: u32) -> Option<Self> {
        let sensible = think >= 0.0 && think.is_finite() && service > 0.0 && service.is_finite();
        if users == 0 || servers == 0 || !sensible {
            return None;
        }
        let speed = |j: usize| j.min(servers as usize) as f64;
        let mut shares = vec![0.0; users as usize + 1];
        shares[0] = 1.0;
        let mut network = Self { throughput: 0.0, response: service };
        for n in 1..=users as usize {
            let seen = |j: usize| j as f64 / speed(j) * shares[j - 1];
            let response = service * (1..=n).map(seen).sum::<f64>();
            let throughput = n as f64 / (think + response);
            for j in (1..=n).rev() {
                shares[j] = throughput * service / speed(j) * shares[j - 1];
            }
            shares[0] *= throughput * think / n as f64;
            network = Self { throughput, response };
        }
        Some(network)
    }

    /// Requests served per second, by all users together.
    #[must_use]
    pub const fn throughput(&self) -> f64 {
        self.throughput
    }

    /// Mean response time.
    #[must_use]
    pub const fn mean_response(&self) -> f64 {
        self.response
    }

    /// Mean response time and throughput.
    #[must_use]
    pub fn predictions(&self) -> Vec<Prediction> {
        let source = "closed network: exact mean value analysis (Reiser, Lavenberg 1980)";
        let prediction = |statistic, value| Prediction { statistic, value, source };
        vec![
            prediction(Statistic::Mean, self.response),
            prediction(Statistic::Throughput, self.throughput),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64, relative: f64) {
        assert!((a - b).abs() <= relative * b.abs(), "{a} is not {b}");
    }

    /// The machine repairman as a birth and death chain, an independent route.
    fn chain(users: u32, think: f64, service: f64, servers: u32) -> (f64, f64) {
        let mut weight = 1.0;
        let (mut sum, mut served, mut present) = (0.0, 0.0, 0.0);
        for n in 0..=users {
            sum += weight;
            served += weight * f64::from(n.min(servers)) / service;
            present += weight * f64::from(n);
            let birth = f64::from(users - n) / think;
            weight *= birth * service / f64::from((n + 1).min(servers));
        }
        (served / sum, present / served)
    }

    #[test]
    fn it_agrees_with_the_birth_and_death_chain() {
        for (users, think, service, servers) in [
            (1, 1.0, 0.5, 1),
            (10, 1.0, 0.1, 1),
            (50, 1.0, 0.1, 1),
            (50, 1.0, 0.1, 4),
            (200, 0.5, 0.02, 7),
        ] {
            let network = ClosedNetwork::new(users, think, service, servers).unwrap();
            let (throughput, response) = chain(users, think, service, servers);
            near(network.throughput(), throughput, 1e-10);
            near(network.mean_response(), response, 1e-10);
        }
    }

    #[test]
    fn the_bounds_of_asymptotic_analysis_are_met() {
        // Far beyond saturation: X = k / S and R = N S / k - Z.
        let network = ClosedNetwork::new(5000, 1.0, 0.01, 4).unwrap();
        near(network.throughput(), 400.0, 1e-9);
        near(network.mean_response(), 5000.0 / 400.0 - 1.0, 1e-9);
        // Nobody thinks: the station never idles.
        near(ClosedNetwork::new(3, 0.0, 0.5, 1).unwrap().throughput(), 2.0, 1e-12);
        assert_eq!(ClosedNetwork::new(0, 1.0, 1.0, 1), None);
    }
}
