//! What the host adds to each request, measured apart from any compared run.

use serde::{Deserialize, Serialize};

use crate::units::Span;

/// One measured cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Median.
    pub median_ns: u64,
    /// Its quantiles from 0 % to 100 % in steps of 5 %: 21 values, from which the model draws.
    pub quantiles_ns: [u64; 21],
    /// Number of measurements.
    pub samples: u64,
}

impl Cost {
    /// The value at quantile `u` in 0..=1, interpolated.
    #[must_use]
    pub fn at(&self, u: f64) -> Span {
        let place = u.clamp(0.0, 1.0) * 20.0;
        let step = (place as usize).min(19);
        let (low, high) = (self.quantiles_ns[step] as f64, self.quantiles_ns[step + 1] as f64);
        Span::from_nanos_f64(low + (high - low) * (place - step as f64))
    }
}

/// The costs of a host. Without a calibration they are all zero.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Version of this format.
    pub schema_version: u32,
    /// Where it was measured.
    pub host: String,
    /// When, as RFC 3339.
    pub date: String,
    /// Opening a connection from the client to the balancer; adds to latency only.
    pub connection: Cost,
    /// Client to balancer to backend and back, apart from the service; adds to latency only.
    pub hop: Cost,
    /// By how much a worker is held longer than the demand; occupies the worker.
    pub occupation: Cost,
}
