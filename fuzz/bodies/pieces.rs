//! A body at once and in pieces.

use lab::http1::{BodyReader, Framing, Step};

/// The same content, however it arrives.
pub(crate) fn body_in_pieces(data: &[u8], framing: Framing) {
    let whole = body(data, framing, data.len().max(1));
    for size in [1, 7] {
        assert_eq!(body(data, framing, size), whole, "in pieces of {size}");
    }
}

/// Content, bytes taken, and how it ended.
fn body(data: &[u8], framing: Framing, size: usize) -> (Vec<u8>, Option<usize>, &'static str) {
    let mut reader = BodyReader::new(framing);
    let (mut content, mut from, mut to) = (Vec::new(), 0, 0);
    loop {
        match reader.next(&data[from..to]) {
            Ok(Step::End { skip }) => return (content, Some(from + skip), "whole"),
            Ok(Step::Content { skip, length }) => {
                assert!(from + skip + length <= to, "more than there is");
                content.extend_from_slice(&data[from + skip..][..length]);
                reader.took(length);
                from += skip + length;
            }
            // What came before an error does not count: the message is broken.
            Err(_) => return (Vec::new(), None, "malformed"),
        }
        if from == to && !reader.is_ended() {
            if to == data.len() {
                let whole = reader.closed().is_ok();
                return (content, None, if whole { "until the end" } else { "cut" });
            }
            to = data.len().min(to + size);
        }
    }
}
