//! `lab report`: the page's scripts by themselves, and the page in a browser, with what its replay
//! says held against the files it was made from.
#![cfg(feature = "cli")]

#[path = "support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use lab::record::{AttemptRow, RequestError, RequestRow, read};
use lab::units::World;
use support::{Folder, code, stdout};

const SCENARIO: &str = r#"
schema_version = 1
[scenario]
name = "page"
seed = 7
duration = "3s"
warm_up = "500ms"
[traffic]
rate = "120/s"
[balancer]
algorithm = "least_conn"
[balancer.retry]
on = ["error", "timeout"]
tries = 2
[[backend]]
name = "b"
count = 3
workers = 2
service = { law = "exponential", mean = "25ms" }
[[fault]]
name = "crash-b-1"
kind = "crash"
target = "b-1"
at = "1s"
for = "1s"
[[check]]
that = "p50 < 10s"
[[check]]
that = "p99 < 1us"
"#;

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/html_report")
}

/// What `tests/run` installs beside the build.
fn node_modules() -> PathBuf {
    let target = Path::new(env!("CARGO_BIN_EXE_lab")).ancestors().nth(2).unwrap();
    target.join("node/node_modules")
}

#[test]
fn the_scripts_of_the_page_are_right() {
    let tests = scripts().join("scripts.test.cjs");
    let output = Command::new("node").arg("--test").arg(tests).output().unwrap();
    assert!(output.status.success(), "{}", stdout(&output));
}

#[test]
fn the_page_works_in_a_browser_and_says_what_the_files_say() {
    let folder = Folder::new();
    folder.file("page.toml", SCENARIO);
    // Its last check fails on purpose, or the busy machine makes it invalid; either way it is there.
    let ran = folder.run(&["run", "page.toml", "-q", "--rounds", "1"]);
    assert!([3, 4].contains(&code(&ran)), "{ran:?}");
    let engines =
        ["run", "page.toml", "-q", "--only", "sim", "--engine", "own,nginx", "--out", "engines"];
    assert_eq!(code(&folder.run(&engines)), 3);

    // Both worlds are explained from the same files.
    let explain = |check: &str| folder.run(&["explain", "results/page/latest", check]);
    let live = stdout(&explain("live.p99 < 1us"));
    assert!(
        live.contains("FAILED") && live.contains("live request") && live.contains("saw in"),
        "{live}"
    );
    let both = stdout(&explain("sim.p50 ~ live.p50 ± 0.001%"));
    assert!(both.contains("sim request") && both.contains("live request"), "{both}");

    let page = report(&folder, "results/page/latest");
    let partial = report(&folder, &interrupted(&folder));
    let compared = report(&folder, "engines/page/latest");
    folder.file("many.toml", &many());
    assert_eq!(code(&folder.run(&["run", "many.toml", "-q", "--only", "sim"])), 3);
    let many = report(&folder, "results/many/latest");
    let size = std::fs::metadata(&page).unwrap().len();
    assert!((50_000..1_000_000).contains(&size), "{size} bytes");

    let expected =
        folder.file("expected.json", &expected(&folder.path().join("results/page/latest")));
    let mut browser = Command::new("node");
    browser.arg(scripts().join("browser.cjs")).arg(chromium()).arg(node_modules());
    browser.args([&page, &expected, &compared, &partial, &many]);
    if let Some(pictures) = std::env::var_os("LAB_PICTURES") {
        browser.arg(pictures);
    }
    let output = browser.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn pictures_and_their_index_are_published() {
    let folder = Folder::new();
    folder.file("page.toml", SCENARIO);
    folder.run(&["run", "page.toml", "-q", "--only", "sim"]);
    folder.run(&[
        "run",
        "page.toml",
        "-q",
        "--only",
        "sim",
        "--engine",
        "own,nginx",
        "--out",
        "engines",
    ]);
    for (run, picture) in [
        ("results/page/latest", "latency-percentiles.png"),
        ("engines/page/latest", "comparison.png"),
    ] {
        let output = folder.run(&["report", run, "--publish", "published"]);
        assert_eq!(code(&output), 0, "{output:?}");
        let index = std::fs::read_to_string(folder.path().join("published/README.md")).unwrap();
        assert!(index.contains("p99 < 1us") && index.contains("lab run page.toml"), "{index}");
        let shown: Vec<&str> =
            index.split("](").skip(1).filter_map(|it| it.split(')').next()).collect();
        assert!(shown.contains(&picture), "{index}");
        for picture in shown {
            let bytes = std::fs::read(folder.path().join("published").join(picture)).unwrap();
            assert!(bytes.starts_with(b"\x89PNG"), "{picture}");
        }
    }
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 4, "{left:?}");
}

#[test]
fn a_run_that_is_not_there_is_said_and_leaves_nothing() {
    let folder = Folder::new();
    let output = folder.run(&["report", "nowhere"]);
    assert_eq!(code(&output), 1);
    assert!(String::from_utf8_lossy(&output.stderr).contains("nowhere"), "{output:?}");
    assert!(!folder.path().join("nowhere").exists());
}

/// The same with 61 servers of long names.
fn many() -> String {
    let long = "eu-central-1a-frontend-of-the-production-service";
    SCENARIO
        .replace("\"page\"", "\"many\"")
        .replace("count = 3", "count = 61")
        .replace("name = \"b\"", &format!("name = \"{long}\""))
        .replace("target = \"b-1\"", &format!("target = \"{long}-57\""))
        .replace("120/s", "900/s")
}

/// The same run, as if Ctrl-C had ended it.
fn interrupted(folder: &Folder) -> String {
    let partial = folder.path().join("partial");
    std::fs::create_dir(&partial).unwrap();
    for entry in std::fs::read_dir(folder.path().join("results/page/latest")).unwrap() {
        let path = entry.unwrap().path();
        let to = partial.join(path.file_name().unwrap());
        if path.extension().is_some_and(|extension| extension == "json") {
            let text = std::fs::read_to_string(&path).unwrap();
            std::fs::write(to, text.replace("\"partial\": false", "\"partial\": true")).unwrap();
        } else {
            std::fs::copy(&path, to).unwrap();
        }
    }
    "partial".to_owned()
}

fn report(folder: &Folder, run: &str) -> PathBuf {
    let output = folder.run(&["report", run]);
    assert_eq!(code(&output), 0, "{output:?}");
    folder.path().join(run).join("report.html")
}

fn chromium() -> PathBuf {
    std::env::var_os("CHROMIUM").map_or_else(|| PathBuf::from("/usr/bin/chromium"), PathBuf::from)
}

/// Counts at some instants, each by asking every row of the files.
fn expected(run: &Path) -> String {
    let mut requests: Vec<RequestRow> = Vec::new();
    let mut attempts: Vec<AttemptRow> = Vec::new();
    read::requests(&run.join("requests.parquet"), |row| requests.push(*row)).unwrap();
    read::attempts(&run.join("attempts.parquet"), |row| attempts.push(*row)).unwrap();
    let mut instants = Vec::new();
    for world in [World::Sim, World::Live] {
        let rows: Vec<&RequestRow> = requests.iter().filter(|row| row.world == world).collect();
        assert!(rows.len() > 300, "{world}: {} requests", rows.len());
        // Spread over the run, and the very instants at which some attempts begin and end.
        let spread = (0..40u64).map(|step| step * 77_000_003);
        let turns = attempts.iter().filter(|row| row.world == world).step_by(40);
        let instants_of = spread.chain(turns.flat_map(|row| [row.start_ns, row.end_ns]));
        for at in instants_of {
            let ended = |failed: bool| {
                let over = |row: &&&RequestRow| {
                    row.error != RequestError::Interrupted
                        && row.finished_ns <= at
                        && row.failed() == failed
                };
                rows.iter().filter(over).count()
            };
            let in_flight: Vec<usize> = (0..3)
                .map(|peer| {
                    let there = |row: &&AttemptRow| {
                        row.world == world
                            && row.number > 0
                            && row.upstream == peer
                            && (row.start_ns..row.end_ns).contains(&at)
                    };
                    attempts.iter().filter(there).count()
                })
                .collect();
            let due = rows.iter().filter(|row| row.scheduled_ns <= at).count();
            instants.push(serde_json::json!({
                "world": world, "at": at, "in_flight": in_flight,
                "due": due, "good": ended(false), "failed": ended(true),
            }));
        }
    }
    serde_json::to_string(&instants).unwrap()
}
