//! What the host adds to each request, measured apart from any compared run.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::RecordError;
use super::manifest::check_version;
use crate::units::Span;

/// One measured cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Median.
    pub median_ns: u64,
    /// Its quantiles from 0 % to 100 % in steps of 5 %: 21 values, from which the model draws. The
    /// last is not the maximum, but keeps the mean of the highest twentieth.
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

    /// The cost that lies `share` (0..=1) of the way to `other`, quantile by quantile.
    fn towards(&self, other: &Self, share: f64) -> Self {
        let between = |one: u64, other: u64| {
            (one as f64 + (other as f64 - one as f64) * share).round() as u64
        };
        let mut quantiles_ns = self.quantiles_ns;
        for (mine, theirs) in quantiles_ns.iter_mut().zip(other.quantiles_ns) {
            *mine = between(*mine, theirs);
        }
        Self {
            median_ns: between(self.median_ns, other.median_ns),
            quantiles_ns,
            samples: self.samples.min(other.samples),
        }
    }
}

/// What the model adds to each request. All zero without a calibration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Costs {
    /// Where they are from, in words: host, date, engine and load; empty if they are zero.
    pub from: String,
    /// Opening a connection from the client to the balancer; adds to latency only.
    pub connection: Cost,
    /// Client to balancer to backend and back, apart from the service; adds to latency only.
    pub hop: Cost,
    /// By how much a worker is held longer than the demand; occupies the worker.
    pub occupation: Cost,
}

/// The costs of a host behind one engine at one load.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// The balancer, as it is named in scenarios.
    pub engine: String,
    /// Offered load, in requests per second.
    pub rate: f64,
    /// Opening a connection from the client to the balancer.
    pub connection: Cost,
    /// Client to balancer to backend and back.
    pub hop: Cost,
    /// By how much a worker is held longer than the demand.
    pub occupation: Cost,
}

/// The costs of a host, behind each engine and at each load that was measured: an idle host wakes
/// up slowly, and a busy one makes requests wait for each other.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Version of this format.
    pub schema_version: u32,
    /// Where it was measured.
    pub host: String,
    /// When, as RFC 3339.
    pub date: String,
    /// By engine, and then by rising load.
    pub measured: Vec<Measured>,
}

/// Version of the calibration file.
pub const CALIBRATION_SCHEMA_VERSION: u32 = 2;

const EXPECTED: &str = "a calibration (written by `lab calibrate`)";

impl Calibration {
    /// Reads it from `path`: TOML if the name ends in `.toml`, else JSON.
    ///
    /// # Errors
    /// When the file cannot be read, is something else, has another version, or holds quantiles
    /// that fall.
    pub fn load(path: &Path) -> Result<Self, RecordError> {
        let text = fs::read_to_string(path).map_err(RecordError::io("read", path))?;
        let malformed = |why: String| RecordError::malformed(path, EXPECTED, why);
        let value: serde_json::Value = if is_toml(path) {
            toml::from_str(&text).map_err(|error| malformed(error.to_string()))?
        } else {
            serde_json::from_str(&text).map_err(|error| malformed(error.to_string()))?
        };
        check_version(path, &value, CALIBRATION_SCHEMA_VERSION, EXPECTED)?;
        let calibration: Self =
            serde_json::from_value(value).map_err(|error| malformed(error.to_string()))?;
        for measured in &calibration.measured {
            for (name, cost) in measured.named() {
                if !cost.quantiles_ns.is_sorted() {
                    return Err(malformed(format!("the quantiles of `{name}` do not rise")));
                }
            }
        }
        Ok(calibration)
    }

    /// The costs behind `engine` at `rate` requests per second, in between those measured at the
    /// next lower and the next higher load; outside of these, those at the nearest. `None` if the
    /// engine was not measured.
    #[must_use]
    pub fn costs(&self, engine: &str, rate: f64) -> Option<Costs> {
        let of_engine = || self.measured.iter().filter(|measured| measured.engine == engine);
        let below =
            of_engine().filter(|it| it.rate <= rate).max_by(|a, b| a.rate.total_cmp(&b.rate));
        let above =
            of_engine().filter(|it| it.rate >= rate).min_by(|a, b| a.rate.total_cmp(&b.rate));
        let (low, high) = (below.or(above)?, above.or(below)?);
        let apart = high.rate - low.rate;
        let share = if apart > 0.0 { (rate - low.rate) / apart } else { 0.0 };
        let between = |cost: fn(&Measured) -> &Cost| cost(low).towards(cost(high), share);
        Some(Costs {
            from: format!(
                "{} at {}, {engine} at {:.0} to {:.0} requests/s",
                self.host, self.date, low.rate, high.rate
            ),
            connection: between(|it| &it.connection),
            hop: between(|it| &it.hop),
            occupation: between(|it| &it.occupation),
        })
    }

    /// Writes it to `path`, in the format that [`Calibration::load`] expects of this name. The
    /// file is replaced as a whole, so that a reader never sees half of it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), RecordError> {
        let malformed = |why: String| RecordError::malformed(path, EXPECTED, why);
        let text = if is_toml(path) {
            toml::to_string_pretty(self).map_err(|error| malformed(error.to_string()))?
        } else {
            serde_json::to_string_pretty(self).map_err(|error| malformed(error.to_string()))? + "\n"
        };
        let mut fresh = path.as_os_str().to_owned();
        fresh.push(format!(".{}.new", std::process::id()));
        fs::write(&fresh, text).map_err(RecordError::io("write", path))?;
        fs::rename(&fresh, path).map_err(RecordError::io("replace", path))
    }
}

impl Measured {
    /// The costs with their names.
    fn named(&self) -> [(&'static str, &Cost); 3] {
        [("connection", &self.connection), ("hop", &self.hop), ("occupation", &self.occupation)]
    }
}

fn is_toml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(engine: &str, rate: f64, hop: u64) -> Measured {
        let cost = Cost { median_ns: hop, quantiles_ns: [hop; 21], samples: 100 };
        Measured { engine: engine.into(), rate, hop: cost, ..Measured::default() }
    }

    #[test]
    fn costs_lie_between_those_of_the_loads_around() {
        let calibration = Calibration {
            measured: vec![
                measured("own", 1000.0, 100),
                measured("own", 200.0, 300),
                measured("nginx", 500.0, 7),
            ],
            ..Calibration::default()
        };
        let hop = |engine, rate| calibration.costs(engine, rate).map(|costs| costs.hop.median_ns);
        let own = [0.0, 200.0, 600.0, 1000.0, 9000.0].map(|rate| hop("own", rate).unwrap());
        assert_eq!(own, [300, 300, 200, 100, 100]);
        assert_eq!(hop("nginx", 80.0), Some(7));
        assert_eq!(hop("haproxy", 80.0), None);
    }
}
