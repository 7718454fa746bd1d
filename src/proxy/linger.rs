//! The end of a client's connection: a last word, and the care that it arrives.
//!
//! Closing a socket with unread bytes resets the connection, and a reset can overtake the response
//! that explains it. So what the client still sends is read over for a while (RFC 9112 9.6).

use std::future::poll_fn;
use std::task::Poll;

use super::alarm::Alarm;
use super::client::http1::Connection;
use super::wire::Wire;
use crate::host::{clock, date};
use crate::units::Span;

/// How long a client may take to see that its connection has ended.
const LINGER: Span = Span::from_secs(2);
/// How much is read over meanwhile.
const READ_OVER: usize = 1 << 20;

/// Writes an answer to what is no request, if the client takes it.
pub(super) async fn answer(
    connection: &mut Connection,
    alarm: &mut Alarm,
    status: u16,
    text: &str,
) {
    connection.wire.output.extend_from_slice(&plain(status, text));
    let deadline = clock::now() + LINGER;
    poll_fn(|context| match connection.wire.poll_flush(context) {
        Poll::Ready(_) => Poll::Ready(()),
        Poll::Pending => alarm.poll(context, clock::now(), deadline),
    })
    .await;
}

/// The text of an answer behind which the connection ends.
pub(super) fn plain(status: u16, text: &str) -> Vec<u8> {
    let date = date::imf_fixdate(clock::wall());
    let reason = crate::http1::reason(status);
    let length = text.len();
    format!(
        "HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {length}\r\nDate: {date}\r\nConnection: close\r\n\r\n{text}"
    )
    .into_bytes()
}

/// Closes the connection in a way that lets the client read what was sent to it.
pub(super) async fn close(connection: &mut Connection, alarm: &mut Alarm) {
    if connection.broken {
        // The client must not take what it has for all there is.
        connection.wire.transport.reset();
        return;
    }
    if connection.wire.is_read() && connection.wire.input.is_empty() {
        return;
    }
    let deadline = clock::now() + LINGER;
    let mut left = READ_OVER;
    let wire = &mut connection.wire;
    poll_fn(|context| {
        let _ = wire.transport.poll_shutdown(context);
        loop {
            let length = wire.input.filled().len();
            wire.input.consume(length);
            match wire.poll_fill(context, super::buffer::INPUT) {
                Poll::Ready(Ok(read @ 1..)) if read < left => left -= read,
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return alarm.poll(context, clock::now(), deadline),
            }
        }
    })
    .await;
}

/// Says that there are too many connections, and ends this one.
pub(super) async fn turn_away(wire: Wire) {
    let mut connection = Connection::new(wire);
    let mut alarm = Alarm::default();
    answer(&mut connection, &mut alarm, 503, "too many connections\n").await;
    // What it has sent meanwhile is not looked at; its end is waited for.
    connection.wire.read_body(crate::http1::Framing::UntilClose);
    close(&mut connection, &mut alarm).await;
}
