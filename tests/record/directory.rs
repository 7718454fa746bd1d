//! A run's folder is there as a whole or not at all, however the process ends.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use lab::record::{RecordError, RunDirectory};

use super::folder;

fn entries(path: &Path) -> Vec<String> {
    let names = fs::read_dir(path).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name != ".lock").collect();
    names.sort();
    names
}

#[test]
fn a_committed_run_has_its_files_and_is_the_latest() {
    let root = folder("commit").join("not/yet/there");
    for run in ["20261124T134501Z-7f3a", "20261124T134502Z-0b1c"] {
        let directory = RunDirectory::create(&root, "steady", run).unwrap();
        fs::write(directory.path().join("summary.json"), run).unwrap();
        assert!(!directory.destination().exists());
        assert_eq!(directory.commit().unwrap(), root.join("steady").join(run));
    }
    assert_eq!(
        entries(&root.join("steady")),
        ["20261124T134501Z-7f3a", "20261124T134502Z-0b1c", "latest"]
    );
    let latest = root.join("steady/latest");
    assert_eq!(fs::read_to_string(latest.join("summary.json")).unwrap(), "20261124T134502Z-0b1c");
    assert_eq!(entries(&latest), ["summary.json"]);
}

#[test]
fn a_dropped_run_leaves_nothing() {
    let root = folder("drop");
    let directory = RunDirectory::create(&root, "steady", "a").unwrap();
    fs::write(directory.path().join("requests.parquet"), "half").unwrap();
    drop(directory);
    assert!(entries(&root.join("steady")).is_empty());
}

#[test]
fn a_run_never_overwrites_another() {
    let root = folder("exists");
    RunDirectory::create(&root, "steady", "a").unwrap().commit().unwrap();
    let error = RunDirectory::create(&root, "steady", "a").unwrap_err();
    assert!(matches!(error, RecordError::Exists(_)), "{error}");
}

#[test]
fn runs_of_one_scenario_may_go_on_side_by_side() {
    let root = folder("side-by-side");
    let first = RunDirectory::create(&root, "steady", "a").unwrap();
    let second = RunDirectory::create(&root, "steady", "b").unwrap();
    fs::write(first.path().join("x"), "x").unwrap();
    second.commit().unwrap();
    first.commit().unwrap();
    assert_eq!(entries(&root.join("steady")), ["a", "b", "latest"]);
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let root = folder("names");
    for name in ["", ".", "..", "../x", "a/b", ".hidden", "latest", "a\0b"] {
        let error = RunDirectory::create(&root, name, "a").unwrap_err();
        assert!(matches!(error, RecordError::Name { .. }), "{name:?}: {error}");
        let error = RunDirectory::create(&root, "steady", name).unwrap_err();
        assert!(matches!(error, RecordError::Name { .. }), "{name:?}: {error}");
    }
}

#[test]
fn a_file_in_the_way_is_named_with_what_would_be_right() {
    let root = folder("in-the-way").join("results");
    File::create(&root).unwrap();
    let text = RunDirectory::create(&root, "steady", "a").unwrap_err().to_string();
    assert!(text.contains(&root.join("steady").display().to_string()), "{text}");
    assert!(text.contains("a folder is needed there"), "{text}");
}

#[test]
fn a_folder_that_takes_no_files_is_named() {
    // Even root may not create files here.
    let text = RunDirectory::create(Path::new("/proc"), "steady", "a").unwrap_err().to_string();
    assert!(text.starts_with("cannot create the folder `/proc/steady`"), "{text}");
}

#[test]
fn a_killed_run_leaves_no_result_and_the_next_cleans_up() {
    let root = folder("killed");
    for _ in 0..3 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["directory::child_begins_a_run", "--exact", "--ignored", "--nocapture"])
            .env("LAB_TEST_ROOT", &root)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.map_while(Result::ok).any(|line| line.ends_with("begun")));

        // While it lives its folder is not touched.
        RunDirectory::create(&root, "steady", "other").unwrap();
        assert_eq!(entries(&root.join("steady")), [".partial-killed"]);

        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(entries(&root.join("steady")), [".partial-killed"]);
    }
    let next = RunDirectory::create(&root, "steady", "next").unwrap();
    assert_eq!(entries(&root.join("steady")), [".partial-next"]);
    next.commit().unwrap();
}

#[test]
#[ignore = "the part of a killed process: started by a_killed_run_leaves_no_result"]
fn child_begins_a_run() {
    let root = PathBuf::from(std::env::var_os("LAB_TEST_ROOT").unwrap());
    let directory = RunDirectory::create(&root, "steady", "killed").unwrap();
    fs::write(directory.path().join("requests.parquet"), "half").unwrap();
    let mut output = std::io::stdout();
    writeln!(output, "begun").and_then(|()| output.flush()).unwrap();
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    panic!("nobody killed the child");
}
