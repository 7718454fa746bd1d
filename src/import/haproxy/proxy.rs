//! What `defaults`, `backend` and `listen` say about servers: time-outs, retries, checks, queue.

use super::section::{Line, last};
use super::server::Params;
use super::value::{number, time_at};
use crate::import::nginx::graphic_path;
use crate::import::toml_text::{quoted, quoted_list, span};
use crate::import::{Draft, ImportError, Origin};
use crate::units::Span;

/// Directives that change which server a request reaches, and why a scenario has no word for them.
const TELLING: [(&[&str], &str); 14] = [
    (&["stick-table"], "sessions stay with a server by a cookie only (balancer.affinity)"),
    (&["stick"], "sessions stay with a server by a cookie only (balancer.affinity)"),
    (&["appsession"], "sessions stay with a server by a cookie only (balancer.affinity)"),
    (&["use-server"], "requests are not routed by their content"),
    (&["option", "allbackups"], "NGINX's and lab's rule: all backups serve at once"),
    (&["option", "prefer-last-server"], "each request is balanced by itself"),
    (&["option", "transparent"], "requests go to the backends of the scenario"),
    (&["option", "http_proxy"], "requests go to the backends of the scenario"),
    (&["fullconn"], "the limit of a server is fixed (max_conns), not dynamic"),
    (&["http-check", "expect"], "a check passes with a status from 200 to 399"),
    (&["tcp-check"], "a check is a GET request"),
    (&["external-check"], "a check is a GET request"),
    (&["timeout", "tarpit"], "requests are not held back"),
    (&["filter"], "requests are passed on as they are"),
];

/// Notes them.
pub(super) fn note_rest(lines: &[&Line], draft: &mut Draft) {
    for (words, why) in TELLING {
        for line in lines.iter().filter(|line| line.begins(words) && !line.takes_back) {
            draft.leave(&line.origin, line.text(), why);
        }
    }
    for line in lines.iter().filter(|line| line.word(0) == "http-request") {
        if matches!(
            line.word(1),
            "deny" | "tarpit" | "redirect" | "return" | "cache-use" | "set-path" | "reject"
        ) {
            draft.leave(&line.origin, line.text(), "every request reaches a backend as it is sent");
        }
    }
}

pub(super) fn timeouts(
    lines: &[&Line],
    proxy: &Origin,
    draft: &mut Draft,
) -> Result<(), ImportError> {
    let keys = [
        ("connect", "balancer", "connect_timeout"),
        ("server", "balancer", "read_timeout"),
        ("client", "balancer.client", "body_timeout"),
        ("http-request", "balancer.client", "header_timeout"),
        ("http-keep-alive", "balancer.client", "idle_timeout"),
    ];
    for (name, section, key) in keys {
        if let Some(line) = last(lines, &["timeout", name]) {
            // Zero is no limit; scenarios have none either, but always a number.
            match time_at(line, 2)? {
                Span::ZERO => {
                    draft.set(section, key, "\"24h\"", format!("{}: no limit", line.origin))
                }
                timeout => draft.set(section, key, span(timeout), line.origin.to_string()),
            }
        } else if section == "balancer" {
            let why = "HAProxy waits for ever without it; the scenario's default is 60s";
            draft.leave(proxy, format!("no `timeout {name}`"), why);
        }
    }
    Ok(())
}

pub(super) fn retries(lines: &[&Line], draft: &mut Draft) -> Result<(), ImportError> {
    let retries = last(lines, &["retries"]);
    let count = retries.map_or(Ok(3), |line| number(line.word(1), 1_000_000, &line.origin))?;
    let from =
        retries.map_or_else(|| "HAProxy's default".to_owned(), |line| line.origin.to_string());
    draft.set(
        "balancer.retry",
        "tries",
        (count + 1).to_string(),
        format!("retries {count}: {from}"),
    );
    let (words, from) = match last(lines, &["retry-on"]) {
        Some(line) => (conditions(line, draft)?, line.origin.to_string()),
        None => (vec!["error"], "conn-failure: HAProxy's default".to_owned()),
    };
    draft.set("balancer.retry", "on", quoted_list(words), from);
    if let Some(line) = last(lines, &["option", "redispatch"]) {
        let why = "a scenario says how often, not where: a retry goes to another server by the \
                   rules of the engine";
        draft.leave(&line.origin, line.text(), why);
    }
    Ok(())
}

fn conditions(line: &Line, draft: &mut Draft) -> Result<Vec<&'static str>, ImportError> {
    let mut on: Vec<&'static str> = Vec::new();
    for word in &line.words[1..] {
        let taken: &[&'static str] = match word.as_str() {
            "none" => &[],
            "conn-failure" | "empty-response" => &["error"],
            "response-timeout" => &["timeout"],
            "junk-response" => &["invalid_header"],
            "all-retryable-errors" => &[
                "error",
                "timeout",
                "invalid_header",
                "http_500",
                "http_502",
                "http_503",
                "http_504",
            ],
            "403" => &["http_403"],
            "404" => &["http_404"],
            "429" => &["http_429"],
            "500" => &["http_500"],
            "502" => &["http_502"],
            "503" => &["http_503"],
            "504" => &["http_504"],
            "0rtt-rejected" | "401" | "408" | "425" | "501" => {
                let why = "a scenario has no such condition";
                draft.leave(&line.origin, format!("retry-on {word}"), why);
                &[]
            }
            other => {
                return Err(line.origin.error(format!("`{other}` is no condition of `retry-on`")));
            }
        };
        on.extend(taken.iter().filter(|word| !on.contains(*word)).copied().collect::<Vec<_>>());
    }
    Ok(on)
}

/// Health checks: `option httpchk` with the intervals of the servers.
pub(super) fn health(
    lines: &[&Line],
    servers: &[Params],
    draft: &mut Draft,
) -> Result<(), ImportError> {
    let checked: Vec<&Params> = servers.iter().filter(|server| server.check).collect();
    let Some(first) = checked.first() else { return Ok(()) };
    let key = |server: &Params| (server.interval, server.rise, server.fall);
    let http = last(lines, &["option", "httpchk"]);
    let origin = draft.backends[0].origin.clone();
    if checked.len() < servers.len() {
        draft.leave(&origin, "check", "only some servers are checked; in the scenario all are");
    }
    if checked.iter().any(|server| key(server) != key(first)) {
        draft.leave(
            &origin,
            "inter, rise, fall",
            "they differ between servers; the first one's are taken",
        );
    }
    let path = match (http, last(lines, &["http-check", "send"])) {
        (Some(_), Some(line)) => send_uri(line).to_owned(),
        (Some(line), None) => match line.words.len() {
            0..=2 => "/".to_owned(),
            3 => line.word(2).to_owned(),
            _ => line.word(3).to_owned(),
        },
        (None, _) => {
            draft.leave(
                &origin,
                "check",
                "a TCP connection is checked here, a GET request in the scenario",
            );
            "/".to_owned()
        }
    };
    let path = if path.starts_with('/') { graphic_path(&path) } else { "/".to_owned() };
    let from = http.map_or_else(|| origin.to_string(), |line| line.origin.to_string());
    let interval = first.interval.unwrap_or(Span::from_secs(2));
    let timeout = match last(lines, &["timeout", "check"]) {
        Some(line) => time_at(line, 2)?,
        None => interval,
    };
    let timeout = timeout.clamp(Span(1), interval);
    draft.set("balancer.health", "path", quoted(&path), from);
    draft.set("balancer.health", "interval", span(interval), "inter");
    draft.set("balancer.health", "timeout", span(timeout), "timeout check, at most inter");
    draft.set("balancer.health", "rise", first.rise.unwrap_or(2).to_string(), "");
    draft.set("balancer.health", "fall", first.fall.unwrap_or(3).to_string(), "");
    Ok(())
}

/// `http-check send meth GET uri /health ver HTTP/1.1`.
fn send_uri(line: &Line) -> &str {
    let place = line.words.iter().position(|word| word == "uri");
    place.map_or("/", |place| line.word(place + 1))
}

/// Requests wait where a server has a limit.
pub(super) fn queue(
    lines: &[&Line],
    servers: &[Params],
    draft: &mut Draft,
) -> Result<(), ImportError> {
    if !servers.iter().any(|server| server.max_conns.is_some_and(|most| most > 0)) {
        return Ok(());
    }
    let bounds: Vec<u64> =
        servers.iter().filter_map(|s| s.max_queue.filter(|most| *most > 0)).collect();
    let bounded = bounds.len() == servers.len();
    let length =
        if bounded { bounds.iter().sum::<u64>().min(u64::from(u32::MAX)) } else { 100_000 };
    let comment = if bounded { "the sum of maxqueue" } else { "HAProxy's queue has no bound" };
    draft.set("balancer.queue", "length", length.to_string(), comment);
    let names: [&[&str]; 2] = [&["timeout", "queue"], &["timeout", "connect"]];
    if let Some(line) = names.iter().find_map(|words| last(lines, words)) {
        let timeout = time_at(line, 2)?.max(Span::from_millis(1));
        draft.set("balancer.queue", "timeout", span(timeout), line.origin.to_string());
    }
    Ok(())
}

/// `cookie NAME insert`, where servers have cookies.
pub(super) fn affinity(lines: &[&Line], servers: &[Params], draft: &mut Draft) {
    let Some(line) = last(lines, &["cookie"]) else { return };
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let name = line.word(1);
    if !servers.iter().any(|server| server.cookie.is_some())
        || name.is_empty()
        || !name.chars().all(token)
    {
        return draft.leave(
            &line.origin,
            line.text(),
            "no server has a cookie, so it binds nothing",
        );
    }
    draft.set("balancer.affinity", "cookie", quoted(name), line.origin.to_string());
    let has = |word: &str| line.words.iter().any(|known| known == word);
    draft.set("balancer.affinity", "http_only", has("httponly").to_string(), "");
    draft.set("balancer.affinity", "secure", has("secure").to_string(), "");
    if has("rewrite") || has("prefix") || !has("insert") {
        let why = "the balancer sets the cookie itself (insert); servers do not";
        draft.leave(&line.origin, line.text(), why);
    }
}

/// Connections to servers: kept, HTTP/2, TLS, PROXY protocol. A scenario says it once for all.
pub(super) fn connections(lines: &[&Line], servers: &[Params], draft: &mut Draft) {
    let closing: [&[&str]; 3] =
        [&["option", "httpclose"], &["option", "http-server-close"], &["http-reuse", "never"]];
    if let Some(line) = closing.iter().find_map(|words| last(lines, words)) {
        draft.set("balancer", "keepalive", "0", format!("{}: {}", line.origin, line.text()));
    } else if let Some(most) = servers.iter().filter_map(|server| server.pool_max).max() {
        draft.set("balancer", "keepalive", most.min(1_000_000).to_string(), "pool-max-conn");
    }
    let Some(first) = servers.first() else { return };
    if let Some(reuse) = first.max_reuse {
        let key = "requests_per_connection";
        draft.set("balancer.upstream", key, (reuse + 1).to_string(), "max-reuse");
    }
    if first.http2 {
        draft.set("balancer.upstream", "protocol", quoted("h2"), "");
    }
    if let Some(version) = first.proxy_protocol {
        draft.set("balancer.upstream", "send_proxy_protocol", quoted(version), "");
    }
    if first.tls {
        draft.set("balancer.upstream.tls", "verify", first.verify.to_string(), "");
    }
    let key = |server: &Params| (server.tls, server.http2, server.proxy_protocol);
    if servers.iter().any(|server| key(server) != key(first)) {
        let origin = draft.backends[0].origin.clone();
        draft.leave(
            &origin,
            "ssl, proto, send-proxy",
            "they differ between servers; the first one's are taken",
        );
    }
}
