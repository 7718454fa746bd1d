//! How much worse a measure may get against a baseline: `p99 +5%`, `errors +0.1%`, `goodput -3%`.

use super::cursor::{CheckError, Cursor};
use super::parser::{self, Unit};
use super::{Measure, Subject, Tolerance};

/// A measure, and by how much it may be worse than it was.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// As written.
    pub text: String,
    /// What is measured.
    pub subject: Subject,
    /// By how much it may change for the worse.
    pub by: Tolerance,
    /// Whether more of it is worse.
    pub rising: bool,
}

impl std::str::FromStr for Change {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse(text).map_err(CheckError::into_sentence)
    }
}

fn parse(text: &str) -> Result<Change, CheckError> {
    let mut cursor = Cursor { text, at: 0 };
    let subject = parser::subject(&mut cursor)?;
    let measured = cursor.at;
    let rising = match subject.measure {
        Measure::Quantile(_) | Measure::Mean | Measure::Errors | Measure::Failed => true,
        Measure::Goodput => false,
        _ => {
            let help = "a latency (mean, p50, p90, p99, p99.9), errors, failed or goodput";
            return Err(cursor.fail(0, measured, "this measure has no baseline", help));
        }
    };
    let sign = if rising { "+" } else { "-" };
    let signed = cursor.take(sign) || (sign == "-" && cursor.take("−"));
    if !signed {
        let message = format!("expected `{sign}` and how much worse it may get");
        return Err(cursor.fail(measured, text.len(), message, format!("such as {sign}5%")));
    }
    let by = parser::room(&mut cursor, parser::unit(&subject.measure))?;
    Ok(Change { text: text.to_owned(), subject, by, rising })
}

/// Points for shares, a fraction for all others.
pub(super) const fn is_relative(unit: Unit, text: &str) -> bool {
    !matches!(unit, Unit::Share) && matches!(text.as_bytes().last(), Some(b'%'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_relative_or_in_the_unit_of_the_measure() {
        let read = |text: &str| text.parse::<Change>().unwrap();
        let p99 = read("p99 +5%");
        assert_eq!((p99.by, p99.rising), (Tolerance::Relative(0.05), true));
        assert_eq!(read("live.p99.9 + 20ms").by, Tolerance::Absolute(2e7));
        assert_eq!(read("errors +0.1%").by, Tolerance::Absolute(0.001));
        assert_eq!(read("failed +3").by, Tolerance::Absolute(3.0));
        let goodput = read("goodput -3%");
        assert_eq!((goodput.by, goodput.rising), (Tolerance::Relative(0.03), false));
        assert_eq!(read("p50(class = api) +1%").subject.class.as_deref(), Some("api"));
    }

    #[test]
    fn a_wrong_one_says_what_would_be_right() {
        for (text, part) in [
            ("p99", "such as +5%"),
            ("p99 -5%", "such as +5%"),
            ("goodput +5%", "such as -5%"),
            ("jain +5%", "no baseline"),
            ("p99 +5", "unit"),
            ("p99 +5% please", "p"),
        ] {
            let error = text.parse::<Change>().unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
