//! `/metrics`: what workers and drivers have counted, put together when somebody asks.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::count::{BOUNDS_MICROS, DurationTotals, Protocol, STATUS_CLASSES};
use super::driver::{Driver, PeerView};
use super::instance::Glimpse;
use super::journal::word;
use super::tally::{LoadProbes, Past, REASONS};
use crate::exposition::{Kind, Labels, Page, content_type, process};
use crate::policy::health::outlier::OutlierCounts;
use crate::policy::{PeerState, ResilienceCounts};
use crate::record::AttemptOutcome;

const STATES: [PeerState; 6] = [
    PeerState::Up,
    PeerState::Failed,
    PeerState::Unhealthy,
    PeerState::Ejected,
    PeerState::Draining,
    PeerState::Down,
];

/// The page and its type.
pub(super) fn page(glimpse: &Glimpse, open: bool) -> (&'static str, String) {
    let mut sum = glimpse.past.clone();
    glimpse.drivers.iter().chain(&glimpse.older).for_each(|driver| driver.count_into(&mut sum));
    let mut page = Page::new(open);
    program(&mut page, glimpse);
    clients(&mut page, glimpse);
    requests(&mut page, glimpse, &sum);
    attempts(&mut page, glimpse, &sum);
    resilience(&mut page, &sum.resilience);
    outliers(&mut page, &sum.outlier);
    load_probes(&mut page, &sum.load_probes);
    peers(&mut page, glimpse);
    process(&mut page);
    (content_type(open), page.finish())
}

fn program(page: &mut Page, glimpse: &Glimpse) {
    let reloads = &glimpse.reloads;
    let hash = glimpse.config.hash();
    page.family("lab_proxy_build", Kind::Info, "The program.")
        .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    page.family("lab_proxy_config", Kind::Info, "The configuration in force.")
        .sample(&[("hash", hash.as_str())], 1);
    page.family("lab_proxy_config_reloads", Kind::Counter, "Reloads, by how they ended.")
        .sample(&[("result", "success")], reloads.done)
        .sample(&[("result", "failure")], reloads.failed);
    let help = "Whether the configuration tried last is in force.";
    page.family("lab_proxy_config_last_reload_successful", Kind::Gauge, help)
        .sample(&[], u8::from(reloads.error.is_none()));
    let help = "When the configuration in force was read, since 1970.";
    page.family("lab_proxy_config_loaded_timestamp_seconds", Kind::Gauge, help)
        .sample(&[], reloads.last.0 as f64 / 1e9);
    let help = "Generations of workers that finish what they have after a reload.";
    page.family("lab_proxy_generations_draining", Kind::Gauge, help).sample(&[], glimpse.draining);
}

fn clients(page: &mut Page, glimpse: &Glimpse) {
    let totals = &glimpse.totals;
    let mut counter = |name: &str, help: &str, value: u64| {
        page.family(name, Kind::Counter, help).sample(&[], value);
    };
    counter("lab_proxy_connections_accepted", "Client connections accepted.", totals.accepted);
    let help = "Client connections refused, since there were too many.";
    counter("lab_proxy_connections_refused", help, totals.refused);
    counter("lab_proxy_received_bytes", "Bytes of bodies read from clients.", totals.bytes_in);
    counter("lab_proxy_sent_bytes", "Bytes of bodies sent to clients.", totals.bytes_out);
    let help = "Requests after which their connection spoke another protocol.";
    counter("lab_proxy_upgrades", help, totals.upgrades);
    let help = "Lines of the access log dropped, since its queue was full.";
    counter("lab_proxy_access_log_dropped", help, totals.log_dropped);
    page.family("lab_proxy_connections_open", Kind::Gauge, "Client connections open now.")
        .sample(&[], totals.open);
    page.family("lab_proxy_tls_handshakes", Kind::Counter, "TLS handshakes with clients.")
        .sample(&[("result", "success")], totals.tls_handshakes)
        .sample(&[("result", "failure")], totals.tls_failures);
}

fn requests(page: &mut Page, glimpse: &Glimpse, sum: &Past) {
    let help = "Requests and TCP connections, by protocol and class of the status sent.";
    page.family("lab_proxy_requests", Kind::Counter, help);
    for (protocol, classes) in Protocol::ALL.iter().zip(&glimpse.totals.requests) {
        for (class, count) in STATUS_CLASSES.iter().zip(classes) {
            // Only TCP has no status in the ordinary case, and has no other.
            if (*protocol == Protocol::Tcp) != (*class == "none") && *count == 0 {
                continue;
            }
            page.sample(&[("protocol", protocol.name()), ("code", class)], count);
        }
    }
    let help = "Time from the head of a request to the last byte of its response.";
    page.family("lab_proxy_request_duration_seconds", Kind::Histogram, help);
    durations(page, &[], &glimpse.totals.request_time);
    page.family("lab_proxy_admitted", Kind::Counter, "Requests that asked for an upstream.")
        .sample(&[], sum.requests);
    let help = "Requests that got no upstream or no response of one.";
    page.family("lab_proxy_refused", Kind::Counter, help);
    for (reason, count) in REASONS.iter().zip(sum.refused) {
        page.sample(&[("reason", &name(reason))], count);
    }
    let waiting: usize = all(glimpse).map(|driver| driver.waiting()).sum();
    page.family("lab_proxy_waiting", Kind::Gauge, "Requests waiting for an upstream.")
        .sample(&[], waiting);
}

fn attempts(page: &mut Page, glimpse: &Glimpse, sum: &Past) {
    let totals = &glimpse.totals;
    page.family("lab_proxy_retries", Kind::Counter, "Attempts beyond the first of a request.")
        .sample(&[], totals.retries);
    let mut names: Vec<String> = Vec::new();
    for peer in glimpse.drivers.first().map_or_else(Vec::new, |driver| driver.peers()) {
        names.push(peer.endpoint.name.clone());
    }
    let of_peer = |name: &String| Some((name.clone(), sum.peers.get(name)?.clone()));
    let peers: Vec<_> = names.iter().filter_map(of_peer).collect();
    let help = "Attempts at an upstream, by how they ended.";
    page.family("lab_proxy_attempts", Kind::Counter, help);
    for (upstream, counts) in &peers {
        for (outcome, count) in AttemptOutcome::ALL.iter().zip(counts.outcomes) {
            if count > 0 {
                page.sample(&[("upstream", upstream), ("outcome", &name(outcome))], count);
            }
        }
    }
    let help = "Time of attempts that brought a response, from the pick to the last byte.";
    page.family("lab_proxy_upstream_duration_seconds", Kind::Histogram, help);
    for (upstream, counts) in &peers {
        durations(page, &[("upstream", upstream)], &counts.time);
    }
    let help = "Time to connect to an upstream, with every handshake.";
    page.family("lab_proxy_upstream_connect_seconds", Kind::Histogram, help);
    durations(page, &[], &totals.connect_time);
    let help = "Connections opened to upstreams.";
    page.family("lab_proxy_upstream_connections_opened", Kind::Counter, help)
        .sample(&[], totals.peer_opened);
    let help = "Attempts that took an idle connection.";
    page.family("lab_proxy_upstream_connections_reused", Kind::Counter, help)
        .sample(&[], totals.peer_reused);
    let help = "Connections to upstreams that are idle now.";
    page.family("lab_proxy_upstream_connections_idle", Kind::Gauge, help)
        .sample(&[], totals.peer_idle);
}

fn resilience(page: &mut Page, counts: &ResilienceCounts) {
    let help = "Retries that the retry budget did not allow.";
    page.family("lab_proxy_retries_withheld", Kind::Counter, help)
        .sample(&[], counts.retries_withheld);
    page.family("lab_proxy_hedges", Kind::Counter, "Hedged requests that were due.")
        .sample(&[("result", "begun")], counts.hedges)
        .sample(&[("result", "withheld")], counts.hedges_withheld);
    let help = "Hedged requests that answered before the first attempt.";
    page.family("lab_proxy_hedges_won", Kind::Counter, help).sample(&[], counts.hedges_won);
}

fn outliers(page: &mut Page, counts: &OutlierCounts) {
    let help = "Outliers found, whether or not they were ejected, by what gave them away.";
    page.family("lab_proxy_outliers_detected", Kind::Counter, help);
    for (kind, count) in &counts.detected {
        page.sample(&[("kind", kind.name())], count);
    }
    page.family("lab_proxy_outliers_ejected", Kind::Counter, "Ejections of outliers.")
        .sample(&[], counts.enforced);
    let help = "Outliers not ejected, since enough others were.";
    page.family("lab_proxy_outliers_spared", Kind::Counter, help).sample(&[], counts.overflow);
}

fn load_probes(page: &mut Page, counts: &LoadProbes) {
    page.family("lab_proxy_load_probes", Kind::Counter, "Load probes, by what came of them.")
        .sample(&[("result", "answered")], counts.answered)
        .sample(&[("result", "late")], counts.late)
        .sample(&[("result", "failed")], counts.failed);
}

fn peers(page: &mut Page, glimpse: &Glimpse) {
    // A view that only draining workers use has its successor's number.
    let mut in_flight: BTreeMap<(String, String), u32> = BTreeMap::new();
    for driver in all(glimpse) {
        for peer in driver.peers() {
            let key = (peer.endpoint.name.clone(), driver.journal().view.to_string());
            *in_flight.entry(key).or_default() += peer.in_flight;
        }
    }
    page.family("lab_proxy_in_flight", Kind::Gauge, "Requests now assigned to an upstream.");
    for ((upstream, view), count) in &in_flight {
        page.sample(&[("upstream", upstream), ("view", view)], count);
    }
    let views: Vec<(String, Vec<PeerView>)> = glimpse
        .drivers
        .iter()
        .map(|driver| (driver.journal().view.to_string(), driver.peers()))
        .collect();
    let each = || views.iter().flat_map(|(view, peers)| peers.iter().map(move |p| (view, p)));
    page.family("lab_proxy_upstream_weight", Kind::Gauge, "Weight of an upstream.");
    for (view, peer) in each() {
        page.sample(&[("upstream", &peer.endpoint.name), ("view", view)], peer.weight);
    }
    page.family("lab_proxy_upstream_state", Kind::Gauge, "1 for the state of an upstream.");
    for (view, peer) in each() {
        for state in STATES {
            let labels =
                [("upstream", peer.endpoint.name.as_str()), ("view", view), ("state", word(state))];
            page.sample(&labels, u8::from(peer.state == state));
        }
    }
}

/// A histogram of the family begun last.
fn durations(page: &mut Page, labels: Labels<'_>, durations: &DurationTotals) {
    let bounds = BOUNDS_MICROS.map(|micros| micros as f64 / 1e6);
    page.histogram(labels, &bounds, &durations.buckets, durations.nanos as f64 / 1e9);
}

fn all(glimpse: &Glimpse) -> impl Iterator<Item = &Arc<Driver>> {
    glimpse.drivers.iter().chain(&glimpse.older)
}

/// The name of an enum's value in records, which is its name here too.
fn name(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        _ => String::new(),
    }
}
