//! Envoy's admin interface: whether it is ready, its hosts, its statistics.

use std::net::SocketAddr;
use std::time::Duration;

use hyper::Method;
use serde_json::Value;

use crate::host::call;
use crate::live::engine::PeerView;
use crate::policy::PeerState;

/// A question that is not answered by then is not answered for this second.
const LIMIT: Duration = Duration::from_millis(300);

/// Per instance, its view of the peers; empty where it did not answer.
pub(in crate::live::engine) async fn views(admins: &[SocketAddr]) -> Vec<Vec<PeerView>> {
    let ask = |admin: &SocketAddr| tokio::spawn(hosts(*admin));
    let asked: Vec<_> = admins.iter().map(ask).collect();
    let mut views = Vec::new();
    for answer in asked {
        views.push(answer.await.ok().flatten().unwrap_or_default());
    }
    views
}

/// The hosts of all clusters.
async fn hosts(admin: SocketAddr) -> Option<Vec<PeerView>> {
    let answer: Value = call::get(admin, "/clusters?format=json", LIMIT).await.ok()?;
    Some(hosts_in(&answer))
}

fn hosts_in(clusters: &Value) -> Vec<PeerView> {
    let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    let hosts = list(clusters, "cluster_statuses").into_iter();
    hosts.flat_map(|cluster| list(&cluster, "host_statuses")).map(|host| view(&host)).collect()
}

fn view(host: &Value) -> PeerView {
    let health = &host["health_status"];
    let failed = |check: &str| health[check].as_bool() == Some(true);
    let state = if health["eds_health_status"] == "DRAINING" {
        PeerState::Draining
    } else if failed("failed_active_health_check") || failed("pending_active_hc") {
        PeerState::Unhealthy
    } else if failed("failed_outlier_check") {
        PeerState::Ejected
    } else {
        PeerState::Up
    };
    let active = host["stats"].as_array().into_iter().flatten();
    // A count of zero has no value in the answer.
    let in_flight = active
        .filter(|stat| stat["name"] == "rq_active")
        .find_map(|stat| stat["value"].as_str()?.parse().ok())
        .unwrap_or(0);
    let name = host["hostname"].as_str().unwrap_or_default().to_owned();
    PeerView { name, state, in_flight }
}

/// What is missing until it serves and every host may be picked; `None` if nothing is.
pub(super) async fn not_ready(admin: SocketAddr) -> Option<String> {
    match call::call(admin, Method::GET, "/ready", None, LIMIT).await {
        Ok((200, _)) => {}
        Ok((_, body)) => return Some(String::from_utf8_lossy(&body).trim().to_owned()),
        Err(error) => return Some(error.to_string()),
    }
    let Some(hosts) = hosts(admin).await else { return Some("it shows no hosts".to_owned()) };
    let waiting: Vec<String> = hosts
        .into_iter()
        .filter(|host| host.state == PeerState::Unhealthy)
        .map(|host| host.name)
        .collect();
    (!waiting.is_empty()).then(|| format!("not healthy: {}", waiting.join(", ")))
}

/// The version of the endpoints that it uses.
pub(super) async fn endpoints_version(admin: SocketAddr) -> Option<u64> {
    let path = "/stats?format=json&filter=^cluster.backends.version_text$";
    let answer: Value = call::get(admin, path, LIMIT).await.ok()?;
    answer["stats"].as_array()?.first()?["value"].as_str()?.parse().ok()
}

/// Its version, such as `1.40.0`; empty if it does not say.
pub(super) async fn version(admin: SocketAddr) -> String {
    let answer: Option<Value> = call::get(admin, "/server_info", LIMIT).await.ok();
    let text = answer.and_then(|answer| answer["version"].as_str().map(str::to_owned));
    text.and_then(|text| text.split('/').nth(1).map(str::to_owned)).unwrap_or_default()
}

/// The counts of its requests, retries, ejections and connections that are not zero.
pub(super) async fn statistics(admin: SocketAddr) -> Vec<(String, String)> {
    let path = "/stats?format=json&usedonly&filter=^(cluster\\.[^.]*\\.(upstream_(rq|cx)_[a-z0-9_]*|\
                outlier_detection\\..*|lb_healthy_panic|membership_change|health_check\\..*)|\
                http\\.clients\\.downstream_rq_[a-z0-9]*)$";
    let answer: Option<Value> = call::get(admin, path, LIMIT).await.ok();
    let stats = answer.and_then(|mut answer| answer["stats"].take().as_array().cloned());
    let counts = stats.into_iter().flatten().filter_map(|stat| {
        let value = stat["value"].as_u64().filter(|value| *value > 0)?;
        Some((stat["name"].as_str()?.to_owned(), value.to_string()))
    });
    counts.collect()
}
