//! What a sweep runs, what it says of it, and what it refuses.

use serde_json::Value;

use crate::support::{Folder, code, stderr, stdout};
use crate::{SMALL, clean, done, files, folder_of, sweep};

#[test]
fn every_point_is_run_once_and_the_report_says_what_is_best() {
    let folder = Folder::new();
    folder.file("small.toml", SMALL);
    let output = sweep(&folder, &["small.toml", "--json"]);
    let results: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let points = results["points"].as_array().unwrap();
    assert_eq!(points.len(), 12);
    for (index, point) in points.iter().enumerate() {
        assert_eq!(point["index"], index as u64);
        assert_eq!(point["measures"]["p99"]["replications"].as_array().unwrap().len(), 3);
        assert!(point["requests"].as_u64().unwrap() > 200);
    }
    // Equal loads have the same requests, whatever the policy.
    assert_eq!(points[0]["requests"], points[4]["requests"]);
    assert_eq!(points[0]["requests"], points[8]["requests"]);
    let conditions = results["ranking"]["conditions"].as_array().unwrap();
    assert_eq!(conditions.len(), 4);
    for condition in conditions {
        let contenders = condition["contenders"].as_array().unwrap();
        assert_eq!(contenders.iter().filter(|one| one["best"] == true).count(), 1);
    }
    // Few requests, but so many that least_conn is not told to be worse.
    let high = conditions
        .iter()
        .find(|it| it["settings"][0]["label"] == "240/s" && it["settings"][1]["label"] == "1");
    let contenders = high.unwrap()["contenders"].as_array().unwrap();
    assert_eq!(contenders[1]["label"], "least_conn");
    assert!(contenders[1]["best"] == true || contenders[1]["level"] == true, "{contenders:?}");
    let made = files(&folder_of(&folder.path().join("results"), "small"));
    assert_eq!(done(&made).len(), 12);
    for name in ["summary.json", "sweep.json", "small-multiples.png", "heat-map.png", "best.png"] {
        assert!(made.contains_key(name), "{name} of {:?}", made.keys());
    }
    assert_eq!(made.len(), 17, "{:?}", made.keys());
    let again = stdout(&sweep(&folder, &["small.toml"]));
    assert!(again.contains("p99 by balancer.algorithm"), "{again}");
    assert!(again.contains("240/s, 1"), "{again}");
    assert!(again.contains("least_conn"), "{again}");
    let shown = folder_of(&folder.path().join("results"), "small");
    let from_folder = stdout(&sweep(&folder, &[shown.to_str().unwrap()]));
    let table = |text: &str| text.split("results in").next().unwrap().to_owned();
    assert_eq!(table(&from_folder), table(&again));
}

#[test]
fn the_command_line_makes_grids_and_hypercubes_of_any_scenario() {
    let folder = Folder::new();
    let plain = SMALL.split("[sweep]").next().unwrap();
    folder.file("plain.toml", plain);
    let results = |arguments: &[&str]| -> Value {
        let mut all = vec!["plain.toml", "--json", "--replications", "1"];
        all.extend(arguments);
        serde_json::from_str(&stdout(&sweep(&folder, &all))).unwrap()
    };
    let grid = results(&[
        "--set",
        "balancer.algorithm=least_conn,random",
        "--set",
        "load=0.5..0.7",
        "--set",
        "scenario.duration=1s",
    ]);
    assert_eq!(grid["points"].as_array().unwrap().len(), 10);
    // Three servers of 100/s each: half of that is 150/s.
    let offered = grid["points"][0]["offered"].as_f64().unwrap();
    assert!((100.0..200.0).contains(&offered), "{offered}");
    let cube = results(&[
        "--set",
        "balancer.algorithm=least_conn,random",
        "--set",
        "load=0.3..0.9",
        "--set",
        "backend.b.service.mean=5ms..50ms log",
        "--samples",
        "8",
        "--measure",
        "mean",
    ]);
    assert_eq!(cube["points"].as_array().unwrap().len(), 16);
    assert_eq!(cube["ranking"]["measure"], "mean");
    let mean = |point: usize| cube["points"][point]["settings"][2]["number"].as_f64().unwrap();
    assert_eq!(mean(0), mean(1), "both policies at each place");
    assert!((5.0..=50.0).contains(&mean(0)) && mean(0) != mean(2));
}

fn refused(folder: &Folder, arguments: &[&str]) -> String {
    let mut all = vec!["sweep"];
    all.extend(arguments);
    let output = clean(folder.lab(&all)).output().unwrap();
    assert_eq!(code(&output), 2, "{}", stderr(&output));
    assert!(!folder.path().join("results").exists(), "{arguments:?} left something");
    stderr(&output)
}

#[test]
fn what_cannot_be_swept_is_refused_before_anything_runs() {
    let folder = Folder::new();
    let plain = SMALL.split("[sweep]").next().unwrap();
    folder.file("plain.toml", plain);
    let said = refused(&folder, &["plain.toml"]);
    assert!(said.contains("nothing to sweep") && said.contains("[[sweep.axis]]"), "{said}");
    let said =
        refused(&folder, &["plain.toml", "--set", "balancer.algorithm=least_conn,leastconn"]);
    assert!(said.contains("did you mean `least_conn`?"), "{said}");
    assert!(said.contains("at the point balancer.algorithm = leastconn"), "{said}");
    let said = refused(&folder, &["plain.toml", "--set", "traffic.rate=10/s..1/s"]);
    assert!(said.contains("not above"), "{said}");
    let said = refused(&folder, &["plain.toml", "--set", "load=0.5,1/s"]);
    assert!(said.contains("is no load"), "{said}");
    let said = refused(&folder, &["plain.toml", "--set", "load=0.5"]);
    assert!(said.contains("is no sweep"), "{said}");
    let said = refused(&folder, &["plain.toml", "--set", "load=0.5,0.6", "--compare", "x.y"]);
    assert!(said.contains("no axis"), "{said}");
    let said = refused(&folder, &["plain.toml", "--set", "load=0.5,0.6", "--shard", "3/2"]);
    assert!(said.contains("K/N"), "{said}");
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    let said = refused(&folder, &["empty"]);
    assert!(said.contains("empty: no folder of a sweep"), "{said}");
    let mut job = clean(folder.lab(&["sweep", "plain.toml", "--set", "load=0.5,0.6"]));
    let output = job.env("JOB_COMPLETION_INDEX", "1").output().unwrap();
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("--shards N"), "{}", stderr(&output));
}
