//! Programs as processes of this very binary, which die with lab.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::host::child::{self, Ready};

/// Why a program could not be started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// The process could not be made.
    #[error("cannot start {name}: {error}")]
    Spawn {
        /// Which program.
        name: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// It ended, or said something else, before it was ready.
    #[error("{name} did not become ready ({what}){log}")]
    NotReady {
        /// Which program.
        name: String,
        /// What it did instead.
        what: String,
        /// The end of its log, on lines of its own; may be empty.
        log: String,
    },
}

/// A running program.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    pid: u32,
    log: PathBuf,
    /// Asks it to stop.
    stop: Signal,
    /// Of programs of lab's own.
    stdout: Option<Lines<BufReader<ChildStdout>>>,
    // Closing it tells the program that its parent is gone.
    _stdin: Option<ChildStdin>,
    /// It may have workers, which it stops itself unless it dies.
    has_workers: bool,
}

impl Drop for Program {
    /// Workers of a program that did not end in order would serve on: they are in its process
    /// group, whose number nobody else can have while one of them lives.
    fn drop(&mut self) {
        let orderly = self.ended().is_some_and(|status| status.success());
        if self.has_workers
            && !orderly
            && let Some(group) = i32::try_from(self.pid).ok().and_then(Pid::from_raw)
        {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Program {
    /// Starts `lab` with `arguments` and `--supervised`; its stderr is appended to `log`.
    ///
    /// # Errors
    /// When the log cannot be opened or the process cannot be made.
    pub fn start(name: &str, arguments: &[String], log: &Path) -> Result<Self, ProgramError> {
        let spawn = |error| ProgramError::Spawn { name: name.to_owned(), error };
        let mut command = Command::new(std::env::current_exe().map_err(spawn)?);
        command.args(arguments).arg("--supervised").stdout(Stdio::piped());
        Self::spawn(name, command, log)
    }

    /// Starts another program; both its outputs are appended to `log`. It dies with the thread
    /// that started it.
    ///
    /// # Errors
    /// When the log cannot be opened or the process cannot be made.
    pub fn start_foreign(
        name: &str,
        program: &str,
        arguments: &[String],
        log: &Path,
    ) -> Result<Self, ProgramError> {
        let spawn = |error| ProgramError::Spawn { name: name.to_owned(), error };
        let stdout = File::options().create(true).append(true).open(log).map_err(spawn)?;
        let mut command = Command::new(program);
        command.args(arguments).stdout(stdout);
        child::stops_with_parent(&mut command);
        let mut program = Self::spawn(name, command, log)?;
        program.has_workers = true;
        Ok(program)
    }

    /// The same, to be asked to stop by `signal` instead of SIGTERM.
    #[must_use]
    pub const fn stopped_by(mut self, signal: Signal) -> Self {
        self.stop = signal;
        self
    }

    fn spawn(name: &str, mut command: Command, log: &Path) -> Result<Self, ProgramError> {
        let spawn = |error| ProgramError::Spawn { name: name.to_owned(), error };
        let stderr = File::options().create(true).append(true).open(log).map_err(spawn)?;
        let mut child = command
            .stdin(Stdio::piped())
            .stderr(stderr)
            // Ctrl-C in a terminal is lab's to handle; it stops its programs in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(spawn)?;
        let pid = child.id().expect("a child that was not waited for has an id");
        let stdout = child.stdout.take().map(|stdout| BufReader::new(stdout).lines());
        Ok(Self {
            name: name.to_owned(),
            pid,
            log: log.to_owned(),
            stop: Signal::TERM,
            stdout,
            _stdin: child.stdin.take(),
            child,
            has_workers: false,
        })
    }

    /// Waits for the line that says where it serves and where it takes orders.
    ///
    /// # Errors
    /// When it ends first, says something else, or takes longer than ten seconds.
    pub async fn ready(&mut self) -> Result<(SocketAddr, Option<SocketAddr>), ProgramError> {
        let line = match tokio::time::timeout(Duration::from_secs(10), self.next_line()).await {
            Err(_) => return Err(self.not_ready("no word within 10 s".to_owned())),
            Ok(Err(error)) => return Err(self.not_ready(error.to_string())),
            Ok(Ok(None)) => {
                let status =
                    self.child.wait().await.map_or_else(|e| e.to_string(), |s| s.to_string());
                return Err(self.not_ready(status));
            }
            Ok(Ok(Some(line))) => line,
        };
        let ready: Ready =
            serde_json::from_str(&line).map_err(|_| self.not_ready(format!("it said `{line}`")))?;
        let parse = |text: &str| {
            text.parse().map_err(|_| self.not_ready(format!("`{text}` is no address")))
        };
        let listen = parse(&ready.listen)?;
        let control = ready.control.as_deref().map(parse).transpose()?;
        Ok((listen, control))
    }

    /// Its next line on stdout; `None` at the end.
    pub async fn line(&mut self) -> Option<String> {
        self.next_line().await.ok().flatten()
    }

    async fn next_line(&mut self) -> std::io::Result<Option<String>> {
        match &mut self.stdout {
            Some(lines) => lines.next_line().await,
            None => Ok(None),
        }
    }

    /// Process id.
    #[must_use]
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// Name in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sends a signal. A program that is gone needs none, so nothing can fail.
    pub fn signal(&self, signal: Signal) {
        // Not after it was waited for: its number may belong to somebody else by then.
        if self.child.id().is_some()
            && let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw)
        {
            let _ = kill_process(pid, signal);
        }
    }

    /// Kills it and waits until it is gone.
    pub async fn kill(&mut self) {
        let _ = self.child.kill().await;
    }

    /// Its exit status, if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits for its end.
    pub async fn wait(&mut self) -> Option<ExitStatus> {
        self.child.wait().await.ok()
    }

    /// Asks it to stop, kills it if it takes longer than `patience`, and gives its exit status.
    pub async fn stop(&mut self, patience: Duration) -> Option<ExitStatus> {
        self.signal(self.stop);
        if tokio::time::timeout(patience, self.child.wait()).await.is_err() {
            self.kill().await;
        }
        self.wait().await
    }

    /// The last lines of its log, to be appended to a message.
    #[must_use]
    pub fn log_tail(&self) -> String {
        log_tail(&self.log)
    }

    /// The error of a program that did `what` instead of becoming ready.
    #[must_use]
    pub fn not_ready(&self, what: String) -> ProgramError {
        ProgramError::NotReady { name: self.name.clone(), what, log: self.log_tail() }
    }
}

/// The last lines of the log at `path`, to be appended to a message.
pub(super) fn log_tail(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines[lines.len().saturating_sub(8)..].join("\n    ");
    if tail.is_empty() { tail } else { format!("; the end of its log:\n    {tail}") }
}
