//! `envoy.yaml`: the admin interface, the listener, and the cluster.

use super::settings::Settings;
use super::yaml::{Yaml, quoted};
use super::{cluster, listener};
use crate::engine::Wiring;
use crate::scenario::Scenario;

/// The name of the cluster, which the file of its endpoints repeats.
pub(super) const CLUSTER: &str = "backends";
/// The file of the endpoints, beside the bootstrap.
pub(super) const ENDPOINTS_FILE: &str = "eds.yaml";

/// The whole file.
pub(super) fn write(scenario: &Scenario, settings: &Settings, wiring: &Wiring) -> String {
    let mut yaml = Yaml::default();
    yaml.block(0, &head(scenario, settings)).block(0, &admin(wiring));
    yaml.block(0, "\nstatic_resources:\n  listeners:");
    listener::write(&mut yaml, scenario, settings, wiring);
    yaml.block(1, "\nclusters:");
    cluster::write(&mut yaml, scenario, settings, wiring);
    yaml.finish()
}

fn head(scenario: &Scenario, settings: &Settings) -> String {
    format!(
        "# Envoy for the scenario {name}, written by lab.\n\
         # Start: envoy -c envoy.yaml --concurrency {concurrency} --disable-hot-restart\n\
         # The backends are in {ENDPOINTS_FILE}, which Envoy reads again when it is replaced.\n\
         \n\
         # Files of endpoints are read by a node that has a name.\n\
         node: {{ id: lab, cluster: lab }}\n\n",
        name = scenario.name,
        concurrency = settings.concurrency,
    )
}

fn admin(wiring: &Wiring) -> String {
    format!("# Statistics and orders.\nadmin:\n  address: {}\n", socket_address(wiring.admin))
}

/// An address as Envoy writes it, in one line.
pub(super) fn socket_address(address: std::net::SocketAddr) -> String {
    let ip = quoted(&address.ip().to_string());
    format!("{{ socket_address: {{ address: {ip}, port_value: {} }} }}", address.port())
}
