//! The opening handshake of WebSocket (RFC 6455, 4).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha1::{Digest, Sha1};

use super::super::head;
use super::frame::Broken;

/// Every server puts it behind the key (RFC 6455, 1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The key of a handshake from 16 bytes.
pub(super) fn key(bytes: [[u8; 4]; 4]) -> String {
    BASE64.encode(bytes.concat())
}

/// The request that opens a connection for the request whose text is `bytes`: its path and its
/// header fields, without its body.
pub(super) fn request(bytes: &[u8], key: &str) -> Option<Vec<u8>> {
    let end = memchr::memmem::find(bytes, b"\r\n\r\n")?;
    let text = std::str::from_utf8(&bytes[..end]).ok()?;
    let mut lines = text.split("\r\n");
    let path = lines.next()?.split(' ').nth(1)?;
    let mut request = format!("GET {path} HTTP/1.1\r\n");
    for line in lines.filter(|line| !is_of_body(line)) {
        request.push_str(line);
        request.push_str("\r\n");
    }
    request.push_str("connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n");
    request.push_str(&format!("sec-websocket-key: {key}\r\n\r\n"));
    Some(request.into_bytes())
}

fn is_of_body(line: &str) -> bool {
    line.get(..15).is_some_and(|start| start.eq_ignore_ascii_case("content-length:"))
}

/// The server that answered, if it was named, and where its answer ends; `None` while it is not
/// complete.
pub(super) fn answer(
    bytes: &[u8],
    key: &str,
    server_header: Option<&str>,
) -> Result<Option<(Option<String>, usize)>, Broken> {
    let parsed = head::parse(bytes, false, server_header).map_err(|_| Broken)?;
    let Some((head, length)) = parsed else { return Ok(None) };
    let accepted = std::str::from_utf8(&bytes[..length]).is_ok_and(|text| accepts(text, key));
    if head.status != super::SWITCHING_PROTOCOLS || !accepted {
        return Err(Broken);
    }
    Ok(Some((head.lab.server().map(str::to_owned), length)))
}

fn accepts(text: &str, key: &str) -> bool {
    let expected = BASE64.encode(Sha1::digest(format!("{key}{GUID}")));
    text.split("\r\n").filter_map(|line| line.split_once(':')).any(|(name, value)| {
        name.eq_ignore_ascii_case("sec-websocket-accept") && value.trim() == expected
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6455, 1.3.
    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

    #[test]
    fn the_example_of_the_standard_opens() {
        let text = format!(
            "HTTP/1.1 101 Switching Protocols\r\nx-by: a\r\nSec-WebSocket-Accept: {ACCEPT}\r\n\r\n"
        );
        let read = |text: &str| answer(text.as_bytes(), KEY, Some("x-by"));
        assert_eq!(read(&text), Ok(Some((Some("a".to_owned()), text.len()))));
        assert_eq!(read(&text[..40]), Ok(None));
        assert_eq!(read(&text.replace("s3p", "s4p")), Err(Broken));
        assert_eq!(read(&text.replace("101 Switching", "200 Switching")), Err(Broken));
    }

    #[test]
    fn the_request_asks_for_the_path_with_the_headers_and_without_the_body() {
        let bytes = b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\nx-y: z\r\n\r\nhi";
        let text = String::from_utf8(request(bytes, KEY).unwrap()).unwrap();
        assert!(text.starts_with("GET /echo HTTP/1.1\r\nhost: a\r\nx-y: z\r\n"), "{text}");
        assert!(text.ends_with(&format!("sec-websocket-key: {KEY}\r\n\r\n")), "{text}");
    }
}
