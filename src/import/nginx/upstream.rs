//! The `upstream` block: servers and their parameters.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::balance;
use super::tree::Directive;
use super::value::{bad_time, number, time, time_of};
use crate::import::toml_text::{quoted, span};
use crate::import::{Draft, DraftBackend, ImportError, Origin, Setting};

/// The settings of an upstream block.
pub(super) fn block(block: &Directive, draft: &mut Draft) -> Result<(), ImportError> {
    // NGINX keeps no connections to the servers of a block without `keepalive` (before 1.29.7).
    draft.set("balancer", "keepalive", "0", format!("{}: no keepalive", block.origin));
    let mut zone = false;
    for directive in block.children() {
        let from = directive.origin.to_string();
        match directive.name.as_str() {
            "server" => server(directive, draft)?,
            "zone" => zone = true,
            "keepalive" => {
                let first = directive.args.first().map_or("", String::as_str);
                let count = number(first, 1_000_000, directive)?;
                draft.set("balancer", "keepalive", count.to_string(), from);
            }
            "keepalive_timeout" => {
                let timeout = span(time_of(directive)?.max(crate::units::Span(1)));
                draft.set("balancer", "keepalive_timeout", timeout, from);
            }
            "keepalive_requests" => {
                let count = number(directive.one()?, u64::from(u32::MAX), directive)?.max(1);
                draft.set("balancer.upstream", "requests_per_connection", count.to_string(), from);
            }
            "keepalive_time" => {
                draft.set("balancer.upstream", "connection_age", span(time_of(directive)?), from);
            }
            "queue" => queue(directive, draft)?,
            _ => balance::method(directive, draft)?,
        }
    }
    let shared = if zone { "shared" } else { "per_worker" };
    let why = if zone {
        "a zone: workers share what they know"
    } else {
        "no zone: each worker by itself"
    };
    draft.set("balancer", "state", quoted(shared), format!("{}: {why}", block.origin));
    Ok(())
}

/// A server named by `proxy_pass` alone.
pub(super) fn single(address: &str, origin: &Origin, draft: &mut Draft) {
    draft.set("balancer", "keepalive", "0", format!("{origin}: no upstream block"));
    push(address, Vec::new(), origin, draft);
}

/// NGINX Plus: requests wait when no server may be asked.
fn queue(directive: &Directive, draft: &mut Draft) -> Result<(), ImportError> {
    let first = directive.args.first().map_or("", String::as_str);
    let length = number(first, u64::from(u32::MAX), directive)?;
    draft.set("balancer.queue", "length", length.to_string(), directive.origin.to_string());
    if let Some(word) = directive.args.iter().find_map(|arg| arg.strip_prefix("timeout=")) {
        let timeout = time(word).ok_or_else(|| bad_time(word, &directive.origin))?;
        draft.set("balancer.queue", "timeout", span(timeout), directive.origin.to_string());
    }
    Ok(())
}

fn server(directive: &Directive, draft: &mut Draft) -> Result<(), ImportError> {
    let Some((address, params)) = directive.args.split_first() else {
        return Err(directive.origin.error("`server` needs an address"));
    };
    let mut settings = Vec::new();
    for param in params {
        if let Some(setting) = parameter(param, address, directive, draft)? {
            settings.push(setting);
        }
    }
    push(address, settings, &directive.origin, draft);
    Ok(())
}

/// One parameter of a server (`ngx_http_upstream_server`).
fn parameter(
    param: &str,
    server: &str,
    directive: &Directive,
    draft: &mut Draft,
) -> Result<Option<Setting>, ImportError> {
    let (name, word) = param.split_once('=').unwrap_or((param, ""));
    let whole = || number(word, u64::from(u32::MAX), directive);
    let lasting = || {
        let read = time(word).ok_or_else(|| bad_time(word, &directive.origin));
        read.map(span)
    };
    let (key, value) = match name {
        "weight" => match whole()? {
            0 => return Err(directive.origin.error("a weight is at least 1")),
            weight => ("weight", weight.to_string()),
        },
        "max_conns" => ("max_conns", whole()?.to_string()),
        "max_fails" => ("max_fails", whole()?.to_string()),
        "fail_timeout" => ("fail_timeout", lasting()?),
        "slow_start" => ("slow_start", lasting()?),
        "backup" => ("backup", "true".to_owned()),
        "down" | "drain" => ("down", "true".to_owned()),
        _ => {
            let why = match name {
                "resolve" | "service" => {
                    "names are not resolved: the server stands for one backend"
                }
                "route" => "lab's affinity names servers by a hash, not by a route",
                _ => "lab does not know this parameter",
            };
            draft.leave(&directive.origin, format!("server {server} {param}"), why);
            return Ok(None);
        }
    };
    Ok(Some(Setting { key, value, comment: String::new() }))
}

fn push(address: &str, mut settings: Vec<Setting>, origin: &Origin, draft: &mut Draft) {
    let (host, port) = host_and_port(address);
    let name = draft.backend_name(host);
    let ip =
        if host == "localhost" { Some(IpAddr::V4(Ipv4Addr::LOCALHOST)) } else { host.parse().ok() };
    // A name stands for the addresses it has when NGINX starts.
    let comment = if ip.is_some() { String::new() } else { format!("server {address}") };
    if let Some(ip) = ip {
        let value = quoted(&SocketAddr::new(ip, port).to_string());
        settings.insert(0, Setting { key: "address", value, comment: String::new() });
    } else {
        let why = "a scenario names backends by IP:PORT only, so its address is left out";
        draft.leave(origin, format!("server {address}"), why);
        if let Some(first) = settings.first_mut() {
            first.comment = comment;
        }
    }
    dedup(&mut settings);
    draft.backends.push(DraftBackend { name, settings, origin: origin.clone() });
}

/// The last of equal keys counts, as for NGINX.
fn dedup(settings: &mut Vec<Setting>) {
    let mut place = 0;
    while place < settings.len() {
        let key = settings[place].key;
        if settings[place + 1..].iter().any(|later| later.key == key) {
            settings.remove(place);
        } else {
            place += 1;
        }
    }
}

/// `host:port`, `[::1]:port`, or without a port, which means 80.
pub(super) fn host_and_port(address: &str) -> (&str, u16) {
    if let Some((host, rest)) = address.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (host, rest.strip_prefix(':').and_then(|port| port.parse().ok()).unwrap_or(80));
    }
    match address.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') => (host, port.parse().unwrap_or(80)),
        _ => (address, 80),
    }
}
