//! NGINX: its settings for a scenario, its configuration, and the scenario as it runs it.

use super::{ConfigFile, Configuration, Gap, UserConfiguration, UserConfigurationError, Wiring};
use crate::scenario::Scenario;

/// Makes the model follow NGINX.
pub(super) const fn adapt(_scenario: &mut Scenario) {}

/// What NGINX cannot do.
pub(super) const fn gaps(_scenario: &Scenario) -> Vec<Gap> {
    Vec::new()
}

/// `nginx.conf` for the scenario.
pub(super) fn configuration(_scenario: &Scenario, _wiring: &Wiring) -> Configuration {
    Configuration { files: vec![ConfigFile { name: "nginx.conf".to_owned(), text: String::new() }] }
}

/// The user's own `nginx.conf`.
pub(super) fn user_configuration(
    _text: &str,
    _scenario: &Scenario,
    _wiring: &Wiring,
) -> Result<UserConfiguration, UserConfigurationError> {
    Err(UserConfigurationError::NotYet { engine: "nginx" })
}
