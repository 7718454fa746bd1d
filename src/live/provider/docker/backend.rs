//! A backend in a container of its own, in the network namespace of its sandbox.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use bollard::models::{
    ContainerCreateBody, ContainerUpdateBody, EndpointIpamConfig, EndpointSettings, HealthConfig,
    HostConfig, Mount, MountType, NetworkConnectRequest, NetworkDisconnectRequest,
    NetworkingConfig, ResourcesUlimits,
};
use hyper::Method;

use super::container::{Container, ORDERLY};
use super::error::DockerError;
use super::site::{Network, Site};
use crate::host::call;
use crate::live::world::{BackendEndpoint, LiveOptions, ProgramExit, overrides};
use crate::scenario::Backend;
use crate::traffic::FaultKind;
use crate::units::Span;

/// Where a backend serves inside its container.
const PORT: u16 = 8080;
/// Where it takes orders there.
const CONTROL_PORT: u16 = 8081;
/// The period over which a core is shared out to a container that is slowed: short, so that a
/// request is slowed and not just the sum of many (the kernel's own is 100 ms).
const SLOW_PERIOD_MICROS: i64 = 10_000;
/// The kernel's period.
const PERIOD_MICROS: i64 = 100_000;
/// The least share of a period that the kernel gives out.
const LEAST_QUOTA_MICROS: i64 = 1_000;
/// Answers inside the host come much sooner.
const REACH: Duration = Duration::from_secs(2);

/// What holds a backend's network namespace.
#[derive(Debug)]
pub(super) struct Sandbox {
    container: Container,
    traffic: Ipv4Addr,
    control: Ipv4Addr,
}

/// A backend in a container.
#[derive(Debug)]
pub(in crate::live) struct ContainerBackend {
    site: Rc<Site>,
    sandbox: Rc<Sandbox>,
    container: Container,
    workers: u32,
    paused: bool,
}

impl ContainerBackend {
    /// Starts `backend`, which is healthy `ready_after` later, and its sandbox if there is none yet.
    pub(in crate::live) async fn start(
        site: &Rc<Site>,
        options: &LiveOptions,
        backend: &Backend,
        ready_after: Span,
    ) -> Result<Self, DockerError> {
        let name = &backend.name;
        let held = site.sandboxes.borrow().get(name).cloned();
        let sandbox = match held {
            Some(sandbox) => sandbox,
            None => {
                let log = options.scratch.join(format!("sandbox-{name}.log"));
                let sandbox = Rc::new(start_sandbox(site, name, &log).await?);
                site.sandboxes.borrow_mut().insert(name.clone(), Rc::clone(&sandbox));
                sandbox
            }
        };
        let log = options.scratch.join(format!("backend-{name}.log"));
        let body = backend_body(site, &sandbox, options, (backend, ready_after))?;
        let called = format!("lab-{}-{}", site.run, slug(name));
        let label = format!("backend {name}");
        let container = Container::start(&site.docker, (&label, &called), body, &log).await?;
        Ok(Self {
            site: Rc::clone(site),
            sandbox,
            container,
            workers: backend.workers,
            paused: false,
        })
    }

    /// Waits until it says that it serves, Docker's health check holds, and lab reaches it.
    pub(in crate::live) async fn ready(&mut self) -> Result<BackendEndpoint, DockerError> {
        let patience = self.site.options.patience;
        self.container.line(patience).await?;
        self.container.healthy(patience).await?;
        let listen = SocketAddr::from((self.sandbox.traffic, PORT));
        let control = SocketAddr::from((self.sandbox.control, CONTROL_PORT));
        for address in [listen, control] {
            let answer = call::call(address, Method::GET, "/metrics", None, REACH).await;
            if let Err(error) = answer {
                let (name, why) = (self.container.name().to_owned(), error.to_string());
                return Err(DockerError::OutOfReach { name, address, why });
            }
        }
        let pid = self.container.state().await?.pid.and_then(|pid| u32::try_from(pid).ok());
        Ok(BackendEndpoint { listen, control, pid: pid.unwrap_or(0) })
    }

    /// Lets a fault of `kind` begin, if Docker can make it; says whether it did.
    pub(in crate::live) async fn disturb(&mut self, kind: FaultKind) -> Result<bool, DockerError> {
        match kind {
            FaultKind::Crash => self.container.kill().await?,
            FaultKind::Hang => self.pause(true).await?,
            FaultKind::Partition => self.cut_off().await?,
            FaultKind::Slow(factor) if self.site.computes => self.slow_down(factor).await?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Lets it end.
    pub(in crate::live) async fn relieve(&mut self, kind: FaultKind) -> Result<bool, DockerError> {
        match kind {
            FaultKind::Hang => self.pause(false).await?,
            FaultKind::Partition => self.rejoin().await?,
            FaultKind::Slow(_) if self.site.computes => {
                self.limit_cpu(self.site.options.cpus, PERIOD_MICROS).await?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    async fn pause(&mut self, pause: bool) -> Result<(), DockerError> {
        let (docker, id) = (&self.site.docker, self.container.id());
        let (done, word) = if pause {
            (docker.pause_container(id).await, "pause")
        } else {
            (docker.unpause_container(id).await, "unpause")
        };
        self.paused = pause;
        done.map_err(|error| DockerError::of(format!("{word} {}", self.container.name()), &error))
    }

    async fn cut_off(&self) -> Result<(), DockerError> {
        let request = NetworkDisconnectRequest {
            container: self.sandbox.container.id().to_owned(),
            force: Some(false),
        };
        let cut = self.site.docker.disconnect_network(&self.site.traffic.name, request).await;
        let what = || format!("take {} off the network", self.container.name());
        cut.map_err(|error| DockerError::of(what(), &error))
    }

    async fn rejoin(&self) -> Result<(), DockerError> {
        join(&self.site, &self.site.traffic, self.sandbox.container.id(), self.sandbox.traffic)
            .await
    }

    async fn slow_down(&self, factor: f64) -> Result<(), DockerError> {
        let host = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let usual = self.site.options.cpus.unwrap_or(host as f64).min(f64::from(self.workers));
        self.limit_cpu(Some(usual / factor), SLOW_PERIOD_MICROS).await
    }

    async fn limit_cpu(&self, cpus: Option<f64>, period: i64) -> Result<(), DockerError> {
        let body = ContainerUpdateBody {
            cpu_period: Some(period),
            cpu_quota: Some(quota(cpus, period)),
            ..Default::default()
        };
        let done = self.site.docker.update_container(self.container.id(), body).await;
        let what = || format!("limit the CPU of {}", self.container.name());
        done.map_err(|error| DockerError::of(what(), &error))
    }

    /// Whether it is paused, and in words.
    pub(in crate::live) async fn is_hanging(&self) -> (bool, &'static str) {
        match self.container.state().await {
            Ok(state) if state.paused == Some(true) => (true, "container is paused"),
            Ok(_) => (false, "container is not paused"),
            Err(_) => (false, "Docker does not say whether the container is paused"),
        }
    }

    pub(in crate::live) fn name(&self) -> &str {
        self.container.name()
    }

    pub(in crate::live) fn ended(&self) -> Option<String> {
        self.container.ended()
    }

    pub(in crate::live) fn log_tail(&self) -> String {
        self.container.log_tail()
    }

    /// Asks it to stop, and has it killed if it takes longer than `patience`.
    pub(in crate::live) async fn stop(&mut self, patience: Duration) -> ProgramExit {
        if self.paused {
            // If Docker refuses, stopping fails too and says so.
            let _ = self.pause(false).await;
        }
        let status = self.container.stop(patience).await;
        let orderly = status.as_deref() == Some(ORDERLY);
        let status = status.unwrap_or_else(|| "unknown".to_owned());
        ProgramExit { name: self.container.name().to_owned(), status, orderly }
    }
}

async fn start_sandbox(site: &Rc<Site>, name: &str, log: &Path) -> Result<Sandbox, DockerError> {
    let index = site.sandboxes.borrow().len();
    let (traffic, control) = (site.traffic.address(index), site.control.address(index));
    let body = ContainerCreateBody {
        image: Some(site.options.image.clone()),
        cmd: Some(vec!["sandbox".to_owned()]),
        labels: Some(site.labels(name, "sandbox")),
        user: Some(user()).filter(|user| !user.is_empty()),
        host_config: Some(HostConfig {
            network_mode: Some(site.control.name.clone()),
            memory: Some(64 << 20),
            ..confined()
        }),
        networking_config: Some(NetworkingConfig {
            endpoints_config: Some([(site.control.name.clone(), endpoint(control))].into()),
        }),
        // The image's own health check is for a program that serves.
        healthcheck: Some(HealthConfig {
            test: Some(vec!["NONE".to_owned()]),
            ..Default::default()
        }),
        ..Default::default()
    };
    let called = format!("lab-{}-{}-sandbox", site.run, slug(name));
    let label = format!("sandbox of {name}");
    let mut container = Container::start(&site.docker, (&label, &called), body, log).await?;
    container.line(site.options.patience).await?;
    join(site, &site.traffic, container.id(), traffic).await?;
    Ok(Sandbox { container, traffic, control })
}

async fn join(
    site: &Site,
    network: &Network,
    container: &str,
    address: Ipv4Addr,
) -> Result<(), DockerError> {
    let request = NetworkConnectRequest {
        container: container.to_owned(),
        endpoint_config: Some(endpoint(address)),
    };
    let joined = site.docker.connect_network(&network.name, request).await;
    joined.map_err(|error| DockerError::of(format!("join the network {}", network.name), &error))
}

fn endpoint(address: Ipv4Addr) -> EndpointSettings {
    EndpointSettings {
        ipam_config: Some(EndpointIpamConfig {
            ipv4_address: Some(address.to_string()),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn backend_body(
    site: &Site,
    sandbox: &Sandbox,
    options: &LiveOptions,
    (backend, ready_after): (&Backend, Span),
) -> Result<ContainerCreateBody, DockerError> {
    let file = std::path::absolute(&options.scenario_file);
    let file =
        file.map_err(|error| DockerError::Log { path: options.scenario_file.clone(), error })?;
    // What the scenario names, such as a trace, is relative to it.
    let folder = file.parent().unwrap_or(Path::new("/")).display().to_string();
    let mut command = vec![
        "backend".to_owned(),
        "--supervised".to_owned(),
        format!("--scenario={}", file.display()),
        format!("--name={}", backend.name),
        format!("--listen=0.0.0.0:{PORT}"),
        format!("--control=0.0.0.0:{CONTROL_PORT}"),
        format!("--seed={}", options.seed),
        format!("--ready-after={ready_after}"),
    ];
    command.extend(overrides(options));
    let real_time = options.real_time && real_time_possible();
    command.extend(real_time.then(|| "--real-time".to_owned()));
    Ok(ContainerCreateBody {
        image: Some(site.options.image.clone()),
        cmd: Some(command),
        labels: Some(site.labels(&backend.name, "backend")),
        user: Some(user()).filter(|user| !user.is_empty()),
        host_config: Some(HostConfig {
            network_mode: Some(format!("container:{}", sandbox.container.id())),
            memory: i64::try_from(site.options.memory.0).ok(),
            // No swap: a limit that is paged around is none.
            memory_swap: i64::try_from(site.options.memory.0).ok(),
            cpu_period: site.options.cpus.map(|_| PERIOD_MICROS),
            cpu_quota: site.options.cpus.map(|cpus| quota(Some(cpus), PERIOD_MICROS)),
            mounts: Some(vec![Mount {
                typ: Some(MountType::BIND),
                source: Some(folder.clone()),
                target: Some(folder),
                read_only: Some(true),
                ..Default::default()
            }]),
            ulimits: real_time.then(|| vec![ulimit("rtprio", 99)]),
            ..confined()
        }),
        healthcheck: Some(health_check()),
        ..Default::default()
    })
}

/// Asks for what serves and counts nothing: a request to `/health` would use up one of the draws
/// that decide which checks fail. Docker's own checks are few, since each starts a process; while
/// the container starts they are frequent, where the daemon knows that (Docker 25).
fn health_check() -> HealthConfig {
    let nanos = |duration: Duration| i64::try_from(duration.as_nanos()).ok();
    let url = format!("http://127.0.0.1:{PORT}/metrics");
    HealthConfig {
        test: Some(["CMD", "lab", "health", &url].map(str::to_owned).to_vec()),
        interval: nanos(Duration::from_secs(2)),
        timeout: nanos(Duration::from_secs(2)),
        retries: Some(5),
        start_period: nanos(Duration::from_secs(10)),
        start_interval: nanos(Duration::from_millis(200)),
    }
}

/// A container that can do nothing but serve.
fn confined() -> HostConfig {
    HostConfig {
        auto_remove: Some(true),
        readonly_rootfs: Some(true),
        cap_drop: Some(vec!["ALL".to_owned()]),
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        ..Default::default()
    }
}

fn ulimit(name: &str, value: i64) -> ResourcesUlimits {
    ResourcesUlimits { name: Some(name.to_owned()), soft: Some(value), hard: Some(value) }
}

/// Whoever runs lab, so that the container reads the scenario as lab does; nobody if that is root,
/// who may read everything (the image's own user).
fn user() -> String {
    let (user, group) = (rustix::process::getuid(), rustix::process::getgid());
    if user.is_root() { String::new() } else { format!("{}:{}", user.as_raw(), group.as_raw()) }
}

/// Where the kernel shares real time out to groups, those of containers have none.
fn real_time_possible() -> bool {
    !Path::new("/sys/fs/cgroup/cpu/cpu.rt_runtime_us").exists()
}

/// `cpus` cores in a period of `period` microseconds; -1 is no limit.
fn quota(cpus: Option<f64>, period: i64) -> i64 {
    cpus.map_or(-1, |cpus| ((cpus * period as f64) as i64).max(LEAST_QUOTA_MICROS))
}

/// A name as Docker has them: letters, digits, `_`, `.` and `-`.
fn slug(name: &str) -> String {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    name.chars().map(|c| if fine(c) { c } else { '-' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_a_share_of_the_period() {
        assert_eq!(quota(None, PERIOD_MICROS), -1);
        assert_eq!(quota(Some(0.5), PERIOD_MICROS), 50_000);
        assert_eq!(quota(Some(1.0 / 4.0), SLOW_PERIOD_MICROS), 2_500);
        assert_eq!(quota(Some(0.001), SLOW_PERIOD_MICROS), LEAST_QUOTA_MICROS);
    }

    #[test]
    fn names_are_those_that_docker_takes() {
        assert_eq!(slug("api-1"), "api-1");
        assert_eq!(slug("a b/ü"), "a-b--");
    }
}
