//! One client connection: sends requests, reads responses, knows when each phase was reached.
//!
//! It is written by hand over the socket, since the generator wants the instant of the write and
//! of the first byte, and a client library puts a task and a channel between both.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::framing::Framing;
use super::head::{self, Invalid, LabHeaders};
use super::wire::{Dialer, Wire};
use crate::host::clock;
use crate::record::RequestError;
use crate::units::Nanos;

const BUFFER: usize = 8 << 10;
const BUFFER_LIMIT: usize = 128 << 10;

/// An open connection.
#[derive(Debug)]
pub(super) struct Connection {
    stream: Wire,
    buffer: Vec<u8>,
    /// Requests it has carried.
    pub(super) carried: u32,
}

/// A complete response.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) finished: Nanos,
    pub(super) bytes: u64,
    pub(super) keep_alive: bool,
}

/// Hears of a request on its way, since its response may never be complete.
pub(super) trait Progress {
    fn sent(&mut self, at: Nanos);
    fn connected(&mut self, at: Nanos);
    fn first_byte(&mut self, at: Nanos);
    fn head(&mut self, lab: LabHeaders<'_>);
}

impl Connection {
    /// Opens one, as the client with the key `client` if that is not 0.
    pub(super) async fn open(dialer: &Dialer, client: u64) -> io::Result<Self> {
        let stream = dialer.open(client).await?;
        Ok(Self { stream, buffer: vec![0; BUFFER], carried: 0 })
    }

    /// Whether the server closed it, or spoke out of turn, while it was idle. Costs no system
    /// call where nothing happened.
    pub(super) fn is_stale(&mut self) -> bool {
        let mut byte = [0];
        !matches!(self.stream.try_read(&mut byte), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Writes what the socket takes at once: nearly always all of `bytes`.
    pub(super) fn try_send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.carried += 1;
        match self.stream.try_write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            outcome => outcome,
        }
    }

    /// Writes the rest.
    pub(super) async fn send(&mut self, rest: &[u8]) -> Result<(), RequestError> {
        let sent = async {
            self.stream.write_all(rest).await?;
            self.stream.flush().await
        };
        sent.await.map_err(|_| RequestError::Reset)
    }

    /// Reads a response.
    pub(super) async fn receive(
        &mut self,
        no_body: bool,
        server_header: Option<&str>,
        mut progress: impl Progress,
    ) -> Result<Answer, RequestError> {
        let mut filled = 0;
        let mut now = Nanos::ZERO;
        let (status, mut framing, keep_alive, mut body) = loop {
            match head::parse(&self.buffer[..filled], no_body, server_header).map_err(invalid)? {
                // An interim response; the real one follows.
                Some((head, length)) if head.status < 200 => {
                    self.buffer.copy_within(length..filled, 0);
                    filled -= length;
                    continue;
                }
                Some((head, length)) => {
                    progress.head(head.lab);
                    break (head.status, head.framing, head.keep_alive, length);
                }
                None => {}
            }
            if filled == self.buffer.len() {
                self.buffer.resize((filled * 2).min(BUFFER_LIMIT), 0);
            }
            let read = self.read(filled).await?;
            if read == 0 {
                return Err(RequestError::Reset);
            }
            let is_first = now == Nanos::ZERO;
            now = clock::now();
            if is_first {
                progress.first_byte(now);
            }
            filled += read;
        };
        let mut bytes = 0;
        loop {
            let (taken, content) = framing.feed(&self.buffer[body..filled]).map_err(invalid)?;
            bytes += content;
            if framing.is_done() {
                // Bytes behind the response belong to none.
                let keep_alive = keep_alive && body + taken == filled;
                return Ok(Answer { status, finished: now, bytes, keep_alive });
            }
            let read = self.read(0).await;
            now = clock::now();
            (body, filled) = (
                0,
                match (read, framing) {
                    (Ok(0), Framing::UntilClose) => {
                        return Ok(Answer { status, finished: now, bytes, keep_alive: false });
                    }
                    (Ok(0) | Err(_), _) => return Err(RequestError::Reset),
                    (Ok(read), _) => read,
                },
            );
        }
    }

    async fn read(&mut self, from: usize) -> Result<usize, RequestError> {
        self.stream.read(&mut self.buffer[from..]).await.map_err(|_| RequestError::Reset)
    }
}

const fn invalid(_: Invalid) -> RequestError {
    RequestError::Invalid
}
