//! A response head and the body behind it.

use lab::http1::{Framing, Limits, ResponseHead};

use super::pieces::body_in_pieces;

/// A limit that inputs reach.
const LIMITS: Limits = Limits::new(2048);

/// Reads a response and holds what is accepted against httparse and against itself.
pub(crate) fn run(data: &[u8]) {
    let mut head = ResponseHead::default();
    let Ok(Some(end)) = head.read(data, &LIMITS) else { return };
    assert!(end <= data.len() && data[..end].ends_with(b"\r\n\r\n"));
    let text = &data[..end];
    let mut again = ResponseHead::default();
    for length in [end - 1, end - 2, end / 2] {
        assert_eq!(again.read(&text[..length], &LIMITS), Ok(None), "{length}");
    }
    read_alike(text, &head);
    framed_in_one_way(&head);
    written_again(&head);
    body_in_pieces(&data[end..], head.framing(false));
}

fn read_alike(text: &[u8], head: &ResponseHead) {
    let mut fields = [httparse::EMPTY_HEADER; 160];
    let mut other = httparse::Response::new(&mut fields);
    assert_eq!(other.parse(text), Ok(httparse::Status::Complete(text.len())));
    assert_eq!(other.code, Some(head.status()));
    assert_eq!(other.headers.len(), head.fields().list().len());
    for (field, (name, value)) in other.headers.iter().zip(head.fields().iter()) {
        assert_eq!((field.name.as_bytes(), field.value), (name, value));
        assert!(!value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
    }
}

/// RFC 9112 section 6.3.
fn framed_in_one_way(head: &ResponseHead) {
    let count = |wanted: &str| {
        head.fields()
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case(wanted.as_bytes()))
            .count()
    };
    assert!(count("content-length") + count("transfer-encoding") <= 1, "read in two ways");
    assert_eq!(head.framing(true), Framing::None);
    let bodiless = head.status() < 200 || matches!(head.status(), 204 | 304);
    assert!(!bodiless || head.framing(false) == Framing::None);
    if let Framing::Length(length) = head.framing(false) {
        assert_eq!(head.length(), Some(length));
    }
}

/// As it comes from an upstream of another protocol.
fn written_again(head: &ResponseHead) {
    let mut again = ResponseHead::default();
    let fields = head.fields().iter();
    again.assemble(head.status(), fields, &Limits::new(8192)).expect("a good head stays one");
    assert_eq!(again.status(), head.status());
    assert_eq!(again.framing(false), head.framing(false));
}
