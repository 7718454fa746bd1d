//! `/metrics`: right numbers, in both formats, clean under `promtool`, monotone over reloads.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use lab::policy::OutlierConfig;
use lab::policy::budget::{BudgetConfig, TokensConfig};
use lab::proxy::Proxy;
use lab::units::Ratio;

use super::client::Wire;
use super::peer::{Answer, Peer};
use super::setup::{client, config, eventually, proxy};

fn with_admin(peers: &[&Peer]) -> Proxy {
    proxy(peers, |config| config.admin_at(([127, 0, 0, 1], 0).into()))
}

fn page(proxy: &Proxy, accept: &str) -> super::client::Message {
    let address = proxy.admin_address().expect("an admin interface");
    let request = format!("GET /metrics HTTP/1.1\r\nHost: t\r\nAccept: {accept}\r\n\r\n");
    Wire::connect(address).ask(&request)
}

/// Every sample by name and labels.
fn samples(proxy: &Proxy) -> BTreeMap<String, f64> {
    let text = page(proxy, "*/*").text();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').expect("a sample");
            (name.to_owned(), value.parse().expect("a number"))
        })
        .collect()
}

#[test]
fn metrics_count_what_happened() {
    let (a, b) = (Peer::always("a", Answer::Close), Peer::good("b"));
    let proxy = with_admin(&[&a, &b]);
    let mut client = client(&proxy);
    (0..3).for_each(|_| assert_eq!(client.get().status(), 200));
    eventually("all are counted", || {
        samples(&proxy)["lab_proxy_request_duration_seconds_count"] == 3.0
    });
    let found = samples(&proxy);
    for (sample, value) in [
        ("lab_proxy_requests_total{protocol=\"http1\",code=\"2xx\"}", 3.0),
        ("lab_proxy_admitted_total", 3.0),
        ("lab_proxy_attempts_total{upstream=\"a\",outcome=\"closed\"}", 1.0),
        ("lab_proxy_attempts_total{upstream=\"b\",outcome=\"passed\"}", 3.0),
        ("lab_proxy_request_duration_seconds_count", 3.0),
        ("lab_proxy_request_duration_seconds_bucket{le=\"+Inf\"}", 3.0),
        ("lab_proxy_upstream_duration_seconds_count{upstream=\"b\"}", 3.0),
        ("lab_proxy_in_flight{upstream=\"b\",view=\"0\"}", 0.0),
        ("lab_proxy_upstream_state{upstream=\"a\",view=\"0\",state=\"failed\"}", 1.0),
        ("lab_proxy_upstream_state{upstream=\"b\",view=\"0\",state=\"up\"}", 1.0),
        ("lab_proxy_upstream_weight{upstream=\"b\",view=\"0\"}", 1.0),
        ("lab_proxy_refused_total{reason=\"queue_full\"}", 0.0),
        ("lab_proxy_connections_accepted_total", 1.0),
        ("lab_proxy_connections_open", 1.0),
        ("lab_proxy_config_reloads_total{result=\"success\"}", 0.0),
    ] {
        assert_eq!(found.get(sample), Some(&value), "{sample} in {found:#?}");
    }
    assert_eq!(found["lab_proxy_sent_bytes_total"], 3.0, "a body is the name of its peer");
    assert!(found["process_resident_memory_bytes"] > 1e6);
    assert!(found["process_start_time_seconds"] > 1.7e9);
    assert!(found["process_open_fds"] >= 3.0 && found["process_cpu_seconds_total"] >= 0.0);
}

#[test]
fn outliers_and_withheld_retries_are_counted() {
    let (bad, good) = (Peer::always("a", Answer::Status(500)), Peer::good("b"));
    let proxy = proxy(&[&bad, &good], |config| {
        config.admin_at(([127, 0, 0, 1], 0).into());
        let upstream = &mut config.balancer.upstream;
        upstream.peers[0].max_fails = 0;
        upstream.retry.on.statuses = vec![500];
        upstream.resilience.retry_budget = Some(BudgetConfig {
            concurrency: None,
            tokens: Some(TokensConfig { min_per_second: 0.0, ..TokensConfig::new(Ratio(0.0)) }),
        });
        upstream.resilience.outlier =
            Some(OutlierConfig { max_ejection_percent: Ratio(0.5), ..OutlierConfig::default() });
    });
    let mut client = client(&proxy);
    (0..20).for_each(|_| drop(client.get()));
    let found = samples(&proxy);
    for (sample, value) in [
        ("lab_proxy_retries_withheld_total", 5.0),
        ("lab_proxy_outliers_detected_total{kind=\"consecutive_5xx\"}", 1.0),
        ("lab_proxy_outliers_ejected_total", 1.0),
        ("lab_proxy_upstream_state{upstream=\"a\",view=\"0\",state=\"ejected\"}", 1.0),
        ("lab_proxy_hedges_total{result=\"begun\"}", 0.0),
        ("lab_proxy_load_probes_total{result=\"late\"}", 0.0),
    ] {
        assert_eq!(found.get(sample), Some(&value), "{sample}");
    }
}

#[test]
fn both_formats_are_clean() {
    let peer = Peer::good("a");
    let proxy = with_admin(&[&peer]);
    assert_eq!(client(&proxy).get().status(), 200);
    let plain = page(&proxy, "text/plain");
    assert_eq!(plain.field("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool, of Debian's package prometheus");
    promtool.stdin.take().expect("a pipe").write_all(&plain.body).expect("written");
    let output = promtool.wait_with_output().expect("it ends");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.is_empty(), "{said}\n{}", plain.text());
    let open = page(&proxy, "application/openmetrics-text; version=1.0.0");
    assert!(open.field("content-type").is_some_and(|kind| kind.contains("openmetrics")));
    let open = open.text();
    assert!(open.ends_with("# EOF\n"));
    assert!(open.contains("# TYPE lab_proxy_requests counter\n"), "{open}");
}

/// Peers that come, change and go, and workers that replace each other, take no count back.
#[test]
fn counters_only_grow_over_reloads() {
    let (a, b) = (Peer::good("a"), Peer::good("b"));
    let proxy = with_admin(&[&a, &b]);
    let mut configuration = config(&[a.address, b.address]);
    configuration.admin_at(([127, 0, 0, 1], 0).into());
    let mut before = samples(&proxy);
    for round in 0..6 {
        let mut wire = client(&proxy);
        for _ in 0..4 {
            let answer = wire.get();
            assert_eq!(answer.status(), 200);
            // A worker that was just told to go may have accepted it; it says so.
            if answer.field("connection") == Some("close") {
                wire = client(&proxy);
            }
        }
        match round % 3 {
            0 => configuration.balancer.upstream.peers[0].weight += 1,
            1 => configuration.balancer.workers += 1,
            _ => configuration.balancer.upstream.retry.tries += 1,
        }
        proxy.reload(&configuration).expect("reloaded");
        let done = 4.0 * f64::from(round + 1);
        // A request is counted when the client may have its response already.
        eventually("all are counted", || {
            samples(&proxy)["lab_proxy_requests_total{protocol=\"http1\",code=\"2xx\"}"] >= done
        });
        let now = samples(&proxy);
        let counters = before.iter().filter(|(name, _)| {
            ["_total", "_bucket", "_count", "_sum"]
                .iter()
                .any(|mark| name.split('{').next().is_some_and(|name| name.ends_with(mark)))
        });
        for (name, had) in counters {
            let has = now.get(name).unwrap_or_else(|| panic!("{name} is gone after {round}"));
            assert!(has >= had, "{name} fell from {had} to {has} after {round}");
        }
        assert_eq!(now["lab_proxy_admitted_total"], done);
        assert_eq!(now["lab_proxy_requests_total{protocol=\"http1\",code=\"2xx\"}"], done);
        before = now;
    }
    assert_eq!(before["lab_proxy_config_reloads_total{result=\"success\"}"], 6.0);
}
