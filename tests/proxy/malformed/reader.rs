//! Reads what a client got by the letter of RFC 9112.

use crate::strict::{field, shown};

/// The final response, as far as it came.
#[derive(Debug, Default)]
pub(super) struct Got {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    /// It ended before its framing said so.
    pub(super) cut: bool,
    /// The text that no client may see was somewhere in it.
    pub(super) injected: bool,
}

/// Reads interim responses and a final one, with which `bytes` must end.
pub(super) fn read_strictly(bytes: &[u8], head_only: bool) -> Result<Got, String> {
    let mut rest = bytes;
    loop {
        let (status, fields, behind) = head(rest)?;
        if status == 101 {
            return Err("a switch of protocols".to_owned());
        }
        if status < 200 {
            rest = behind;
            continue;
        }
        let mut got = Got { status, ..Got::default() };
        let whole = body(&fields, behind, head_only || matches!(status, 204 | 304), &mut got)?;
        got.cut = !whole;
        got.injected = bytes.windows(8).any(|window| window == b"injected");
        return Ok(got);
    }
}

type Fields = Vec<(String, String)>;

fn head(bytes: &[u8]) -> Result<(u16, Fields, &[u8]), String> {
    let (first, mut rest) = line(bytes)?;
    let words = first.strip_prefix(b"HTTP/1.1 ").filter(|words| words.len() >= 4);
    let words = words.ok_or_else(|| format!("the status line {}", shown(first)))?;
    let status = shown(&words[..3]).parse().map_err(|_| format!("status {}", shown(words)))?;
    let mut fields = Vec::new();
    loop {
        let (next, behind) = line(rest)?;
        rest = behind;
        if next.is_empty() {
            return Ok((status, fields, rest));
        }
        fields.push(field(next)?);
    }
}

/// A line without its CRLF, and what is behind it.
fn line(bytes: &[u8]) -> Result<(&[u8], &[u8]), String> {
    let end = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n' | 0));
    let end = end.ok_or_else(|| format!("no whole line: {}", shown(bytes)))?;
    let behind = bytes[end..].strip_prefix(b"\r\n");
    Ok((&bytes[..end], behind.ok_or_else(|| format!("a bare CR, LF or NUL: {}", shown(bytes)))?))
}

/// Whether the body is whole.
fn body(fields: &Fields, bytes: &[u8], none: bool, got: &mut Got) -> Result<bool, String> {
    let all = |name: &str| -> Vec<&str> {
        fields.iter().filter(|(field, _)| field == name).map(|(_, value)| &**value).collect()
    };
    let (lengths, codings) = (all("content-length"), all("transfer-encoding"));
    let no_length = got.status == 204 && !(lengths.is_empty() && codings.is_empty());
    if lengths.len() + codings.len() > 1 || no_length {
        return Err(format!("bad framing: {fields:?}"));
    }
    if none {
        return if bytes.is_empty() { Ok(true) } else { Err("a body".to_owned()) };
    }
    match (lengths.first(), codings.first()) {
        (Some(length), _) => {
            let length: usize = length.parse().map_err(|_| format!("the length {length}"))?;
            if bytes.len() > length {
                return Err(format!("bytes behind the body: {}", shown(&bytes[length..])));
            }
            got.body = bytes.to_vec();
            Ok(bytes.len() == length)
        }
        (None, Some(&"chunked")) => chunks(bytes, &mut got.body),
        (None, Some(coding)) => Err(format!("the coding {coding}")),
        (None, None) => {
            got.body = bytes.to_vec();
            Ok(true)
        }
    }
}

fn chunks(mut bytes: &[u8], body: &mut Vec<u8>) -> Result<bool, String> {
    loop {
        let Ok((size, rest)) = line(bytes) else { return Ok(false) };
        let size = usize::from_str_radix(&shown(size), 16)
            .map_err(|_| format!("the chunk size {}", shown(size)))?;
        if size == 0 {
            return trailers(rest);
        }
        let Some((data, rest)) = rest.split_at_checked(size) else { return Ok(false) };
        body.extend_from_slice(data);
        match rest {
            [b'\r', b'\n', rest @ ..] => bytes = rest,
            [] | [b'\r'] => return Ok(false),
            _ => return Err(format!("no CRLF after a chunk: {}", shown(rest))),
        }
    }
}

fn trailers(mut bytes: &[u8]) -> Result<bool, String> {
    loop {
        let Ok((next, rest)) = line(bytes) else { return Ok(false) };
        match next {
            [] if rest.is_empty() => return Ok(true),
            [] => return Err(format!("bytes behind the chunks: {}", shown(rest))),
            _ => {
                let (name, _) = field(next)?;
                if ["content-length", "transfer-encoding", "host"].contains(&&*name) {
                    return Err(format!("the trailer {name}"));
                }
            }
        }
        bytes = rest;
    }
}

#[test]
fn the_reader_of_responses_forgives_nothing() {
    for bad in [
        "HTTP/1.0 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\n\n",
        "HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab",
        "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nHTTP/1.1",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
    ] {
        assert!(read_strictly(bad.as_bytes(), false).is_err(), "{bad:?}");
    }
    let cut = read_strictly(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ninjected", false);
    assert!(cut.is_ok_and(|got| got.cut && got.injected && got.status == 200));
}
