//! `nginx.conf`, for people to read and NGINX to run.

use std::fmt::Write as _;

use super::settings::{Method, Millis, Server, Settings};
use crate::engine::Wiring;
use crate::scenario::HashKey;
use crate::scenario::edge::{LogFacts, Network};
use crate::units::Span;

/// Name of the upstream. `$upstream_addr` shows it where no server could be asked.
const UPSTREAM: &str = "lab_backends";
/// Attempts that are counted one by one.
const COUNTED: usize = 32;

/// The whole file.
pub(super) fn configuration(settings: &Settings, scenario: &str, wiring: &Wiring) -> String {
    let mut out = Lines::default();
    top(&mut out, settings, scenario, wiring);
    out.open("http");
    surroundings(&mut out, settings, wiring);
    upstream(&mut out, settings, wiring);
    variables(&mut out, settings);
    front(&mut out, settings, wiring);
    admin(&mut out, wiring);
    out.close();
    out.text
}

/// Lines with the indentation of their block.
#[derive(Default)]
struct Lines {
    text: String,
    depth: usize,
}

impl Lines {
    fn line(&mut self, line: impl AsRef<str>) {
        let line = line.as_ref();
        let indent = if line.is_empty() { 0 } else { 4 * self.depth };
        let _ = writeln!(self.text, "{:indent$}{line}", "");
    }

    fn comment(&mut self, text: impl AsRef<str>) {
        self.line(format!("# {}", text.as_ref()));
    }

    fn set(&mut self, name: &str, value: impl std::fmt::Display) {
        self.line(format!("{name} {value};"));
    }

    fn open(&mut self, head: &str) {
        self.line(format!("{head} {{"));
        self.depth += 1;
    }

    fn close(&mut self) {
        self.depth -= 1;
        self.line("}");
    }
}

fn top(out: &mut Lines, settings: &Settings, scenario: &str, wiring: &Wiring) {
    out.comment(format!("NGINX as the balancer of the scenario `{scenario}`, written by lab."));
    out.line("");
    out.set("worker_processes", settings.workers);
    out.line("daemon off; # whoever starts it waits for it");
    out.set("pid", path(wiring, "nginx.pid"));
    out.set("error_log", format!("{} notice", path(wiring, "error.log")));
    if settings.edge.drain_timeout > Span::ZERO {
        out.comment("After a reload, workers of the old configuration end what they have.");
        out.set("worker_shutdown_timeout", Millis::of(settings.edge.drain_timeout));
    }
    out.line("");
    out.open("events");
    out.comment("A request has two connections: its client's and its backend's.");
    out.set("worker_connections", u64::from(settings.edge.client.connections) * 2);
    out.close();
    out.line("");
}

/// Files and limits.
fn surroundings(out: &mut Lines, settings: &Settings, wiring: &Wiring) {
    for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        out.set(&format!("{kind}_temp_path"), path(wiring, &format!("{kind}_temp")));
    }
    if let Some(HashKey::Header(name)) = &settings.key
        && name.contains('_')
    {
        out.set("underscores_in_headers", "on");
    }
    if let Some(log) = &settings.edge.log {
        access_log(out, log);
    } else {
        out.set("access_log", "off");
    }
    out.line("");
}

fn access_log(out: &mut Lines, log: &LogFacts) {
    out.comment("A share of the requests, and every one answered with 5xx.");
    let hundredths = (log.sample.0 * 10_000.0).round().clamp(0.0, 10_000.0) as u32;
    if hundredths == 10_000 {
        out.line("map $request_id $lab_drawn { default 1; }");
    } else {
        out.open("split_clients $request_id $lab_drawn");
        if hundredths > 0 {
            out.set(&format!("{}.{:02}%", hundredths / 100, hundredths % 100), 1);
        }
        out.set("*", 0);
        out.close();
    }
    out.line("map $status $lab_logged { ~^5 1; default $lab_drawn; }");
    out.set(
        "access_log",
        format!("{} combined if=$lab_logged", quoted(&log.path.display().to_string())),
    );
}

fn upstream(out: &mut Lines, settings: &Settings, wiring: &Wiring) {
    if let Some(HashKey::Path) = settings.key.as_ref().filter(|_| hashes(settings)) {
        out.line(
            "map $request_uri $lab_path { \"~^(?<lab_before_query>[^?]*)\" $lab_before_query; }",
        );
    }
    if let Some(HashKey::Cookie(name)) = settings.key.as_ref().filter(|_| hashes(settings)) {
        let name = pattern(name);
        out.line(format!(
            "map $http_cookie $lab_cookie {{ \"~(?:^|;\\s*){name}=(?<lab_value>[^;]*)\" $lab_value; }}"
        ));
    }
    out.open(&format!("upstream {UPSTREAM}"));
    if settings.zone {
        out.comment("One state for all workers.");
        out.set("zone", format!("{UPSTREAM} {}k", 64 + 4 * settings.servers.len()));
    } else {
        out.comment("No zone: each worker knows its own requests and failures only.");
    }
    if let Some(method) = method(settings) {
        out.line(format!("{method};"));
    }
    let servers = settings.servers.iter().zip(&wiring.backends);
    for (server, address) in servers.filter(|(server, _)| !server.peer.absent) {
        out.line(server_line(server, &address.to_string()));
    }
    if settings.keepalive > 0 {
        out.comment("Idle connections to all servers together, of each worker.");
        out.set("keepalive", settings.keepalive);
        out.set("keepalive_timeout", settings.keepalive_timeout);
        out.set("keepalive_requests", settings.edge.upstream.requests_per_connection);
        out.set("keepalive_time", Millis::of(settings.edge.upstream.connection_age));
    }
    out.close();
    out.line("");
}

const fn hashes(settings: &Settings) -> bool {
    matches!(settings.method, Method::Hash | Method::Consistent)
}

fn method(settings: &Settings) -> Option<String> {
    let key = || match settings.key.as_ref() {
        Some(HashKey::Client) | None => "$remote_addr".to_owned(),
        Some(HashKey::Uri) => "$request_uri".to_owned(),
        Some(HashKey::Path) => "$lab_path".to_owned(),
        Some(HashKey::Host) => "$host".to_owned(),
        Some(HashKey::Header(name)) => format!("$http_{}", name.replace('-', "_")),
        Some(HashKey::Cookie(_)) => "$lab_cookie".to_owned(),
    };
    match settings.method {
        Method::Hash => Some(format!("hash {}", key())),
        Method::Consistent => Some(format!("hash {} consistent", key())),
        other => other.directive().map(str::to_owned),
    }
}

fn server_line(server: &Server, address: &str) -> String {
    let peer = &server.peer;
    let name = &peer.name;
    if server.left_out {
        return format!("# server {address} backup; # {name}: this method has no backups");
    }
    let mut line = format!("server {address}");
    let mut add = |is: bool, word: String| {
        if is {
            line.push(' ');
            line.push_str(&word);
        }
    };
    add(peer.weight != 1, format!("weight={}", peer.weight));
    add(true, format!("max_fails={}", peer.max_fails));
    add(true, format!("fail_timeout={}s", server.fail_timeout_s));
    add(peer.max_conns != 0, format!("max_conns={}", peer.max_conns));
    add(peer.backup, "backup".to_owned());
    add(peer.down, "down".to_owned());
    format!("{line}; # {name}")
}

fn variables(out: &mut Lines, settings: &Settings) {
    out.comment("Connection to the backend: WebSocket and the like are switched, others kept.");
    let kept = if settings.keepalive > 0 { "\"\"" } else { "close" };
    out.line(format!("map $http_upgrade $lab_connection {{ default upgrade; \"\" {kept}; }}"));
    out.line("");
    if settings.edge.forward.x_forwarded {
        forwarded(out, &settings.edge.forward.trusted);
    }
    out.comment("Servers tried, for the record: $upstream_addr lists them.");
    out.open("map $upstream_addr $lab_attempts");
    let most = settings.most_attempts().clamp(1, COUNTED);
    out.set("default", most);
    out.set("\"\"", 0);
    for attempts in 0..=most {
        let tried = "[^,]+, ".repeat(attempts.saturating_sub(1));
        let listed = if attempts == 0 { String::new() } else { format!("{tried}[^,]+, ") };
        out.set(&format!("\"~^{listed}{UPSTREAM}$\""), attempts);
    }
    for attempts in 1..=most {
        let tried = "[^,]+, ".repeat(attempts - 1);
        out.set(&format!("\"~^{tried}[^,]+$\""), attempts);
    }
    out.close();
    out.line("");
}

/// What a trusted client says of those before it is believed.
fn forwarded(out: &mut Lines, trusted: &[Network]) {
    if trusted.is_empty() {
        return;
    }
    out.open("geo $lab_trusted");
    out.set("default", 0);
    for network in trusted {
        out.set(&format!("{}/{}", network.first(), network.prefix), 1);
    }
    out.close();
    let rows = [
        ("$lab_real_ip", "$http_x_real_ip", "$remote_addr"),
        ("$lab_forwarded_proto", "$http_x_forwarded_proto", "$scheme"),
        ("$lab_forwarded_host", "$http_x_forwarded_host", "$host"),
    ];
    out.line("map $lab_trusted $lab_forwarded_for { 1 $proxy_add_x_forwarded_for; default $remote_addr; }");
    for (name, said, ours) in rows {
        out.line(format!(
            "map \"$lab_trusted:{said}\" {name} {{ \"~^1:(?<lab_said{}>.+)$\" $lab_said{}; default {ours}; }}",
            &name[4..], &name[4..]
        ));
    }
    out.line("");
}

/// Where clients connect.
fn front(out: &mut Lines, settings: &Settings, wiring: &Wiring) {
    let client = &settings.edge.client;
    out.open("server");
    let spread = if settings.workers > 1 { " reuseport" } else { "" };
    if settings.workers > 1 {
        out.comment("A socket for each worker: the kernel spreads connections evenly over them.");
    }
    out.set("listen", format!("{}{spread}", wiring.listen));
    out.line("");
    out.set("keepalive_timeout", Millis::of(client.idle_timeout));
    out.set("keepalive_requests", client.requests_per_connection);
    out.set("client_header_timeout", Millis::of(client.header_timeout));
    out.set("client_body_timeout", Millis::of(client.body_timeout));
    out.set("send_timeout", Millis::of(client.body_timeout));
    out.set("large_client_header_buffers", format!("4 {}", client.header_max.0.max(1024)));
    let unlimited = client.body_max.is_none();
    out.line(format!(
        "client_max_body_size {};{}",
        client.body_max.map_or(0, |most| most.0.max(1)),
        if unlimited { " # no limit" } else { "" }
    ));
    out.line("");
    out.open("location /");
    proxy(out, settings);
    out.close();
    out.close();
    out.line("");
}

fn proxy(out: &mut Lines, settings: &Settings) {
    let edge = &settings.edge;
    out.set("proxy_pass", format!("http://{UPSTREAM}"));
    out.set("proxy_http_version", "1.1");
    let header = |out: &mut Lines, name: &str, value: &str| {
        out.set("proxy_set_header", format!("{name} {value}"));
    };
    header(out, "Host", "$host");
    header(out, "Upgrade", "$http_upgrade");
    header(out, "Connection", "$lab_connection");
    if edge.forward.x_forwarded {
        let own = ["$remote_addr", "$remote_addr", "$scheme", "$host"];
        let believed =
            ["$lab_real_ip", "$lab_forwarded_for", "$lab_forwarded_proto", "$lab_forwarded_host"];
        let values = if edge.forward.trusted.is_empty() { own } else { believed };
        let names = ["X-Real-IP", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"];
        names.iter().zip(values).for_each(|(name, value)| header(out, name, value));
    }
    if edge.forward.via {
        header(out, "Via", "\"1.1 nginx\"");
        out.set("add_header", "Via \"1.1 nginx\" always");
    }
    out.line("");
    out.set("proxy_connect_timeout", settings.connect_timeout);
    out.set("proxy_send_timeout", Millis::of(edge.upstream.send_timeout));
    out.set("proxy_read_timeout", settings.read_timeout);
    out.comment("When the next server is tried.");
    out.set("proxy_next_upstream", settings.next_upstream.join(" "));
    if settings.tries > 0 {
        out.set("proxy_next_upstream_tries", settings.tries);
    }
    if settings.next_timeout.span() > Span::ZERO {
        out.set("proxy_next_upstream_timeout", settings.next_timeout);
    }
    out.set("add_header", "x-lab-attempts $lab_attempts always");
}

fn admin(out: &mut Lines, wiring: &Wiring) {
    out.comment("NGINX's own counters, for lab.");
    out.open("server");
    out.set("listen", wiring.admin);
    out.set("access_log", "off");
    out.line("location = /stub_status { stub_status; }");
    out.line("location / { return 404; }");
    out.close();
}

fn path(wiring: &Wiring, name: &str) -> String {
    quoted(&wiring.folder.join(name).display().to_string())
}

/// A word of a configuration; quoted where it needs it.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A regular expression, within quotes, that matches `name` alone.
fn pattern(name: &str) -> String {
    let letter = |c: char| {
        if c.is_ascii_alphanumeric() || "-_%&'!#~`".contains(c) {
            c.to_string()
        } else {
            format!("[{}]", if c == '^' { "\\\\^".to_owned() } else { c.to_string() })
        }
    };
    name.chars().map(letter).collect()
}
