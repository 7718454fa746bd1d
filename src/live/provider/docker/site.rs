//! What the containers of one run share: the daemon, two networks, and labels.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::rc::Rc;

use bollard::Docker;
use bollard::models::{Ipam, IpamConfig, NetworkCreateRequest};
use bollard::query_parameters::{InspectNetworkOptions, ListContainersOptions};

use super::backend::Sandbox;
use super::error::{DockerError, is_status};
use super::owner::{self, Owner};
use super::{DockerOptions, connect};

/// What the containers of a run share.
#[derive(Debug)]
pub(in crate::live) struct Site {
    pub(super) docker: Docker,
    pub(super) options: DockerOptions,
    /// The backends' work is computed, not waited for: a limit of CPU slows it.
    pub(super) computes: bool,
    /// Id of the run, in labels and names.
    pub(super) run: String,
    /// Requests go over it.
    pub(super) traffic: Network,
    /// Orders and questions go over it.
    pub(super) control: Network,
    /// By the backend's name: they stay when the backend is killed.
    pub(super) sandboxes: RefCell<BTreeMap<String, Rc<Sandbox>>>,
}

/// A network of the run.
#[derive(Clone, Debug)]
pub(super) struct Network {
    pub(super) name: String,
    /// The first address of its subnet.
    base: Ipv4Addr,
}

impl Network {
    /// The address of the member `index`, from 0; the first one of the subnet is the host's.
    pub(super) fn address(&self, index: usize) -> Ipv4Addr {
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        Ipv4Addr::from(u32::from(self.base).saturating_add(2).saturating_add(index))
    }
}

impl Site {
    /// Removes what earlier runs left behind, and makes the networks.
    pub(in crate::live) async fn open(
        options: &DockerOptions,
        computes: bool,
    ) -> Result<Self, DockerError> {
        let docker = connect().await?;
        look_for_image(&docker, &options.image).await?;
        owner::remove_orphans(&docker).await?;
        let run = free_run(&docker).await?;
        let traffic = make_network(&docker, &run, "traffic").await?;
        let control = match make_network(&docker, &run, "control").await {
            Ok(control) => control,
            Err(error) => {
                let _ = owner::remove_run(&docker, &run).await;
                return Err(error);
            }
        };
        let sandboxes = RefCell::default();
        let options = options.clone();
        Ok(Self { docker, options, computes, run, traffic, control, sandboxes })
    }

    /// Whether the containers may use less than the host has.
    pub(in crate::live) const fn limits_cpu(&self) -> bool {
        self.options.cpus.is_some()
    }

    /// Removes the run's containers and networks.
    pub(in crate::live) async fn close(&self) {
        self.sandboxes.borrow_mut().clear();
        // What stays has an owner that is gone as soon as lab is: the next run removes it.
        let _ = owner::remove_run(&self.docker, &self.run).await;
    }

    /// The labels of something that is `role` for backend `slot`.
    pub(super) fn labels(&self, slot: &str, role: &str) -> HashMap<String, String> {
        let mut labels = run_labels(&self.run);
        labels.insert(owner::SLOT.to_owned(), slot.to_owned());
        labels.insert(owner::ROLE.to_owned(), role.to_owned());
        labels
    }
}

fn run_labels(run: &str) -> HashMap<String, String> {
    HashMap::from([
        (owner::RUN.to_owned(), run.to_owned()),
        (owner::OWNER.to_owned(), Owner::here().label()),
    ])
}

async fn look_for_image(docker: &Docker, image: &str) -> Result<(), DockerError> {
    match docker.inspect_image(image).await {
        Ok(_) => Ok(()),
        Err(error) if is_status(&error, 404) => {
            Err(DockerError::NoImage { image: image.to_owned() })
        }
        Err(error) => Err(DockerError::of(format!("look for the image {image}"), &error)),
    }
}

/// The process's number, and another if one process makes several runs at once.
async fn free_run(docker: &Docker) -> Result<String, DockerError> {
    let pid = std::process::id();
    for number in 0.. {
        let run = if number == 0 { pid.to_string() } else { format!("{pid}-{number}") };
        let filters = HashMap::from([("label".to_owned(), vec![format!("{}={run}", owner::RUN)])]);
        let options =
            ListContainersOptions { all: true, filters: Some(filters), ..Default::default() };
        let taken = docker.list_containers(Some(options)).await;
        let taken = taken.map_err(|error| DockerError::of("list containers", &error))?;
        let network = format!("lab-{run}-traffic");
        let network = docker.inspect_network(&network, None::<InspectNetworkOptions>).await;
        if taken.is_empty() && network.is_err() {
            return Ok(run);
        }
    }
    unreachable!("the numbers do not end")
}

/// Makes a network with a subnet that Docker finds free. An address can be asked for only in a
/// subnet that was asked for too, so Docker is let choose, and then asked for its own choice.
async fn make_network(docker: &Docker, run: &str, what: &str) -> Result<Network, DockerError> {
    let name = format!("lab-{run}-{what}");
    let request = |ipam| NetworkCreateRequest {
        name: name.clone(),
        driver: Some("bridge".to_owned()),
        // Containers have no business outside.
        internal: Some(true),
        labels: Some(run_labels(run)),
        ipam,
        ..Default::default()
    };
    let failed = |error| DockerError::of(format!("make the network {name}"), &error);
    let mut tries = 0;
    loop {
        docker.create_network(request(None)).await.map_err(failed)?;
        let seen = docker.inspect_network(&name, None::<InspectNetworkOptions>).await;
        let config = seen.map_err(failed)?.ipam.and_then(|ipam| ipam.config).unwrap_or_default();
        let subnet = config.into_iter().find_map(|config| config.subnet).unwrap_or_default();
        docker.remove_network(&name).await.map_err(failed)?;
        let chosen = IpamConfig { subnet: Some(subnet.clone()), ..Default::default() };
        let ipam = Ipam { config: Some(vec![chosen]), ..Default::default() };
        tries += 1;
        match docker.create_network(request(Some(ipam))).await {
            Ok(_) => {
                let base = subnet.split('/').next().and_then(|base| base.parse().ok());
                let base = base.ok_or_else(|| DockerError::Refused {
                    what: format!("make the network {name}"),
                    message: format!("it chose the subnet {subnet:?}, which has no IPv4 addresses"),
                })?;
                return Ok(Network { name, base });
            }
            // Somebody else was given it in between.
            Err(_) if tries < 5 => {}
            Err(error) => return Err(failed(error)),
        }
    }
}
