//! The TOML as written: sections, their keys, and the words that stand for a choice.
//!
//! The doc comment of a key is its documentation: it becomes the description in the JSON Schema
//! that editors show. It names the default; [`super::lower`] applies it.

mod adaptive;
mod algorithm;
mod autoscaler;
mod balancer;
mod edge;
mod resilience;
mod sweep;
mod traffic;

pub(crate) use adaptive::{LeastRequestSection, PeakEwmaSection, PrequalSection};
pub(crate) use algorithm::{AlgorithmWord, HashTypeWord, RingWord};
pub(crate) use autoscaler::{
    AutoscalerSection, Level, MetricForm, MetricOf, MetricSection, ScaleBackoffSection,
    ScalingPolicySection, ScalingRulesSection, SeriesSection, TargetSection, TargetTrackingSection,
    ThresholdSection,
};
pub(crate) use balancer::{
    BackendSection, BalancerSection, FaultKindWord, FaultSection, HealthSection, QueueSection,
    RetrySection, RetryWord, Target,
};
pub(crate) use edge::{
    AdminSection, EdgeClientSection, ForwardSection, ListenSection, LogSection, PeerSection,
    PeerTlsSection,
};
pub(crate) use resilience::{
    AffinitySection, BackoffSection, BudgetSection, HedgeSection, OutlierSection,
};
pub(crate) use sweep::{AxisSection, SweepSection};
pub(crate) use traffic::{
    ArrivalForm, ClassSection, ClientSection, KeysSection, LawForm, MmppForm, StageSection,
    TraceForm, TrafficSection,
};

use super::diagnostic::Problems;
use super::precision::Precision;
use super::reader::{
    Count, Fields, Read, Section, Written, described, read_section, section_schema,
};
use super::section::{about, section};
use super::tree::{Node, Value};
use crate::units::Span;

section! {
    /// A scenario of lab: traffic, a balancer, its backends, faults, and what must hold.
    pub(crate) struct ScenarioFile {
        /// Version of the format of this file: 1.
        required schema_version: u32,
        /// What is run, and for how long.
        optional scenario: RunSection,
        /// What clients ask for.
        optional traffic: TrafficSection,
        /// What stands between clients and backends.
        optional balancer: BalancerSection,
        /// The servers, one table for each group of equal ones.
        required backend: Vec<Written<BackendSection>>,
        /// Who changes the number of instances. Default: nobody.
        optional autoscaler: AutoscalerSection,
        /// The host of the live world.
        optional host: HostSection,
        /// What goes wrong, and when.
        optional fault: Vec<Written<FaultSection>>,
        /// What must hold; one that does not gives exit code 3.
        optional check: Vec<Written<CheckSection>>,
        /// Keys that `lab sweep` changes. Default: none.
        optional sweep: SweepSection,
    }
}

section! {
    /// What is run, and for how long.
    pub(crate) struct RunSection {
        /// Name in reports and of the folder of results: letters, digits, `-` and `_`. Default:
        /// the name of the file.
        optional name: String,
        /// Seed of every draw: the same seed gives the same requests. Default: 1.
        optional seed: u64,
        /// How long requests arrive. Default: the sum of the stages, or the length of the trace.
        optional duration: Span,
        /// Requests due before this are sent but left out of every statistic; `auto` has the model
        /// find it, by MSER-5, for both worlds. Default: 0s.
        optional warm_up: WarmUp,
        /// Replications of the model, each with draws of its own. Default: 1.
        optional replications: Count,
        /// Run replications of the model until the 95 % interval of a latency is at most this share
        /// of it to either side: `p99 ± 2%`, or `2%` for that. Default: as many as `replications`.
        optional precision: Precision,
        /// Most replications with `precision`. Default: 200.
        optional max_replications: Count,
        /// End the model's run once a latency is known as well as this, such as `p99 ± 1%`, and
        /// `duration` at the latest; where the live world runs too, it has no effect. Default: none.
        optional until: Precision,
    }
}

/// A warm-up as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WarmUp {
    /// This long.
    Given(Span),
    /// As long as the model finds.
    Auto,
}

impl Read for WarmUp {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        if matches!(&node.value, Value::Text(text) if text == "auto") {
            return Some(Self::Auto);
        }
        Span::read(node, problems).map(Self::Given)
    }
    fn schema() -> serde_json::Value {
        serde_json::json!({ "anyOf": [{ "const": "auto" }, Span::schema()] })
    }
}

impl Read for Precision {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let text = String::read(node, problems)?;
        let read = text.parse().map_err(|why: String| {
            problems.report_with(&node.place, format!("`{text}`: {why}"), "such as \"p99 ± 2%\"");
        });
        read.ok()
    }
    fn schema() -> serde_json::Value {
        serde_json::json!({ "type": "string", "pattern": "^.*[0-9.]+\\s*%\\s*$" })
    }
}

section! {
    /// The host of the live world.
    pub(crate) struct HostSection {
        /// A file written by `lab calibrate`, relative to this one. Default: none, every cost is
        /// zero in the model.
        optional calibration: String,
    }
}

section! {
    /// Something that must hold.
    pub(crate) struct CheckSection {
        /// The condition, such as `p99 < 300ms`, `errors < 0.1%`, `spread(b1) = 38% ± 2%`,
        /// `p99(class = api, during = crash-b) < 1s`, `sim.p99 ~ live.p99 ± 10%`.
        required that: String,
    }
}
