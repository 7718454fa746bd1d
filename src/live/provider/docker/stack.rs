//! The containers of a stack that Compose runs: how they are, and those that its autoscaler added.

use std::collections::HashMap;
use std::fmt::Write;
use std::time::Duration;

use bollard::Docker;
use bollard::models::ContainerSummary;
use bollard::query_parameters::{InspectContainerOptions, ListContainersOptions, LogsOptions};
use futures_util::StreamExt;
use serde::Serialize;

use super::error::DockerError;
use super::{connect, owner};
use crate::docker_filter::GROUP_LABEL;
use crate::host::clock;
use crate::units::Span;

/// Compose's own labels.
const PROJECT: &str = "com.docker.compose.project";
const SERVICE: &str = "com.docker.compose.service";
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(500);

/// A container of the stack.
#[derive(Clone, Debug, Serialize)]
pub struct Member {
    /// The service, or the name of an instance that the autoscaler started.
    service: String,
    #[serde(skip)]
    id: String,
    /// As Docker has it: running, exited, …
    state: String,
    /// healthy, unhealthy, starting; `None` without a check.
    health: Option<String>,
    /// What it was made from.
    image: String,
    /// In Docker's words: since when, and how it ended.
    status: String,
    /// Where it is published, as HOST:PORT.
    published: Vec<String>,
    /// Whether the autoscaler started it.
    scaled: bool,
}

impl Member {
    /// Whether it runs, and its health check, if it has one, holds.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.state == "running" && self.health.as_deref().is_none_or(|health| health == "healthy")
    }

    fn is_lost(&self) -> bool {
        matches!(self.state.as_str(), "exited" | "dead")
            || self.health.as_deref() == Some("unhealthy")
    }
}

/// A stack that Compose runs.
#[derive(Debug)]
pub struct Stack {
    docker: Docker,
    project: String,
}

impl Stack {
    /// The stack called `project` at the daemon of this host, whether it is up or not.
    ///
    /// # Errors
    /// When Docker cannot be reached.
    pub async fn open(project: &str) -> Result<Self, DockerError> {
        Ok(Self { docker: connect().await?, project: project.to_owned() })
    }

    /// Its containers, with those that its autoscaler started.
    ///
    /// # Errors
    /// When Docker cannot list them.
    pub async fn members(&self) -> Result<Vec<Member>, DockerError> {
        let mut members = Vec::new();
        for one in self.listed(&format!("{PROJECT}={}", self.project)).await? {
            members.push(self.member(one, false).await);
        }
        for one in self.scaled().await? {
            members.push(self.member(one, true).await);
        }
        members.sort_by(|a, b| (a.scaled, &a.service).cmp(&(b.scaled, &b.service)));
        Ok(members)
    }

    /// What is wrong with each container that is not well, with the end of its log.
    ///
    /// # Errors
    /// When Docker cannot list them.
    pub async fn unwell(&self) -> Result<Vec<String>, DockerError> {
        let mut words = Vec::new();
        for member in self.members().await?.iter().filter(|member| !member.is_well()) {
            words.push(self.describe(member).await);
        }
        Ok(words)
    }

    /// Waits until everything is well.
    ///
    /// # Errors
    /// When something ends or gets unhealthy, or is not well within `limit`: with the end of its log.
    pub async fn until_well(&self, limit: Duration) -> Result<Vec<Member>, DockerError> {
        let deadline = clock::now() + Span(u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX));
        loop {
            let members = self.members().await?;
            if !members.is_empty() && members.iter().all(Member::is_well) {
                return Ok(members);
            }
            let late = clock::now() >= deadline;
            let wrong = |member: &&Member| member.is_lost() || (late && !member.is_well());
            match members.iter().find(wrong) {
                Some(member) => return Err(DockerError::Unwell(self.describe(member).await)),
                None if late => {
                    return Err(DockerError::Unwell("the stack has no containers".to_owned()));
                }
                None => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// Removes what its autoscaler started, and whatever has no owner any more; the names.
    ///
    /// # Errors
    /// When Docker refuses.
    pub async fn remove_scaled(&self) -> Result<Vec<String>, DockerError> {
        let mut removed = Vec::new();
        for one in self.scaled().await? {
            let id = one.id.clone().unwrap_or_default();
            let name = label(&one, owner::SLOT).unwrap_or_else(|| id.clone());
            let gone = self.docker.remove_container(&id, Some(owner::forced())).await;
            gone.map_err(|error| DockerError::of(format!("remove {name}"), &error))?;
            removed.push(name);
        }
        removed.extend(owner::remove_orphans(&self.docker).await?);
        Ok(removed)
    }

    /// Instances of the autoscaler: they have a group, are on this stack's networks, and are none of
    /// Compose's.
    async fn scaled(&self) -> Result<Vec<ContainerSummary>, DockerError> {
        let all = self.listed(GROUP_LABEL).await?;
        let ours = format!("{}_", self.project);
        let on_ours = |one: &ContainerSummary| {
            let networks = one.network_settings.as_ref().and_then(|seen| seen.networks.as_ref());
            networks.is_some_and(|networks| networks.keys().any(|name| name.starts_with(&ours)))
        };
        let is_composed = |one: &ContainerSummary| label(one, PROJECT).is_some();
        Ok(all.into_iter().filter(|one| on_ours(one) && !is_composed(one)).collect())
    }

    async fn listed(&self, label: &str) -> Result<Vec<ContainerSummary>, DockerError> {
        let filters = Some(HashMap::from([("label".to_owned(), vec![label.to_owned()])]));
        let options = ListContainersOptions { all: true, filters, ..Default::default() };
        let listed = self.docker.list_containers(Some(options)).await;
        listed.map_err(|error| DockerError::of("list containers", &error))
    }

    async fn member(&self, one: ContainerSummary, scaled: bool) -> Member {
        let id = one.id.clone().unwrap_or_default();
        // Gone since it was listed: as one without a check.
        let seen = self.docker.inspect_container(&id, None::<InspectContainerOptions>).await.ok();
        let state = seen.and_then(|seen| seen.state).unwrap_or_default();
        let health = state.health.and_then(|health| health.status).map(|status| status.to_string());
        let mut published: Vec<String> = one
            .ports
            .iter()
            .flatten()
            .filter_map(|port| Some(format!("{}:{}", port.ip.as_ref()?, port.public_port?)))
            .collect();
        published.sort();
        Member {
            service: label(&one, if scaled { owner::SLOT } else { SERVICE }).unwrap_or_default(),
            id,
            state: state.status.map(|status| status.to_string()).unwrap_or_default(),
            health: health.filter(|health| !health.is_empty() && health != "none"),
            image: one.image.unwrap_or_default(),
            status: one.status.unwrap_or_default(),
            published,
            scaled,
        }
    }

    /// What is wrong with `member`, and the end of its log.
    async fn describe(&self, member: &Member) -> String {
        let health = member.health.as_deref().unwrap_or("no health check");
        let options =
            LogsOptions { stdout: true, stderr: true, tail: "8".to_owned(), ..Default::default() };
        let said = self.docker.logs(&member.id, Some(options));
        let lines: Vec<String> = said
            .filter_map(async |line| line.ok().map(|line| line.to_string().trim_end().to_owned()))
            .collect()
            .await;
        let log = lines.join("\n    ");
        let log = if log.is_empty() { log } else { format!("; the end of its log:\n    {log}") };
        format!("{} is {} ({health}): {}{log}", member.service, member.state, member.status)
    }
}

fn label(one: &ContainerSummary, key: &str) -> Option<String> {
    one.labels.as_ref()?.get(key).cloned()
}

/// The members as a person reads them.
#[must_use]
pub fn table(members: &[Member]) -> String {
    if members.is_empty() {
        return "the stack is down\n".to_owned();
    }
    let longest = members.iter().map(|member| member.service.len()).max().unwrap_or(0).max(7);
    let mut text =
        format!("{:<longest$}  {:<9}  {:<10}  published\n", "service", "state", "health");
    for member in members {
        let health = member.health.as_deref().unwrap_or("–");
        let published = member.published.join(" ");
        let row =
            format!("{:<longest$}  {:<9}  {health:<10}  {published}", member.service, member.state);
        let _ = writeln!(text, "{}", row.trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(service: &str, state: &str, health: Option<&str>) -> Member {
        Member {
            service: service.to_owned(),
            id: String::new(),
            state: state.to_owned(),
            health: health.map(str::to_owned),
            image: "lab".to_owned(),
            status: String::new(),
            published: vec!["127.0.0.1:8080".to_owned()],
            scaled: false,
        }
    }

    #[test]
    fn well_is_running_and_not_unhealthy() {
        assert!(member("a", "running", None).is_well());
        assert!(member("a", "running", Some("healthy")).is_well());
        assert!(!member("a", "running", Some("starting")).is_well());
        assert!(member("a", "running", Some("unhealthy")).is_lost());
        assert!(member("a", "exited", None).is_lost());
    }

    #[test]
    fn a_table_lines_up() {
        let members =
            [member("proxy", "running", Some("healthy")), member("backend-1", "exited", None)];
        assert_eq!(
            table(&members),
            "service    state      health      published\n\
             proxy      running    healthy     127.0.0.1:8080\n\
             backend-1  exited     –           127.0.0.1:8080\n"
        );
        assert_eq!(table(&[]), "the stack is down\n");
    }
}
