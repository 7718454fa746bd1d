//! Balancers that are not lab's own, in a run that shows itself: what they count themselves reaches
//! Prometheus.

use super::prometheus::PATIENCE;
use super::shown::Run;
use super::support::{Folder, processes_of, wait_until};

/// Eight seconds, which is long enough to be scraped a few times.
const SCENARIO: &str = r#"
schema_version = 1

[scenario]
name = "behind"
seed = 7
duration = "8s"

[traffic]
rate = "50/s"

[balancer]
algorithm = "round_robin"
engine = "ENGINE"

[[backend]]
name = "a"
workers = 4
service = { law = "exponential", mean = "10ms" }

[[backend]]
name = "b"
workers = 4
service = { law = "exponential", mean = "10ms" }
"#;

/// Runs behind `engine` until `requests`, a query, finds more than 50 of them.
fn counts(engine: &str, job: &str, requests: &str) {
    let folder = Folder::new();
    let run =
        Run::start(&folder, "behind", &SCENARIO.replace("ENGINE", engine), &["--only", "live"]);
    run.is_under_way();
    run.api.comes_to(&format!("min(up{{job=\"{job}\"}})"), 1.0);
    let found = || run.api.now(requests).unwrap_or_default();
    let counted = || found().iter().any(|one| one.last() > 50.0);
    assert!(wait_until(PATIENCE, counted), "{requests}: {:?}", found());
    run.ends();
    assert!(processes_of(folder.path()).is_empty(), "nothing is left");
}

/// Its admin interface has metrics, below a path of its own.
#[test]
fn envoy_is_scraped() {
    let requests = "sum by (balancer) (envoy_cluster_upstream_rq_total{job=\"balancer\"})";
    counts("envoy", "balancer", requests);
}

/// By its built-in exporter.
#[test]
fn haproxy_is_scraped() {
    let query = "haproxy_server_http_responses_total{job=\"balancer\", code=\"2xx\"}";
    counts("haproxy", "balancer", &format!("sum by (balancer) ({query})"));
}

/// It has no metrics of its own: the run's page says what it counts.
#[test]
fn what_nginx_counts_is_on_the_page_of_the_run() {
    counts("nginx", "lab", "lab_nginx_requests_total{job=\"lab\"}");
}
