//! Whose a container or a network is, and what becomes of those whose owner is gone.
//!
//! The owner's label names the process that made the thing, by what cannot be confused with another
//! process: the boot it lives in, its PID namespace, its number and the instant it started.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;

use bollard::Docker;
use bollard::query_parameters::{
    ListContainersOptions, ListNetworksOptions, RemoveContainerOptions,
};

use super::error::DockerError;

/// Label of everything that a run made: the run's id.
pub(super) const RUN: &str = "lab.run";
/// Label of a container: the name of the backend or slot.
pub(super) const SLOT: &str = "lab.slot";
/// Label of a container: what it is for.
pub(super) const ROLE: &str = "lab.role";
/// Label of what may not outlive its maker: the process that made it.
pub(super) const OWNER: &str = "lab.owner";

/// A process that owns containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    boot: String,
    namespace: String,
    pid: u32,
    started: String,
}

impl Owner {
    /// This process.
    pub(super) fn here() -> Self {
        let pid = std::process::id();
        Self {
            boot: boot(),
            namespace: namespace(),
            pid,
            started: started(pid).unwrap_or_default(),
        }
    }

    /// The label's value.
    pub(super) fn label(&self) -> String {
        format!("{} {} {} {}", self.boot, self.namespace, self.pid, self.started)
    }

    /// Reads a label's value.
    pub(super) fn parse(label: &str) -> Option<Self> {
        let mut words = label.split(' ');
        let mut next = || words.next().map(str::to_owned);
        let (boot, namespace) = (next()?, next()?);
        let pid = next()?.parse().ok()?;
        Some(Self { boot, namespace, pid, started: next()? })
    }

    /// Whether it is certainly no more. Of a process in another PID namespace nothing is certain
    /// until the next boot.
    pub(super) fn is_gone(&self) -> bool {
        if self.boot != boot() {
            return true;
        }
        self.namespace == namespace() && started(self.pid).as_ref() != Some(&self.started)
    }
}

fn boot() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

fn namespace() -> String {
    fs::metadata("/proc/self/ns/pid").map_or_else(|_| "0".to_owned(), |of| of.ino().to_string())
}

/// When process `pid` started, in ticks since boot (`proc_pid_stat(5)`, field 22); `None` if it is
/// gone.
fn started(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(19).map(str::to_owned)
}

/// Removes the containers and networks whose owners are gone; their names.
///
/// # Errors
/// When Docker cannot list them. One that cannot be removed is left for the next time.
pub(super) async fn remove_orphans(docker: &Docker) -> Result<Vec<String>, DockerError> {
    let orphaned = |labels: &Option<HashMap<String, String>>| {
        let owner = labels.as_ref().and_then(|labels| Owner::parse(labels.get(OWNER)?));
        owner.is_some_and(|owner| owner.is_gone())
    };
    remove_where(docker, OWNER, orphaned).await
}

/// Removes the containers and networks of run `run`; their names.
///
/// # Errors
/// When Docker cannot list them.
pub(super) async fn remove_run(docker: &Docker, run: &str) -> Result<Vec<String>, DockerError> {
    remove_where(docker, &format!("{RUN}={run}"), |_| true).await
}

async fn remove_where(
    docker: &Docker,
    label: &str,
    which: impl Fn(&Option<HashMap<String, String>>) -> bool,
) -> Result<Vec<String>, DockerError> {
    let filters = Some(HashMap::from([("label".to_owned(), vec![label.to_owned()])]));
    let options =
        ListContainersOptions { all: true, filters: filters.clone(), ..Default::default() };
    let containers = docker.list_containers(Some(options)).await;
    let containers = containers.map_err(|error| DockerError::of("list containers", &error))?;
    let mut removed = Vec::new();
    for container in containers.into_iter().filter(|container| which(&container.labels)) {
        let Some(id) = container.id else { continue };
        // One that is removing itself already is gone all the same.
        let _ = docker.remove_container(&id, Some(forced())).await;
        let name = container.names.unwrap_or_default().pop().unwrap_or(id);
        removed.push(name.trim_start_matches('/').to_owned());
    }
    let networks = docker.list_networks(Some(ListNetworksOptions { filters })).await;
    let networks = networks.map_err(|error| DockerError::of("list networks", &error))?;
    for network in networks.into_iter().filter(|network| which(&network.labels)) {
        let Some(name) = network.name else { continue };
        if remove_network(docker, &name).await {
            removed.push(name);
        }
    }
    Ok(removed)
}

/// A container leaves its networks a moment after it is gone from the lists.
async fn remove_network(docker: &Docker, name: &str) -> bool {
    for _ in 0..20 {
        match docker.remove_network(name).await {
            Ok(()) => return true,
            Err(error) if super::error::is_status(&error, 404) => return false,
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(100)).await,
        }
    }
    false
}

/// Kills it if it runs, and takes its anonymous volumes along.
pub(super) fn forced() -> RemoveContainerOptions {
    RemoveContainerOptions { force: true, v: true, ..Default::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_its_label_says_who_it_is() {
        let here = Owner::here();
        assert!(!here.is_gone());
        assert_eq!(Owner::parse(&here.label()), Some(here));
        assert_eq!(Owner::parse("nonsense"), None);
    }

    #[test]
    fn a_number_that_was_given_again_is_another_process() {
        let mut other = Owner::here();
        other.started.push('1');
        assert!(other.is_gone());
        let mut rebooted = Owner::here();
        rebooted.boot.clear();
        assert!(rebooted.is_gone());
    }

    #[test]
    fn nothing_is_said_of_processes_that_cannot_be_seen() {
        let mut elsewhere = Owner::here();
        elsewhere.namespace = "1".to_owned();
        elsewhere.pid = u32::MAX;
        assert!(!elsewhere.is_gone());
    }
}
