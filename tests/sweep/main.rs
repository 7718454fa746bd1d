//! `lab sweep`: points, resumption, shares, what other tools read, and batch systems. Needs
//! slurm-wlm, munge, and a Python with polars and kubernetes-validate: `tests/run` installs them.
#![cfg(feature = "cli")]

mod batch;
mod conditions;
mod points;
mod read;
mod resume;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::Folder;

/// Twelve points of a few hundred requests.
const SMALL: &str = r#"
schema_version = 1
[scenario]
name = "small"
seed = 7
duration = "2s"
replications = 3
[traffic]
rate = "100/s"
[traffic.client]
timeout = "5s"
[balancer]
algorithm = "least_conn"
[[backend]]
name = "b"
count = 3
service = { law = "exponential", mean = "10ms" }
[sweep]
[[sweep.axis]]
key = "balancer.algorithm"
values = ["round_robin", "least_conn", "random_two"]
[[sweep.axis]]
key = "traffic.rate"
values = ["60/s", "240/s"]
[[sweep.axis]]
key = "backend.b.speed"
values = [1, 1.5]
"#;

/// The only sweep of `scenario` below `out`.
fn folder_of(out: &Path, scenario: &str) -> PathBuf {
    let mut sweeps: Vec<PathBuf> = std::fs::read_dir(out.join(scenario))
        .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
        .unwrap_or_default();
    assert_eq!(sweeps.len(), 1, "{sweeps:?}");
    sweeps.remove(0)
}

/// Every file below `folder` by its path in it.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    fn below(root: &Path, folder: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.ends_with(".partial") {
                // What is not whole yet, or was not when a run was killed.
            } else if path.is_dir() {
                below(root, &path, found);
            } else {
                let name = path.strip_prefix(root).unwrap().display().to_string();
                // A file may get its name while one looks.
                found.insert(name, std::fs::read(&path).unwrap_or_default());
            }
        }
    }
    let mut found = BTreeMap::new();
    below(folder, folder, &mut found);
    found
}

/// Paths of the points that are done.
fn done(files: &BTreeMap<String, Vec<u8>>) -> Vec<&String> {
    files.keys().filter(|name| name.starts_with("points/")).collect()
}

/// Runs `lab sweep` to its end, which must be a good one.
fn sweep(folder: &Folder, arguments: &[&str]) -> std::process::Output {
    let mut all = vec!["sweep"];
    all.extend(arguments);
    let output = clean(folder.lab(&all)).output().unwrap();
    assert_eq!(support::code(&output), 0, "{arguments:?}: {}", support::stderr(&output));
    output
}

/// Without what a batch system around the tests may say.
fn clean(mut command: Command) -> Command {
    let variables = std::env::vars().map(|(name, _)| name);
    for name in variables.filter(|name| name.starts_with("SLURM_") || name == "LAB_SHARDS") {
        command.env_remove(name);
    }
    command.env_remove("JOB_COMPLETION_INDEX");
    command
}

/// The Python that `tests/run` makes beside the build, or the system's, with `module`.
fn python(module: &str) -> PathBuf {
    let own = std::env::current_exe().expect("this test");
    let beside = own.ancestors().map(|folder| folder.join("python/bin/python"));
    let knows = |python: &PathBuf| {
        let mut command = Command::new(python);
        command.args(["-c", &format!("import {module}")]);
        command.output().is_ok_and(|output| output.status.success())
    };
    beside
        .chain([PathBuf::from("python3")])
        .find(knows)
        .unwrap_or_else(|| panic!("no Python with {module}; `sh tests/run` makes one"))
}
