//! What `lab run` makes of a scenario, a sweep makes of each of its points: its precision, its end, its
//! warm-up, its calibration and its checks.

use serde_json::Value;

use crate::support::{Folder, code, stderr, stdout};
use crate::{SMALL, clean, sweep};

/// [`SMALL`] without its sweep, with `more` in its scenario.
fn plain(folder: &Folder, more: &str) {
    let text = SMALL.split("[sweep]").next().unwrap();
    folder.file("plain.toml", &text.replace("seed = 7\n", &format!("seed = 7\n{more}")));
}

const LOADS: [&str; 3] = ["plain.toml", "--set", "load=0.3,0.8"];

fn points(folder: &Folder, more: &[&str]) -> Vec<Value> {
    let arguments = [&LOADS[..], &["--json"], more].concat();
    let results: Value = serde_json::from_str(&stdout(&sweep(folder, &arguments))).unwrap();
    results["points"].as_array().unwrap().clone()
}

#[test]
fn a_precision_takes_as_many_replications_as_each_point_needs_on_any_number_of_threads() {
    let folder = Folder::new();
    plain(&folder, "precision = \"mean ± 8%\"\nmax_replications = 60\n");
    let found = points(&folder, &["--threads", "1"]);
    let ran: Vec<u64> = found.iter().map(|it| it["replications"].as_u64().unwrap()).collect();
    assert!(ran[0] >= 10 && ran[1] > ran[0] && ran[1] <= 60, "{ran:?}");
    for point in &found {
        let mean = |end: &str| point["measures"]["mean"][end].as_f64().unwrap();
        let told = point["warnings"].to_string();
        assert!(mean("high") - mean("value") <= 0.08 * mean("value") || told.contains("8.00 %"));
    }
    assert_eq!(found, points(&folder, &["--threads", "3", "--out", "again"]));
    plain(&folder, "precision = \"p99 ± 0.1%\"\nmax_replications = 12\n");
    let open = points(&folder, &[]);
    assert_eq!(open[0]["replications"], 12);
    assert!(open[0]["warnings"].to_string().contains("0.10 % was asked for"), "{open:?}");
}

#[test]
fn a_point_ends_and_warms_up_as_its_scenario_asks() {
    let folder = Folder::new();
    plain(&folder, "until = \"mean ± 10%\"\n");
    let found = points(&folder, &["--set", "scenario.duration=1h", "--replications", "1"]);
    for point in &found {
        let requests = point["requests"].as_u64().unwrap();
        assert!((1_000..200_000).contains(&requests), "of a million: {requests}");
    }
    plain(&folder, "");
    let warm = |value: &str| {
        let set = format!("scenario.warm_up={value}");
        points(&folder, &["--set", &set, "--set", "scenario.duration=20s"])
    };
    let (auto, none) = (warm("auto"), warm("0s"));
    let requests = |found: &[Value]| found[1]["requests"].as_u64().unwrap();
    assert!(requests(&auto) < requests(&none), "a warm-up is left out");
}

/// A calibration is the scenario's own unless one is given, and the folder is that of its costs.
#[test]
fn the_calibration_of_the_scenario_is_taken() {
    let folder = Folder::new();
    plain(&folder, "");
    let without = points(&folder, &[]);
    let said = {
        let set =
            ["sweep", "plain.toml", "--set", "load=0.3,0.8", "--set", "host.calibration=c.json"];
        let output = clean(folder.lab(&set)).output().unwrap();
        assert_ne!(code(&output), 0);
        stderr(&output)
    };
    assert!(said.contains("c.json"), "it was not looked for: {said}");
    let two = ["sweep", "plain.toml", "--set", "host.calibration=a.json,b.json"];
    let output = clean(folder.lab(&two)).output().unwrap();
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("one calibration"), "{}", stderr(&output));
    assert_eq!(without.len(), 2);
}

#[test]
fn checks_are_tried_at_every_point_and_count_if_asked() {
    let folder = Folder::new();
    plain(&folder, "");
    let text = std::fs::read_to_string(folder.path().join("plain.toml")).unwrap();
    let checks = "[[check]]\nthat = \"failed = 0\"\n[[check]]\nthat = \"mean < 12ms\"\n\
                  [[check]]\nthat = \"live.p99 < 1s\"\n";
    folder.file("plain.toml", &(text + checks));
    let output = sweep(&folder, &LOADS);
    let told = stdout(&output);
    assert!(told.contains("! of 2 points checks fail: mean < 12ms at 1"), "{told}");
    assert!(told.contains("live.p99 < 1s is undecided at 2 points"), "{told}");
    let found = points(&folder, &[]);
    let verdicts = |point: &Value| {
        let checks = point["checks"].as_array().unwrap();
        checks.iter().map(|it| it["verdict"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(verdicts(&found[0]), ["held", "held", "undecided"]);
    assert_eq!(verdicts(&found[1]), ["held", "failed", "undecided"]);
    let asked = |more: &[&str]| {
        let all = [&["sweep"], &LOADS[..], &["--check"], more].concat();
        code(&clean(folder.lab(&all)).output().unwrap())
    };
    assert_eq!(asked(&[]), 3);
    assert_eq!(asked(&["--set", "backend.b.speed=3"]), 0);
}
