//! Header fields on their way through: what is removed, what is added.
//!
//! `Host` is passed as the client sent it (NGINX's default is the name of the upstream; nearly
//! every real configuration sets it back). Fields of one hop are removed in both directions:
//! RFC 9110 section 7.6.1 and what `Connection` names.

use std::net::IpAddr;

use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, Response, Uri, Version};

const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Id of a request in lab's plan, as its load generator sends it.
pub(super) const LAB_ID: HeaderName = HeaderName::from_static("x-lab-id");
/// Number of the attempt, towards backends.
pub(super) const LAB_ATTEMPT: HeaderName = HeaderName::from_static("x-lab-attempt");
/// Number of attempts made, towards the client.
pub(super) const LAB_ATTEMPTS: HeaderName = HeaderName::from_static("x-lab-attempts");
/// Name of the peer tried last, towards the client.
pub(super) const LAB_UPSTREAM: HeaderName = HeaderName::from_static("x-lab-upstream");

/// What is said of a client to peers. Made once per connection.
#[derive(Debug)]
pub(super) struct ClientFields {
    address: HeaderValue,
    /// Where it connected to, for a client of HTTP/1.0 that sends no `Host`.
    host: HeaderValue,
}

impl ClientFields {
    /// Of a client at `address` that connected to `host`; an IPv4 address mapped into IPv6 is
    /// written as IPv4.
    pub(super) fn new(address: IpAddr, host: HeaderValue) -> Self {
        let text = address.to_canonical().to_string();
        let address = HeaderValue::from_str(&text)
            .unwrap_or_else(|_| unreachable!("an address is printable text"));
        Self { address, host }
    }

    /// Adds the fields to a request: the client's address replaces what the client claims in
    /// `X-Real-IP`, and is appended to what it claims in `X-Forwarded-For`.
    fn add(&self, headers: &mut HeaderMap) {
        headers.insert(X_REAL_IP, self.address.clone());
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("http"));
        let chain = match headers.get(&X_FORWARDED_FOR) {
            None => self.address.clone(),
            Some(_) => appended(headers, &self.address),
        };
        headers.insert(X_FORWARDED_FOR, chain);
    }
}

/// All values of `X-Forwarded-For` as one list, with `address` at its end.
fn appended(headers: &HeaderMap, address: &HeaderValue) -> HeaderValue {
    let mut chain = Vec::new();
    for value in headers.get_all(&X_FORWARDED_FOR) {
        chain.extend_from_slice(value.as_bytes());
        chain.extend_from_slice(b", ");
    }
    chain.extend_from_slice(address.as_bytes());
    HeaderValue::from_bytes(&chain)
        .unwrap_or_else(|_| unreachable!("joined from valid values with a comma and a space"))
}

/// Turns a client's request into the one for a peer.
pub(super) fn towards_peer<B>(request: &mut Request<B>, client: &ClientFields) {
    let upgrade = upgrade_wanted(request.headers(), request.version());
    let absolute = to_origin_form(request.uri_mut());
    let headers = request.headers_mut();
    // Both lengths in one message are the start of request smuggling: the coding wins.
    if headers.contains_key(header::TRANSFER_ENCODING) {
        headers.remove(header::CONTENT_LENGTH);
    }
    remove_hop_fields(headers);
    headers.remove(header::EXPECT);
    if let Some(host) = absolute {
        headers.insert(header::HOST, host);
    } else if !headers.contains_key(header::HOST) {
        headers.insert(header::HOST, client.host.clone());
    }
    client.add(headers);
    if let Some(protocol) = upgrade {
        set_upgrade(headers, protocol);
    }
    *request.version_mut() = Version::HTTP_11;
}

/// Turns a peer's response head into the one for the client.
pub(super) fn towards_client<B>(response: &mut Response<B>, switching: bool) {
    *response.version_mut() = Version::HTTP_11;
    let headers = response.headers_mut();
    let upgrade = if switching { headers.get(header::UPGRADE).cloned() } else { None };
    if headers.contains_key(header::TRANSFER_ENCODING) {
        headers.remove(header::CONTENT_LENGTH);
    }
    remove_hop_fields(headers);
    if let Some(protocol) = upgrade {
        set_upgrade(headers, protocol);
    }
}

/// The protocol that an HTTP/1.1 request asks to switch to, if it does.
pub(super) fn upgrade_wanted(headers: &HeaderMap, version: Version) -> Option<HeaderValue> {
    if version != Version::HTTP_11 {
        return None;
    }
    let protocol = headers.get(header::UPGRADE)?;
    let named = headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(tokens)
        .any(|token| token.eq_ignore_ascii_case("upgrade"));
    named.then(|| protocol.clone())
}

fn set_upgrade(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(header::UPGRADE, protocol);
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
}

/// An absolute target (as sent to forward proxies) becomes its path; its authority is the host.
fn to_origin_form(uri: &mut Uri) -> Option<HeaderValue> {
    uri.scheme()?;
    let host = HeaderValue::from_str(uri.authority()?.as_str()).ok()?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    *uri = path.parse().ok()?;
    Some(host)
}

/// Fields of one hop, whether `Connection` names them or not.
const HOP_FIELDS: [HeaderName; 6] = [
    header::CONNECTION,
    KEEP_ALIVE,
    PROXY_CONNECTION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

fn remove_hop_fields(headers: &mut HeaderMap) {
    // Most messages have none, and comparing names is cheaper than looking each up.
    if !headers.keys().any(|name| HOP_FIELDS.contains(name)) {
        return;
    }
    remove_named_by_connection(headers);
    HOP_FIELDS.iter().for_each(|name| drop(headers.remove(name)));
}

fn remove_named_by_connection(headers: &mut HeaderMap) {
    let values: Vec<HeaderValue> = headers.get_all(header::CONNECTION).iter().cloned().collect();
    for name in values.iter().flat_map(tokens) {
        // A client must not be able to remove what the peer relies on.
        if !is_protected(name) {
            headers.remove(name);
        }
    }
}

/// Fields that are of the message, not of the hop, whatever `Connection` says.
fn is_protected(name: &str) -> bool {
    ["host", "content-length", "content-type", "authorization", "cookie"]
        .iter()
        .any(|protected| name.eq_ignore_ascii_case(protected))
}

fn tokens(value: &HeaderValue) -> impl Iterator<Item = &str> {
    value.to_str().unwrap_or("").split(',').map(str::trim).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forwarded(request: &mut Request<()>) -> Vec<(String, String)> {
        let host = HeaderValue::from_static("proxy:80");
        towards_peer(request, &ClientFields::new([192, 0, 2, 7].into(), host));
        let mut fields: Vec<_> = request
            .headers()
            .iter()
            .map(|(name, value)| {
                (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
            })
            .collect();
        fields.sort();
        fields
    }

    fn request(fields: &[(&str, &str)]) -> Request<()> {
        let mut builder = Request::builder().uri("/path?a=b");
        for (name, value) in fields {
            builder = builder.header(*name, *value);
        }
        builder.body(()).expect("a valid request")
    }

    fn owned(fields: &[(&str, &str)]) -> Vec<(String, String)> {
        fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_client_is_named_and_its_claims_are_kept_apart() {
        let mut request = request(&[
            ("host", "shop"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-forwarded-for", "10.0.0.2"),
            ("x-real-ip", "6.6.6.6"),
            ("x-forwarded-proto", "https"),
        ]);
        let expected = owned(&[
            ("host", "shop"),
            ("x-forwarded-for", "10.0.0.1, 10.0.0.2, 192.0.2.7"),
            ("x-forwarded-proto", "http"),
            ("x-real-ip", "192.0.2.7"),
        ]);
        assert_eq!(forwarded(&mut request), expected);
    }

    #[test]
    fn fields_of_one_hop_stay_behind() {
        let mut request = request(&[
            ("host", "shop"),
            ("connection", "close, X-Secret"),
            ("connection", "Host"),
            ("x-secret", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("proxy-connection", "keep-alive"),
            ("expect", "100-continue"),
            ("x-other", "2"),
        ]);
        let fields = forwarded(&mut request);
        let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
        let expected = ["host", "x-forwarded-for", "x-forwarded-proto", "x-other", "x-real-ip"];
        assert_eq!(names, expected);
    }

    #[test]
    fn of_two_lengths_the_coding_wins() {
        let mut request = request(&[("content-length", "5"), ("transfer-encoding", "chunked")]);
        let fields = forwarded(&mut request);
        assert!(fields.iter().all(|(name, _)| name != "content-length"), "{fields:?}");
    }

    #[test]
    fn an_upgrade_passes_and_only_then() {
        let mut wanted =
            request(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")]);
        let fields = forwarded(&mut wanted);
        assert!(fields.contains(&("connection".to_owned(), "upgrade".to_owned())));
        assert!(fields.contains(&("upgrade".to_owned(), "websocket".to_owned())));
        let mut old = request(&[("connection", "upgrade"), ("upgrade", "websocket")]);
        *old.version_mut() = Version::HTTP_10;
        assert!(forwarded(&mut old).iter().all(|(name, _)| name != "upgrade"));
    }

    #[test]
    fn an_absolute_target_becomes_a_path_and_a_host() {
        let mut request = request(&[("host", "other")]);
        *request.uri_mut() = "http://shop:81/a?b=c".parse().expect("a URI");
        let fields = forwarded(&mut request);
        assert_eq!(request.uri(), "/a?b=c");
        assert!(fields.contains(&("host".to_owned(), "shop:81".to_owned())));
    }

    #[test]
    fn a_client_without_host_gets_the_one_it_connected_to() {
        let fields = forwarded(&mut request(&[]));
        assert!(fields.contains(&("host".to_owned(), "proxy:80".to_owned())));
    }

    #[test]
    fn responses_lose_the_fields_of_their_hop() {
        let mut response = Response::new(());
        let headers = response.headers_mut();
        for (name, value) in [
            (header::CONNECTION, "close, x-hop"),
            (header::TRANSFER_ENCODING, "chunked"),
            (header::CONTENT_LENGTH, "3"),
            (header::SERVER, "peer"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers.insert("x-hop", HeaderValue::from_static("1"));
        towards_client(&mut response, false);
        assert_eq!(response.headers().keys().collect::<Vec<_>>(), ["server"]);
    }
}
