//! A scenario that disturbs a real engine, run in both worlds from the command line, and what must
//! hold whichever engine it is: the model follows it through a crash and a drain, and nothing of
//! it is left when lab is killed.

use std::path::Path;
use std::process::Stdio;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lab::record::{EventKind, EventRow, read};
use lab::units::World;
use serde_json::Value;

use crate::support::{Folder, processes_of, ran, stderr, stdout, wait_until};

/// Three backends; one dies for two seconds, another is drained after that. Service takes long, so
/// that what a busy host adds is little beside it.
const DISTURBED: &str = r#"
schema_version = 1

[scenario]
name = "disturbed"
seed = 7
duration = "8s"
warm_up = "500ms"

[traffic]
rate = "80/s"

[traffic.client]
timeout = "2s"

[balancer]
BALANCER

[[backend]]
name = "a"
weight = 2
workers = 16
service = { law = "uniform", low = "50ms", high = "150ms" }

[[backend]]
name = "b"
workers = 16
service = { law = "uniform", low = "50ms", high = "150ms" }

[[backend]]
name = "c"
workers = 16
service = { law = "uniform", low = "50ms", high = "150ms" }

[[fault]]
name = "crash-b"
kind = "crash"
at = "1500ms"
for = "2s"
target = "b"

[[fault]]
name = "drain-c"
kind = "drain"
at = "5s"
for = "2s"
target = "c"
"#;

/// The scenario with these lines of `[balancer]`, without its faults and a quarter as long.
pub(crate) fn quiet(balancer: &str) -> String {
    let quiet = DISTURBED.split("[[fault]]").next().unwrap_or_default();
    quiet.replace("\"8s\"", "\"2s\"").replace("BALANCER", balancer)
}

/// Live runs take turns: two at once would disturb each other.
static LIVE: Mutex<()> = Mutex::new(());

pub(crate) fn alone() -> MutexGuard<'static, ()> {
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// What a run in both worlds came to.
pub(crate) struct Worlds {
    pub(crate) sim: Value,
    pub(crate) live: Value,
    pub(crate) manifest: Value,
    /// In order of their time.
    events: Vec<EventRow>,
}

fn events(path: &Path) -> Vec<EventRow> {
    let mut events = Vec::new();
    read::events(path, |row| events.push(row.clone())).unwrap();
    events.sort_by_key(|row| row.at_ns);
    events
}

/// These lines of `[balancer]`, and checks that find a crash within a second.
pub(crate) fn checked(balancer: &str) -> String {
    let health =
        "path = \"/health\"\ninterval = \"500ms\"\ntimeout = \"250ms\"\nrise = 2\nfall = 2\n";
    format!("{balancer}\n[balancer.health]\n{health}")
}

impl Worlds {
    /// Runs the scenario with these lines of `[balancer]`, and checks what no engine may miss.
    pub(crate) fn disturbed(balancer: &str) -> Self {
        let _alone = alone();
        let folder = Folder::new();
        folder.file("disturbed.toml", &DISTURBED.replace("BALANCER", balancer));
        let output = folder.run(&["run", "disturbed.toml", "--rounds", "1"]);
        // A busy machine may make the measurement invalid; it says so, and the numbers are there.
        assert!(ran(&output), "{}\n{}", stdout(&output), stderr(&output));
        let run = folder.runs("disturbed").remove(0);
        let results = json(&run.join("summary.json"));
        let worlds = Self {
            sim: results["worlds"][0].clone(),
            live: results["worlds"][1].clone(),
            manifest: json(&run.join("run.json")),
            events: events(&run.join("events.parquet")),
        };
        let stopped = || processes_of(folder.path()).is_empty();
        assert!(wait_until(Duration::from_secs(2), stopped), "{:?}", processes_of(folder.path()));
        worlds.agree();
        worlds.were_disturbed();
        worlds
    }

    /// Requests of each world.
    pub(crate) fn requests(&self) -> u64 {
        self.live["requests"].as_u64().unwrap()
    }

    /// The number under `name` in the engine's own statistics; 0 if it is not there.
    pub(crate) fn statistic(&self, name: &str) -> u64 {
        let statistics = self.manifest["engine"]["statistics"].as_array().unwrap();
        let found = statistics.iter().find(|pair| pair[0].as_str() == Some(name));
        found.map_or(0, |pair| pair[1].as_str().unwrap().parse().unwrap())
    }

    /// The engine shows that the killed server went out and came back, and that the other was drained
    /// for a while; as the model has it, and as late as a look each second may be.
    pub(crate) fn peers_changed(&self, engine: &str) {
        for (peer, kinds) in [
            ("b", [EventKind::Ejected, EventKind::Restored]),
            ("c", [EventKind::Drained, EventKind::Restored]),
        ] {
            let of = |world| -> Vec<&EventRow> {
                let of_it = |row: &&EventRow| row.world == world && row.subject == peer;
                let mut rows: Vec<&EventRow> = self.events.iter().filter(of_it).collect();
                // One that is out may be out for another reason afterwards.
                rows.dedup_by_key(|row| row.kind);
                rows
            };
            let (model, live) = (of(World::Sim), of(World::Live));
            let kinds_of = |rows: &[&EventRow]| rows.iter().map(|row| row.kind).collect::<Vec<_>>();
            assert_eq!(kinds_of(&live), kinds, "{peer}: {live:#?}");
            assert_eq!(kinds_of(&model), kinds, "{peer}: {model:#?}");
            for (model, live) in model.iter().zip(&live) {
                let late = (live.at_ns as f64 - model.at_ns as f64) / 1e9;
                assert!((-1.0..2.5).contains(&late), "{late} s: {live:?} {model:?}");
                assert!(live.reason.starts_with(&format!("{engine} shows it ")), "{live:?}");
            }
        }
    }

    fn agree(&self) {
        let (sim, live) = (&self.sim, &self.live);
        assert_eq!(sim["requests"], live["requests"], "the same plan");
        assert!(self.requests() > 500, "{}", self.requests());
        for world in [sim, live] {
            let failed = world["failed"].as_u64().unwrap();
            assert!(failed <= 3, "retries hide the crash and a drain loses none, but {failed}");
            assert!(world["retried"].as_u64().unwrap() > 0, "who met the crash went elsewhere");
        }
        for backend in 0..3 {
            let share = |world: &Value| world["shares"][backend]["share"].as_f64().unwrap();
            let (model, real) = (share(sim), share(live));
            assert!((model - real).abs() < 0.06, "backend {backend}: {model} and {real}");
            assert!((0.1..0.7).contains(&real), "backend {backend}: {real}");
        }
        let p50 = |world: &Value| world["latency"]["p50"]["value"].as_f64().unwrap();
        assert!((p50(sim) / p50(live) - 1.0).abs() < 0.35, "{} and {}", p50(sim), p50(live));
    }

    fn were_disturbed(&self) {
        let faults = self.manifest["faults"].as_array().unwrap();
        assert_eq!(faults.len(), 2);
        for fault in faults {
            assert_eq!(fault["bit"], true, "{fault}");
        }
    }
}

/// Kills lab once `is_up` sees what it waits for among the processes, and waits until all are gone.
pub(crate) fn killed(balancer: &str, is_up: impl Fn(&[(u32, String)]) -> bool) {
    let _alone = alone();
    let folder = Folder::new();
    folder.file("disturbed.toml", &DISTURBED.replace("BALANCER", balancer));
    let mut lab = folder
        .lab(&["run", "disturbed.toml", "--only", "live", "--quiet"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let serves = wait_until(Duration::from_secs(20), || is_up(&processes_of(folder.path())));
    assert!(serves, "{:?}", processes_of(folder.path()));
    lab.kill().unwrap();
    lab.wait().unwrap();
    let gone = wait_until(Duration::from_secs(5), || processes_of(folder.path()).is_empty());
    assert!(gone, "left: {:?}", processes_of(folder.path()));
    assert!(folder.runs("disturbed").is_empty(), "half a result");
}
