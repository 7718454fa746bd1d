//! Values as TOML, and what may stand in a comment.

use crate::units::Span;

/// A string.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// A list of strings.
pub(super) fn quoted_list<'a>(items: impl IntoIterator<Item = &'a str>) -> String {
    let items: Vec<String> = items.into_iter().map(quoted).collect();
    format!("[{}]", items.join(", "))
}

/// A duration, without rounding, in the largest unit that keeps it whole.
pub(super) fn span(span: Span) -> String {
    const UNITS: [(u64, &str); 4] =
        [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us"), (1, "ns")];
    let (unit, name) =
        UNITS.into_iter().find(|(unit, _)| span.0.is_multiple_of(*unit)).unwrap_or((1, "ns"));
    format!("\"{}{name}\"", span.0 / unit)
}

/// Text within one line of comment: no control characters, and no longer than a line should be.
pub(super) fn commented(text: &str) -> String {
    let mut shown: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(400).collect();
    shown.truncate(shown.trim_end().len());
    shown
}

/// `text` as a name: letters, digits, `-` and `_`; empty if it has none of them.
pub(super) fn name_of(text: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let name: String = text.chars().take(60).map(|c| if allowed(c) { c } else { '-' }).collect();
    name.trim_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_lose_nothing() {
        assert_eq!(span(Span::from_millis(1500)), "\"1500ms\"");
        assert_eq!(span(Span::from_secs(90)), "\"90s\"");
        assert_eq!(span(Span(1)), "\"1ns\"");
    }

    #[test]
    fn names_are_allowed_in_scenarios() {
        assert_eq!(name_of("app.example.com:80"), "app-example-com-80");
        assert_eq!(name_of("…"), "");
    }
}
