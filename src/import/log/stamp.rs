//! Points in time as access logs write them.

use crate::units::{Nanos, Span};

const NANOS: u64 = 1_000_000_000;
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A point in time, since 1970 in UTC; one without a zone is taken for UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) at: Nanos,
    /// Whether a part of a second is written.
    pub(super) fine: bool,
}

impl Stamp {
    /// In any of the forms below.
    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::clf(text).or_else(|| Self::iso(text)).or_else(|| Self::unix(text))
    }

    /// `24/Nov/2026:22:37:00 +0100`; HAProxy writes no zone, but milliseconds behind a dot.
    pub(super) fn clf(text: &str) -> Option<Self> {
        let (date, zone) = text.split_once(' ').unwrap_or((text, ""));
        let mut parts = date.splitn(4, [':', '/']);
        let day: u32 = parts.next()?.parse().ok()?;
        let name = parts.next()?;
        let month = (1_u32..).zip(MONTHS).find(|(_, known)| *known == name)?.0;
        let year: i64 = parts.next()?.parse().ok()?;
        Self::of((year, month, day), parts.next()?, zone)
    }

    /// `2026-11-24T22:37:00.123Z`, with `+01:00` or no zone, or a space in place of the `T`.
    pub(super) fn iso(text: &str) -> Option<Self> {
        let (date, rest) = text.split_once(['T', ' '])?;
        let mut parts = date.splitn(3, '-');
        let year: i64 = parts.next()?.parse().ok()?;
        let month: u32 = parts.next()?.parse().ok()?;
        let day: u32 = parts.next()?.parse().ok()?;
        let zone = rest.find(['Z', '+', '-', ' ']).unwrap_or(rest.len());
        Self::of((year, month, day), &rest[..zone], rest[zone..].trim())
    }

    /// Seconds since 1970. Whole numbers too large for that are milliseconds, microseconds or
    /// nanoseconds.
    pub(super) fn unix(text: &str) -> Option<Self> {
        let fine = text.contains('.');
        if !fine && text.len() > 11 && text.bytes().all(|byte| byte.is_ascii_digit()) {
            let unit = match text.len() {
                12..=14 => 1_000_000,
                15..=17 => 1_000,
                _ => 1,
            };
            let at = Nanos(text.parse::<u64>().ok()?.checked_mul(unit)?);
            return Some(Self { at, fine: true });
        }
        Some(Self { at: Nanos(decimal(text, NANOS)?.0), fine })
    }

    fn of((year, month, day): (i64, u32, u32), time: &str, zone: &str) -> Option<Self> {
        let (clock, fraction) = time.split_once(['.', ',']).unwrap_or((time, ""));
        let mut parts = clock.splitn(3, ':').map(|part| part.parse::<u64>().ok());
        let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
        let valid = (1970..=2500).contains(&year)
            && (1..=12).contains(&month)
            && (1..=31).contains(&day)
            && hour < 24
            && minute < 60
            && second <= 60;
        if !valid {
            return None;
        }
        let seconds = u64::try_from(days(year, month, day)).ok()? * 86_400
            + hour * 3_600
            + minute * 60
            + second;
        let seconds = seconds.checked_add_signed(-offset(zone)?)?;
        let fine = !fraction.is_empty();
        let part = if fine { decimal(&format!("0.{fraction}"), NANOS)?.0 } else { 0 };
        Some(Self { at: Nanos(seconds * NANOS + part), fine })
    }
}

/// Days since 1970-01-01 in the Gregorian calendar (H. Hinnant, "chrono-compatible low-level date
/// algorithms", `days_from_civil`).
fn days(year: i64, month: u32, day: u32) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = i64::from((153 * ((month + 9) % 12) + 2) / 5 + day - 1);
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// `+0100`, `+01:00`, `Z` or nothing, in seconds.
fn offset(zone: &str) -> Option<i64> {
    let sign = match zone.as_bytes().first() {
        None | Some(b'Z') => return Some(0),
        Some(b'+') => 1,
        Some(b'-') => -1,
        Some(_) => return None,
    };
    let digits: String = zone[1..].chars().filter(|c| *c != ':').collect();
    let number: i64 = digits.parse().ok().filter(|_| digits.len() == 4)?;
    Some(sign * (number / 100 * 3_600 + number % 100 * 60))
}

/// A decimal number that is not negative, in units of `unit` nanoseconds and without the rounding
/// of a float; digits below a nanosecond are cut off.
pub(super) fn decimal(text: &str, unit: u64) -> Option<Span> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if text.len() > 40 || whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    let fraction = &fraction[..fraction.len().min(12)];
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let part = if fraction.is_empty() { 0 } else { fraction.parse::<u128>().ok()? };
    let units = whole.parse::<u128>().ok()?.checked_mul(scale)?.checked_add(part)?;
    let nanos = units.checked_mul(u128::from(unit))? / scale;
    u64::try_from(nanos).ok().map(Span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_instant_in_all_forms() {
        let instant = Nanos(1_795_559_820_250_000_000);
        let whole = Nanos(1_795_559_820_000_000_000);
        for (text, at, fine) in [
            ("24/Nov/2026:22:37:00 +0000", whole, false),
            ("25/Nov/2026:00:07:00 +0130", whole, false),
            ("24/Nov/2026:22:37:00.250", instant, true),
            ("2026-11-24T22:37:00.250Z", instant, true),
            ("2026-11-24T20:37:00-02:00", whole, false),
            ("2026-11-24 22:37:00,250", instant, true),
            ("1795559820.25", instant, true),
            ("1795559820", whole, false),
            ("1795559820250", instant, true),
            ("1795559820250000", instant, true),
            ("1795559820250000000", instant, true),
        ] {
            assert_eq!(Stamp::parse(text), Some(Stamp { at, fine }), "{text}");
        }
        assert_eq!(Stamp::parse("29/Feb/2000:00:00:00 +0000").unwrap().at.0 / NANOS, 951_782_400);
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "-",
            "x",
            "24/Foo/2026:22:37:00",
            "24/Nov/2026:25:00:00",
            "2026-13-01T00:00:00Z",
            "-1",
            "1.2.3",
            "24/Nov/1969:00:00:00 +0000",
            "01/Jan/1970:00:00:00 +0100",
            "24/Nov/2026:22:37:00 +01",
            "2026-11-24",
            "99999999999999999999999",
            "ää/Nov",
        ] {
            assert_eq!(Stamp::parse(text), None, "{text}");
        }
    }
}
