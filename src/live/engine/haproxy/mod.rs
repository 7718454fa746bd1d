//! HAProxy, started with the configuration that lab writes for it, or the user's own.

mod peers;
mod runtime;

use std::net::SocketAddr;
use std::path::Path;

use rustix::process::Signal;

use super::foreign::{self, Foreign};
use super::{Order, PeerView};
use crate::engine::haproxy::{FILE, runtime_servers};
use crate::engine::{self, ConfigFile, Configuration, Member, Wiring, members};
use crate::live::provider::Program;
use crate::live::world::{BackendEndpoint, LiveError, LiveOptions};
use crate::record::manifest;
use crate::scenario::{Engine, Scenario};
use runtime::{Runtime, RuntimeError};

const COMMAND: &str = "haproxy";
const PACKAGE: &str = "Debian's package haproxy";

/// Beside the configuration, where a run is shown: HAProxy reads several files as one.
const METRICS_FILE: &str = "metrics.cfg";
const METRICS_PATH: &str = "/metrics";

/// One process for each instance.
pub(in crate::live) struct Haproxy {
    pub(super) foreign: Foreign,
    runtimes: Vec<Runtime>,
    members: Vec<Member>,
    /// Where each instance has metrics for Prometheus, if it was started with them.
    exporters: Vec<SocketAddr>,
    /// The configuration is the user's: lab does not know how to change its servers.
    is_users: bool,
}

impl Haproxy {
    pub(super) async fn start(
        scenario: &Scenario,
        options: &LiveOptions,
        addresses: &[SocketAddr],
        backends: &[BackendEndpoint],
    ) -> Result<Self, LiveError> {
        let mut foreign = Foreign { facts: facts(scenario, options).await?, ..Foreign::default() };
        let (mut runtimes, mut exporters) = (Vec::new(), Vec::new());
        let exports = options.board.is_some() && has_exporter().await?;
        for wiring in foreign::wirings(COMMAND, options, addresses, backends)? {
            let (here, wiring) = foreign::present(scenario, &wiring);
            let configuration = foreign::configured(&here, options, &Engine::Haproxy, &wiring)?;
            foreign::write(&configuration, &wiring)?;
            let mut files = vec![FILE];
            if exports {
                foreign::write(&metrics(wiring.admin), &wiring)?;
                files.push(METRICS_FILE);
                exporters.push(wiring.admin);
            }
            let mut program = launch(foreign.programs.len() + 1, &wiring.folder, &files).await?;
            foreign::serves(&mut program, wiring.listen).await?;
            foreign.programs.push(program);
            foreign.targets.push(wiring.listen);
            let runtime = runtime(&wiring)?;
            runtime.answers().await?;
            runtimes.push(runtime);
        }
        let backends: Vec<_> = backends.iter().map(|backend| backend.listen).collect();
        Ok(Self {
            foreign,
            runtimes,
            members: members(scenario, &backends),
            exporters,
            is_users: options.engine_config.is_some(),
        })
    }

    pub(super) fn sight(&self) -> Sight {
        // Servers of the user's own have names that the scenario does not know.
        Sight(if self.is_users { Vec::new() } else { self.runtimes.clone() })
    }

    /// Where each instance has metrics for Prometheus, and below which path.
    pub(super) fn scraped(&self) -> Option<(Vec<SocketAddr>, &'static str)> {
        (!self.exporters.is_empty()).then(|| (self.exporters.clone(), METRICS_PATH))
    }

    pub(super) async fn order(
        &mut self,
        scenario: &Scenario,
        target: usize,
        order: Order,
    ) -> Result<(), LiveError> {
        let members = foreign::ordered(&self.members, scenario, target, order);
        if members == self.members {
            return Ok(());
        }
        self.apply(scenario, members).await
    }

    /// Makes `members` the servers of every instance: those that are new get requests at once,
    /// those that are drained finish what they have, and those that are gone are waited for until
    /// they have nothing in flight.
    ///
    /// # Errors
    /// When HAProxy refuses it, such as an addition under a map-based hash, or a server that is
    /// gone had requests for longer than `drain_timeout`.
    pub(super) async fn apply(
        &mut self,
        scenario: &Scenario,
        members: Vec<Member>,
    ) -> Result<(), LiveError> {
        if self.is_users {
            return Err(foreign::unchangeable());
        }
        let servers = runtime_servers(scenario, &members);
        for runtime in &self.runtimes {
            runtime.apply(&servers, scenario.balancer.edge.drain_timeout).await?;
        }
        self.members = members;
        Ok(())
    }

    pub(super) async fn facts(&self) -> manifest::Engine {
        let mut facts = self.foreign.facts.clone();
        for (place, runtime) in self.runtimes.iter().enumerate() {
            let prefix =
                if self.runtimes.len() == 1 { String::new() } else { format!("{}.", place + 1) };
            // What it cannot be asked for is said where it would stand.
            match runtime.statistics().await {
                Ok(statistics) => facts
                    .statistics
                    .extend(statistics.into_iter().map(|(name, v)| (format!("{prefix}{name}"), v))),
                Err(error) => {
                    facts.statistics.push((format!("{prefix}statistics"), error.to_string()));
                }
            }
        }
        facts
    }
}

/// Asks for the views of the servers; a copy serves beside the balancers.
#[derive(Clone, Debug)]
pub(in crate::live) struct Sight(Vec<Runtime>);

impl Sight {
    /// Per instance; empty where it did not answer.
    pub(super) async fn views(&self) -> Vec<Vec<PeerView>> {
        let mut views = Vec::new();
        for runtime in &self.0 {
            views.push(runtime.views().await.unwrap_or_default());
        }
        views
    }
}

impl From<RuntimeError> for LiveError {
    fn from(error: RuntimeError) -> Self {
        Self::Refused { name: "haproxy".to_owned(), error: error.to_string() }
    }
}

/// Has the configuration in `folder` checked, and starts HAProxy with it, in the foreground.
async fn launch(number: usize, folder: &Path, files: &[&str]) -> Result<Program, LiveError> {
    let folder_word = folder.display().to_string();
    let arguments = |mode: &str| -> Vec<String> {
        let files = files.iter().flat_map(|file| ["-f", file]);
        [mode, "-C", &folder_word].into_iter().chain(files).map(str::to_owned).collect()
    };
    foreign::output(COMMAND, PACKAGE, &arguments("-c")).await?;
    let (name, log) = (format!("haproxy {number}"), folder.join("haproxy.log"));
    let program = foreign::start(&name, COMMAND, PACKAGE, &arguments("-db"), &log)?;
    // SIGTERM ends it in the middle of requests, with another status than 0.
    Ok(program.stopped_by(Signal::USR1))
}

/// Whether this HAProxy was built with its exporter for Prometheus (`USE_PROMEX`), which packages
/// have and a build by hand need not.
async fn has_exporter() -> Result<bool, LiveError> {
    let said = foreign::output(COMMAND, PACKAGE, &["-vv".to_owned()]).await?;
    Ok(said.contains("prometheus-exporter"))
}

/// The exporter at `admin`. Defaults of the configuration before it, which may be a user's, are not
/// for it.
fn metrics(admin: SocketAddr) -> Configuration {
    let text = format!(
        "defaults\n    mode http\n    timeout client 10s\n    timeout http-request 10s\n\n\
         frontend lab-metrics\n    bind {admin}\n    \
         http-request use-service prometheus-exporter if {{ path {METRICS_PATH} }}\n    \
         http-request return status 404\n"
    );
    Configuration { files: vec![ConfigFile { name: METRICS_FILE.to_owned(), text }] }
}

fn runtime(wiring: &Wiring) -> Result<Runtime, LiveError> {
    Runtime::new(&wiring.folder)
        .map_err(|error| LiveError::System { what: "cannot open HAProxy's folder", error })
}

async fn facts(scenario: &Scenario, options: &LiveOptions) -> Result<manifest::Engine, LiveError> {
    let said = foreign::output(COMMAND, PACKAGE, &["-v".to_owned()]).await?;
    Ok(manifest::Engine {
        name: "haproxy".to_owned(),
        version: version(&said).to_owned(),
        config_sha256: foreign::config_sha256(scenario, options, &Engine::Haproxy),
        settings: match &options.engine_config {
            Some(_) => vec![("configuration".to_owned(), "the user's own".to_owned())],
            None => engine::haproxy::parity(scenario),
        },
        statistics: Vec::new(),
    })
}

/// Out of `HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/`.
fn version(said: &str) -> &str {
    said.split(' ').nth(2).unwrap_or_default()
}

#[cfg(test)]
mod tests;
