//! Envoy: its settings for a scenario, its configuration, and the scenario as it runs it.
//!
//! `settings` decides; `bootstrap` (with `listener` and `cluster`) and `endpoints` write it down,
//! `adapt` tells the model, `gaps` tells people.

mod adapt;
mod bootstrap;
mod cluster;
mod endpoints;
mod gaps;
mod listener;
mod outlier;
mod settings;
mod user;
mod yaml;

use self::bootstrap::ENDPOINTS_FILE;
pub use self::endpoints::{Endpoint, endpoints_file};
use self::settings::Settings;
pub(super) use self::user::user_configuration;
use super::parity::{self, Parity};
use super::{ConfigFile, Configuration, Gap, Wiring};
use crate::policy::rules::EnvoyRetry;
use crate::scenario::Scenario;

/// Makes the model follow Envoy.
pub(super) fn adapt(scenario: &mut Scenario) {
    let settings = Settings::new(scenario);
    adapt::adapt(scenario, &settings);
}

/// What Envoy cannot do.
pub(super) fn gaps(scenario: &Scenario) -> Vec<Gap> {
    gaps::gaps(scenario, &Settings::new(scenario))
}

/// `envoy.yaml` for the scenario, and the file of its endpoints.
pub(super) fn configuration(scenario: &Scenario, wiring: &Wiring) -> Configuration {
    let settings = Settings::new(scenario);
    let bootstrap = bootstrap::write(scenario, &settings, wiring);
    let cluster = Cluster::new(scenario, wiring);
    Configuration {
        files: vec![
            ConfigFile { name: "envoy.yaml".to_owned(), text: bootstrap },
            ConfigFile { name: ENDPOINTS_FILE.to_owned(), text: cluster.file(1) },
        ],
    }
}

/// The members of the cluster, which may change while Envoy runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// In the order of the scenario, without those that are out of service.
    pub endpoints: Vec<Endpoint>,
    overprovisioning_percent: u32,
}

impl Cluster {
    /// The name of its file in the folder of the engine.
    pub const FILE: &'static str = ENDPOINTS_FILE;

    /// As the scenario begins.
    #[must_use]
    pub fn new(scenario: &Scenario, wiring: &Wiring) -> Self {
        let settings = Settings::new(scenario);
        let endpoint = |host: &settings::Host| Endpoint {
            name: host.name.clone(),
            address: wiring.backends[host.backend],
            weight: host.weight,
            backup: host.backup,
            draining: false,
        };
        Self {
            endpoints: settings.hosts.iter().map(endpoint).collect(),
            overprovisioning_percent: settings.rules.overprovisioning_percent,
        }
    }

    /// The file of its endpoints; `version` is shown in Envoy's statistics.
    #[must_use]
    pub fn file(&self, version: u64) -> String {
        endpoints_file(&self.endpoints, self.overprovisioning_percent, version)
    }
}

/// How Envoy is set, for a fair comparison.
#[must_use]
pub fn parity(scenario: &Scenario) -> Vec<(String, String)> {
    let settings = Settings::new(scenario);
    let balancer = &scenario.balancer;
    let client = &balancer.edge.client;
    Parity {
        workers: settings.concurrency.to_string(),
        state: "shared".to_owned(),
        algorithm: settings.balance.name().to_owned(),
        keepalive_to_clients: parity::keepalive_to_clients(
            client.idle_timeout,
            client.requests_per_connection,
        ),
        keepalive_to_backends: match balancer.keepalive {
            0 => "off".to_owned(),
            _ => format!("any number per worker, idle {}", balancer.keepalive_timeout),
        },
        buffering: "off".to_owned(),
        retries: settings.rules.retry.as_ref().map_or("off".to_owned(), retries),
        health_checks: parity::health_checks(balancer.upstream.health.as_ref()),
        time_outs: parity::time_outs(balancer.connect_timeout, balancer.read_timeout),
        access_log: parity::access_log(&balancer.edge),
        view_of_servers: "state and requests in flight, each second".to_owned(),
    }
    .settings()
}

/// In Envoy's words.
fn retries(retry: &EnvoyRetry) -> String {
    let on = listener::retry_on(&retry.on).replace(',', " ");
    let statuses: Vec<String> = retry.on.statuses.iter().map(u16::to_string).collect();
    let on = on.replace("retriable-status-codes", &statuses.join(" "));
    format!("{on}; {} tries", retry.num_retries + 1)
}
