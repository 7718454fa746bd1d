//! What a location says about the upstream: time-outs, retries, health checks, and the edge.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::sites::{Site, Sites, Target};
use super::tree::Directive;
use super::upstream::host_and_port;
use super::value::{bad_time, number, size, time, time_of};
use crate::import::toml_text::{quoted, quoted_list, span};
use crate::import::{Draft, ImportError};
use crate::units::Span;

/// What is taken over from `proxy_*`; `grpc_*` says the same of gRPC.
const TAKEN: [&str; 6] = [
    "connect_timeout",
    "read_timeout",
    "send_timeout",
    "next_upstream",
    "next_upstream_tries",
    "next_upstream_timeout",
];
/// These change what requests do to the upstream, and a scenario has no word for them.
const TELLING: [(&str, &str); 9] = [
    ("limit_req", "lab's clients are not throttled"),
    ("limit_conn", "lab's clients are not throttled"),
    ("limit_rate", "lab's clients are not throttled"),
    ("proxy_cache", "nothing is cached: every request reaches a backend"),
    ("proxy_limit_rate", "responses are passed on at full speed"),
    ("proxy_bind", "the source address is the system's choice"),
    ("proxy_ignore_client_abort", "a request whose client has gone is given up"),
    ("mirror", "requests are not doubled"),
    ("auth_request", "no subrequest is sent before the request"),
];

/// The settings of the first location that passes to the target.
pub(super) fn settings(
    sites: &Sites<'_>,
    target: &Target<'_>,
    draft: &mut Draft,
) -> Result<(), ImportError> {
    let passing: Vec<&Site<'_>> =
        sites.sites.iter().filter(|site| site.target == target.name()).collect();
    let Some(site) = passing.first() else {
        draft.leave(
            target.origin(),
            format!("upstream {}", target.name()),
            "no location passes requests to it, so time-outs and retries are NGINX's defaults",
        );
        return Ok(());
    };
    note_differences(site, &passing[1..], draft);
    timeouts(site, draft)?;
    retries(site, draft)?;
    health(site, draft)?;
    connections(site, draft);
    client(site, draft)?;
    listen(site, draft);
    super::unread::note(site, draft);
    for (name, why) in TELLING {
        for directive in site.all(name).into_iter().filter(|found| found.args != ["off"]) {
            draft.leave(&directive.origin, directive.text(), why);
        }
    }
    Ok(())
}

/// The family of the pass directive: `proxy` or `grpc`.
fn family(site: &Site<'_>) -> &'static str {
    if site.pass.name == "grpc_pass" { "grpc" } else { "proxy" }
}

fn find<'a>(site: &Site<'a>, name: &str) -> Option<&'a Directive> {
    site.find(&format!("{}_{name}", family(site)))
}

fn note_differences(first: &Site<'_>, others: &[&Site<'_>], draft: &mut Draft) {
    for other in others {
        let differs = |name: &&&str| {
            find(first, name).map(|found| &found.args) != find(other, name).map(|found| &found.args)
        };
        let names: Vec<&str> = TAKEN.iter().filter(differs).copied().collect();
        if !names.is_empty() {
            let why = format!(
                "it has other settings ({}) than {}, whose are taken",
                names.join(", "),
                first.pass.origin
            );
            draft.leave(&other.pass.origin, other.pass.text(), why);
        }
    }
}

fn timeouts(site: &Site<'_>, draft: &mut Draft) -> Result<(), ImportError> {
    let keys = [
        ("connect_timeout", "balancer", "connect_timeout"),
        ("read_timeout", "balancer", "read_timeout"),
        ("send_timeout", "balancer.upstream", "send_timeout"),
    ];
    for (name, section, key) in keys {
        if let Some(found) = find(site, name) {
            let timeout = time_of(found)?.max(Span::from_millis(1));
            draft.set(section, key, span(timeout), found.origin.to_string());
        }
    }
    Ok(())
}

fn retries(site: &Site<'_>, draft: &mut Draft) -> Result<(), ImportError> {
    const KNOWN: [&str; 11] = [
        "error",
        "timeout",
        "invalid_header",
        "http_500",
        "http_502",
        "http_503",
        "http_504",
        "http_403",
        "http_404",
        "http_429",
        "non_idempotent",
    ];
    if let Some(found) = find(site, "next_upstream") {
        let off = found.args.iter().any(|word| word == "off");
        let mut on: Vec<&str> = Vec::new();
        for word in found.args.iter().map(String::as_str).filter(|word| *word != "off") {
            if KNOWN.contains(&word) {
                if !on.contains(&word) {
                    on.push(word);
                }
            } else if word != "updating" {
                return Err(found.origin.error(format!(
                    "`{word}` is no condition of {}; there are: {}, off",
                    found.name,
                    KNOWN.join(", ")
                )));
            }
        }
        if off {
            on.clear();
        }
        draft.set("balancer.retry", "on", quoted_list(on), found.origin.to_string());
    }
    if let Some(found) = find(site, "next_upstream_tries") {
        let tries = number(found.one()?, u64::from(u32::MAX), found)?;
        draft.set("balancer.retry", "tries", tries.to_string(), found.origin.to_string());
    }
    if let Some(found) = find(site, "next_upstream_timeout") {
        draft.set("balancer.retry", "timeout", span(time_of(found)?), found.origin.to_string());
    }
    Ok(())
}

/// NGINX Plus: `health_check interval=5 fails=1 passes=1 uri=/`.
fn health(site: &Site<'_>, draft: &mut Draft) -> Result<(), ImportError> {
    let Some(found) = site.find("health_check") else { return Ok(()) };
    let from = found.origin.to_string();
    let (mut interval, mut path) = (Span::from_secs(5), "/");
    let (mut rise, mut fall) = (1, 1);
    for param in &found.args {
        let (name, word) = param.split_once('=').unwrap_or((param, ""));
        match name {
            "interval" => {
                let read = time(word).filter(|read| read.0 > 0);
                interval = read.ok_or_else(|| bad_time(word, &found.origin))?;
            }
            "fails" => fall = number(word, 1_000_000, found)?.max(1),
            "passes" => rise = number(word, 1_000_000, found)?.max(1),
            "uri" if word.starts_with('/') => path = word,
            _ => draft.leave(&found.origin, format!("health_check {param}"), "has no counterpart"),
        }
    }
    draft.set("balancer.health", "path", quoted(&graphic_path(path)), from);
    draft.set("balancer.health", "interval", span(interval), "");
    draft.set("balancer.health", "rise", rise.to_string(), "");
    draft.set("balancer.health", "fall", fall.to_string(), "");
    draft.leave(
        &found.origin,
        found.text(),
        "of NGINX Plus: open-source NGINX does not check, it only counts failed requests",
    );
    Ok(())
}

/// A path as scenarios allow it: what cannot stand there is left out.
pub(in crate::import) fn graphic_path(path: &str) -> String {
    path.chars().filter(|c| c.is_ascii_graphic() && *c != '#').collect()
}

/// Connections are kept only where HTTP/1.1 is spoken and `Connection: close` is not sent.
fn connections(site: &Site<'_>, draft: &mut Draft) {
    if family(site) == "grpc" {
        draft.set("balancer.upstream", "protocol", quoted("h2"), site.pass.origin.to_string());
        return;
    }
    let kept = draft.section("balancer").iter().any(|s| s.key == "keepalive" && s.value != "0");
    let version = site.find("proxy_http_version").is_some_and(|found| found.args == ["1.1"]);
    let cleared = site.all("proxy_set_header").iter().any(|header| {
        header.args.first().is_some_and(|name| name.eq_ignore_ascii_case("connection"))
            && header.args.get(1).is_some_and(|value| value != "close")
    });
    if kept && !(version && cleared) {
        let missing = match (version, cleared) {
            (false, true) => "proxy_http_version 1.1",
            (true, false) => "proxy_set_header Connection \"\"",
            _ => "proxy_http_version 1.1 and proxy_set_header Connection \"\"",
        };
        let why = format!("without {missing} NGINX (before 1.29.7) closes each connection");
        draft.set("balancer", "keepalive", "0", why.clone());
        draft.leave(&site.pass.origin, "keepalive", why);
    }
    if site.pass.args.first().is_some_and(|url| url.starts_with("https://")) {
        let verify = site.find("proxy_ssl_verify").is_some_and(|found| found.args == ["on"]);
        draft.set(
            "balancer.upstream.tls",
            "verify",
            verify.to_string(),
            site.pass.origin.to_string(),
        );
    }
}

fn client(site: &Site<'_>, draft: &mut Draft) -> Result<(), ImportError> {
    if let Some(found) = site.find("client_max_body_size") {
        let word = found.one()?;
        let bytes = size(word)
            .ok_or_else(|| found.origin.error(format!("`{word}` is no size; such as `10m`")))?;
        draft.set("balancer.client", "body_max", format!("\"{bytes}B\""), found.origin.to_string());
    }
    for (name, key) in
        [("client_header_timeout", "header_timeout"), ("client_body_timeout", "body_timeout")]
    {
        if let Some(found) = site.find(name) {
            let timeout = time_of(found)?.max(Span::from_millis(1));
            draft.set("balancer.client", key, span(timeout), found.origin.to_string());
        }
    }
    if let Some(found) = site.find("keepalive_timeout") {
        let word = found.args.first().map_or("", String::as_str);
        let timeout = time(word).ok_or_else(|| bad_time(word, &found.origin))?;
        if timeout == Span::ZERO {
            let why = "clients get one request per connection";
            draft.set("balancer.client", "requests_per_connection", "1", why);
        } else {
            draft.set("balancer.client", "idle_timeout", span(timeout), found.origin.to_string());
        }
    }
    if let Some(found) = site.find("keepalive_requests") {
        let count = number(found.one()?, u64::from(u32::MAX), found)?.max(1);
        let key = "requests_per_connection";
        draft.set("balancer.client", key, count.to_string(), found.origin.to_string());
    }
    Ok(())
}

fn listen(site: &Site<'_>, draft: &mut Draft) {
    let Some(server) = site.server() else { return };
    let mut addresses: Vec<SocketAddr> = Vec::new();
    let mut from = String::new();
    for found in server.children().iter().filter(|directive| directive.name == "listen") {
        let word = found.args.first().map_or("", String::as_str);
        let secure = found.args.iter().any(|arg| arg == "ssl" || arg == "quic");
        let proxied = found.args.iter().any(|arg| arg == "proxy_protocol");
        match listen_address(word) {
            Some(_) if secure || proxied => {
                let why = "certificates and trusted networks belong to the host; the listener is left out";
                draft.leave(&found.origin, found.text(), why);
            }
            Some(address) if !addresses.contains(&address) => {
                addresses.push(address);
                from = found.origin.to_string();
            }
            Some(_) => {}
            None => draft.leave(&found.origin, found.text(), "a scenario listens on IP:PORT only"),
        }
    }
    if !addresses.is_empty() {
        let list: Vec<String> = addresses
            .iter()
            .map(|address| format!("{{ address = {} }}", quoted(&address.to_string())))
            .collect();
        let comment = format!("{from}; `lab run` chooses its own");
        draft.set("balancer", "listen", format!("[{}]", list.join(", ")), comment);
    }
}

/// `80`, `*:80`, `127.0.0.1:8080`, `127.0.0.1`, `[::]:80`.
fn listen_address(word: &str) -> Option<SocketAddr> {
    let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    if let Ok(port) = word.parse::<u16>() {
        return Some(SocketAddr::new(any, port));
    }
    let (host, port) = host_and_port(word);
    let ip = match host {
        "*" => any,
        "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
        _ => host.parse().ok()?,
    };
    Some(SocketAddr::new(ip, port))
}
