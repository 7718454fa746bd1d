//! Classes of bytes (RFC 9110 5.5 and 5.6.2), versions, and lists.

/// A version of HTTP/1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0: a connection for each request unless both sides say otherwise, no chunks.
    Http10,
    /// HTTP/1.1.
    #[default]
    Http11,
}

/// `tchar`: what names and methods are made of.
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let marks = b"!#$%&'*+-.^_`|~";
    let mut place = 0;
    while place < marks.len() {
        table[marks[place] as usize] = true;
        place += 1;
    }
    table
};

/// Length of the token at the start of `bytes`.
pub(super) fn token_length(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| !TOKEN[usize::from(*byte)]).unwrap_or(bytes.len())
}

/// Whether `bytes` are one token.
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && token_length(bytes) == bytes.len()
}

/// Whether a value holds no control character but the tab. Without an early end, so that it is done
/// many bytes at a time.
pub(super) fn is_value(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .fold(true, |good, byte| good & ((*byte >= b' ') & (*byte != 0x7f) | (*byte == b'\t')))
}

/// Without spaces and tabs around.
pub(super) const fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// The items of a comma-separated list, without empty ones (RFC 9110 5.6.1). Quoted strings are not
/// looked into: for lists of tokens.
pub fn list_items(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(trim).filter(|item| !item.is_empty())
}

/// One decimal number of at most 18 digits, and nothing else.
pub(super) fn number(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() || bytes.len() > 18 {
        return None;
    }
    bytes
        .iter()
        .try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + u64::from(byte - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_those_of_the_standard() {
        let tokens: Vec<u8> = (0..=255).filter(|byte| is_token(&[*byte])).collect();
        let expected =
            b"!#$%&'*+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ^_`abcdefghijklmnopqrstuvwxyz|~";
        assert_eq!(tokens, expected);
        assert!(!is_token(b"") && !is_token(b"a b"));
    }

    #[test]
    fn values_hold_no_control_character() {
        let bad: Vec<u8> = (0..=255).filter(|byte| !is_value(&[b'a', *byte, b'b'])).collect();
        let expected: Vec<u8> = (0..=8).chain(10..=31).chain([127]).collect();
        assert_eq!(bad, expected);
    }

    #[test]
    fn lists_are_split_at_commas() {
        let items: Vec<&[u8]> = list_items(b" close,, X-A\t, ").collect();
        assert_eq!(items, [b"close".as_slice(), b"X-A"]);
    }

    #[test]
    fn numbers_are_digits_and_do_not_overflow() {
        assert_eq!(number(b"007"), Some(7));
        assert_eq!(number(b"999999999999999999"), Some(999_999_999_999_999_999));
        for bad in ["", "+1", "-1", " 1", "1 ", "1,1", "0x1", "1.0", "1000000000000000000"] {
            assert_eq!(number(bad.as_bytes()), None, "{bad:?}");
        }
    }
}
