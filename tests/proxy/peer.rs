//! A scripted peer: reads real requests, answers as told, remembers what it saw.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::client::{Message, Wire};

/// What a peer does with a request.
#[derive(Clone)]
pub(crate) enum Answer {
    /// This status, with the peer's name as body.
    Status(u16),
    /// These bytes, and the connection stays open.
    Raw(Vec<u8>),
    /// These bytes, then the end of the connection.
    RawThenClose(Vec<u8>),
    /// Nothing, and the end of the connection.
    Close,
    /// Nothing, ever.
    Hang,
    /// The name after a while.
    Slow(Duration),
    /// The request's body back, chunked.
    EchoChunked,
    /// 101, then every byte back.
    Tunnel,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Number of the connection at this peer, from 1.
    pub(crate) connection: usize,
    pub(crate) message: Message,
}

type Script = Box<dyn FnMut(&Seen) -> Answer + Send>;
type Gate = Box<dyn Fn(&Seen) + Send + Sync>;

struct Shared {
    name: String,
    /// Returns when a request may be answered; called for many requests at once.
    gate: Gate,
    script: Mutex<Script>,
    seen: Mutex<Vec<Seen>>,
    /// Number of connections closed by the other side.
    left: Mutex<usize>,
    stopped: AtomicBool,
}

/// A scripted peer; stops listening when dropped.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

impl Peer {
    /// A peer that always answers 200.
    pub(crate) fn good(name: &str) -> Self {
        Self::scripted(name, |_| Answer::Status(200))
    }

    pub(crate) fn always(name: &str, answer: Answer) -> Self {
        Self::scripted(name, move |_| answer.clone())
    }

    pub(crate) fn scripted(
        name: &str,
        script: impl FnMut(&Seen) -> Answer + Send + 'static,
    ) -> Self {
        Self::start(name, Box::new(|_| {}), Box::new(script))
    }

    /// A good peer that answers each request when `gate` returns.
    pub(crate) fn gated(name: &str, gate: impl Fn(&Seen) + Send + Sync + 'static) -> Self {
        Self::start(name, Box::new(gate), Box::new(|_| Answer::Status(200)))
    }

    fn start(name: &str, gate: Gate, script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            name: name.to_owned(),
            gate,
            script: Mutex::new(script),
            seen: Mutex::default(),
            left: Mutex::default(),
            stopped: AtomicBool::new(false),
        });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let (Ok(stream), false) = (stream, serving.stopped.load(Ordering::SeqCst)) else {
                    return;
                };
                let shared = Arc::clone(&serving);
                thread::spawn(move || drop(serve(&shared, number + 1, stream)));
            }
        });
        Self { address, shared }
    }

    /// From now on it answers so.
    pub(crate) fn now(&self, answer: Answer) {
        *self.shared.script.lock().expect("not poisoned") = Box::new(move |_| answer.clone());
    }

    /// Every request so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().expect("not poisoned").clone()
    }

    /// The only request so far.
    pub(crate) fn only(&self) -> Message {
        let mut seen = self.seen();
        assert_eq!(seen.len(), 1, "requests at {}", self.shared.name);
        seen.remove(0).message
    }

    /// How many connections the other side has closed.
    pub(crate) fn left(&self) -> usize {
        *self.shared.left.lock().expect("not poisoned")
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
    }
}

/// An address where nobody listens.
pub(crate) fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address")
}

fn serve(shared: &Shared, connection: usize, stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut wire = Wire::new(stream);
    loop {
        let Some(message) = wire.request()? else {
            *shared.left.lock().expect("not poisoned") += 1;
            return Ok(());
        };
        let seen = Seen { connection, message };
        shared.seen.lock().expect("not poisoned").push(seen.clone());
        (shared.gate)(&seen);
        let answer = (shared.script.lock().expect("not poisoned"))(&seen);
        if !act(shared, &mut wire, &seen, answer)? {
            return Ok(());
        }
    }
}

/// Whether the connection goes on.
fn act(shared: &Shared, wire: &mut Wire, seen: &Seen, answer: Answer) -> io::Result<bool> {
    match answer {
        Answer::Status(status) => wire.write_all(&plain(status, &shared.name))?,
        Answer::Raw(bytes) => wire.write_all(&bytes)?,
        Answer::RawThenClose(bytes) => {
            wire.write_all(&bytes)?;
            return Ok(false);
        }
        Answer::Close => return Ok(false),
        Answer::Hang => {
            // Until the other side gives up.
            let gone = wire.request()?.is_none();
            *shared.left.lock().expect("not poisoned") += usize::from(gone);
            return Ok(false);
        }
        Answer::Slow(pause) => {
            thread::sleep(pause);
            wire.write_all(&plain(200, &shared.name))?;
        }
        Answer::EchoChunked => echo(wire, &seen.message.body)?,
        Answer::Tunnel => {
            wire.write_all(
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello",
            )?;
            wire.echo()?;
            return Ok(false);
        }
    }
    Ok(true)
}

fn echo(wire: &mut Wire, body: &[u8]) -> io::Result<()> {
    wire.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
    for part in body.chunks(10_000) {
        wire.write_all(format!("{:x}\r\n", part.len()).as_bytes())?;
        wire.write_all(part)?;
        wire.write_all(b"\r\n")?;
    }
    wire.write_all(b"0\r\n\r\n")
}

/// A response with a length.
pub(crate) fn plain(status: u16, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} Word\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}
