//! Where the backends of a run live, and how a provider starts, disturbs and stops them.
//!
//! The world and its faults know `Provider` and `Instance` only: whether a crash is a signal or
//! an order to Docker is decided here.

pub mod docker;
pub mod group;
pub mod process;

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use rustix::process::Signal;

pub use docker::{DockerError, DockerOptions};
pub use process::{Program, ProgramError};

use super::world::{BackendEndpoint, LiveError, LiveOptions, ProgramExit, no_control};
use super::world::{overrides, strings};
use crate::host::usage;
use crate::scenario::{Backend, Engine, Scenario};
use crate::traffic::{ClassConfig, FaultKind};
use crate::units::Span;
use docker::Site;
use docker::backend::ContainerBackend;

/// Where the backends of a run are to live.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum ProviderOptions {
    /// As processes of this very binary.
    #[default]
    Process,
    /// As containers.
    Docker(DockerOptions),
}

/// Where the backends of a run live.
#[derive(Debug)]
pub(super) enum Provider {
    /// Processes of this very binary.
    Process,
    /// Containers on networks of their own.
    Docker(Rc<Site>),
}

/// A backend that was started.
#[derive(Debug)]
pub(super) enum Instance {
    /// A process.
    Process(Box<Program>),
    /// A container.
    Container(Box<ContainerBackend>),
}

impl Provider {
    /// Makes what all backends of a run share.
    pub(super) async fn open(
        scenario: &Scenario,
        options: &LiveOptions,
    ) -> Result<Self, LiveError> {
        let elsewhere = matches!(scenario.balancer.engine, Engine::Elsewhere(_));
        match &options.provider {
            ProviderOptions::Process => Ok(Self::Process),
            ProviderOptions::Docker(_) if elsewhere => Err(DockerError::Elsewhere.into()),
            ProviderOptions::Docker(docker) => {
                Ok(Self::Docker(Rc::new(Site::open(docker, computes(scenario)).await?)))
            }
        }
    }

    /// Starts `backend`, which is healthy `ready_after` later. `address` is where it serves if the
    /// provider leaves the choice.
    pub(super) async fn start(
        &self,
        options: &LiveOptions,
        backend: &Backend,
        address: SocketAddr,
        ready_after: Span,
    ) -> Result<Instance, LiveError> {
        match self {
            Self::Process => {
                let started = start_process(options, &backend.name, address, ready_after)?;
                Ok(Instance::Process(Box::new(started)))
            }
            Self::Docker(site) => {
                let started = ContainerBackend::start(site, options, backend, ready_after).await?;
                Ok(Instance::Container(Box::new(started)))
            }
        }
    }

    /// Whether each backend may use less than the host has, all the time.
    pub(super) fn limits_cpu(&self) -> bool {
        matches!(self, Self::Docker(site) if site.limits_cpu())
    }

    /// Removes what all backends shared, and those that are left.
    pub(super) async fn close(&self) {
        match self {
            Self::Process => {}
            Self::Docker(site) => site.close().await,
        }
    }
}

/// Whether the backends compute what is asked of them and do not just wait: that is what they do at
/// this path.
fn computes(scenario: &Scenario) -> bool {
    let path = |class: &ClassConfig| class.path.split('?').next() == Some("/load");
    scenario.traffic.classes.iter().all(path)
}

fn start_process(
    options: &LiveOptions,
    name: &str,
    address: SocketAddr,
    ready_after: Span,
) -> Result<Program, ProgramError> {
    let mut arguments = strings(&["backend", "--control", "127.0.0.1:0"]);
    arguments.extend([
        format!("--scenario={}", options.scenario_file.display()),
        format!("--name={name}"),
        format!("--listen={address}"),
        format!("--seed={}", options.seed),
        format!("--ready-after={ready_after}"),
    ]);
    arguments.extend(overrides(options));
    arguments.extend(options.real_time.then(|| "--real-time".to_owned()));
    let log = options.scratch.join(format!("backend-{name}.log"));
    Program::start(&format!("backend {name}"), &arguments, &log)
}

impl Instance {
    /// Waits until it serves.
    pub(super) async fn ready(&mut self) -> Result<BackendEndpoint, LiveError> {
        match self {
            Self::Process(program) => {
                let (listen, control) = program.ready().await?;
                let control = control.ok_or_else(|| no_control(program))?;
                Ok(BackendEndpoint { listen, control, pid: program.pid() })
            }
            Self::Container(container) => Ok(container.ready().await?),
        }
    }

    /// Lets a fault of `kind` begin, if it is the provider's to make; says whether it is.
    pub(super) async fn disturb(&mut self, kind: FaultKind) -> Result<bool, LiveError> {
        match (self, kind) {
            (Self::Process(program), FaultKind::Crash) => program.kill().await,
            (Self::Process(program), FaultKind::Hang) => program.signal(Signal::STOP),
            (Self::Process(_), _) => return Ok(false),
            (Self::Container(container), kind) => return Ok(container.disturb(kind).await?),
        }
        Ok(true)
    }

    /// Lets it end. After a crash the backend is started anew instead.
    pub(super) async fn relieve(&mut self, kind: FaultKind) -> Result<bool, LiveError> {
        match (self, kind) {
            (Self::Process(program), FaultKind::Hang) => program.signal(Signal::CONT),
            (Self::Process(_), _) => return Ok(false),
            (Self::Container(container), kind) => return Ok(container.relieve(kind).await?),
        }
        Ok(true)
    }

    /// Whether it is stopped in its tracks, and in words.
    pub(super) async fn is_hanging(&self) -> (bool, &'static str) {
        match self {
            Self::Process(program) => match usage::state(program.pid()) {
                Some('T') => (true, "process is stopped"),
                _ => (false, "process is not stopped"),
            },
            Self::Container(container) => container.is_hanging().await,
        }
    }

    /// Its name in messages.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Process(program) => program.name(),
            Self::Container(container) => container.name(),
        }
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> Option<String> {
        match self {
            Self::Process(program) => program.ended().map(|status| status.to_string()),
            Self::Container(container) => container.ended(),
        }
    }

    /// The last lines of its log, to be appended to a message.
    pub(super) fn log_tail(&self) -> String {
        match self {
            Self::Process(program) => program.log_tail(),
            Self::Container(container) => container.log_tail(),
        }
    }

    /// Asks it to stop, and kills it if it takes longer than `patience`.
    pub(super) async fn stop(&mut self, patience: Duration) -> ProgramExit {
        match self {
            Self::Process(program) => stop_program(program, patience).await,
            Self::Container(container) => container.stop(patience).await,
        }
    }
}

/// Asks `program` to stop, kills it if it takes longer than `patience`, and says how it ended.
pub(super) async fn stop_program(program: &mut Program, patience: Duration) -> ProgramExit {
    program.signal(Signal::CONT);
    let status = program.stop(patience).await;
    ProgramExit {
        name: program.name().to_owned(),
        status: status.map_or_else(|| "unknown".to_owned(), |status| status.to_string()),
        orderly: status.is_some_and(|status| status.success()),
    }
}
