//! The flow of configuration: a change by an order or by the file is seen in the balancer's answers,
//! in service discovery, in Prometheus' targets and in its series. Prometheus runs the configuration
//! of the stack.

use serde_json::{Value, json};

use super::files::shipped;
use super::programs::{Backend, free, lab, prometheus};
use super::prometheus::{Api, PATIENCE, ask};
use super::support::{Folder, wait_until};

const TOKEN: &str = "0123456789abcdef";

fn balancer(weight: u32) -> String {
    format!(
        "schema_version = 1\n[balancer]\nalgorithm = \"round_robin\"\n\
         [[backend]]\nname = \"a\"\nweight = {weight}\n[[backend]]\nname = \"b\"\n"
    )
}

#[test]
fn a_change_at_the_balancer_reaches_prometheus() {
    let folder = Folder::new();
    let (a, b) = (Backend::start(&folder, "a"), Backend::start(&folder, "b"));
    let late = Backend::start(&folder, "late");
    let (listen, admin) = (free(), free());
    let token = folder.file("token", &format!("{TOKEN}\n"));
    let file = folder.file("proxy.toml", &balancer(1));
    let arguments = [
        "proxy".to_owned(),
        format!("--config={}", file.display()),
        format!("--listen={listen}"),
        format!("--admin={admin}"),
        format!("--admin-token-file={}", token.display()),
        format!("--peer=a={}", a.address),
        format!("--peer=b={}", b.address),
    ];
    let _proxy = lab(&folder, &arguments, admin, "/ready");
    let text = std::fs::read_to_string(shipped("prometheus/prometheus.yml")).expect("shipped");
    let text = text
        .replace("proxy:9901", &admin.to_string())
        .replace("/run/secrets/admin_token", &token.display().to_string())
        .replace("rules/*.yml", &shipped("prometheus/rules/*.yml").display().to_string())
        .replace("_interval: 15s", "_interval: 500ms")
        .replace("scrape_timeout: 10s", "scrape_timeout: 500ms");
    let (_prometheus, api) = prometheus(&folder, &folder.file("prometheus.yml", &text));
    let bearer = format!("Authorization: Bearer {TOKEN}\r\n");
    let order = |method: &str, path: &str, body: Value| -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (status, answer) = ask(admin, method, path, &bearer, &body).expect("answered");
        assert!(status < 300, "{method} {path}: {status} {answer}");
        serde_json::from_str(&answer).unwrap_or_default()
    };
    // Without the token nothing is told.
    assert_eq!(ask(admin, "GET", "/sd", "", "").expect("answered").0, 401);
    let weight = "lab_proxy_upstream_weight{job=\"balancer\", upstream=\"a\"}";
    api.comes_to(weight, 1.0);
    api.comes_to("up{job=\"backends\", backend=\"a\"}", 1.0);

    // By an order.
    order("PUT", "/upstreams/a/weight", json!({"weight": 3}));
    assert_eq!(order("GET", "/upstreams/a", Value::Null)[0]["weight"], 3);
    api.comes_to(weight, 3.0);
    assert!(wait_until(PATIENCE, || discovered(api, "a", "__meta_lab_weight") == "3"));

    // By the file.
    folder.file("proxy.toml", &balancer(5));
    order("POST", "/reload", Value::Null);
    assert_eq!(order("GET", "/upstreams/a", Value::Null)[0]["weight"], 5);
    api.comes_to(weight, 5.0);
    api.comes_to("lab_proxy_config_reloads_total{result=\"success\"}", 1.0);
    assert!(wait_until(PATIENCE, || discovered(api, "a", "__meta_lab_weight") == "5"));

    // A backend that comes is found, scraped and counted; one that goes is not.
    assert_eq!(api.now("up{backend=\"late\"}").expect("answered").len(), 0);
    let wanted = json!({"name": "late", "address": late.address, "weight": 2});
    order("POST", "/upstreams", wanted);
    api.comes_to("up{job=\"backends\", backend=\"late\"}", 1.0);
    api.comes_to("lab_proxy_upstream_weight{upstream=\"late\"}", 2.0);
    order("DELETE", "/upstreams/late", Value::Null);
    let gone = || api.targets().iter().all(|target| target["labels"]["backend"] != "late");
    assert!(wait_until(PATIENCE, gone), "{:?}", api.targets());
}

/// A label of a target as it was discovered, before relabelling.
fn discovered(api: Api, backend: &str, label: &str) -> String {
    let targets = api.targets();
    let target = targets.iter().find(|target| target["labels"]["backend"] == backend);
    let found = target.map(|target| target["discoveredLabels"][label].clone());
    found.and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}
