//! A request head and the body behind it.

use lab::http1::{Framing, Limits, RequestHead};

use super::pieces::body_in_pieces;

/// A limit that inputs reach.
const LIMITS: Limits = Limits::new(2048);

/// Reads a request and holds what is accepted against httparse and against itself.
pub(crate) fn run(data: &[u8]) {
    let mut head = RequestHead::default();
    let Ok(Some(end)) = head.read(data, &LIMITS) else { return };
    assert!(end <= data.len() && data[..end].ends_with(b"\r\n\r\n"));
    no_prefix_is_whole(&data[..end]);
    read_alike(&data[..end], &head);
    framed_in_one_way(&head);
    written_again(&head);
    body_in_pieces(&data[end..], head.framing());
}

/// A head that is waited for must not have been whole, or wrong, earlier.
fn no_prefix_is_whole(text: &[u8]) {
    let mut head = RequestHead::default();
    for length in [text.len() - 1, text.len() - 2, text.len() / 2] {
        assert_eq!(head.read(&text[..length], &LIMITS), Ok(None), "{length}");
    }
    assert_eq!(head.read(text, &LIMITS), Ok(Some(text.len())));
}

/// Another parser sees the same parts, and ends at the same place.
fn read_alike(text: &[u8], head: &RequestHead) {
    let mut fields = [httparse::EMPTY_HEADER; 160];
    let mut other = httparse::Request::new(&mut fields);
    assert_eq!(other.parse(text), Ok(httparse::Status::Complete(text.len())));
    assert_eq!(other.method.map(str::as_bytes), Some(head.method()));
    let target = other.path.expect("a target").as_bytes();
    assert!(target.ends_with(head.target()), "the target is it, or an end of it");
    let mut names = 0;
    for (field, (name, value)) in other.headers.iter().zip(head.fields().iter()) {
        assert_eq!((field.name.as_bytes(), field.value), (name, value));
        assert!(!value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
        names += 1;
    }
    assert_eq!((names, names), (other.headers.len(), head.fields().list().len()));
}

/// RFC 9112 section 6.3, told from the fields alone.
fn framed_in_one_way(head: &RequestHead) {
    let values = |wanted: &str| -> Vec<Vec<u8>> {
        let named = head.fields().iter();
        let named = named.filter(|(name, _)| name.eq_ignore_ascii_case(wanted.as_bytes()));
        named.map(|(_, value)| value.to_vec()).collect()
    };
    match (&values("content-length")[..], &values("transfer-encoding")[..], head.framing()) {
        ([], [], Framing::None) => {}
        ([], [coding], Framing::Chunked) => assert!(coding.eq_ignore_ascii_case(b"chunked")),
        ([text], [], Framing::Length(length)) => {
            let text = str::from_utf8(text).expect("digits");
            assert!(text.bytes().all(|byte| byte.is_ascii_digit()));
            assert_eq!(text.parse(), Ok(length));
        }
        (lengths, codings, framing) => panic!("{lengths:?} {codings:?} is {framing:?}"),
    }
    assert!(values("host").len() <= 1);
}

/// As it goes to an upstream of another protocol and back.
fn written_again(head: &RequestHead) {
    if head.fields().list().len() > 120 {
        // A Host that was not there would be one field too many.
        return;
    }
    let mut target = Vec::new();
    head.write_target(&mut target);
    let host = head.host().unwrap_or(b"none");
    let fields = head.fields().iter().filter(|(name, _)| !name.eq_ignore_ascii_case(b"host"));
    // HTTP/1.0 knows fewer rules, and what is written is HTTP/1.1.
    let fields = fields.filter(|(name, _)| !name.eq_ignore_ascii_case(b"expect"));
    let mut again = RequestHead::default();
    // Longer by the Host that it may not have had.
    let limits = Limits::new(8192);
    again.assemble(head.method(), &target, host, fields, &limits).expect("a good head stays one");
    assert_eq!((again.method(), again.host()), (head.method(), Some(host)));
    assert_eq!(again.framing(), head.framing());
    let mut same = Vec::new();
    again.write_target(&mut same);
    assert_eq!(same, target);
}
