//! Times and numbers as `haproxy.cfg` writes them (`parse_time_err`, src/tools.c).

use super::section::Line;
use crate::import::{ImportError, Origin};
use crate::units::Span;

/// `500`, in milliseconds, or with a unit: `us`, `ms`, `s`, `m`, `h`, `d`; one number only.
pub(super) fn time(text: &str) -> Option<Span> {
    time_in(text, 1_000_000)
}

/// [`time`] with another unit where none is written, in nanoseconds.
pub(super) fn time_in(text: &str, plain: u64) -> Option<Span> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().ok()?;
    let unit = match &text[digits..] {
        "" => plain,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        _ => return None,
    };
    number.checked_mul(unit).map(Span)
}

/// The time at `place` of a line.
pub(super) fn time_at(line: &Line, place: usize) -> Result<Span, ImportError> {
    let word = line.word(place);
    time(word).ok_or_else(|| bad_time(word, &line.origin))
}

pub(super) fn bad_time(word: &str, origin: &Origin) -> ImportError {
    origin.error(format!("`{word}` is no time; such as `5s`, `500ms`, or `500` milliseconds"))
}

/// A whole number of at most `most`.
pub(super) fn number(word: &str, most: u64, origin: &Origin) -> Result<u64, ImportError> {
    match word.parse::<u64>() {
        Ok(number) if number <= most => Ok(number),
        _ => Err(origin.error(format!("`{word}` is no whole number up to {most}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_milliseconds_unless_they_say_otherwise() {
        assert_eq!(time("1500"), Some(Span::from_millis(1500)));
        assert_eq!(time("5s"), Some(Span::from_secs(5)));
        assert_eq!(time("2m"), Some(Span::from_secs(120)));
        for wrong in ["", "s", "1x", "1h30m", "-1", "99999999999999999d"] {
            assert_eq!(time(wrong), None, "{wrong}");
        }
    }
}
