//! What the hashing algorithms hash, and the keys that the requests of a plan carry.
//!
//! The load generator puts the key of a planned request where the balancer looks for it, and the
//! model hashes the very bytes that the proxy then finds, so both choose the same peer.

use std::net::{IpAddr, Ipv4Addr};

use smallvec::SmallVec;

use super::diagnostic::Problems;
use super::reader::Read;
use super::tree::Node;
use super::{BalancerFacts, Scenario};
use crate::policy::Algorithm;
use crate::traffic::ClassConfig;

/// The part of a request that is hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashKey {
    /// The client's address, without its port.
    Client,
    /// Path and query as sent.
    Uri,
    /// The path alone.
    Path,
    /// The host, in lower case and without its port.
    Host,
    /// The value of this header; name in lower case.
    Header(String),
    /// The value of this cookie.
    Cookie(String),
}

/// How a key is inserted into requests of one class: the hashed text is `before` and the number
/// of the key, or `without` where a request has no key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carrier {
    /// In front of the number.
    pub before: String,
    /// Instead of both.
    pub without: String,
}

impl HashKey {
    /// How the requests of `class` carry their keys. Those of [`Self::Client`] do by their
    /// address: see [`client_address`].
    #[must_use]
    pub fn carrier(&self, class: &ClassConfig) -> Carrier {
        let (path, query) = class.path.split_once('?').unwrap_or((&class.path, ""));
        let (before, without) = match self {
            Self::Client | Self::Header(_) | Self::Cookie(_) => (String::new(), String::new()),
            Self::Uri => {
                let join = if query.is_empty() && !class.path.contains('?') { '?' } else { '&' };
                (format!("{}{join}key=", class.path), class.path.clone())
            }
            Self::Path => (format!("{}/", path.trim_end_matches('/')), path.to_owned()),
            Self::Host => ("key-".to_owned(), "127.0.0.1".to_owned()),
        };
        Carrier { before, without }
    }
}

/// The address of the client with this key: one of the loopback network, since that is where the
/// live world's clients are, and each in a network of its own up to key 65 535 (`ip_hash` hashes
/// three octets). Key 0, without keys, is 127.0.0.1.
#[must_use]
pub const fn client_address(key: u64) -> Ipv4Addr {
    let [.., third, second, first] = key.to_be_bytes();
    Ipv4Addr::new(127, second, first, third.saturating_add(1))
}

/// The keys of a scenario's requests as its balancer sees them.
#[derive(Clone, Debug)]
pub struct PlannedKeys {
    algorithm: Algorithm,
    is_client: bool,
    /// By class.
    carriers: Vec<Carrier>,
}

impl PlannedKeys {
    /// Of `scenario`; `None` if its balancer does not look at keys.
    #[must_use]
    pub fn new(scenario: &Scenario) -> Option<Self> {
        let BalancerFacts { hash_key, upstream, .. } = &scenario.balancer;
        let key = hash_key.as_ref().filter(|_| upstream.algorithm.hashes())?;
        Some(Self {
            algorithm: upstream.algorithm,
            is_client: *key == HashKey::Client,
            carriers: scenario.traffic.classes.iter().map(|class| key.carrier(class)).collect(),
        })
    }

    /// The digest of the key of a request of `class` with `key`, which is 0 without keys.
    #[must_use]
    pub fn digest(&self, class: u16, key: u64) -> u64 {
        if self.is_client {
            return self.algorithm.digest_address(IpAddr::V4(client_address(key)));
        }
        let Some(carrier) = self.carriers.get(usize::from(class)) else { return 0 };
        if key == 0 {
            return self.algorithm.digest(carrier.without.as_bytes());
        }
        let mut text = SmallVec::<[u8; 64]>::new();
        text.extend_from_slice(carrier.before.as_bytes());
        push_number(&mut text, key);
        self.algorithm.digest(&text)
    }
}

/// A number in decimal.
fn push_number(text: &mut SmallVec<[u8; 64]>, number: u64) {
    let mut digits = [0; 20];
    let (mut from, mut rest) = (digits.len(), number);
    loop {
        from -= 1;
        digits[from] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    text.extend_from_slice(&digits[from..]);
}

impl Read for HashKey {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let text = String::read(node, problems)?;
        let (word, name) =
            text.split_once(':').map_or((text.as_str(), None), |(w, n)| (w, Some(n)));
        let key = match (word, name) {
            ("client", None) => Some(Self::Client),
            ("uri", None) => Some(Self::Uri),
            ("path", None) => Some(Self::Path),
            ("host", None) => Some(Self::Host),
            ("header", Some(name)) if is_token(name) => Some(Self::Header(name.to_lowercase())),
            ("cookie", Some(name)) if is_token(name) => Some(Self::Cookie(name.to_owned())),
            _ => None,
        };
        if key.is_none() {
            let help =
                "\"client\", \"uri\", \"path\", \"host\", \"header:NAME\" or \"cookie:NAME\"";
            problems.report_with(&node.place, format!("`{text}` is no part of a request"), help);
        }
        key
    }
    fn schema() -> serde_json::Value {
        serde_json::json!({
            "type": "string",
            "pattern": "^(client|uri|path|host|(header|cookie):[!#$%&'*+.^_`|~0-9A-Za-z-]+)$",
        })
    }
}

/// A token of RFC 9110, 5.6.2: what names of headers and cookies consist of.
fn is_token(name: &str) -> bool {
    let is_char = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_char)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{Bytes, Ratio};

    fn class(path: &str) -> ClassConfig {
        ClassConfig {
            name: "all".to_owned(),
            path: path.to_owned(),
            method: "GET".to_owned(),
            share: Ratio(1.0),
            body: Bytes(0),
        }
    }

    #[test]
    fn a_key_goes_where_the_balancer_looks_for_it() {
        let before = |key: HashKey, path: &str| key.carrier(&class(path)).before;
        assert_eq!(before(HashKey::Uri, "/a"), "/a?key=");
        assert_eq!(before(HashKey::Uri, "/a?x=1"), "/a?x=1&key=");
        assert_eq!(before(HashKey::Path, "/"), "/");
        assert_eq!(before(HashKey::Path, "/a/?x=1"), "/a/");
        assert_eq!(HashKey::Path.carrier(&class("/a?x=1")).without, "/a");
        assert_eq!(before(HashKey::Header("x".to_owned()), "/a"), "");
    }

    #[test]
    fn clients_have_networks_of_their_own() {
        assert_eq!(client_address(0), Ipv4Addr::new(127, 0, 0, 1));
        assert_eq!(client_address(1), Ipv4Addr::new(127, 0, 1, 1));
        assert_eq!(client_address(65_535), Ipv4Addr::new(127, 255, 255, 1));
        assert_eq!(client_address(65_536), Ipv4Addr::new(127, 0, 0, 2));
    }

    #[test]
    fn numbers_are_decimal() {
        for number in [0, 7, 10, 65_535, u64::MAX] {
            let mut text = SmallVec::new();
            push_number(&mut text, number);
            assert_eq!(text.as_slice(), number.to_string().as_bytes());
        }
    }
}
