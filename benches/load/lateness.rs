//! How much later than it should each request arrived.

use lab::traffic::{ArrivalConfig, ClientConfig, Plan, Source, Stage, TrafficConfig};
use lab::units::{Nanos, Rate, Seed, Span};

/// Left out at the beginning: connections are opened.
const WARM_UP: f64 = 0.1;

/// What the server saw of an open loop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lateness {
    /// In microseconds.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// Requests per second that arrived.
    pub(crate) rate: f64,
}

/// Of `arrivals` in nanoseconds against the instants at which they were due, from any zero; `None` if
/// too few arrived.
pub(crate) fn of(arrivals: &[u64], due: impl Iterator<Item = u64>) -> Option<Lateness> {
    let skip = (arrivals.len() as f64 * WARM_UP) as usize;
    let apart = arrivals.iter().zip(due).skip(skip).map(|(&at, due)| at as i64 - due as i64);
    let mut apart: Vec<i64> = apart.collect();
    if apart.len() < 100 {
        return None;
    }
    let seconds = (arrivals[arrivals.len() - 1] - arrivals[skip]) as f64 / 1e9;
    let rate = (arrivals.len() - 1 - skip) as f64 / seconds;
    apart.sort_unstable();
    let quantile = |part: f64| {
        let rank = (part * apart.len() as f64).ceil() as usize;
        (apart[rank.clamp(1, apart.len()) - 1] - apart[0]) as f64 / 1e3
    };
    Some(Lateness { p50: quantile(0.5), p99: quantile(0.99), rate })
}

/// Instants of a grid.
pub(crate) fn grid(rate: u32) -> impl Iterator<Item = u64> {
    (0u64..).map(move |index| index * 1_000_000_000 / u64::from(rate))
}

/// Instants of lab's own plan with Poisson arrivals, as `lab load` makes it by default.
pub(crate) fn poisson(rate: u32, seconds: u32) -> Vec<u64> {
    let until = Nanos::ZERO + Span::from_secs(seconds.into());
    let rate = Rate(rate.into());
    let stage = Stage {
        name: "all".to_owned(),
        from: Nanos::ZERO,
        until,
        rate_from: rate,
        rate_until: rate,
    };
    let client = ClientConfig {
        connections: 0,
        requests_per_connection: 0,
        timeout: Span::from_secs(10),
        in_flight_cap: 0,
    };
    let source = Source::Open { arrival: ArrivalConfig::Poisson, stages: vec![stage] };
    let traffic = TrafficConfig { source, classes: Vec::new(), keys: None, client };
    Plan::new(&traffic, Seed::new(1, 0), until).arrivals().map(|request| request.at.0).collect()
}
