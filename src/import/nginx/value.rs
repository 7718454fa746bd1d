//! Times, sizes and numbers as `nginx.conf` writes them (`ngx_parse_time`, `ngx_parse_size`).

use super::tree::Directive;
use crate::import::{ImportError, Origin};
use crate::units::Span;

const SECOND: u64 = 1_000_000_000;
/// Units in falling order, which is the order NGINX asks for; a month is 30 days.
const UNITS: [(&str, u64); 8] = [
    ("y", 365 * 86_400 * SECOND),
    ("M", 30 * 86_400 * SECOND),
    ("w", 7 * 86_400 * SECOND),
    ("d", 86_400 * SECOND),
    ("h", 3600 * SECOND),
    ("m", 60 * SECOND),
    ("s", SECOND),
    ("ms", 1_000_000),
];

/// `1h 30m`, `500ms`, or a plain number of seconds.
pub(super) fn time(text: &str) -> Option<Span> {
    let (mut total, mut rest, mut next_unit) = (0_u64, text.trim(), 0);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit = &rest[..letters];
        // Seconds without a unit come last.
        let place = if unit.is_empty() { Some(6) } else { UNITS.iter().position(|u| u.0 == unit) }?;
        if place < next_unit || (unit.is_empty() && !rest.is_empty()) {
            return None;
        }
        next_unit = place + 1;
        total = total.checked_add(number.checked_mul(UNITS[place].1)?)?;
        rest = rest[letters..].trim_start();
    }
    Some(Span(total))
}

/// The only parameter of a directive, a time.
pub(super) fn time_of(directive: &Directive) -> Result<Span, ImportError> {
    // A time with a blank comes as several words only if it was not quoted, which NGINX refuses.
    let word = directive.one()?;
    time(word).ok_or_else(|| bad_time(word, &directive.origin))
}

pub(super) fn bad_time(word: &str, origin: &Origin) -> ImportError {
    origin.error(format!("`{word}` is no time; such as `30s`, `500ms` or `1m`"))
}

/// `8k`, `1m`, `2g` or bytes.
pub(super) fn size(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().ok()?;
    let factor = match &text[digits..] {
        "" => 1,
        "k" | "K" => 1 << 10,
        "m" | "M" => 1 << 20,
        "g" | "G" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(factor)
}

/// A whole number of at most `most`.
pub(super) fn number(word: &str, most: u64, directive: &Directive) -> Result<u64, ImportError> {
    match word.parse::<u64>() {
        Ok(number) if number <= most => Ok(number),
        _ => {
            let message = format!("`{word}` is no whole number up to {most}");
            Err(directive.origin.error(message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_nginx() {
        assert_eq!(time("30"), Some(Span::from_secs(30)));
        assert_eq!(time("1h 30m"), Some(Span::from_secs(5400)));
        assert_eq!(time("1m30s"), Some(Span::from_secs(90)));
        assert_eq!(time("1500ms"), Some(Span::from_millis(1500)));
        assert_eq!(time("1M"), Some(Span::from_secs(30 * 86_400)));
        for wrong in
            ["", "s", "1x", "30s 1m", "1s1s", "-1", "99999999999999999999y", "9999999999y", "1 2"]
        {
            assert_eq!(time(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn sizes_are_those_of_nginx() {
        assert_eq!(size("8k"), Some(8192));
        assert_eq!(size("1G"), Some(1 << 30));
        assert_eq!(size("k"), None);
        assert_eq!(size("99999999999999999g"), None);
    }
}
