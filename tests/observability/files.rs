//! What is shipped for Prometheus, judged by promtool.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::support::{Folder, stderr, stdout};

/// A file below `compose/`.
pub(crate) fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("compose").join(name)
}

fn promtool(arguments: &[&str]) -> Output {
    let mut command = Command::new("promtool");
    command.args(arguments);
    command.output().expect("promtool, of Debian's package prometheus")
}

#[track_caller]
fn is_right(output: &Output) {
    assert!(output.status.success(), "{}{}", stdout(output), stderr(output));
}

fn names(folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(shipped(folder)).expect(folder);
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").path().display().to_string()).collect();
    names.sort();
    assert!(!names.is_empty(), "{folder} is empty");
    names
}

#[test]
fn rules_are_right_and_do_what_they_are_for() {
    let rules = names("prometheus/rules");
    let mut arguments = vec!["check", "rules", "--lint-fatal"];
    arguments.extend(rules.iter().map(String::as_str));
    is_right(&promtool(&arguments));
    let tests = names("prometheus/tests");
    let mut arguments = vec!["test", "rules"];
    arguments.extend(tests.iter().map(String::as_str));
    is_right(&promtool(&arguments));
}

/// Every alert, and every recorded series, has a test that names it.
#[test]
fn every_rule_has_a_test() {
    let read = |files: &[String]| -> String {
        files.iter().map(|file| std::fs::read_to_string(file).expect("read")).collect()
    };
    let (rules, tests) = (read(&names("prometheus/rules")), read(&names("prometheus/tests")));
    let name = |line: &str| {
        let line = line.trim().trim_start_matches("- ");
        let named = line.strip_prefix("alert: ").or_else(|| line.strip_prefix("record: "))?;
        Some(named.to_owned())
    };
    let all: Vec<String> = rules.lines().filter_map(name).collect();
    assert!(all.len() > 20, "{all:?}");
    let untested: Vec<&String> = all
        .iter()
        // Those that an alert is made of are tested by it.
        .filter(|name| !tests.contains(name.as_str()) && rules.matches(name.as_str()).count() == 1)
        .collect();
    assert!(untested.is_empty(), "no test names {untested:?}");
}

#[test]
fn configurations_are_right() {
    let folder = Folder::new();
    let token = folder.file("token", "0123456789abcdef\n");
    for name in ["prometheus.yml", "docker.yml"] {
        let text = std::fs::read_to_string(shipped("prometheus").join(name)).expect(name);
        let text = text
            .replace("/run/secrets/admin_token", &token.display().to_string())
            .replace("rules/*.yml", &shipped("prometheus/rules/*.yml").display().to_string());
        let file = folder.file(name, &text);
        is_right(&promtool(&["check", "config", "--lint-fatal", &file.display().to_string()]));
        for setting in ["scrape_interval: 15s", "evaluation_interval: 15s"] {
            assert!(text.contains(setting), "{name} has no {setting}");
        }
    }
}

/// The script of the stack puts the interval in, and finds the rules from where it writes.
#[test]
fn the_interval_can_be_set_from_outside() {
    let folder = Folder::new();
    folder.file("prometheus", "#!/bin/sh\necho \"$@\"\n");
    let fake = folder.path().join("prometheus");
    let made = Command::new("chmod").arg("+x").arg(&fake).status().expect("chmod");
    assert!(made.success());
    let path = format!("{}:/usr/bin:/bin", folder.path().display());
    let start = |interval: &str| {
        let mut command = Command::new("sh");
        command.arg(shipped("prometheus/start.sh")).arg("--more");
        command.env("PATH", &path).env("TMPDIR", folder.path()).env("SCRAPE_INTERVAL", interval);
        command.output().expect("sh")
    };
    let output = start("5s");
    is_right(&output);
    let written = folder.path().join("prometheus.yml");
    assert_eq!(stdout(&output), format!("--config.file={} --more\n", written.display()));
    let text = std::fs::read_to_string(&written).expect("written");
    for setting in ["  scrape_interval: 5s", "  evaluation_interval: 5s", "  scrape_timeout: 5s"] {
        assert!(text.lines().any(|line| line == setting), "{setting} is not in\n{text}");
    }
    assert!(text.contains(&shipped("prometheus/rules/*.yml").display().to_string()));
    assert_eq!(start("soon").status.code(), Some(2));
}
