//! Dates of the proleptic Gregorian calendar in UTC, for file names and files.

use crate::units::Nanos;

/// `2026-11-24T13:45:01Z` for an instant of [`super::clock::wall`].
#[must_use]
pub fn rfc3339(wall: Nanos) -> String {
    let (date, time) = parts(wall);
    format!("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", date.0, date.1, date.2, time.0, time.1, time.2)
}

/// The same with milliseconds: `2026-11-24T13:45:01.250Z`.
#[must_use]
pub fn rfc3339_millis(wall: Nanos) -> String {
    let mut text = rfc3339(wall);
    text.truncate(text.len() - 1);
    text + &format!(".{:03}Z", wall.0 / 1_000_000 % 1_000)
}

/// The instant of [`super::clock::wall`] that [`rfc3339`] wrote, to the second; `None` for any other
/// text.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<Nanos> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<u64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    // Days before the year, as in `civil_from_days`, whose years begin in March.
    let shifted = if month > 2 { year } else { year.checked_sub(1)? };
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day.checked_sub(1)?;
    let days = shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + day_of_year;
    let seconds = number(11..13)? * 3600 + number(14..16)? * 60 + number(17..19)?;
    let wall = Nanos((days.checked_sub(719_468)? * 86_400 + seconds).checked_mul(1_000_000_000)?);
    (rfc3339(wall) == text).then_some(wall)
}

/// `20261124T134501Z`, which sorts by time and can name a folder.
#[must_use]
pub fn compact(wall: Nanos) -> String {
    rfc3339(wall).replace(['-', ':'], "")
}

/// `Tue, 24 Nov 2026 13:45:01 GMT`, as HTTP writes dates (RFC 9110 5.6.7).
#[must_use]
pub fn imf_fixdate(wall: Nanos) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let ((year, month, day), (hour, minute, second)) = parts(wall);
    let weekday = DAYS[(wall.whole_seconds() / 86_400 % 7) as usize];
    let month = MONTHS[(month - 1) as usize];
    format!("{weekday}, {day:02} {month} {year} {hour:02}:{minute:02}:{second:02} GMT")
}

/// (year, month, day), (hour, minute, second). Days to a date as Howard Hinnant,
/// "chrono-compatible low-level date algorithms", `civil_from_days`.
fn parts(wall: Nanos) -> ((u64, u64, u64), (u64, u64, u64)) {
    let seconds = wall.whole_seconds();
    let days = seconds / 86_400 + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let second = seconds % 86_400;
    ((year, month, day), (second / 3600, second / 60 % 60, second % 60))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Span;

    #[test]
    fn what_is_no_date_is_none() {
        for text in
            ["", "2026", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-01-01 00:00:00"]
        {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
    }

    #[test]
    fn dates_match_those_of_date_1() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_827_696, "2000-02-29T12:34:56Z"),
            (1_795_527_901, "2026-11-24T13:45:01Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
        ] {
            let wall = Nanos::ZERO + Span::from_secs(seconds);
            assert_eq!(rfc3339(wall), expected);
            assert_eq!(parse_rfc3339(expected), Some(wall));
        }
        assert_eq!(compact(Nanos::ZERO), "19700101T000000Z");
        assert_eq!(imf_fixdate(Nanos::ZERO), "Thu, 01 Jan 1970 00:00:00 GMT");
        let at = Nanos::ZERO + Span::from_secs(784_111_777);
        assert_eq!(imf_fixdate(at), "Sun, 06 Nov 1994 08:49:37 GMT", "the standard's example");
        assert_eq!(rfc3339_millis(Nanos(7_000_000)), "1970-01-01T00:00:00.007Z");
    }
}
