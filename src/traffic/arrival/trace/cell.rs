//! Times and durations as a trace writes them, without the rounding of a float in between:
//! a Unix time in seconds with nine decimals does not fit into an `f64`.

use crate::units::{Quantity, Span};

/// The unit of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Written behind each number; seconds without.
    Written,
    /// Named by the column; in nanoseconds.
    Fixed(u64),
}

impl Unit {
    pub(super) const ENDINGS: [&'static str; 5] = ["", "_s", "_ms", "_us", "_ns"];

    pub(super) fn of_ending(ending: &str) -> Option<Self> {
        Some(match ending {
            "" => Self::Written,
            "_s" => Self::Fixed(1_000_000_000),
            "_ms" => Self::Fixed(1_000_000),
            "_us" => Self::Fixed(1_000),
            "_ns" => Self::Fixed(1),
            _ => return None,
        })
    }

    pub(super) const fn expected(self) -> &'static str {
        match self {
            Self::Written => {
                "a number of seconds, or one with a unit such as 250ms, that is not negative"
            }
            Self::Fixed(_) => "a number that is not negative",
        }
    }

    pub(super) fn read(self, text: &str) -> Option<Span> {
        match self {
            Self::Fixed(nanos) => decimal(text, nanos),
            Self::Written => decimal(text, 1_000_000_000).or_else(|| Span::parse(text).ok()),
        }
    }
}

/// `text` in units of `unit` nanoseconds, rounded to the nearest.
fn decimal(text: &str, unit: u64) -> Option<Span> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 18 || whole.len() > 20 {
        return float(text, unit);
    }
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let read = |part: &str| if part.is_empty() { Some(0) } else { part.parse::<u128>().ok() };
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    // Apart, since together twenty digits, eighteen behind the point and the unit do not fit.
    let (unit, whole, fraction) = (u128::from(unit), read(whole)?, read(fraction)?);
    let nanos = whole * unit + (fraction * unit + scale / 2) / scale;
    u64::try_from(nanos).ok().map(Span)
}

/// Exponents and very long fractions.
fn float(text: &str, unit: u64) -> Option<Span> {
    let value: f64 = text.parse().ok()?;
    let nanos = value * unit as f64;
    (value >= 0.0 && nanos < u64::MAX as f64).then(|| Span::from_nanos_f64(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_to_the_nanosecond() {
        let seconds = Unit::Fixed(1_000_000_000);
        assert_eq!(seconds.read("1700000000.123456789"), Some(Span(1_700_000_000_123_456_789)));
        assert_eq!(seconds.read("0.0000000015"), Some(Span(2)));
        assert_eq!(seconds.read(".5"), Some(Span(500_000_000)));
        assert_eq!(seconds.read("1e-3"), Some(Span(1_000_000)));
        assert_eq!(Unit::Fixed(1).read("18446744073709551615"), Some(Span(u64::MAX)));
        assert_eq!(Unit::Written.read("250ms"), Some(Span::from_millis(250)));
        assert_eq!(Unit::Written.read("3"), Some(Span::from_secs(3)));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", ".", "-1", "NaN", "inf", "abc", "1,5", "99999999999999999999", "1e400"] {
            assert_eq!(Unit::Fixed(1_000_000_000).read(text), None, "{text}");
        }
        assert_eq!(Unit::Written.read("5 parsecs"), None);
        let longest = "99999999999999999999.999999999999999999";
        assert_eq!(Unit::Fixed(1_000_000_000).read(longest), None);
    }
}
