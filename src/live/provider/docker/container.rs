//! A container that lab is attached to: it hears its output, and the container ends with lab.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::models::{ContainerCreateBody, ContainerState, HealthStatusEnum};
use bollard::query_parameters::{
    AttachContainerOptions, CreateContainerOptions, InspectContainerOptions, KillContainerOptions,
    StartContainerOptions, StopContainerOptions, WaitContainerOptions,
};
use futures_util::StreamExt;
use tokio::io::AsyncWrite;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::error::{DockerError, is_status};
use super::owner::forced;

/// Between two looks at a container that is to get healthy.
const LOOK: Duration = Duration::from_millis(50);
/// A killed container is gone by then.
const GONE: Duration = Duration::from_secs(10);

/// A container that was started. Dropping it lets go of its standard input, on which it ends.
pub(super) struct Container {
    docker: Docker,
    /// In messages.
    name: String,
    id: String,
    log: PathBuf,
    lines: mpsc::UnboundedReceiver<String>,
    /// How it ended.
    ended: watch::Receiver<Option<String>>,
    tasks: [JoinHandle<()>; 2],
    _stdin: Pin<Box<dyn AsyncWrite + Send>>,
}

impl std::fmt::Debug for Container {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Container").field("name", &self.name).field("id", &self.id).finish()
    }
}

impl Drop for Container {
    /// The connection closes when both of its halves are gone.
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Container {
    /// Makes a container called `called` of `body`, attaches to it, and starts it. `name` is for
    /// messages; what it says on stderr is appended to `log`.
    pub(super) async fn start(
        docker: &Docker,
        (name, called): (&str, &str),
        mut body: ContainerCreateBody,
        log: &Path,
    ) -> Result<Self, DockerError> {
        let file = File::options().create(true).append(true).open(log);
        let file = file.map_err(|error| DockerError::Log { path: log.to_owned(), error })?;
        body.attach_stdin = Some(true);
        body.attach_stdout = Some(true);
        body.attach_stderr = Some(true);
        body.open_stdin = Some(true);
        body.stdin_once = Some(true);
        let id = create(docker, name, called, body).await?;
        let attached = attach_and_start(docker, &id).await;
        let attached = match attached {
            Ok(attached) => attached,
            Err(error) => {
                let _ = docker.remove_container(&id, Some(forced())).await;
                return Err(DockerError::of(format!("start {name}"), &error));
            }
        };
        let (say, lines) = mpsc::unbounded_channel();
        let (end, ended) = watch::channel(None);
        let tasks = [
            tokio::spawn(hear(attached.output, say, file)),
            tokio::spawn(await_end(docker.clone(), id.clone(), end)),
        ];
        Ok(Self {
            docker: docker.clone(),
            name: name.to_owned(),
            id,
            log: log.to_owned(),
            lines,
            ended,
            tasks,
            _stdin: attached.input,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// How it ended, if it has.
    pub(super) fn ended(&self) -> Option<String> {
        self.ended.borrow().clone()
    }

    /// Its next line on stdout; the error says how it ended instead, or that it said nothing.
    pub(super) async fn line(&mut self, patience: Duration) -> Result<String, DockerError> {
        match tokio::time::timeout(patience, self.lines.recv()).await {
            Ok(Some(line)) => Ok(line),
            Ok(None) => {
                let status = self.end().await.unwrap_or_else(|| "its output closed".to_owned());
                let (name, log) = (self.name.clone(), self.log_tail());
                Err(DockerError::Ended { name, status, log })
            }
            Err(_) => Err(self.unhealthy(patience, "it never said that it serves".to_owned())),
        }
    }

    /// Waits until Docker's health check holds.
    pub(super) async fn healthy(&self, patience: Duration) -> Result<(), DockerError> {
        let looking = async {
            loop {
                if let Some(status) = self.ended() {
                    let (name, log) = (self.name.clone(), self.log_tail());
                    return Err(DockerError::Ended { name, status, log });
                }
                let health = self.state().await?.health.unwrap_or_default();
                match health.status {
                    Some(HealthStatusEnum::HEALTHY) => return Ok(()),
                    Some(HealthStatusEnum::UNHEALTHY) => {
                        return Err(self.unhealthy(patience, last_words(&health)));
                    }
                    _ => tokio::time::sleep(LOOK).await,
                }
            }
        };
        match tokio::time::timeout(patience, looking).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let health = self.state().await?.health.unwrap_or_default();
                Err(self.unhealthy(patience, last_words(&health)))
            }
        }
    }

    fn unhealthy(&self, waited: Duration, probe: String) -> DockerError {
        DockerError::Unhealthy { name: self.name.clone(), waited, probe, log: self.log_tail() }
    }

    pub(super) async fn state(&self) -> Result<ContainerState, DockerError> {
        let seen = self.docker.inspect_container(&self.id, None::<InspectContainerOptions>).await;
        let what = || format!("inspect {}", self.name);
        Ok(seen.map_err(|error| DockerError::of(what(), &error))?.state.unwrap_or_default())
    }

    /// Kills it and waits until it is gone.
    pub(super) async fn kill(&mut self) -> Result<(), DockerError> {
        let options = KillContainerOptions { signal: "KILL".to_owned() };
        match self.docker.kill_container(&self.id, Some(options)).await {
            Err(error) if !is_over(&error) => {
                return Err(DockerError::of(format!("kill {}", self.name), &error));
            }
            _ => self.end().await,
        };
        Ok(())
    }

    /// Asks it to stop, and has it killed if it takes longer than `patience`; how it ended.
    pub(super) async fn stop(&mut self, patience: Duration) -> Option<String> {
        let seconds = i32::try_from(patience.as_secs()).unwrap_or(i32::MAX);
        let options = StopContainerOptions { t: Some(seconds), ..Default::default() };
        match self.docker.stop_container(&self.id, Some(options)).await {
            Err(error) if !is_over(&error) => {
                Some(DockerError::of(format!("stop {}", self.name), &error).to_string())
            }
            _ => self.end().await,
        }
    }

    /// Waits for its end.
    async fn end(&mut self) -> Option<String> {
        let ended = self.ended.wait_for(Option::is_some);
        tokio::time::timeout(GONE, ended).await.ok()?.ok()?.clone()
    }

    /// The last lines of its log, to be appended to a message.
    pub(super) fn log_tail(&self) -> String {
        crate::live::provider::process::log_tail(&self.log)
    }
}

/// The words of Docker for a container that has exited.
pub(super) const ORDERLY: &str = "exit status: 0";

/// Not there, or not running.
fn is_over(error: &bollard::errors::Error) -> bool {
    [304, 404, 409].iter().any(|status| is_status(error, *status))
}

async fn create(
    docker: &Docker,
    name: &str,
    called: &str,
    body: ContainerCreateBody,
) -> Result<String, DockerError> {
    let image = body.image.clone().unwrap_or_default();
    let options = CreateContainerOptions { name: Some(called.to_owned()), ..Default::default() };
    match docker.create_container(Some(options), body).await {
        Ok(created) => Ok(created.id),
        Err(error) if is_status(&error, 404) && error.to_string().contains("image") => {
            Err(DockerError::NoImage { image })
        }
        Err(error) => Err(DockerError::of(format!("make {name}"), &error)),
    }
}

/// Attached first, so that not a line is lost.
async fn attach_and_start(
    docker: &Docker,
    id: &str,
) -> Result<bollard::container::AttachContainerResults, bollard::errors::Error> {
    let options = AttachContainerOptions {
        stream: true,
        stdin: true,
        stdout: true,
        stderr: true,
        ..Default::default()
    };
    let attached = docker.attach_container(id, Some(options)).await?;
    docker.start_container(id, None::<StartContainerOptions>).await?;
    Ok(attached)
}

type Output =
    Pin<Box<dyn futures_util::Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send>>;

/// Passes lines of stdout on, and appends stderr to the log.
async fn hear(mut output: Output, say: mpsc::UnboundedSender<String>, mut log: File) {
    while let Some(Ok(said)) = output.next().await {
        match said {
            LogOutput::StdErr { message } => {
                // A full disk shows elsewhere; here it costs no more than words.
                let _ = log.write_all(&message);
            }
            LogOutput::StdOut { message } | LogOutput::Console { message } => {
                let _ = say.send(String::from_utf8_lossy(&message).trim_end().to_owned());
            }
            LogOutput::StdIn { .. } => {}
        }
    }
}

/// Waits until it is removed, which the daemon does when it has exited.
async fn await_end(docker: Docker, id: String, end: watch::Sender<Option<String>>) {
    let options = WaitContainerOptions { condition: "removed".to_owned() };
    let status = match docker.wait_container(&id, Some(options)).next().await {
        Some(Ok(exit)) => exit_words(exit.status_code),
        Some(Err(bollard::errors::Error::DockerContainerWaitError { code, .. })) => {
            exit_words(code)
        }
        Some(Err(error)) if is_status(&error, 404) => "it was gone at once".to_owned(),
        Some(Err(error)) => DockerError::of("wait for it", &error).to_string(),
        None => "Docker went away".to_owned(),
    };
    let _ = end.send(Some(status));
}

/// As a process's status reads: the shell's convention for signals is Docker's too.
fn exit_words(code: i64) -> String {
    match code {
        129..=192 => format!("signal: {}", code - 128),
        code => format!("exit status: {code}"),
    }
}

/// What the last health check said.
pub(super) fn last_words(health: &bollard::models::Health) -> String {
    let log = health.log.as_deref().unwrap_or_default();
    match log.last() {
        None => "no health check has ended yet".to_owned(),
        Some(last) => {
            let said = last.output.as_deref().unwrap_or_default().trim();
            format!("its last health check said {said:?}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_reads_as_that_of_a_process() {
        assert_eq!(exit_words(0), ORDERLY);
        assert_eq!(exit_words(137), "signal: 9");
        assert_eq!(exit_words(1), "exit status: 1");
    }
}
