//! Backends as containers, through the API of the Docker Engine.
//!
//! Each backend is what Kubernetes calls a pod: a *sandbox* container that holds the network
//! namespace, and the backend's own container in it. So a backend that is killed refuses connections
//! at once, as a process does, while its address stays; taken off the network, the whole namespace
//! goes silent, as behind a cut cable.
//!
//! A run makes two networks of its own: requests go over one, orders and questions over the other,
//! so that a backend that is cut off can still be asked. lab reaches the containers at their
//! addresses, so it has to run on the host of the daemon.
//!
//! Nothing outlives lab. Each container holds its standard input open and ends when that closes,
//! which the daemon sees to as soon as lab is gone, even by SIGKILL; it is then removed by the
//! daemon (`--rm`). What cannot hear that (a paused container, a network) carries the label of its
//! owner, and the next run removes what has none any more (`owner.rs`).

pub(in crate::live) mod backend;
mod container;
pub mod error;
pub mod fleet;
mod owner;
mod site;
pub mod stack;
pub mod swarm;

use std::time::Duration;

use bollard::Docker;

pub use error::DockerError;
pub use fleet::{DockerFleet, FleetSpec};
pub(in crate::live) use site::Site;
pub use swarm::SwarmFleet;

use crate::units::Bytes;

/// Where Docker listens by default.
const SOCKET: &str = "unix:///var/run/docker.sock";
/// An answer that takes longer does not come.
const LIMIT: Duration = Duration::from_secs(30);

/// How containers are to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct DockerOptions {
    /// The image that has lab.
    pub image: String,
    /// Most cores that one backend may use; `None` sets no limit.
    pub cpus: Option<f64>,
    /// Most memory that one backend may use.
    pub memory: Bytes,
    /// How long a container may take to get healthy.
    pub patience: Duration,
}

impl Default for DockerOptions {
    fn default() -> Self {
        Self {
            image: "lab".to_owned(),
            cpus: None,
            memory: Bytes(256 << 20),
            patience: Duration::from_secs(30),
        }
    }
}

/// Connects to the daemon that `DOCKER_HOST` names, or the one at Docker's usual socket, and agrees
/// on a version of the API.
///
/// # Errors
/// In words: no daemon, no permission, or a `DOCKER_HOST` that is no Unix socket.
async fn connect() -> Result<Docker, DockerError> {
    let host = std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty());
    connect_to(host.as_deref().unwrap_or(SOCKET)).await
}

/// Connects to the daemon at `host`, as `DOCKER_HOST` has it.
///
/// # Errors
/// See [`connect`].
async fn connect_to(host: &str) -> Result<Docker, DockerError> {
    if !host.starts_with("unix://") {
        return Err(DockerError::Scheme { host: host.to_owned() });
    }
    let unreachable = |error| DockerError::unreachable(host, &error);
    let docker = Docker::connect_with_unix(host, LIMIT.as_secs(), bollard::API_DEFAULT_VERSION)
        .map_err(unreachable)?;
    docker.negotiate_version().await.map_err(unreachable)
}
