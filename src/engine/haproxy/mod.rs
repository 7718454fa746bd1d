//! HAProxy 2.6: its settings for a scenario, its configuration, and the scenario as it runs it.

mod balance;
mod gaps;
mod model;
mod settings;
mod user;
mod words;
mod write;

pub(super) use user::user_configuration;
pub use write::{BACKEND, FRONTEND, SOCKET};

use std::net::SocketAddr;

use super::{ConfigFile, Configuration, Gap, Member, Wiring};
use crate::scenario::Scenario;
use settings::Settings;

/// Makes the model follow HAProxy.
pub(super) fn adapt(scenario: &mut Scenario) {
    let settings = Settings::new(scenario);
    model::apply(&settings, scenario);
}

/// What HAProxy cannot do.
pub(super) fn gaps(scenario: &Scenario) -> Vec<Gap> {
    gaps::gaps(scenario, &Settings::new(scenario))
}

/// `haproxy.cfg` for the scenario.
pub(super) fn configuration(scenario: &Scenario, wiring: &Wiring) -> Configuration {
    let text = write::text(scenario, &Settings::new(scenario), wiring);
    Configuration { files: vec![ConfigFile { name: FILE.to_owned(), text }] }
}

/// Name of the configuration in the engine's folder.
pub const FILE: &str = "haproxy.cfg";

/// A server as the runtime API is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeServer {
    /// Its name in the backend.
    pub name: String,
    /// Where it is.
    pub address: SocketAddr,
    /// 1 to 256.
    pub weight: u32,
    /// The word of `set server … state`: `ready`, `drain` or `maint`.
    pub state: &'static str,
    /// What stands behind name and address when it is added.
    pub words: String,
    /// It has health checks.
    pub is_checked: bool,
}

/// The servers that stand for `members` under the scenario.
#[must_use]
pub fn runtime_servers(scenario: &Scenario, members: &[Member]) -> Vec<RuntimeServer> {
    let mut scenario = scenario.clone();
    scenario.balancer.upstream.peers = members.iter().map(|member| member.peer.clone()).collect();
    let settings = Settings::new(&scenario);
    let words = write::server_words(&settings, &scenario.balancer.edge).join(" ");
    let server = |(server, member): (&settings::Server, &Member)| RuntimeServer {
        name: server.name.clone(),
        address: member.address,
        weight: server.weight,
        state: match (server.disabled, member.drained) {
            (true, _) => "maint",
            (false, true) => "drain",
            (false, false) => "ready",
        },
        words: format!("{} {words}", write::own_words(server)),
        is_checked: settings.check.is_some(),
    };
    settings.servers.iter().zip(members).map(server).collect()
}

/// How HAProxy is set for the scenario, for a comparison of engines.
#[must_use]
pub fn parity(scenario: &Scenario) -> Vec<(String, String)> {
    Settings::new(scenario).parity().settings()
}
