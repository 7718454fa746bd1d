//! A policy of one's own, from `lab new` to a run of both worlds.
#![cfg(feature = "cli")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;
use support::{Folder, code, stderr, stdout};

/// The example's program.
fn example() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(build_example)
}

/// A test of this file alone would not have built it.
fn build_example() -> PathBuf {
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--example", "quickest_of_two"]);
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    // cargo tells a test of the package by variables that build scripts (ring's) watch: with them it
    // would build their crates and all that stands on them again.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            build.env_remove(name);
        }
    }
    // Beside the test's own program: the target folder, whatever it is called.
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    build.env("CARGO_TARGET_DIR", profile.parent().unwrap());
    build.current_dir(env!("CARGO_MANIFEST_DIR"));
    let built = build.output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    profile.join("examples/quickest_of_two")
}

#[test]
fn one_file_decides_in_both_worlds() {
    let folder = Folder::new();
    let scenario = include_str!("../examples/quickest_of_two.toml")
        .replace("duration = \"20s\"", "duration = \"6s\"");
    folder.file("own.toml", &scenario);
    let mut program = Command::new(example());
    let output = program.args(["run", "own.toml"]).current_dir(folder.path()).output().unwrap();
    // A busy machine may make the measurement invalid; it says so, and the numbers are there.
    assert!(matches!(code(&output), 0 | 3 | 4), "{}\n{}", stdout(&output), stderr(&output));
    let summary = folder.runs("own")[0].join("summary.json");
    let results: Value = serde_json::from_slice(&std::fs::read(summary).unwrap()).unwrap();
    for world in [0, 1] {
        let world = &results["worlds"][world];
        let shares = world["shares"].as_array().unwrap();
        let slow = shares.iter().find(|share| share["name"] == "slow").unwrap();
        let share = slow["share"].as_f64().unwrap();
        assert!(share < 0.2, "the slow one had {share} in {}", world["world"]);
    }
}

#[test]
fn the_name_is_unknown_to_a_program_without_the_policy() {
    let folder = Folder::new();
    folder.file("own.toml", include_str!("../examples/quickest_of_two.toml"));
    let output = folder.run(&["check", "own.toml"]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("`quickest_of_two` is no algorithm"), "{}", stderr(&output));
    let mut program = Command::new(example());
    let known = program.args(["check", "own.toml"]).current_dir(folder.path()).output().unwrap();
    assert_eq!(code(&known), 0, "{}", stderr(&known));
}

#[test]
fn a_new_policy_is_the_example_under_its_own_name_and_overwrites_nothing() {
    let folder = Folder::new();
    let refused = folder.run(&["new", "--policy", "mine"]);
    assert_eq!(code(&refused), 2);
    assert!(stderr(&refused).contains("no checkout of lab"), "{}", stderr(&refused));

    folder.file("Cargo.toml", "[package]\nname = \"lab\"\n");
    let written = folder.run(&["new", "--policy", "quickest_of_two"]);
    assert_eq!(code(&written), 0, "{}", stderr(&written));
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(read("examples/quickest_of_two.rs"), include_str!("../examples/quickest_of_two.rs"));
    let toml = include_str!("../examples/quickest_of_two.toml");
    assert_eq!(read("examples/quickest_of_two.toml"), toml);
    assert!(stdout(&written).contains("cargo run --release --example quickest_of_two -- run"));

    let again = folder.run(&["new", "--policy", "quickest_of_two"]);
    assert_eq!(code(&again), 2);
    assert!(stderr(&again).contains("is there already"), "{}", stderr(&again));
    for (name, why) in [("least_conn", "another algorithm"), ("My-Own", "no name for a policy")] {
        let wrong = folder.run(&["new", "--policy", name]);
        assert_eq!(code(&wrong), 2);
        assert!(stderr(&wrong).contains(why), "{}", stderr(&wrong));
    }
}
