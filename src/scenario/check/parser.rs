//! Reads a check as written: `[world.]measure[(arguments)] relation bound [± tolerance]`.
//!
//! ```text
//! p99 < 300ms                                    p99.9, max and mean too
//! p99(class = api, during = crash-b) < 1s        class, stage, and one of during, before, after
//! errors < 0.1%      failed <= 3      retried < 50      goodput > 90/s
//! spread(b1) = 38% ± 2%                          of a backend or a group; points
//! failover(crash-b) < 2s      jain > 0.99
//! scale_events < 10   flaps < 2/h   instance_hours < 3   slo_violated < 20s    of the autoscaler
//! sim.p99 ~ live.p99 ± 10%                       of the right-hand side
//! ```
//! Quotes around names and values are optional; `+-` and `+/-` stand for `±`.

use super::change::is_relative;
use super::cursor::{CheckError, Cursor};
use super::{Check, Measure, Relation, Subject, Tolerance};
use crate::scenario::diagnostic::suggestion;
use crate::units::{Quantity, Rate, Ratio, Span, World};

/// Reads a check.
///
/// # Errors
/// The first thing that is wrong.
pub(crate) fn parse(text: &str) -> Result<Check, CheckError> {
    let mut cursor = Cursor { text, at: 0 };
    let subject = subject(&mut cursor)?;
    let relation = relation(&mut cursor, &subject)?;
    cursor.skip_spaces();
    if cursor.at < text.len() {
        return Err(cursor.fail(cursor.at, text.len(), "nothing may follow here", String::new()));
    }
    Ok(Check { text: text.to_owned(), subject, relation })
}

/// Reads a measure by itself, such as `p99.9` or `errors`.
///
/// # Errors
/// When it is none.
pub(super) fn parse_measure(text: &str) -> Result<Measure, CheckError> {
    let mut cursor = Cursor { text, at: 0 };
    let (at, word) = cursor.word()?;
    let measure = measure(&cursor, at, word)?;
    cursor.skip_spaces();
    if cursor.at < text.len() {
        return Err(cursor.fail(cursor.at, text.len(), "nothing may follow here", String::new()));
    }
    Ok(measure)
}

/// The unit of a measure.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Duration,
    Share,
    Count,
    Rate,
    Number,
}

pub(super) const fn unit(measure: &Measure) -> Unit {
    match measure {
        Measure::Quantile(_) | Measure::Mean | Measure::Failover | Measure::SloViolated => {
            Unit::Duration
        }
        Measure::Errors | Measure::Spread(_) => Unit::Share,
        Measure::Failed | Measure::Retried | Measure::ScaleEvents => Unit::Count,
        Measure::Goodput | Measure::Flaps => Unit::Rate,
        Measure::Jain | Measure::InstanceHours => Unit::Number,
    }
}

pub(super) fn subject(cursor: &mut Cursor<'_>) -> Result<Subject, CheckError> {
    let world = if cursor.take("sim.") {
        Some(World::Sim)
    } else if cursor.take("live.") {
        Some(World::Live)
    } else {
        None
    };
    let (at, word) = cursor.word()?;
    let measure = measure(cursor, at, word)?;
    let mut subject = Subject {
        world,
        measure,
        class: None,
        stage: None,
        during: None,
        before: None,
        after: None,
    };
    if cursor.take("(") {
        arguments(cursor, &mut subject)?;
    }
    if matches!(&subject.measure, Measure::Spread(backend) if backend.is_empty()) {
        let message = "`spread` needs the name of a backend or a group";
        return Err(cursor.fail(at, cursor.at, message, "such as spread(b1)"));
    }
    Ok(subject)
}

fn measure(cursor: &Cursor<'_>, at: usize, word: &str) -> Result<Measure, CheckError> {
    const NAMES: [&str; 15] = [
        "p50",
        "p99",
        "max",
        "mean",
        "errors",
        "failed",
        "retried",
        "goodput",
        "spread",
        "jain",
        "failover",
        "scale_events",
        "flaps",
        "instance_hours",
        "slo_violated",
    ];
    if let Some(percent) =
        word.strip_prefix('p').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    {
        // Shifting the decimal point gives exactly 0.999 for p99.9, dividing by 100 does not.
        return match format!("{percent}e-2").parse::<f64>() {
            Ok(quantile) if quantile > 0.0 && quantile <= 1.0 => Ok(Measure::Quantile(quantile)),
            _ => {
                let message = format!("`{word}` is no quantile");
                Err(cursor.fail(at, at + word.len(), message, "above p0, up to p100"))
            }
        };
    }
    Ok(match word {
        "max" => Measure::Quantile(1.0),
        "mean" => Measure::Mean,
        "errors" => Measure::Errors,
        "failed" => Measure::Failed,
        "retried" => Measure::Retried,
        "goodput" => Measure::Goodput,
        "spread" => Measure::Spread(String::new()),
        "jain" => Measure::Jain,
        "failover" => Measure::Failover,
        "scale_events" => Measure::ScaleEvents,
        "flaps" => Measure::Flaps,
        "instance_hours" => Measure::InstanceHours,
        "slo_violated" => Measure::SloViolated,
        _ => {
            let message = if word.is_empty() {
                "expected a measure".to_owned()
            } else {
                format!("`{word}` is no measure")
            };
            let until = (at + word.len()).max(at + 1);
            return Err(cursor.fail(at, until, message, suggestion(word, NAMES, "one of")));
        }
    })
}

fn arguments(cursor: &mut Cursor<'_>, subject: &mut Subject) -> Result<(), CheckError> {
    loop {
        let (at, word) = cursor.word()?;
        if word.is_empty() {
            return Err(cursor.fail(at, at + 1, "expected a name", "such as class = api"));
        }
        if cursor.take("=") {
            let (value_at, value) = cursor.word()?;
            if value.is_empty() {
                let message = format!("`{word}` needs a name");
                return Err(cursor.fail(value_at, value_at + 1, message, String::new()));
            }
            named_argument(cursor, at, word, value, subject)?;
        } else {
            plain_argument(cursor, at, word, subject)?;
        }
        if cursor.take(")") {
            return Ok(());
        }
        if !cursor.take(",") {
            return Err(cursor.fail(
                cursor.at,
                cursor.at + 1,
                "expected `,` or `)`",
                String::new(),
            ));
        }
    }
}

fn named_argument(
    cursor: &Cursor<'_>,
    at: usize,
    key: &str,
    value: &str,
    subject: &mut Subject,
) -> Result<(), CheckError> {
    const KEYS: [&str; 5] = ["class", "stage", "during", "before", "after"];
    let phase = [&subject.during, &subject.before, &subject.after].iter().any(|p| p.is_some());
    let slot = match key {
        "class" => &mut subject.class,
        "stage" => &mut subject.stage,
        "during" => &mut subject.during,
        "before" => &mut subject.before,
        "after" => &mut subject.after,
        _ => {
            let message = format!("`{key}` is no restriction");
            let help = suggestion(key, KEYS, "one of");
            return Err(cursor.fail(at, at + key.len(), message, help));
        }
    };
    if slot.is_some() || (phase && matches!(key, "during" | "before" | "after")) {
        let message = "only one of `during`, `before`, `after`, and each restriction once";
        return Err(cursor.fail(at, cursor.at, message, String::new()));
    }
    *slot = Some(value.to_owned());
    Ok(())
}

fn plain_argument(
    cursor: &Cursor<'_>,
    at: usize,
    word: &str,
    subject: &mut Subject,
) -> Result<(), CheckError> {
    match &mut subject.measure {
        Measure::Spread(backend) if backend.is_empty() => *backend = word.to_owned(),
        Measure::Failover if subject.during.is_none() => subject.during = Some(word.to_owned()),
        _ => {
            let help = format!("say what `{word}` is, such as class = {word}");
            return Err(cursor.fail(at, cursor.at, "this measure takes no plain name", help));
        }
    }
    Ok(())
}

fn relation(cursor: &mut Cursor<'_>, subject: &Subject) -> Result<Relation, CheckError> {
    let unit = unit(&subject.measure);
    cursor.skip_spaces();
    let sign_at = cursor.at;
    for (sign, make) in [
        ("<=", Relation::AtMost as fn(f64) -> Relation),
        (">=", Relation::AtLeast),
        ("≤", Relation::AtMost),
        ("≥", Relation::AtLeast),
        ("<", Relation::Below),
        (">", Relation::Above),
    ] {
        if cursor.take(sign) {
            return bound(cursor, unit).map(make);
        }
    }
    if cursor.take("==") || cursor.take("=") {
        let value = bound(cursor, unit)?;
        return Ok(Relation::Within(value, tolerance(cursor, unit, unit == Unit::Count)?));
    }
    if cursor.take("~") {
        let other_at = cursor.at;
        let other = self::subject(cursor)?;
        if self::unit(&other.measure) != unit {
            let message = "the two measures have different units";
            return Err(cursor.fail(other_at, cursor.at, message, String::new()));
        }
        return Ok(Relation::Agrees(other, tolerance(cursor, unit, false)?));
    }
    let until = cursor.text.len().max(sign_at + 1);
    Err(cursor.fail(sign_at, until, "expected a relation", "one of <, <=, >, >=, =, ~"))
}

const PLUS_MINUS: [&str; 3] = ["±", "+/-", "+-"];

/// The text of a value: up to a `±` or the end, without its quotes.
fn value_text<'a>(cursor: &mut Cursor<'a>) -> (usize, &'a str) {
    cursor.skip_spaces();
    let rest = cursor.rest();
    let end = PLUS_MINUS.iter().filter_map(|sign| rest.find(sign)).min().unwrap_or(rest.len());
    let text = rest[..end].trim_end();
    let at = cursor.at;
    cursor.at += text.len();
    let quoted = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    (at, quoted('"').or_else(|| quoted('\'')).unwrap_or(text))
}

fn bound(cursor: &mut Cursor<'_>, unit: Unit) -> Result<f64, CheckError> {
    let (at, text) = value_text(cursor);
    read_value(text, unit)
        .map_err(|(message, help)| cursor.fail(at, cursor.at.max(at + 1), message, help))
}

fn read_value(text: &str, unit: Unit) -> Result<f64, (String, String)> {
    fn quantity<T: Quantity>(text: &str) -> Result<T, (String, String)> {
        T::parse(text).map_err(|error| {
            let found = if text.is_empty() {
                "there is no value".to_owned()
            } else {
                format!("`{text}`: {}", error.why)
            };
            (found, format!("expected {}", T::EXPECTED))
        })
    }
    match unit {
        Unit::Duration => quantity::<Span>(text).map(|span| span.0 as f64),
        Unit::Share => quantity::<Ratio>(text).map(|ratio| ratio.0),
        Unit::Rate => quantity::<Rate>(text).map(|rate| rate.0),
        Unit::Count | Unit::Number => match text.parse::<f64>() {
            Ok(value) if value.is_finite() && value >= 0.0 => Ok(value),
            _ => Err((
                format!("`{text}` is not a number"),
                "expected a plain number like 3".to_owned(),
            )),
        },
    }
}

/// For a share percent means points; for the other measures it is a fraction of the value.
fn tolerance(cursor: &mut Cursor<'_>, unit: Unit, optional: bool) -> Result<Tolerance, CheckError> {
    if !PLUS_MINUS.iter().any(|sign| cursor.take(sign)) {
        if optional {
            return Ok(Tolerance::Absolute(0.0));
        }
        let at = cursor.at;
        return Err(cursor.fail(at, at + 1, "the tolerance is missing", "such as ± 10%"));
    }
    room(cursor, unit)
}

/// What follows a `±`, or the `+` of a change, to the end.
pub(super) fn room(cursor: &mut Cursor<'_>, unit: Unit) -> Result<Tolerance, CheckError> {
    let (at, text) = value_text(cursor);
    let relative = is_relative(unit, text.trim_end());
    let read = if relative {
        read_value(text, Unit::Share).map(Tolerance::Relative)
    } else {
        read_value(text, unit).map(Tolerance::Absolute)
    };
    read.map_err(|(message, help)| cursor.fail(at, cursor.at.max(at + 1), message, help))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Subject, Relation) {
        let check = parse(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        assert_eq!(check.text, text);
        (check.subject, check.relation)
    }

    #[test]
    fn every_form_of_the_grammar_is_read() {
        let (subject, relation) = read("p99.9 < \"300ms\"");
        assert_eq!((subject.measure, relation), (Measure::Quantile(0.999), Relation::Below(3e8)));
        let (subject, _) = read("p99(class = \"api\", during = crash-b)<1s");
        assert_eq!(
            (subject.class.as_deref(), subject.during.as_deref()),
            (Some("api"), Some("crash-b"))
        );
        assert_eq!(read("errors < 0.1%").1, Relation::Below(0.001));
        assert_eq!(
            read("spread(a) = \"38% ± 2%\"".replace('"', "").as_str()).1,
            Relation::Within(0.38, Tolerance::Absolute(0.02))
        );
        let (subject, relation) = read("sim.p99 ~ live.p99 +- 10%");
        assert_eq!(subject.world, Some(World::Sim));
        let Relation::Agrees(other, Tolerance::Relative(share)) = relation else { panic!() };
        assert_eq!((other.world, share), (Some(World::Live), 0.1));
        assert_eq!(read("failed = 0").1, Relation::Within(0.0, Tolerance::Absolute(0.0)));
        assert_eq!(read("failed <= 3").1, Relation::AtMost(3.0));
        assert_eq!(read("goodput >= 90/s").1, Relation::AtLeast(90.0));
        assert_eq!(read("live.failover(crash-b) < 2 s").0.during.as_deref(), Some("crash-b"));
        assert_eq!(read("mean = 10ms +/- 1ms").1, Relation::Within(1e7, Tolerance::Absolute(1e6)));
        assert_eq!(read("jain > 0.99").1, Relation::Above(0.99));
    }

    #[test]
    fn a_wrong_one_points_at_what_is_wrong() {
        for (text, at, message) in [
            ("", 0, "expected a measure"),
            ("p99 300ms", 4, "expected a relation"),
            ("p0 < 1s", 0, "`p0` is no quantile"),
            ("eror < 1%", 0, "`eror` is no measure"),
            ("p99 < 300", 6, "`300`: its unit is missing"),
            ("p99 <", 5, "there is no value"),
            ("p99(klass = a) < 1s", 4, "`klass` is no restriction"),
            ("p99(api) < 1s", 4, "this measure takes no plain name"),
            ("p99(class = api < 1s", 16, "expected `,` or `)`"),
            ("p99(class = \"api) < 1s", 12, "the quote is not closed"),
            (
                "p99(during = a, after = b) < 1s",
                16,
                "only one of `during`, `before`, `after`, and each restriction once",
            ),
            ("spread < 1%", 0, "`spread` needs the name of a backend or a group"),
            ("spread(a) = 38%", 15, "the tolerance is missing"),
            ("p99 ~ live.errors ± 1%", 5, "the two measures have different units"),
            ("failed < -1", 9, "`-1` is not a number"),
            ("failed < 3 ± 1", 11, "nothing may follow here"),
        ] {
            let error = parse(text).expect_err(text);
            assert_eq!((error.at, error.message.as_str()), (at, message), "{text}");
        }
    }
}
