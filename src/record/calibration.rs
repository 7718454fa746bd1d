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

/// Version of the calibration file.
pub const CALIBRATION_SCHEMA_VERSION: u32 = 1;

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
        for (name, cost) in calibration.costs() {
            if !cost.quantiles_ns.is_sorted() {
                return Err(malformed(format!("the quantiles of `{name}` do not rise")));
            }
        }
        Ok(calibration)
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

    /// The costs with their names.
    fn costs(&self) -> [(&'static str, &Cost); 3] {
        [("connection", &self.connection), ("hop", &self.hop), ("occupation", &self.occupation)]
    }
}

fn is_toml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml"))
}
