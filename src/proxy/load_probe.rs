//! Load probes on the wire: `GET /probe` on a kept connection to each peer, answered in JSON with
//! `{"rif": 3, "latency_ns": 12000000}`: requests in flight, and the latency to expect.
//!
//! One task per peer, one probe at a time. What is wished for while a probe is under way comes
//! right after it. An answer after the time-out is lost; its connection is used again once it has
//! come, and closed if it does not come for a second: a peer that hangs must not be buried in
//! connections. A peer that has no load to tell is said so once, and asked again now and then.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::driver::Driver;
use super::endpoint::Endpoint;
use super::journal::log;
use crate::http1::{Framing, HeadError, Limits, ResponseHead};
use crate::policy::LoadReport;
use crate::units::Span;

/// How long an answer may be late before its connection is closed.
const LATE: Duration = Duration::from_secs(1);
/// Pause after a connection could not be opened or broke.
const BROKEN_PAUSE: Duration = Duration::from_millis(100);
/// Pause after an answer that does not tell a load.
const NO_REPORT_PAUSE: Duration = Duration::from_secs(5);
/// Longest answer.
const BODY_MAX: u64 = 4096;
const LIMITS: Limits = Limits::new(8192);

/// Why a probe brought nothing.
#[derive(Debug, thiserror::Error)]
enum ProbeError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("its answer is not HTTP/1.1: {0}")]
    Head(#[from] HeadError),
    #[error("it answers {0}")]
    Status(u16),
    #[error("its answer has no length, or one above {BODY_MAX} bytes")]
    Length,
    #[error("its answer does not tell a load: {0}")]
    Body(#[from] serde_json::Error),
}

/// Answers the wishes for the load of one peer until it has left.
pub(super) async fn run(driver: Arc<Driver>, endpoint: Arc<Endpoint>, limit: Span) {
    let mut kept: Option<Line> = None;
    let mut told = false;
    loop {
        endpoint.load_wanted().await;
        if endpoint.is_removed() {
            return;
        }
        let mut line = kept.take();
        let error = match timeout(limit.to_std(), ask(&mut line, &endpoint)).await {
            Ok(Ok(load)) => {
                if !endpoint.is_removed() {
                    driver.load_reported(endpoint.id, load);
                }
                (kept, told) = (line, false);
                continue;
            }
            Ok(Err(error)) => error,
            Err(_elapsed) => {
                driver.load_probe_lost(true);
                kept = settle(line).await;
                continue;
            }
        };
        driver.load_probe_lost(false);
        if matches!(error, ProbeError::Io(_)) {
            sleep(BROKEN_PAUSE).await;
            continue;
        }
        if !std::mem::replace(&mut told, true) {
            let name = &endpoint.name;
            log(format_args!(
                "{name} cannot be asked for its load (GET /probe): {error}; without answers \
                 prequal sends it requests at random only"
            ));
        }
        sleep(NO_REPORT_PAUSE).await;
    }
}

/// Sends a probe, on the kept line if there is one, and waits for the answer. A kept line that
/// turns out to be closed is replaced once.
async fn ask(line: &mut Option<Line>, endpoint: &Endpoint) -> Result<LoadReport, ProbeError> {
    if let Some(kept) = line {
        match kept.ask(endpoint).await {
            Err(ProbeError::Io(_)) => {}
            answered => return answered,
        }
    }
    line.insert(Line::open(endpoint).await?).ask(endpoint).await
}

/// What becomes of a line whose answer is late: usable again once it came.
async fn settle(line: Option<Line>) -> Option<Line> {
    let mut line = line?;
    match timeout(LATE, line.answer()).await {
        Ok(Ok(_too_late)) => Some(line),
        _ => None,
    }
}

/// A connection for probes, and what was read of an answer so far.
struct Line {
    stream: TcpStream,
    read: Vec<u8>,
    head: ResponseHead,
}

impl Line {
    async fn open(endpoint: &Endpoint) -> io::Result<Self> {
        let stream = TcpStream::connect(endpoint.address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, read: Vec::with_capacity(512), head: ResponseHead::default() })
    }

    async fn ask(&mut self, endpoint: &Endpoint) -> Result<LoadReport, ProbeError> {
        let host = endpoint.address;
        let request =
            format!("GET /probe HTTP/1.1\r\nHost: {host}\r\nUser-Agent: lab load probe\r\n\r\n");
        self.stream.write_all(request.as_bytes()).await?;
        self.answer().await
    }

    /// Reads an answer. Safe to be given up and called again: what was read is kept.
    async fn answer(&mut self) -> Result<LoadReport, ProbeError> {
        loop {
            if let Some((start, end)) = self.whole()? {
                let body = serde_json::from_slice(&self.read[start..end]);
                self.read.drain(..end);
                return match self.head.status() {
                    200 => Ok(body?),
                    status => Err(ProbeError::Status(status)),
                };
            }
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
        }
    }

    /// Where the body is, once it has come whole.
    fn whole(&mut self) -> Result<Option<(usize, usize)>, ProbeError> {
        let Some(start) = self.head.read(&self.read, &LIMITS)? else { return Ok(None) };
        let length = match self.head.framing(false) {
            Framing::Length(length) if length <= BODY_MAX => length as usize,
            Framing::None => 0,
            _ if self.head.status() != 200 => return Err(ProbeError::Status(self.head.status())),
            _ => return Err(ProbeError::Length),
        };
        let end = start + length;
        Ok((self.read.len() >= end).then_some((start, end)))
    }
}
