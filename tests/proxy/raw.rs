//! Raw messages as the tables of this folder write them: text in which `\r`, `\n`, `\t`, `\0`, `\\`
//! and `\x20` stand for a byte, and `\{text*9}` for a text nine times.

/// The bytes that `text` stands for; `None` if it has an unknown escape.
pub(crate) fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((plain, escape)) = rest.split_once('\\') {
        bytes.extend_from_slice(plain.as_bytes());
        let (mark, after) = escape.split_at_checked(1)?;
        rest = after;
        match mark {
            "r" => bytes.push(b'\r'),
            "n" => bytes.push(b'\n'),
            "t" => bytes.push(b'\t'),
            "0" => bytes.push(0),
            "\\" => bytes.push(b'\\'),
            "x" => {
                let (digits, after) = rest.split_at_checked(2)?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
                rest = after;
            }
            "{" => {
                let (inner, after) = rest.split_once('}')?;
                let (inner, count) = inner.rsplit_once('*')?;
                bytes.extend(unescaped(inner)?.repeat(count.parse().ok()?));
                rest = after;
            }
            _ => return None,
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    Some(bytes)
}
