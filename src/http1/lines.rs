//! Lines of a head: where they end, and the fields in them.

use memchr::memchr;

use super::error::HeadError;
use super::field::{Field, Fields};
use super::syntax::{is_value, token_length};

/// Whether `bytes` hold the end of a head, an empty line, behind place `scanned`, which is moved:
/// bytes that come in small pieces are not looked at again and again. A line that ends with LF
/// alone counts too, so that it is refused at once.
#[must_use]
pub fn head_ends(bytes: &[u8], scanned: &mut usize) -> bool {
    while let Some(place) = bytes.get(*scanned..).and_then(|rest| memchr(b'\n', rest)) {
        match bytes.get(*scanned + place + 1..) {
            Some([b'\n', ..] | [b'\r', b'\n', ..]) => return true,
            Some([] | [b'\r']) => {
                *scanned += place;
                return false;
            }
            _ => *scanned += place + 1,
        }
    }
    *scanned = bytes.len();
    false
}

/// The line at `at`: its content, and where the next one begins. `None` if it has not ended.
pub(super) fn line(bytes: &[u8], at: usize) -> Result<Option<(&[u8], usize)>, HeadError> {
    let Some(length) = memchr(b'\n', &bytes[at..]) else { return Ok(None) };
    match &bytes[at..at + length] {
        [content @ .., b'\r'] => Ok(Some((content, at + length + 1))),
        _ => Err(HeadError::BareLineFeed),
    }
}

/// Reads the fields of `bytes` from `at` to the empty line; where that ends, or `None` if it has
/// not come. Places count from `base`.
pub(super) fn fields(
    bytes: &[u8],
    mut at: usize,
    base: usize,
    most: usize,
    list: &mut Vec<Field>,
) -> Result<Option<usize>, HeadError> {
    loop {
        let Some((content, next)) = line(bytes, at)? else { return Ok(None) };
        if content.is_empty() {
            return Ok(Some(next));
        }
        if list.len() == most {
            return Err(HeadError::TooLarge);
        }
        list.push(field(content, at - base)?);
        at = next;
    }
}

fn field(content: &[u8], start: usize) -> Result<Field, HeadError> {
    let length = token_length(content);
    let (name, rest) = content.split_at(length);
    match rest {
        [b' ' | b'\t', ..] if length == 0 => return Err(HeadError::Folded),
        [b':', ..] if length > 0 => {}
        _ => return Err(HeadError::FieldName),
    }
    let mut from = length + 1;
    let mut to = content.len();
    while from < to && matches!(content[from], b' ' | b'\t') {
        from += 1;
    }
    while from < to && matches!(content[to - 1], b' ' | b'\t') {
        to -= 1;
    }
    if !is_value(&content[from..to]) {
        return Err(HeadError::FieldValue);
    }
    Ok(Field::new(start, name, start + from..start + to))
}

/// Appends a line of these parts, none of which may bring a line end of its own.
pub(super) fn write(parts: &[&[u8]], out: &mut Vec<u8>) -> Result<(), HeadError> {
    for part in parts {
        if part.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
            return Err(HeadError::FieldValue);
        }
        out.extend_from_slice(part);
    }
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// The fields of a trailer section, which `bytes` hold up to and with its empty line.
pub(super) fn trailer(bytes: &[u8]) -> Result<Fields, HeadError> {
    let mut trailer = Fields::default();
    fields(bytes, 0, 0, MOST_TRAILERS, &mut trailer.list)?.ok_or(HeadError::FieldName)?;
    trailer.text.extend_from_slice(bytes);
    Ok(trailer)
}

const MOST_TRAILERS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_head_is_found_however_it_arrives() {
        let text = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nbody";
        let end = text.len() - 4;
        let mut scanned = 0;
        for length in 0..text.len() {
            assert_eq!(head_ends(&text[..length], &mut scanned), length >= end, "{length}");
        }
        assert!(head_ends(b"GET / HTTP/1.1\n\n", &mut 0), "so that it is refused at once");
    }

    #[test]
    fn malformed_fields_are_refused() {
        let read = |text: &str| {
            let mut list = Vec::new();
            fields(text.as_bytes(), 0, 0, 2, &mut list).map(|end| (end, list.len()))
        };
        assert_eq!(read("A: b\r\nC:\t d \r\n\r\n"), Ok((Some(16), 2)));
        assert_eq!(read("A: b\r\nC: d"), Ok((None, 1)));
        assert_eq!(read(" A: b\r\n\r\n"), Err(HeadError::Folded));
        assert_eq!(read("A: b\r\n\tc\r\n\r\n"), Err(HeadError::Folded));
        assert_eq!(read("A : b\r\n\r\n"), Err(HeadError::FieldName));
        assert_eq!(read(": b\r\n\r\n"), Err(HeadError::FieldName));
        assert_eq!(read("A\r\n\r\n"), Err(HeadError::FieldName));
        assert_eq!(read("A: b\n\r\n"), Err(HeadError::BareLineFeed));
        assert_eq!(read("A: b\rc\r\n\r\n"), Err(HeadError::FieldValue));
        assert_eq!(read("A: b\r\r\n\r\n"), Err(HeadError::FieldValue));
        assert_eq!(read("A: b\0\r\n\r\n"), Err(HeadError::FieldValue));
        assert_eq!(read("A: b\r\nC: d\r\nE: f\r\n\r\n"), Err(HeadError::TooLarge));
    }
}
