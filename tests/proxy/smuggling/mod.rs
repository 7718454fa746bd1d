//! Requests that say one thing to one reader and another to the next: each in the table gets the
//! reaction that RFC 9112 demands, and an upstream that forgives nothing sees what it may see.
//!
//! Every case is sent twice, at once and in small pieces, with a further request right behind it:
//! one that is served if the connection goes on, and must never be seen if it does not.

mod table;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use self::table::{After, Body, Case, Forwarded};
use super::setup::{proxy_at, wrong_either_way};
use super::strict::{Framing, Request, Strict, shown};

/// Longer than any reaction takes, shorter than any time-out of the proxy.
const PATIENCE: Duration = Duration::from_secs(8);

/// Sent behind each case.
const PROBE: &[u8] = b"GET /probe HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n";

#[test]
fn lengths() {
    judge("length.txt", include_str!("length.txt"), 31);
}

#[test]
fn codings() {
    judge("coding.txt", include_str!("coding.txt"), 36);
}

#[test]
fn chunks() {
    judge("chunks.txt", include_str!("chunks.txt"), 37);
}

#[test]
fn lines_and_fields() {
    judge("lines.txt", include_str!("lines.txt"), 39);
}

#[test]
fn targets_and_hosts() {
    judge("target.txt", include_str!("target.txt"), 59);
}

#[test]
fn tricks() {
    judge("tricks.txt", include_str!("tricks.txt"), 28);
}

/// Runs all cases of a file and reports every one that got the wrong reaction.
fn judge(file: &str, text: &str, count: usize) {
    let cases = table::read(file, text);
    assert_eq!(cases.len(), count, "cases in {file}");
    let wrong = wrong_either_way(&cases, |case| &case.name, run);
    assert!(wrong.is_empty(), "{file}: {} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// A response as the client reads it.
#[derive(Debug)]
struct Response {
    status: u16,
    body: Vec<u8>,
}

fn run(case: &Case, pieces: bool) -> Result<(), String> {
    let upstream = Strict::start();
    let proxy = proxy_at(&[upstream.address], |config| config.balancer.keepalive = 4);
    let answer = exchange(proxy.address(), case, pieces)?;
    // On a connection of its own, but perhaps on the same one to the upstream.
    let canary = canary(proxy.address())?;
    proxy.stop().map_err(|error| error.to_string())?;
    upstream.wait();
    let (mut requests, anomalies) = upstream.take();
    if !anomalies.is_empty() {
        return Err(format!("the upstream saw {anomalies:?}"));
    }
    if canary != b"/canary" {
        return Err(format!("another client got {}", shown(&canary)));
    }
    let last = requests.iter().position(|request| request.line == "GET /canary");
    requests.remove(last.ok_or("the canary never came")?);
    let probed = client_saw(case, &answer)?;
    upstream_saw(case, &requests, probed)
}

/// Sends the case and returns all that comes back until the connection ends.
fn exchange(address: SocketAddr, case: &Case, pieces: bool) -> Result<Vec<u8>, String> {
    let mut bytes = case.sent.clone();
    if !case.half_close {
        bytes.extend_from_slice(PROBE);
    }
    let mut stream = connect(address);
    let size = match bytes.len() {
        length if !pieces => length,
        0..2000 => 1,
        _ => 997,
    };
    for piece in bytes.chunks(size) {
        // The proxy may have refused already.
        if stream.write_all(piece).is_err() {
            break;
        }
    }
    if case.half_close {
        let _ = stream.shutdown(Shutdown::Write);
    }
    until_end(stream)
}

fn canary(address: SocketAddr) -> Result<Vec<u8>, String> {
    let mut stream = connect(address);
    stream
        .write_all(b"GET /canary HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        .map_err(|error| error.to_string())?;
    let mut answer = &*until_end(stream)?;
    response(&mut answer, false).map(|response| response.body)
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("a connection");
    stream.set_nodelay(true).expect("an option");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    stream.set_write_timeout(Some(PATIENCE)).expect("a time-out");
    stream
}

fn until_end(mut stream: TcpStream) -> Result<Vec<u8>, String> {
    let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut buffer) {
            // A connection that is reset has ended as well; what came before has been read.
            Ok(0) => return Ok(answer),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return Ok(answer),
            Ok(length) => answer.extend_from_slice(&buffer[..length]),
            Err(error) => return Err(format!("not closed after {}: {error}", shown(&answer))),
        }
    }
}

/// Compares the responses; returns whether the probe was served.
fn client_saw(case: &Case, mut answer: &[u8]) -> Result<bool, String> {
    for (number, right) in case.statuses.iter().enumerate() {
        if answer.is_empty() && right.contains(&0) {
            continue;
        }
        let expected = case.forwarded.get(number);
        let head = expected.is_some_and(|request| request.line.starts_with("HEAD "));
        let response = response(&mut answer, head)?;
        if !right.contains(&response.status) {
            return Err(format!("status {} instead of {right:?}", response.status));
        }
        let target = expected.and_then(|request| request.line.split(' ').nth(1));
        if response.status == 200 && !head && target.map(str::as_bytes) != Some(&response.body) {
            return Err(format!("another one's answer: {}", shown(&response.body)));
        }
    }
    let probed = !answer.is_empty();
    if probed {
        let probe = response(&mut answer, false)?;
        if (probe.status, &*probe.body) != (200, b"/probe") {
            return Err(format!("one response too many: {} {}", probe.status, shown(&probe.body)));
        }
    }
    match (case.after, probed) {
        _ if !answer.is_empty() => {
            Err(format!("bytes behind the last response: {}", shown(answer)))
        }
        (After::Keep, false) if !case.half_close => Err("the connection was closed".to_owned()),
        (After::Close, true) => Err("the connection was kept".to_owned()),
        _ => Ok(probed),
    }
}

/// Takes a response from the front of `bytes`, past interim ones.
fn response(bytes: &mut &[u8], head_only: bool) -> Result<Response, String> {
    let broken = || format!("no whole response: {}", shown(bytes));
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").ok_or_else(broken)? + 4;
    let (head, rest) = bytes.split_at(end);
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let line = head.strip_prefix("http/1.1 ").or_else(|| head.strip_prefix("http/1.0 "));
    let status = line.and_then(|rest| rest.get(..3)?.parse().ok());
    let status = status.ok_or_else(broken)?;
    if status == 100 {
        *bytes = rest;
        return response(bytes, head_only);
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length = match length.map(|length| length.trim().parse::<usize>()) {
        _ if head_only => 0,
        Some(Ok(length)) if length <= rest.len() => length,
        _ => return Err(broken()),
    };
    let (body, rest) = rest.split_at(length);
    *bytes = rest;
    Ok(Response { status, body: body.to_vec() })
}

fn upstream_saw(case: &Case, requests: &[Request], probed: bool) -> Result<(), String> {
    let mut requests = requests.iter().peekable();
    for expected in &case.forwarded {
        let optional = expected.framed == Body::Cut || expected.or_cut;
        let seen = requests.next_if(|request| !optional || request.line == expected.line);
        match seen {
            None if optional => {}
            None => return Err(format!("the upstream did not see {}", expected.line)),
            Some(request) => same(expected, request)?,
        }
    }
    if probed && requests.next().is_none_or(|request| request.line != "GET /probe") {
        return Err("the probe was answered by somebody else".to_owned());
    }
    match requests.next() {
        Some(extra) => Err(format!("the upstream also saw {extra:?}")),
        None => Ok(()),
    }
}

fn same(expected: &Forwarded, seen: &Request) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("{what}: {seen:?}"));
    if seen.line != expected.line {
        return wrong(&format!("not {}", expected.line));
    }
    if seen.cut {
        let allowed = expected.framed == Body::Cut || expected.or_cut;
        return if allowed { Ok(()) } else { wrong("cut off") };
    }
    let framed = match expected.framed {
        Body::Cut => return wrong("must not be whole"),
        Body::None => seen.framing == Framing::None,
        Body::Empty => seen.framing != Framing::Chunked,
        Body::Length => seen.framing == Framing::Length,
        Body::Chunked => seen.framing == Framing::Chunked,
    };
    if !framed {
        return wrong(&format!("framing is not {:?}", expected.framed));
    }
    if seen.body != expected.body {
        return wrong(&format!("the body is not {}", shown(&expected.body)));
    }
    for (name, value) in &expected.with {
        if seen.field(name) != Some(value) {
            return wrong(&format!("{name} is not {value}"));
        }
    }
    expected.without.iter().try_for_each(|name| match seen.field(name) {
        Some(value) => wrong(&format!("{name} is there: {value}")),
        None => Ok(()),
    })
}
