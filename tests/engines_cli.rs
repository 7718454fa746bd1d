//! Engines from the command line: what is refused before anything starts, and a balancer that runs
//! already.
#![cfg(feature = "cli")]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;
use support::{Folder, SMALL, code, ran, stderr, stdout};

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
    let all = std::fs::read(run.join("summary.json")).unwrap();
    let all: Value = serde_json::from_slice(&all).unwrap();
    let top = folder.run(&["compare", run.to_str().unwrap(), "--json"]);
    assert_eq!(code(&top), 0, "{}", stderr(&top));
    let top: Value = serde_json::from_slice(&top.stdout).unwrap();
    assert_eq!(all["statistics"], top["statistics"]);
    assert_eq!(all["apart"], top["apart"]);
    let top = folder.run(&["compare", run.to_str().unwrap()]);
    assert!(stdout(&top).contains("nginx − own"), "{}", stdout(&top));
}

/// lab's own proxy, started here, is in front of backends at the addresses that the scenario gives.
#[test]
fn a_balancer_that_runs_already_is_driven_at_its_url() {
    let folder = Folder::new();
    let free = || TcpListener::bind("127.0.0.1:0").unwrap();
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
    assert!(ran(&output), "{}", stderr(&output));
    let summary = std::fs::read(folder.runs("small")[0].join("summary.json")).unwrap();
    let results: Value = serde_json::from_slice(&summary).unwrap();
    assert!(results["worlds"][0]["requests"].as_u64().unwrap() > 200);
    assert_eq!(results["worlds"][0]["failed"], 0);
    assert!(results["worlds"][0]["shares"][1]["requests"].as_u64().unwrap() > 50);
}

/// Serves every request until the process ends; the first lines and `host` fields that came.
fn stub() -> (std::net::SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::<Mutex<Vec<String>>>::default();
    let heads = Arc::clone(&seen);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let heads = Arc::clone(&heads);
            thread::spawn(move || {
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let mut stream = stream;
                let mut head = String::new();
                while let Some(Ok(line)) = lines.next() {
                    if line.starts_with("GET ") || line.starts_with("host: ") {
                        head.push_str(&format!("{line}\n"));
                    } else if line.is_empty() {
                        heads.lock().unwrap().push(std::mem::take(&mut head));
                        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                        if stream.write_all(answer).is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    (address, seen)
}

#[test]
fn the_host_and_the_path_of_a_url_reach_the_requests() {
    let folder = Folder::new();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (address, seen) = stub();
    let text = SMALL.split("[[backend]]").next().unwrap().replace("\"3s\"", "\"1s\"");
    let text = text.replace("\"500ms\"", "\"100ms\"");
    let backend = format!(
        "{text}[[backend]]\nname = \"a\"\naddress = \"{free}\"\n\
         service = {{ law = \"exponential\", mean = \"10ms\" }}\n"
    );
    folder.file("small.toml", &backend);
    let host = format!("localhost:{}", address.port());
    let url = format!("url:http://{host}/shop/v1/");
    let arguments = ["run", "small.toml", "--engine", &url, "--only", "live", "--quiet"];
    let output = folder.run(&arguments);
    assert!(ran(&output), "{}", stderr(&output));
    let seen = seen.lock().unwrap();
    let expected = format!("GET /shop/v1/ HTTP/1.1\nhost: {host}\n");
    assert!(seen.len() > 50, "{} requests", seen.len());
    assert!(seen.iter().all(|head| *head == expected), "{expected}: {:?}", seen.first());
    for wrong in ["url:http://u@h/", "url:http://h/a?b", "url:http://h/#a", "url:https://h/"] {
        let output = folder.run(&["run", "small.toml", "--engine", wrong]);
        assert_eq!(code(&output), 2, "{wrong}");
        assert!(stderr(&output).contains("is no engine"), "{wrong}: {}", stderr(&output));
    }
}
