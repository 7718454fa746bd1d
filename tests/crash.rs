//! SIGKILL of lab, and of each of its programs, at random instants: nothing is left running, no
//! half result is taken for a whole one, and the next run works.
#![cfg(feature = "cli")]

mod support;

use std::process::{Child, Stdio};
use std::time::Duration;

use support::{Folder, SMALL, code, processes_of, wait_until};

/// Instants after the start, in milliseconds: start-up, before, during and after the fault, the
/// end, and the writing of results. The same at every run, spread by a multiplicative hash.
fn instants(count: u64) -> impl Iterator<Item = Duration> {
    (0..count).map(|i| Duration::from_millis(20 + i.wrapping_mul(2_654_435_761) % 3_900))
}

fn start(folder: &Folder) -> Child {
    folder
        .lab(&["run", &format!("{}/small.toml", folder.path().display()), "--quiet"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(pid as i32).unwrap();
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
}

#[test]
fn nothing_survives_the_death_of_lab() {
    let folder = Folder::new();
    folder.file("small.toml", SMALL);
    nothing_survives(&folder, 20);
    next_run_works(&folder);
}

#[test]
fn haproxy_does_not_survive_the_death_of_lab() {
    let folder = Folder::new();
    folder.file("small.toml", &behind("haproxy"));
    let met = nothing_survives(&folder, 10);
    assert!(met.iter().any(|command| command.starts_with("haproxy ")), "it never ran: {met:?}");
    next_run_works(&folder);
}

/// [`SMALL`] with a real engine.
fn behind(engine: &str) -> String {
    SMALL.replace("[balancer]\n", &format!("[balancer]\nengine = \"{engine}\"\n"))
}

/// Kills lab at `count` instants; the commands of the programs that lost their parent.
fn nothing_survives(folder: &Folder, count: u64) -> Vec<String> {
    let mut orphaned = Vec::new();
    for (round, instant) in instants(count).enumerate() {
        let mut lab = start(folder);
        std::thread::sleep(instant);
        let whole_before = folder.runs("small").len();
        let children = processes_of(folder.path()).into_iter().filter(|(pid, _)| *pid != lab.id());
        orphaned.extend(children.map(|(_, command)| command));
        kill(lab.id());
        lab.wait().unwrap();
        let gone = wait_until(Duration::from_secs(3), || processes_of(folder.path()).is_empty());
        assert!(gone, "round {round}, killed after {instant:?}: {:?}", processes_of(folder.path()));
        for run in folder.runs("small") {
            assert!(run.join("summary.json").exists(), "half a result: {}", run.display());
            assert!(run.join("requests.parquet").exists(), "half a result: {}", run.display());
        }
        assert!(folder.runs("small").len() <= whole_before + 1);
    }
    assert!(
        orphaned.len() as u64 >= count,
        "only {} programs lost their parent: the instants are badly chosen",
        orphaned.len()
    );
    orphaned
}

#[test]
fn the_death_of_a_program_ends_the_run_cleanly() {
    let folder = Folder::new();
    folder.file("small.toml", SMALL);
    let mut killed = 0;
    for (round, instant) in instants(20).enumerate() {
        let mut lab = start(&folder);
        std::thread::sleep(instant);
        let children: Vec<_> =
            processes_of(folder.path()).into_iter().filter(|(pid, _)| *pid != lab.id()).collect();
        if !children.is_empty() {
            kill(children[round % children.len()].0);
            killed += 1;
        }
        lab.wait().unwrap();
        let gone = wait_until(Duration::from_secs(3), || processes_of(folder.path()).is_empty());
        assert!(gone, "round {round}, after {instant:?}: {:?}", processes_of(folder.path()));
        for run in folder.runs("small") {
            assert!(run.join("summary.json").exists(), "half a result: {}", run.display());
        }
    }
    assert!(killed >= 10, "only {killed} programs were met alive: the instants are badly chosen");
    next_run_works(&folder);
}

fn next_run_works(folder: &Folder) {
    let before = folder.runs("small").len();
    let output = folder.run(&["run", "small.toml", "--quiet"]);
    assert!(matches!(code(&output), 0 | 3 | 4), "{output:?}");
    assert_eq!(folder.runs("small").len(), before + 1);
    let left: Vec<_> = std::fs::read_dir(folder.path().join("results/small"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with(".partial"))
        .collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}
