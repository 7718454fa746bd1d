//! M/D/1: Poisson arrivals, one server, every service equally long.
//!
//! Symbols: `λ` arrival rate, `D` service time, `ρ = λ D`. A. Erlang's sum for the wait (1909)
//! alternates in sign and is useless beyond a few services; G. Franx, "A simple solution for the
//! M/D/c waiting time distribution", Operations Research Letters 29(5), 2001, gives one of positive
//! terms only: for `(k - 1) D <= t < k D`,
//! `P(W <= t) = e^(-y) Σ_{j=0..k-1} Q_{k-1-j} y^j / j!` with `y = λ (k D - t)`, where `Q_i` is the
//! probability that at most `i` requests wait. Those come from the chain embedded at departures
//! by V. Ramaswami's recursion (Stochastic Models 4(1), 1988), positive terms again.

use std::cell::RefCell;

use super::{Prediction, root};

/// M/D/1.
#[derive(Clone, Debug)]
pub struct ConstantService {
    service: f64,
    load: f64,
    /// Probability of `n` requests present, as far as asked for.
    present: RefCell<Vec<f64>>,
}

impl ConstantService {
    /// The queue, if it is stable: `arrival_rate` per second, `service` seconds each.
    #[must_use]
    pub fn new(arrival_rate: f64, service: f64) -> Option<Self> {
        let load = arrival_rate * service;
        let stable = load > 0.0 && load < 1.0 && service > 0.0;
        stable.then(|| Self { service, load, present: RefCell::new(vec![1.0 - load]) })
    }

    /// Mean response time, `D + ρ D / (2 (1 - ρ))`.
    #[must_use]
    pub fn mean_response(&self) -> f64 {
        self.service * (1.0 + self.load / (2.0 * (1.0 - self.load)))
    }

    /// Share of waits that are at most `t`.
    #[must_use]
    pub fn wait_at_most(&self, t: f64) -> f64 {
        if t < 0.0 {
            return 0.0;
        }
        let services = (t / self.service) as usize + 1;
        self.extend(services + 1);
        let present = self.present.borrow();
        // Q_i for i = 0..services: at most i wait if at most i + 1 are present.
        let at_most: Vec<f64> = present
            .iter()
            .scan(0.0, |sum, p| {
                *sum += p;
                Some(*sum)
            })
            .skip(1)
            .take(services)
            .collect();
        let y = self.load * (services as f64 - t / self.service);
        let mut term = libm::exp(-y);
        let mut sum = 0.0;
        for (j, q) in at_most.iter().rev().enumerate() {
            sum += q * term;
            term *= y / (j + 1) as f64;
        }
        sum.min(1.0)
    }

    /// Response time that a share `p` of requests does not exceed; `p` in 0..1.
    #[must_use]
    pub fn response_quantile(&self, p: f64) -> Option<f64> {
        if 1.0 - self.load >= p {
            return Some(self.service);
        }
        let wait = root::falling(|t| 1.0 - self.wait_at_most(t), 1.0 - p, self.service / 64.0)?;
        Some(self.service + wait)
    }

    /// Mean and quantiles of the response time.
    #[must_use]
    pub fn predictions(&self) -> Vec<Prediction> {
        let source = "M/D/1: Pollaczek-Khinchine, quantiles by Franx (2001)";
        super::response(Some(self.mean_response()), |p| self.response_quantile(p), source)
    }

    fn extend(&self, count: usize) {
        let mut present = self.present.borrow_mut();
        if present.len() >= count {
            return;
        }
        let more = arrivals_at_least(self.load, count + 1);
        while present.len() < count {
            let n = present.len();
            let inner: f64 = (1..n).map(|i| present[i] * more[n + 1 - i]).sum();
            let next = (present[0] * more[n] + inner) / (1.0 - more[1]);
            present.push(next);
        }
    }
}

/// Probabilities that at least `0, 1, …, count` arrive in one service, summed from the small end.
fn arrivals_at_least(load: f64, count: usize) -> Vec<f64> {
    let beyond = count + 60;
    let mut exactly = vec![libm::exp(-load); beyond + 1];
    for n in 1..=beyond {
        exactly[n] = exactly[n - 1] * load / n as f64;
    }
    for n in (0..beyond).rev() {
        exactly[n] += exactly[n + 1];
    }
    exactly
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Erlang's alternating sum, good for a few services.
    fn erlang(load: f64, services: f64) -> f64 {
        let mut sum = 0.0;
        for j in 0..=services as u32 {
            let x = load * (f64::from(j) - services);
            let factorial: f64 = (1..=j).map(f64::from).product();
            sum += libm::pow(x, j.into()) / factorial * libm::exp(-x);
        }
        (1.0 - load) * sum
    }

    #[test]
    fn it_agrees_with_erlangs_sum_where_that_is_stable() {
        for load in [0.2, 0.5, 0.8, 0.95] {
            let system = ConstantService::new(load * 100.0, 0.01).unwrap();
            for services in [0.0, 0.3, 0.99, 1.0, 1.7, 3.2, 6.5] {
                let (got, want) = (system.wait_at_most(services * 0.01), erlang(load, services));
                assert!((got - want).abs() < 1e-9, "load {load}, {services}: {got} {want}");
            }
        }
    }

    #[test]
    fn the_tail_has_the_area_of_the_mean_wait() {
        for load in [0.5, 0.9] {
            let system = ConstantService::new(load, 1.0).unwrap();
            let area: f64 = (0..20_000)
                .map(|i| (1.0 - system.wait_at_most((f64::from(i) + 0.5) / 100.0)) / 100.0)
                .sum();
            let mean = system.mean_response() - 1.0;
            assert!((area - mean).abs() < 1e-4 * mean, "{area} {mean}");
        }
    }

    #[test]
    fn those_that_do_not_wait_take_one_service() {
        let system = ConstantService::new(0.4, 1.0).unwrap();
        assert_eq!(system.response_quantile(0.5), Some(1.0));
        assert!(system.response_quantile(0.99).unwrap() > 1.5);
        assert!(ConstantService::new(1.0, 1.0).is_none());
    }
}
