//! Envoy, started with the configuration that lab writes for it.

mod admin;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::Duration;

pub(super) use self::admin::views;
use super::Order;
use super::foreign::{self, Foreign};
use super::installed::{self, ENVOY_PACKAGE};
use crate::engine::envoy::{Cluster, parity};
use crate::engine::{Member, Wiring, members, with_members};
use crate::host::clock;
use crate::live::provider::Program;
use crate::live::world::{BackendEndpoint, LiveError, LiveOptions};
use crate::record::manifest;
use crate::scenario::{Engine, Scenario};
use crate::units::Span;

/// How long it may take until all hosts are healthy; each is checked once at least.
const READY_LIMIT: Span = Span::from_secs(15);
/// A new file of endpoints that is not applied by then has failed.
const APPLY_LIMIT: Span = Span::from_secs(3);

/// One process for each instance.
pub(in crate::live) struct Envoy {
    pub(super) foreign: Foreign,
    instances: Vec<Instance>,
    members: Vec<Member>,
    /// The user's own configuration has no file of endpoints.
    is_users: bool,
}

/// What is known about a running Envoy.
struct Instance {
    wiring: Wiring,
    /// Of the file of endpoints.
    version: u64,
}

impl Envoy {
    pub(super) async fn start(
        scenario: &Scenario,
        options: &LiveOptions,
        addresses: &[SocketAddr],
        backends: &[BackendEndpoint],
    ) -> Result<Self, LiveError> {
        let listening: Vec<_> = backends.iter().map(|backend| backend.listen).collect();
        let mut envoy = Self {
            foreign: Foreign::default(),
            instances: Vec::new(),
            members: members(scenario, &listening),
            is_users: options.engine_config.is_some(),
        };
        for wiring in foreign::wirings("envoy", options, addresses, backends)? {
            let (here, wiring) = foreign::present(scenario, &wiring);
            let configuration = foreign::configured(&here, options, &Engine::Envoy, &wiring)?;
            foreign::write(&configuration, &wiring)?;
            envoy.launch(scenario.balancer.workers, wiring).await?;
        }
        for (program, instance) in envoy.foreign.programs.iter_mut().zip(&envoy.instances) {
            foreign::serves(program, instance.wiring.listen).await?;
            instance.healthy(program).await?;
        }
        envoy.foreign.facts = manifest::Engine {
            name: "envoy".to_owned(),
            version: admin::version(envoy.instances[0].wiring.admin).await,
            config_sha256: foreign::config_sha256(scenario, options, &Engine::Envoy),
            settings: if envoy.is_users { Vec::new() } else { parity(scenario) },
            ..manifest::Engine::default()
        };
        Ok(envoy)
    }

    /// Checks the configuration in the folder of `wiring`, and starts a process with it.
    async fn launch(&mut self, workers: u32, wiring: Wiring) -> Result<(), LiveError> {
        let command = installed::find(&Engine::Envoy)?.unwrap_or_else(|| "envoy".into());
        let command = command.display().to_string();
        let config = wiring.folder.join("envoy.yaml").display().to_string();
        let mut arguments: Vec<String> =
            ["--mode", "validate", "--log-level", "warning", "-c", &config]
                .map(str::to_owned)
                .to_vec();
        foreign::output(&command, ENVOY_PACKAGE, &arguments).await?;
        let workers = workers.to_string();
        // Without hot restart no memory is shared between processes, so that several can run.
        let run = ["--concurrency", &workers, "--disable-hot-restart"];
        arguments.splice(..2, run.map(str::to_owned));
        let name = format!("envoy {}", self.instances.len() + 1);
        let log = wiring.folder.join("envoy.log");
        let program = foreign::start(&name, &command, ENVOY_PACKAGE, &arguments, &log)?;
        self.foreign.programs.push(program);
        self.foreign.targets.push(wiring.listen);
        self.instances.push(Instance { wiring, version: 1 });
        Ok(())
    }

    pub(super) fn admins(&self) -> Vec<SocketAddr> {
        self.instances.iter().map(|instance| instance.wiring.admin).collect()
    }

    pub(super) async fn order(
        &mut self,
        scenario: &Scenario,
        target: usize,
        order: Order,
    ) -> Result<(), LiveError> {
        if self.is_users {
            return Err(LiveError::System {
                what: "cannot change the backends of a configuration of your own",
                error: std::io::Error::from(std::io::ErrorKind::Unsupported),
            });
        }
        let members = foreign::ordered(&self.members, scenario, target, order);
        if members == self.members {
            return Ok(());
        }
        for instance in &mut self.instances {
            instance.apply(&cluster_of(scenario, &instance.wiring, &members)).await?;
        }
        self.members = members;
        Ok(())
    }

    pub(super) async fn facts(&self) -> manifest::Engine {
        let mut facts = self.foreign.facts.clone();
        for instance in &self.instances {
            facts.statistics.extend(admin::statistics(instance.wiring.admin).await);
        }
        facts
    }
}

/// The cluster with these members. One that is drained stays a host, which Envoy is told to drain.
fn cluster_of(scenario: &Scenario, wiring: &Wiring, members: &[Member]) -> Cluster {
    let undrained: Vec<Member> =
        members.iter().map(|member| Member { drained: false, ..member.clone() }).collect();
    let (scenario, wiring) = with_members(scenario, wiring, &undrained);
    let mut cluster = Cluster::new(&scenario, &wiring);
    for endpoint in &mut cluster.endpoints {
        let is_it = |member: &Member| member.peer.name == endpoint.name && member.drained;
        endpoint.draining = members.iter().any(is_it);
    }
    cluster
}

impl Instance {
    /// Replaces the members of the cluster, and waits until Envoy knows them. Who is no longer a
    /// member finishes what it has.
    async fn apply(&mut self, cluster: &Cluster) -> Result<(), LiveError> {
        let failed = |error| LiveError::System { what: "cannot replace the endpoints", error };
        self.version += 1;
        // Envoy looks when a file is moved into the folder, and so never sees half of one.
        let file = self.wiring.folder.join(Cluster::FILE);
        let new = self.wiring.folder.join(format!("{}.new", Cluster::FILE));
        std::fs::write(&new, cluster.file(self.version)).map_err(failed)?;
        std::fs::rename(&new, &file).map_err(failed)?;
        let deadline = clock::now() + APPLY_LIMIT;
        while admin::endpoints_version(self.wiring.admin).await != Some(self.version) {
            if clock::now() >= deadline {
                let what = format!("Envoy did not take version {}", self.version);
                return Err(failed(std::io::Error::other(what)));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// Waits until it is live and every host may be picked.
    async fn healthy(&self, program: &mut Program) -> Result<(), LiveError> {
        let deadline = clock::now() + READY_LIMIT;
        loop {
            let missing = admin::not_ready(self.wiring.admin).await;
            let Some(missing) = missing else { return Ok(()) };
            let what = match program.ended() {
                Some(status) => format!("it ended: {status}"),
                None if clock::now() >= deadline => missing,
                None => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                }
            };
            return Err(program.not_ready(what).into());
        }
    }
}
