//! `lab run` with containers as backends: started, watched, and what it leaves.

use std::process::{Child, Command, Output, Stdio};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use serde_json::Value;

use crate::docker::{docker, image, lines};
use crate::support::{Folder, code, stderr, stdout, wait_until};

static TURN: RwLock<()> = RwLock::new(());

/// Runs go side by side: what each makes has a label of its own.
pub(crate) fn turn() -> RwLockReadGuard<'static, ()> {
    TURN.read().unwrap_or_else(PoisonError::into_inner)
}

/// For what the next run, whose ever it is, would clear away, and for what needs the processor.
pub(crate) fn alone() -> RwLockWriteGuard<'static, ()> {
    TURN.write().unwrap_or_else(PoisonError::into_inner)
}

/// A run that is to be, in a folder of its own.
pub(crate) struct ContainerRun {
    folder: Folder,
    name: &'static str,
    command: Command,
}

impl ContainerRun {
    /// Of the scenario `text`, which is called `name`, with lab's image.
    pub(crate) fn new(name: &'static str, text: &str) -> Self {
        Self::of_image(name, text, image())
    }

    pub(crate) fn of_image(name: &'static str, text: &str, image: &str) -> Self {
        let folder = Folder::new();
        let file = folder.file(&format!("{name}.toml"), text).display().to_string();
        let mut command = folder.lab(&["run", &file, "--provider", "docker", "--image", image]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { folder, name, command }
    }

    /// In the live world alone.
    pub(crate) fn live(self) -> Self {
        self.with(&["--only", "live"])
    }

    pub(crate) fn with(mut self, arguments: &[&str]) -> Self {
        self.command.args(arguments);
        self
    }

    /// With the Docker daemon at `host`.
    pub(crate) fn at(mut self, host: &str) -> Self {
        self.command.env("DOCKER_HOST", host);
        self
    }

    pub(crate) fn start(mut self) -> Started {
        let child = self.command.spawn().expect("started");
        Started { folder: self.folder, name: self.name, child }
    }

    pub(crate) fn finish(self) -> Finished {
        self.start().finish()
    }
}

/// A run that began.
pub(crate) struct Started {
    folder: Folder,
    name: &'static str,
    child: Child,
}

impl Started {
    /// What it made is labelled with its process.
    fn label(&self) -> String {
        format!("lab.run={}", self.child.id())
    }

    /// Waits until one of its containers is paused.
    #[track_caller]
    pub(crate) fn comes_to_a_pause(&self) {
        let paused = || !paused(&self.label()).is_empty();
        assert!(wait_until(Duration::from_secs(40), paused), "no container was ever paused");
    }

    /// Kills lab; what is left of it.
    pub(crate) fn kill(mut self) -> Left {
        self.child.kill().expect("killed");
        self.child.wait().expect("it ends");
        Left(self.label())
    }

    pub(crate) fn finish(self) -> Finished {
        let left = Left(self.label());
        let output = self.child.wait_with_output().expect("it ends");
        Finished { folder: self.folder, name: self.name, output, left }
    }
}

/// A run that ended.
pub(crate) struct Finished {
    folder: Folder,
    name: &'static str,
    pub(crate) output: Output,
    pub(crate) left: Left,
}

impl Finished {
    /// It ran to its end. A busy host may make the measurement invalid; what happened is there all
    /// the same.
    #[track_caller]
    pub(crate) fn measured(self) -> Self {
        self.ended_with(&[0, 4])
    }

    /// It ended with one of these codes.
    #[track_caller]
    pub(crate) fn ended_with(self, codes: &[i32]) -> Self {
        assert!(codes.contains(&code(&self.output)), "{}", self.said());
        self
    }

    pub(crate) fn said(&self) -> String {
        stdout(&self.output) + &stderr(&self.output)
    }

    pub(crate) fn has_results(&self) -> bool {
        !self.folder.runs(self.name).is_empty()
    }

    pub(crate) fn summary(&self) -> Value {
        self.json("summary.json")
    }

    /// Whether and how each fault bit.
    pub(crate) fn proofs(&self) -> Vec<Value> {
        self.json("run.json")["faults"].as_array().expect("faults").clone()
    }

    fn json(&self, name: &str) -> Value {
        let run = self.folder.runs(self.name).pop().expect("results");
        let text = std::fs::read_to_string(run.join(name)).expect(name);
        serde_json::from_str(&text).expect("JSON")
    }
}

/// What a run left in Docker, by its label.
pub(crate) struct Left(String);

impl Left {
    /// Names of its containers, running or not.
    pub(crate) fn containers(&self) -> Vec<String> {
        let filter = format!("label={}", self.0);
        lines(&docker(&["ps", "--all", "--filter", &filter, "--format", "{{.Names}}"]))
    }

    /// Names of its containers that are paused.
    pub(crate) fn paused(&self) -> Vec<String> {
        paused(&self.0)
    }

    /// Names of its networks.
    pub(crate) fn networks(&self) -> Vec<String> {
        let filter = format!("label={}", self.0);
        lines(&docker(&["network", "ls", "--filter", &filter, "--format", "{{.Name}}"]))
    }

    #[track_caller]
    pub(crate) fn is_nothing(&self) {
        let gone = || self.containers().is_empty() && self.networks().is_empty();
        let is_gone = wait_until(Duration::from_secs(15), gone);
        assert!(is_gone, "left behind: {:?} {:?}", self.containers(), self.networks());
    }
}

fn paused(label: &str) -> Vec<String> {
    let filter = format!("label={label}");
    let paused = ["ps", "--filter", "status=paused", "--filter", &filter, "--format", "{{.Names}}"];
    lines(&docker(&paused))
}
