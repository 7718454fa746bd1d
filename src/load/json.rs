//! The result for other programs.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::report::LoadReport;
use super::run::Outcome;
use super::tally::Group;
use crate::record::{Histogram, RequestError};

/// Version of this format.
const SCHEMA_VERSION: u32 = 2;

#[derive(Debug, Serialize)]
struct Result<'a> {
    schema_version: u32,
    #[serde(flatten)]
    report: &'a LoadReport,
    retried: u64,
    warm_up: u64,
    bytes: u64,
    requests_per_second: f64,
    latency_ns: Quantiles,
    latency_sent_ns: Quantiles,
    schedule_error_ns: Quantiles,
    statuses: &'a BTreeMap<u16, u64>,
    errors: BTreeMap<RequestError, u64>,
    servers: BTreeMap<&'a str, u64>,
    classes: Vec<Part<'a>>,
    stages: Vec<Part<'a>>,
}

#[derive(Debug, Serialize)]
struct Part<'a> {
    name: &'a str,
    requests: u64,
    failed: u64,
    retried: u64,
    latency_ns: Quantiles,
}

impl<'a> From<&'a Group> for Part<'a> {
    fn from(group: &'a Group) -> Self {
        Self {
            name: &group.name,
            requests: group.requests,
            failed: group.failed,
            retried: group.retried,
            latency_ns: (&group.latency).into(),
        }
    }
}

#[derive(Debug, Serialize)]
struct Quantiles {
    count: u64,
    mean: f64,
    min: u64,
    p50: u64,
    p75: u64,
    p90: u64,
    p95: u64,
    p99: u64,
    #[serde(rename = "p99.9")]
    p99_9: u64,
    max: u64,
}

impl From<&Histogram> for Quantiles {
    fn from(histogram: &Histogram) -> Self {
        Self {
            count: histogram.count(),
            mean: histogram.mean(),
            min: histogram.min(),
            p50: histogram.quantile(0.5),
            p75: histogram.quantile(0.75),
            p90: histogram.quantile(0.9),
            p95: histogram.quantile(0.95),
            p99: histogram.quantile(0.99),
            p99_9: histogram.quantile(0.999),
            max: histogram.max(),
        }
    }
}

impl Outcome {
    /// The whole result for JSON; times in nanoseconds.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let tally = &self.tally;
        let errors = RequestError::ALL.into_iter().zip(tally.errors);
        let servers = self.servers.iter().map(String::as_str).zip(tally.servers.iter().copied());
        let result = Result {
            schema_version: SCHEMA_VERSION,
            report: &self.report,
            retried: tally.retried,
            warm_up: tally.warm_up,
            requests_per_second: tally.per_second(),
            classes: tally.classes.iter().map(Part::from).collect(),
            stages: tally.stages.iter().map(Part::from).collect(),
            bytes: tally.bytes,
            latency_ns: (&tally.latency).into(),
            latency_sent_ns: (&tally.latency_sent).into(),
            schedule_error_ns: (&tally.schedule_error).into(),
            statuses: &tally.statuses,
            errors: errors.filter(|&(error, _)| error != RequestError::None).collect(),
            servers: servers.collect(),
        };
        // Numbers, strings and maps with keys of text: nothing here can fail.
        serde_json::to_value(&result).unwrap_or_default()
    }
}
