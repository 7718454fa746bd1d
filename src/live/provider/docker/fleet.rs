//! Instances of a service as containers, for an autoscaler.
//!
//! They belong to the service and not to the autoscaler: they have no owner, they stay when it ends,
//! and one that starts anew finds them by their labels.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bollard::Docker;
use bollard::models::{
    ContainerCreateBody, ContainerSummary, ContainerSummaryStateEnum, HealthStatusEnum, HostConfig,
    NetworkConnectRequest,
};
use bollard::query_parameters::{
    CreateContainerOptions, InspectContainerOptions, ListContainersOptions, StartContainerOptions,
    StopContainerOptions,
};

use super::error::{DockerError, is_status};
use super::owner::{SLOT, forced};
use super::{SOCKET, connect_to};
use crate::autoscaler::{Fleet, FleetError, Health, Instance, InstanceState};
use crate::docker_filter::GROUP_LABEL;
use crate::units::Bytes;

/// What the instances of a group are made of.
#[derive(Clone, Debug, PartialEq)]
pub struct FleetSpec {
    /// Name of the group; instance `n` is called `GROUP-n`, from 1.
    pub group: String,
    /// The image.
    pub image: String,
    /// Arguments for its program, where `{name}` stands for the instance's name.
    pub command: Vec<String>,
    /// Networks to be on. The balancer reaches an instance over the first.
    pub networks: Vec<String>,
    /// Where it serves, `/metrics` too.
    pub port: u16,
    /// Most cores that an instance may use; `None` sets no limit.
    pub cpus: Option<f64>,
    /// Most memory that an instance may use.
    pub memory: Bytes,
    /// How long an instance may take to end what it is serving when it is told to stop.
    pub drain: Duration,
}

impl FleetSpec {
    /// The name of the instance in `slot`, from 0.
    #[must_use]
    pub fn name(&self, slot: u32) -> String {
        format!("{}-{}", self.group, slot + 1)
    }

    /// The slot of the instance called `name`, if it is one of the group.
    #[must_use]
    pub fn slot(&self, name: &str) -> Option<u32> {
        let number = name.strip_prefix(&self.group)?.strip_prefix('-')?;
        number.parse::<u32>().ok()?.checked_sub(1)
    }

    /// The arguments for the program of the instance called `name`.
    pub(super) fn arguments(&self, name: &str) -> Vec<String> {
        self.command.iter().map(|word| word.replace("{name}", name)).collect()
    }

    /// Its labels.
    pub(super) fn labels(&self, name: &str) -> HashMap<String, String> {
        HashMap::from([
            (GROUP_LABEL.to_owned(), self.group.clone()),
            (SLOT.to_owned(), name.to_owned()),
        ])
    }

    /// The filter for what belongs to the group.
    pub(super) fn filter(&self) -> HashMap<String, Vec<String>> {
        HashMap::from([("label".to_owned(), vec![format!("{GROUP_LABEL}={}", self.group)])])
    }

    /// The cores that an instance may use: all of the host's where there is no limit.
    pub(super) fn cores(&self) -> f64 {
        let host = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as f64;
        self.cpus.unwrap_or_else(host)
    }
}

/// Who is asked, and how: a connection that is made when it is first needed, so that an autoscaler
/// may start before its daemon.
#[derive(Debug)]
pub(super) struct Daemon {
    host: String,
    docker: Option<Docker>,
}

impl Daemon {
    pub(super) fn new(host: Option<String>) -> Self {
        let named = || std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty());
        let host = host.or_else(named).unwrap_or_else(|| SOCKET.to_owned());
        Self { host, docker: None }
    }

    pub(super) async fn docker(&mut self) -> Result<Docker, FleetError> {
        if let Some(docker) = &self.docker {
            return Ok(docker.clone());
        }
        let docker = connect_to(&self.host).await.map_err(|error| self.failed("connect", error))?;
        Ok(self.docker.insert(docker).clone())
    }

    /// The error of an order that was not obeyed.
    pub(super) fn failed(&self, order: &str, error: DockerError) -> FleetError {
        let provider = format!("Docker at {}", self.host);
        match error {
            DockerError::NoDaemon { why, .. } | DockerError::Gone { why, .. } => {
                FleetError::Unreachable { provider, reason: why }
            }
            DockerError::Refused { message, .. } => {
                FleetError::Refused { provider, order: order.to_owned(), reason: message }
            }
            other => {
                FleetError::Refused { provider, order: order.to_owned(), reason: other.to_string() }
            }
        }
    }

    pub(super) fn refused(&self, order: &str, error: &bollard::errors::Error) -> FleetError {
        self.failed(order, DockerError::of(order, error))
    }
}

/// The containers of a group.
#[derive(Debug)]
pub struct DockerFleet {
    spec: FleetSpec,
    daemon: Daemon,
    /// Ids of those that are being stopped: their end is no death.
    stopping: Arc<Mutex<BTreeSet<String>>>,
}

impl DockerFleet {
    /// The group that `spec` describes, at the daemon that `host` or else `DOCKER_HOST` names.
    /// Nothing is asked yet.
    #[must_use]
    pub fn new(spec: FleetSpec, host: Option<String>) -> Self {
        Self { spec, daemon: Daemon::new(host), stopping: Arc::default() }
    }

    async fn containers(&mut self) -> Result<Vec<(u32, ContainerSummary)>, FleetError> {
        let docker = self.daemon.docker().await?;
        let filters = Some(self.spec.filter());
        let options = ListContainersOptions { all: true, filters, ..Default::default() };
        let listed = docker.list_containers(Some(options)).await;
        let listed = listed.map_err(|error| self.daemon.refused("list containers", &error))?;
        let slot =
            |container: &ContainerSummary| self.spec.slot(container.labels.as_ref()?.get(SLOT)?);
        let mut slotted: Vec<_> = listed
            .into_iter()
            .filter_map(|container| slot(&container).map(|slot| (slot, container)))
            .collect();
        slotted.sort_by_key(|(slot, _)| *slot);
        Ok(slotted)
    }

    async fn container(&mut self, slot: u32) -> Result<Option<ContainerSummary>, FleetError> {
        let mut all = self.containers().await?;
        Ok(all.iter().position(|(of, _)| *of == slot).map(|index| all.swap_remove(index).1))
    }

    async fn create(&self, docker: &Docker, name: &str) -> Result<(), FleetError> {
        let order = format!("start {name}");
        let failed = |error: &bollard::errors::Error| self.daemon.refused(&order, error);
        let options = CreateContainerOptions { name: Some(name.to_owned()), ..Default::default() };
        let created = match docker.create_container(Some(options), self.body(name)).await {
            Ok(created) => created,
            Err(error) if is_status(&error, 404) && error.to_string().contains("image") => {
                let image = self.spec.image.clone();
                return Err(self.daemon.failed(&order, DockerError::NoImage { image }));
            }
            Err(error) => return Err(failed(&error)),
        };
        let start = async {
            for network in self.spec.networks.iter().skip(1) {
                let request = NetworkConnectRequest {
                    container: created.id.clone(),
                    endpoint_config: Some(Default::default()),
                };
                docker.connect_network(network, request).await?;
            }
            docker.start_container(&created.id, None::<StartContainerOptions>).await
        };
        if let Err(error) = start.await {
            let _ = docker.remove_container(&created.id, Some(forced())).await;
            return Err(failed(&error));
        }
        Ok(())
    }

    fn body(&self, name: &str) -> ContainerCreateBody {
        let spec = &self.spec;
        let memory = i64::try_from(spec.memory.0).ok();
        ContainerCreateBody {
            image: Some(spec.image.clone()),
            cmd: Some(spec.arguments(name)),
            labels: Some(spec.labels(name)),
            host_config: Some(HostConfig {
                network_mode: spec.networks.first().cloned(),
                memory,
                memory_swap: memory,
                nano_cpus: spec.cpus.map(|cpus| (cpus * 1e9) as i64),
                readonly_rootfs: Some(true),
                cap_drop: Some(vec!["ALL".to_owned()]),
                security_opt: Some(vec!["no-new-privileges".to_owned()]),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    fn is_stopping(&self, id: Option<&String>) -> bool {
        let stopping = self.stopping.lock().unwrap_or_else(PoisonError::into_inner);
        id.is_some_and(|id| stopping.contains(id))
    }

    fn instance(&self, slot: u32, container: &ContainerSummary) -> Option<Instance> {
        let is_running = matches!(
            container.state,
            Some(ContainerSummaryStateEnum::RUNNING | ContainerSummaryStateEnum::PAUSED)
        );
        if !is_running && self.is_stopping(container.id.as_ref()) {
            return None;
        }
        let state = match container.state {
            _ if is_running => InstanceState::Running,
            Some(ContainerSummaryStateEnum::CREATED) => {
                InstanceState::Ended("it was never started".to_owned())
            }
            _ => InstanceState::Ended(container.status.clone().unwrap_or_default()),
        };
        let address = self.address(container);
        Some(Instance { slot, state, address, metrics: address, cpus: self.spec.cores() })
    }

    fn address(&self, container: &ContainerSummary) -> Option<SocketAddr> {
        let networks = container.network_settings.as_ref()?.networks.as_ref()?;
        let network = self.spec.networks.first().map_or("bridge", String::as_str);
        let address: IpAddr = networks.get(network)?.ip_address.as_ref()?.parse().ok()?;
        Some(SocketAddr::new(address, self.spec.port))
    }
}

impl Fleet for DockerFleet {
    async fn list(&mut self) -> Result<Vec<Instance>, FleetError> {
        let containers = self.containers().await?;
        let there = containers.iter().filter_map(|(slot, one)| self.instance(*slot, one));
        Ok(there.collect())
    }

    /// Docker's health check; without one, a container that runs is well.
    async fn health(&mut self, slot: u32) -> Health {
        let seen = async {
            let container = self.container(slot).await.map_err(|error| error.to_string())?;
            let id = container.and_then(|container| container.id).ok_or("it is not there")?;
            let docker = self.daemon.docker().await.map_err(|error| error.to_string())?;
            let seen = docker.inspect_container(&id, None::<InspectContainerOptions>).await;
            let state = seen.map_err(|error| error.to_string())?.state.unwrap_or_default();
            if state.running != Some(true) {
                return Err("it does not run".to_owned());
            }
            match state.health.as_ref().and_then(|health| health.status) {
                None
                | Some(
                    HealthStatusEnum::HEALTHY | HealthStatusEnum::NONE | HealthStatusEnum::EMPTY,
                ) => Ok(()),
                Some(_) => Err(super::container::last_words(&state.health.unwrap_or_default())),
            }
        };
        let seen: Result<(), String> = seen.await;
        seen.map_or_else(Health::Failing, |()| Health::Passing)
    }

    async fn start(&mut self, slot: u32) -> Result<(), FleetError> {
        let docker = self.daemon.docker().await?;
        if let Some(old) = self.container(slot).await? {
            if old.state == Some(ContainerSummaryStateEnum::RUNNING) {
                return Ok(());
            }
            let id = old.id.unwrap_or_default();
            let removed = docker.remove_container(&id, Some(forced())).await;
            if let Err(error) = removed
                && !is_status(&error, 404)
            {
                return Err(self
                    .daemon
                    .refused(&format!("remove {}", self.spec.name(slot)), &error));
            }
        }
        self.create(&docker, &self.spec.name(slot)).await
    }

    /// The drain goes on after this has returned. One that could not be stopped is listed on.
    async fn stop(&mut self, slot: u32) -> Result<(), FleetError> {
        let docker = self.daemon.docker().await?;
        let Some(id) = self.container(slot).await?.and_then(|container| container.id) else {
            return Ok(());
        };
        let mark = |stopping: &Mutex<BTreeSet<String>>, id: &str, on: bool| {
            let mut stopping = stopping.lock().unwrap_or_else(PoisonError::into_inner);
            if on { stopping.insert(id.to_owned()) } else { stopping.remove(id) }
        };
        if !mark(&self.stopping, &id, true) {
            return Ok(());
        }
        let stopping = Arc::clone(&self.stopping);
        let seconds = i32::try_from(self.spec.drain.as_secs().max(1)).unwrap_or(i32::MAX);
        tokio::spawn(async move {
            let options = StopContainerOptions { t: Some(seconds), ..Default::default() };
            let _ = docker.stop_container(&id, Some(options)).await;
            let _ = docker.remove_container(&id, Some(forced())).await;
            mark(&stopping, &id, false);
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> FleetSpec {
        FleetSpec {
            group: "api".to_owned(),
            image: "lab".to_owned(),
            command: vec!["backend".to_owned(), "--name={name}".to_owned()],
            networks: vec!["service".to_owned()],
            port: 8080,
            cpus: Some(0.5),
            memory: Bytes(64 << 20),
            drain: Duration::from_secs(10),
        }
    }

    #[test]
    fn a_slot_and_a_name_are_two_words_for_one_thing() {
        let spec = spec();
        assert_eq!(spec.name(0), "api-1");
        assert_eq!(spec.slot("api-1"), Some(0));
        for other in ["api-0", "api-x", "apis-1", "db-1", "api"] {
            assert_eq!(spec.slot(other), None, "{other}");
        }
        assert_eq!(spec.arguments("api-3"), ["backend", "--name=api-3"]);
    }

    #[test]
    fn what_a_fleet_makes_passes_the_filter() {
        let fleet = DockerFleet::new(spec(), Some("unix:///none".to_owned()));
        let body = serde_json::to_vec(&fleet.body("api-2")).unwrap();
        let policy = crate::docker_filter::Policy {
            group: "api".to_owned(),
            images: vec!["lab".to_owned()],
            networks: vec!["service".to_owned()],
        };
        crate::docker_filter::body::create(&policy, &body).unwrap();
    }
}
