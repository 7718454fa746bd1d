//! Quantities as a person writes them: `250ms`, `800/s`, `70%`, `64KiB`.
//!
//! One trait reads and prints all of them, so that every message about a wrong one names what
//! would be right.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::time::Span;

/// Events per second; finite and not negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rate(pub f64);

/// A share; `1.0` is the whole. Finite, and not negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ratio(pub f64);

/// A size in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bytes(pub u64);

/// What is wrong with a quantity as written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected}: {why}")]
pub struct QuantityError {
    /// The text as written.
    pub text: String,
    /// The kind of quantity, with an example, such as `a duration like "250ms"`.
    pub expected: &'static str,
    /// What is wrong with it.
    pub why: &'static str,
}

/// A quantity that is written as a number with a unit.
pub trait Quantity: Sized {
    /// What is expected, with an example.
    const EXPECTED: &'static str;
    /// Units as (name, multiplier, divisor): dividing by 100 is exact where multiplying by 0.01 is not.
    const UNITS: &'static [(&'static str, f64, f64)];
    /// Makes the quantity from the number of base units.
    fn from_base(value: f64) -> Self;

    /// Reads `text`.
    ///
    /// # Errors
    /// When there is no number, the number is negative or not finite, or the unit is missing or
    /// unknown.
    fn parse(text: &str) -> Result<Self, QuantityError> {
        let fail = |why| QuantityError { text: text.to_owned(), expected: Self::EXPECTED, why };
        let trimmed = text.trim();
        let split = trimmed
            .find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | '_')))
            .unwrap_or(trimmed.len());
        let (number, unit) = trimmed.split_at(split);
        if number.is_empty() {
            return Err(fail("it does not start with a number"));
        }
        let value: f64 =
            number.replace('_', "").parse().map_err(|_| fail("its number cannot be read"))?;
        if value < 0.0 {
            return Err(fail("it is negative"));
        }
        let unit = unit.trim();
        let unknown = if unit.is_empty() { "its unit is missing" } else { "its unit is unknown" };
        let (_, multiplier, divisor) =
            Self::UNITS.iter().find(|(name, ..)| *name == unit).ok_or_else(|| fail(unknown))?;
        let base = value * multiplier / divisor;
        if !base.is_finite() {
            return Err(fail("it is too large"));
        }
        Ok(Self::from_base(base))
    }
}

impl Quantity for Span {
    const EXPECTED: &'static str = "a duration like \"250ms\" (ns, us, ms, s, m, h)";
    const UNITS: &'static [(&'static str, f64, f64)] = &[
        ("ns", 1.0, 1.0),
        ("us", 1e3, 1.0),
        ("µs", 1e3, 1.0),
        ("ms", 1e6, 1.0),
        ("s", 1e9, 1.0),
        ("m", 60e9, 1.0),
        ("min", 60e9, 1.0),
        ("h", 3600e9, 1.0),
    ];
    fn from_base(value: f64) -> Self {
        Self::from_nanos_f64(value)
    }
}

impl Quantity for Rate {
    const EXPECTED: &'static str = "a rate like \"800/s\" (/s, /m, /h)";
    const UNITS: &'static [(&'static str, f64, f64)] =
        &[("/s", 1.0, 1.0), ("/m", 1.0, 60.0), ("/min", 1.0, 60.0), ("/h", 1.0, 3600.0)];
    fn from_base(value: f64) -> Self {
        Self(value)
    }
}

impl Quantity for Ratio {
    const EXPECTED: &'static str = "a percentage like \"70%\"";
    const UNITS: &'static [(&'static str, f64, f64)] = &[("%", 1.0, 100.0)];
    fn from_base(value: f64) -> Self {
        Self(value)
    }
}

impl Quantity for Bytes {
    const EXPECTED: &'static str = "a size like \"64KiB\" (B, KB, KiB, MB, MiB, GB, GiB)";
    const UNITS: &'static [(&'static str, f64, f64)] = &[
        ("B", 1.0, 1.0),
        ("KB", 1e3, 1.0),
        ("kB", 1e3, 1.0),
        ("KiB", 1024.0, 1.0),
        ("MB", 1e6, 1.0),
        ("MiB", 1_048_576.0, 1.0),
        ("GB", 1e9, 1.0),
        ("GiB", 1_073_741_824.0, 1.0),
    ];
    fn from_base(value: f64) -> Self {
        Self(value as u64)
    }
}

macro_rules! read_with_parse {
    ($($kind:ty),*) => {$(
        impl FromStr for $kind {
            type Err = QuantityError;
            fn from_str(text: &str) -> Result<Self, QuantityError> {
                <Self as Quantity>::parse(text)
            }
        }
    )*};
}
read_with_parse!(Span, Rate, Ratio, Bytes);

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/s", (self.0 * 100.0).round() / 100.0))
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}%", (self.0 * 10_000.0).round() / 100.0))
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = match self.0 {
            n if n >= 1 << 30 => format!("{:.1}GiB", n as f64 / f64::from(1 << 30)),
            n if n >= 1 << 20 => format!("{:.1}MiB", n as f64 / f64::from(1 << 20)),
            n if n >= 1 << 10 => format!("{:.1}KiB", n as f64 / 1024.0),
            n => format!("{n}B"),
        };
        f.pad(&shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_reads_what_people_write() {
        assert_eq!("250ms".parse(), Ok(Span::from_millis(250)));
        assert_eq!("1.5 s".parse(), Ok(Span::from_millis(1500)));
        assert_eq!("2m".parse(), Ok(Span::from_secs(120)));
        assert_eq!("800/s".parse(), Ok(Rate(800.0)));
        assert_eq!("70%".parse(), Ok(Ratio(0.7)));
        assert_eq!("64KiB".parse(), Ok(Bytes(65_536)));
    }

    #[test]
    fn a_wrong_one_says_what_would_be_right() {
        for (text, why) in [
            ("", "it does not start with a number"),
            ("ms", "it does not start with a number"),
            ("-5ms", "it is negative"),
            ("5", "its unit is missing"),
            ("5 parsecs", "its unit is unknown"),
            ("1.2.3s", "its number cannot be read"),
        ] {
            let error = text.parse::<Span>().unwrap_err();
            assert_eq!(error.why, why, "{text}");
            assert!(error.to_string().contains("250ms"));
        }
    }
}
