//! The part of a request that the balancing algorithm hashes.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::http1::{Name, RequestHead};
use crate::policy::Algorithm;
use crate::scenario::{BalancerFacts, HashKey};

/// Finds the key of a request, and digests it for the algorithm.
#[derive(Clone, Debug)]
pub(super) struct RequestKey {
    algorithm: Algorithm,
    key: HashKey,
}

impl RequestKey {
    /// For a balancer; `None` if its algorithm looks at no keys.
    pub(super) fn new(balancer: &BalancerFacts) -> Option<Self> {
        let algorithm = balancer.upstream.algorithm;
        let key = balancer.hash_key.clone().filter(|_| algorithm.hashes())?;
        Some(Self { algorithm, key })
    }

    /// The digest of a request's key, 0 if it has none; `client` is asked for the client's address
    /// if that is the key.
    pub(super) fn digest(&self, head: &RequestHead, client: impl FnOnce() -> IpAddr) -> u64 {
        let digest = |key: &[u8]| self.algorithm.digest(key);
        match &self.key {
            HashKey::Client => self.of_client(client()),
            HashKey::Uri => digest(&target(head)),
            HashKey::Path => digest(path(&target(head))),
            HashKey::Host => digest(&hostname(head.host().unwrap_or_default())),
            HashKey::Header(name) => {
                digest(head.fields().named(name.as_bytes()).unwrap_or_default())
            }
            HashKey::Cookie(name) => {
                let cookies = head.fields().all(Name::Cookie);
                let value = cookies.into_iter().find_map(|list| cookie(list, name.as_bytes()));
                digest(value.unwrap_or_default())
            }
        }
    }

    /// The digest where nothing is known but the client's address, as in layer 4: 0 if that is not
    /// the key.
    pub(super) fn of_client(&self, address: IpAddr) -> u64 {
        match self.key {
            HashKey::Client => self.algorithm.digest_address(address),
            _ => 0,
        }
    }
}

/// Path and query.
fn target(head: &RequestHead) -> Cow<'_, [u8]> {
    match head.target() {
        target @ [b'/', ..] => Cow::Borrowed(target),
        _ => {
            let mut target = Vec::new();
            head.write_target(&mut target);
            Cow::Owned(target)
        }
    }
}

fn path(target: &[u8]) -> &[u8] {
    let end = memchr::memchr(b'?', target).unwrap_or(target.len());
    &target[..end]
}

/// A host in lower case and without its port.
fn hostname(host: &[u8]) -> Cow<'_, [u8]> {
    let after_brackets = memchr::memrchr(b']', host).map_or(0, |place| place + 1);
    let port = memchr::memchr(b':', &host[after_brackets..]);
    let name = &host[..port.map_or(host.len(), |place| after_brackets + place)];
    if name.iter().any(u8::is_ascii_uppercase) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

/// The value of a cookie in `name=value; name=value` (RFC 6265 4.2.1).
fn cookie<'a>(list: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    list.split(|byte| *byte == b';')
        .find_map(|pair| pair.trim_ascii().strip_prefix(name)?.strip_prefix(b"="))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::Limits;

    /// The digest of a request's key equals that of the text it should be.
    fn check(key: &str, request: &str, text: &str) {
        let key = match key.split_once(':') {
            Some(("header", name)) => HashKey::Header(name.to_owned()),
            Some((_, name)) => HashKey::Cookie(name.to_owned()),
            None => match key {
                "client" => HashKey::Client,
                "uri" => HashKey::Uri,
                "path" => HashKey::Path,
                _ => HashKey::Host,
            },
        };
        let mut head = RequestHead::default();
        let request = request.replace('\n', "\r\n") + "\r\n\r\n";
        head.read(request.as_bytes(), &Limits::new(1024)).unwrap().unwrap();
        let algorithm = Algorithm::Hash;
        let digest = RequestKey { algorithm, key: key.clone() }
            .digest(&head, || "192.0.2.7".parse().unwrap());
        assert_eq!(digest, algorithm.digest(text.as_bytes()), "{key:?} of {request}");
    }

    #[test]
    fn a_key_is_found_where_it_is() {
        let get = "GET /a/b?x=1 HTTP/1.1\nHost: Shop.Example:8080\nX-User: 17\ncookie: a=1; id=ab ";
        check("client", get, "192.0.2.7");
        check("uri", get, "/a/b?x=1");
        check("path", get, "/a/b");
        check("host", get, "shop.example");
        check("header:x-user", get, "17");
        check("cookie:id", get, "ab");
        check("cookie:a", get, "1");
    }

    #[test]
    fn one_that_is_not_there_is_empty() {
        let get = "GET http://h HTTP/1.1\nHost: [::1]:80\nCookie: idx=1\nCookie: id=2";
        check("header:x-user", get, "");
        check("cookie:i", get, "");
        check("cookie:id", get, "2");
        check("uri", get, "/");
        check("host", "GET / HTTP/1.1\nHost: [::1]:80", "[::1]");
    }
}
