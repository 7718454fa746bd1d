//! A response, read in pieces as they arrive; its bytes are looked at where they were read.

use super::super::framing::Framing;
use super::super::head::{self, Invalid, LabHeaders};

/// What is known of a response so far.
#[derive(Debug, Default)]
pub(super) struct Response {
    /// A head that is not complete. Nearly always empty: a head comes whole.
    head: Vec<u8>,
    body: Option<Body>,
}

#[derive(Clone, Copy, Debug)]
struct Body {
    status: u16,
    framing: Framing,
    keep_alive: bool,
    bytes: u64,
}

/// A complete response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Of the body.
    pub(super) bytes: u64,
    /// The connection may carry another request.
    pub(super) keep_alive: bool,
}

impl Response {
    /// Nothing is known of the next one.
    pub(super) fn reset(&mut self) {
        self.head.clear();
        self.body = None;
    }

    /// Takes what was read; `on_head` hears of the head. The answer, once it is complete.
    pub(super) fn feed(
        &mut self,
        bytes: &[u8],
        no_body: bool,
        server_header: Option<&str>,
        on_head: impl FnOnce(&LabHeaders<'_>),
    ) -> Result<Option<Answer>, Invalid> {
        if self.body.is_some() {
            return self.content(bytes);
        }
        if self.head.is_empty() {
            return self.start(bytes, no_body, server_header, on_head);
        }
        let mut known = std::mem::take(&mut self.head);
        known.extend_from_slice(bytes);
        self.start(&known, no_body, server_header, on_head)
    }

    /// The server closed: that ends a body without a length.
    pub(super) fn closed(&mut self) -> Option<Answer> {
        let body = self.body?;
        let Body { status, framing, bytes, .. } = body;
        (framing == Framing::UntilClose).then_some(Answer { status, bytes, keep_alive: false })
    }

    fn start(
        &mut self,
        mut bytes: &[u8],
        no_body: bool,
        server_header: Option<&str>,
        on_head: impl FnOnce(&LabHeaders<'_>),
    ) -> Result<Option<Answer>, Invalid> {
        loop {
            match head::parse(bytes, no_body, server_header)? {
                // An interim response; the real one follows.
                Some((head, length)) if head.status < 200 => bytes = &bytes[length..],
                Some((head, length)) => {
                    on_head(&head.lab);
                    let (status, framing, keep_alive) =
                        (head.status, head.framing, head.keep_alive);
                    self.body = Some(Body { status, framing, keep_alive, bytes: 0 });
                    return self.content(&bytes[length..]);
                }
                None => {
                    self.head.extend_from_slice(bytes);
                    return Ok(None);
                }
            }
        }
    }

    fn content(&mut self, bytes: &[u8]) -> Result<Option<Answer>, Invalid> {
        let Some(body) = &mut self.body else { return Ok(None) };
        let (taken, content) = body.framing.feed(bytes)?;
        body.bytes += content;
        if !body.framing.is_done() {
            return Ok(None);
        }
        // Bytes behind the response belong to none.
        let keep_alive = body.keep_alive && taken == bytes.len();
        Ok(Some(Answer { status: body.status, bytes: body.bytes, keep_alive }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNKED: &str = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nx-lab-backend: b\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n";

    #[test]
    fn it_is_the_same_however_it_arrives() {
        let mut response = Response::default();
        for step in 1..=CHUNKED.len() {
            response.reset();
            let mut answer = None;
            let mut heads = 0;
            for piece in CHUNKED.as_bytes().chunks(step) {
                assert_eq!(answer, None);
                answer = response
                    .feed(piece, false, None, |lab| {
                        heads += 1;
                        assert_eq!(lab.server(), Some("b"));
                    })
                    .unwrap();
            }
            let expected = Answer { status: 200, bytes: 7, keep_alive: true };
            assert_eq!((answer, heads), (Some(expected), 1), "{step}");
        }
    }

    #[test]
    fn closing_ends_a_body_without_a_length_and_no_other() {
        let mut response = Response::default();
        assert_eq!(response.closed(), None);
        assert_eq!(response.feed(b"HTTP/1.1 200 OK\r\n\r\nabc", false, None, |_| {}), Ok(None));
        let answer = response.closed().unwrap();
        assert_eq!((answer.bytes, answer.keep_alive), (3, false));
        response.reset();
        let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc";
        assert_eq!(response.feed(cut, false, None, |_| {}), Ok(None));
        assert_eq!(response.closed(), None);
    }

    #[test]
    fn bytes_behind_it_close_the_connection_and_what_is_not_http_is_refused() {
        let mut response = Response::default();
        let more = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nabc";
        let answer = response.feed(more, false, None, |_| {}).unwrap().unwrap();
        assert_eq!((answer.bytes, answer.keep_alive), (1, false));
        response.reset();
        assert_eq!(response.feed(b"SSH-2.0", false, None, |_| {}), Err(Invalid));
    }
}
