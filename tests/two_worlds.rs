//! One scenario end to end in both worlds: real processes and sockets against the model.
#![cfg(feature = "cli")]

mod support;

use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use support::{Folder, SMALL, code, processes_of, ran, stderr, stdout, wait_until};

fn summary(folder: &Folder, run: usize) -> Value {
    let path = folder.runs("small")[run].join("summary.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn the_worlds_get_the_same_requests_and_agree() {
    let folder = Folder::new();
    folder.file("small.toml", SMALL);
    let output = folder.run(&["run", "small.toml"]);
    // A busy machine may make the measurement invalid; it says so, and the numbers are there.
    assert!(ran(&output), "{}\n{}", stdout(&output), stderr(&output));
    let results = summary(&folder, 0);
    let (sim, live) = (&results["worlds"][0], &results["worlds"][1]);
    assert_eq!(sim["requests"], live["requests"], "the same plan");
    assert!(sim["requests"].as_u64().unwrap() > 200);
    let p50 = |world: &Value| world["latency"]["p50"]["value"].as_f64().unwrap();
    assert!((p50(sim) / p50(live) - 1.0).abs() < 0.35, "{} and {}", p50(sim), p50(live));
    let share = |world: &Value| world["shares"][0]["share"].as_f64().unwrap();
    assert!((share(sim) - share(live)).abs() < 0.08, "{} and {}", share(sim), share(live));
    assert!(results["comparison"]["paired"]["pairs"].as_u64().unwrap() > 200);
    let models = results["comparison"]["attribution"].as_array().unwrap();
    assert_eq!(models.len(), 2, "planned and driven, without a calibration");

    let run = &folder.runs("small")[0];
    let manifest: Value =
        serde_json::from_slice(&std::fs::read(run.join("run.json")).unwrap()).unwrap();
    let proof = &manifest["faults"][0];
    assert_eq!(proof["bit"], true, "the crash is proved: {proof}");
    assert!(proof["during"].as_str().unwrap().contains("refused"), "{proof}");

    let compared = folder.run(&["compare", run.to_str().unwrap(), "--json"]);
    let again: Value = serde_json::from_slice(&compared.stdout).unwrap();
    assert_eq!(again["worlds"][1]["requests"], live["requests"], "read back from Parquet");
    assert_eq!(
        again["comparison"]["failed_difference"],
        results["comparison"]["failed_difference"]
    );
}

#[test]
fn an_interrupted_run_keeps_what_was_measured() {
    let folder = Folder::new();
    folder.file("small.toml", &SMALL.replace("duration = \"3s\"", "duration = \"20s\""));
    let lab = folder.lab(&["run", "small.toml", "--only", "live", "--quiet"]).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(4));
    let told = Command::new("kill").args(["-INT", &lab.id().to_string()]).status().unwrap();
    assert!(told.success());
    let output = lab.wait_with_output().unwrap();
    assert_eq!(code(&output), 130);
    let results = summary(&folder, 0);
    assert_eq!(results["partial"], true);
    let requests = results["worlds"][0]["requests"].as_u64().unwrap();
    assert!((100..1_500).contains(&requests), "{requests}");
    let offered = results["worlds"][0]["offered"].as_f64().unwrap();
    assert!((70.0..130.0).contains(&offered), "measured up to the interruption: {offered}/s");
    assert!(wait_until(Duration::from_secs(2), || processes_of(folder.path()).is_empty()));
}

#[test]
fn a_truncated_record_is_a_clear_error() {
    let folder = Folder::new();
    folder.file("small.toml", SMALL);
    assert_eq!(code(&folder.run(&["run", "small.toml", "--only", "sim", "--quiet"])), 0);
    let run = folder.runs("small").remove(0);
    let requests = run.join("requests.parquet");
    let bytes = std::fs::read(&requests).unwrap();
    std::fs::write(&requests, &bytes[..bytes.len() / 2]).unwrap();
    let output = folder.run(&["compare", run.to_str().unwrap()]);
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("requests.parquet"), "{}", stderr(&output));
    assert!(!stderr(&output).contains("panicked"), "{}", stderr(&output));
}

#[test]
fn a_port_in_use_is_a_clear_error() {
    let folder = Folder::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = folder.run(&["backend", "--listen", &address]);
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains(&address), "{}", stderr(&output));
}

#[test]
fn a_trace_with_text_for_numbers_is_a_clear_error() {
    let folder = Folder::new();
    folder.file("trace.csv", "at\n0.0\n0.5\nlater\n");
    let arrival = "arrival = { process = \"trace\", file = \"trace.csv\" }";
    folder.file("small.toml", &SMALL.replace("rate = \"100/s\"", arrival));
    let output = folder.run(&["run", "small.toml", "--only", "sim"]);
    assert_eq!(code(&output), 2, "{}", stderr(&output));
    let said = stderr(&output);
    assert!(said.contains("trace.csv") && said.contains("later") && said.contains('4'), "{said}");
}

#[test]
fn an_interrupted_model_keeps_what_it_has() {
    let folder = Folder::new();
    folder.file("small.toml", &SMALL.replace("duration = \"3s\"", "duration = \"2000h\""));
    let arguments = ["run", "small.toml", "--only", "sim", "--replications", "1", "--quiet"];
    let lab = folder.lab(&arguments).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(1));
    let told = Command::new("kill").args(["-INT", &lab.id().to_string()]).status().unwrap();
    assert!(told.success());
    assert_eq!(code(&lab.wait_with_output().unwrap()), 130);
    let results = summary(&folder, 0);
    assert_eq!(results["partial"], true);
    let requests = results["worlds"][0]["requests"].as_u64().unwrap();
    assert!((1_000..700_000_000).contains(&requests), "{requests}");
}

#[test]
fn a_trace_and_replaced_keys_reach_both_worlds_and_the_record() {
    let folder = Folder::new();
    let arrivals: String = (0..200).map(|n| format!("{}\n", f64::from(n) * 0.01)).collect();
    folder.file("trace.csv", &format!("at\n{arrivals}"));
    let arrival = "arrival = { process = \"trace\", file = \"trace.csv\" }";
    let quiet = SMALL.split("[[fault]]").next().unwrap().replace("rate = \"100/s\"", arrival);
    folder.file("small.toml", &quiet);
    let output = folder.run(&["run", "small.toml", "--set", "backend.b.weight=3"]);
    assert!(ran(&output), "{}\n{}", stdout(&output), stderr(&output));
    let results = summary(&folder, 0);
    for world in [0, 1] {
        assert_eq!(results["worlds"][world]["requests"], 150, "those due after the warm-up");
    }
    let compared = folder.run(&["compare", folder.runs("small")[0].to_str().unwrap(), "--json"]);
    let again: Value = serde_json::from_slice(&compared.stdout).unwrap();
    assert_eq!(again["worlds"][0]["shares"][1]["weight"], 3, "{}", stderr(&compared));
}
