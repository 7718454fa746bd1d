//! A whole run beside a real Prometheus: every query of every dashboard finds something in it.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::panels::{Dashboard, Filled};
use super::prometheus::{ask, get};
use super::shown::Run;
use super::support::{Folder, code, processes_of, stderr};

/// Two backends, one of which dies and comes back.
const SCENARIO: &str = r#"
schema_version = 1

[scenario]
name = "seen"
seed = 7
duration = "24s"

[traffic]
rate = "80/s"

[traffic.client]
timeout = "1s"

[balancer]
algorithm = "least_conn"

[balancer.retry]
on = ["error", "timeout", "http_503"]

[balancer.health]
interval = "500ms"

[[backend]]
name = "a"
workers = 4
service = { law = "exponential", mean = "20ms" }

[[backend]]
name = "b"
workers = 4
service = { law = "exponential", mean = "20ms" }

[[fault]]
name = "crash-b"
kind = "crash"
at = "6s"
for = "4s"
target = "b"
"#;

#[test]
fn every_panel_finds_something_in_a_run() {
    let folder = Folder::new();
    let run = Run::start(&folder, "seen", SCENARIO, &["--keep-prometheus"]);
    let api = run.api;
    run.reaches(12.0);
    // What it serves is clean, in both formats.
    let page = get(run.lab, "/metrics");
    is_clean(&page);
    let open = ask(run.lab, "GET", "/metrics", "Accept: application/openmetrics-text\r\n", "");
    assert!(open.expect("answered").1.ends_with("# EOF\n"));
    // What it says of the rest can be asked, and is clean too.
    for job in ["balancer", "backends"] {
        let found: Vec<Value> =
            serde_json::from_str(&get(run.lab, &format!("/sd/{job}"))).expect("JSON");
        assert_eq!(found.len(), if job == "backends" { 2 } else { 1 });
        for group in found {
            let target = group["targets"][0].as_str().expect("a target");
            is_clean(&get(target.parse().expect("an address"), "/metrics"));
        }
    }
    assert_eq!(ask(run.lab, "GET", "/other", "", "").expect("answered").0, 404);
    assert_eq!(ask(run.lab, "POST", "/metrics", "", "").expect("answered").0, 405);
    // An operator lets the balancer read its file again.
    let admin: Vec<Value> = serde_json::from_str(&get(run.lab, "/sd/balancer")).expect("JSON");
    let admin = admin[0]["targets"][0].as_str().and_then(|it| it.parse().ok()).expect("one");
    assert_eq!(ask(admin, "POST", "/reload", "", "").expect("answered").0, 200);
    run.reaches(17.0);

    for job in ["prometheus", "lab", "balancer"] {
        api.comes_to(&format!("min(up{{job=\"{job}\"}})"), 1.0);
    }
    // Both worlds are of the same second, and each has counted every request that was due by then.
    let (sim, live) = (total(&run, "sim"), total(&run, "live"));
    assert!(sim > 800.0 && (sim - live).abs() < 0.05 * sim, "model {sim}, live {live}");

    for name in ["overview", "backends", "worlds"] {
        let dashboard = Dashboard::load(name);
        let filled = Filled::new(&dashboard, api);
        let silent = filled.silent(api, 20.0);
        assert!(silent.is_empty(), "{name}:\n{}", silent.join("\n"));
        assert_eq!(filled.annotated("Faults", api, 20.0), ["crash-b"], "{name}");
        let reloads = filled.annotated("Reloads", api, 20.0);
        assert!(reloads.contains(&"reload: success".to_owned()), "{name}: {reloads:?}");
    }
    // The upstream that died was seen out by whoever shows it, in both worlds.
    for world in ["sim", "live"] {
        let query =
            format!("min_over_time(lab_run_upstream_up{{world=\"{world}\", upstream=\"b\"}}[20s])");
        assert_eq!(api.one(&query), 0.0, "{world}");
        for kind in ["fault_began", "fault_ended"] {
            let query = format!("lab_run_events_total{{world=\"{world}\", kind=\"{kind}\"}}");
            assert_eq!(api.one(&query), 1.0, "{world} {kind}");
        }
        let query = format!("min_over_time(lab_run_instances{{world=\"{world}\"}}[20s])");
        assert_eq!(api.one(&query), 1.0, "{world}");
    }

    run.ends();
    assert!(processes_of(folder.path()).is_empty(), "nothing is left");
    let kept = folder.runs("seen").pop().expect("a run").join("prometheus");
    for name in ["prometheus.yml", "rules/alerts.yml", "data/wal"] {
        assert!(kept.join(name).exists(), "{name} is not kept");
    }
}

/// Requests of a world so far, by the page of the run.
fn total(run: &Run, world: &str) -> f64 {
    let of = |result: &str| {
        run.gauge(&format!("lab_run_requests_total{{world=\"{world}\",result=\"{result}\"}} "))
    };
    of("success") + of("failure")
}

fn is_clean(page: &str) {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool, of Debian's package prometheus");
    promtool.stdin.take().expect("a pipe").write_all(page.as_bytes()).expect("written");
    let output = promtool.wait_with_output().expect("it ends");
    let said = [output.stdout, output.stderr].concat();
    assert!(said.is_empty(), "{}\n{page}", String::from_utf8_lossy(&said));
}

/// One instance at first, too few for the load, and an autoscaler that asks Prometheus.
const SCALED: &str = r#"
schema_version = 1

[scenario]
name = "scaled"
seed = 7
duration = "24s"

[traffic]
rate = "140/s"

[traffic.client]
timeout = "10s"

[balancer]
algorithm = "least_conn"

[[backend]]
name = "api"
workers = 2
service = { law = "exponential", mean = "20ms" }

[autoscaler]
backend = "api"
min = 1
max = 4
poll = "2s"
scrape_interval = "1s"
# That of the run.
source = "prometheus"
rate_window = "3s"
start_up = "500ms"
"#;

#[test]
fn every_panel_of_the_autoscaler_finds_something_in_a_run() {
    let folder = Folder::new();
    let run = Run::start(&folder, "scaled", SCALED, &[]);
    let api = run.api;
    run.reaches(14.0);
    is_clean(&get(run.lab, "/metrics"));
    let dashboard = Dashboard::load("autoscaler");
    let filled = Filled::new(&dashboard, api);
    let silent = filled.silent(api, 20.0);
    assert!(silent.is_empty(), "{}", silent.join("\n"));
    assert_eq!(filled.annotated("Scaling", api, 20.0), ["api scaled out"]);
    // What it wants is what it has, what Prometheus was told to scrape, and what both worlds show.
    let wanted = run.gauge("lab_autoscaler_desired_instances{group=\"api\"} ");
    assert!((2.0..=4.0).contains(&wanted), "{wanted}");
    let changes = run.gauge("lab_autoscaler_changes_total{group=\"api\",direction=\"out\"} ");
    let events = run.gauge("lab_run_events_total{world=\"live\",kind=\"scaled\"} ");
    assert!(changes >= 1.0 && events >= changes, "{changes} changes, {events} events");
    api.comes_to("count(up{job=\"backends\"} == 1) >= 2", wanted);
    // Prometheus has answered all but the first polls, when it had not scraped twice yet.
    let blind = run.gauge("lab_autoscaler_decisions_without_metrics_total{group=\"api\"} ");
    assert!(blind <= 3.0, "{blind}");
    run.ends();
    // Without one there would be nobody to ask.
    let output = folder.run(&["run", "scaled.toml"]);
    assert_eq!(code(&output), 2, "{}", stderr(&output));
    assert!(stderr(&output).contains("--prometheus"), "{}", stderr(&output));
}
