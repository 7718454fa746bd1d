//! NGINX: its settings for a scenario, its configuration, and the scenario as it runs it.
//!
//! Rules are those of 1.22, open source, as SEMANTICS of the decision core has them: `policy`
//! follows NGINX by default, so that adapting a scenario is taking away what NGINX has not.

mod adapt;
mod dump;
mod gaps;
mod parse;
mod settings;
mod user;
mod write;

pub(super) use adapt::adapt;
pub(super) use gaps::gaps;
pub(super) use user::user_configuration;

use super::parity::{self, Parity};
use super::{ConfigFile, Configuration, Wiring};
use crate::scenario::Scenario;
use settings::Settings;

/// Name of the file that NGINX is started with.
pub const FILE: &str = "nginx.conf";

/// `nginx.conf` for the scenario.
pub(super) fn configuration(scenario: &Scenario, wiring: &Wiring) -> Configuration {
    let text = write::configuration(&Settings::of(scenario), &scenario.name, wiring);
    Configuration { files: vec![ConfigFile { name: FILE.to_owned(), text }] }
}

/// How it is set, in words, for a fair comparison with other engines.
#[must_use]
pub fn summary(scenario: &Scenario) -> Vec<(String, String)> {
    let settings = Settings::of(scenario);
    let sharing = if settings.zone { "shared" } else { "of each worker" };
    let keepalive = match settings.keepalive {
        0 => "off".to_owned(),
        most => format!("{most} per worker, idle {}", settings.keepalive_timeout),
    };
    let tries = match settings.tries {
        0 => "every server once".to_owned(),
        tries => format!("{tries} tries"),
    };
    let client = &settings.edge.client;
    Parity {
        workers: settings.workers.to_string(),
        state: sharing.to_owned(),
        algorithm: settings.method.words().to_owned(),
        keepalive_to_clients: parity::keepalive_to_clients(
            settings::Millis::of(client.idle_timeout).span(),
            client.requests_per_connection,
        ),
        keepalive_to_backends: keepalive,
        buffering: "requests and responses (NGINX's default)".to_owned(),
        retries: format!("{}; {tries}", settings.next_upstream.join(" ")),
        health_checks: parity::health_checks(None),
        time_outs: parity::time_outs(settings.connect_timeout.span(), settings.read_timeout.span()),
        access_log: parity::access_log(&settings.edge),
        view_of_servers: "none (open source): client connections alone, each second".to_owned(),
    }
    .settings()
}
