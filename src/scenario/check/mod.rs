//! The grammar of `[[check]]`: a measure, a relation, a bound.

mod change;
mod cursor;
mod parser;

pub use change::Change;
pub(crate) use parser::parse;

use serde::{Deserialize, Serialize};

use crate::units::World;

/// Something that must hold, such as `p99(class = "api", during = "crash-b") < "1s"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// As written.
    pub text: String,
    /// What is measured.
    pub subject: Subject,
    /// What must hold of it.
    pub relation: Relation,
}

impl Check {
    /// Reads a check as it is written in a scenario.
    ///
    /// # Errors
    /// What is wrong with it, and what would be right, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        parse(text.trim()).map_err(|error| match error.help.as_str() {
            "" => error.message,
            help => format!("{}: {help}", error.message),
        })
    }
}

/// A measure of some requests of some world.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    /// `sim.` or `live.` in front; `None` means each world that ran.
    pub world: Option<World>,
    /// The measure.
    pub measure: Measure,
    /// Only this class.
    pub class: Option<String>,
    /// Only requests due in this stage.
    pub stage: Option<String>,
    /// Only requests due before, during or after this fault.
    pub during: Option<String>,
    /// See `during`.
    pub before: Option<String>,
    /// See `during`.
    pub after: Option<String>,
}

/// What can be measured. Durations in nanoseconds, shares from 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Latency quantile, from 0 to 1 (`p99`, `p99.9`, `max` is 1).
    Quantile(f64),
    /// Mean latency.
    Mean,
    /// Share of requests that failed.
    Errors,
    /// Number of requests that failed.
    Failed,
    /// Number of requests with more than one attempt.
    Retried,
    /// Successful requests per second.
    Goodput,
    /// Share of the requests that a backend (or all of a group) served last.
    Spread(String),
    /// Jain's index of the spread relative to the weights.
    Jain,
    /// From the beginning of the fault named by [`Subject::during`] to the end of the last failed
    /// request that was due before the next fault.
    Failover,
    /// Number of scaling events.
    ScaleEvents,
    /// Flaps of the autoscaler per second (written per hour).
    Flaps,
    /// Instances times the hours they were there.
    InstanceHours,
    /// Time in seconds that did not hold the SLO.
    SloViolated,
}

impl Measure {
    /// Whether it is about what the autoscaler did.
    #[must_use]
    pub const fn is_of_scaling(&self) -> bool {
        matches!(self, Self::ScaleEvents | Self::Flaps | Self::InstanceHours | Self::SloViolated)
    }
}

/// As in a scenario: `p99 < 300ms`.
impl std::str::FromStr for Check {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse(text).map_err(cursor::CheckError::into_sentence)
    }
}

/// As in a check: `p99.9`, `mean`, `errors`.
impl std::str::FromStr for Measure {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parser::parse_measure(text).map_err(cursor::CheckError::into_sentence)
    }
}

/// What must hold of a measure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// `<`
    Below(f64),
    /// `<=`
    AtMost(f64),
    /// `>`
    Above(f64),
    /// `>=`
    AtLeast(f64),
    /// `= value ± tolerance`
    Within(f64, Tolerance),
    /// `~ other ± tolerance`
    Agrees(Subject, Tolerance),
}

/// How far two values may be apart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tolerance {
    /// In the measure's own unit. For shares, percent means points.
    Absolute(f64),
    /// A fraction of the compared value.
    Relative(f64),
}
