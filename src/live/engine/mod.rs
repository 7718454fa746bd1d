//! The balancers of a round: lab's own proxy, or a real program in its place.
//!
//! Each engine's file starts it, asks for its view of the peers, gives it orders, and stops it.
//! Its configuration comes from [`crate::engine`].

mod elsewhere;
mod envoy;
mod foreign;
mod haproxy;
mod installed;
mod nginx;
mod own;

pub(super) use installed::find as find_program;
pub use installed::on_path;
pub(super) use own::spool as own_spool;

use std::net::SocketAddr;

use serde::Deserialize;

use super::provider::Program;
use super::world::{BackendEndpoint, LiveError, LiveOptions};
use crate::host::usage;
use crate::policy::PeerState;
use crate::record::manifest;
use crate::scenario::{Engine, Scenario};

/// A balancer's view of a peer.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct PeerView {
    pub(super) name: String,
    pub(super) state: PeerState,
    pub(super) in_flight: u32,
}

/// What a balancer is told about one backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// It gets nothing new, and finishes what it has.
    Drain,
    /// It gets requests again.
    Resume,
    /// It is there, at this address, and gets requests.
    Add(SocketAddr),
    /// It is gone.
    Remove,
}

/// The balancers of a round.
pub(super) enum Balancers {
    Own(own::Own),
    Nginx(nginx::Nginx),
    Haproxy(haproxy::Haproxy),
    Envoy(envoy::Envoy),
    Elsewhere(elsewhere::Elsewhere),
}

/// Asks for the balancers' views of the peers; a copy serves beside the balancers.
#[derive(Clone, Debug)]
pub(super) enum Sight {
    /// By the admin interfaces of lab's proxies.
    Own(Vec<SocketAddr>),
    /// By the admin interfaces of Envoy.
    Envoy(Vec<SocketAddr>),
    /// By the stats sockets of HAProxy.
    Haproxy(haproxy::Sight),
    /// The engine shows no view of single peers.
    None,
}

impl Sight {
    /// Whether nothing is to be seen.
    pub(super) const fn is_blind(&self) -> bool {
        matches!(self, Self::None)
    }

    /// The engine's name, if its peers' changes show in its views alone: lab's proxy writes events.
    pub(super) const fn without_events(&self) -> Option<&'static str> {
        match self {
            Self::Envoy(_) => Some("envoy"),
            Self::Haproxy(_) => Some("haproxy"),
            Self::Own(_) | Self::None => None,
        }
    }

    /// The admin interfaces of lab's proxies; none for another engine.
    pub(super) fn admins(&self) -> Vec<SocketAddr> {
        match self {
            Self::Own(admins) => admins.clone(),
            Self::Envoy(_) | Self::Haproxy(_) | Self::None => Vec::new(),
        }
    }

    /// Requests that all balancer instances together have in flight to the peer `name`; `None` where
    /// nothing is to be seen.
    ///
    /// # Errors
    /// When an instance does not show the peer: then nobody knows.
    pub(super) async fn in_flight(&self, name: &str) -> Result<Option<u64>, String> {
        if self.is_blind() {
            return Ok(None);
        }
        let mut sum = 0;
        for (instance, peers) in self.views().await.iter().enumerate() {
            let counts = peers.iter().filter(|peer| peer.name == name).map(|peer| peer.in_flight);
            let counts: Vec<u32> = counts.collect();
            if counts.is_empty() {
                return Err(format!("balancer {} does not show {name}", instance + 1));
            }
            sum += counts.into_iter().map(u64::from).sum::<u64>();
        }
        Ok(Some(sum))
    }

    /// Per balancer instance, its view of the peers; empty where it did not answer.
    pub(super) async fn views(&self) -> Vec<Vec<PeerView>> {
        match self {
            Self::Own(admins) => own::views(admins).await,
            Self::Envoy(admins) => envoy::views(admins).await,
            Self::Haproxy(sight) => sight.views().await,
            Self::None => Vec::new(),
        }
    }
}

impl Balancers {
    /// Starts the scenario's engine in front of `backends`, and waits until it serves.
    pub(super) async fn start(
        scenario: &Scenario,
        options: &LiveOptions,
        addresses: &[SocketAddr],
        backends: &[BackendEndpoint],
    ) -> Result<Self, LiveError> {
        Ok(match &scenario.balancer.engine {
            Engine::Own => {
                Self::Own(own::Own::start(scenario, options, addresses, backends).await?)
            }
            Engine::Nginx => {
                Self::Nginx(nginx::Nginx::start(scenario, options, addresses, backends).await?)
            }
            Engine::Haproxy => Self::Haproxy(
                haproxy::Haproxy::start(scenario, options, addresses, backends).await?,
            ),
            Engine::Envoy => {
                Self::Envoy(envoy::Envoy::start(scenario, options, addresses, backends).await?)
            }
            Engine::Elsewhere(url) => Self::Elsewhere(elsewhere::Elsewhere::find(url)?),
        })
    }

    /// Where clients connect, one URL per instance.
    pub(super) fn urls(&self) -> Vec<String> {
        let targets = match self {
            Self::Own(own) => &own.targets,
            Self::Nginx(nginx) => &nginx.foreign.targets,
            Self::Haproxy(haproxy) => &haproxy.foreign.targets,
            Self::Envoy(envoy) => &envoy.foreign.targets,
            Self::Elsewhere(elsewhere) => return vec![elsewhere.url.clone()],
        };
        targets.iter().map(|target| format!("http://{target}")).collect()
    }

    /// The programs, one per instance.
    pub(super) fn programs(&mut self) -> &mut [Program] {
        match self {
            Self::Own(own) => &mut own.programs,
            Self::Nginx(nginx) => &mut nginx.foreign.programs,
            Self::Haproxy(haproxy) => &mut haproxy.foreign.programs,
            Self::Envoy(envoy) => &mut envoy.foreign.programs,
            Self::Elsewhere(_) => &mut [],
        }
    }

    /// Every process of it whose time and descriptors count: workers too.
    pub(super) fn processes(&mut self) -> Vec<u32> {
        let programs = self.programs().iter().map(Program::pid);
        programs.flat_map(|pid| std::iter::once(pid).chain(usage::children(pid))).collect()
    }

    /// Whether workers of a configuration before the present one still finish what they have: they
    /// know servers that the present one drains.
    pub(super) fn is_still_draining(&mut self) -> bool {
        match self {
            Self::Nginx(nginx) => nginx.has_old_workers(),
            Self::Own(_) | Self::Haproxy(_) | Self::Envoy(_) | Self::Elsewhere(_) => false,
        }
    }

    pub(super) fn sight(&self) -> Sight {
        match self {
            Self::Own(own) => Sight::Own(own.admins.clone()),
            Self::Haproxy(haproxy) => Sight::Haproxy(haproxy.sight()),
            Self::Envoy(envoy) => Sight::Envoy(envoy.admins()),
            Self::Nginx(_) | Self::Elsewhere(_) => Sight::None,
        }
    }

    /// Where each instance has metrics for Prometheus, and below which path, if it has.
    pub(super) fn scraped(&self) -> Option<(Vec<SocketAddr>, &'static str)> {
        match self {
            Self::Own(own) => Some((own.admins.clone(), "/metrics")),
            Self::Envoy(envoy) => Some((envoy.admins(), "/stats/prometheus")),
            Self::Haproxy(haproxy) => haproxy.scraped(),
            // It has none of its own: the run's page has what it counts.
            Self::Nginx(_) | Self::Elsewhere(_) => None,
        }
    }

    /// Tells every instance about the backend at `target` in the scenario.
    pub(super) async fn order(
        &mut self,
        scenario: &Scenario,
        target: usize,
        order: Order,
    ) -> Result<(), LiveError> {
        match self {
            Self::Own(own) => own.order(scenario, target, order).await,
            Self::Nginx(nginx) => nginx.order(scenario, target, order).await,
            Self::Haproxy(haproxy) => haproxy.order(scenario, target, order).await,
            Self::Envoy(envoy) => envoy.order(scenario, target, order).await,
            Self::Elsewhere(_) => Ok(()),
        }
    }

    /// Its name, version, configuration and settings, for the record. Before it stops: its last
    /// statistics are in it.
    pub(super) async fn facts(&self, scenario: &Scenario) -> manifest::Engine {
        match self {
            Self::Own(_) => own::facts(scenario),
            Self::Nginx(nginx) => nginx.facts().await,
            Self::Haproxy(haproxy) => haproxy.facts().await,
            Self::Envoy(envoy) => envoy.facts().await,
            Self::Elsewhere(elsewhere) => elsewhere.facts(),
        }
    }
}
