//! SIGKILL of lab, and of each of its programs, at random instants: nothing is left running, no
//! half result is taken for a whole one, and the next run works.
#![cfg(feature = "cli")]

mod support;

use std::panic::resume_unwind;
use std::process::{Child, Stdio};
use std::thread;
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

/// Runs the scenario `text` as often as `count` says, and lets `disturb` do what it is to do at an
/// instant after the start of each run. Some run side by side, each lane in a folder of its own, in
/// which a run that nobody disturbs works afterwards. What `disturb` returned, in no order.
fn disturbed<T: Send>(
    text: &str,
    count: u64,
    disturb: impl Fn(&Folder, (usize, Duration)) -> T + Sync,
) -> Vec<T> {
    const LANES: usize = 3;
    let rounds: Vec<_> = instants(count).enumerate().collect();
    let lane = |first: usize| {
        let folder = Folder::new();
        folder.file("small.toml", text);
        let rounds = rounds.iter().skip(first).step_by(LANES);
        let returned: Vec<T> = rounds.map(|round| disturb(&folder, *round)).collect();
        next_run_works(&folder);
        returned
    };
    thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES).map(|first| scope.spawn(move || lane(first))).collect();
        let ended = lanes.into_iter().map(thread::ScopedJoinHandle::join);
        ended.flat_map(|ended| ended.unwrap_or_else(|panic| resume_unwind(panic))).collect()
    })
}

/// The programs that a run in `folder` has started, with their commands.
fn programs(folder: &Folder, lab: &Child) -> Vec<(u32, String)> {
    processes_of(folder.path()).into_iter().filter(|(pid, _)| *pid != lab.id()).collect()
}

/// Nothing runs in `folder` any more, and what is there of results is whole.
fn nothing_is_left(folder: &Folder, (round, instant): (usize, Duration)) {
    let gone = wait_until(Duration::from_secs(3), || processes_of(folder.path()).is_empty());
    assert!(gone, "round {round}, after {instant:?}: {:?}", processes_of(folder.path()));
    for run in folder.runs("small") {
        for name in ["summary.json", "requests.parquet"] {
            assert!(run.join(name).exists(), "half a result: {}", run.display());
        }
    }
}

/// Kills lab at `count` instants; the commands of the programs that lost their parent.
fn killed(text: &str, count: u64) -> Vec<String> {
    let orphaned = disturbed(text, count, |folder, round| {
        let mut lab = start(folder);
        thread::sleep(round.1);
        let whole_before = folder.runs("small").len();
        let orphaned = programs(folder, &lab);
        kill(lab.id());
        lab.wait().unwrap();
        nothing_is_left(folder, round);
        assert!(folder.runs("small").len() <= whole_before + 1);
        orphaned
    });
    let orphaned: Vec<String> =
        orphaned.into_iter().flatten().map(|(_, command)| command).collect();
    assert!(
        orphaned.len() as u64 >= count,
        "only {} programs lost their parent: the instants are badly chosen",
        orphaned.len()
    );
    orphaned
}

#[test]
fn nothing_survives_the_death_of_lab() {
    killed(SMALL, 20);
}

#[test]
fn haproxy_does_not_survive_the_death_of_lab() {
    let behind = SMALL.replace("[balancer]\n", "[balancer]\nengine = \"haproxy\"\n");
    let met = killed(&behind, 10);
    assert!(met.iter().any(|command| command.starts_with("haproxy ")), "it never ran: {met:?}");
}

#[test]
fn the_death_of_a_program_ends_the_run_cleanly() {
    let met_alive = disturbed(SMALL, 20, |folder, round| {
        let mut lab = start(folder);
        thread::sleep(round.1);
        let programs = programs(folder, &lab);
        if !programs.is_empty() {
            kill(programs[round.0 % programs.len()].0);
        }
        lab.wait().unwrap();
        nothing_is_left(folder, round);
        !programs.is_empty()
    });
    let killed = met_alive.into_iter().filter(|alive| *alive).count();
    assert!(killed >= 10, "only {killed} programs were met alive: the instants are badly chosen");
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
