//! Axes on the command line: `KEY=A,B,C` is a list, `KEY=LOW..HIGH` a range.

use crate::cli::overrides::values;
use crate::scenario::sweep::{AxisRange, AxisValue, AxisValues, DEFAULT_STEPS, Scale, SweepAxis};

/// The axis that `--set key=value` means; `None` if it is a value alone.
///
/// # Errors
/// When it is neither, in words.
pub(super) fn axis(key: &str, value: &str) -> Result<Option<SweepAxis>, String> {
    let key = key.to_owned();
    if let Some(range) = range(value) {
        let range = range.map_err(|why| format!("--set {key}={value}: {why}"))?;
        return Ok(Some(SweepAxis { key, values: AxisValues::Range(range) }));
    }
    let parts = values(value);
    if parts.len() < 2 {
        return Ok(None);
    }
    let mut list: Vec<AxisValue> = Vec::new();
    for part in parts {
        let label = part.trim_matches('"').to_owned();
        let one = AxisValue { toml: part, label };
        if one.toml.is_empty() || list.contains(&one) {
            return Err(format!("--set {key}={value}: a value is empty, or there twice"));
        }
        list.push(one);
    }
    Ok(Some(SweepAxis { key, values: AxisValues::List(list) }))
}

/// `LOW..HIGH`, perhaps with `log` behind it.
fn range(value: &str) -> Option<Result<AxisRange, String>> {
    let (low, rest) = value.split_once("..")?;
    let (high, log) = match rest.trim().strip_suffix("log") {
        Some(high) if high.ends_with(' ') => (high, true),
        _ => (rest, false),
    };
    let (low, high) = (low.trim(), high.trim());
    AxisRange::number_and_unit(low)?;
    let whole = [low, high].iter().all(|end| end.parse::<i64>().is_ok());
    let scale = if log { Scale::Log } else { Scale::Linear };
    Some(AxisRange::between(low, high, whole, scale, DEFAULT_STEPS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(value: &str) -> Vec<String> {
        match axis("a.b", value).unwrap().map(|axis| axis.values) {
            None => Vec::new(),
            Some(AxisValues::List(list)) => list.into_iter().map(|value| value.label).collect(),
            Some(AxisValues::Range(range)) => {
                range.grid().into_iter().map(|value| value.label).collect()
            }
        }
    }

    #[test]
    fn commas_make_a_list_and_dots_a_range() {
        assert_eq!(labels("least_conn,prequal"), ["least_conn", "prequal"]);
        assert_eq!(labels("10ms, 20ms"), ["10ms", "20ms"]);
        assert_eq!(labels("least_conn"), Vec::<String>::new());
        assert_eq!(labels("1..9"), ["1", "3", "5", "7", "9"]);
        assert_eq!(labels("1ms..10000ms log"), ["1ms", "10ms", "100ms", "1000ms", "10000ms"]);
        assert_eq!(labels("0.5..0.9"), ["0.5", "0.6", "0.7", "0.8", "0.9"]);
    }

    #[test]
    fn a_table_or_a_text_with_commas_is_one_value() {
        assert_eq!(labels(r#"{ law = "exponential", mean = "10ms" }"#), Vec::<String>::new());
        assert_eq!(labels(r#"{ a = 1, b = 2 },{ a = 3, b = 4 }"#).len(), 2);
        assert_eq!(labels("[1, 2]"), Vec::<String>::new());
    }

    #[test]
    fn what_is_neither_says_why() {
        let why = |value: &str| axis("a.b", value).unwrap_err();
        assert!(why("9..1").contains("which is not above"), "{}", why("9..1"));
        assert!(why("1ms..2s").contains("two units"), "{}", why("1ms..2s"));
        assert!(why("0..2 log").contains("logarithmic"), "{}", why("0..2 log"));
        assert!(why("a,,b").contains("empty"), "{}", why("a,,b"));
        assert!(why("a,a").contains("twice"), "{}", why("a,a"));
    }
}
