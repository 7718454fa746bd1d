//! Real balancers: their configuration written from a scenario, and the scenario as they run it.
//!
//! For each engine there is one place that turns a scenario into the engine's own settings. The
//! configuration file and the model are both made from these settings, so what the program is told
//! and what the model assumes cannot differ. What an engine cannot do is a [`Gap`]. Nothing here
//! starts anything: that is `live::engine`.

mod configuration;
pub mod diff;
pub mod envoy;
mod gap;
pub mod haproxy;
mod members;
pub mod nginx;
pub mod parity;
mod user;

pub use configuration::{ConfigFile, Configuration, Wiring};
pub use gap::Gap;
pub use members::{Member, members, with_members};
pub use user::{UserConfiguration, UserConfigurationError};

use crate::scenario::{Engine, Scenario};

/// The scenario as `engine` runs it: its algorithms, retries, health and limits follow the
/// engine's rules, and what the engine cannot do is replaced by what it does instead.
#[must_use]
pub fn adapted(scenario: &Scenario, engine: &Engine) -> Scenario {
    let mut adapted = scenario.clone();
    adapted.balancer.engine = engine.clone();
    match engine {
        Engine::Own | Engine::Elsewhere(_) => {}
        Engine::Nginx => nginx::adapt(&mut adapted),
        Engine::Haproxy => haproxy::adapt(&mut adapted),
        Engine::Envoy => envoy::adapt(&mut adapted),
    }
    adapted
}

/// What of the scenario `engine` cannot do, and what it does instead, in the order of the keys.
#[must_use]
pub fn gaps(scenario: &Scenario, engine: &Engine) -> Vec<Gap> {
    match engine {
        Engine::Own | Engine::Elsewhere(_) => Vec::new(),
        Engine::Nginx => nginx::gaps(scenario),
        Engine::Haproxy => haproxy::gaps(scenario),
        Engine::Envoy => envoy::gaps(scenario),
    }
}

/// The engine's own configuration for the scenario; `None` for those that lab does not configure
/// by a file of theirs. Backends that are absent are not in it.
#[must_use]
pub fn configuration(
    scenario: &Scenario,
    engine: &Engine,
    wiring: &Wiring,
) -> Option<Configuration> {
    match engine {
        Engine::Own | Engine::Elsewhere(_) => None,
        Engine::Nginx => Some(nginx::configuration(scenario, wiring)),
        Engine::Haproxy => Some(haproxy::configuration(scenario, wiring)),
        Engine::Envoy => Some(envoy::configuration(scenario, wiring)),
    }
}

/// The user's own configuration `text` for `engine`, as it is but for where it listens, where its
/// servers are, and files that only one process may have. Its servers stand for the backends of
/// the scenario: by the name in a comment behind them, else in order.
///
/// # Errors
/// When the text cannot be read, its servers and the backends do not fit, or the engine takes none.
pub fn user_configuration(
    engine: &Engine,
    text: &str,
    scenario: &Scenario,
    wiring: &Wiring,
) -> Result<UserConfiguration, UserConfigurationError> {
    match engine {
        Engine::Own | Engine::Elsewhere(_) => {
            Err(UserConfigurationError::NoFile { engine: engine.name() })
        }
        Engine::Nginx => nginx::user_configuration(text, scenario, wiring),
        Engine::Haproxy => haproxy::user_configuration(text, scenario, wiring),
        Engine::Envoy => envoy::user_configuration(text, scenario, wiring),
    }
}
