//! HAProxy 2.6: its settings for a scenario, its configuration, and the scenario as it runs it.

mod balance;
mod gaps;
mod model;
mod settings;
mod write;

pub use write::{BACKEND, FRONTEND, SOCKET};

use super::{ConfigFile, Configuration, Gap, Wiring};
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

/// The words that a server added to the running program needs beside its name and address.
#[must_use]
pub fn added_server_words(scenario: &Scenario) -> String {
    write::server_words(&Settings::new(scenario), &scenario.balancer.edge).join(" ")
}

/// How HAProxy is set for the scenario, for a comparison of engines.
#[must_use]
pub fn parity(scenario: &Scenario) -> Vec<(String, String)> {
    Settings::new(scenario).parity()
}
