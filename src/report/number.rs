//! Numbers as people read them: a fixed number of significant digits, a unit, thin grouping.

/// A latency in nanoseconds: `1.23ms`, `301ms`, `2.50s`, three significant digits and a unit.
#[must_use]
pub fn latency(nanos: f64) -> String {
    if nanos == 0.0 || nanos.is_nan() {
        return "0".to_owned();
    }
    let (value, unit) = in_unit(nanos);
    format!("{}{unit}", significant(value))
}

/// The same for labels on axes, with no more digits than needed: `300ms`, `1.5s`.
#[must_use]
pub fn short_latency(nanos: f64) -> String {
    let (value, unit) = in_unit(nanos);
    format!("{}{unit}", (value * 100.0).round() / 100.0)
}

fn in_unit(nanos: f64) -> (f64, &'static str) {
    match nanos.abs() {
        n if n >= 1e9 => (nanos / 1e9, "s"),
        n if n >= 1e6 => (nanos / 1e6, "ms"),
        n if n >= 1e3 => (nanos / 1e3, "µs"),
        _ => (nanos, "ns"),
    }
}

/// Four significant digits, since goals here are set at one percent and below.
#[must_use]
pub fn significant(value: f64) -> String {
    let decimals = match value.abs() {
        n if n >= 1000.0 => 0,
        n if n >= 100.0 => 1,
        n if n >= 10.0 => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

/// A share as percent with one decimal: `38.5%`.
#[must_use]
pub fn percent(share: f64) -> String {
    format!("{:.1}%", share * 100.0)
}

/// A relative difference with its sign: `+1.2%`, `−0.3%`.
#[must_use]
pub fn difference(relative: f64) -> String {
    if !relative.is_finite() {
        return "–".to_owned();
    }
    signed(relative * 100.0, 1, "%")
}

/// A number with its sign, a true minus, and a unit.
#[must_use]
pub fn signed(value: f64, decimals: usize, unit: &str) -> String {
    let shown = format!("{:.decimals$}", value.abs());
    let zero = shown.chars().all(|c| matches!(c, '0' | '.'));
    let sign = match (zero, value < 0.0) {
        (true, _) => "",
        (false, true) => "−",
        (false, false) => "+",
    };
    format!("{sign}{shown}{unit}")
}

/// A count with its thousands apart: `12 345`.
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            shown.push(' ');
        }
        shown.push(digit);
    }
    shown
}

/// A rate per second: `80.1/s`.
#[must_use]
pub fn rate(per_second: f64) -> String {
    format!("{}/s", significant(per_second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(latency(301_234_567.0), "301.2ms");
        assert_eq!(latency(2_500_000_000.0), "2.500s");
        assert_eq!(latency(80_500.0), "80.50µs");
        assert_eq!(latency(0.0), "0");
        assert_eq!(count(1), "1");
        assert_eq!(count(1_234_567), "1 234 567");
        assert_eq!(difference(-0.003), "−0.3%");
        assert_eq!(difference(0.0), "0.0%");
        assert_eq!(difference(-0.0001), "0.0%");
        assert_eq!(difference(f64::NAN), "–");
        assert_eq!(percent(0.3846), "38.5%");
    }
}
