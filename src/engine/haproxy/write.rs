//! Puts HAProxy's settings into `haproxy.cfg`.

use std::fmt::Write as _;

use super::settings::{Cookie, Retries, Server, Settings, protocol_words};
use crate::engine::Wiring;
use crate::scenario::edge::{ForwardFacts, UpstreamProtocol, UpstreamTls};
use crate::scenario::{EdgeFacts, Scenario};
use crate::units::Span;

/// The part of the buffer that is kept free for rewriting (`tune.maxrewrite`).
const MAX_REWRITE: u64 = 1024;
/// The proxies' names, which the runtime API needs.
pub const FRONTEND: &str = "clients";
/// See [`FRONTEND`].
pub const BACKEND: &str = "peers";
/// The stats socket, in the folder where HAProxy is started: the path of a socket has to be short,
/// and folders of results are not.
pub const SOCKET: &str = "haproxy.sock";

/// The text.
pub(super) fn text(scenario: &Scenario, settings: &Settings, wiring: &Wiring) -> String {
    let edge = &scenario.balancer.edge;
    let mut out = File::default();
    out.line(0, &format!("# HAProxy for the scenario {}, written by lab.", scenario.name));
    global(&mut out, settings, edge);
    defaults(&mut out, settings);
    frontend(&mut out, settings, edge, wiring);
    backend(&mut out, settings, edge, wiring);
    out.0
}

/// The file as it grows.
#[derive(Default)]
struct File(String);

impl File {
    fn line(&mut self, indent: usize, text: &str) {
        let _ = writeln!(self.0, "{:indent$}{text}", "");
    }

    /// A section, after an empty line.
    fn section(&mut self, text: &str) {
        let _ = writeln!(self.0, "\n{text}");
    }

    fn set(&mut self, text: impl AsRef<str>) {
        self.line(4, text.as_ref());
    }

    fn comment(&mut self, text: &str) {
        self.line(4, &format!("# {text}"));
    }
}

/// As HAProxy reads times: with a unit.
fn ms(span: Span) -> String {
    format!("{}ms", span.0 / 1_000_000)
}

/// A word of the configuration, whatever is in it: within single quotes nothing but their end is
/// special (configuration manual, 2.2).
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn global(out: &mut File, settings: &Settings, edge: &EdgeFacts) {
    out.section("global");
    out.comment("All threads share one state of the servers.");
    out.set(format!("nbthread {}", settings.threads));
    out.set(format!("maxconn {}", settings.connections));
    out.comment("Where the system gives fewer descriptors than that needs, those have to do.");
    out.set("no strict-limits");
    if let Some(size) = buffer(edge) {
        out.comment("A request head has to fit in.");
        out.set(format!("tune.bufsize {size}"));
    }
    out.comment("A port that somebody else has is an error, not shared.");
    out.set("noreuseport");
    out.comment("Statistics and orders.");
    out.set(format!("stats socket unix@{SOCKET} mode 600 level admin severity-output number"));
    out.set("stats timeout 1h");
    out.comment("A soft stop ends what is still in flight after this.");
    out.set(format!("hard-stop-after {}", ms(super::settings::millis(edge.drain_timeout))));
    if settings.logs {
        out.set("log stdout format raw local0");
    }
}

/// `tune.bufsize`, where the default of 16 KiB is not it.
fn buffer(edge: &EdgeFacts) -> Option<u64> {
    let head = edge.client.header_max.0;
    (head != 16 << 10).then(|| head.saturating_add(MAX_REWRITE).clamp(2048, 1 << 28))
}

fn defaults(out: &mut File, settings: &Settings) {
    let timeouts = &settings.timeouts;
    out.section("defaults");
    out.set("mode http");
    out.set(if settings.logs { "log global" } else { "no log" });
    if settings.logs {
        out.set("option httplog");
    }
    for (name, time) in [
        ("connect", timeouts.connect),
        ("server", timeouts.server),
        ("client", timeouts.client),
        ("http-request", timeouts.http_request),
        ("http-keep-alive", timeouts.http_keep_alive),
        ("queue", timeouts.queue),
    ] {
        out.set(format!("timeout {name} {}", ms(time)));
    }
}

fn frontend(out: &mut File, settings: &Settings, edge: &EdgeFacts, wiring: &Wiring) {
    out.section(&format!("frontend {FRONTEND}"));
    out.set(format!("bind {}", wiring.listen));
    out.set(format!("maxconn {}", settings.connections));
    if let Some(limit) = edge.client.body_max {
        out.set(format!("http-request deny deny_status 413 if {{ req.body_size gt {} }}", limit.0));
    }
    forward(out, &edge.forward);
    out.comment("How many attempts it took, and who was asked last: %rc counts retries, and has a");
    out.comment("`+` in front when another server was chosen.");
    out.set("http-after-response set-header x-lab-attempts %rc");
    out.set(
        "http-after-response set-header x-lab-attempts %[res.hdr(x-lab-attempts),ltrim(+),add(1)]",
    );
    out.set("http-after-response set-header x-lab-upstream %s");
    out.set(format!("default_backend {BACKEND}"));
}

/// Tells servers about the client.
fn forward(out: &mut File, forward: &ForwardFacts) {
    if !forward.x_forwarded {
        return;
    }
    out.comment("Who the client is.");
    let unless = if forward.trusted.is_empty() {
        ""
    } else {
        for network in &forward.trusted {
            out.set(format!("acl trusted src {}/{}", network.address, network.prefix));
        }
        " unless trusted"
    };
    let rules = [
        "del-header X-Forwarded-For",
        "set-header X-Real-IP %[src]",
        "set-header X-Forwarded-Proto http",
        "set-header X-Forwarded-Host %[req.hdr(host)]",
    ];
    for rule in rules {
        out.set(format!("http-request {rule}{unless}"));
    }
    out.set("option forwardfor");
}

fn backend(out: &mut File, settings: &Settings, edge: &EdgeFacts, wiring: &Wiring) {
    out.section(&format!("backend {BACKEND}"));
    out.set(format!("balance {}", settings.balance.words()));
    for line in settings.balance.hash_lines() {
        out.set(line);
    }
    retries(out, settings);
    if settings.pool.is_some() {
        out.comment("An idle connection serves any client.");
        out.set("http-reuse always");
    } else {
        out.comment("Every request has a connection of its own.");
        out.set("http-reuse never");
        out.set("option http-server-close");
    }
    if let Some(cookie) = &settings.cookie {
        affinity(out, cookie);
    }
    if let Some(check) = &settings.check {
        out.comment("Health checks; 2xx and 3xx pass.");
        out.set("option httpchk");
        let path = quoted(&check.path);
        out.set(format!("http-check send meth GET uri {path} ver HTTP/1.1 hdr Host {BACKEND}"));
        out.set(format!("timeout check {}", ms(check.timeout)));
    }
    out.comment("When no other server may serve, all backups share the load.");
    out.set("option allbackups");
    default_server(out, settings, edge);
    let servers = settings.servers.iter().zip(&wiring.backends);
    for (server, address) in servers.filter(|(server, _)| !server.absent) {
        out.set(server_line(server, &address.to_string()));
    }
}

fn retries(out: &mut File, settings: &Settings) {
    let retries = &settings.retries;
    out.comment("A retry goes to another server, at once.");
    out.set(format!("retries {}", retries.count));
    out.set(format!("retry-on {}", conditions(retries)));
    out.set("option redispatch 1");
}

/// The words of `retry-on`.
pub(super) fn conditions(retries: &Retries) -> String {
    let named = [
        (retries.connection, "conn-failure"),
        (retries.empty_response, "empty-response"),
        (retries.response_timeout, "response-timeout"),
        (retries.junk_response, "junk-response"),
    ];
    let named = named.into_iter().filter(|(on, _)| *on).map(|(_, word)| word.to_owned());
    let words: Vec<String> = named.chain(retries.statuses.iter().map(u16::to_string)).collect();
    if words.is_empty() { "none".to_owned() } else { words.join(" ") }
}

fn affinity(out: &mut File, cookie: &Cookie) {
    out.comment("Sessions stay with their server; the cookie holds a keyed hash of its address.");
    out.set(format!("dynamic-cookie-key {}", quoted(&cookie.secret)));
    let mut words = format!("cookie {} insert indirect nocache dynamic", quoted(&cookie.name));
    for (on, word) in [(cookie.http_only, " httponly"), (cookie.secure, " secure")] {
        words.push_str(if on { word } else { "" });
    }
    if let Some(life) = cookie.life {
        let _ = write!(words, " maxlife {}s", life.0 / 1_000_000_000);
    }
    let _ = write!(words, " attr SameSite={}", cookie.same_site);
    out.set(words);
}

/// What all servers have in common, those that are added later too.
fn default_server(out: &mut File, settings: &Settings, edge: &EdgeFacts) {
    let mut words = server_words(settings, edge);
    // Not accepted for servers that are added later.
    words.extend(settings.pool.map(|pool| format!("max-reuse {}", pool.reuse)));
    if !words.is_empty() {
        out.set(format!("default-server {}", words.join(" ")));
    }
}

/// The words of a `server` line that are the same for all servers, also those that are added.
pub(super) fn server_words(settings: &Settings, edge: &EdgeFacts) -> Vec<String> {
    let mut words = Vec::new();
    if let Some(pool) = &settings.pool {
        words.push(format!("pool-max-conn {}", pool.size));
        words.push(format!("pool-purge-delay {}", ms(pool.purge)));
    }
    if let Some(check) = &settings.check {
        let inter = ms(check.inter);
        words.push(format!("check inter {inter} rise {} fall {}", check.rise, check.fall));
    }
    if let Some(limit) = settings.error_limit {
        words.push(format!("observe layer4 error-limit {limit} on-error mark-down"));
    }
    words.extend(protocol_words(edge));
    if edge.upstream.protocol == UpstreamProtocol::H2 {
        words.push("proto h2".to_owned());
    }
    if let Some(tls) = &edge.upstream.tls {
        words.extend(tls_words(tls));
    }
    words
}

fn tls_words(tls: &UpstreamTls) -> Vec<String> {
    let mut words = vec!["ssl".to_owned()];
    words.push(if tls.verify { "verify required" } else { "verify none" }.to_owned());
    if tls.verify {
        let authorities = tls.ca.as_ref().map(|path| path.display().to_string());
        words.push(format!("ca-file {}", quoted(authorities.as_deref().unwrap_or("@system-ca"))));
    }
    if let Some(name) = &tls.server_name {
        words.push(format!("sni {}", quoted(&format!("str({name})"))));
        words.push(format!("verifyhost {}", quoted(name)));
    }
    words
}

fn server_line(server: &Server, address: &str) -> String {
    let disabled = if server.disabled { " disabled" } else { "" };
    format!("server {} {address} {}{disabled}", server.name, own_words(server))
}

/// The words of a `server` line that are this server's.
pub(super) fn own_words(server: &Server) -> String {
    let mut words = format!("weight {}", server.weight);
    if server.maxconn != 0 {
        let _ = write!(words, " maxconn {}", server.maxconn);
    }
    if let Some(time) = server.slow_start {
        let _ = write!(words, " slowstart {}", ms(time));
    }
    if server.backup {
        words.push_str(" backup");
    }
    words
}
