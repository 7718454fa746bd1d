//! Upstreams that break the rules: none of it reaches the client, and no answer is read from a
//! connection where it happened.
//!
//! ```text
//! @ what the case is about
//! = 502/200 hello         what the client may get: a status (with the body, unless it is 502 or
//!                         500), or `cut`, a response broken off so that the client can tell
//! ~ again                 the connection to the upstream is used again (`either`: may be); without
//!                         this it must not be
//! * HEAD                  the method, if it is not GET
//! | HTTP/1.1 200 OK       a line the upstream sends, with CRLF    + abc  bytes, without
//! x                       then the upstream closes
//! ```

mod reader;
mod upstream;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use self::reader::{Got, read_strictly};
use self::upstream::Upstream;
use super::raw::unescaped;
use super::setup::{eventually, proxy_at, wrong_either_way};

/// Longer than any reaction takes, shorter than any time-out of the proxy.
const PATIENCE: Duration = Duration::from_secs(4);

/// What an upstream sends, and what the client may see of it.
struct Case {
    name: String,
    method: String,
    sent: Vec<u8>,
    closes: bool,
    statuses: Vec<u16>,
    may_cut: bool,
    body: String,
    again: Again,
}

/// Whether the connection to the upstream is used for the next request.
#[derive(Clone, Copy, PartialEq)]
enum Again {
    Must,
    May,
    MustNot,
}

#[test]
fn nothing_malformed_reaches_the_client() {
    let cases = cases(include_str!("responses.txt"));
    assert_eq!(cases.len(), 89, "cases in responses.txt");
    let wrong = wrong_either_way(&cases, |case| &case.name, run);
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// A response that comes while nobody has asked must not answer who asks next.
#[test]
fn a_response_sent_ahead_is_nobodys() {
    let upstream =
        Upstream::start(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false, false);
    let proxy = proxy_at(&[upstream.address], |config| config.balancer.keepalive = 4);
    assert_eq!(ask(proxy.address(), "GET").expect("a response").body, b"hello");
    upstream.send_unasked(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\ninjected");
    // It may be noticed only when the connection is taken out again, never later.
    assert_eq!(ask(proxy.address(), "GET").expect("a response").body, b"good");
    assert_eq!(upstream.connections(), 2);
    eventually("the proxy closes it", || upstream.ended() >= 1);
}

fn run(case: &Case, pieces: bool) -> Result<(), String> {
    let upstream = Upstream::start(&case.sent, pieces, case.closes);
    let proxy = proxy_at(&[upstream.address], |config| {
        config.balancer.keepalive = 4;
        config.balancer.upstream.peers[0].max_fails = 0;
    });
    let got = ask(proxy.address(), &case.method)?;
    if got.cut {
        if !case.may_cut {
            return Err("broken off".to_owned());
        }
    } else if !case.statuses.contains(&got.status) {
        return Err(format!("status {}", got.status));
    } else if got.status < 500 && got.body != case.body.as_bytes() {
        return Err(format!("the body {}", got.body.escape_ascii()));
    }
    if got.injected {
        return Err("what was injected got through".to_owned());
    }
    // What comes in pieces may come behind an answer that has ended. Before the next request, or it
    // could meet a connection that looks idle.
    eventually("the upstream has sent everything", || upstream.has_sent());
    let next = ask(proxy.address(), "GET")?;
    if (next.status, &*next.body) != (200, b"good") {
        return Err(format!("the next one got {} {}", next.status, next.body.escape_ascii()));
    }
    let connections = upstream.connections();
    let again = if connections == 1 { Again::Must } else { Again::MustNot };
    if case.again != again && case.again != Again::May {
        return Err(format!("{connections} connections to the upstream"));
    }
    Ok(())
}

/// A request on a connection of its own.
fn ask(address: SocketAddr, method: &str) -> Result<Got, String> {
    let mut stream = TcpStream::connect(address).map_err(|error| error.to_string())?;
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    let request = format!("{method} / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(|error| error.to_string())?;
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            Ok(length) => bytes.extend_from_slice(&buffer[..length]),
            Err(error) => return Err(format!("no end after {}: {error}", bytes.escape_ascii())),
        }
    }
    read_strictly(&bytes, method == "HEAD")
}

fn cases(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let wrong = || -> ! { panic!("responses.txt:{number}: not understood: {line}") };
        let (mark, rest) = line.split_at(line.len().min(1));
        let rest = rest.strip_prefix(' ').unwrap_or(rest);
        if mark == "@" {
            cases.push(Case::named(rest));
        } else if !matches!(mark, "" | "#") {
            let read = cases.last_mut().and_then(|case| case.line(mark, rest));
            read.unwrap_or_else(|| wrong());
        }
    }
    cases
}

impl Case {
    fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            method: "GET".to_owned(),
            sent: Vec::new(),
            closes: false,
            statuses: Vec::new(),
            may_cut: false,
            body: String::new(),
            again: Again::MustNot,
        }
    }

    fn line(&mut self, mark: &str, rest: &str) -> Option<()> {
        match mark {
            "=" => {
                let (verdicts, body) = rest.split_once(' ').unwrap_or((rest, ""));
                body.clone_into(&mut self.body);
                for verdict in verdicts.split('/') {
                    match verdict {
                        "cut" => self.may_cut = true,
                        status => self.statuses.push(status.parse().ok()?),
                    }
                }
            }
            "~" if rest == "again" => self.again = Again::Must,
            "~" => self.again = Again::May,
            "*" => rest.clone_into(&mut self.method),
            "|" => self.sent.extend(unescaped(&format!("{rest}\\r\\n"))?),
            "+" => self.sent.extend(unescaped(rest)?),
            "x" => self.closes = true,
            _ => return None,
        }
        Some(())
    }
}
