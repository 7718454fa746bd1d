//! Failures of what watches a run: they are said, and the run goes on.

use super::programs::taken;
use super::shown::Run;
use super::support::{Folder, code, processes_of, stderr};

/// Three seconds, which is long enough to lose Prometheus in.
const SCENARIO: &str = r#"
schema_version = 1

[scenario]
name = "watched"
seed = 7
duration = "3s"

[traffic]
rate = "50/s"

[[backend]]
name = "a"
workers = 4
service = { law = "exponential", mean = "10ms" }
"#;

#[test]
fn a_run_outlives_its_prometheus() {
    let folder = Folder::new();
    let run = Run::start(&folder, "watched", SCENARIO, &["--only", "live"]);
    run.is_under_way();
    let found = || {
        let all = processes_of(folder.path());
        all.into_iter().find(|(_, line)| line.contains("prometheus.yml")).map(|(pid, _)| pid)
    };
    let pid = found().expect("Prometheus is a process of the run");
    let pid = rustix::process::Pid::from_raw(pid as i32).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("killed");
    let said = run.ends();
    assert!(said.contains("Prometheus ended in the middle of the run"), "{said}");
    assert_eq!(folder.runs("watched").len(), 1, "the results are whole");
    assert!(processes_of(folder.path()).is_empty(), "nothing is left");
    let left: Vec<_> = std::fs::read_dir(folder.path().join("results"))
        .expect("results")
        .map(|entry| entry.expect("an entry").file_name())
        .filter(|name| name.to_string_lossy().starts_with('.'))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn what_cannot_be_shown_is_said_before_the_run() {
    let folder = Folder::new();
    folder.file("watched.toml", SCENARIO);
    let somebody = taken();
    let address = somebody.local_addr().expect("an address");
    let flags = [format!("--metrics={address}"), format!("--prometheus={address}")];
    for flag in &flags {
        let output = folder.run(&["run", "watched.toml", flag]);
        let said = stderr(&output);
        assert_eq!(code(&output), 1, "{said}");
        assert!(said.contains(&address.to_string()) && said.contains("in use"), "{said}");
    }
    let output = folder.lab(&["run", "watched.toml", "--prometheus"]).env("PATH", "").output();
    let output = output.expect("run");
    assert_eq!(code(&output), 1);
    let said = stderr(&output);
    assert!(said.contains("the package prometheus (Debian)"), "{said}");
    let output = folder.run(&["run", "watched.toml", "--only", "sim", "--metrics"]);
    assert_eq!(code(&output), 2, "{}", stderr(&output));
    for wrong in ["--scrape-interval=1ms", "--scrape-interval=soon"] {
        let output = folder.run(&["run", "watched.toml", "--prometheus", wrong]);
        assert_eq!(code(&output), 2, "{}", stderr(&output));
    }
    assert!(folder.runs("watched").is_empty());
}
