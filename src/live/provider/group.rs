//! A group of backends as processes of this very binary, for `lab autoscale`: they live as long as
//! it does.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use hyper::Method;

use super::Program;
use crate::autoscaler::{Fleet, FleetError, Health, Instance, InstanceState};
use crate::host::call;
use crate::units::Span;

/// A health check that is not answered by then has failed.
const HEALTH_LIMIT: Duration = Duration::from_secs(1);
/// How long one may take to stop; it has nothing in flight.
const PATIENCE: Duration = Duration::from_secs(3);

/// What the processes of a group have in common.
#[derive(Clone, Debug)]
pub struct ProcessGroup {
    /// The file that describes the backends.
    pub scenario: PathBuf,
    /// Keys of it that are replaced.
    pub overrides: Vec<(String, String)>,
    /// Name of the group of backends.
    pub group: String,
    /// Most instances.
    pub max: u32,
    /// The address at which they serve, each at a port of its own.
    pub host: std::net::IpAddr,
    /// From the start of one until it is healthy.
    pub ready_after: Span,
    /// A folder for their logs.
    pub logs: PathBuf,
}

/// The processes of a group.
#[derive(Debug)]
pub struct Processes {
    group: ProcessGroup,
    running: BTreeMap<u32, (Program, SocketAddr)>,
}

impl Processes {
    /// None yet.
    #[must_use]
    pub const fn new(group: ProcessGroup) -> Self {
        Self { group, running: BTreeMap::new() }
    }

    fn name(&self, slot: u32) -> String {
        format!("{}-{}", self.group.group, slot + 1)
    }

    async fn launch(&self, slot: u32) -> Result<(Program, SocketAddr), super::ProgramError> {
        let (group, name) = (&self.group, self.name(slot));
        let mut arguments = vec![
            "backend".to_owned(),
            format!("--scenario={}", group.scenario.display()),
            format!("--name={name}"),
            format!("--listen={}", SocketAddr::new(group.host, 0)),
            format!("--ready-after={}", group.ready_after),
        ];
        let overrides = group.overrides.iter();
        arguments.extend(overrides.map(|(key, value)| format!("--set={key}={value}")));
        let log = group.logs.join(format!("{name}.log"));
        let mut program = Program::start(&format!("backend {name}"), &arguments, &log)?;
        let (listen, _) = program.ready().await?;
        Ok((program, listen))
    }
}

impl Fleet for Processes {
    async fn list(&mut self) -> Result<Vec<Instance>, FleetError> {
        let instance = |(slot, (program, listen)): (&u32, &mut (Program, SocketAddr))| Instance {
            slot: *slot,
            state: match program.ended() {
                None => InstanceState::Running,
                Some(status) => InstanceState::Ended(status.to_string()),
            },
            address: Some(*listen),
            metrics: Some(*listen),
            cpus: 1.0,
        };
        Ok(self.running.iter_mut().map(instance).collect())
    }

    async fn health(&mut self, slot: u32) -> Health {
        let Some((_, listen)) = self.running.get(&slot) else {
            return Health::Failing("it was not started".to_owned());
        };
        match call::call(*listen, Method::GET, "/health", None, HEALTH_LIMIT).await {
            Ok((200, _)) => Health::Passing,
            Ok((status, _)) => Health::Failing(format!("/health answered {status}")),
            Err(error) => Health::Failing(error.to_string()),
        }
    }

    async fn start(&mut self, slot: u32) -> Result<(), FleetError> {
        let started = self.launch(slot).await.map_err(|error| FleetError::Refused {
            provider: "the host".to_owned(),
            order: format!("start {}", self.name(slot)),
            reason: error.to_string(),
        })?;
        self.running.insert(slot, started);
        Ok(())
    }

    async fn stop(&mut self, slot: u32) -> Result<(), FleetError> {
        if let Some((mut program, _)) = self.running.remove(&slot) {
            program.stop(PATIENCE).await;
        }
        Ok(())
    }
}
