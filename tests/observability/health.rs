//! The flow of health: a backend's checks fail, the balancer takes it out, its checks pass, it is back;
//! each step is seen where it happens and in Prometheus.

use serde_json::Value;

use super::panels::{Dashboard, Filled};
use super::programs::{Backend, free, lab, prometheus};
use super::prometheus::{PATIENCE, ask, get};
use super::support::{Folder, wait_until};

const BALANCER: &str = r#"
schema_version = 1

[balancer]
algorithm = "round_robin"

[balancer.health]
interval = "200ms"
timeout = "100ms"
rise = 2
fall = 3

[[backend]]
name = "a"

[[backend]]
name = "b"
"#;

#[test]
fn a_backend_that_fails_its_checks_goes_and_comes_back() {
    let folder = Folder::new();
    let (a, b) = (Backend::start(&folder, "a"), Backend::start(&folder, "b"));
    let (listen, admin) = (free(), free());
    let file = folder.file("proxy.toml", BALANCER);
    let arguments = [
        "proxy".to_owned(),
        format!("--config={}", file.display()),
        format!("--listen={listen}"),
        format!("--admin={admin}"),
        format!("--peer=a={}", a.address),
        format!("--peer=b={}", b.address),
    ];
    let _proxy = lab(&folder, &arguments, admin, "/ready");
    let config = format!(
        "global: {{scrape_interval: 500ms}}\nscrape_configs:\n\
         - {{job_name: balancer, static_configs: [{{targets: ['{admin}']}}]}}\n\
         - {{job_name: backends, http_sd_configs: [{{url: 'http://{admin}/sd', refresh_interval: 500ms}}]}}\n"
    );
    let (_prometheus, api) = prometheus(&folder, &folder.file("prometheus.yml", &config));
    let state =
        |word: &str| format!("lab_proxy_upstream_state{{upstream=\"a\", state=\"{word}\"}}");
    api.comes_to(&state("up"), 1.0);
    api.comes_to("up{job=\"backends\", backend=\"a\"}", 1.0);

    let order = |share: f64| {
        let text = get(a.control, "/fault");
        let mut now: Value = serde_json::from_str(&text).expect("JSON");
        let mut wanted = now["state"].take();
        wanted["health_failure"] = share.into();
        let (status, answer) =
            ask(a.control, "POST", "/fault", "", &wanted.to_string()).expect("answered");
        assert_eq!(status, 200, "{answer}");
    };
    order(1.0);
    api.comes_to(&state("unhealthy"), 1.0);
    api.comes_to(&state("up"), 0.0);
    let failed = "lab_backend_health_checks_total{backend=\"a\", result=\"failed\"}";
    let three = || api.one(failed) >= 3.0;
    assert!(wait_until(PATIENCE, three), "three failures take it out: {:?}", api.now(failed));
    let shown: Value = serde_json::from_str(&get(admin, "/upstreams/a")).expect("JSON");
    assert_eq!(shown[0]["state"], "unhealthy");
    // It is still found and scraped: who is out is of interest too.
    let found: Value = serde_json::from_str(&get(admin, "/sd")).expect("JSON");
    assert_eq!(found[0]["labels"]["__meta_lab_state"], "unhealthy");
    let served_by = |count: usize| -> Vec<String> {
        let name =
            |text: String| serde_json::from_str::<Value>(&text).expect("JSON")["name"].clone();
        (0..count).map(|_| name(get(listen, "/")).as_str().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(served_by(4), ["b", "b", "b", "b"]);

    order(0.0);
    api.comes_to(&state("up"), 1.0);
    let both = served_by(4);
    assert!(both.contains(&"a".to_owned()) && both.contains(&"b".to_owned()), "{both:?}");

    // The panel has seen both states.
    let dashboard = Dashboard::load("backends");
    let query = Filled::new(&dashboard, api).query("In the balancer's eyes");
    let has_both = || {
        let found = api.over(&query, 60.0).unwrap_or_default();
        let of_a = found.iter().find(|one| one.label("upstream") == "a");
        of_a.is_some_and(|one| one.values.contains(&0.0) && one.last() == 1.0)
    };
    assert!(wait_until(PATIENCE, has_both), "{query}: {:?}", api.over(&query, 60.0));
}
