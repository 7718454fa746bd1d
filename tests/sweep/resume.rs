//! Killed and started again, or run in shares: the same bytes as in one go, and no point twice.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::support::{Folder, stderr, wait_until};
use crate::{SMALL, clean, done, files, folder_of, sweep};

/// Long enough that it can be killed in the middle.
fn long() -> String {
    SMALL.replace("duration = \"2s\"", "duration = \"20s\"")
}

#[test]
fn a_killed_sweep_goes_on_and_ends_as_if_nothing_had_been() {
    let folder = Folder::new();
    folder.file("small.toml", &long());
    let out = folder.path().join("killed");
    let arguments = ["sweep", "small.toml", "--out", "killed", "--threads", "1"];
    let mut child = clean(folder.lab(&arguments)).stderr(Stdio::null()).spawn().unwrap();
    let some = wait_until(Duration::from_secs(60), || {
        out.join("small").exists() && done(&files(&folder_of(&out, "small"))).len() >= 2
    });
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(some, "no point was done in a minute");
    let half = files(&folder_of(&out, "small"));
    let names: Vec<String> = done(&half).into_iter().cloned().collect();
    assert!(names.len() < 12, "all points were done before the kill");
    assert!(!half.contains_key("summary.json"));
    let identity = |name: &String| {
        let metadata = folder_of(&out, "small").join(name).metadata().unwrap();
        (metadata.ino(), metadata.mtime_nsec())
    };
    let before: Vec<_> = names.iter().map(identity).collect();

    let again = sweep(&folder, &["small.toml", "--out", "killed"]);
    let said = stderr(&again);
    assert!(said.contains(&format!("{} of 12 points are done already", names.len())), "{said}");
    let after: Vec<_> = names.iter().map(identity).collect();
    assert_eq!(before, after, "a point was written again");

    sweep(&folder, &["small.toml", "--out", "whole"]);
    assert_same(&out, &folder.path().join("whole"));
}

/// Every file, the charts too.
fn assert_same(one: &Path, other: &Path) {
    let (one, other) = (files(&folder_of(one, "small")), files(&folder_of(other, "small")));
    assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    assert_eq!(done(&one).len(), 12);
    for (name, bytes) in &one {
        assert!(bytes == &other[name], "{name} differs");
    }
}

#[test]
fn any_shares_in_any_order_make_the_same_bytes() {
    let folder = Folder::new();
    folder.file("small.toml", SMALL);
    sweep(&folder, &["small.toml", "--out", "whole", "--threads", "2"]);
    for shard in ["3/3", "1/3", "2/3"] {
        sweep(&folder, &["small.toml", "--out", "shares", "--shard", shard, "--threads", "1"]);
    }
    assert_same(&folder.path().join("whole"), &folder.path().join("shares"));
    // By what a batch system says; the third of three finds that it is the last.
    for index in ["1", "0", "2"] {
        let mut task = clean(folder.lab(&["sweep", "small.toml", "--out", "tasks"]));
        task.env("JOB_COMPLETION_INDEX", index).env("LAB_SHARDS", "3");
        let output = task.output().unwrap();
        let said = stderr(&output);
        let number = index.parse::<u32>().unwrap() + 1;
        assert!(
            said.contains(&format!("shard {number}/3, by JOB_COMPLETION_INDEX={index}")),
            "{said}"
        );
        assert_eq!(said.contains("shard 2/3 is done: 4 of 12"), index == "1", "{said}");
    }
    assert_same(&folder.path().join("whole"), &folder.path().join("tasks"));
}

#[test]
fn a_changed_sweep_is_another_folder() {
    let folder = Folder::new();
    folder.file("small.toml", SMALL);
    sweep(&folder, &["small.toml", "--replications", "1", "--quiet"]);
    sweep(&folder, &["small.toml", "--replications", "1", "--seed", "8", "--quiet"]);
    folder.file("small.toml", &SMALL.replace("\"60/s\", ", "\"80/s\", "));
    sweep(&folder, &["small.toml", "--replications", "1", "--quiet"]);
    let sweeps = std::fs::read_dir(folder.path().join("results/small")).unwrap().count();
    assert_eq!(sweeps, 3);
}
