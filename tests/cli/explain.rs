//! `lab explain` on the failover scenario, against the rows that it was told from.

use std::path::{Path, PathBuf};

use lab::record::{AttemptRow, RequestRow, read};
use serde_json::Value;

use crate::support::{Folder, code, stdout};

fn failover(folder: &Folder) -> PathBuf {
    let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/failover.toml");
    let ran = folder.run(&["run", scenario.to_str().unwrap(), "--only", "sim", "-q"]);
    assert_eq!(code(&ran), 0, "{ran:?}");
    folder.path().join("results/failover/latest")
}

fn rows(run: &Path) -> (Vec<RequestRow>, Vec<AttemptRow>) {
    let (mut requests, mut attempts) = (Vec::new(), Vec::new());
    read::requests(&run.join("requests.parquet"), |row| requests.push(*row)).unwrap();
    read::attempts(&run.join("attempts.parquet"), |row| attempts.push(*row)).unwrap();
    (requests, attempts)
}

fn explained(folder: &Folder, run: &Path, check: &str) -> Value {
    let output = folder.run(&["explain", run.to_str().unwrap(), check, "--json"]);
    assert_eq!(code(&output), 0, "{output:?}");
    serde_json::from_slice::<Value>(&output.stdout).unwrap()["explanations"][0].take()
}

#[test]
fn requests_parts_and_decisions_are_those_of_the_rows() {
    let folder = Folder::new();
    let run = failover(&folder);
    let (requests, attempts) = rows(&run);

    let told = explained(&folder, &run, "p99 < 300ms");
    assert_eq!((&told["verdict"], &told["world"]), (&"failed".into(), &"sim".into()));
    let measured: Vec<&RequestRow> =
        requests.iter().filter(|row| row.scheduled_ns >= 3_000_000_000).collect();
    let slower = measured.iter().filter(|row| row.latency_ns() > 300_000_000).count();
    assert_eq!(told["requests"], measured.len());
    assert_eq!(told["deciding"], slower);
    // Uniform service and idle workers: what is slow was served for long, and nothing else.
    let parts = told["split"]["parts"].as_array().unwrap();
    let share = |name: &str| {
        let part = parts.iter().find(|part| part["part"] == name).unwrap();
        part["share_of_excess"].as_f64().unwrap()
    };
    assert!(share("service") > 0.9, "{parts:#?}");
    let sum: f64 = parts.iter().map(|part| part["share_of_excess"].as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-9, "{sum}");

    // The slowest were on their way when the server was killed.
    let told = explained(&folder, &run, "max < 500ms");
    let worst = &told["examples"][0];
    let slowest = measured.iter().max_by_key(|row| row.latency_ns()).unwrap();
    assert_eq!(
        (&worst["id"], &worst["latency_ns"]),
        (&slowest.id.into(), &slowest.latency_ns().into())
    );
    let parts: u64 = worst["parts"].as_array().unwrap().iter().map(|ns| ns.as_u64().unwrap()).sum();
    assert_eq!(parts, slowest.latency_ns());
    assert!(worst["parts"][3].as_u64().unwrap() > 0, "the fault took nothing: {worst:#}");
    let decisions = worst["decisions"].as_array().unwrap();
    assert_eq!(decisions.len(), 2, "{worst:#}");
    assert_eq!(
        (&decisions[0]["server"], &decisions[0]["outcome"]),
        (&"b2".into(), &"broke the connection".into())
    );
    assert!(decisions[1]["saw"][1]["state"].as_str().unwrap().starts_with("crash-b2"), "{worst:#}");
    for decision in decisions {
        let at = decision["at_ns"].as_u64().unwrap();
        for (peer, saw) in decision["saw"].as_array().unwrap().iter().enumerate() {
            let there = |row: &&AttemptRow| {
                row.upstream as usize == peer
                    && row.id != slowest.id
                    && row.start_ns < at
                    && at < row.end_ns
            };
            assert_eq!(saw["in_flight"], attempts.iter().filter(there).count(), "{decision:#}");
        }
        let reason = decision["reason"].as_str().unwrap();
        assert!(reason.contains("least_conn"), "{reason}");
    }
}

#[test]
fn it_is_told_in_words_and_says_what_it_cannot_find() {
    let folder = Folder::new();
    let run = failover(&folder);
    let run = run.to_str().unwrap();
    let output = folder.run(&["explain", run, "max < 500ms", "--requests", "1"]);
    let text = stdout(&output);
    for words in [
        "FAILED  max < 500ms",
        "faults",
        "→ b2, picked: broke the connection",
        "saw in flight",
        "chose by least_conn",
        "of what they take longer",
    ] {
        assert!(text.contains(words), "no {words:?} in:\n{text}");
    }
    assert_eq!(stdout(&folder.run(&["explain", run])), "no check failed\n");
    assert!(stdout(&folder.run(&["explain", run, "2"])).contains("p50 = 300ms"));
    for (wrong, why) in
        [("99", "there is no check 99"), ("p99 <", "p99 <: "), ("p99(class = nope) < 1s", "nope")]
    {
        let output = folder.run(&["explain", run, wrong]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned() + &stdout(&output);
        assert!(said.contains(why), "{wrong}: {said}");
    }
}
