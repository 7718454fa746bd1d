//! Poisson arrivals, exponential service, `k` servers over one queue: M/M/1 and M/M/k.
//!
//! Symbols: `λ` arrival rate, `μ` service rate of a server (both per second), `k` servers,
//! `a = λ / μ` offered load, `ρ = a / k`. Source: L. Kleinrock, "Queueing Systems", vol. 1, 1975,
//! sections 3.2 to 3.5; the distribution of the response time, D. Gross, J. Shortle, J. Thompson,
//! C. Harris, "Fundamentals of Queueing Theory", 4th ed., 2008, section 2.3.

use super::{Prediction, root};

/// Erlang's B formula: the share of requests lost by `servers` servers without a queue under an
/// offered load of `load`. By its recursion `B_k = a B_{k-1} / (k + a B_{k-1})`, which neither
/// overflows nor cancels.
#[must_use]
pub fn erlang_b(servers: u32, load: f64) -> f64 {
    (1..=servers).fold(1.0, |loss, k| load * loss / (f64::from(k) + load * loss))
}

/// Erlang's C formula: the share of requests that wait; 1 from a load of `servers` on.
#[must_use]
pub fn erlang_c(servers: u32, load: f64) -> f64 {
    let utilisation = load / f64::from(servers);
    if utilisation >= 1.0 {
        return 1.0;
    }
    let loss = erlang_b(servers, load);
    loss / (1.0 - utilisation * (1.0 - loss))
}

/// M/M/k; with one server M/M/1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MultiServer {
    service_rate: f64,
    servers: u32,
    /// Share of requests that wait.
    waiting: f64,
    /// Rate of the exponential wait of those that wait, `kμ - λ`.
    drain: f64,
}

impl MultiServer {
    /// The system, if it is stable: rates positive, `λ < kμ`.
    #[must_use]
    pub fn new(arrival_rate: f64, service_rate: f64, servers: u32) -> Option<Self> {
        let drain = f64::from(servers) * service_rate - arrival_rate;
        let stable = arrival_rate > 0.0 && service_rate > 0.0 && drain > 0.0 && drain.is_finite();
        let waiting = erlang_c(servers, arrival_rate / service_rate);
        stable.then_some(Self { service_rate, servers, waiting, drain })
    }

    /// Share of requests that wait.
    #[must_use]
    pub const fn waiting_share(&self) -> f64 {
        self.waiting
    }

    /// Mean wait, `C / (kμ - λ)`.
    #[must_use]
    pub fn mean_wait(&self) -> f64 {
        self.waiting / self.drain
    }

    /// Mean response time, wait and service.
    #[must_use]
    pub fn mean_response(&self) -> f64 {
        self.mean_wait() + 1.0 / self.service_rate
    }

    /// Share of response times above `t`: `e^(-μt) (1 + C μ (1 - e^(-δt)) / δ)` with
    /// `δ = kμ - λ - μ`; for one server this is `e^(-(μ - λ)t)`.
    #[must_use]
    pub fn response_above(&self, t: f64) -> f64 {
        let gap = self.drain - self.service_rate;
        let grown = if gap == 0.0 { t } else { -libm::expm1(-gap * t) / gap };
        libm::exp(-self.service_rate * t) * (1.0 + self.waiting * self.service_rate * grown)
    }

    /// Response time that a share `p` of requests does not exceed; `p` in 0..1.
    #[must_use]
    pub fn response_quantile(&self, p: f64) -> Option<f64> {
        if self.servers == 1 {
            return (p < 1.0).then(|| -libm::log1p(-p) / self.drain);
        }
        root::falling(|t| self.response_above(t), 1.0 - p, 1e-3 / self.service_rate)
    }

    /// Mean and quantiles of the response time.
    #[must_use]
    pub fn predictions(&self) -> Vec<Prediction> {
        let source = if self.servers == 1 {
            "M/M/1: exponential with rate μ - λ (Kleinrock 1975, 3.2)"
        } else {
            "M/M/k: Erlang C (Kleinrock 1975, 3.5; Gross et al. 2008, 2.3)"
        };
        super::response(Some(self.mean_response()), |p| self.response_quantile(p), source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64, relative: f64) {
        assert!((a - b).abs() <= relative * b.abs(), "{a} is not {b}");
    }

    #[test]
    fn erlangs_formulas_give_the_values_of_the_tables() {
        // Angus, "An introduction to Erlang B and Erlang C", 2001; and by hand:
        // two servers, load 1: B = 1/5, C = 1/3.
        near(erlang_b(2, 1.0), 0.2, 1e-15);
        near(erlang_c(2, 1.0), 1.0 / 3.0, 1e-15);
        near(erlang_b(10, 5.0), 0.018_384_570_2, 1e-8);
        near(erlang_c(10, 5.0), 0.036_105_360, 1e-6);
        assert_eq!(erlang_b(0, 3.0), 1.0);
        assert_eq!(erlang_c(1, 0.7), 0.7);
    }

    #[test]
    fn one_server_is_the_exponential_response_of_the_textbook() {
        let system = MultiServer::new(8.0, 10.0, 1).unwrap();
        near(system.mean_response(), 0.5, 1e-12);
        near(system.response_above(0.5), libm::exp(-1.0), 1e-12);
        near(system.response_quantile(0.5).unwrap(), std::f64::consts::LN_2 / 2.0, 1e-12);
    }

    #[test]
    fn four_servers_agree_with_the_birth_and_death_chain() {
        // Mean number in system from the stationary law, then Little's law.
        let (arrival, service, servers) = (3.2, 1.0, 4_u32);
        let mut weight = 1.0;
        let (mut sum, mut weighted) = (0.0, 0.0);
        for n in 0..2000_u32 {
            sum += weight;
            weighted += f64::from(n) * weight;
            weight *= arrival / (service * f64::from((n + 1).min(servers)));
        }
        let system = MultiServer::new(arrival, service, servers).unwrap();
        near(system.mean_response(), weighted / sum / arrival, 1e-12);
        // The mean is also the area under the tail.
        let step = 1e-3;
        let area: f64 =
            (0..60_000).map(|i| system.response_above((f64::from(i) + 0.5) * step) * step).sum();
        near(area, system.mean_response(), 1e-6);
        for p in [0.5, 0.9, 0.99] {
            near(system.response_above(system.response_quantile(p).unwrap()), 1.0 - p, 1e-9);
        }
    }

    #[test]
    fn equal_rates_of_wait_and_service_are_no_special_case() {
        let exact = MultiServer::new(1.0, 1.0, 2).unwrap();
        let close = MultiServer::new(1.0 + 1e-9, 1.0, 2).unwrap();
        near(exact.response_above(2.0), close.response_above(2.0), 1e-7);
    }

    #[test]
    fn an_unstable_system_has_no_answer() {
        for (arrival, service, servers) in
            [(10.0, 10.0, 1), (41.0, 10.0, 4), (0.0, 1.0, 1), (1.0, 1.0, 0), (f64::NAN, 1.0, 1)]
        {
            assert_eq!(MultiServer::new(arrival, service, servers), None);
        }
    }
}
