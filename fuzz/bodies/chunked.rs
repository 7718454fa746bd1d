//! Chunks.

use lab::http1::chunked::{Decoder, write_end, write_size};
use lab::http1::{Framing, Step};

use super::pieces::body_in_pieces;

/// Decodes at once and in pieces, and what was decoded is encoded and decoded again.
pub(crate) fn run(data: &[u8]) {
    body_in_pieces(data, Framing::Chunked);
    let Some((content, end)) = decoded(data) else { return };
    // The end stands where an independent reader finds it: behind an empty line.
    assert!(data[..end].ends_with(b"\r\n"));
    let mut again = Vec::new();
    for chunk in content.chunks(100) {
        write_size(chunk.len(), &mut again);
        again.extend_from_slice(chunk);
        again.extend_from_slice(b"\r\n");
    }
    write_end(None, &mut again);
    let length = again.len();
    again.extend_from_slice(b"GET / HTTP/1.1\r\n");
    assert_eq!(decoded(&again), Some((content, length)));
}

/// Content and where it ended, if the chunks are whole and right.
fn decoded(data: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut decoder = Decoder::default();
    let (mut content, mut at) = (Vec::new(), 0);
    loop {
        match decoder.next(&data[at..]).ok()? {
            Step::End { skip } => {
                if let Some(trailer) = decoder.take_trailer() {
                    let mut text = Vec::new();
                    write_end(Some(&trailer), &mut text);
                    assert!(text.ends_with(b"\r\n\r\n"));
                    let mut again = Decoder::default();
                    assert_eq!(again.next(&text), Ok(Step::End { skip: text.len() }));
                }
                return Some((content, at + skip));
            }
            Step::Content { skip, length } => {
                content.extend_from_slice(&data[at + skip..][..length]);
                decoder.took(length);
                at += skip + length;
                if at == data.len() && !decoder.is_ended() {
                    return None;
                }
            }
        }
    }
}
