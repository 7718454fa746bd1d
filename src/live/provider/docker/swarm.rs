//! Instances of a service on a Docker Swarm, for an autoscaler.
//!
//! Each slot is a Swarm service whose replicas are 1 or 0. One service with as many replicas as there
//! are instances would leave it to Swarm which of them goes when there are to be fewer: not the one
//! that the balancers have drained, and requests would be lost.
//!
//! Swarm places the instances on its nodes and publishes each one's port there; it is told not to
//! start a dead one anew, since the autoscaler does, and would otherwise not hear of it.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bollard::Docker;
use bollard::models::{
    EndpointPortConfig, EndpointPortConfigPublishModeEnum, EndpointSpec, Limit,
    NetworkAttachmentConfig, Service, ServiceSpec, ServiceSpecMode, ServiceSpecModeReplicated,
    Task, TaskSpec, TaskSpecContainerSpec, TaskSpecResources, TaskSpecRestartPolicy,
    TaskSpecRestartPolicyConditionEnum, TaskState,
};
use bollard::query_parameters::{ListServicesOptions, ListTasksOptions, UpdateServiceOptions};

use super::error::is_status;
use super::fleet::{Daemon, FleetSpec};
use super::owner::SLOT;
use crate::autoscaler::{Fleet, FleetError, Health, Instance, InstanceState};

/// The services of a group.
#[derive(Debug)]
pub struct SwarmFleet {
    spec: FleetSpec,
    daemon: Daemon,
}

impl SwarmFleet {
    /// The group that `spec` describes, at the manager that `host` or else `DOCKER_HOST` names.
    /// Nothing is asked yet.
    #[must_use]
    pub fn new(spec: FleetSpec, host: Option<String>) -> Self {
        Self { spec, daemon: Daemon::new(host) }
    }

    /// Removes every service of the group.
    ///
    /// # Errors
    /// When Docker cannot be reached, or refuses.
    pub async fn remove(&mut self) -> Result<(), FleetError> {
        let docker = self.daemon.docker().await?;
        for (_, service) in self.services(&docker).await? {
            let removed = docker.delete_service(&service.id.unwrap_or_default()).await;
            removed.map_err(|error| self.daemon.refused("remove a service", &error))?;
        }
        Ok(())
    }

    async fn services(&self, docker: &Docker) -> Result<Vec<(u32, Service)>, FleetError> {
        let options = ListServicesOptions { filters: Some(self.spec.filter()), status: None };
        let listed = docker.list_services(Some(options)).await.map_err(|error| {
            let refused = self.daemon.refused("list services", &error);
            if is_status(&error, 503) { no_manager(refused) } else { refused }
        })?;
        let slot = |service: &Service| {
            let labels = service.spec.as_ref()?.labels.as_ref()?;
            self.spec.slot(labels.get(SLOT)?)
        };
        let mut slotted: Vec<_> =
            listed.into_iter().filter_map(|one| slot(&one).map(|slot| (slot, one))).collect();
        slotted.sort_by_key(|(slot, _)| *slot);
        Ok(slotted)
    }

    async fn service(&self, docker: &Docker, slot: u32) -> Result<Option<Service>, FleetError> {
        let mut all = self.services(docker).await?;
        Ok(all.iter().position(|(of, _)| *of == slot).map(|index| all.swap_remove(index).1))
    }

    /// The newest task of the service called `name`.
    async fn task(&self, docker: &Docker, name: &str) -> Result<Option<Task>, FleetError> {
        let filters = HashMap::from([("service".to_owned(), vec![name.to_owned()])]);
        let options = ListTasksOptions { filters: Some(filters) };
        let tasks = docker.list_tasks(Some(options)).await;
        let tasks = tasks.map_err(|error| self.daemon.refused("list tasks", &error))?;
        let age = |task: &Task| task.version.as_ref().and_then(|version| version.index);
        let wanted = |task: &Task| task.desired_state == Some(TaskState::RUNNING);
        Ok(tasks.into_iter().max_by_key(|task| (wanted(task), age(task))))
    }

    async fn instance(&self, docker: &Docker, slot: u32) -> Result<Instance, FleetError> {
        let task = self.task(docker, &self.spec.name(slot)).await?;
        let status = task.as_ref().and_then(|task| task.status.clone()).unwrap_or_default();
        let state = match status.state {
            Some(
                TaskState::FAILED
                | TaskState::REJECTED
                | TaskState::COMPLETE
                | TaskState::SHUTDOWN
                | TaskState::ORPHANED,
            ) => InstanceState::Ended(status.err.or(status.message).unwrap_or_default()),
            _ => InstanceState::Running,
        };
        let address = match &task {
            Some(task) => self.address(docker, task).await,
            None => None,
        };
        Ok(Instance { slot, state, address, metrics: address, cpus: self.spec.cores() })
    }

    /// Where a task's port is published: on its own node, which is this one or another.
    async fn address(&self, docker: &Docker, task: &Task) -> Option<SocketAddr> {
        let ports = task.status.as_ref()?.port_status.as_ref()?.ports.as_ref()?;
        let port = u16::try_from(ports.first()?.published_port?).ok()?;
        let node = task.node_id.as_ref()?;
        let here = docker.info().await.ok()?.swarm?.node_id;
        let address = if here.as_ref() == Some(node) {
            IpAddr::V4(Ipv4Addr::LOCALHOST)
        } else {
            docker.inspect_node(node).await.ok()?.status?.addr?.parse().ok()?
        };
        Some(SocketAddr::new(address, port))
    }

    fn service_spec(&self, name: &str) -> ServiceSpec {
        let spec = &self.spec;
        let attach = |network: &String| NetworkAttachmentConfig {
            target: Some(network.clone()),
            ..Default::default()
        };
        ServiceSpec {
            name: Some(name.to_owned()),
            labels: Some(spec.labels(name)),
            task_template: Some(TaskSpec {
                container_spec: Some(TaskSpecContainerSpec {
                    image: Some(spec.image.clone()),
                    args: Some(spec.arguments(name)),
                    labels: Some(spec.labels(name)),
                    read_only: Some(true),
                    capability_drop: Some(vec!["ALL".to_owned()]),
                    stop_grace_period: i64::try_from(spec.drain.as_nanos()).ok(),
                    ..Default::default()
                }),
                resources: Some(TaskSpecResources {
                    limits: Some(Limit {
                        nano_cpus: spec.cpus.map(|cpus| (cpus * 1e9) as i64),
                        memory_bytes: i64::try_from(spec.memory.0).ok(),
                        pids: None,
                    }),
                    ..Default::default()
                }),
                restart_policy: Some(TaskSpecRestartPolicy {
                    condition: Some(TaskSpecRestartPolicyConditionEnum::NONE),
                    ..Default::default()
                }),
                networks: Some(spec.networks.iter().map(attach).collect()),
                ..Default::default()
            }),
            mode: Some(replicas(1)),
            endpoint_spec: Some(EndpointSpec {
                ports: Some(vec![EndpointPortConfig {
                    target_port: Some(i64::from(spec.port)),
                    publish_mode: Some(EndpointPortConfigPublishModeEnum::HOST),
                    ..Default::default()
                }]),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    async fn update(
        &self,
        docker: &Docker,
        service: Service,
        count: i64,
        order: &str,
    ) -> Result<(), FleetError> {
        let version = service.version.and_then(|version| version.index).unwrap_or(0);
        let mut spec = service.spec.unwrap_or_default();
        spec.mode = Some(replicas(count));
        if count > 0
            && let Some(template) = &mut spec.task_template
        {
            // The same specification again starts nothing where a task has died.
            template.force_update = Some(template.force_update.unwrap_or(0) + 1);
        }
        let options = UpdateServiceOptions {
            version: i32::try_from(version).unwrap_or(i32::MAX),
            ..Default::default()
        };
        let id = service.id.unwrap_or_default();
        let updated = docker.update_service(&id, spec, options, None).await;
        updated.map(drop).map_err(|error| self.daemon.refused(order, &error))
    }
}

fn replicas(count: i64) -> ServiceSpecMode {
    ServiceSpecMode {
        replicated: Some(ServiceSpecModeReplicated { replicas: Some(count) }),
        ..Default::default()
    }
}

fn wanted(service: &Service) -> i64 {
    let mode = service.spec.as_ref().and_then(|spec| spec.mode.as_ref());
    mode.and_then(|mode| mode.replicated.as_ref()?.replicas).unwrap_or(0)
}

fn no_manager(refused: FleetError) -> FleetError {
    match refused {
        FleetError::Refused { provider, order, reason } => {
            let reason = format!("{reason} (`docker swarm init` makes this host a manager)");
            FleetError::Refused { provider, order, reason }
        }
        other => other,
    }
}

impl Fleet for SwarmFleet {
    async fn list(&mut self) -> Result<Vec<Instance>, FleetError> {
        let docker = self.daemon.docker().await?;
        let mut there = Vec::new();
        for (slot, service) in self.services(&docker).await? {
            if wanted(&service) > 0 {
                there.push(self.instance(&docker, slot).await?);
            }
        }
        Ok(there)
    }

    /// Swarm calls a task running once its health check has passed, and ends it when that fails.
    async fn health(&mut self, slot: u32) -> Health {
        let seen = async {
            let docker = self.daemon.docker().await?;
            self.task(&docker, &self.spec.name(slot)).await
        };
        match seen.await {
            Err(error) => Health::Failing(error.to_string()),
            Ok(None) => Health::Failing("it has no task yet".to_owned()),
            Ok(Some(task)) => {
                let status = task.status.unwrap_or_default();
                match status.state {
                    Some(TaskState::RUNNING) => Health::Passing,
                    _ => Health::Failing(status.err.or(status.message).unwrap_or_default()),
                }
            }
        }
    }

    async fn start(&mut self, slot: u32) -> Result<(), FleetError> {
        let docker = self.daemon.docker().await?;
        let name = self.spec.name(slot);
        let order = format!("start {name}");
        if let Some(service) = self.service(&docker, slot).await? {
            return self.update(&docker, service, 1, &order).await;
        }
        let created = docker.create_service(self.service_spec(&name), None).await;
        created.map(drop).map_err(|error| self.daemon.refused(&order, &error))
    }

    async fn stop(&mut self, slot: u32) -> Result<(), FleetError> {
        let docker = self.daemon.docker().await?;
        match self.service(&docker, slot).await? {
            Some(service) if wanted(&service) > 0 => {
                self.update(&docker, service, 0, &format!("stop {}", self.spec.name(slot))).await
            }
            _ => Ok(()),
        }
    }
}
