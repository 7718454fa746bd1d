//! Reading a header from a socket.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::{Header, Malformed, Parsed, parse};

/// Who is at the other end, and where it wanted to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) struct Received {
    pub(in crate::proxy) source: SocketAddr,
    pub(in crate::proxy) destination: SocketAddr,
}

/// Why a connection that must begin with a header is closed.
#[derive(Debug, thiserror::Error)]
pub(in crate::proxy) enum ReceiveError {
    #[error("only trusted networks may send a PROXY header")]
    NotTrusted,
    #[error("no whole PROXY header within {0:?}")]
    TimedOut(Duration),
    #[error("malformed PROXY header: {0}")]
    Malformed(#[from] Malformed),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads the header that `stream` must begin with, and nothing behind it; `own` is what the
/// connection itself says, for headers that say nothing.
///
/// Bytes are looked at before they are taken, so whatever follows the header stays in the socket
/// for TLS or HTTP: mostly two system calls, and no buffer to hand on.
///
/// # Errors
/// When there is no valid header within `limit`.
pub(in crate::proxy) async fn receive(
    stream: &mut TcpStream,
    own: Received,
    limit: Duration,
) -> Result<Received, ReceiveError> {
    let header = tokio::time::timeout(limit, header(stream)).await;
    match header.map_err(|_| ReceiveError::TimedOut(limit))?? {
        Header::Unproxied => Ok(own),
        Header::Proxied { source, destination } => Ok(Received { source, destination }),
    }
}

async fn header(stream: &mut TcpStream) -> Result<Header, ReceiveError> {
    let mut bytes = vec![0; 256];
    let mut taken = 0;
    loop {
        if taken == bytes.len() {
            bytes.resize(taken * 2, 0);
        }
        let seen = stream.peek(&mut bytes[taken..]).await?;
        if seen == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let (header, end) = match parse(&bytes[..taken + seen])? {
            Parsed::Complete(header, length) => (Some(header), length),
            // All of it belongs to the header, so that the next look waits for more.
            Parsed::Incomplete => (None, taken + seen),
        };
        stream.read_exact(&mut bytes[taken..end]).await?;
        taken = end;
        if let Some(header) = header {
            return Ok(header);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::super::{Version, write};
    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    async fn pair() -> (TcpStream, TcpStream, Received) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let at = listener.local_addr().expect("an address");
        let client = TcpStream::connect(at).await.expect("connected");
        client.set_nodelay(true).expect("set");
        let (server, source) = listener.accept().await.expect("accepted");
        (client, server, Received { source, destination: at })
    }

    #[tokio::test]
    async fn a_header_in_pieces_is_taken_and_the_rest_left() {
        let source = "[2001:db8::1]:7".parse().expect("an address");
        let destination = "[2001:db8::2]:8".parse().expect("an address");
        for version in [Version::V1, Version::V2] {
            for step in [1, 20, 1000] {
                let (mut client, mut server, own) = pair().await;
                let mut bytes = Vec::new();
                write(version, source, destination, &mut bytes);
                bytes.extend(b"GET / HTTP/1.1\r\n");
                let sent = tokio::spawn(async move {
                    for part in bytes.chunks(step) {
                        client.write_all(part).await.expect("sent");
                        tokio::task::yield_now().await;
                    }
                });
                let received = receive(&mut server, own, LIMIT).await.expect("a header");
                assert_eq!(received, Received { source, destination });
                sent.await.expect("all sent");
                let mut rest = String::new();
                server.read_to_string(&mut rest).await.expect("the rest");
                assert_eq!(rest, "GET / HTTP/1.1\r\n");
            }
        }
    }

    #[tokio::test]
    async fn long_extensions_are_skipped_whole() {
        let (mut client, mut server, own) = pair().await;
        let mut bytes = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x0f\xa0".to_vec();
        bytes.extend([7; 4000]);
        bytes.push(b'!');
        client.write_all(&bytes).await.expect("sent");
        assert_eq!(receive(&mut server, own, LIMIT).await.expect("a header"), own);
        assert_eq!(server.read_u8().await.expect("the rest"), b'!');
    }

    #[tokio::test]
    async fn silence_nonsense_and_an_early_end_are_told_apart() {
        let (client, mut server, own) = pair().await;
        let silent = receive(&mut server, own, Duration::from_millis(20)).await;
        assert!(matches!(silent, Err(ReceiveError::TimedOut(_))), "{silent:?}");
        drop(client);
        let ended = receive(&mut server, own, LIMIT).await;
        assert!(matches!(ended, Err(ReceiveError::Io(_))), "{ended:?}");
        let (mut client, mut server, own) = pair().await;
        client.write_all(b"GET / HTTP/1.1\r\n").await.expect("sent");
        let nonsense = receive(&mut server, own, LIMIT).await;
        assert!(matches!(nonsense, Err(ReceiveError::Malformed(_))), "{nonsense:?}");
    }
}
