//! lab's own proxy.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Order, PeerView};
use crate::autoscaler::{Balancing, ProxyAdmin};
use crate::engine::parity::{self, Parity};
use crate::host::call;
use crate::live::provider::{Program, ProgramError};
use crate::live::world::{BackendEndpoint, LiveError, LiveOptions, no_control, overrides, strings};
use crate::policy::retry::RetryConfig;
use crate::record::manifest;
use crate::scenario::{Scenario, StateSharing};

/// A question that is not answered by then is not answered for this second.
const QUESTION_LIMIT: Duration = Duration::from_millis(300);

/// One `lab proxy` for each instance.
pub(in crate::live) struct Own {
    pub(super) programs: Vec<Program>,
    pub(super) admins: Vec<SocketAddr>,
    pub(super) targets: Vec<SocketAddr>,
}

impl Own {
    pub(super) async fn start(
        scenario: &Scenario,
        options: &LiveOptions,
        addresses: &[SocketAddr],
        backends: &[BackendEndpoint],
    ) -> Result<Self, LiveError> {
        let mut programs = Vec::new();
        for (instance, address) in addresses.iter().enumerate() {
            programs.push(start_proxy(scenario, options, instance as u32, *address, backends)?);
        }
        let (mut targets, mut admins) = (Vec::new(), Vec::new());
        for program in &mut programs {
            let (listen, admin) = program.ready().await?;
            targets.push(listen);
            admins.push(admin.ok_or_else(|| no_control(program))?);
        }
        Ok(Self { programs, admins, targets })
    }

    pub(super) async fn order(
        &self,
        scenario: &Scenario,
        target: usize,
        order: Order,
    ) -> Result<(), LiveError> {
        let peer = scenario.balancer.upstream.peers[target].clone();
        let name = peer.name.clone();
        let mut proxies = ProxyAdmin::new(self.admins.clone(), None, peer);
        let done = match order {
            Order::Add(address) => proxies.add(&name, address).await,
            Order::Drain => proxies.drain(&name).await,
            Order::Resume => proxies.resume(&name).await,
            Order::Remove => proxies.remove(&name).await,
        };
        done.map_err(|error| LiveError::Refused {
            name: "proxy".to_owned(),
            error: error.to_string(),
        })
    }
}

/// lab itself, configured by the scenario.
pub(super) fn facts(scenario: &Scenario) -> manifest::Engine {
    manifest::Engine {
        name: "lab".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        config_sha256: manifest::sha256_hex(scenario.text.as_bytes()),
        settings: settings(scenario),
        ..manifest::Engine::default()
    }
}

/// What a fair comparison must know of it.
fn settings(scenario: &Scenario) -> Vec<(String, String)> {
    let balancer = &scenario.balancer;
    let keepalive = match balancer.keepalive {
        0 => "off".to_owned(),
        count => format!("{count} per worker, idle {}", balancer.keepalive_timeout),
    };
    let client = &balancer.edge.client;
    let upstream = &balancer.upstream;
    Parity {
        workers: balancer.workers.to_string(),
        state: match balancer.state {
            StateSharing::Shared => "shared",
            StateSharing::PerWorker => "of each worker",
        }
        .to_owned(),
        algorithm: upstream.algorithm.name().to_owned(),
        keepalive_to_clients: parity::keepalive_to_clients(
            client.idle_timeout,
            client.requests_per_connection,
        ),
        keepalive_to_backends: keepalive,
        buffering: "off".to_owned(),
        retries: retries(&upstream.retry),
        health_checks: parity::health_checks(upstream.health.as_ref()),
        time_outs: parity::time_outs(balancer.connect_timeout, balancer.read_timeout),
        access_log: parity::access_log(&balancer.edge),
        view_of_servers: "state and requests in flight, each second".to_owned(),
    }
    .settings()
}

fn retries(retry: &RetryConfig) -> String {
    let on = &retry.on;
    let named = [
        (on.error, "error"),
        (on.timeout, "timeout"),
        (on.invalid_header, "invalid_header"),
        (on.non_idempotent, "non_idempotent"),
    ];
    let mut words: Vec<String> =
        named.iter().filter(|(set, _)| *set).map(|(_, word)| (*word).to_owned()).collect();
    words.extend(on.statuses.iter().map(|status| format!("http_{status}")));
    match (words.is_empty(), retry.tries) {
        (true, _) => "off".to_owned(),
        (false, 0) => format!("{}; every server once", words.join(" ")),
        (false, tries) => format!("{}; {tries} tries", words.join(" ")),
    }
}

/// Per balancer instance, its view of the peers; empty where it did not answer.
pub(super) async fn views(admins: &[SocketAddr]) -> Vec<Vec<PeerView>> {
    let asked: Vec<_> = admins
        .iter()
        .map(|admin| {
            let admin = *admin;
            tokio::spawn(async move { call::get(admin, "/upstreams", QUESTION_LIMIT).await })
        })
        .collect();
    let mut views = Vec::new();
    for answer in asked {
        views.push(answer.await.ok().and_then(Result::ok).unwrap_or_default());
    }
    views
}

/// Where instance `instance` leaves its spools.
pub(in crate::live) fn spool(scratch: &Path, instance: u32) -> PathBuf {
    scratch.join(format!("proxy-{}", instance + 1))
}

fn start_proxy(
    scenario: &Scenario,
    options: &LiveOptions,
    instance: u32,
    address: SocketAddr,
    endpoints: &[BackendEndpoint],
) -> Result<Program, LiveError> {
    let spool = spool(&options.scratch, instance);
    std::fs::create_dir_all(&spool).map_err(|error| LiveError::System {
        what: "cannot make a folder for the spools",
        error,
    })?;
    let views_before = instance * scenario.balancer.views() / scenario.balancer.instances;
    let mut arguments = strings(&["proxy", "--admin", "127.0.0.1:0"]);
    arguments.extend([
        format!("--config={}", options.scenario_file.display()),
        format!("--listen={address}"),
        format!("--seed={}", options.seed),
        format!("--view-base={views_before}"),
        format!("--spool={}", spool.display()),
    ]);
    arguments.extend(overrides(options));
    for (backend, endpoint) in scenario.backends.iter().zip(endpoints) {
        arguments.push(format!("--peer={}={}", backend.name, endpoint.listen));
    }
    let name = format!("proxy {}", instance + 1);
    let log = options.scratch.join(format!("proxy-{}.log", instance + 1));
    Program::start(&name, &arguments, &log).map_err(ProgramError::into)
}
