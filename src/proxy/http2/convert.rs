//! Heads and trailers between the proxy's own form and that of the `h2` crate.
//!
//! `h2` refuses what RFC 9113, 8.2 and 8.3, forbid: names that are not lower case, fields of one
//! hop, pseudo-fields that are missing, repeated or out of place, and a content that is not as long
//! as `content-length` says. What remains is checked again when it is written as text.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Request, Response, StatusCode, Uri, Version};

use crate::http1::{
    Field, Fields, Framing, HeadError, Limits, Name, Names, RequestHead, ResponseHead, list_items,
};
use crate::proxy::message::{RequestOut, ResponseOut};

/// Writes a client's request into `head`; `has_body` tells whether its stream goes on.
///
/// # Errors
/// What cannot be said in HTTP/1, or contradicts itself.
pub(in crate::proxy) fn request_head(
    request: &Request<()>,
    has_body: bool,
    head: &mut RequestHead,
    limits: &Limits,
) -> Result<(), HeadError> {
    let (uri, headers) = (request.uri(), request.headers());
    let host = host(uri, headers)?;
    let connect = request.method() == Method::CONNECT;
    let target = if connect { host } else { target(uri) };
    let cookie = joined(headers, b"; ");
    let fields = fields(headers)
        .filter(|(name, _)| *name != b"host" && (*name != b"cookie" || cookie.is_none()))
        .chain(cookie.iter().map(|cookie| (&b"cookie"[..], &cookie[..])));
    head.assemble(request.method().as_str().as_bytes(), target, host, fields, limits)?;
    match head.framing() {
        _ if !has_body => head.set_framing(Framing::None),
        Framing::None => head.set_framing(Framing::Chunked),
        Framing::Length(_) | Framing::Chunked | Framing::UntilClose => {}
    }
    Ok(())
}

/// `:authority` or `Host`; both must not differ (RFC 9113, 8.3.1).
fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Result<&'a [u8], HeadError> {
    let mut hosts = headers.get_all(header::HOST).iter().map(HeaderValue::as_bytes);
    let (field, more) = (hosts.next(), hosts.next());
    let authority = uri.authority().map(|authority| authority.as_str().as_bytes());
    match (authority, field) {
        _ if more.is_some() => Err(HeadError::Host),
        (Some(one), Some(other)) if !one.eq_ignore_ascii_case(other) => Err(HeadError::Host),
        (Some(host), _) | (None, Some(host)) => Ok(host),
        (None, None) => Err(HeadError::Host),
    }
}

fn target(uri: &Uri) -> &[u8] {
    uri.path_and_query().map_or("/", |target| target.as_str()).as_bytes()
}

/// Several `cookie` fields as the one that HTTP/1 has (RFC 9113, 8.2.3).
fn joined(headers: &HeaderMap, separator: &[u8]) -> Option<Vec<u8>> {
    let values: Vec<&[u8]> =
        headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    (values.len() > 1).then(|| values.join(separator))
}

fn fields(headers: &HeaderMap) -> impl Iterator<Item = (&[u8], &[u8])> {
    headers.iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()))
}

/// Writes a peer's response into `head`.
///
/// # Errors
/// What cannot be said in HTTP/1.
pub(in crate::proxy) fn response_head<T>(
    response: &Response<T>,
    head: &mut ResponseHead,
    limits: &Limits,
) -> Result<(), HeadError> {
    head.assemble(response.status().as_u16(), fields(response.headers()), limits)
}

/// A trailer section as it came.
///
/// # Errors
/// What cannot be said in HTTP/1.
pub(in crate::proxy) fn trailer(headers: &HeaderMap) -> Result<Fields, HeadError> {
    Fields::assemble(fields(headers))
}

/// A trailer section to be sent.
pub(in crate::proxy) fn trailer_map(fields: &Fields) -> HeaderMap {
    let mut map = HeaderMap::new();
    append(&mut map, fields.trailing(), fields.text());
    map
}

/// A request for a peer.
///
/// # Errors
/// When its host cannot be written as an authority.
pub(in crate::proxy) fn request(out: &RequestOut<'_>, tls: bool) -> Result<Request<()>, HeadError> {
    let head = out.head;
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(head.method()).map_err(|_| HeadError::Method)?;
    *request.version_mut() = Version::HTTP_2;
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(if tls { Scheme::HTTPS } else { Scheme::HTTP });
    parts.authority = Some(Authority::try_from(out.host).map_err(|_| HeadError::Host)?);
    let mut target = Vec::new();
    head.write_target(&mut target);
    parts.path_and_query =
        Some(PathAndQuery::try_from(escaped(target)).map_err(|_| HeadError::Target)?);
    *request.uri_mut() = Uri::from_parts(parts).map_err(|_| HeadError::Target)?;
    let headers = request.headers_mut();
    append(headers, out.kept(), head.fields().text());
    append_lines(headers, out.added);
    // The only thing that `te` may say in HTTP/2, and what gRPC asks for.
    let mut accepted = head.fields().all(Name::Te).flat_map(list_items);
    if accepted.any(|item| item.eq_ignore_ascii_case(b"trailers")) {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    Ok(request)
}

/// HTTP/1 clients send a few characters that are in no URI (RFC 3986, 2) and that `http` refuses.
fn escaped(target: Vec<u8>) -> Vec<u8> {
    if !target.iter().any(|byte| matches!(byte, b'<' | b'>' | b'`' | b'"')) {
        return target;
    }
    let mut escaped = Vec::with_capacity(target.len() + 16);
    for byte in target {
        match byte {
            b'<' => escaped.extend_from_slice(b"%3C"),
            b'>' => escaped.extend_from_slice(b"%3E"),
            b'`' => escaped.extend_from_slice(b"%60"),
            b'"' => escaped.extend_from_slice(b"%22"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A response for a client.
pub(in crate::proxy) fn response(out: &ResponseOut<'_>) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() =
        StatusCode::from_u16(out.head.status()).unwrap_or(StatusCode::BAD_GATEWAY);
    *response.version_mut() = Version::HTTP_2;
    append(response.headers_mut(), out.kept(), out.head.fields().text());
    append_lines(response.headers_mut(), out.added);
    response
}

/// What a head of HTTP/1 holds is valid here too, but for fields of one hop; names become lower
/// case.
fn append<'a>(map: &mut HeaderMap, fields: impl Iterator<Item = &'a Field>, text: &[u8]) {
    fields
        .filter(|field| !Names::HOP.contains(field.name))
        .for_each(|field| put(map, field.name_in(text), field.value_in(text)));
}

fn append_lines(map: &mut HeaderMap, lines: &[u8]) {
    for line in lines.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        put(map, &line[..colon], line[colon + 1..].trim_ascii());
    }
}

fn put(map: &mut HeaderMap, name: &[u8], value: &[u8]) {
    if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
        // More fields than a map can hold were refused with the head.
        drop(map.try_append(name, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::message::Keep;

    const LIMITS: Limits = Limits::new(4096);
    const KEEP: Keep = Keep { drops: Names::HOP.with(Name::Host), heeds_connection: false };

    fn head_of(request: &Request<()>, has_body: bool) -> Result<RequestHead, HeadError> {
        let mut head = RequestHead::default();
        request_head(request, has_body, &mut head, &LIMITS).map(|()| head)
    }

    fn get(uri: &str, fields: &[(&str, &str)]) -> Request<()> {
        let mut builder = Request::builder().uri(uri);
        for (name, value) in fields {
            builder = builder.header(*name, *value);
        }
        builder.body(()).expect("a request")
    }

    #[test]
    fn a_request_becomes_text_and_a_request_again() {
        let fields = [("te", "trailers"), ("cookie", "a=1"), ("cookie", "b=2"), ("x", "y")];
        let head = head_of(&get("http://shop:81/a?b", &fields), false).expect("a head");
        assert_eq!(head.host(), Some(&b"shop:81"[..]));
        assert_eq!((head.method(), head.target()), (&b"GET"[..], &b"/a?b"[..]));
        assert_eq!(head.fields().all(Name::Cookie).collect::<Vec<_>>(), [b"a=1; b=2"]);
        assert_eq!(head.framing(), Framing::None);
        let out = RequestOut {
            head: &head,
            host: b"shop:81",
            keep: KEEP,
            added: b"Via: 2 lab\r\nX-Real-IP: 192.0.2.7\r\n",
            upgrade: false,
        };
        let request = request(&out, true).expect("a request");
        assert_eq!(request.uri(), "https://shop:81/a?b");
        let names: Vec<&str> = request.headers().keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["x", "cookie", "via", "x-real-ip", "te"]);
        assert_eq!(request.headers()["x-real-ip"], "192.0.2.7");
    }

    #[test]
    fn the_stream_tells_whether_there_is_a_body() {
        let framing = |fields: &[(&str, &str)], body| {
            head_of(&get("http://a/", fields), body).expect("a head").framing()
        };
        assert_eq!(framing(&[], true), Framing::Chunked);
        assert_eq!(framing(&[("content-length", "5")], true), Framing::Length(5));
        assert_eq!(framing(&[("content-length", "0")], false), Framing::None);
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let hosts = get("http://one/", &[("host", "two")]);
        assert_eq!(head_of(&hosts, false).err(), Some(HeadError::Host));
        assert_eq!(head_of(&get("/", &[]), false).err(), Some(HeadError::Host));
        let same = head_of(&get("http://One/", &[("host", "one")]), false);
        assert!(same.is_ok(), "case makes no difference");
        let lengths = get("http://a/", &[("content-length", "1"), ("content-length", "1")]);
        assert_eq!(head_of(&lengths, true).err(), Some(HeadError::ContentLength));
        let user = get("http://user@a/", &[]);
        assert_eq!(head_of(&user, false).err(), Some(HeadError::Host));
    }

    #[test]
    fn characters_of_no_uri_are_escaped() {
        assert_eq!(escaped(b"/a<b>`\"{}|^".to_vec()), b"/a%3Cb%3E%60%22{}|^");
        let graphic = (b'!'..=b'~').filter(|byte| *byte != b'#');
        let all: Vec<u8> = std::iter::once(b'/').chain(graphic).collect();
        assert!(PathAndQuery::try_from(escaped(all)).is_ok());
    }

    #[test]
    fn a_trailer_keeps_what_may_trail() {
        let mut map = HeaderMap::new();
        map.insert("grpc-status", HeaderValue::from_static("0"));
        map.insert("content-length", HeaderValue::from_static("7"));
        let fields = trailer(&map).expect("a trailer");
        let back = trailer_map(&fields);
        assert_eq!(back.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["grpc-status"]);
    }
}
