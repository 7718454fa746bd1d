//! What all real engines need: to be found, checked, started, and waited for until they serve.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tokio::net::TcpStream;

use super::Order;
use crate::engine::{self, Configuration, Member, UserConfigurationError, Wiring};
use crate::host::clock;
use crate::live::ports;
use crate::live::provider::{Program, ProgramError};
use crate::live::world::{BackendEndpoint, LiveError, LiveOptions};
use crate::policy::PeerConfig;
use crate::record::manifest;
use crate::scenario::{Engine, Scenario};
use crate::units::Span;

/// How long an engine may take until it accepts connections.
const START_LIMIT: Span = Span::from_secs(10);

/// The programs of an engine that is not lab's.
#[derive(Default)]
pub(super) struct Foreign {
    pub(super) programs: Vec<Program>,
    pub(super) targets: Vec<SocketAddr>,
    pub(super) facts: manifest::Engine,
}

/// For each of `addresses`, where clients connect, an instance of `engine` with a folder and an
/// admin port of its own.
pub(super) fn wirings(
    engine: &str,
    options: &LiveOptions,
    addresses: &[SocketAddr],
    backends: &[BackendEndpoint],
) -> Result<Vec<Wiring>, LiveError> {
    // Nobody listens at `addresses` yet, so they may be found free again.
    let free = ports::free(2 * addresses.len())
        .map_err(|error| LiveError::System { what: "cannot find free ports", error })?;
    let admins = free.into_iter().filter(|admin| !addresses.contains(admin));
    // The programs run in lab's folder: relative paths must not change with theirs.
    let scratch = std::path::absolute(&options.scratch)
        .map_err(|error| LiveError::System { what: "cannot find the folder of the run", error })?;
    let wiring = |(instance, (listen, admin)): (usize, (&SocketAddr, SocketAddr))| Wiring {
        listen: *listen,
        backends: backends.iter().map(|backend| backend.listen).collect(),
        admin,
        folder: scratch.join(format!("{engine}-{}", instance + 1)),
    };
    Ok(addresses.iter().zip(admins).enumerate().map(wiring).collect())
}

/// The configuration to be run: the user's own, if one was given, or the one for the scenario.
///
/// # Errors
/// When the user's cannot stand for the scenario.
pub(super) fn configured(
    scenario: &Scenario,
    options: &LiveOptions,
    engine: &Engine,
    wiring: &Wiring,
) -> Result<Configuration, LiveError> {
    match &options.engine_config {
        Some(text) => Ok(engine::user_configuration(engine, text, scenario, wiring)?.configuration),
        None => Ok(engine::configuration(scenario, engine, wiring).unwrap_or_default()),
    }
}

/// The hash of the configuration that `lab config` prints, which is the same in every run; of the
/// user's own, if one was given.
pub(super) fn config_sha256(scenario: &Scenario, options: &LiveOptions, engine: &Engine) -> String {
    if let Some(text) = &options.engine_config {
        return manifest::sha256_hex(text.as_bytes());
    }
    let wiring = Wiring::example(scenario.backends.len());
    let configuration = engine::configuration(scenario, engine, &wiring).unwrap_or_default();
    let text: String = configuration.files.into_iter().map(|file| file.text).collect();
    manifest::sha256_hex(text.as_bytes())
}

/// The servers after `order` for that of backend `target`. One that is added stands last.
pub(super) fn ordered(
    members: &[Member],
    scenario: &Scenario,
    target: usize,
    order: Order,
) -> Vec<Member> {
    let peer = &scenario.balancer.upstream.peers[target];
    let mut members = members.to_vec();
    match order {
        Order::Drain | Order::Resume => {
            for member in members.iter_mut().filter(|member| member.peer.name == peer.name) {
                member.drained = order == Order::Drain;
            }
        }
        Order::Remove => members.retain(|member| member.peer.name != peer.name),
        Order::Add(address) => {
            let peer = PeerConfig { absent: false, ..peer.clone() };
            let is_it = |member: &&mut Member| member.peer.name == peer.name;
            match members.iter_mut().find(is_it) {
                Some(member) => {
                    member.address = address;
                    member.drained = false;
                }
                None => members.push(Member { peer, address, drained: false }),
            }
        }
    }
    members
}

/// Scenario and wiring without the servers that are not there at the start.
pub(super) fn present(scenario: &Scenario, wiring: &Wiring) -> (Scenario, Wiring) {
    engine::with_members(scenario, wiring, &engine::members(scenario, &wiring.backends))
}

/// The servers of a user's own configuration are not lab's to change.
pub(super) fn unchangeable() -> LiveError {
    let what = "its servers cannot be changed while it runs: a scenario with drain faults or an \
                autoscaler needs the configuration that lab writes";
    UserConfigurationError::Misfit(what.to_owned()).into()
}

/// Writes the configuration into the folder of `wiring`.
pub(super) fn write(configuration: &Configuration, wiring: &Wiring) -> Result<(), LiveError> {
    let failed = |error| LiveError::System { what: "cannot write the configuration", error };
    std::fs::create_dir_all(&wiring.folder).map_err(failed)?;
    for file in &configuration.files {
        std::fs::write(wiring.folder.join(&file.name), &file.text).map_err(failed)?;
    }
    Ok(())
}

/// Runs a command to its end, such as an engine's own check of its configuration; what it said.
///
/// # Errors
/// When it cannot be started, with the package that has it, or ends with anything but 0.
pub(super) async fn output(
    command: &str,
    package: &str,
    arguments: &[String],
) -> Result<String, LiveError> {
    let run = tokio::process::Command::new(command).args(arguments).kill_on_drop(true).output();
    let done = run.await.map_err(|error| missing(command, package, error))?;
    let mut said = String::from_utf8_lossy(&done.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&done.stderr));
    if done.status.success() {
        return Ok(said);
    }
    Err(ProgramError::NotReady {
        name: format!("{command} {}", arguments.join(" ")),
        what: done.status.to_string(),
        log: format!(":\n    {}", said.trim().replace('\n', "\n    ")),
    }
    .into())
}

/// Starts an engine, with its output in `log`.
pub(super) fn start(
    name: &str,
    command: &str,
    package: &str,
    arguments: &[String],
    log: &Path,
) -> Result<Program, LiveError> {
    Program::start_foreign(name, command, arguments, log).map_err(|error| match error {
        ProgramError::Spawn { error, .. } => missing(command, package, error),
        other => other.into(),
    })
}

/// Waits until somebody accepts connections at `address`.
pub(super) async fn serves(program: &mut Program, address: SocketAddr) -> Result<(), LiveError> {
    let deadline = clock::now() + START_LIMIT;
    loop {
        if TcpStream::connect(address).await.is_ok() {
            return Ok(());
        }
        let what = match program.ended() {
            Some(status) => format!("it ended: {status}"),
            None if clock::now() >= deadline => format!("nobody listens at {address}"),
            None => {
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            }
        };
        return Err(program.not_ready(what).into());
    }
}

fn missing(command: &str, package: &str, error: std::io::Error) -> LiveError {
    if error.kind() == std::io::ErrorKind::NotFound {
        LiveError::Missing { command: command.to_owned(), package: package.to_owned() }
    } else {
        ProgramError::Spawn { name: command.to_owned(), error }.into()
    }
}
