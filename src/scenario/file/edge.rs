//! The sections of `[balancer]` that lab's own proxy reads at its edge: listeners, clients,
//! forwarding, peers on the wire, access log and admin interface.

use crate::scenario::diagnostic::{Problems, suggestion};
use crate::scenario::edge::{ListenMode, ProxyProtocol, UpstreamProtocol};
use crate::scenario::reader::{
    Count, Fields, Read, Section, Written, described, read_section, section_schema,
};
use crate::scenario::section::{about, choice, section};
use crate::scenario::tree::Node;
use crate::units::{Bytes, Ratio, Span};

section! {
    /// A socket that clients connect to. `lab run` chooses its own instead.
    pub(crate) struct ListenSection {
        /// IP:PORT; port 0 lets the system choose.
        required address: String,
        /// `http` passes on requests, `tcp` connections as they are. Default: http.
        optional mode: ListenMode,
        /// Certificates, each for the names it is made out to, the first also for all others; with
        /// one, clients speak TLS. Default: none.
        optional tls: Vec<Written<CertificateSection>>,
        /// Every connection begins with a PROXY protocol header, version 1 or 2; only clients in
        /// `forward.trusted` may connect. Default: false.
        optional proxy_protocol: bool,
        /// Speak HTTP/2 with clients that ask for it, by ALPN or by its preface. Default: true.
        optional http2: bool,
    }
}

section! {
    /// A certificate and its key, as PEM files; relative ones are beside this file.
    pub(crate) struct CertificateSection {
        /// The certificate chain, the server's own certificate first.
        required certificate: String,
        /// Its private key.
        required key: String,
    }
}

section! {
    /// What a client of the proxy may do, and how long it may take. The client that sends requests
    /// is in `[traffic.client]`.
    pub(crate) struct EdgeClientSection {
        /// Largest request head; beyond it the answer is 431. Default: 16KiB.
        optional header_max: Bytes,
        /// Largest request body; beyond it the answer is 413; 0B is no limit. Default: 0B.
        optional body_max: Bytes,
        /// Most client connections of each worker; beyond it the answer is 503. Default: 16384.
        optional connections: Count,
        /// Requests that a connection carries. Default: 1000.
        optional requests_per_connection: Count,
        /// Most requests at once on a connection of HTTP/2. Default: 128.
        optional streams: Count,
        /// Longest time for a request's head, a TLS handshake and a PROXY header. Default: 60s.
        optional header_timeout: Span,
        /// An idle connection is closed after this. Default: 75s.
        optional idle_timeout: Span,
        /// Longest time between two parts of a body. Default: 60s.
        optional body_timeout: Span,
        /// Longest time of a whole request; 0s is no limit. Default: 0s.
        optional request_timeout: Span,
    }
}

section! {
    /// Which fields tell peers about the client.
    pub(crate) struct ForwardSection {
        /// Send X-Real-IP, X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host. Default: true.
        optional x_forwarded: bool,
        /// Send Forwarded (RFC 7239). Default: false.
        optional forwarded: bool,
        /// Send Via, in requests and responses. Default: false.
        optional via: bool,
        /// Addresses or networks such as 10.0.0.0/8 whose own fields of this kind are believed and
        /// added to. Default: none.
        optional trusted: Vec<Written<String>>,
    }
}

section! {
    /// How peers are spoken to.
    pub(crate) struct PeerSection {
        /// `http1` or `h2`. Default: http1.
        optional protocol: UpstreamProtocol,
        /// Speak TLS. Default: no.
        optional tls: PeerTlsSection,
        /// Begin each connection with a PROXY protocol header, `v1` or `v2`. Default: none.
        optional send_proxy_protocol: ProxyProtocol,
        /// Longest time between two writes of a request. Default: 60s.
        optional send_timeout: Span,
        /// Requests that a connection carries. Default: 1000.
        optional requests_per_connection: Count,
        /// A connection older than this is not kept. Default: 1h.
        optional connection_age: Span,
    }
}

section! {
    /// TLS to peers.
    pub(crate) struct PeerTlsSection {
        /// Whether the peer's certificate must be valid. Default: true.
        optional verify: bool,
        /// Authorities to believe, a PEM file. Default: those that the host believes.
        optional ca: String,
        /// Name to ask for (SNI) and to verify. Default: the peer's address.
        optional server_name: String,
    }
}

section! {
    /// The access log: a line of JSON for each request.
    pub(crate) struct LogSection {
        /// The file that is appended to; opened again on SIGUSR1.
        required path: String,
        /// Share of the requests that are logged; failed ones always are. Default: 100%.
        optional sample: Ratio,
        /// Most lines of a worker waiting to be written; beyond it they are dropped and counted.
        /// Default: 8192.
        optional queue: Count,
    }
}

section! {
    /// The admin interface of the proxy.
    pub(crate) struct AdminSection {
        /// IP:PORT, or `unix:PATH` for a socket that only the proxy's user may use. Default: none.
        optional listen: String,
        /// A file whose first line is the token to show (`Authorization: Bearer …`); a token is
        /// needed beyond loopback. Default: none.
        optional token_file: String,
        /// A variable of the environment with the token instead. Default: none.
        optional token_env: String,
    }
}

choice! { ListenMode: "mode", "http" => Self::Http, "tcp" => Self::Tcp }
choice! { UpstreamProtocol: "protocol", "http1" => Self::Http1, "h2" => Self::H2 }
choice! { ProxyProtocol: "version of the PROXY protocol", "v1" => Self::V1, "v2" => Self::V2 }
