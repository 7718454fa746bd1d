//! A group of backends that grows and shrinks under load, with real balancers in front of it.
#![cfg(feature = "cli")]

mod support;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use lab::autoscaler::Prometheus;
use lab::autoscaler::prometheus::QueryError;
use lab::live::ports;
use lab::policy::scale::ScaleMetric;
use lab::record::read;
use lab::record::{EventKind, EventRow, TimelineRow};
use lab::units::{Span, World};
use serde_json::Value;
use support::{Folder, ran, stderr, stdout, wait_until};

/// Where an instant counts, no other world in real time has a share of the cores.
static CORES: RwLock<()> = RwLock::new(());

fn shared() -> RwLockReadGuard<'static, ()> {
    CORES.read().unwrap_or_else(PoisonError::into_inner)
}

fn alone() -> RwLockWriteGuard<'static, ()> {
    CORES.write().unwrap_or_else(PoisonError::into_inner)
}

/// One instance does 50 requests a second: 30/s keep one busy, 220/s need five, 20/s one.
const GROUP: &str = r#"
schema_version = 1

[scenario]
seed = 3
duration = "19s"

[[traffic.stage]]
name = "low"
duration = "3s"
rate = "20/s"

[[traffic.stage]]
name = "high"
duration = "7s"
rate = "220/s"

[[traffic.stage]]
name = "after"
rate = "15/s"

[balancer]
algorithm = "least_conn"
keepalive = 16

[[backend]]
name = "api"
workers = 2
service = { law = "constant", value = "40ms" }

[autoscaler]
min = 1
max = 6
poll = "1s"
scrape_interval = "500ms"
rate_window = "1s"
start_up = "300ms"
cooldown_up = "1s"
cooldown_down = "1s"

[autoscaler.threshold]
up = "60%"
down = "30%"
step = 2
"#;

/// Runs a scenario of this name and text in `folder`: where its results are. A busy machine may make
/// the measurement invalid; what happened is there all the same.
fn results_of(folder: &Folder, name: &str, text: &str, arguments: &[&str]) -> PathBuf {
    let file = format!("{name}.toml");
    folder.file(&file, text);
    let output = folder.run(&[&["run", &file], arguments].concat());
    assert!(ran(&output), "{}\n{}", stdout(&output), stderr(&output));
    let runs = folder.runs(name);
    assert_eq!(runs.len(), 1, "{runs:?}");
    runs[0].clone()
}

fn results(run: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(run.join("summary.json")).unwrap()).unwrap()
}

/// What became of the group, in order.
fn scaled(run: &Path) -> Vec<EventRow> {
    let mut events = Vec::new();
    read::events(&run.join("events.parquet"), |row| {
        if row.kind == EventKind::Scaled && row.subject.starts_with("api") {
            events.push(row.clone());
        }
    })
    .unwrap();
    events.sort_by_key(|row| row.at_ns);
    events
}

/// The sizes that were decided upon.
fn sizes(events: &[EventRow]) -> Vec<u32> {
    let decided = events.iter().filter(|row| row.subject == "api");
    let after = decided.filter_map(|row| row.reason.split_once(" → ")?.1.split(' ').next());
    after.map(|size| size.parse().unwrap()).collect()
}

/// From one instance to six and back, and no request is lost.
fn grows_and_shrinks(engine: &str) {
    let _shared = shared();
    let folder = Folder::new();
    let run = results_of(&folder, "group", GROUP, &["--only", "live", "--engine", engine]);
    let events = scaled(&run);
    let words: Vec<_> =
        events.iter().map(|row| format!("{} {}", row.subject, row.reason)).collect();
    assert_eq!(sizes(&events), [3, 5, 6, 4, 2, 1], "{words:#?}");
    let count = |word: &str| events.iter().filter(|row| row.reason.contains(word)).count();
    assert_eq!(count("is ready and serves"), 5, "{words:#?}");
    assert_eq!(count("was drained and stopped"), 5, "{words:#?}");

    let live = &results(&run)["worlds"][0];
    assert!(live["requests"].as_u64().unwrap() > 1500);
    assert_eq!(live["failed"], 0, "{words:#?}\n{}", live["failures"]);
    let shares = live["shares"].as_array().unwrap();
    assert_eq!(shares.len(), 6);
    assert!(shares.iter().all(|one| one["share"].as_f64().unwrap() > 0.02), "{shares:?}");
}

#[test]
fn a_group_grows_to_six_and_back_to_one_behind_labs_proxy() {
    grows_and_shrinks("own");
}

#[test]
fn a_group_grows_to_six_and_back_to_one_behind_nginx() {
    grows_and_shrinks("nginx");
}

#[test]
fn a_group_grows_to_six_and_back_to_one_behind_haproxy() {
    grows_and_shrinks("haproxy");
}

#[test]
fn a_group_grows_to_six_and_back_to_one_behind_envoy() {
    grows_and_shrinks("envoy");
}

/// The autoscaler puts another one in the place of an instance that a fault kills, at once: the
/// next decision by the metric is a minute away.
#[test]
fn an_instance_that_is_killed_is_replaced_at_once() {
    let _alone = alone();
    let folder = Folder::new();
    let text = GROUP
        .replace("\"19s\"", "\"10s\"")
        .replace("\"7s\"", "\"4s\"")
        .replace("220/s", "60/s")
        .replace("min = 1", "min = 2")
        .replace("poll = \"1s\"", "poll = \"60s\"")
        + "\n[[fault]]\nname = \"kill\"\nkind = \"crash\"\ntarget = \"api-1\"\nat = \"3s\"\n\
           for = \"3s\"\n";
    let run = results_of(&folder, "killed", &text, &["--only", "live"]);
    let events = scaled(&run);
    let words: Vec<_> =
        events.iter().map(|row| format!("{} {}", row.subject, row.reason)).collect();
    let at = |word: &str| {
        let found = events.iter().find(|row| row.reason.contains(word));
        found.unwrap_or_else(|| panic!("{word}: {words:#?}")).at_ns as f64 / 1e9
    };
    assert!((3.0..3.5).contains(&at("ended (")), "{words:#?}");
    assert!(at("(start 1)") - at("ended (") < 0.3, "{words:#?}");
    assert!(at("is ready and serves") < 5.0, "{words:#?}");
    let manifest: Value =
        serde_json::from_slice(&std::fs::read(run.join("run.json")).unwrap()).unwrap();
    assert_eq!(manifest["faults"][0]["bit"], true, "{}", manifest["faults"]);
}

/// Three metrics, each of which has its hour: 20/s, 110/s and 20/s at a target of 30/s for each
/// instance, then what is external, at 10 for each. No instance is busy for 90 % of its time.
const SEVERAL: &str = r#"
schema_version = 1

[scenario]
seed = 3
duration = "13s"

[traffic]
arrival = { process = "uniform" }

[[traffic.stage]]
name = "low"
duration = "3200ms"
rate = "20/s"

[[traffic.stage]]
name = "high"
duration = "3s"
rate = "110/s"

[[traffic.stage]]
name = "after"
rate = "20/s"

[balancer]
algorithm = "least_conn"
keepalive = 16

[[backend]]
name = "api"
workers = 8
service = { law = "constant", value = "40ms" }

[autoscaler]
max = 6
poll = "1s"
scrape_interval = "500ms"
rate_window = "1s"

[[autoscaler.metric]]
name = "utilization"
average_value = "90%"

[[autoscaler.metric]]
of = "balancer"
name = "requests"
average_value = "30/s"

[[autoscaler.metric]]
of = "external"
name = "tasks"
series = [{ at = "0s", value = 5 }, { at = "9500ms", value = 25 }]
average_value = 10

[autoscaler.target]
stabilization = "0s"
"#;

#[test]
fn of_several_metrics_the_one_that_wants_most_counts_in_both_worlds() {
    let _alone = alone();
    let folder = Folder::new();
    let events = scaled(&results_of(&folder, "several", SEVERAL, &[]));
    for world in [World::Sim, World::Live] {
        let events: Vec<_> = events.iter().filter(|row| row.world == world).cloned().collect();
        let words: Vec<_> = events.iter().map(|row| &row.reason).collect();
        assert_eq!(sizes(&events), [4, 2, 1, 3], "{world:?} {words:#?}");
        let most = |word: &str| {
            let told = |words: &&&String| words.contains(word) && words.contains("most of 3");
            words.iter().filter(told).count()
        };
        assert!(most(": request rate at the balancer ") >= 2, "{world:?} {words:#?}");
        assert_eq!(most(": tasks 25 beside a target of 10 per instance takes 3"), 1, "{words:#?}");
    }
}

/// What the balancer gets and what is external, asked of the Prometheus of the run.
const ASKED: &str = r#"
schema_version = 1

[scenario]
seed = 3
duration = "34s"

[traffic]
arrival = { process = "uniform" }

[[traffic.stage]]
name = "low"
duration = "17s"
rate = "20/s"

[[traffic.stage]]
name = "high"
duration = "8s"
rate = "110/s"

[[traffic.stage]]
name = "after"
rate = "20/s"

[balancer]
algorithm = "least_conn"
keepalive = 16

[[backend]]
name = "api"
workers = 8
service = { law = "constant", value = "40ms" }

[autoscaler]
max = 6
poll = "1s"
scrape_interval = "1s"
rate_window = "3s"
source = "prometheus"

[[autoscaler.metric]]
of = "balancer"
name = "requests"
average_value = "32/s"

# The words that a queue would be asked by; there is none here, and the answer is the same.
[[autoscaler.metric]]
of = "external"
name = "tasks"
query = "15 * (count(up{job='backends'}) > bool 0)"
average_value = 10

[autoscaler.target]
stabilization = "0s"
"#;

/// 15 tasks take two instances, 110 requests a second take four, and when these are over the tasks
/// keep two. Prometheus looks for targets each five seconds, and the autoscaler's polls back off while
/// it knows nothing: hence the long beginning.
#[test]
fn balancer_and_external_metrics_are_asked_of_a_real_prometheus() {
    let _shared = shared();
    let folder = Folder::new();
    let listen = format!("--prometheus={}", ports::free(1).unwrap()[0]);
    let events = scaled(&results_of(&folder, "asked", ASKED, &["--only", "live", &listen]));
    let words: Vec<_> = events.iter().map(|row| &row.reason).collect();
    let sizes = sizes(&events);
    assert_eq!(sizes.first(), Some(&2), "{words:#?}");
    assert_eq!(sizes.iter().max(), Some(&4), "{words:#?}");
    assert_eq!(sizes.last(), Some(&2), "{words:#?}");
    let told = |what: &str| words.iter().any(|reason| reason.contains(what));
    assert!(told("1 → 2") && told("tasks 15 beside a target of 10 per"), "{words:#?}");
    assert!(told("request rate at the balancer"), "{words:#?}");
}

/// An instance that is decided upon in the first seconds and takes 2.5 s to be ready.
const SLOW_START: &str = r#"
schema_version = 1

[scenario]
seed = 3
duration = "8s"

[traffic]
rate = "60/s"
arrival = { process = "uniform" }

[balancer]
algorithm = "least_conn"

[[backend]]
name = "api"
workers = 4
service = { law = "constant", value = "40ms" }

[autoscaler]
max = 2
poll = "1s"
scrape_interval = "500ms"
rate_window = "1s"
start_up = "2500ms"

[autoscaler.threshold]
up = "40%"
down = "10%"
"#;

#[test]
fn both_timelines_count_the_instances_that_are_ready() {
    let _shared = shared();
    let folder = Folder::new();
    let run = results_of(&folder, "slow", SLOW_START, &[]);
    let mut rows: Vec<TimelineRow> = Vec::new();
    read::timeline(&run.join("timeline.parquet"), |row| rows.push(*row)).unwrap();
    let ready = |world: World| -> Vec<u16> {
        let of = |second| rows.iter().find(|row| row.world == world && row.second == second);
        (0..8).map_while(|second| of(second).map(|row| row.instances)).collect()
    };
    let events = scaled(&run);
    for world in [World::Sim, World::Live] {
        let counted = ready(world);
        let at = |what: &str| {
            let found = events.iter().find(|row| row.world == world && row.reason.contains(what));
            found.unwrap_or_else(|| panic!("{what}: {events:#?}")).at_ns as f64 / 1e9
        };
        let (decided, serves) = (at("1 → 2"), at("is ready and serves"));
        assert!(serves - decided > 2.4, "{world:?} {decided} {serves}");
        for (second, count) in counted.iter().enumerate() {
            let end = second as f64 + 1.0;
            // At the very instant either may be.
            if (end - serves).abs() > 0.2 {
                assert_eq!(
                    *count,
                    if end < serves { 1 } else { 2 },
                    "{world:?} {serves} {counted:?}"
                );
            }
        }
        assert!(counted.contains(&1) && counted.contains(&2), "{world:?} {counted:?}");
    }
}

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A Prometheus that scrapes `target` each second.
fn prometheus(folder: &Folder, listen: SocketAddr, target: SocketAddr) -> Running {
    let config = folder.file(
        "prometheus.yml",
        &format!(
            "global: {{ scrape_interval: 1s, scrape_timeout: 1s }}\nscrape_configs:\n\
             - job_name: backends\n  static_configs: [{{ targets: ['{target}'] }}]\n"
        ),
    );
    let mut command = Command::new("prometheus");
    command.arg(format!("--config.file={}", config.display()));
    command.arg(format!("--web.listen-address={listen}"));
    command.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    Running(command.spawn().expect("prometheus is installed by tests/run"))
}

/// What Prometheus says of a backend that works half of its time is that; while it is away the
/// error says so, and once it is back it is asked again.
#[test]
fn prometheus_is_asked_for_the_utilization() {
    let _shared = shared();
    let folder = Folder::new();
    let [listen, backend] = ports::free(2).unwrap()[..] else { panic!("two ports") };
    let start = |arguments: &[String]| {
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut command = folder.lab(&words);
        Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    };
    let _backend = start(&[
        "backend".to_owned(),
        format!("--listen={backend}"),
        "--workers=2".to_owned(),
        "--service=constant:40ms".to_owned(),
    ]);
    let running = prometheus(&folder, listen, backend);
    // `lab load` says at once that nobody listens, instead of a minute later that all failed.
    let listens = || std::net::TcpStream::connect(backend).is_ok();
    assert!(wait_until(Duration::from_secs(20), listens), "{backend} is to listen");
    let load = ["load".to_owned(), format!("--target=http://{backend}")];
    let rate = ["--rate=25/s", "--arrival=uniform", "--duration=60s"].map(str::to_owned);
    let _load = start(&[load.to_vec(), rate.to_vec()].concat());

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let query = Prometheus::default_query(ScaleMetric::Utilization, Span::from_secs(4));
    let url = format!("http://{listen}");
    let asked = Prometheus::new(&url, query, "api", Span::from_secs(4)).unwrap();
    let ask = || runtime.block_on(asked.ask());
    let value = || ask().ok()?.first()?.value();
    let half = || value().is_some_and(|value| (0.45..0.55).contains(&value));
    assert!(wait_until(Duration::from_secs(20), half), "{:?}", ask());
    assert_eq!(ask().unwrap()[0].metric["instance"], backend.to_string());

    let wrong = Prometheus::new(&url, "rate(".to_owned(), "api", Span::from_secs(4)).unwrap();
    let refused = runtime.block_on(wrong.ask());
    assert!(matches!(refused, Err(QueryError::Refused { .. })), "{refused:?}");

    drop(running);
    assert!(matches!(ask(), Err(QueryError::Silent(_))), "{:?}", ask());
    let _again = prometheus(&folder, listen, backend);
    assert!(wait_until(Duration::from_secs(20), half), "{:?}", ask());
}
