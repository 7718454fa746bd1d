//! The edge of the proxy: addresses, networks and files made of words, defaults applied.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::{Surroundings, or, positive, probability};
use crate::scenario::diagnostic::Problems;
use crate::scenario::edge::{
    AdminAddress, AdminFacts, ClientFacts, EdgeFacts, ForwardFacts, ListenMode, Listener,
    ListenerTls, LogFacts, Network, TokenSource, UpstreamFacts, UpstreamProtocol, UpstreamTls,
};
use crate::scenario::file::{
    AdminSection, BalancerSection, EdgeClientSection, ForwardSection, ListenSection, LogSection,
    PeerSection, PeerTlsSection,
};
use crate::scenario::reader::{Count, Written};
use crate::units::{Bytes, Ratio, Span};

/// A request head smaller than this would refuse ordinary browsers; a larger one than this is none.
const HEADER_MAX: std::ops::RangeInclusive<u64> = 256..=1 << 20;

pub(super) fn lower(
    section: &BalancerSection,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> EdgeFacts {
    let default = EdgeFacts::default();
    let forward = section.forward.as_ref();
    let facts = EdgeFacts {
        listeners: listeners(section, around, problems),
        client: section.client.as_ref().map_or(default.client, |s| client(&s.value, problems)),
        forward: forward.map_or(default.forward, |s| self::forward(&s.value, problems)),
        upstream: section
            .upstream
            .as_ref()
            .map_or(default.upstream, |s| upstream(&s.value, around, problems)),
        log: section.log.as_ref().map(|s| log(&s.value, around, problems)),
        admin: section.admin.as_ref().map_or(default.admin, |s| admin(s, around, problems)),
        drain_timeout: span(section.drain_timeout.as_ref(), default.drain_timeout, problems),
    };
    for listen in section.listen.as_ref().map_or(&[][..], |list| &list.value) {
        check_trust(&listen.value, &facts.forward, problems);
    }
    facts
}

fn span(written: Option<&Written<Span>>, default: Span, problems: &mut Problems) -> Span {
    written.map_or(default, |span| positive(span, problems))
}

fn count(written: Option<&Written<Count>>, default: u32) -> u32 {
    or(written, Count(default)).0
}

fn socket_address(written: &Written<String>, problems: &mut Problems) -> Option<SocketAddr> {
    let parsed = written.value.parse();
    if parsed.is_err() {
        let message = format!("`{}` is no address", written.value);
        problems.report_with(&written.place, message, "IP:PORT, such as \"0.0.0.0:8080\"");
    }
    parsed.ok()
}

fn listeners(
    section: &BalancerSection,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Vec<Listener> {
    let mut listeners: Vec<Listener> = Vec::new();
    for written in section.listen.as_ref().map_or(&[][..], |list| &list.value) {
        let listen = &written.value;
        let Some(address) = listen.address.as_ref() else { continue };
        let Some(parsed) = socket_address(address, problems) else { continue };
        if parsed.port() != 0 && listeners.iter().any(|other| other.address == parsed) {
            problems.report(&address.place, "another listener has this address");
        }
        listeners.push(Listener {
            address: parsed,
            mode: or(listen.mode.as_ref(), ListenMode::Http),
            tls: certificates(listen, around),
            proxy_protocol: or(listen.proxy_protocol.as_ref(), false),
            http2: or(listen.http2.as_ref(), true),
        });
    }
    listeners
}

fn certificates(listen: &ListenSection, around: &Surroundings<'_>) -> Vec<ListenerTls> {
    let list = listen.tls.as_ref().map_or(&[][..], |list| &list.value);
    let file = |name: &Option<Written<String>>| {
        name.as_ref().map_or_else(PathBuf::new, |name| around.beside(&name.value))
    };
    list.iter()
        .map(|pair| ListenerTls {
            certificate: file(&pair.value.certificate),
            key: file(&pair.value.key),
        })
        .collect()
}

/// A PROXY header says who the client is, so somebody must be trusted to say it.
fn check_trust(listen: &ListenSection, forward: &ForwardFacts, problems: &mut Problems) {
    if let Some(written) = listen.proxy_protocol.as_ref().filter(|written| written.value)
        && forward.trusted.is_empty()
        && !problems.mentions("balancer.forward")
    {
        let help = "write their networks into `balancer.forward.trusted`";
        problems.report_with(&written.place, "nobody is trusted to send a PROXY header", help);
    }
}

fn client(section: &EdgeClientSection, problems: &mut Problems) -> ClientFacts {
    let default = ClientFacts::default();
    if let Some(written) = &section.header_max
        && !HEADER_MAX.contains(&written.value.0)
    {
        let help = "from 256B to 1MiB";
        problems.report_with(&written.place, format!("{} is no useful limit", written.value), help);
    }
    let body_max = or(section.body_max.as_ref(), Bytes(0));
    let request_timeout = or(section.request_timeout.as_ref(), Span::ZERO);
    ClientFacts {
        header_max: or(section.header_max.as_ref(), default.header_max),
        body_max: (body_max.0 > 0).then_some(body_max),
        connections: count(section.connections.as_ref(), default.connections),
        requests_per_connection: count(
            section.requests_per_connection.as_ref(),
            default.requests_per_connection,
        ),
        streams: count(section.streams.as_ref(), default.streams),
        header_timeout: span(section.header_timeout.as_ref(), default.header_timeout, problems),
        idle_timeout: span(section.idle_timeout.as_ref(), default.idle_timeout, problems),
        body_timeout: span(section.body_timeout.as_ref(), default.body_timeout, problems),
        request_timeout: (request_timeout > Span::ZERO).then_some(request_timeout),
    }
}

fn forward(section: &ForwardSection, problems: &mut Problems) -> ForwardFacts {
    let default = ForwardFacts::default();
    let trusted = section.trusted.as_ref().map_or(&[][..], |list| &list.value);
    ForwardFacts {
        x_forwarded: or(section.x_forwarded.as_ref(), default.x_forwarded),
        forwarded: or(section.forwarded.as_ref(), default.forwarded),
        via: or(section.via.as_ref(), default.via),
        trusted: trusted.iter().filter_map(|written| network(written, problems)).collect(),
    }
}

/// An address, or a network as `ADDRESS/PREFIX`. Bits behind the prefix are most often a slip.
fn network(written: &Written<String>, problems: &mut Problems) -> Option<Network> {
    let text = written.value.as_str();
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let address: Option<IpAddr> = address.parse().ok();
    let widest = if address.is_some_and(|address| address.is_ipv6()) { 128 } else { 32 };
    let prefix = match prefix {
        None => Some(widest),
        Some(text) => text.parse().ok().filter(|prefix| *prefix <= widest),
    };
    let (Some(address), Some(prefix)) = (address, prefix) else {
        let help = "an address such as \"10.1.2.3\" or a network such as \"10.0.0.0/8\"";
        problems.report_with(&written.place, format!("`{text}` is no network"), help);
        return None;
    };
    let network = Network { address, prefix };
    let first = network.first();
    if first != address {
        let message = format!("`{text}` has bits behind its prefix");
        problems.report_with(&written.place, message, format!("the network is {first}/{prefix}"));
    }
    Some(network)
}

fn upstream(
    section: &PeerSection,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> UpstreamFacts {
    let default = UpstreamFacts::default();
    let protocol = or(section.protocol.as_ref(), default.protocol);
    if let Some(written) = &section.send_proxy_protocol
        && protocol == UpstreamProtocol::H2
    {
        let message = "a PROXY header names one client, and `h2` shares connections between many";
        problems.report_with(&written.place, message, "leave it out, or use protocol = \"http1\"");
    }
    UpstreamFacts {
        protocol,
        tls: section.tls.as_ref().map(|s| peer_tls(&s.value, around)),
        send_proxy_protocol: section.send_proxy_protocol.as_ref().map(|version| version.value),
        send_timeout: span(section.send_timeout.as_ref(), default.send_timeout, problems),
        requests_per_connection: count(
            section.requests_per_connection.as_ref(),
            default.requests_per_connection,
        ),
        connection_age: span(section.connection_age.as_ref(), default.connection_age, problems),
    }
}

fn peer_tls(section: &PeerTlsSection, around: &Surroundings<'_>) -> UpstreamTls {
    UpstreamTls {
        verify: or(section.verify.as_ref(), true),
        ca: section.ca.as_ref().map(|name| around.beside(&name.value)),
        server_name: section.server_name.as_ref().map(|name| name.value.clone()),
    }
}

fn log(section: &LogSection, around: &Surroundings<'_>, problems: &mut Problems) -> LogFacts {
    if let Some(path) = section.path.as_ref().filter(|path| path.value.is_empty()) {
        problems.report_with(&path.place, "the path is empty", "such as \"access.log\"");
    }
    LogFacts {
        path: section.path.as_ref().map_or_else(PathBuf::new, |path| around.beside(&path.value)),
        sample: section.sample.as_ref().map_or(Ratio(1.0), |share| probability(share, problems)),
        queue: count(section.queue.as_ref(), 8_192),
    }
}

fn admin(
    written: &Written<AdminSection>,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> AdminFacts {
    let section = &written.value;
    if let (Some(_), Some(second)) = (&section.token_file, &section.token_env) {
        let message = "`token_file` and `token_env` exclude each other";
        problems.report_with(&second.place, message, "leave out one of them");
    }
    let file =
        section.token_file.as_ref().map(|name| TokenSource::File(around.beside(&name.value)));
    let variable =
        section.token_env.as_ref().map(|name| TokenSource::Environment(name.value.clone()));
    let token = file.or(variable);
    let listen = section.listen.as_ref().and_then(|listen| {
        let address = admin_address(listen, around, problems)?;
        if let AdminAddress::Tcp(tcp) = address
            && !tcp.ip().is_loopback()
            && token.is_none()
        {
            let message = format!("{tcp} can be reached from elsewhere, so it needs a token");
            let help = "write `token_file` or `token_env`, or listen at 127.0.0.1 or `unix:PATH`";
            problems.report_with(&listen.place, message, help);
        }
        Some(address)
    });
    AdminFacts { listen, token }
}

fn admin_address(
    written: &Written<String>,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Option<AdminAddress> {
    if let Some(name) = written.value.strip_prefix("unix:") {
        // `sun_path` holds 108 bytes, the last of them 0 (unix(7)).
        let path = around.beside(name);
        if name.is_empty() || path.as_os_str().len() > 107 {
            let message = "the path of a socket has from 1 to 107 bytes";
            problems.report(&written.place, message);
        }
        return Some(AdminAddress::Unix(path));
    }
    let parsed = written.value.parse().ok();
    if parsed.is_none() {
        let message = format!("`{}` is no address", written.value);
        let help = "such as \"127.0.0.1:9901\" or \"unix:/run/lab/admin.sock\"";
        problems.report_with(&written.place, message, help);
    }
    parsed.map(AdminAddress::Tcp)
}
