//! Engines from the command line: what is refused before anything starts, and a balancer that runs
//! already.
#![cfg(feature = "cli")]

mod support;

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::Value;
use support::{Folder, SMALL, code, stderr, stdout};

#[test]
fn a_missing_engine_is_named_with_its_package_before_anything_starts() {
    let folder = Folder::new();
    folder.file("small.toml", SMALL);
    for engines in ["nginx", "own,nginx", "haproxy,own"] {
        let mut lab = folder.lab(&["run", "small.toml", "--engine", engines]);
        let output = lab.env("PATH", folder.path()).output().unwrap();
        assert_eq!(code(&output), 1, "{}", stderr(&output));
        let missing = if engines.contains("nginx") { "nginx" } else { "haproxy" };
        let said = stderr(&output);
        assert!(said.contains(&format!("{missing} is not installed")), "{said}");
        assert!(said.contains(&format!("package {missing} (Debian)")), "{said}");
        assert!(!said.contains("model"), "nothing ran: {said}");
        assert!(folder.runs("small").is_empty());
    }
}

/// A calibration of three engines takes a minute and a half before it comes to the fourth.
#[test]
fn a_calibration_names_a_missing_engine_before_it_measures_the_others() {
    let folder = Folder::new();
    let mut lab = folder.lab(&["calibrate", "--engine", "own,nginx", "--out", "costs.json"]);
    let output = lab.env("PATH", folder.path()).output().unwrap();
    assert_eq!(code(&output), 1, "{}", stderr(&output));
    assert!(stderr(&output).contains("nginx is not installed"), "{}", stderr(&output));
    assert!(!stderr(&output).contains("starting"), "nothing ran: {}", stderr(&output));
    assert!(!folder.path().join("costs.json").exists());
}

#[test]
fn wrong_engines_are_wrong_usage() {
    let folder = Folder::new();
    folder.file("small.toml", SMALL);
    for (arguments, said) in [
        (vec!["--engine", "ngin"], "is no engine"),
        (vec!["--engine", "own,own"], "names own twice"),
        (vec!["--engine", "own,nginx", "--theory"], "goes with one engine"),
        (vec!["--engine", "own,nginx", "--engine-config", "a"], "is for one engine"),
        (vec!["--engine-config", "absent.conf"], "cannot read absent.conf"),
        (vec!["--engine", "url:http://127.0.0.1:1"], "must find this backend"),
    ] {
        let output = folder.run(&[&["run", "small.toml"], &arguments[..]].concat());
        assert_eq!(code(&output), 2, "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(said), "{arguments:?}: {}", stderr(&output));
    }
    let output = folder.run(&["config", "own", "small.toml"]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("has no configuration"), "{}", stderr(&output));
}

#[test]
fn the_models_of_several_engines_leave_a_run_each() {
    let folder = Folder::new();
    folder.file("small.toml", SMALL);
    let output = folder.run(&["run", "small.toml", "--engine", "own,nginx", "--only", "sim"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stdout(&output).contains("nginx − own"), "{}", stdout(&output));
    let run = folder.runs("small").remove(0);
    for file in ["summary.json", "comparison.png", "own/run.json", "nginx/requests.parquet"] {
        assert!(run.join(file).exists(), "{file}");
    }
    let (own, nginx) = (run.join("own"), run.join("nginx"));
    let two = folder.run(&["compare", own.to_str().unwrap(), nginx.to_str().unwrap()]);
    assert_eq!(code(&two), 0, "{}", stderr(&two));
    assert!(stdout(&two).contains("A against B"), "{}", stdout(&two));
    let text = std::fs::read(nginx.join("summary.json")).unwrap();
    let saved: Value = serde_json::from_slice(&text).unwrap();
    let again = folder.run(&["compare", nginx.to_str().unwrap(), "--json"]);
    let again: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(saved["worlds"][0]["shares"], again["worlds"][0]["shares"], "the same rules");
}

/// lab's own proxy, started here, is in front of backends at the addresses that the scenario gives.
#[test]
fn a_balancer_that_runs_already_is_driven_at_its_url() {
    let folder = Folder::new();
    let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let held = [free(), free()];
    let addresses = held.each_ref().map(|it| it.local_addr().unwrap());
    drop(held);
    let quiet = SMALL.split("[[fault]]").next().unwrap().to_owned();
    let with = |text: String, name: &str, address: &str| {
        let line = format!("name = \"{name}\"\nworkers");
        text.replace(&line, &format!("name = \"{name}\"\naddress = \"{address}\"\nworkers"))
    };
    let text = with(quiet, "a", &addresses[0].to_string());
    folder.file("small.toml", &with(text, "b", &addresses[1].to_string()));
    let mut proxy = folder
        .lab(&["proxy", "--config", "small.toml", "--listen", "127.0.0.1:0"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    BufReader::new(proxy.stderr.take().unwrap()).read_line(&mut said).unwrap();
    let at = said.find("127.0.0.1:").unwrap_or_else(|| panic!("no address in {said:?}"));
    let listen: String =
        said[at..].chars().take_while(|c| c.is_ascii_digit() || ".:".contains(*c)).collect();
    let url = format!("url:http://{}", listen.trim_end_matches(['.', ':']));
    let output = folder.run(&["run", "small.toml", "--engine", &url, "--only", "live", "--quiet"]);
    proxy.kill().unwrap();
    proxy.wait().unwrap();
    assert!(matches!(code(&output), 0 | 4), "{}", stderr(&output));
    let summary = std::fs::read(folder.runs("small")[0].join("summary.json")).unwrap();
    let results: Value = serde_json::from_slice(&summary).unwrap();
    assert!(results["worlds"][0]["requests"].as_u64().unwrap() > 200);
    assert_eq!(results["worlds"][0]["failed"], 0);
    assert!(results["worlds"][0]["shares"][1]["requests"].as_u64().unwrap() > 50);
}
