//! Envoy: its settings for a scenario, its configuration, and the scenario as it runs it.

use super::{ConfigFile, Configuration, Gap, Wiring};
use crate::scenario::Scenario;

/// Makes the model follow Envoy.
pub(super) const fn adapt(_scenario: &mut Scenario) {}

/// What Envoy cannot do.
pub(super) const fn gaps(_scenario: &Scenario) -> Vec<Gap> {
    Vec::new()
}

/// `envoy.yaml` for the scenario.
pub(super) fn configuration(_scenario: &Scenario, _wiring: &Wiring) -> Configuration {
    Configuration { files: vec![ConfigFile { name: "envoy.yaml".to_owned(), text: String::new() }] }
}
