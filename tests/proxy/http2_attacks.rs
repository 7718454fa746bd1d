//! Attacks on HTTP/2, frame by frame, against a proxy in a process of its own: what becomes of the
//! attacker, that others are served meanwhile, and that memory stays bounded.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use super::client::Wire;
use super::frames::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GET, HEADERS, PING, PRIORITY, RST_STREAM,
    Raw, SETTINGS, WINDOW_UPDATE, fields, frame, get,
};
use super::peer::{Answer, Peer};
use super::setup::proxy_at;

/// Error codes of RFC 9113, 7.
const PROTOCOL_ERROR: u32 = 1;
const ENHANCE_YOUR_CALM: u32 = 11;
/// How much more memory the proxy may take during an attack, in MiB.
const GROWTH: usize = 24;
/// Tells [`a_proxy_of_its_own`] where its peer is.
const PEER: &str = "LAB_TEST_ATTACKED_PEER";

/// Not a test: the process that is attacked. It ends with its input.
#[test]
#[expect(clippy::print_stdout, reason = "how the process tells its parent where it listens")]
fn a_proxy_of_its_own() {
    let Ok(peer) = std::env::var(PEER) else { return };
    let proxy = proxy_at(&[peer.parse().expect("an address")], |config| {
        config.balancer.keepalive = 64;
        config.balancer.workers = 1;
    });
    println!("listening {}", proxy.address());
    drop(std::io::stdin().lock().read_line(&mut String::new()));
}

struct Attacked {
    address: SocketAddr,
    process: Child,
    peer: Arc<Peer>,
}

impl Attacked {
    fn start() -> Self {
        let peer = Arc::new(Peer::good("a"));
        let mut process = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "http2_attacks::a_proxy_of_its_own", "--nocapture"])
            .env(PEER, peer.address.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let output = BufReader::new(process.stdout.take().expect("piped"));
        let address = output.lines().map_while(Result::ok).find_map(|line| {
            line.split_once("listening ").and_then(|(_, address)| address.parse().ok())
        });
        Self { address: address.expect("an address"), process, peer }
    }

    /// Memory of the process, in MiB.
    fn memory(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()));
        let status = status.expect("the process is there");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
        line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") / 1024
    }

    /// Attacks, while somebody else asks for something ten times a second or faster.
    fn attack<T>(&self, name: &str, attack: impl FnOnce(&mut Raw) -> T) -> T {
        let mut other = Wire::connect(self.address);
        assert_eq!(other.get().status(), 200);
        let before = self.memory();
        let (ended, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let asking = {
            let (ended, served) = (Arc::clone(&ended), Arc::clone(&served));
            thread::spawn(move || {
                while !ended.load(SeqCst) {
                    assert_eq!(other.get().status(), 200);
                    served.fetch_add(1, SeqCst);
                    thread::sleep(Duration::from_millis(5));
                }
            })
        };
        let mut most = before;
        let result = thread::scope(|scope| {
            let watching = scope.spawn(|| {
                let mut most = 0;
                while !ended.load(SeqCst) {
                    most = most.max(self.memory());
                    thread::sleep(Duration::from_millis(5));
                }
                most
            });
            let result = attack(&mut Raw::connect(self.address));
            let during = served.load(SeqCst);
            // Served also after the attack began, not only before.
            while served.load(SeqCst) < during + 3 {
                thread::sleep(Duration::from_millis(5));
            }
            ended.store(true, SeqCst);
            most = most.max(watching.join().expect("watched"));
            result
        });
        asking.join().expect("others are served");
        assert!(most <= before + GROWTH, "{name}: {before} MiB grew to {most}");
        result
    }
}

impl Drop for Attacked {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Sends until the other side ends the connection, at most `limit` times; how often.
fn flood(raw: &mut Raw, limit: usize, part: impl Fn(usize) -> Vec<u8>) -> usize {
    // Answers must not fill the buffers, or the flood would stop by itself.
    let mut reading = Raw(raw.0.try_clone().expect("a copy"));
    let reader = thread::spawn(move || reading.ending());
    let sent = (0..limit).find(|number| raw.send(&part(*number)).is_err()).unwrap_or(limit);
    drop(raw.0.shutdown(std::net::Shutdown::Both));
    let _ = reader.join().expect("read");
    sent
}

/// CVE-2023-44487. The peer answers slowly, so that every stream is still under way.
#[test]
fn rapid_reset() {
    let attacked = Attacked::start();
    attacked.peer.now(Answer::Status(200));
    let sent = attacked.attack("rapid reset", |raw| {
        flood(raw, 10_000, |number| {
            let stream = number as u32 * 2 + 1;
            let cancel = frame(RST_STREAM, 0, stream, &8u32.to_be_bytes());
            [get(stream, &[]), cancel].concat()
        })
    });
    assert!(sent < 5_000, "{sent} streams were begun and reset");
    let reached = attacked.peer.seen().len();
    assert!(reached < 1_500, "{reached} requests reached the peer");
}

#[test]
fn rapid_reset_ends_with_a_reason() {
    let attacked = Attacked::start();
    let mut raw = Raw::connect(attacked.address);
    for number in 0..2_000 {
        let stream = number * 2 + 1;
        let cancel = frame(RST_STREAM, 0, stream, &8u32.to_be_bytes());
        if raw.send(&[get(stream, &[]), cancel].concat()).is_err() {
            break;
        }
    }
    // With unread bytes in its buffer the kernel may reset the connection before that is read.
    let code = raw.ending();
    assert!(matches!(code, Some(ENHANCE_YOUR_CALM) | None), "{code:?}");
}

/// CVE-2024-27316 and its kin: a header block that does not end.
#[test]
fn continuation_flood() {
    let attacked = Attacked::start();
    let sent = attacked.attack("CONTINUATION flood", |raw| {
        raw.send(&frame(HEADERS, END_STREAM, 1, &fields(&GET))).expect("sent");
        let more = fields(&[("x-more", &"a".repeat(4_000))]);
        flood(raw, 20_000, |_| frame(CONTINUATION, 0, 1, &more))
    });
    assert!(sent < 5_000, "{sent} frames of 4 KiB");
    let empty = attacked.attack("empty CONTINUATION flood", |raw| {
        raw.send(&frame(HEADERS, END_STREAM, 1, &fields(&GET))).expect("sent");
        flood(raw, 200_000, |_| frame(CONTINUATION, 0, 1, &[]))
    });
    assert!(empty < 50_000, "{empty} empty frames");
}

#[test]
fn floods_of_frames_that_want_an_answer_or_nothing() {
    let attacked = Attacked::start();
    let setting = [0, 1, 0, 0, 0x10, 0];
    let update = 1u32.to_be_bytes();
    for (name, kind, stream, payload) in [
        ("PING", PING, 0, &[0; 8][..]),
        ("SETTINGS", SETTINGS, 0, &setting),
        ("empty SETTINGS", SETTINGS, 0, &[]),
        ("PRIORITY", PRIORITY, 1, &[0, 0, 0, 3, 0]),
        ("WINDOW_UPDATE", WINDOW_UPDATE, 0, &update),
        ("unknown", 0xbe, 0, b"grease"),
    ] {
        let hundred = frame(kind, 0, stream, payload).repeat(100);
        let sent = attacked.attack(name, |raw| flood(raw, 20_000, |_| hundred.clone()));
        assert!(sent < 5_000, "{name}: {} frames", sent * 100);
    }
}

/// CVE-2019-9518: DATA without data.
#[test]
fn empty_data_flood() {
    let attacked = Attacked::start();
    let sent = attacked.attack("empty DATA", |raw| {
        let block = fields(&[(":method", "POST"), GET[1], GET[2], GET[3]]);
        raw.send(&frame(HEADERS, END_HEADERS, 1, &block)).expect("sent");
        let hundred = frame(DATA, 0, 1, &[]).repeat(100);
        flood(raw, 20_000, |_| hundred.clone())
    });
    assert!(sent < 5_000, "{} frames", sent * 100);
}

/// A request that asks for PINGs' answers and reads none of them.
#[test]
fn pings_whose_answers_are_not_read() {
    let attacked = Attacked::start();
    attacked.attack("unread answers", |raw| {
        raw.0.set_write_timeout(Some(Duration::from_secs(2))).expect("set");
        let thousand = frame(PING, 0, 0, &[0; 8]).repeat(1_000);
        drop((0..100).try_for_each(|_| raw.send(&thousand)));
    });
}

/// A few bytes on the wire that are many when decoded: one large field in the dynamic table, then
/// thousands of references to it.
#[test]
fn hpack_bomb() {
    let attacked = Attacked::start();
    let ended = attacked.attack("HPACK bomb", |raw| {
        let value = "a".repeat(3_900);
        let mut block = fields(&GET);
        block.push(0x40);
        block.extend([6]);
        block.extend(b"x-bomb");
        // 3900 as an integer with a prefix of seven bits.
        block.extend([127, ((3_900 - 127) % 128 + 128) as u8, ((3_900 - 127) / 128) as u8]);
        block.extend(value.as_bytes());
        // Index 62 is the newest of the dynamic table.
        block.extend([0xbe; 10_000]);
        raw.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &block)).expect("sent");
        raw.verdict(1)
    });
    assert!(matches!(ended, Ok(431) | Err(_)), "{ended:?}");
    assert_eq!(
        attacked.peer.seen().iter().filter(|seen| seen.message.field("x-bomb").is_some()).count(),
        0
    );
}

#[test]
fn too_many_or_too_large_fields() {
    let attacked = Attacked::start();
    let large = "a".repeat(15_000);
    let mut raw = Raw::connect(attacked.address);
    raw.send(&get(1, &[("x-large", &large)])).expect("sent");
    let verdict = raw.verdict(1);
    assert!(matches!(verdict, Ok(200 | 431)), "{verdict:?}");
    let block = fields(&[&GET[..], &[("x-large", &large), ("x-more", &large)]].concat());
    let (first, rest) = block.split_at(16_000);
    raw.send(&frame(HEADERS, END_STREAM, 3, first)).expect("sent");
    raw.send(&frame(CONTINUATION, END_HEADERS, 3, rest)).expect("sent");
    assert_eq!(raw.verdict(3), Ok(431));
    let many: Vec<(&str, &str)> = (0..300).map(|_| ("x", "y")).collect();
    raw.send(&get(5, &many)).expect("sent");
    assert_eq!(raw.verdict(5), Ok(431), "the connection goes on");
}

#[test]
fn more_streams_than_allowed() {
    let attacked = Attacked::start();
    attacked.attack("streams", |raw| {
        // What the proxy says it allows.
        let settings = raw.until(|frame| frame.kind == SETTINGS && frame.flags & ACK == 0);
        let settings = settings.expect("settings").payload;
        let streams = settings.chunks(6).find(|entry| entry[..2] == [0, 3]).expect("a limit");
        assert_eq!(streams[2..], 128u32.to_be_bytes());
        let block = fields(&[(":method", "POST"), GET[1], GET[2], GET[3]]);
        let begun: Vec<u8> =
            (0..1_000u32).flat_map(|n| frame(HEADERS, END_HEADERS, n * 2 + 1, &block)).collect();
        drop(raw.send(&begun));
        let refused = raw.until(|frame| frame.kind == RST_STREAM).expect("a refusal");
        assert_eq!((refused.stream, refused.code()), (257, Some(7)), "REFUSED_STREAM");
    });
}

/// What must not come out as HTTP/1: each is refused, and the peer never sees it.
#[test]
fn what_would_be_another_request_in_http_1() {
    let attacked = Attacked::start();
    let before = attacked.peer.seen().len();
    let [method, scheme, path, authority] = GET;
    let with = |more: &[(&'static str, &'static str)]| [&GET[..], more].concat();
    let cases: Vec<(&str, Vec<(&str, &str)>)> = vec![
        ("CR and LF in a value", with(&[("x-a", "b\r\nx-evil: 1")])),
        ("LF in a value", with(&[("x-a", "b\nx-evil: 1")])),
        ("CR in a value", with(&[("x-a", "b\rx")])),
        ("NUL in a value", with(&[("x-a", "b\0")])),
        ("a line end in a name", with(&[("x-a: b\r\nx-evil", "1")])),
        ("a colon in a name", with(&[("x:a", "1")])),
        ("a space in a name", with(&[("x a", "1")])),
        ("an empty name", with(&[("", "1")])),
        ("upper case", with(&[("X-Upper", "1")])),
        ("connection", with(&[("connection", "close")])),
        ("keep-alive", with(&[("keep-alive", "1")])),
        ("proxy-connection", with(&[("proxy-connection", "close")])),
        ("transfer-encoding", with(&[("transfer-encoding", "chunked")])),
        ("upgrade", with(&[("upgrade", "websocket")])),
        ("te", with(&[("te", "gzip")])),
        ("two lengths", with(&[("content-length", "0"), ("content-length", "5")])),
        ("no length", with(&[("content-length", "x")])),
        ("a length without a body", with(&[("content-length", "5")])),
        ("a negative length", with(&[("content-length", "-1")])),
        ("another host", with(&[("host", "evil")])),
        ("a pseudo-field behind others", vec![method, scheme, path, ("x", "y"), authority]),
        ("a pseudo-field twice", with(&[(":path", "/other")])),
        ("an unknown pseudo-field", with(&[(":evil", "1")])),
        ("a response's pseudo-field", with(&[(":status", "200")])),
        ("extended CONNECT", with(&[(":protocol", "websocket")])),
        ("no path", vec![method, scheme, authority]),
        ("an empty path", vec![method, scheme, (":path", ""), authority]),
        ("no scheme", vec![method, path, authority]),
        ("no method", vec![scheme, path, authority]),
        ("no host", vec![method, scheme, path]),
        (
            "CR and LF in the path",
            vec![method, scheme, (":path", "/ HTTP/1.1\r\nx-evil: 1\r\n\r\nGET /"), authority],
        ),
        ("a space in the path", vec![method, scheme, (":path", "/a b"), authority]),
        ("no slash", vec![method, scheme, (":path", "evil"), authority]),
        ("an absolute path", vec![method, scheme, (":path", "http://evil/"), authority]),
        (
            "CR and LF in the authority",
            vec![method, scheme, path, (":authority", "test\r\nx-evil: 1")],
        ),
        ("a user in the authority", vec![method, scheme, path, (":authority", "user@test")]),
        ("a bad port", vec![method, scheme, path, (":authority", "test:99999")]),
        (
            "a space in the method",
            vec![(":method", "GET / HTTP/1.1\r\nx: y\r\n\r\nGET"), scheme, path, authority],
        ),
        ("CONNECT", vec![(":method", "CONNECT"), (":authority", "test:80")]),
        ("TRACE", vec![(":method", "TRACE"), scheme, path, authority]),
    ];
    for (name, list) in &cases {
        let mut raw = Raw::connect(attacked.address);
        raw.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &fields(list))).expect("sent");
        let verdict = raw.verdict(1);
        let refused = match verdict {
            Ok(status) => (400..=505).contains(&status),
            Err(code) => code == PROTOCOL_ERROR,
        };
        assert!(refused, "{name}: {verdict:?}");
    }
    let seen = &attacked.peer.seen()[before..];
    assert!(seen.is_empty(), "{:?}", seen.iter().map(|seen| &seen.message).collect::<Vec<_>>());
}

#[test]
fn bodies_that_are_not_as_long_as_they_say() {
    let attacked = Attacked::start();
    let block = |length: &'static str| {
        fields(&[(":method", "POST"), GET[1], GET[2], GET[3], ("content-length", length)])
    };
    for (name, length, body) in [("short", "5", "abc"), ("long", "2", "abc"), ("none", "3", "")] {
        let mut raw = Raw::connect(attacked.address);
        raw.send(&frame(HEADERS, END_HEADERS, 1, &block(length))).expect("sent");
        raw.send(&frame(DATA, END_STREAM, 1, body.as_bytes())).expect("sent");
        let verdict = raw.verdict(1);
        assert_eq!(verdict, Err(PROTOCOL_ERROR), "{name}");
    }
    let mut raw = Raw::connect(attacked.address);
    raw.send(&frame(
        HEADERS,
        END_HEADERS,
        1,
        &fields(&[(":method", "POST"), GET[1], GET[2], GET[3]]),
    ))
    .expect("sent");
    let trailer = fields(&[("x-end", "a\r\nx-evil: 1")]);
    raw.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &trailer)).expect("sent");
    assert_eq!(raw.verdict(1), Err(PROTOCOL_ERROR), "a trailer with a line of its own");
    let whole = |seen: &super::peer::Seen| seen.message.start.starts_with("POST");
    assert!(!attacked.peer.seen().iter().any(whole), "no peer saw such a body as whole");
}

#[test]
fn nonsense_ends_the_connection_and_nothing_else() {
    let attacked = Attacked::start();
    for (name, bytes) in [
        ("a frame too large", frame(DATA, 0, 1, &vec![0; 20_000])),
        ("DATA on no stream", frame(DATA, 0, 0, b"x")),
        ("DATA on an idle stream", frame(DATA, 0, 7, b"x")),
        ("a stream of the server's", get(2, &[])),
        ("a window beyond its limit", frame(WINDOW_UPDATE, 0, 0, &0x7fff_ffffu32.to_be_bytes())),
        ("SETTINGS of odd length", frame(SETTINGS, 0, 0, &[0; 5])),
        ("CONTINUATION of nothing", frame(CONTINUATION, END_HEADERS, 1, &[])),
        ("a broken header block", frame(HEADERS, END_STREAM | END_HEADERS, 1, &[0xff; 9])),
    ] {
        attacked.attack(name, |raw| {
            raw.send(&bytes).expect("sent");
            assert_ne!(raw.ending(), Some(0), "{name}");
        });
    }
}
