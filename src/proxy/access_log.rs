//! The access log: a line of JSON for each request that is logged.
//!
//! A worker appends the line to a buffer of its own; a thread takes what the buffers hold ten times
//! a second and writes it. No request waits for a file: when a buffer holds as many lines as it may,
//! further ones are dropped and counted. The file is opened again on SIGUSR1, after it was moved
//! away (log rotation).

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::account::Exchange;
use super::journal::log;
use crate::host::{clock, date};
use crate::scenario::edge::LogFacts;
use crate::units::{Nanos, Span};

/// How often the buffers are emptied.
const EVERY: Duration = Duration::from_millis(100);

/// The log and its thread. Dropping it writes what is left.
#[derive(Debug)]
pub(super) struct AccessLog {
    shared: Arc<Shared>,
    facts: LogFacts,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct State {
    buffers: Vec<Arc<Mutex<Buffer>>>,
    reopen: bool,
    closed: bool,
}

/// Lines of one worker that are not yet written.
#[derive(Debug, Default)]
struct Buffer {
    text: Vec<u8>,
    lines: u32,
}

impl AccessLog {
    /// Opens the file, which is made if it is missing and appended to if not.
    ///
    /// # Errors
    /// When the file or the thread cannot be made.
    pub(super) fn start(facts: &LogFacts) -> io::Result<Self> {
        let file = open(&facts.path)?;
        let shared = Arc::new(Shared { state: Mutex::default(), wake: Condvar::new() });
        let thread = {
            let (shared, path) = (Arc::clone(&shared), facts.path.clone());
            thread::Builder::new().name("access log".to_owned()).spawn(move || {
                write(&shared, &path, file);
            })?
        };
        Ok(Self { shared, facts: facts.clone(), thread: Some(thread) })
    }

    /// What it was started with.
    pub(super) const fn facts(&self) -> &LogFacts {
        &self.facts
    }

    /// A buffer for one more worker; `number` makes its sample its own.
    pub(super) fn sink(&self, number: u64) -> Sink {
        let buffer = Arc::<Mutex<Buffer>>::default();
        locked(&self.shared.state).buffers.push(Arc::clone(&buffer));
        let share = (self.facts.sample.0.clamp(0.0, 1.0) * (1u64 << 32) as f64) as u64;
        let drawn = AtomicU64::new(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        Sink { buffer, limit: self.facts.queue, share, drawn }
    }

    /// Writes on into a file newly opened under the same name.
    pub(super) fn reopen(&self) {
        locked(&self.shared.state).reopen = true;
        self.shared.wake.notify_one();
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        locked(&self.shared.state).closed = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// Where one worker puts its lines.
#[derive(Debug)]
pub(super) struct Sink {
    buffer: Arc<Mutex<Buffer>>,
    limit: u32,
    /// Requests that are logged, of 2^32.
    share: u64,
    drawn: AtomicU64,
}

impl Sink {
    /// Logs the request if it is in the sample or went wrong; false if it had to be dropped.
    pub(super) fn offer(&self, exchange: &Exchange<'_>) -> bool {
        let wrong = exchange.status >= 500 || !exchange.complete;
        if !(wrong || self.is_sampled()) {
            return true;
        }
        let now = clock::wall();
        let mut buffer = locked(&self.buffer);
        if buffer.lines >= self.limit {
            return false;
        }
        buffer.lines += 1;
        line(&mut buffer.text, now, exchange);
        true
    }

    fn is_sampled(&self) -> bool {
        if self.share >= 1 << 32 {
            return true;
        }
        // One writer, as for `Count`. Splitmix64 over a running number.
        let seed = self.drawn.load(Ordering::Relaxed).wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.drawn.store(seed, Ordering::Relaxed);
        let mut word = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((word ^ (word >> 31)) >> 32) < self.share
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

fn write(shared: &Shared, path: &Path, mut file: File) {
    let failing = AtomicBool::new(false);
    loop {
        let state = locked(&shared.state);
        let (mut state, _) = shared
            .wake
            .wait_timeout_while(state, EVERY, |state| !(state.closed || state.reopen))
            .unwrap_or_else(PoisonError::into_inner);
        let (reopen, closed) = (std::mem::take(&mut state.reopen), state.closed);
        let buffers = state.buffers.clone();
        // A worker that has ended leaves its buffer to this thread.
        state.buffers.retain(|buffer| Arc::strong_count(buffer) > 2);
        drop(state);
        for buffer in buffers {
            let text = {
                let mut buffer = locked(&buffer);
                buffer.lines = 0;
                let room = Vec::with_capacity(buffer.text.len());
                std::mem::replace(&mut buffer.text, room)
            };
            if let Err(error) = file.write_all(&text) {
                // Said once, not ten times a second.
                if !failing.swap(true, Ordering::Relaxed) {
                    log(format_args!("cannot write {}: {error}", path.display()));
                }
            } else if !text.is_empty() {
                failing.store(false, Ordering::Relaxed);
            }
        }
        if reopen {
            match open(path) {
                Ok(new) => file = new,
                Err(error) => log(format_args!("cannot open {} again: {error}", path.display())),
            }
        }
        if closed {
            return;
        }
    }
}

fn line(out: &mut Vec<u8>, now: Nanos, exchange: &Exchange<'_>) {
    let put = |out: &mut Vec<u8>, text: std::fmt::Arguments<'_>| {
        out.write_fmt(text).unwrap_or_else(|_| unreachable!("a vector takes everything"));
    };
    put(out, format_args!("{{\"time\":\"{}\"", date::rfc3339_millis(now)));
    put(out, format_args!(",\"client\":\"{}\"", exchange.client));
    put(out, format_args!(",\"protocol\":\"{}\"", exchange.protocol.name()));
    for (key, value) in [("method", exchange.method), ("path", exchange.path)] {
        if !value.is_empty() {
            text(out, key, value);
        }
    }
    put(out, format_args!(",\"status\":{}", exchange.status));
    put(out, format_args!(",\"complete\":{}", exchange.complete));
    put(out, format_args!(",\"bytes_in\":{}", exchange.bytes_in));
    put(out, format_args!(",\"bytes_out\":{}", exchange.bytes_out));
    let total = exchange.ended.since(exchange.started);
    let times = [
        ("total_ms", Some(total)),
        ("connect_ms", exchange.connect),
        ("first_byte_ms", exchange.first_byte),
    ];
    for (key, span) in times {
        if let Some(Span(nanos)) = span {
            put(out, format_args!(",\"{key}\":{}.{:03}", nanos / 1_000_000, nanos / 1_000 % 1_000));
        }
    }
    if let Some(upstream) = exchange.upstream {
        text(out, "upstream", upstream.as_bytes());
    }
    put(out, format_args!(",\"attempts\":{}", exchange.attempts));
    for (key, value) in [("request_id", exchange.request_id), ("traceparent", exchange.traceparent)]
    {
        if let Some(value) = value {
            text(out, key, value);
        }
    }
    out.extend_from_slice(b"}\n");
}

/// A member with a string, escaped as JSON wants it; bytes that are no UTF-8 become U+FFFD.
fn text(out: &mut Vec<u8>, key: &str, value: &[u8]) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\":\"");
    for chunk in value.utf8_chunks() {
        for byte in chunk.valid().bytes() {
            match byte {
                b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
                0..0x20 | 0x7f => {
                    let digit = |half: u8| b"0123456789abcdef"[usize::from(half)];
                    out.extend_from_slice(&[
                        b'\\',
                        b'u',
                        b'0',
                        b'0',
                        digit(byte >> 4),
                        digit(byte & 15),
                    ]);
                }
                _ => out.push(byte),
            }
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::count::Protocol;
    use crate::units::Ratio;

    fn exchange() -> Exchange<'static> {
        Exchange {
            client: ([192, 0, 2, 7], 4711).into(),
            protocol: Protocol::Http1,
            method: b"GET",
            path: b"/a\"b\\c\n\xff?x",
            status: 200,
            complete: true,
            started: Nanos(1_000_000),
            ended: Nanos(2_234_567),
            connect: Some(Span(120_000)),
            first_byte: None,
            bytes_in: 1,
            bytes_out: 2,
            upstream: Some("b1"),
            attempts: 2,
            request_id: Some(b"r-1"),
            traceparent: None,
        }
    }

    #[test]
    fn a_line_is_json_whatever_the_client_wrote() {
        let mut out = Vec::new();
        line(&mut out, Nanos(1_795_527_901_250_000_000), &exchange());
        assert_eq!(out.pop(), Some(b'\n'));
        let value: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
        let expected = serde_json::json!({
            "time": "2026-11-24T13:45:01.250Z", "client": "192.0.2.7:4711", "protocol": "http1",
            "method": "GET", "path": "/a\"b\\c\n\u{fffd}?x", "status": 200, "complete": true,
            "bytes_in": 1, "bytes_out": 2, "total_ms": 1.234, "connect_ms": 0.12,
            "upstream": "b1", "attempts": 2, "request_id": "r-1",
        });
        assert_eq!(value, expected);
    }

    fn facts(name: &str, sample: f64, queue: u32) -> LogFacts {
        let path = std::env::temp_dir().join(format!("lab-{name}-{}", std::process::id()));
        drop(std::fs::remove_file(&path));
        LogFacts { path, sample: Ratio(sample), queue }
    }

    fn lines(path: &Path) -> usize {
        std::fs::read_to_string(path).expect("the log").lines().count()
    }

    #[test]
    fn a_sample_is_about_its_share_and_what_went_wrong_is_always_there() {
        let facts = facts("sample", 0.1, 100_000);
        let access = AccessLog::start(&facts).expect("a log");
        let sink = access.sink(1);
        (0..10_000).for_each(|_| assert!(sink.offer(&exchange())));
        for wrong in [
            Exchange { status: 502, ..exchange() },
            Exchange { status: 0, complete: false, ..exchange() },
            Exchange { complete: false, ..exchange() },
        ] {
            (0..1_000).for_each(|_| assert!(sink.offer(&wrong)));
        }
        drop((sink, access));
        // Five standard deviations of a binomial with n = 10 000 and p = 0.1.
        assert!((3_850..=4_150).contains(&lines(&facts.path)), "{} lines", lines(&facts.path));
        std::fs::remove_file(&facts.path).expect("removed");
    }

    #[test]
    fn a_full_queue_drops_lines_and_says_so() {
        let facts = facts("queue", 1.0, 10);
        let access = AccessLog::start(&facts).expect("a log");
        let sink = access.sink(1);
        // Faster than the thread can empty it ten times a second.
        let taken = (0..1_000).filter(|_| sink.offer(&exchange())).count();
        assert!((10..1_000).contains(&taken), "{taken} of 1000 taken");
        drop((sink, access));
        assert_eq!(lines(&facts.path), taken);
        std::fs::remove_file(&facts.path).expect("removed");
    }

    #[test]
    fn a_moved_file_is_opened_anew() {
        let facts = facts("rotate", 1.0, 100);
        let access = AccessLog::start(&facts).expect("a log");
        let sink = access.sink(1);
        sink.offer(&exchange());
        let old = facts.path.with_extension("1");
        std::fs::rename(&facts.path, &old).expect("moved");
        access.reopen();
        while !facts.path.exists() {
            thread::yield_now();
        }
        sink.offer(&exchange());
        sink.offer(&exchange());
        drop((sink, access));
        assert_eq!((lines(&old), lines(&facts.path)), (1, 2));
        std::fs::remove_file(&old).expect("removed");
        std::fs::remove_file(&facts.path).expect("removed");
    }
}
