//! Prometheus' HTTP service discovery: where there is something to scrape, as JSON.
//! <https://prometheus.io/docs/prometheus/latest/http_sd/>

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::Serialize;

/// The label that names the backend behind a target; on every series that is scraped from it.
pub const BACKEND_LABEL: &str = "backend";

/// Targets with the same labels. Labels that begin with `__meta_` are for relabelling alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TargetGroup {
    targets: Vec<String>,
    labels: BTreeMap<&'static str, String>,
}

impl TargetGroup {
    /// One target without labels of its own.
    #[must_use]
    pub fn new(target: SocketAddr) -> Self {
        Self { targets: vec![target.to_string()], labels: BTreeMap::new() }
    }

    /// With a label more.
    #[must_use]
    pub fn label(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.labels.insert(name, value.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_written_as_prometheus_reads_it() {
        let group = TargetGroup::new(([127, 0, 0, 1], 8081).into()).label(BACKEND_LABEL, "b1");
        assert_eq!(
            serde_json::to_value([group]).expect("JSON"),
            serde_json::json!([{"targets": ["127.0.0.1:8081"], "labels": {"backend": "b1"}}])
        );
    }
}
