//! NGINX, started with the configuration that lab writes for it, or with the user's own.
//!
//! Changes of its servers are made as an operator makes them: write the configuration, test it,
//! reload. Workers of the old configuration finish what they have, so no request is lost.

mod statistics;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;

use self::statistics::Connections;
use super::Order;
use super::foreign::{self, Foreign};
use crate::engine::nginx::{FILE, summary};
use crate::engine::{self, Configuration, Member, Wiring, members, with_members};
use crate::host::{clock, usage};
use crate::live::provider::Program;
use crate::live::world::{BackendEndpoint, LiveError, LiveOptions};
use crate::record::manifest;
use crate::scenario::{Engine, Scenario};
use crate::units::Span;

const COMMAND: &str = "nginx";
const PACKAGE: &str = "Debian's package nginx, or nginx.org's";
/// How long it may take until new workers serve and old ones take nothing new.
const RELOAD_LIMIT: Span = Span::from_secs(10);
/// What a worker calls itself (`ngx_setproctitle`), until it is told to go.
const WORKER: &str = "nginx: worker process";

/// One master and its workers for each instance.
pub(in crate::live) struct Nginx {
    pub(super) foreign: Foreign,
    wirings: Vec<Wiring>,
    members: Vec<Member>,
    /// The configuration is the user's: lab does not know how to change its servers.
    is_users: bool,
    /// Once all instances run.
    connections: Option<Connections>,
}

impl Nginx {
    pub(super) async fn start(
        scenario: &Scenario,
        options: &LiveOptions,
        addresses: &[SocketAddr],
        backends: &[BackendEndpoint],
    ) -> Result<Self, LiveError> {
        let wirings = foreign::wirings(COMMAND, options, addresses, backends)?;
        let addresses: Vec<_> = backends.iter().map(|backend| backend.listen).collect();
        let facts = manifest::Engine {
            name: COMMAND.to_owned(),
            version: version().await?,
            config_sha256: foreign::config_sha256(scenario, options, &Engine::Nginx),
            settings: settings(scenario, options),
            ..manifest::Engine::default()
        };
        let mut nginx = Self {
            foreign: Foreign { facts, ..Foreign::default() },
            wirings: Vec::new(),
            members: members(scenario, &addresses),
            is_users: options.engine_config.is_some(),
            connections: None,
        };
        for (instance, wiring) in wirings.into_iter().enumerate() {
            let (here, wiring) = foreign::present(&absolute(scenario)?, &wiring);
            let configuration = foreign::configured(&here, options, &Engine::Nginx, &wiring)?;
            foreign::write(&configuration, &wiring)?;
            check(&wiring, FILE).await?;
            let name = format!("nginx {}", instance + 1);
            let log = wiring.folder.join("output.log");
            let mut program =
                foreign::start(&name, COMMAND, PACKAGE, &arguments(&wiring, FILE), &log)?;
            foreign::serves(&mut program, wiring.listen).await?;
            // The master listens before it has workers. The user may have set any number of them.
            let workers = if nginx.is_users { 1 } else { scenario.balancer.workers as usize };
            wait_for(&mut program, |now| now.len() >= workers).await?;
            nginx.foreign.targets.push(wiring.listen);
            nginx.foreign.programs.push(program);
            nginx.wirings.push(wiring);
        }
        let connections = Connections::watch(&nginx.wirings);
        if let Some(board) = &options.board {
            connections.show_on(board);
        }
        nginx.connections = Some(connections);
        Ok(nginx)
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

    /// Makes `members` the servers of every instance: those that are new get requests, those that
    /// are gone or drained finish what they have.
    ///
    /// # Errors
    /// When NGINX refuses the configuration, or its new workers do not come; then the old ones go
    /// on serving.
    pub(super) async fn apply(
        &mut self,
        scenario: &Scenario,
        members: Vec<Member>,
    ) -> Result<(), LiveError> {
        if self.is_users {
            return Err(foreign::unchangeable());
        }
        for (wiring, program) in self.wirings.iter().zip(&mut self.foreign.programs) {
            let (scenario, wiring) = with_members(&absolute(scenario)?, wiring, &members);
            let configuration = engine::configuration(&scenario, &Engine::Nginx, &wiring);
            replace(configuration.unwrap_or_default(), &wiring).await?;
            reload(program, scenario.balancer.workers as usize).await?;
        }
        self.members = members;
        Ok(())
    }

    /// Whether workers of an old configuration still finish what they have.
    pub(super) fn has_old_workers(&self) -> bool {
        let masters = self.foreign.programs.iter().map(Program::pid);
        masters.flat_map(usage::children).any(|pid| {
            usage::title(pid).is_some_and(|title| title.starts_with(WORKER) && title != WORKER)
        })
    }

    pub(super) async fn facts(&self) -> manifest::Engine {
        let mut facts = self.foreign.facts.clone();
        facts.statistics = statistics::statistics(&self.wirings).await;
        facts.statistics.extend(self.connections.iter().flat_map(Connections::statistics));
        facts
    }
}

/// The scenario with its access log named from the root: to NGINX a relative name is one in its
/// own folder.
fn absolute(scenario: &Scenario) -> Result<Scenario, LiveError> {
    let mut scenario = scenario.clone();
    if let Some(log) = &mut scenario.balancer.edge.log {
        log.path = std::path::absolute(&log.path)
            .map_err(|error| LiveError::System { what: "cannot find the access log", error })?;
    }
    Ok(scenario)
}

/// How it is set; of the user's own configuration only that it is the user's.
fn settings(scenario: &Scenario, options: &LiveOptions) -> Vec<(String, String)> {
    if options.engine_config.is_some() {
        return vec![("configuration".to_owned(), "the user's own".to_owned())];
    }
    summary(scenario)
}

async fn version() -> Result<String, LiveError> {
    let said = foreign::output(COMMAND, PACKAGE, &["-v".to_owned()]).await?;
    // `nginx version: nginx/1.22.1`
    let version = said.trim().rsplit_once('/').map_or(said.trim(), |(_, version)| version);
    Ok(version.to_owned())
}

/// Its own check of a configuration.
async fn check(wiring: &Wiring, file: &str) -> Result<(), LiveError> {
    let mut arguments = arguments(wiring, file);
    arguments.push("-t".to_owned());
    foreign::output(COMMAND, PACKAGE, &arguments).await.map(drop)
}

fn arguments(wiring: &Wiring, file: &str) -> Vec<String> {
    let path = |name: &str| wiring.folder.join(name).display().to_string();
    let mut arguments =
        ["-p", &path(""), "-c", &path(file), "-e", &path("error.log")].map(str::to_owned).to_vec();
    // A master that is root would give its workers another user, who may not enter the folder.
    let text = std::fs::read_to_string(wiring.folder.join(file)).unwrap_or_default();
    let names_user = text.lines().any(|line| line.trim_start().starts_with("user "));
    if rustix::process::geteuid().is_root() && !names_user {
        arguments.extend(["-g".to_owned(), "user root;".to_owned()]);
    }
    arguments
}

/// Tests a configuration beside the one in use, and takes its place if it is good.
async fn replace(mut configuration: Configuration, wiring: &Wiring) -> Result<(), LiveError> {
    let next = format!("{FILE}.next");
    if let Some(file) = configuration.files.first_mut() {
        file.name.clone_from(&next);
    }
    foreign::write(&configuration, wiring)?;
    check(wiring, &next).await?;
    let path = |name: &str| -> PathBuf { wiring.folder.join(name) };
    std::fs::rename(path(&next), path(FILE))
        .map_err(|error| LiveError::System { what: "cannot replace the configuration", error })
}

/// Tells the master to read its configuration, and waits until as many new workers serve and the
/// old ones take nothing new: a worker calls itself so once it is ready, and otherwise once it has
/// stopped listening (`ngx_worker_process_cycle`).
async fn reload(program: &mut Program, workers: usize) -> Result<(), LiveError> {
    let old = serving(program.pid());
    program.signal(Signal::HUP);
    let is_over = |now: &[u32]| now.len() == workers && now.iter().all(|pid| !old.contains(pid));
    wait_for(program, is_over).await
}

/// Waits until the workers that take requests are as they should be.
async fn wait_for(
    program: &mut Program,
    mut are_right: impl FnMut(&[u32]) -> bool,
) -> Result<(), LiveError> {
    let deadline = clock::now() + RELOAD_LIMIT;
    loop {
        let now = serving(program.pid());
        if are_right(&now) {
            return Ok(());
        }
        let what = match program.ended() {
            Some(status) => format!("it ended: {status}"),
            None if clock::now() >= deadline => {
                format!("its workers are not in place after {RELOAD_LIMIT}: {now:?} serve")
            }
            None => {
                tokio::time::sleep(Duration::from_millis(5)).await;
                continue;
            }
        };
        return Err(program.not_ready(what).into());
    }
}

/// Its workers that take requests.
fn serving(master: u32) -> Vec<u32> {
    let is_serving = |pid: &u32| usage::title(*pid).is_some_and(|title| title == WORKER);
    usage::children(master).into_iter().filter(is_serving).collect()
}
