//! An upstream that answers its first request with given bytes and every later one properly.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// What later requests get.
const GOOD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood";

#[derive(Default)]
struct Shared {
    requests: AtomicUsize,
    connections: AtomicUsize,
    /// Connections that the proxy has closed.
    ended: AtomicUsize,
    /// The first connection.
    first: Mutex<Option<TcpStream>>,
    /// The given bytes were sent, or the proxy took no more of them.
    sent: AtomicBool,
    stopped: AtomicBool,
}

/// The upstream; stops listening when dropped.
pub(super) struct Upstream {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
}

impl Upstream {
    /// Sends `bytes` once, at once or in small `pieces`, and then `closes` or goes on reading.
    pub(super) fn start(bytes: &[u8], pieces: bool, closes: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::<Shared>::default();
        let (serving, bytes) = (Arc::clone(&shared), bytes.to_vec());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(stream), false) = (stream, serving.stopped.load(Ordering::SeqCst)) else {
                    return;
                };
                if serving.connections.fetch_add(1, Ordering::SeqCst) == 0 {
                    *serving.first.lock().expect("not poisoned") = stream.try_clone().ok();
                }
                let (shared, bytes) = (Arc::clone(&serving), bytes.clone());
                thread::spawn(move || drop(serve(stream, &shared, &bytes, pieces, closes)));
            }
        });
        Self { address, shared }
    }

    pub(super) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    pub(super) fn ended(&self) -> usize {
        self.shared.ended.load(Ordering::SeqCst)
    }

    /// Whether it is done with the given bytes.
    pub(super) fn has_sent(&self) -> bool {
        self.shared.sent.load(Ordering::SeqCst)
    }

    /// Sends bytes on the first connection.
    pub(super) fn send_unasked(&self, bytes: &[u8]) {
        let first = self.shared.first.lock().expect("not poisoned");
        first.as_ref().expect("a connection").write_all(bytes).expect("sent");
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
    }
}

fn serve(
    mut stream: TcpStream,
    shared: &Shared,
    bytes: &[u8],
    pieces: bool,
    closes: bool,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut request = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        let length = stream.read(&mut buffer).unwrap_or(0);
        if length == 0 {
            shared.ended.fetch_add(1, Ordering::SeqCst);
            return Ok(());
        }
        request.extend_from_slice(&buffer[..length]);
        if !request.ends_with(b"\r\n\r\n") {
            continue;
        }
        request.clear();
        if shared.requests.fetch_add(1, Ordering::SeqCst) > 0 {
            stream.write_all(GOOD)?;
            continue;
        }
        let size = if !pieces {
            bytes.len().max(1)
        } else if bytes.len() < 2000 {
            1
        } else {
            997
        };
        for piece in bytes.chunks(size) {
            // The proxy may have had enough.
            if stream.write_all(piece).is_err() {
                break;
            }
        }
        shared.sent.store(true, Ordering::SeqCst);
        if closes {
            // Also the clone that sends unasked.
            return stream.shutdown(std::net::Shutdown::Both);
        }
    }
}
