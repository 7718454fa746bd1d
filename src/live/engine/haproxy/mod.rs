//! HAProxy, started with the configuration that lab writes for it, or the user's own.

mod peers;
mod runtime;

use std::net::SocketAddr;
use std::path::Path;

use rustix::process::Signal;

use super::foreign::{self, Foreign};
use super::{Order, PeerView};
use crate::engine::haproxy::{FILE, runtime_servers};
use crate::engine::{self, Member, Wiring, members};
use crate::live::provider::Program;
use crate::live::world::{BackendEndpoint, LiveError, LiveOptions};
use crate::record::manifest;
use crate::scenario::{Engine, Scenario};
use runtime::{Runtime, RuntimeError};

const COMMAND: &str = "haproxy";
const PACKAGE: &str = "Debian's package haproxy";

/// One process for each instance.
pub(in crate::live) struct Haproxy {
    pub(super) foreign: Foreign,
    runtimes: Vec<Runtime>,
    members: Vec<Member>,
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
        let mut runtimes = Vec::new();
        for wiring in foreign::wirings(COMMAND, options, addresses, backends)? {
            let (here, wiring) = foreign::present(scenario, &wiring);
            let configuration = foreign::configured(&here, options, &Engine::Haproxy, &wiring)?;
            foreign::write(&configuration, &wiring)?;
            let mut program = launch(foreign.programs.len() + 1, &wiring.folder).await?;
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
            is_users: options.engine_config.is_some(),
        })
    }

    pub(super) fn sight(&self) -> Sight {
        // Servers of the user's own have names that the scenario does not know.
        Sight(if self.is_users { Vec::new() } else { self.runtimes.clone() })
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
async fn launch(number: usize, folder: &Path) -> Result<Program, LiveError> {
    let folder_word = folder.display().to_string();
    let arguments = |mode: &str| [mode, "-C", &folder_word, "-f", FILE].map(str::to_owned);
    foreign::output(COMMAND, PACKAGE, &arguments("-c")).await?;
    let (name, log) = (format!("haproxy {number}"), folder.join("haproxy.log"));
    let program = foreign::start(&name, COMMAND, PACKAGE, &arguments("-db"), &log)?;
    // SIGTERM ends it in the middle of requests, with another status than 0.
    Ok(program.stopped_by(Signal::USR1))
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
