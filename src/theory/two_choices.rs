//! The power of `d` choices in the limit of many servers.
//!
//! Poisson arrivals of rate `λ < 1` per server and exponential service of rate 1; each request
//! draws `d` servers and joins the one with the fewest. With the number of servers the share of
//! those with at least `i` requests tends to `s_i = λ^((d^i - 1)/(d - 1))`. Sources:
//! N. Vvedenskaya, R. Dobrushin, F. Karpelevich, "Queueing system with selection of the shortest
//! of two queues", Problems of Information Transmission 32, 1996; M. Mitzenmacher, "The power of
//! two choices in randomized load balancing", IEEE TPDS 12(10), 2001, where the mean response
//! time is `Σ_{i>=1} λ^((d^i - d)/(d - 1))`.
//!
//! A request joins behind `i - 1` others with probability `s_{i-1}^d - s_i^d`, and then stays for
//! `i` services: that gives the quantiles. Whether the `d` servers are drawn with or without
//! replacement makes no difference in the limit.

use super::{Prediction, root};

/// The limit.
#[derive(Clone, Debug, PartialEq)]
pub struct Choices {
    service_rate: f64,
    /// Probability of joining behind `0, 1, 2, …` others, until it is nothing.
    behind: Vec<f64>,
}

impl Choices {
    /// Servers of rate `service_rate`, `arrival_rate` per server, `choices` draws per request;
    /// if it is stable.
    #[must_use]
    pub fn new(arrival_rate: f64, service_rate: f64, choices: u32) -> Option<Self> {
        let load = arrival_rate / service_rate;
        if !(load > 0.0 && load < 1.0 && service_rate > 0.0) || choices == 0 {
            return None;
        }
        let d = f64::from(choices);
        // The share of servers with i or more, by s_i = λ s_{i-1}^d, which is the formula unrolled.
        let mut share = 1.0;
        let mut behind = Vec::new();
        while share > 1e-17 {
            let next = load * libm::pow(share, d);
            behind.push(libm::pow(share, d) - libm::pow(next, d));
            share = next;
        }
        Some(Self { service_rate, behind })
    }

    /// Mean response time.
    #[must_use]
    pub fn mean_response(&self) -> f64 {
        let services: f64 =
            self.behind.iter().zip(1..).map(|(p, services)| p * f64::from(services)).sum();
        services / self.service_rate
    }

    /// Share of response times above `t`.
    #[must_use]
    pub fn response_above(&self, t: f64) -> f64 {
        let mut term = libm::exp(-self.service_rate * t);
        let (mut at_most, mut above) = (0.0, 0.0);
        for (n, p) in (1_u32..).zip(&self.behind) {
            at_most += term;
            above += p * at_most;
            term *= self.service_rate * t / f64::from(n);
        }
        above
    }

    /// Response time that a share `p` of requests does not exceed.
    #[must_use]
    pub fn response_quantile(&self, p: f64) -> Option<f64> {
        root::falling(|t| self.response_above(t), 1.0 - p, 1e-3 / self.service_rate)
    }

    /// Mean and quantiles of the response time.
    #[must_use]
    pub fn predictions(&self) -> Vec<Prediction> {
        let source = "power of d choices, limit of many servers (Mitzenmacher 2001)";
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
    fn means_are_those_of_the_paper() {
        near(Choices::new(0.9, 1.0, 2).unwrap().mean_response(), 2.614, 2e-4);
        near(Choices::new(0.99, 1.0, 2).unwrap().mean_response(), 5.432, 2e-4);
        let series: f64 = (1..12).map(|i| libm::pow(0.8, f64::from((1_u32 << i) - 2))).sum();
        near(Choices::new(0.8, 1.0, 2).unwrap().mean_response(), series, 1e-12);
    }

    #[test]
    fn one_choice_is_m_m_1() {
        let system = Choices::new(9.0, 10.0, 1).unwrap();
        near(system.mean_response(), 1.0, 1e-10);
        near(system.response_quantile(0.9).unwrap(), libm::log(10.0), 1e-10);
        assert_eq!(Choices::new(1.0, 1.0, 2), None);
    }
}
