//! Instants and durations as plain numbers of nanoseconds.
//!
//! `std::time::Instant` cannot be made from a number, written to a file or compared across
//! processes, so both worlds use [`Nanos`]: nanoseconds since the zero of the run. All
//! arithmetic saturates; nothing here reads a clock.

use std::fmt;
use std::ops::{Add, AddAssign, Div, Mul, Sub};

use serde::{Deserialize, Serialize};

/// Nanoseconds in one second.
pub const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// An instant: nanoseconds since the zero of the run.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Nanos(pub u64);

/// A duration in nanoseconds.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Span(pub u64);

impl Nanos {
    /// The zero of the run.
    pub const ZERO: Self = Self(0);
    /// Later than any instant of a run: "never".
    pub const MAX: Self = Self(u64::MAX);

    /// The instant `seconds` after zero; negative and NaN become zero.
    #[must_use]
    pub fn from_secs_f64(seconds: f64) -> Self {
        Self(Span::from_secs_f64(seconds).0)
    }

    /// The time since `earlier`; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }

    /// Whole seconds since zero, truncated: the resolution in which NGINX compares times.
    #[must_use]
    pub const fn whole_seconds(self) -> u64 {
        self.0 / NANOS_PER_SECOND
    }

    /// Seconds since zero.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / NANOS_PER_SECOND as f64
    }
}

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);
    /// Longer than any run: "no limit".
    pub const MAX: Self = Self(u64::MAX);

    /// A span of whole seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds.saturating_mul(NANOS_PER_SECOND))
    }

    /// A span of whole milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// A span of whole microseconds.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros.saturating_mul(1_000))
    }

    /// The nearest span to `seconds`; negative and NaN become zero, too large becomes [`Span::MAX`].
    #[must_use]
    pub fn from_secs_f64(seconds: f64) -> Self {
        Self::from_nanos_f64(seconds * NANOS_PER_SECOND as f64)
    }

    /// The nearest span to `nanos`; negative and NaN become zero, too large becomes [`Span::MAX`].
    #[must_use]
    #[inline]
    pub fn from_nanos_f64(nanos: f64) -> Self {
        // A float to integer cast saturates and sends NaN to zero; adding a half rounds.
        Self((nanos + 0.5) as u64)
    }

    /// Several at a time, each as [`Self::from_nanos_f64`] gives it. A processor without AVX-512 has
    /// no instruction for several of these conversions, while an addition of 2^52 leaves the rounded
    /// number in the last bits of the sum.
    #[must_use]
    #[inline(always)]
    pub fn from_nanos_of<const N: usize>(nanos: [f64; N]) -> [Self; N] {
        const WHOLE: f64 = (1u64 << 52) as f64;
        let mut small = true;
        for nanos in nanos {
            let raised = nanos + 0.5;
            small &= (0.0..WHOLE / 2.0).contains(&raised);
        }
        if !small {
            return nanos.map(Self::from_nanos_f64);
        }
        let mut spans = [Self::ZERO; N];
        for (span, nanos) in spans.iter_mut().zip(nanos) {
            let raised = nanos + 0.5;
            let sum = raised + WHOLE;
            // It may have been rounded up.
            let over = u64::from(sum - WHOLE > raised);
            *span = Self((sum.to_bits() - WHOLE.to_bits()) - over);
        }
        spans
    }

    /// Seconds.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / NANOS_PER_SECOND as f64
    }

    /// Milliseconds.
    #[must_use]
    pub fn as_millis_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// As the standard library's duration, for timers.
    #[must_use]
    pub const fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_nanos(self.0)
    }

    /// This span times `factor`, rounded to the nearest nanosecond.
    #[must_use]
    #[inline]
    pub fn scaled(self, factor: f64) -> Self {
        Self::from_nanos_f64(self.0 as f64 * factor)
    }
}

impl Add<Span> for Nanos {
    type Output = Self;
    #[inline]
    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl AddAssign<Span> for Nanos {
    #[inline]
    fn add_assign(&mut self, span: Span) {
        *self = *self + span;
    }
}

impl Sub<Span> for Nanos {
    type Output = Self;
    fn sub(self, span: Span) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}

impl Add for Span {
    type Output = Self;
    #[inline]
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Span {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Span {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Mul<u64> for Span {
    type Output = Self;
    fn mul(self, factor: u64) -> Self {
        Self(self.0.saturating_mul(factor))
    }
}

impl Div<u64> for Span {
    type Output = Self;
    fn div(self, divisor: u64) -> Self {
        Self(self.0 / divisor)
    }
}

/// Prints with the largest unit that keeps the number at or above one: `1.5s`, `250ms`, `80µs`.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, unit) = match self.0 {
            0 => return f.pad("0s"),
            n if n >= NANOS_PER_SECOND => (n as f64 / 1e9, "s"),
            n if n >= 1_000_000 => (n as f64 / 1e6, "ms"),
            n if n >= 1_000 => (n as f64 / 1e3, "µs"),
            n => (n as f64, "ns"),
        };
        let rounded = (value * 1000.0).round() / 1000.0;
        f.pad(&format!("{rounded}{unit}"))
    }
}

/// Prints as the time since zero.
impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Span(self.0).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        assert_eq!(Nanos(5) - Span(9), Nanos::ZERO);
        assert_eq!(Nanos::MAX + Span(1), Nanos::MAX);
        assert_eq!(Nanos(3).since(Nanos(7)), Span::ZERO);
        assert_eq!(Span::from_secs_f64(-1.0), Span::ZERO);
        assert_eq!(Span::from_secs_f64(f64::NAN), Span::ZERO);
        assert_eq!(Span::from_secs_f64(f64::INFINITY), Span::MAX);
    }

    #[test]
    fn several_spans_are_what_each_is() {
        let half = (1u64 << 51) as f64;
        let numbers = [
            0.0,
            -0.0,
            0.2,
            0.499_999_999_999_999_94,
            0.5,
            1.5,
            2.5,
            1e6 + 0.5,
            12_345_678.9,
            half - 1.0,
            half - 0.5,
            half,
            2.0 * half,
            1e18,
            1e30,
            -0.3,
            -0.6,
            -7.0,
            f64::NAN,
            f64::INFINITY,
        ];
        for one in numbers {
            for other in numbers {
                let together = Span::from_nanos_of([one, other]);
                let each = [one, other].map(Span::from_nanos_f64);
                assert_eq!(together, each, "{one} and {other}");
            }
        }
    }

    #[test]
    fn spans_print_in_a_readable_unit() {
        let shown: Vec<String> =
            [0, 1, 1_500, 250_000_000, 1_500_000_000].map(|n| Span(n).to_string()).into();
        assert_eq!(shown, ["0s", "1ns", "1.5µs", "250ms", "1.5s"]);
    }
}
