//! Header fields on their way through: what is removed, what is added.
//!
//! `Host` is passed as the client sent it (NGINX's default is the name of the upstream; nearly
//! every real configuration sets it back). Fields of one hop are removed in both directions
//! (RFC 9110 7.6.1), and so are those that `Connection` names. What a client says of who it is, is
//! believed only of trusted networks; of all others it is replaced by what is known.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::connect::Introduction;
use super::message::Keep;
use crate::host::{clock, date};
use crate::http1::{Fields, Framing, Name, Names, RequestHead, ResponseHead, Version, list_items};
use crate::scenario::edge::ForwardFacts;

/// What peers are told of a client. Made once per connection.
#[derive(Debug)]
pub(super) struct Origin {
    /// Where it connected from, or what a PROXY header said.
    pub(super) address: SocketAddr,
    /// Where it connected to, for a client of HTTP/1.0 that sends no `Host`.
    local: Arc<str>,
    /// The same, or what a PROXY header said.
    destination: Option<SocketAddr>,
    /// Whether it speaks TLS.
    secure: bool,
    /// Whether its own claims are believed.
    trusted: bool,
    /// Of its fields, those that stay behind.
    drops: Names,
    /// The lines that are the same for each of its requests.
    lines: Box<[u8]>,
}

/// Fields that say where a request came from.
const CLAIMS: Names = Names::NONE
    .with(Name::XRealIp)
    .with(Name::XForwardedFor)
    .with(Name::XForwardedProto)
    .with(Name::XForwardedHost)
    .with(Name::Forwarded);

/// What never goes on as it came: the head's own parts, and what only this proxy says.
const REQUEST: Names =
    Names::HOP.with(Name::Host).with(Name::ContentLength).with(Name::LabAttempt).with(Name::Expect);

impl Origin {
    /// Of a client at `address` that connected to `local`, over TLS if `secure`.
    pub(super) fn new(
        facts: &ForwardFacts,
        address: SocketAddr,
        local: &Arc<str>,
        secure: bool,
    ) -> Self {
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        let trusted = facts.trusted.iter().any(|network| network.contains(address.ip()));
        let lines = if facts.x_forwarded && !trusted {
            let (ip, proto) = (address.ip(), proto(secure));
            format!("X-Real-IP: {ip}\r\nX-Forwarded-For: {ip}\r\nX-Forwarded-Proto: {proto}\r\n")
        } else {
            String::new()
        };
        let drops = if trusted { REQUEST } else { REQUEST.union(CLAIMS) };
        let (local, lines) = (Arc::clone(local), lines.into_bytes().into());
        Self { address, local, destination: None, secure, trusted, drops, lines }
    }

    /// Of one that wanted to go to `destination`.
    pub(super) const fn bound_for(mut self, destination: SocketAddr) -> Self {
        self.destination = Some(destination);
        self
    }

    /// Where it is and where it wanted to go, for peers that are told by a PROXY header.
    pub(super) fn introduction(&self) -> Introduction {
        self.destination.map(|destination| (self.address, destination))
    }

    /// The host that a request is for.
    pub(super) fn host<'a>(&'a self, head: &'a RequestHead) -> &'a [u8] {
        head.host().unwrap_or(self.local.as_bytes())
    }

    /// The address of the client itself, behind the proxies that are trusted to name it.
    pub(super) fn client(&self, facts: &ForwardFacts, head: &RequestHead) -> IpAddr {
        let own = self.address.ip();
        if self.trusted { self.first_untrusted(facts, head.fields()) } else { own }
    }

    /// Appends what peers are told of a request, and says which of its fields go on with it.
    /// `expects`: its `Expect` goes on too.
    pub(super) fn towards_peer(
        &self,
        facts: &ForwardFacts,
        head: &RequestHead,
        expects: bool,
        added: &mut Vec<u8>,
    ) -> Keep {
        let mut drops = self.drops;
        added.extend_from_slice(&self.lines);
        if self.trusted {
            drops = self.add_to_claims(facts, head.fields(), drops, added);
        }
        if facts.x_forwarded
            && (!self.trusted || head.fields().all(Name::XForwardedHost).next().is_none())
        {
            line(added, b"X-Forwarded-Host: ", &[self.host(head)]);
        }
        if facts.forwarded {
            drops = drops.with(Name::Forwarded);
            self.add_forwarded(head, added);
        }
        if facts.via {
            line(added, via(head.version()), &[]);
        }
        if let Framing::Length(length) = head.framing() {
            line(added, b"Content-Length: ", &[itoa::Buffer::new().format(length).as_bytes()]);
        }
        if expects {
            drops = drops.without(Name::Expect);
        }
        Keep { drops, heeds_connection: head.names_fields() }
    }

    /// What a trusted client says is kept, and completed where it says nothing.
    fn add_to_claims(
        &self,
        facts: &ForwardFacts,
        fields: &Fields,
        mut drops: Names,
        added: &mut Vec<u8>,
    ) -> Names {
        if !facts.x_forwarded {
            return drops;
        }
        let has = |name| fields.all(name).next().is_some();
        drops = drops.with(Name::XForwardedFor);
        added.extend_from_slice(b"X-Forwarded-For: ");
        for value in fields.all(Name::XForwardedFor) {
            added.extend_from_slice(value);
            added.extend_from_slice(b", ");
        }
        added.extend_from_slice(format!("{}\r\n", self.address.ip()).as_bytes());
        if !has(Name::XRealIp) {
            let client = self.first_untrusted(facts, fields);
            added.extend_from_slice(format!("X-Real-IP: {client}\r\n").as_bytes());
        }
        if !has(Name::XForwardedProto) {
            line(added, b"X-Forwarded-Proto: ", &[proto(self.secure).as_bytes()]);
        }
        drops
    }

    /// The client behind trusted proxies: of the chain, read from its end, the first address that
    /// is not one of theirs.
    fn first_untrusted(&self, facts: &ForwardFacts, fields: &Fields) -> IpAddr {
        let chain: Vec<IpAddr> = fields
            .all(Name::XForwardedFor)
            .flat_map(list_items)
            .map_while(|item| std::str::from_utf8(item).ok()?.parse().ok())
            .collect();
        let trusted = |address: &IpAddr| facts.trusted.iter().any(|net| net.contains(*address));
        let untrusted = chain.iter().rev().find(|address| !trusted(address));
        untrusted.or(chain.first()).copied().unwrap_or(self.address.ip())
    }

    /// RFC 7239; an IPv6 address is quoted and in brackets.
    fn add_forwarded(&self, head: &RequestHead, added: &mut Vec<u8>) {
        added.extend_from_slice(b"Forwarded: ");
        if self.trusted {
            for value in head.fields().all(Name::Forwarded) {
                added.extend_from_slice(value);
                added.extend_from_slice(b", ");
            }
        }
        let by = match self.address.ip() {
            IpAddr::V4(address) => format!("for={address}"),
            IpAddr::V6(address) => format!("for=\"[{address}]\""),
        };
        added.extend_from_slice(by.as_bytes());
        line(added, b";host=\"", &[self.host(head), b"\";proto=", proto(self.secure).as_bytes()]);
    }
}

const fn proto(secure: bool) -> &'static str {
    if secure { "https" } else { "http" }
}

const fn via(version: Version) -> &'static [u8] {
    match version {
        Version::Http11 => b"Via: 1.1 lab",
        Version::Http10 => b"Via: 1.0 lab",
    }
}

fn line(out: &mut Vec<u8>, name: &[u8], value: &[&[u8]]) {
    out.extend_from_slice(name);
    value.iter().for_each(|part| out.extend_from_slice(part));
    out.extend_from_slice(b"\r\n");
}

/// Appends what a client is told with a response, and says which of its fields go on with it.
/// `framing` is where its body ends, as it came.
pub(super) fn towards_client(
    facts: &ForwardFacts,
    head: &ResponseHead,
    framing: Framing,
    added: &mut Vec<u8>,
) -> Keep {
    if facts.via {
        line(added, b"Via: 1.1 lab", &[]);
    }
    // RFC 9110 6.6.1: who has a clock and passes a response on says when it was made.
    if head.status() >= 200 && head.fields().all(Name::Date).next().is_none() {
        line(added, b"Date: ", &[date::imf_fixdate(clock::wall()).as_bytes()]);
    }
    // Without a body the length tells of the one that a GET would bring, but for 1xx and 204.
    let told = match framing {
        Framing::Length(_) => true,
        Framing::None => head.status() >= 200 && head.status() != 204,
        Framing::Chunked | Framing::UntilClose => false,
    };
    let drops = if told { Names::HOP } else { Names::HOP.with(Name::ContentLength) };
    Keep { drops, heeds_connection: head.names_fields() }
}
