//! `server`, `server-template` and `default-server`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::section::Line;
use super::value::{bad_time, number, time, time_in};
use crate::import::toml_text::{quoted, span};
use crate::import::{Draft, DraftBackend, ImportError, Setting};
use crate::units::Span;

/// A server's parameters; `default-server` fills them for those below it.
#[derive(Clone, Debug, Default)]
pub(super) struct Params {
    pub(super) weight: Option<u64>,
    pub(super) max_conns: Option<u64>,
    pub(super) max_queue: Option<u64>,
    pub(super) backup: bool,
    pub(super) disabled: bool,
    pub(super) slow_start: Option<Span>,
    pub(super) cookie: Option<String>,
    pub(super) check: bool,
    pub(super) interval: Option<Span>,
    pub(super) rise: Option<u64>,
    pub(super) fall: Option<u64>,
    pub(super) pool_max: Option<u64>,
    pub(super) max_reuse: Option<u64>,
    pub(super) tls: bool,
    pub(super) verify: bool,
    pub(super) http2: bool,
    pub(super) proxy_protocol: Option<&'static str>,
}

/// Parameters with a word behind them that no scenario needs.
const IGNORED: [&str; 31] = [
    "ca-file",
    "crl-file",
    "crt",
    "sni",
    "verifyhost",
    "check-sni",
    "check-alpn",
    "check-proto",
    "port",
    "addr",
    "id",
    "init-addr",
    "resolvers",
    "resolve-prefer",
    "resolve-net",
    "resolve-opts",
    "ciphers",
    "ciphersuites",
    "ssl-min-ver",
    "ssl-max-ver",
    "namespace",
    "source",
    "tcp-ut",
    "log-proto",
    "on-marked-up",
    "on-marked-down",
    "pool-purge-delay",
    "pool-low-conn",
    "usesrc",
    "ws",
    "curves",
];
/// Parameters that change how a server is used.
const LEFT: [(&str, bool, &str); 11] = [
    ("minconn", true, "the limit of a server is fixed (max_conns), not dynamic"),
    ("observe", true, "traffic does not take servers out by these rules; only checks do"),
    ("error-limit", true, "traffic does not take servers out by these rules; only checks do"),
    ("on-error", true, "traffic does not take servers out by these rules; only checks do"),
    ("fastinter", true, "checks have one interval"),
    ("downinter", true, "checks have one interval"),
    ("agent-check", false, "weights are not set by an agent"),
    ("agent-port", true, "weights are not set by an agent"),
    ("agent-inter", true, "weights are not set by an agent"),
    ("track", true, "each backend is checked by itself"),
    ("redir", true, "requests are balanced, not redirected"),
];

impl Params {
    /// Reads the words of a line from `place` on.
    pub(super) fn read(
        &mut self,
        line: &Line,
        place: usize,
        draft: &mut Draft,
    ) -> Result<(), ImportError> {
        let mut words = line.words.iter().skip(place).map(String::as_str);
        while let Some(word) = words.next() {
            if self.flag(word) {
                continue;
            }
            let origin = &line.origin;
            let left = LEFT.iter().find(|(name, ..)| *name == word);
            if let Some((name, takes_value, why)) = left {
                let value = if *takes_value { words.next().unwrap_or("") } else { "" };
                draft.leave(origin, format!("server: {name} {value}").trim_end().to_owned(), *why);
                continue;
            }
            if IGNORED.contains(&word) {
                words.next();
                continue;
            }
            if !self.takes_value(word) {
                draft.leave(origin, format!("server: {word}"), "lab does not know this parameter");
                continue;
            }
            let Some(value) = words.next() else {
                return Err(origin.error(format!("`{word}` needs a value")));
            };
            self.value(word, value, line)?;
        }
        Ok(())
    }

    fn flag(&mut self, word: &str) -> bool {
        match word {
            "backup" => self.backup = true,
            "no-backup" => self.backup = false,
            "disabled" => self.disabled = true,
            "enabled" => self.disabled = false,
            "check" => self.check = true,
            "no-check" => self.check = false,
            "ssl" => self.tls = true,
            "no-ssl" => self.tls = false,
            "send-proxy" => self.proxy_protocol = Some("v1"),
            "send-proxy-v2" | "send-proxy-v2-ssl" | "send-proxy-v2-ssl-cn" => {
                self.proxy_protocol = Some("v2");
            }
            "no-send-proxy" | "no-send-proxy-v2" => self.proxy_protocol = None,
            "check-ssl" | "check-send-proxy" | "check-via-socks4" | "non-stick" | "stick"
            | "allow-0rtt" | "no-verifyhost" | "no-tls-tickets" | "tfo" | "force-tlsv12"
            | "force-tlsv13" | "no-sslv3" | "no-tlsv10" | "no-tlsv11" | "no-ssl-reuse" => {}
            _ => return false,
        }
        true
    }

    fn takes_value(&self, word: &str) -> bool {
        matches!(
            word,
            "weight"
                | "maxconn"
                | "maxqueue"
                | "slowstart"
                | "cookie"
                | "inter"
                | "rise"
                | "fall"
                | "pool-max-conn"
                | "max-reuse"
                | "verify"
                | "proto"
                | "alpn"
        )
    }

    fn value(&mut self, word: &str, value: &str, line: &Line) -> Result<(), ImportError> {
        let origin = &line.origin;
        let count = |most| number(value, most, origin);
        let wide = u64::from(u32::MAX);
        match word {
            "weight" => self.weight = Some(count(256)?),
            "maxconn" => self.max_conns = Some(count(wide)?),
            "maxqueue" => self.max_queue = Some(count(wide)?),
            "rise" => self.rise = Some(count(1_000_000)?.max(1)),
            "fall" => self.fall = Some(count(1_000_000)?.max(1)),
            // -1 is no limit.
            "pool-max-conn" => {
                self.pool_max = if value == "-1" { None } else { Some(count(wide)?) };
            }
            "max-reuse" => {
                self.max_reuse = if value == "-1" { None } else { Some(count(wide - 1)?) };
            }
            "slowstart" => {
                let read = time(value).ok_or_else(|| bad_time(value, origin))?;
                self.slow_start = Some(read);
            }
            "inter" => {
                let read = time_in(value, 1_000_000).filter(|read| read.0 > 0);
                self.interval = Some(read.ok_or_else(|| bad_time(value, origin))?);
            }
            "cookie" => self.cookie = Some(value.to_owned()),
            "verify" => self.verify = value == "required",
            _ => self.http2 = value.split(',').next() == Some("h2"),
        }
        Ok(())
    }
}

/// The servers of a `server` or `server-template` line.
pub(super) fn servers(
    line: &Line,
    defaults: &Params,
    draft: &mut Draft,
) -> Result<Vec<Params>, ImportError> {
    let template = line.word(0) == "server-template";
    let (name, place) = (line.word(1), if template { 4 } else { 3 });
    if line.words.len() < place {
        let form =
            if template { "server-template PREFIX NUMBER ADDRESS" } else { "server NAME ADDRESS" };
        return Err(line.origin.error(format!("it takes `{form}`")));
    }
    let mut params = defaults.clone();
    params.read(line, place, draft)?;
    if !template {
        push(name, line.word(2), &params, line, draft);
        return Ok(vec![params]);
    }
    let numbers = template_numbers(line)?;
    let count = numbers.clone().count();
    draft.leave(
        &line.origin,
        format!("server-template {name}"),
        "names are not resolved: each of its servers is taken as there",
    );
    for number in numbers {
        push(&format!("{name}{number}"), line.word(3), &params, line, draft);
    }
    Ok(vec![params; count])
}

/// `5` is 1 to 5, `2-4` is 2 to 4.
fn template_numbers(line: &Line) -> Result<std::ops::RangeInclusive<u64>, ImportError> {
    let word = line.word(2);
    let (low, high) = word.split_once('-').unwrap_or(("1", word));
    match (low.parse::<u64>(), high.parse::<u64>()) {
        (Ok(low), Ok(high)) if low <= high && high <= 1_000_000 && high - low < 5_000 => {
            Ok(low..=high)
        }
        _ => Err(line
            .origin
            .error(format!("`{word}` is no number of servers; such as `5` or `1-5`"))),
    }
}

fn push(name: &str, address: &str, params: &Params, line: &Line, draft: &mut Draft) {
    let mut settings = Vec::new();
    let mut set = |key, value: String| {
        settings.push(Setting { key, value, comment: String::new() });
    };
    match socket_address(address) {
        Some(address) => set("address", quoted(&address.to_string())),
        None => draft.leave(
            &line.origin,
            format!("server {name} {address}"),
            "a scenario names backends by IP:PORT only, so its address is left out",
        ),
    }
    if let Some(weight) = params.weight.filter(|weight| *weight != 0) {
        set("weight", weight.to_string());
    }
    if params.weight == Some(0) {
        draft.leave(&line.origin, format!("server {name} weight 0"), "written as down = true");
    }
    if params.backup {
        set("backup", "true".to_owned());
    }
    if params.disabled || params.weight == Some(0) {
        set("down", "true".to_owned());
    }
    if let Some(count) = params.max_conns.filter(|count| *count > 0) {
        set("max_conns", count.to_string());
    }
    if let Some(lasting) = params.slow_start {
        set("slow_start", span(lasting));
    }
    // Names of servers are unique within a backend, and never addresses that say nothing.
    let name = draft.backend_name(name);
    draft.backends.push(DraftBackend { name, settings, origin: line.origin.clone() });
}

/// An address with a port, perhaps behind `ipv4@` or `ipv6@`; `None` for names and sockets.
pub(super) fn socket_address(word: &str) -> Option<SocketAddr> {
    let word = word.strip_prefix("ipv4@").or_else(|| word.strip_prefix("ipv6@")).unwrap_or(word);
    let (host, port) = word.rsplit_once(':').unwrap_or((word, ""));
    let port = if port.is_empty() { 80 } else { port.parse().ok()? };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let ip = match host {
        "" | "*" => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
        // `:::80` is every address of IPv6.
        "::" => IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED),
        _ => host.parse().ok()?,
    };
    Some(SocketAddr::new(ip, port))
}
