//! What a new configuration changes: peers in place, or everything with new workers.

use super::config::ProxyConfig;
use crate::policy::UpstreamConfig;
use crate::scenario::edge::AdminFacts;

/// Whether the workers themselves are configured otherwise: anything but the peers, the admin
/// interface, and what has no influence on serving.
pub(super) fn needs_workers(old: &ProxyConfig, new: &ProxyConfig) -> bool {
    of_workers(old) != of_workers(new)
}

/// Whether the views of the peers can go on: nothing but peers differs in what they decide by.
pub(super) fn keeps_drivers(old: &ProxyConfig, new: &ProxyConfig) -> bool {
    let views = |config: &ProxyConfig| (config.balancer.state, config.balancer.views());
    let decisions = |config: &ProxyConfig| UpstreamConfig {
        peers: Vec::new(),
        ..config.balancer.upstream.clone()
    };
    views(old) == views(new)
        && decisions(old) == decisions(new)
        && (old.seed, old.replication, old.view_base) == (new.seed, new.replication, new.view_base)
}

fn of_workers(config: &ProxyConfig) -> ProxyConfig {
    let mut config = config.clone();
    config.balancer.upstream.peers.clear();
    config.addresses.clear();
    config.balancer.edge.admin = AdminFacts::default();
    config.origin = Default::default();
    config.spool = None;
    config
}
