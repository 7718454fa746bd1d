//! The lab command in a folder of its own, small scenarios, and waiting with a limit.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A folder that goes with the test.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// A fresh one.
    pub(crate) fn new() -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("lab-test-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// A file in it with `text`.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// `lab` with `arguments`, to be run in it.
    pub(crate) fn lab(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lab"));
        command.args(arguments).current_dir(&self.0).env_remove("NO_COLOR").env("COLUMNS", "100");
        command
    }

    /// Runs `lab` to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.lab(arguments).output().unwrap()
    }

    /// Folders of completed runs of `scenario`.
    pub(crate) fn runs(&self, scenario: &str) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.0.join("results").join(scenario)) else {
            return Vec::new();
        };
        let path = |entry: std::fs::DirEntry| {
            (!entry.file_type().unwrap().is_symlink()).then(|| entry.path())
        };
        let mut runs: Vec<PathBuf> = entries
            .filter_map(|entry| path(entry.unwrap()))
            .filter(|path| !path.file_name().unwrap().to_string_lossy().starts_with('.'))
            .collect();
        runs.sort();
        runs
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Exit code, with what was printed in the panic's message if there is none.
pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or_else(|| panic!("killed: {output:?}"))
}

/// Whether it ran to its end. Code 4 says that times on this machine are not to be believed, for
/// want of processors: to a test that does not measure times that is all the same.
pub(crate) fn ran(output: &Output) -> bool {
    matches!(code(output), 0 | 4)
}

/// What went to stdout.
pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What went to stderr.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Waits until `holds`, at most `limit`; whether it did.
#[must_use]
pub(crate) fn wait_until(limit: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let step = Duration::from_millis(20);
    for _ in 0..limit.as_millis() / step.as_millis() {
        if holds() {
            return true;
        }
        thread::sleep(step);
    }
    holds()
}

/// Processes of lab that run in `folder`: (pid, arguments). What a run starts runs where it does.
pub(crate) fn processes_of(folder: &Path) -> Vec<(u32, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        // A zombie has no folder: its parent has not looked yet, but nothing runs.
        let here =
            std::fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(folder));
        let arguments = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if here {
            found.push((pid, String::from_utf8_lossy(&arguments).replace('\0', " ")));
        }
    }
    found
}

/// A scenario that takes three seconds live: two backends, one crash and return.
pub(crate) const SMALL: &str = r#"
schema_version = 1

[scenario]
name = "small"
seed = 7
duration = "3s"
warm_up = "500ms"

[traffic]
rate = "100/s"

[traffic.client]
timeout = "1s"

[balancer]
algorithm = "least_conn"

[balancer.retry]
on = ["error", "timeout", "http_503"]

[[backend]]
name = "a"
workers = 8
service = { law = "exponential", mean = "10ms" }

[[backend]]
name = "b"
workers = 8
service = { law = "exponential", mean = "10ms" }

[[fault]]
name = "crash-b"
kind = "crash"
at = "1s"
for = "1s"
target = "b"
"#;
