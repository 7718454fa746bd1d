//! The edge of lab's own proxy: where clients connect, what they may ask for and how long they may
//! take, what is passed on to peers and how. The model reads none of it.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use crate::units::{Bytes, Ratio, Span};

/// The edge of the proxy; [`EdgeFacts::default`] is that of a file that says nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct EdgeFacts {
    /// Where clients connect. Empty: at the address of the command line alone.
    pub listeners: Vec<Listener>,
    /// What a client may do.
    pub client: ClientFacts,
    /// Which fields tell peers about the client.
    pub forward: ForwardFacts,
    /// How peers are spoken to.
    pub upstream: UpstreamFacts,
    /// The access log, if there is one.
    pub log: Option<LogFacts>,
    /// The admin interface.
    pub admin: AdminFacts,
    /// How long requests in flight may take to end when the proxy stops, or when a reload
    /// replaces the workers that serve them.
    pub drain_timeout: Span,
}

impl Default for EdgeFacts {
    fn default() -> Self {
        Self {
            listeners: Vec::new(),
            client: ClientFacts::default(),
            forward: ForwardFacts::default(),
            upstream: UpstreamFacts::default(),
            log: None,
            admin: AdminFacts::default(),
            drain_timeout: Span::from_secs(30),
        }
    }
}

/// A socket that clients connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its address; port 0 lets the system choose.
    pub address: SocketAddr,
    /// What is spoken there.
    pub mode: ListenMode,
    /// The certificates, if clients speak TLS: each for the names it is made out to, the first also
    /// for every other name and for clients that ask for none. Empty: no TLS.
    pub tls: Vec<ListenerTls>,
    /// Every connection begins with a PROXY protocol header, version 1 or 2, that names the client.
    /// Only those of [`ForwardFacts::trusted`] may send one; others are closed.
    pub proxy_protocol: bool,
    /// HTTP/2 is spoken with clients that ask for it: by ALPN under TLS, else by its preface.
    pub http2: bool,
}

impl Listener {
    /// HTTP without TLS and without PROXY protocol.
    #[must_use]
    pub const fn http(address: SocketAddr) -> Self {
        Self {
            address,
            mode: ListenMode::Http,
            tls: Vec::new(),
            proxy_protocol: false,
            http2: true,
        }
    }
}

/// What a listener passes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenMode {
    /// Requests.
    Http,
    /// Connections, as they are (layer 4).
    Tcp,
}

/// A listener's certificate; both files are PEM, and read again when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerTls {
    /// The certificate chain, the server's own first.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// What a client may do, and how long it may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientFacts {
    /// Largest request head, its line and fields together; beyond it the answer is 431.
    pub header_max: Bytes,
    /// Largest request body; beyond it the answer is 413. `None` is no limit.
    pub body_max: Option<Bytes>,
    /// Most client connections of each worker; beyond it the answer is 503.
    pub connections: u32,
    /// Requests that a connection carries, after which it is closed.
    pub requests_per_connection: u32,
    /// Most requests at once on a connection of HTTP/2.
    pub streams: u32,
    /// Longest time from the first byte of a request to the end of its head; also of a TLS
    /// handshake and of a PROXY protocol header.
    pub header_timeout: Span,
    /// An idle connection is closed after this.
    pub idle_timeout: Span,
    /// Longest time between two parts of a body, read from the client or sent to it.
    pub body_timeout: Span,
    /// Longest time of a whole request, from its head to the last byte of its response; `None` is
    /// no limit.
    pub request_timeout: Option<Span>,
}

impl Default for ClientFacts {
    fn default() -> Self {
        Self {
            header_max: Bytes(16 << 10),
            body_max: None,
            connections: 16_384,
            requests_per_connection: 1_000,
            streams: 128,
            header_timeout: Span::from_secs(60),
            idle_timeout: Span::from_secs(75),
            body_timeout: Span::from_secs(60),
            request_timeout: None,
        }
    }
}

/// Which fields tell peers about the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardFacts {
    /// X-Real-IP, X-Forwarded-For, X-Forwarded-Proto and X-Forwarded-Host.
    pub x_forwarded: bool,
    /// Forwarded (RFC 7239).
    pub forwarded: bool,
    /// Via (RFC 9110, 7.6.3), in requests and responses.
    pub via: bool,
    /// Clients whose own X-Forwarded-*, Forwarded and X-Real-IP are believed and added to; those of
    /// others are replaced. Empty: nobody is believed.
    pub trusted: Vec<Network>,
}

impl Default for ForwardFacts {
    fn default() -> Self {
        Self { x_forwarded: true, forwarded: false, via: false, trusted: Vec::new() }
    }
}

/// A block of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its first address.
    pub address: IpAddr,
    /// Leading bits that all of its addresses share: at most 32, or 128 for IPv6.
    pub prefix: u8,
}

impl Network {
    /// Its first address: the bits behind the prefix are 0.
    #[must_use]
    pub fn first(&self) -> IpAddr {
        let mask = |bits: u32| u128::MAX.checked_shl(bits - u32::from(self.prefix)).unwrap_or(0);
        match self.address {
            IpAddr::V4(address) => IpAddr::V4((address.to_bits() & mask(32) as u32).into()),
            IpAddr::V6(address) => IpAddr::V6((address.to_bits() & mask(128)).into()),
        }
    }

    /// Whether `address` is one of its addresses. An IPv4 address in an IPv6 coat (`::ffff:…`) is
    /// taken as the IPv4 address that it is.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let differ = match (self.address.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(mine), IpAddr::V4(other)) => {
                u128::from(mine.to_bits() ^ other.to_bits()) << 96
            }
            (IpAddr::V6(mine), IpAddr::V6(other)) => mine.to_bits() ^ other.to_bits(),
            _ => return false,
        };
        differ.leading_zeros() >= u32::from(self.prefix)
    }
}

/// How peers are spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamFacts {
    /// The protocol of requests.
    pub protocol: UpstreamProtocol,
    /// TLS to peers, if any.
    pub tls: Option<UpstreamTls>,
    /// A PROXY protocol header at the beginning of each connection.
    pub send_proxy_protocol: Option<ProxyProtocol>,
    /// Longest time between two successful writes of a request.
    pub send_timeout: Span,
    /// Requests that a connection carries, after which it is not kept.
    pub requests_per_connection: u32,
    /// A connection older than this is not kept.
    pub connection_age: Span,
}

impl Default for UpstreamFacts {
    fn default() -> Self {
        Self {
            protocol: UpstreamProtocol::Http1,
            tls: None,
            send_proxy_protocol: None,
            send_timeout: Span::from_secs(60),
            requests_per_connection: 1_000,
            connection_age: Span::from_secs(3_600),
        }
    }
}

/// The protocol spoken with peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamProtocol {
    /// HTTP/1.1, a request at a time on each connection.
    Http1,
    /// HTTP/2: by ALPN under TLS, else with prior knowledge.
    H2,
}

/// TLS to peers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamTls {
    /// Whether the peer's certificate must be valid for `server_name`.
    pub verify: bool,
    /// Certificates (PEM) of the authorities to believe; `None`: those that the host believes.
    pub ca: Option<PathBuf>,
    /// The name asked for (SNI) and verified; `None`: the peer's address.
    pub server_name: Option<String>,
}

/// Version of a PROXY protocol header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

/// The access log.
#[derive(Clone, Debug, PartialEq)]
pub struct LogFacts {
    /// The file that lines are appended to; opened again on SIGUSR1.
    pub path: PathBuf,
    /// Share of the requests that are logged; those answered with 5xx, and those that broke off,
    /// always are.
    pub sample: Ratio,
    /// Most lines waiting to be written; beyond it they are dropped and counted.
    pub queue: u32,
}

/// The admin interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdminFacts {
    /// Where it listens, if anywhere.
    pub listen: Option<AdminAddress>,
    /// Where the token is that a request must show; needed beyond loopback.
    pub token: Option<TokenSource>,
}

/// Where the admin interface listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminAddress {
    /// An address and port.
    Tcp(SocketAddr),
    /// A socket in the file system, which only the user who runs the proxy may use.
    Unix(PathBuf),
}

/// Where a token is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSource {
    /// The first line of a file.
    File(PathBuf),
    /// A variable of the environment.
    Environment(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(address: &str, prefix: u8) -> Network {
        Network { address: address.parse().expect("an address"), prefix }
    }

    #[test]
    fn a_network_holds_the_addresses_that_share_its_prefix() {
        for (address, prefix, inside, outside) in [
            ("10.0.0.0", 8, "10.255.0.1", "11.0.0.1"),
            ("10.1.2.3", 32, "10.1.2.3", "10.1.2.2"),
            ("192.168.4.0", 22, "192.168.7.255", "192.168.8.0"),
            ("fd00::", 8, "fdff::1", "fe00::1"),
            ("0.0.0.0", 0, "203.0.113.9", "::1"),
            ("10.0.0.0", 8, "::ffff:10.1.2.3", "::ffff:11.0.0.1"),
        ] {
            let network = network(address, prefix);
            assert_eq!(network.first(), network.address);
            let is_in = |text: &str| network.contains(text.parse().expect("an address"));
            assert!(is_in(inside) && !is_in(outside), "{network:?}");
        }
    }
}
