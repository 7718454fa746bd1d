//! A whole run beside a real Prometheus: every query of every dashboard finds something in it.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use lab::autoscaler::Status;
use lab::exposition::{Page, TargetGroup};
use lab::live::prometheus::{Prometheus, PrometheusOptions};
use lab::monitor::{Board, Job, Server};
use lab::policy::scale::{Change, Finding, Phase, Reason, ScaleConfig, ScaleDecision, ScaleMetric};
use lab::units::{Nanos, Span};
use serde_json::Value;

use super::panels::{Dashboard, Filled};
use super::programs::free;
use super::prometheus::{Api, PATIENCE, ask, get};
use super::support::{Folder, code, processes_of, stderr, wait_until};

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

struct Run {
    child: Child,
    lab: SocketAddr,
    api: Api,
}

impl Run {
    fn start(folder: &Folder) -> Self {
        folder.file("seen.toml", SCENARIO);
        let (lab, prometheus) = (free(), free());
        let arguments = [
            "run".to_owned(),
            "seen.toml".to_owned(),
            format!("--metrics={lab}"),
            format!("--prometheus={prometheus}"),
            "--scrape-interval=500ms".to_owned(),
            "--keep-prometheus".to_owned(),
            "--json".to_owned(),
        ];
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut command = folder.lab(&words);
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("started");
        Self { child, lab, api: Api(prometheus) }
    }

    /// A gauge of the run's own page now; not a number before it is there.
    fn gauge(&self, name: &str) -> f64 {
        let page = ask(self.lab, "GET", "/metrics", "", "").map(|(_, page)| page);
        let page = page.unwrap_or_default();
        let value = page.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        value.unwrap_or(f64::NAN)
    }
}

#[test]
fn every_panel_finds_something_in_a_run() {
    let folder = Folder::new();
    let run = Run::start(&folder);
    let api = run.api;
    let reaches = |second: f64| {
        let there =
            wait_until(Duration::from_secs(60), || run.gauge("lab_run_shown_seconds ") >= second);
        assert!(there, "the run does not come to second {second}");
    };
    reaches(12.0);
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
    reaches(17.0);

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

    let output = run.child.wait_with_output().expect("it ends");
    assert!([0, 4].contains(&code(&output)), "{}", stderr(&output));
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

/// The autoscaler's own metrics, told what its loop tells them.
#[test]
fn every_panel_of_the_autoscaler_finds_something() {
    let folder = Folder::new();
    let status = Status::new(&ScaleConfig::new(1, 6));
    let board = Board::default();
    let shown = status.clone();
    board.also(move |page: &mut Page| shown.write(page, "api", Nanos::ZERO));
    let server = Server::start(([127, 0, 0, 1], 0).into(), board.clone()).expect("served");
    is_clean(&get(server.address(), "/metrics"));
    let prometheus = Prometheus::start(&PrometheusOptions {
        listen: free(),
        scrape_interval: Span::from_millis(500),
        lab: server.address(),
        folder: folder.path().join("prometheus"),
    })
    .expect("Prometheus");
    let api = Api(prometheus.address());
    let backend = super::programs::Backend::start(&folder, "api-1");
    let (listen, admin) = (free(), free());
    let file = folder.file(
        "proxy.toml",
        "schema_version = 1\n[balancer]\nalgorithm = \"round_robin\"\n[[backend]]\nname = \"api-1\"\n",
    );
    let arguments = [
        "proxy".to_owned(),
        format!("--config={}", file.display()),
        format!("--listen={listen}"),
        format!("--admin={admin}"),
        format!("--peer=api-1={}", backend.address),
    ];
    let _proxy = super::programs::lab(&folder, &arguments, admin, "/ready");
    board.found(Job::Balancer, "balancer-1", TargetGroup::new(admin));
    let target = TargetGroup::new(backend.address);
    board.found(Job::Backends, "api-1", target.label(lab::exposition::BACKEND_LABEL, "api-1"));
    let metric = ScaleMetric::Utilization;
    let decide = |desired: u32, change: Change, finding: Finding| {
        let reason = Reason { finding, limits: Vec::new() };
        status.decided(&ScaleDecision { size: 1, desired, change, reason });
    };
    decide(1, Change::None, Finding::Between { metric, mean: 0.5, of: 1, down: 0.3, up: 0.7 });
    status.show(1, [Phase::Ready].into_iter(), Nanos(1));
    api.comes_to("lab_autoscaler_desired_instances", 1.0);
    api.comes_to("min(up{job=~\"balancer|backends\"})", 1.0);
    // The load grows, and once it could not be read.
    decide(1, Change::None, Finding::NoSample);
    let above = Finding::Above { metric, mean: 0.9, of: 1, bound: 0.7, polls: 1, needed: 1 };
    decide(2, Change::Out(vec![1]), above);
    status.show(2, [Phase::Ready, Phase::Starting].into_iter(), Nanos(2));
    (0..20).for_each(|_| drop(get(listen, "/")));
    api.comes_to("lab_autoscaler_changes_total{direction=\"out\"}", 1.0);
    let dashboard = Dashboard::load("autoscaler");
    let filled = Filled::new(&dashboard, api);
    let speaks = || filled.silent(api, 30.0).is_empty();
    assert!(wait_until(PATIENCE, speaks), "{}", filled.silent(api, 30.0).join("\n"));
    assert_eq!(filled.annotated("Scaling", api, 30.0), ["api scaled out"]);
}
