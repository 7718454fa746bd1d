//! `run.json`: everything needed to know what a run was, and to do it again.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Costs, RecordError};

/// Version of `run.json`.
pub const MANIFEST_SCHEMA_VERSION: u32 = 2;

const EXPECTED: &str = "the description of a run (run.json)";

/// What a run was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this format.
    pub schema_version: u32,
    /// Id of the run: the name of its folder.
    pub run: String,
    /// When it started, as RFC 3339 in UTC.
    pub started: String,
    /// Interrupted before its end.
    pub partial: bool,
    /// What was asked.
    pub scenario: ScenarioText,
    /// The seed in use, which the command line may have replaced.
    pub seed: u64,
    /// Replications of the model; 0 if it did not run.
    pub replications: u32,
    /// Rounds of the live world; 0 if it did not run.
    pub rounds: u32,
    /// Whether what keeps time in the live world had real-time priority.
    pub real_time: bool,
    /// Version of lab.
    pub version: String,
    /// Where it ran.
    pub host: HostFacts,
    /// The balancer of the live world: name, version, and hash of its configuration.
    pub engine: Engine,
    /// The host's costs used by the model; `None` leaves them at zero.
    pub costs: Option<Costs>,
    /// Whether the live measurement may be believed, as in `summary.json`.
    pub validity: serde_json::Value,
    /// What each fault of the live world was seen to do.
    pub faults: Vec<FaultProof>,
}

/// The scenario as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScenarioText {
    /// Its name.
    pub name: String,
    /// The file, to which what it names (a trace, a calibration) is relative.
    #[serde(default)]
    pub path: PathBuf,
    /// Keys that the command line replaced, with their values.
    #[serde(default)]
    pub overrides: Vec<(String, String)>,
    /// The file's text.
    pub text: String,
    /// SHA-256 of the text, in hexadecimal.
    pub sha256: String,
}

/// The machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFacts {
    /// Its name.
    pub name: String,
    /// Cores that lab may use.
    pub cores: u32,
    /// Model of the processor; empty if unknown.
    pub cpu_model: String,
    /// Name and release of the kernel.
    pub kernel: String,
    /// Memory in bytes; 0 if unknown.
    pub memory_bytes: u64,
}

/// The program that balanced.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Engine {
    /// `lab`, `nginx`, ….
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its configuration, in hexadecimal; empty if it had none.
    pub config_sha256: String,
    /// How it was set, for a fair comparison: workers, keepalive, buffering, retries, logging, ….
    #[serde(default)]
    pub settings: Vec<(String, String)>,
    /// Its own statistics at the end of the run, by name.
    #[serde(default)]
    pub statistics: Vec<(String, String)>,
}

/// What a fault was seen to do: failures or latency around its target before, during and after.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FaultProof {
    /// Name of the fault.
    pub fault: String,
    /// Round of the live world.
    pub round: u32,
    /// What was seen before it, in words.
    pub before: String,
    /// What was seen while it lasted, in words.
    pub during: String,
    /// What was seen after it, in words.
    pub after: String,
    /// Whether it had its effect; a fault without makes the run invalid.
    pub bit: bool,
}

impl ScenarioText {
    /// The text with its hash.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { name: name.into(), sha256: sha256_hex(text.as_bytes()), text, ..Self::default() }
    }
}

impl Manifest {
    /// Writes it to `path`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), RecordError> {
        let mut text = serde_json::to_string_pretty(self)
            .map_err(|error| RecordError::malformed(path, EXPECTED, error))?;
        text.push('\n');
        fs::write(path, text).map_err(RecordError::io("write", path))
    }

    /// Reads it from `path`.
    ///
    /// # Errors
    /// When the file cannot be read, is something else, or has another version.
    pub fn load(path: &Path) -> Result<Self, RecordError> {
        let text = fs::read_to_string(path).map_err(RecordError::io("read", path))?;
        let value: serde_json::Value = serde_json::from_str(&text)
            .map_err(|error| RecordError::malformed(path, EXPECTED, error))?;
        check_version(path, &value, MANIFEST_SCHEMA_VERSION, EXPECTED)?;
        serde_json::from_value(value).map_err(|error| RecordError::malformed(path, EXPECTED, error))
    }
}

/// SHA-256 of `bytes` in hexadecimal.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Looks at the version before the rest: a newer file may have any other fields.
pub(super) fn check_version(
    path: &Path,
    value: &serde_json::Value,
    supported: u32,
    expected: &'static str,
) -> Result<(), RecordError> {
    match value.get("schema_version").and_then(serde_json::Value::as_u64) {
        Some(found) if found == u64::from(supported) => Ok(()),
        Some(found) => Err(RecordError::Version { path: path.to_owned(), found, supported }),
        None => Err(RecordError::malformed(path, expected, "it has no `schema_version`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_published_one() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(
            sha256_hex(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
