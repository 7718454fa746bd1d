//! The notebooks, executed on results just made: each runs to its end, draws its charts, and holds what
//! it asserts.
#![cfg(feature = "cli")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;

use serde_json::Value;

/// That of the live world, and those that the model alone answers.
const LIVE: &str = "simulated-against-live";
const MODEL: [&str; 4] =
    ["explore-a-run", "choosing-a-policy", "autoscaler-tuning", "queueing-theory-by-experiment"];

fn notebooks() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("notebooks")
}

/// The environment that `tests/run` makes, or else Python as it is.
fn python() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let mut beside = own.ancestors().map(|folder| folder.join("python/bin/python"));
    beside.find(|python| python.exists()).unwrap_or_else(|| "python3".into())
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// Makes the results of one part, `live` or `model`.
fn make(part: &str, folder: &Path) {
    let made = Command::new(notebooks().join("make-results"))
        .args([env!("CARGO_BIN_EXE_lab"), folder.to_str().unwrap(), part])
        .output()
        .unwrap();
    assert!(made.status.success(), "{part}: {}", said(&made));
}

/// Executes a notebook; gives its cells.
fn execute(name: &str, folder: &Path) -> Vec<Value> {
    let output = Command::new(python())
        .args(["-m", "nbconvert", "--to", "notebook", "--execute", "--output-dir"])
        .arg(folder.join("executed"))
        .arg(notebooks().join(format!("{name}.ipynb")))
        .env("LAB_RESULTS", folder)
        .env_remove("MPLBACKEND")
        .output()
        .unwrap();
    assert!(output.status.success(), "{name}: {}", said(&output));
    cells(&folder.join("executed").join(format!("{name}.ipynb")))
}

fn cells(notebook: &Path) -> Vec<Value> {
    let text = fs::read_to_string(notebook).unwrap();
    let read: Value = serde_json::from_str(&text).unwrap();
    read["cells"].as_array().unwrap().clone()
}

fn outputs(cell: &Value) -> &[Value] {
    cell["outputs"].as_array().map_or(&[], Vec::as_slice)
}

/// A notebook tells its story in words, tables and charts, and none of them is an error.
fn assert_told(name: &str, cells: &[Value]) {
    let all: Vec<&Value> = cells.iter().flat_map(outputs).collect();
    let of = |kind: &str| all.iter().filter(|output| !output["data"][kind].is_null()).count();
    assert!(all.iter().all(|output| output["output_type"] != "error"), "{name}");
    assert!(all.iter().all(|output| output["name"] != "stderr"), "{name} warns: {all:?}");
    assert!(of("image/png") >= 2, "{name} has {} charts", of("image/png"));
    assert!(of("text/markdown") >= 2, "{name} has {} sentences", of("text/markdown"));
}

#[test]
fn each_notebook_runs_on_results_just_made() {
    let folder = std::env::temp_dir().join(format!("lab-notebooks-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let work = |part: &str, names: &[&str]| {
        make(part, &folder);
        for name in names {
            assert_told(name, &execute(name, &folder));
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| work("live", &[LIVE]));
        work("model", &MODEL);
    });
    fs::remove_dir_all(&folder).unwrap();
}

/// What is committed has no results of some other machine in it.
#[test]
fn the_notebooks_are_committed_without_outputs() {
    let mut found = 0;
    for entry in fs::read_dir(notebooks()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "ipynb") {
            found += 1;
            let kept = cells(&path).iter().map(|cell| outputs(cell).len()).sum::<usize>();
            assert_eq!(kept, 0, "{} has outputs", path.display());
        }
    }
    assert_eq!(found, MODEL.len() + 1, "a notebook is not executed here");
}
