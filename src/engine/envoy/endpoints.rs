//! The file of the cluster's endpoints, which Envoy reads again when it is replaced.

use std::net::SocketAddr;

use super::bootstrap::{CLUSTER, socket_address};
use super::yaml::{Yaml, quoted};

/// One backend in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its name: the host's in Envoy's statistics, and its key on rings and in tables, so that
    /// hashing does not depend on ports.
    pub name: String,
    /// Where it serves.
    pub address: SocketAddr,
    /// Its weight, at least 1.
    pub weight: u32,
    /// Priority 1 instead of 0.
    pub backup: bool,
    /// It finishes what it has, and gets nothing new.
    pub draining: bool,
}

/// The file for `endpoints`; `version` is shown in Envoy's statistics, and priority 0 is trusted
/// with `overprovisioning_percent` times its healthy share of the traffic.
#[must_use]
pub fn endpoints_file(
    endpoints: &[Endpoint],
    overprovisioning_percent: u32,
    version: u64,
) -> String {
    let mut yaml = Yaml::default();
    yaml.block(
        0,
        &format!(
            "version_info: \"{version}\"\n\
             resources:\n\
             - \"@type\": type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment\n  \
               cluster_name: {CLUSTER}\n"
        ),
    );
    if endpoints.iter().any(|endpoint| endpoint.backup) {
        let policy = format!(
            "# Percent: the backups get nothing while one of the others is healthy.\n\
             policy: {{ overprovisioning_factor: {overprovisioning_percent} }}"
        );
        yaml.block(1, &policy);
    }
    yaml.block(1, if endpoints.is_empty() { "endpoints: []" } else { "endpoints:" });
    for (priority, zone) in [(0, "primary"), (1, "backup")] {
        let of_priority = || endpoints.iter().filter(|one| u32::from(one.backup) == priority);
        if of_priority().next().is_none() {
            continue;
        }
        let head =
            format!("- priority: {priority}\n  locality: {{ zone: {zone} }}\n  lb_endpoints:");
        yaml.block(1, &head);
        for endpoint in of_priority() {
            yaml.block(2, &lines(endpoint));
        }
    }
    yaml.finish()
}

fn lines(endpoint: &Endpoint) -> String {
    let draining = if endpoint.draining { "\n  health_status: DRAINING" } else { "" };
    let name = quoted(&endpoint.name);
    format!(
        "- endpoint:\n    \
             hostname: {name}\n    \
             address: {address}\n  \
           load_balancing_weight: {weight}\n  \
           metadata: {{ filter_metadata: {{ envoy.lb: {{ hash_key: {name} }} }} }}{draining}",
        address = socket_address(endpoint.address),
        weight = endpoint.weight.max(1),
    )
}
